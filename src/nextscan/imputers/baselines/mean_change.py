"""Mean change: the follow-up is the last scan plus what the training pairs changed on average."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred
from nextscan.imputers.baselines.resampling import ResamplingImputer


class MeanChange(ResamplingImputer):
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
    _LEARNED: ClassVar[tuple[str, ...]] = ("cells", "change", "residuals")

    def _learn(self, data: PairedVisits, cohort: Cohort) -> None:
        n = np.count_nonzero(~np.isnan(data.target), axis=0)
        self.change_: FloatArray = np.nanmean(data.change, axis=0)
        self.residuals_ = centred((data.change - self.change_) * n / (n - 1))

    def _mean(self, context: FloatArray, cohort: Cohort, wanted: Targets) -> FloatArray:
        return context + self.change_
