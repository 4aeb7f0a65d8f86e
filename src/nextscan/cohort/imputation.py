"""The result of imputing: draws of the visits that were never taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.cohort.cohort import FloatArray
from nextscan.cohort.task import Targets
from nextscan.errors import SettingError


@dataclass(frozen=True, eq=False, repr=False)
class Imputation:
    """Draws from the predictive law of each target visit, in native units.

    Attributes
    ----------
    method : str
        Registry name of the imputer.
    feature_names : tuple of str
    requested : Targets
        The imputed visits.
    draws : ndarray of float32 or float64, shape (n_draws, n_targets, n_features)
    context : ndarray of float, shape (n_targets, n_features)
        The visit each prediction starts from, as observed; NaN where missing.
    exact_mean : ndarray of float, shape (n_targets, n_features), or None
        The predictive mean, where the method has it in closed form.
    seed : int
        Seed of the draws.
    """

    method: str
    feature_names: tuple[str, ...]
    requested: Targets
    draws: NDArray[np.floating]
    context: FloatArray
    exact_mean: FloatArray | None = None
    seed: int = 0

    def __repr__(self) -> str:
        n_draws, n_targets, n_features = self.draws.shape
        return f"<Imputation by {self.method}: {n_targets:,} visits, {n_features:,} features, {n_draws:,} draws each>"

    @property
    def targets(self) -> pd.DataFrame:
        """Subject, visit and years of each target, one row each."""
        return self.requested.to_frame()

    @property
    def n_draws(self) -> int:
        """Number of draws per target."""
        return len(self.draws)

    def mean(self) -> FloatArray:
        """Return the predictive mean: exact where the method has one, else the mean of draws.

        Returns
        -------
        ndarray of float, shape (n_targets, n_features)
        """
        if self.exact_mean is not None:
            return self.exact_mean
        mean: FloatArray = self.draws.mean(axis=0, dtype=np.float64)
        return mean

    def sd(self) -> FloatArray:
        """Return the standard deviation over draws, shape (n_targets, n_features)."""
        if self.n_draws < 2:
            raise SettingError("a standard deviation needs at least 2 draws")
        sd: FloatArray = self.draws.std(axis=0, ddof=1, dtype=np.float64)
        return sd

    def interval(self, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Return the ends of the central predictive interval of each feature.

        From K draws the ends are the order positions p(K + 1) (Weibull), which keep their level for
        any K if the draws come from the true law: a level needs at least 2 / (1 - level) - 1 draws.
        Draws that resample n residuals reach no further than these: their coverage is at most about
        1 - 2 / (n + 1), however many draws there are.

        Returns
        -------
        low, high : ndarray of float, shape (n_targets, n_features)

        Raises
        ------
        SettingError
            If the level is not in (0, 1) or there are too few draws for it.
        """
        tail = interval_tail(level, self.n_draws)
        low, high = np.quantile(self.draws, [tail, 1 - tail], axis=0, method="weibull")
        return low, high

    def annual_change(self) -> FloatArray:
        """Return the mean change per year in percent of the context visit.

        Missing where the gap is unknown or zero, or the context value is missing or zero.

        Returns
        -------
        ndarray of float, shape (n_targets, n_features)
        """
        gap = np.where(self.requested.gap == 0, np.nan, self.requested.gap)[:, None]
        base = np.where(self.context == 0, np.nan, self.context)
        return 100 * (self.mean() - base) / np.abs(base) / gap

    def to_frame(self) -> pd.DataFrame:
        """Return all draws in long form: subject, visit, years, draw (from 1), features."""
        n_draws, n_targets, n_features = self.draws.shape
        head = pd.concat([self.targets] * n_draws, ignore_index=True)
        head["draw"] = np.repeat(np.arange(1, n_draws + 1), n_targets)
        values = pd.DataFrame(self.draws.reshape(-1, n_features), columns=list(self.feature_names))
        return pd.concat([head, values], axis=1)


def interval_tail(level: float, n_draws: int) -> float:
    """Return the probability below a central interval, if there are enough draws for its level.

    Raises
    ------
    SettingError
        If the level is not in (0, 1) or there are too few draws for it.
    """
    if not 0 < level < 1:
        raise SettingError(f"an interval level lies between 0 and 1, got {level:g}")
    tail = (1 - level) / 2
    needed = int(np.ceil(1 / tail - 1 - 1e-9))
    if n_draws < needed:
        raise SettingError(
            f"a {level:.0%} interval needs at least {needed} draws, there are {n_draws}; "
            "impute with more draws or ask for a lower level"
        )
    return tail
