"""95 % intervals: over subjects by the bootstrap, over seeds and leave-out groups by the standard error."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from nextscan.arrays import FloatArray

LEVEL = 0.95


def resampled_means(values: FloatArray, *, resamples: int = 1000, seed: int = 0) -> FloatArray:
    """Return means over bootstrap samples of subjects.

    All columns see the same samples, so differences and ratios of columns are paired.

    Parameters
    ----------
    values : ndarray, shape (n_subjects, n_columns)
        NaN where a subject has no value; it is left out of that column's mean.

    Returns
    -------
    ndarray, shape (resamples, n_columns)
    """
    counts = _counts(len(values), resamples, seed)
    known = ~np.isnan(values)
    weight = counts @ known
    total = counts @ np.where(known, values, 0.0)
    means: FloatArray = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    return means


@lru_cache(maxsize=1)  # many quantities of the same subjects are resampled one after the other
def _counts(n: int, resamples: int, seed: int) -> FloatArray:
    """Return how often each of n subjects is in each sample, shape (resamples, n)."""
    counts: FloatArray = (
        np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    )
    counts.flags.writeable = False
    return counts


def percentile_interval(replicates: FloatArray, *, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Return the central interval of bootstrap replicates, per column; NaN columns stay NaN."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def bootstrap_interval(values: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of one value per subject.

    >>> low, high = bootstrap_interval(np.arange(100.0))
    >>> bool(43 < low < 44.5 and 54.5 < high < 56)
    True
    """
    column = np.asarray(values, np.float64)[:, None]
    low, high = percentile_interval(resampled_means(column, resamples=resamples, seed=seed))
    return float(low[0]), float(high[0])


def standard_error_interval(values: ArrayLike) -> tuple[float, float]:
    """Return the 95 % interval of the mean of independent runs, by Student's t; NaN for a single run.

    >>> low, high = standard_error_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    runs = np.asarray(values, np.float64)
    if len(runs) < 2:
        return float("nan"), float("nan")
    return _student(float(runs.mean()), float(runs.std(ddof=1)) / np.sqrt(len(runs)), len(runs) - 1)


def jackknife_interval(value: float, left_out: ArrayLike) -> tuple[float, float]:
    """Return the 95 % interval of a statistic from its values with one group of subjects left out each.

    The delete-a-group jackknife serves statistics that resampling with replacement would bias, such as
    the Fréchet distance, which sees a repeated subject as lost rank.

    Parameters
    ----------
    value : float
        With all subjects.
    left_out : array of shape (n_groups,)
        With each of n_groups groups of equal size left out.
    """
    parts = np.asarray(left_out, np.float64)
    n = len(parts)
    error = np.sqrt((n - 1) / n * ((parts - parts.mean()) ** 2).sum())
    return _student(value, float(error), n - 1)


def _student(centre: float, error: float, freedom: int) -> tuple[float, float]:
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return float(centre - half), float(centre + half)
