"""What baselines for images share: a mean, and draws that add difference images of training pairs to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import Volume
from nextscan.cohort import Cohort, merge
from nextscan.imputers.baselines.paired_visits import donors
from nextscan.imputers.estimator import Progress
from nextscan.imputers.settings import at_least
from nextscan.imputers.volumes.base import Draw, Given, VolumeImputer
from nextscan.imputers.volumes.pairs import PreparedPairs, images_only, prepared_pairs


@dataclass(eq=False, repr=False, kw_only=True)
class ResamplingVolumeImputer(VolumeImputer):
    """Base of baselines whose draws are a mean and residual images of training pairs, drawn with replacement.

    Which images a draw takes depends on the subject's name, the seed and the draw only. A subclass implements
    ``_learn(data)`` and ``_mean(given)``.

    Parameters
    ----------
    shape, spacing, cache
        Of the grid on which images are compared, see `nextscan.preprocess.volumes.VolumePreparer`.
    n_residuals : int
        At most this many residual images are kept, chosen at random.

    Attributes
    ----------
    residuals_ : ndarray of float16, shape (n, x, y, z)
        Prepared scale.
    """

    _LEARNED: ClassVar[tuple[str, ...]] = ("residuals",)

    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    cache: str | None = None
    n_residuals: int = 40

    def _learn(self, data: PreparedPairs) -> Callable[[int], Volume]:
        """Learn the mean from all pairs; return what gives the residual image of one."""
        raise NotImplementedError

    def _mean(self, given: Given) -> Volume:
        """Return the predictive mean, prepared scale."""
        raise NotImplementedError

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        at_least(1, n_residuals=self.n_residuals)
        cohort = images_only(merge(train, validation))
        with prepared_pairs(cohort, self.preparer_, checkpoint, progress) as data:
            residual = self._learn(data)
            shuffled = np.random.default_rng([seed, len(data)]).permutation(len(data))
            chosen = sorted(shuffled[: self.n_residuals].tolist())
            self.residuals_: NDArray[np.float16] = np.stack([residual(i).astype(np.float16) for i in chosen])

    def _drawing(self) -> Draw:
        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume]:
            mean = self._mean(given)
            chosen = donors(len(self.residuals_), [given.subject], n_draws, seed)[:, 0]
            return mean + self.residuals_[chosen].astype(np.float32), mean

        return draw
