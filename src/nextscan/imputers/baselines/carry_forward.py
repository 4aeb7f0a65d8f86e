"""Carry forward: the follow-up is the last scan again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.imputers.base import Imputer, Progress
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred, resampled
from nextscan.preprocess import CellImputer


class CarryForward(Imputer):
    """Predict that nothing changes: the row every other method has to beat.

    The mean is the context visit, exactly. Draws add whole change vectors of training pairs, not
    centred: a draw is a realistic follow-up even though the mean ignores the mean change.

    Attributes
    ----------
    changes_ : ndarray of float, shape (n_pairs, n_features)
        Follow-up minus context of the training pairs, native units.
    """

    name: ClassVar[str] = "carry-forward"

    def _fit(
        self,
        train: Cohort,
        validation: Cohort | None,
        seed: int,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        data = PairedVisits.of(train, validation, minimum=self.minimum_pairs)
        self.cells_ = data.cells
        self.changes_: FloatArray = centred(data.change) + np.nanmean(data.change, axis=0)

    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[FloatArray, FloatArray]:
        context = self.cells_.transform(cohort.features[wanted.context])
        return resampled(context, self.changes_, wanted.subject, n_draws, seed), context

    def _state(self) -> dict[str, Any]:
        return {"cells": self.cells_.state(), "changes": self.changes_}

    def _restore(self, state: dict[str, Any]) -> None:
        self.cells_ = CellImputer.from_state(state["cells"])
        self.changes_ = state["changes"]
