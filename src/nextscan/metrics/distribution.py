"""How the whole set of imputed visits compares with a set of real ones, whoever they belong to.

Both sets have shape (n, n_features), with their own n; a missing value is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray

Values = NDArray[np.floating]


def frechet_distance(real: Values, drawn: Values) -> float:
    """Return the squared Fréchet distance of two Gaussians with the moments of two sets.

    ``||m1 - m2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` (Dowson & Landau 1982). With ``S = A'A`` the last
    trace is the sum of singular values of ``A1 A2'``: no matrix root, and exact also for fewer
    subjects than features. A missing value counts as the feature's mean. The distance of two finite
    samples of one law is above zero and falls with n: compare rows of one table only.
    """
    (mean_1, root_1), (mean_2, root_2) = _moments(real), _moments(drawn)
    shared = np.linalg.svd(root_1 @ root_2.T, compute_uv=False).sum()
    spread = (root_1**2).sum() + (root_2**2).sum() - 2 * shared
    return float(((mean_1 - mean_2) ** 2).sum() + spread)


def mean_correlation(real: Values, drawn: Values) -> float:
    """Return the correlation over features of the two sets' feature means ("Pearson of means")."""
    first, second = known_mean(real, axis=0), known_mean(drawn, axis=0)
    both = ~np.isnan(first + second)
    first, second = first[both], second[both]
    if not both.any() or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def covariate_correlation_gap(real: Values, drawn: Values) -> float:
    """Return the mean absolute difference of feature-feature correlations over pairs of features.

    Correlations are over subjects with both features; pairs with a constant feature are left out.
    """
    gap = np.abs(correlation_matrix(real) - correlation_matrix(drawn))
    pairs = gap[np.triu_indices_from(gap, k=1)]
    return float(np.nanmean(pairs)) if not np.isnan(pairs).all() else float("nan")


def correlation_matrix(values: Values) -> FloatArray:
    """Return feature-feature correlations over pairwise complete subjects; NaN for constant features.

    >>> correlation_matrix(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [np.nan, 0.0]])).round(6)
    array([[1., 1.],
           [1., 1.]])
    """
    measured = ~np.isnan(values)
    x = np.where(measured, values - known_mean(values, axis=0), 0.0)
    size = np.abs(x).max(axis=0, initial=0.0)
    x /= np.where(size > 0, size, 1.0)
    if measured.all():
        count, total = np.full((1, 1), float(len(x))), np.zeros((1, 1))
        square = (x**2).mean(axis=0)[:, None]
    else:
        # Entry (i, j) of a sum or a square is over the subjects who have i and j.
        here = measured.astype(np.float64)
        count = here.T @ here
        with np.errstate(invalid="ignore", divide="ignore"):
            total, square = x.T @ here / count, (x**2).T @ here / count
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.maximum(square - total**2, 0.0)
        variance = np.where(variance > _ROUNDING, variance, np.nan)
        correlation: FloatArray = (x.T @ x / count - total * total.T) / np.sqrt(variance * variance.T)
    return correlation


# Variance of values scaled to [-1, 1] below which a feature is constant.
_ROUNDING = 1e-12


def _moments(values: Values) -> tuple[FloatArray, FloatArray]:
    """Return the mean and a root A of the covariance A'A, with as few rows as it can have."""
    if len(values) < 2:
        raise ValueError(f"a covariance needs at least two subjects, got {len(values)}")
    mean = known_mean(values, axis=0)
    centred = np.where(np.isnan(values), 0.0, values - mean) / np.sqrt(len(values) - 1)
    if len(values) > values.shape[1]:
        variances, axes = np.linalg.eigh(centred.T @ centred)
        centred = np.sqrt(np.maximum(variances, 0.0))[:, None] * axes.T
    return np.nan_to_num(mean), centred


def known_mean(values: Values, axis: int) -> FloatArray:
    """Average what is known along an axis; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, np.float64(0.0)).sum(axis=axis)
    count = known.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
