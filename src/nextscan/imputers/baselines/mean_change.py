"""Mean change: the follow-up is the last scan plus what the training pairs changed on average."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.imputers.base import Imputer, Progress
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred, resampled
from nextscan.preprocess import CellImputer


class MeanChange(Imputer):
    """Add each feature's mean change over the training pairs to the context visit.

    Draws add resampled leave-one-out residuals, ``(change - mean change) n / (n - 1)``, so that their
    spread holds the uncertainty of the mean change as well. The interval between visits is not used:
    the row shows what a plain average achieves.

    Attributes
    ----------
    change_ : ndarray of float, shape (n_features,)
        Mean change, native units.
    residuals_ : ndarray of float, shape (n_pairs, n_features)
    """

    name: ClassVar[str] = "mean-change"

    def _fit(
        self,
        train: Cohort,
        validation: Cohort | None,
        seed: int,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        data = PairedVisits.of(train, validation, minimum=self.minimum_pairs)
        n = np.count_nonzero(~np.isnan(data.target), axis=0)
        self.cells_ = data.cells
        self.change_: FloatArray = np.nanmean(data.change, axis=0)
        self.residuals_ = centred((data.change - self.change_) * n / (n - 1))

    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[FloatArray, FloatArray]:
        mean = self.cells_.transform(cohort.features[wanted.context]) + self.change_
        return resampled(mean, self.residuals_, wanted.subject, n_draws, seed), mean

    def _state(self) -> dict[str, Any]:
        return {"cells": self.cells_.state(), "change": self.change_, "residuals": self.residuals_}

    def _restore(self, state: dict[str, Any]) -> None:
        self.cells_ = CellImputer.from_state(state["cells"])
        self.change_ = state["change"]
        self.residuals_ = state["residuals"]
