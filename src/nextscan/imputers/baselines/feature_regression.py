"""Per-feature regression: each follow-up feature from its own value at the context visit."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred
from nextscan.imputers.baselines.resampling import ResamplingImputer


class FeatureRegression(ResamplingImputer):
    """Regress each follow-up feature on the same feature at the context visit, by least squares.

    Draws add resampled vectors of leave-one-out residuals ``r / (1 - h)``, h being the leverage of the
    pair, so that their spread for a subject holds the uncertainty of intercept and slope as well. For
    means over a group it does not: there these errors are common to all, in the draws independent.

    Attributes
    ----------
    intercept_, slope_ : ndarray of float, shape (n_features,)
        Native units; the slope of a feature that is constant at the context visits is 0.
    residuals_ : ndarray of float, shape (n_pairs, n_features)
    """

    name: ClassVar[str] = "feature-regression"
    minimum_pairs: ClassVar[int] = 5
    _LEARNED: ClassVar[tuple[str, ...]] = ("cells", "intercept", "slope", "residuals")

    def _learn(self, data: PairedVisits, cohort: Cohort) -> None:
        seen = ~np.isnan(data.target)
        n = seen.sum(axis=0)
        mean_context = np.where(seen, data.context, 0.0).sum(axis=0) / n
        mean_target = np.nanmean(data.target, axis=0)
        x = np.where(seen, data.context - mean_context, 0.0)
        y = np.where(seen, data.target - mean_target, 0.0)
        squares = (x**2).sum(axis=0)
        varies = np.ptp(np.where(seen, data.context, mean_context), axis=0) > 0
        divisor = np.where(varies, squares, 1.0)
        self.slope_: FloatArray = np.where(varies, (x * y).sum(axis=0) / divisor, 0.0)
        self.intercept_: FloatArray = mean_target - self.slope_ * mean_context
        leverage = 1 / n + np.where(varies, x**2 / divisor, 0.0)
        # A pair that alone determines the slope has leverage 1 and residual 0: nothing is learned of it.
        outside = np.where(leverage < 1 - 1e-9, 1 - leverage, 1.0)
        self.residuals_ = centred(np.where(seen, (y - self.slope_ * x) / outside, np.nan))

    def _mean(self, context: FloatArray, cohort: Cohort, wanted: Targets) -> FloatArray:
        return self.intercept_ + self.slope_ * context
