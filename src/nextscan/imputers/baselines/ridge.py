"""Ridge: the whole follow-up from the whole context visit, labels and the interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.errors import SettingError
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred, rows_of_subjects, without_subject
from nextscan.imputers.baselines.resampling import ResamplingImputer
from nextscan.preprocess import CellImputer, LabelEncoder

_PENALTIES = np.geomspace(1e-3, 1e4, 15)
_FILLINGS = 6
_GAP = "years to the follow-up"


@dataclass(eq=False, repr=False)
class Ridge(ResamplingImputer):
    """Regress the follow-up on all context features, labels and years, shrunk towards the context visit.

    With z-scored context x1 and follow-up x2 (both by mean and spread of the context visits) and
    predictors p = (x1, labels, years), each with mean 0,

        x2 = intercept + c x1 + B p,   B minimising  ‖x2 - c x1 - B p‖² + penalty ‖B‖².

    c is the fraction of the context that is carried over before anything is learned of a subject's other
    features: c = 1 is ridge of the change, c = 0 ridge of the follow-up. By default c and the penalty
    minimise the leave-one-out error over all features, which the hat matrix gives without refitting;
    all pairs of a subject are left out at once. Draws add resampled vectors of leave-one-out residuals,
    which are honest though ridge overfits.

    Deviation: ridge of the follow-up, the textbook row, shrinks towards the cohort's mean and loses to
    carry forward where the context visit is reliable; ridge of the change does not shrink at all where it
    is not. The learned c is between them (tests: `test_ridge_learns_how_much_to_carry`).

    Parameters
    ----------
    carried : float in [0, 1], optional
        Fixes c.

    Attributes
    ----------
    coefficients_ : ndarray of float, shape (n_predictors, n_features)
        B, z-scored.
    carried_ : float
        c.
    residuals_ : ndarray of float, shape (n_pairs, n_features)
        Native units.

    Notes
    -----
    Missing follow-up cells are filled with their prediction without the pair, a few times over, which
    converges to the solution that leaves them out. Cost: one singular value decomposition of the
    predictors and, per penalty, two products of n_pairs x rank x n_features.
    """

    name: ClassVar[str] = "ridge"
    minimum_pairs: ClassVar[int] = 5
    uses_time: ClassVar[bool] = True
    _LEARNED: ClassVar[tuple[str, ...]] = (
        *("cells", "labels", "mean_", "scale_", "label_mean_", "label_scale_"),
        *("intercept_", "carried_", "coefficients_", "residuals_"),
    )
    _PARTS: ClassVar[dict[str, Any]] = {"cells": CellImputer, "labels": LabelEncoder}

    carried: float | None = None

    def _learn(self, data: PairedVisits, cohort: Cohort) -> None:
        if self.carried is not None and not 0 <= self.carried <= 1:
            raise SettingError(f"carried is a fraction of the context visit in [0, 1], got {self.carried}")
        self.labels_ = LabelEncoder.fit(_with_gap(data.labels, data.gap))
        self.mean_: FloatArray = data.context.mean(axis=0)
        self.scale_: FloatArray = data.scale
        context = (data.context - self.mean_) / self.scale_
        encoded = self.labels_.transform(_with_gap(data.labels, data.gap))
        self.label_mean_: FloatArray = encoded.mean(axis=0)
        label_spread = encoded.std(axis=0)
        self.label_scale_: FloatArray = np.where(label_spread > 1e-12, label_spread, 1.0)
        predictors = np.concatenate([context, (encoded - self.label_mean_) / self.label_scale_], axis=1)
        target = (data.target - self.mean_) / self.scale_
        fitted = fit_ridge(predictors, context, target, self.carried, rows_of_subjects(data.subject))
        self.intercept_: FloatArray = fitted.intercept
        self.carried_: float = fitted.carried
        self.coefficients_: FloatArray = fitted.coefficients
        self.residuals_ = centred(fitted.residuals * self.scale_)
        self.record_ |= {"carried": fitted.carried, "penalty": fitted.penalty}

    def _mean(self, context: FloatArray, cohort: Cohort, wanted: Targets) -> FloatArray:
        context = (context - self.mean_) / self.scale_
        encoded = self.labels_.transform(_with_gap(cohort.labels_at(wanted.context), wanted.gap))
        predictors = np.concatenate([context, (encoded - self.label_mean_) / self.label_scale_], axis=1)
        scaled = self.intercept_ + self.carried_ * context + predictors @ self.coefficients_
        return scaled * self.scale_ + self.mean_

    def _label_encoder(self) -> LabelEncoder:
        """Return the encoder without the interval, which is no label of the table."""
        return replace(self.labels_, labels=tuple(label for label in self.labels_.labels if label.name != _GAP))


def _with_gap(labels: pd.DataFrame, gap: FloatArray) -> pd.DataFrame:
    return labels.assign(**{_GAP: gap})


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """What was learned: ``intercept + carried * context + predictors @ coefficients``, and what it left.

    Attributes
    ----------
    intercept : ndarray, shape (n_features,)
    carried : float
    coefficients : ndarray, shape (n_predictors, n_features)
    residuals : ndarray, shape (n_pairs, n_features)
        Of each pair without its subject; NaN where the target is missing.
    penalty : float
    """

    intercept: FloatArray
    carried: float
    coefficients: FloatArray
    residuals: FloatArray
    penalty: float


def fit_ridge(
    predictors: FloatArray,
    context: FloatArray,
    target: FloatArray,
    carried: float | None,
    subjects: Sequence[NDArray[np.int64]],
) -> RidgeFit:
    """Choose penalty and carried fraction by leave-one-out error; missing targets are left out.

    Parameters
    ----------
    predictors : ndarray, shape (n_pairs, n_predictors)
        Each with mean 0.
    context, target : ndarray, shape (n_pairs, n_features)
    carried : float or None
        None to learn it.
    subjects : sequence of ndarray
        From `rows_of_subjects`.
    """
    left, singular, right = np.linalg.svd(predictors, full_matrices=False)
    missing = np.isnan(target)
    filled = np.where(missing, context + np.nanmean(target - context, axis=0), target)
    penalties = tuple(_PENALTIES * (np.mean(singular**2) or 1.0))
    for _ in range(_FILLINGS if missing.any() else 1):
        _, penalty, c, residuals = min(
            (_left_out(left, singular, penalty, context, filled, ~missing, carried, subjects) for penalty in penalties),
            key=lambda found: found[0],
        )
        penalties = (penalty,)
        kept = singular**2 / (singular**2 + penalty)
        within = _within(left, kept, filled - filled.mean(axis=0) - c * context)
        filled = np.where(missing, filled - within / (1 - 1 / len(left) - left**2 @ kept)[:, None], filled)
    intercept = filled.mean(axis=0)
    shrunk = singular / (singular**2 + penalty)
    coefficients = right.T @ (shrunk[:, None] * (left.T @ (filled - intercept - c * context)))
    return RidgeFit(intercept, c, coefficients, np.where(missing, np.nan, residuals), penalty)


def _left_out(
    left: FloatArray,
    singular: FloatArray,
    penalty: float,
    context: FloatArray,
    target: FloatArray,
    seen: NDArray[np.bool_],
    carried: float | None,
    subjects: Sequence[NDArray[np.int64]],
) -> tuple[float, float, float, FloatArray]:
    """Return error, penalty, carried fraction and leave-one-out residuals at one penalty.

    Leaving out subject S changes the residuals of its pairs from r to (I - H_SS)⁻¹ r. They are linear
    in c, so that the best c is a quotient.
    """
    kept = singular**2 / (singular**2 + penalty)
    of_target, of_context = (
        without_subject(_within(left, kept, outcome), left * kept, left, subjects)
        for outcome in (target - target.mean(axis=0), context)
    )
    if carried is None:
        square = np.sum(of_context**2, where=seen)
        product = np.sum(of_target * of_context, where=seen)
        carried = float(np.clip(product / square, 0.0, 1.0)) if square > 0 else 1.0
    residuals = of_target - carried * of_context
    return float(np.mean(residuals**2, where=seen)), float(penalty), carried, residuals


def _within(left: FloatArray, kept: FloatArray, outcome: FloatArray) -> FloatArray:
    """Return the residuals of a centred outcome within the pairs that it was fitted to."""
    return outcome - left @ (kept[:, None] * (left.T @ outcome))
