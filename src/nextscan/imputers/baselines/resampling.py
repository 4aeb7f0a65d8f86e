"""What baselines for features share: a mean, and draws that add residual vectors of training pairs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets, merge
from nextscan.imputers.base import Imputer, Progress
from nextscan.imputers.baselines.paired_visits import PairedVisits, resampled
from nextscan.preprocess import CellImputer


class ResamplingImputer(Imputer):
    """Base of baselines whose draws are a mean and residual vectors of training pairs, drawn with replacement.

    A subclass implements ``_learn(data, cohort)`` and ``_mean(context, cohort, wanted)``.

    Attributes
    ----------
    cells_ : CellImputer
        Fills the gaps of context visits.
    residuals_ : ndarray of float, shape (n_pairs, n_features)
        Native units.
    """

    _PARTS: ClassVar[dict[str, Any]] = {"cells": CellImputer}

    cells_: CellImputer
    residuals_: FloatArray

    def _learn(self, data: PairedVisits, cohort: Cohort) -> None:
        """Learn the mean, and `residuals_`, from the pairs; `cohort` is everybody, with and without a pair."""
        raise NotImplementedError

    def _mean(self, context: FloatArray, cohort: Cohort, wanted: Targets) -> FloatArray:
        """Return the predictive means, given the context visits without gaps."""
        raise NotImplementedError

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        data = PairedVisits.of(train, validation, minimum=self.minimum_pairs)
        self.cells_ = data.cells
        self._learn(data, merge(train, validation))

    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[FloatArray, FloatArray]:
        mean = self._mean(self.cells_.transform(cohort.features[wanted.context]), cohort, wanted)
        return resampled(mean, self.residuals_, wanted.subject, n_draws, seed), mean
