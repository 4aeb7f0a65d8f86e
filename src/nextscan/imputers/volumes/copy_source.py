"""Copy source: the follow-up image is the source image again."""

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


class CopySource(VolumeImputer):
    """Predict that nothing changes: the row every other method has to beat.

    The mean is the source image, exactly. Draws add whole difference images of training pairs, not centred:
    the carry-forward of images. Differences belong to other heads, whose edges lie elsewhere: a draw has the
    noise and the amount of change of a real follow-up, not its anatomy.

    Parameters
    ----------
    shape, spacing, cache
        Of the grid on which images are compared, see `nextscan.preprocess.volumes.VolumePreparer`.
    n_residuals : int
        At most this many difference images are kept, chosen at random.

    Attributes
    ----------
    changes_ : ndarray of float16, shape (n, x, y, z)
        Later minus earlier image of training pairs, prepared scale.
    """

    name: ClassVar[str] = "copy-source"
    minimum_pairs: ClassVar[int] = 1

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
            chosen = chosen_pairs(len(data), self.n_residuals, seed)
            self.changes_: NDArray[np.float16] = np.stack([data.change(i).astype(np.float16) for i in chosen])

    def _drawing(self) -> Draw:
        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume]:
            return resampled(given.source, self.changes_, given.subject, n_draws, seed), given.source

        return draw

    def _state(self) -> dict[str, Any]:
        return {"changes": self.changes_}

    def _restore(self, state: dict[str, Any]) -> None:
        self.changes_ = state["changes"]
