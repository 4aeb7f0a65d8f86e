"""Voxel regression: what a line between images misses, from a handful of numbers at each voxel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from nextscan.arrays import FloatArray, Volume
from nextscan.cohort import Cohort
from nextscan.imputers.estimator import Progress
from nextscan.imputers.sequences.film_row import Examples, FilmRow, Learned
from nextscan.imputers.sequences.shown import Shown
from nextscan.imputers.sequences.times import linear_weights
from nextscan.imputers.settings import at_least

_FRAMES = 4  # nearest to the target: each gives two numbers
_VOXELS = 20_000  # of a film that are learned from
_SIGMA = 1.0  # voxels: of the neighbourhood


@dataclass(eq=False, repr=False, kw_only=True)
class VoxelRegression(FilmRow):
    """Regress what the line between images misses on what is seen at a voxel, over all voxels and films at once.

    The numbers of a voxel: its values in the nearest four images shown, those of its neighbourhood (a Gaussian of one
    voxel), the mean of films of training at the target, and what the line misses on average there; of a film of
    training both are means of the others. One ridge regression for each pattern of images shown: with a large penalty
    it is `LinearInTime`, and `LinearWithMeanResidual` is among what it can learn.

    Parameters
    ----------
    penalty : float
        On the squares of coefficients of standardised numbers, per voxel learned from.
    n_films, match_brightness, shape, spacing, cache
        As in `FilmRow`.
    """

    name: ClassVar[str] = "voxel-regression"
    minimum_films: ClassVar[int] = 2

    penalty: float = 1e-4

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        at_least(0, penalty=self.penalty)
        super()._fit(train, validation, seed, checkpoint, progress)

    def _guess(self, shown: Shown) -> Volume:
        return shown.mixed(linear_weights(shown.times, shown.target, shown.period))

    def _learn(self, examples: Examples) -> Learned:
        n = len(examples)
        truths, missed = np.zeros((2, *self.preparer_.shape))
        for _, truth, guess in examples:
            truths += truth
            missed += truth - guess
        size = truths.size
        near = np.argsort(np.round(examples.far, 9), kind="stable")[:_FRAMES]
        where = np.random.default_rng(0).choice(size, _VOXELS, replace=False) if size > _VOXELS else np.arange(size)

        def numbers(shown: Shown, truth: Volume | float, left: Volume | float, among: int) -> FloatArray:
            means = ((truths - truth) / max(among, 1), (missed - left) / max(among, 1))
            return np.stack([*_numbers(shown.frames[near]), *means], axis=-1)

        def seen() -> Iterator[tuple[FloatArray, Volume]]:
            for shown, truth, guess in examples:
                yield numbers(shown, truth, truth - guess, n - 1), truth - guess

        moments = _Moments()
        for x, y in seen():
            moments.add(x.reshape(size, -1)[where], y.ravel()[where])
        slope, intercept = moments.ridge(self.penalty)
        residuals = np.stack([(y - (x @ slope + intercept)).astype(np.float16) for x, y in seen()])

        def mean(shown: Shown, guess: Volume) -> Volume:
            return guess + (numbers(shown, 0.0, 0.0, n) @ slope + intercept).astype(np.float32)

        return Learned(residuals, mean)


def _numbers(frames: Volume) -> Iterator[Volume]:
    """Yield images, and each smoothed."""
    from scipy.ndimage import gaussian_filter

    for frame in frames:
        yield frame
        yield gaussian_filter(frame, _SIGMA, mode="nearest")


class _Moments:
    """Sums over voxels of which a regression is made."""

    def __init__(self) -> None:
        self.n, self.sums, self.products = 0, np.zeros(()), np.zeros(())

    def add(self, x: FloatArray, y: Volume) -> None:
        """Add numbers (n, p) and what they are to explain (n,)."""
        both = np.column_stack([x, y]).astype(np.float64)
        self.n += len(both)
        self.sums = self.sums + both.sum(axis=0)
        self.products = self.products + both.T @ both

    def ridge(self, penalty: float) -> tuple[FloatArray, float]:
        """Return slopes (p,) of the numbers as they are, and the intercept."""
        mean = self.sums / self.n
        covariance = self.products / self.n - np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(covariance)[:-1], 0))
        spread[spread <= 1e-6] = np.inf  # what is the same everywhere explains nothing
        scaled = covariance[:-1, :-1] / np.outer(spread, spread) + penalty * np.eye(len(spread))
        slope = np.linalg.lstsq(scaled, covariance[:-1, -1] / spread, rcond=1e-12)[0] / spread
        return slope, float(mean[-1] - mean[:-1] @ slope)
