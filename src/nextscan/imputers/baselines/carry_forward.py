"""Carry forward: the follow-up is the last scan again."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred
from nextscan.imputers.baselines.resampling import ResamplingImputer


class CarryForward(ResamplingImputer):
    """Predict that nothing changes: the row every other method has to beat.

    The mean is the context visit, exactly. Draws add whole change vectors of training pairs, not
    centred: a draw is a realistic follow-up even though the mean ignores the mean change.

    Attributes
    ----------
    changes_ : ndarray of float, shape (n_pairs, n_features)
        Follow-up minus context of the training pairs, native units.
    """

    name: ClassVar[str] = "carry-forward"
    _LEARNED: ClassVar[tuple[str, ...]] = ("cells", "changes")

    def _learn(self, data: PairedVisits, cohort: Cohort) -> None:
        self.changes_: FloatArray = centred(data.change) + np.nanmean(data.change, axis=0)

    def _mean(self, context: FloatArray, cohort: Cohort, wanted: Targets) -> FloatArray:
        return context

    @property
    def residuals_(self) -> FloatArray:  # type: ignore[override]
        """What draws add to the mean: whole changes."""
        return self.changes_
