"""Scores that are one number for a group of subjects, with what each subject contributes to it.

A correlation or a spread belongs to a group, not to a subject. For intervals over subjects and paired
differences between methods each function also returns *pseudo-values*: the score plus the subject's
first-order influence on it (Hampel 1974; Efron & Tibshirani 1993, ch. 21). Their mean is the score, and
resampling them resamples subjects without computing every correlation a thousand times.

Truth has shape (n_subjects, n_features), NaN where it was not measured; draws have shape
(n_draws, n_subjects, n_features). A predictive mean is a single draw: ``mean[None]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray

Draws = NDArray[np.floating]

# A spread below this part of the values is rounding, not variation.
_ROUNDING = 1e-9


class GroupScore(NamedTuple):
    """A score of a group of subjects.

    Attributes
    ----------
    per_feature : ndarray, shape (n_features,)
        NaN where the score does not exist: a feature that does not vary.
    per_subject : ndarray, shape (n_subjects,)
        Pseudo-values: their mean is `value`.
    """

    per_feature: FloatArray
    per_subject: FloatArray

    @property
    def value(self) -> float:
        """The score."""
        return float(self.per_subject.mean())


def rmse(truth: FloatArray, mean: FloatArray) -> GroupScore:
    """Return the root of the mean squared error over subjects and features.

    A subject's error is averaged over the measured features first.

    >>> round(rmse(np.array([[0.0, 0.0], [0.0, np.nan]]), np.array([[1.0, 3.0], [2.0, 7.0]])).value ** 2, 9)
    4.5
    """
    measured = ~np.isnan(truth)
    squared = np.where(measured, mean - truth, 0.0) ** 2
    of_subject = _ratio(squared.sum(axis=1), measured.sum(axis=1))
    root = np.sqrt(np.nanmean(of_subject))
    influence = _ratio(of_subject - root**2, np.full(len(truth), 2 * root))
    per_subject = root + np.where(np.isnan(influence), 0.0, influence)
    return GroupScore(np.sqrt(_ratio(squared.sum(axis=0), measured.sum(axis=0))), per_subject)


def pearson_per_feature(truth: FloatArray, draws: Draws) -> GroupScore:
    """Return the correlation of draw and truth over subjects, averaged over draws and features.

    A calibrated draw correlates with the truth only up to R squared, a predictive mean up to R.
    """
    return _correlation(truth, draws, scale=_magnitude(truth))


def change_correlation(truth: FloatArray, mean: FloatArray, context: FloatArray) -> GroupScore:
    """Return the correlation over subjects of predicted change with real change, averaged over features.

    NaN for a method that predicts the same change for everybody, such as carry forward, or for most: mean change,
    whose predictions below zero are cut off, knows nothing of anybody's change. Shrinking
    noisy first visits towards the mean alone yields a positive value: compare with that.

    Parameters
    ----------
    context : ndarray, shape (n_subjects, n_features)
        The visit the change is counted from; NaN where not measured.
    """
    change, scale = mean - context, _magnitude(context)
    return _correlation(truth - context, np.where(_same(change, scale), 0.0, change)[None], scale=scale)


def _same(change: FloatArray, scale: FloatArray) -> NDArray[np.bool_]:
    """Tell for which features the same change is predicted for most subjects, shape (n_features,).

    The others differ only because their predictions were cut off, at zero for example: that is no knowledge of change.
    """
    known = ~np.isnan(change)
    middle = [np.median(part[here]) if here.any() else np.nan for part, here in zip(change.T, known.T, strict=True)]
    with np.errstate(invalid="ignore"):
        near = np.abs(change - np.array(middle)) <= _ROUNDING * scale
    same: NDArray[np.bool_] = (near & known).sum(axis=0) > known.sum(axis=0) / 2
    return same


def sd_ratio(truth: FloatArray, draws: Draws) -> GroupScore:
    """Return the spread over subjects of one draw over that of the truth, averaged over draws and features.

    One is right; below one the draws collapse towards a mean, above one they scatter too much.
    """
    real, real_size, measured = _standardised(truth, ~np.isnan(truth), _magnitude(truth))
    totals = _Totals(measured)
    for draw in draws:
        drawn, size, _ = _standardised(draw, measured, 0.0 * real_size)
        ratio = _ratio(size, real_size)
        varying = np.where(size > 0, drawn, 0.0)
        totals.add(ratio, ratio * (varying**2 - real**2) / 2)
    return totals.score(len(draws))


def _correlation(truth: FloatArray, draws: Draws, scale: FloatArray) -> GroupScore:
    measured = ~np.isnan(truth)
    real, _, measured = _standardised(truth, measured, scale)
    totals = _Totals(measured)
    for draw in draws:
        drawn, size, _ = _standardised(draw, measured, scale)
        product = real * drawn
        correlation = np.where(size > 0, _ratio(product.sum(axis=0), measured.sum(axis=0)), np.nan)
        totals.add(correlation, product - correlation * (real**2 + drawn**2) / 2)
    return totals.score(len(draws))


def _standardised(
    values: Draws, measured: NDArray[np.bool_], scale: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Centre and scale each feature over its measured subjects; features that do not vary are unmeasured.

    Returns
    -------
    standardised : (n_subjects, n_features), zero where unmeasured
    size : (n_features,), the standard deviation, zero where it is rounding
    measured : (n_subjects, n_features)
    """
    count = np.maximum(measured.sum(axis=0), 1)
    filled = np.where(measured, values, np.float64(0.0))
    centred = np.where(measured, filled - filled.sum(axis=0) / count, 0.0)
    size = np.sqrt((centred**2).sum(axis=0) / count)
    varies = size > _ROUNDING * scale
    size = np.where(varies, size, 0.0)
    return centred / np.where(varies, size, np.inf), size, measured & varies


class _Totals:
    """Sums over draws of a score per feature and of its influence per subject."""

    def __init__(self, measured: NDArray[np.bool_]) -> None:
        self.measured = measured
        self.per_feature = np.zeros(measured.shape[1])
        self.influence = np.zeros(len(measured))

    def add(self, per_feature: FloatArray, influence: FloatArray) -> None:
        """Add one draw: scores (n_features,), influences (n_subjects, n_features)."""
        exists = ~np.isnan(per_feature)
        # A subject measured in few others' company weighs more: n_subjects / n_measured.
        weight = _ratio(np.full(len(exists), len(self.measured)), self.measured.sum(axis=0))
        mine = np.where(self.measured & exists, influence * weight, 0.0)
        self.per_feature += per_feature
        self.influence += mine.sum(axis=1) / max(exists.sum(), 1)

    def score(self, n_draws: int) -> GroupScore:
        """Return the average over draws."""
        per_feature = self.per_feature / n_draws
        value = np.nanmean(per_feature) if not np.isnan(per_feature).all() else np.nan
        return GroupScore(per_feature, value + self.influence / n_draws)


def _magnitude(values: FloatArray) -> FloatArray:
    size: FloatArray = np.abs(np.where(np.isnan(values), 0.0, values)).max(axis=0, initial=0.0)
    return size


def _ratio(numerator: NDArray[np.floating], denominator: NDArray[np.generic]) -> FloatArray:
    """Divide; NaN where the denominator is zero."""
    out = np.full(numerator.shape, np.nan)
    result: FloatArray = np.divide(numerator, denominator, out=out, where=denominator != 0)
    return result
