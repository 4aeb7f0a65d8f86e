"""What first visits tell about a subject's hidden state: Gaussian conditioning in the few factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscan.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class StatePosterior:
    """The exact law of each subject's state given the visits seen.

    The state is a few factors u (of the stable level, then of the slopes) and one specific part s per
    feature. Given u the specific parts are independent:
    ``s_j = gain_j (total_j - count_j (u·loading_j) - years_j (u·slope_j)) + N(0, specific_variance_j)``.

    Attributes
    ----------
    mean : ndarray of float, shape (n, n_factors)
    covariance : ndarray of float, shape (n or 1, n_factors, n_factors)
        Of u; one for all where everybody was seen alike.
    specific_mean, specific_variance : ndarray of float, shape (n, n_features)
        ``gain total`` and the variance left of s given u.
    by_stable, by_slope : ndarray of float, shape (n, n_features)
        ``gain count`` and ``gain years``.
    """

    mean: FloatArray
    covariance: FloatArray
    specific_mean: FloatArray
    specific_variance: FloatArray
    by_stable: FloatArray
    by_slope: FloatArray


def condition(
    residual: FloatArray,
    years: FloatArray,
    starts: IntArray,
    *,
    loading: FloatArray,
    slope: FloatArray,
    specific_variance: FloatArray,
    noise_variance: FloatArray,
) -> StatePosterior:
    """Condition the state on any number of visits with any cells missing.

    A visit is ``residual = u·(loading, years slope) + s + noise``. Per feature the covariance of the
    visits given u is ``specific 11ᵀ + noise I``, whose inverse is known in closed form; the Woodbury
    identity then leaves one small system in u per subject.

    Parameters
    ----------
    residual : ndarray of float, shape (n_visits, n_features)
        Visits less their expected values; NaN where missing.
    years : ndarray of float, shape (n_visits,)
    starts : ndarray of int, shape (n,)
        Row of each subject's first visit; the subject's others follow it.
    loading : ndarray of float, shape (n_stable, n_features)
    slope : ndarray of float, shape (n_slopes, n_features)
    specific_variance, noise_variance : ndarray of float, shape (n_features,)
    """

    def total(values: FloatArray) -> FloatArray:
        return np.add.reduceat(values, starts, axis=0)

    seen = (~np.isnan(residual)).astype(np.float64)
    value, when = np.nan_to_num(residual, nan=0.0), years[:, None]
    count, time, square = total(seen), total(seen * when), total(seen * when**2)
    level, trend = total(value), total(value * when)

    whole = noise_variance + count * specific_variance
    gain = specific_variance / whole
    information = np.concatenate(
        [(level / whole) @ loading.T, ((trend - gain * time * level) / noise_variance) @ slope.T], axis=1
    )
    alike = all((counted == counted[:1]).all() for counted in (count, time, square))
    one = slice(0, 1) if alike else slice(None)
    n_stable, n_factors = len(loading), len(loading) + len(slope)
    precision = np.empty((len(count[one]), n_factors, n_factors))
    stable, sloped = slice(0, n_stable), slice(n_stable, None)
    precision[:, stable, stable] = _weighted_products(count[one] / whole[one], loading, loading)
    precision[:, stable, sloped] = _weighted_products(time[one] / whole[one], loading, slope)
    precision[:, sloped, stable] = precision[:, stable, sloped].swapaxes(1, 2)
    weight = (square[one] - gain[one] * time[one] ** 2) / noise_variance
    precision[:, sloped, sloped] = _weighted_products(weight, slope, slope)
    covariance = np.linalg.inv(precision + np.eye(n_factors)).astype(np.float64, copy=False)
    return StatePosterior(
        mean=(covariance @ information[:, :, None])[:, :, 0],
        covariance=covariance,
        specific_mean=gain * level,
        specific_variance=gain * noise_variance,
        by_stable=gain * count,
        by_slope=gain * time,
    )


def _weighted_products(weights: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """Return sum_j weights[n, j] left[:, j] right[:, j]ᵀ, shape (n, len(left), len(right))."""
    products = (left[:, None] * right[None, :]).reshape(-1, left.shape[1])
    return (weights @ products.T).reshape(len(weights), len(left), len(right))
