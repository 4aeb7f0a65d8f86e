"""Volume mean change: the source image plus years times what a voxel changed on average in a year."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort, merge
from nextscan.imputers.estimator import Progress
from nextscan.imputers.volumes.base import Draw, Given, VolumeImputer
from nextscan.imputers.volumes.pairs import Volume, images_only, prepared_pairs
from nextscan.imputers.volumes.resampling import chosen_pairs, resampled


class VolumeMeanChange(VolumeImputer):
    """Add each voxel's mean change, in proportion to the years, to the source image.

    The change per year is that of least squares through the origin over all training pairs, so that pairs
    far apart, in which more changes over the same noise, count for more. Voxels correspond as far as the
    images lie in one common space: without that the mean change is a blur. Draws add the residual images of
    training pairs, each divided by one minus its leverage. Where an interval is unknown, it is taken to be
    the mean one.

    Parameters
    ----------
    shape, spacing, cache
        Of the grid on which images are compared, see `nextscan.preprocess.volumes.VolumePreparer`.
    n_residuals : int
        At most this many residual images are kept, chosen at random.

    Attributes
    ----------
    change_ : ndarray of float32, shape (x, y, z)
        Mean change over the mean training interval, prepared scale.
    residuals_ : ndarray of float16, shape (n, x, y, z)
    """

    name: ClassVar[str] = "volume-mean-change"
    uses_time: ClassVar[bool] = True
    predicts_backward: ClassVar[bool] = True

    def __init__(
        self,
        *,
        shape: tuple[int, int, int] | None = None,
        spacing: tuple[float, float, float] | None = None,
        cache: str | None = None,
        n_residuals: int = 40,
    ) -> None:
        self.shape, self.spacing, self.cache, self.n_residuals = shape, spacing, cache, n_residuals

    def _fit(
        self,
        train: Cohort,
        validation: Cohort | None,
        seed: int,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        cohort = images_only(merge(train, validation))
        with prepared_pairs(cohort, self.preparer_, checkpoint, progress) as data:
            reach = self.reach(data.pairs.gap)
            squares = float(reach @ reach) or 1.0
            total = np.zeros(self.preparer_.shape, np.float64)
            for i in range(len(data)):
                total += reach[i] * data.change(i)
            self.change_: Volume = (total / squares).astype(np.float32)
            kept = [
                (data.change(i) - reach[i] * self.change_) / max(1 - reach[i] ** 2 / squares, 1 / len(data))
                for i in chosen_pairs(len(data), self.n_residuals, seed)
            ]
            self.residuals_: NDArray[np.float16] = np.stack(kept).astype(np.float16)

    def _drawing(self) -> Draw:
        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume]:
            mean: Volume = given.source + np.float32(self.reach(given.gap)) * self.change_
            return resampled(mean, self.residuals_, given.subject, n_draws, seed), mean

        return draw

    def _state(self) -> dict[str, Any]:
        return {"change": self.change_, "residuals": self.residuals_}

    def _restore(self, state: dict[str, Any]) -> None:
        self.change_ = state["change"]
        self.residuals_ = state["residuals"]
