"""The result of imputing: draws of the visits that were never taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray
from nextscan.cohort.calibration import Calibration, Over
from nextscan.cohort.task import Targets
from nextscan.errors import SettingError

Method = Literal["draws", "conformal"]

UNLIKE = 0.01
"""A visit is unlike training if less than this share of training visits lie as far out."""


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
    labels : DataFrame, n_targets rows, or None
        Of the subject and of the context visit.
    calibration : Calibration, or None
        From `Imputer.calibrate`, for conformal intervals.
    likeness : ndarray of float, shape (n_targets,), or None
        Share of the training visits that change was learned from, each compared with the others, that lie
        at least as far out as the context visit; NaN where there were too few to tell.
    """

    method: str
    feature_names: tuple[str, ...]
    requested: Targets
    draws: NDArray[np.floating]
    context: FloatArray
    exact_mean: FloatArray | None = None
    seed: int = 0
    labels: pd.DataFrame | None = None
    calibration: Calibration | None = None
    likeness: FloatArray | None = None

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

    @property
    def unlike_training(self) -> BoolArray:
        """Tell whose context visit lies farther out than 99 % of the training visits, shape (n_targets,).

        Of subjects like those in training about 1 % are marked, where training had fewer than 99 pairs
        about one in as many as there were: marked is who lies farther out than all of them. What is
        imputed for a marked subject is an extrapolation.
        """
        if self.likeness is None:
            return np.zeros(len(self.requested), bool)
        return np.asarray(self.likeness < UNLIKE)

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

    def interval(
        self, level: float = 0.9, method: Method = "draws", *, by: str | None = None, over: Over = "visit"
    ) -> tuple[FloatArray, FloatArray]:
        """Return the ends of a predictive interval of each feature.

        From K draws the ends are the order positions p(K + 1) (Weibull), which keep their level for
        any K if the draws come from the true law: a level needs at least 2 / (1 - level) - 1 draws.
        Draws that resample n residuals reach no further than these: their coverage is at most about
        1 - 2 / (n + 1), however many draws there are.

        Conformal intervals keep their level on subjects like those in training whether or not the draws
        come from the true law: they are mean ± q sd, q from the errors of held-out subjects, see
        `nextscan.cohort.calibration`. The sd, and a mean that is not exact, are those of as many draws as
        the calibration had; later ones do not count.

        Parameters
        ----------
        level : float
        method : "draws" or "conformal"
        by : str, optional
            A label, as sex or age, or ``gap``, the years from the context visit: a conformal interval keeps
            its level in each group; of numbers the groups are thirds.
        over : "visit" or "subject"
            Whether a conformal interval keeps its level for one visit, or all imputed visits of a subject
            at once: a band around a trajectory.

        Returns
        -------
        low, high : ndarray of float, shape (n_targets, n_features)

        Raises
        ------
        SettingError
            If the level is not in (0, 1), there are too few draws or held-out subjects for it, or there is
            no calibration.
        """
        if method == "conformal":
            return self._conformal(level, by, over)
        if method != "draws" or by is not None or over != "visit":
            raise SettingError(
                f"method must be draws or conformal, and by and over are for conformal ones, got {method=}, {by=}, "
                f"{over=}"
            )
        tail = interval_tail(level, self.n_draws)
        low, high = np.quantile(self.draws, [tail, 1 - tail], axis=0, method="weibull")
        return low, high

    def _conformal(self, level: float, by: str | None, over: Over) -> tuple[FloatArray, FloatArray]:
        calibration = check_calibration(self.calibration, self.n_draws)
        used = replace(self, draws=self.draws[: calibration.n_draws])
        factor, of = calibration.factors(
            level, self.requested.subject, self.labels, self.requested.gap, by=by, over=over
        )
        return calibration.interval(used.mean(), used.sd(), factor, of)

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


def check_calibration(calibration: Calibration | None, n_draws: int) -> Calibration:
    """Return the calibration, if there is one and there are draws enough for it.

    Raises
    ------
    SettingError
    """
    if calibration is None:
        raise SettingError(
            "conformal intervals need errors of held-out pairs, and the model has none: call calibrate after fit "
            "(nextscan fit --conformal), or ask for intervals from draws"
        )
    if n_draws < calibration.n_draws:
        raise SettingError(
            f"the conformal intervals of this model were calibrated with {calibration.n_draws} draws, there are "
            f"{n_draws}; impute with at least {calibration.n_draws} draws"
        )
    return calibration
