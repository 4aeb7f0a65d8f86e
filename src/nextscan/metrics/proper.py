"""Scores that a method can only lower by telling the truth about what it does not know.

All functions take the truth, shape (n_subjects, n_features), NaN where it was not measured, and
draws, shape (n_draws, n_subjects, n_features), in the same units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray

Draws = NDArray[np.floating]


def crps(truth: FloatArray, draws: Draws) -> FloatArray:
    """Return the continuous ranked probability score, the fair (unbiased) estimate.

    ``mean |x_k - y| - sum_{j<k} |x_j - x_k| / (K (K - 1))`` (Ferro 2014): its expectation is the score
    of the law behind the draws, however few draws there are. The probability-weighted-moment form
    of scoringrules is the same number from sorted draws, without K x K differences.

    Returns
    -------
    ndarray, shape (n_subjects, n_features)
        NaN where the truth is NaN.

    Raises
    ------
    ValueError
        With fewer than two draws.

    >>> crps(np.array([[1.0]]), np.array([[[0.0]], [[2.0]], [[2.0]]]))
    array([[0.33333333]])
    """
    import scoringrules

    _at_least_two(draws)
    scores: FloatArray = scoringrules.crps_ensemble(
        truth, np.asarray(draws, np.float64), m_axis=0, estimator="pwm", backend="numpy"
    )
    return scores


def energy_score(truth: FloatArray, draws: Draws) -> FloatArray:
    """Return the energy score over the measured features, the fair (unbiased) estimate.

    ``mean ||x_k - y|| - sum_{j<k} ||x_j - x_k|| / (K (K - 1))``: the CRPS of whole vectors (Gneiting &
    Raftery 2007, eq. 22), which also judges how features vary together.

    Returns
    -------
    ndarray, shape (n_subjects,)
        NaN for subjects without any measured feature.

    Raises
    ------
    ValueError
        With fewer than two draws.

    >>> energy_score(np.array([[0.0, 0.0]]), np.array([[[3.0, 4.0]], [[0.0, 0.0]]]))
    array([0.])
    """
    n_draws = _at_least_two(draws)
    off = np.where(np.isnan(truth), 0.0, draws - truth)
    # Differences rather than inner products: no cancellation, and small matrix products crawl on busy cores.
    apart = sum(_length(off[shift:] - off[:-shift]).sum(axis=0) for shift in range(1, n_draws))
    score = _length(off).mean(axis=0) - apart / (n_draws * (n_draws - 1))
    return np.where(np.isnan(truth).all(axis=1), np.nan, score)


def central_level(truth: FloatArray, draws: Draws) -> FloatArray:
    """Return the level of the smallest central interval that holds the truth.

    Interval ends are quantiles at the order positions p(K + 1) (Weibull; `numpy.quantile` with
    ``method="weibull"``), which keep their level for any number of draws K if the draws come from the
    true law; draws that resample n residuals cover at most about 1 - 2 / (n + 1), whatever K. Infinite
    where the truth lies beyond all draws: no interval that K draws can give holds it.

    Returns
    -------
    ndarray, shape (n_subjects, n_features)
        NaN where the truth is NaN.
    """
    n_draws = len(draws)
    ordered = np.sort(np.asarray(draws, np.float64), axis=0)
    # Quantiles equal to a truth that ties with draws span a range of p: take its two ends.
    at_most = _position(ordered, truth, (ordered <= truth).sum(axis=0))
    at_least = _position(ordered, truth, (ordered < truth).sum(axis=0))
    level = np.maximum(1 - 2 * at_most / (n_draws + 1), 2 * at_least / (n_draws + 1) - 1)
    beyond = (truth < ordered[0]) | (truth > ordered[-1])
    return np.where(np.isnan(truth), np.nan, np.where(beyond, np.inf, level))


def coverage(truth: FloatArray, draws: Draws, level: float) -> FloatArray:
    """Tell where the central interval of the draws holds the truth.

    Parameters
    ----------
    level : float
        In (0, 1); K draws can give levels up to 1 - 2 / (K + 1), so 0.95 needs 39.

    Returns
    -------
    ndarray, shape (n_subjects, n_features)
        1 where it does, 0 where not, NaN where the truth is NaN.

    Raises
    ------
    ValueError
        If there are too few draws for the level.

    >>> coverage(np.array([[2.5, 9.0]]), np.arange(1.0, 5.0)[:, None, None] * np.ones(2), 0.6)
    array([[1., 0.]])
    """
    if level > highest_level(len(draws)):
        raise ValueError(f"a {level:.0%} interval needs more than {len(draws)} draws")
    return covered(central_level(truth, draws), level)


def covered(central: FloatArray, level: float) -> FloatArray:
    """Return 1 where `central_level` is within a level, 0 where not, NaN where it is NaN."""
    return np.where(np.isnan(central), np.nan, central <= level + _ROUNDING)


def highest_level(n_draws: int) -> float:
    """Return the highest level of a central interval that this many draws can give."""
    return 1 - 2 / (n_draws + 1) + _ROUNDING


_ROUNDING = 1e-9


def _position(ordered: FloatArray, truth: FloatArray, rank: NDArray[np.intp]) -> FloatArray:
    """Return the order position of the truth, linear between the draws next to it."""
    below = np.take_along_axis(ordered, np.clip(rank - 1, 0, len(ordered) - 1)[None], axis=0)[0]
    above = np.take_along_axis(ordered, np.clip(rank, 0, len(ordered) - 1)[None], axis=0)[0]
    width = above - below
    part: FloatArray = np.divide(truth - below, width, out=np.zeros_like(width), where=width > 0)
    return np.clip(rank + part, 1, len(ordered))


def _length(vectors: FloatArray) -> FloatArray:
    length: FloatArray = np.sqrt(np.einsum("knd,knd->kn", vectors, vectors))
    return length


def _at_least_two(draws: Draws) -> int:
    if len(draws) < 2:
        raise ValueError(f"a fair score needs at least two draws, got {len(draws)}")
    return len(draws)
