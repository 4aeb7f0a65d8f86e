"""Hearts that beat as was seen: a sample of the posterior by tempering (sequential Monte Carlo)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.simulating.hearts.beat import TRAITS, Beat
from nextscan.simulating.hearts.physiology import GROUPS, Physiology, heart_rate_log_density

MEASURED_SD = np.array([1.0, 0.7, 1.5])
"""Error with which `QUANTITIES` of a frame are known: mL, mm, mL."""
STILL = np.array([name in ("loss", "asymmetry", "log_wall") for name in TRAITS])
"""Traits that any frame shows: they stand still."""
N_PEOPLE = 1024
"""Hearts of a sample."""
_FIRST = 20_000  # people of the prior to begin with
_KEPT = 0.5  # of the effective sample, between two steps of tempering
_UNLIKELY = 1e-9  # weight of a group against the likeliest
_MOVES, _LAST_MOVES = 8, 30  # attempts to move each heart after a step, and after the last


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of a heart.

    Attributes
    ----------
    times : ndarray of float, shape (n_times,)
    measured : ndarray of float, shape (n_times, n_quantities)
    still : ndarray of float, shape (n_traits,)
        Its traits, of which those of `STILL` are known.
    covariates : ndarray of float, shape (n_covariates,)
    heart_rate : float
    group : int or None
        None where it is not known.
    """

    times: FloatArray
    measured: FloatArray
    still: FloatArray
    covariates: FloatArray
    heart_rate: float
    group: int | None

    def log_likelihood(self, traits: FloatArray) -> FloatArray:
        """Return how well hearts agree with what was measured, shape (n,)."""
        away = (Beat.of(traits, self.times).stacked() - self.measured) / MEASURED_SD
        fit: FloatArray = -0.5 * np.einsum("ntq,ntq->n", away, away)
        return fit

    def log_weights(self, physiology: Physiology) -> FloatArray:
        """Return the log weight of each group before the heart is looked at, shape (n_groups,)."""
        if self.group is not None:
            return np.where(np.arange(len(GROUPS)) == self.group, 0.0, -np.inf)
        with np.errstate(divide="ignore"):
            weights: FloatArray = np.log(physiology.shares) + heart_rate_log_density(self.heart_rate)
        return weights


def sample(physiology: Physiology, seen: Seen, seed: int) -> FloatArray:
    """Return traits of hearts drawn from the posterior, shape (N_PEOPLE, n_traits).

    It begins with people of the prior who have the traits that stand still, and lets what was measured count more and
    more (Del Moral, Doucet & Jasra 2006): as fast as half of the effective sample stays, each time followed by
    random-walk Metropolis moves with the covariance of the sample.
    """
    rng = np.random.default_rng(seed)
    log_weights, moving = seen.log_weights(physiology), ~STILL
    people, likely = _prior(physiology, seen, log_weights, rng)
    log_weights = np.where(likely, log_weights, -np.inf)
    prior, fit = physiology.log_density(people, seen.covariates, log_weights), seen.log_likelihood(people)
    inside = np.isfinite(prior)
    people, prior, fit = people[inside], prior[inside], fit[inside]
    level, scale = 0.0, 1.0
    n_moving = int(moving.sum())
    while level < 1:
        step = _step(fit, 1 - level, _KEPT if len(people) == N_PEOPLE else N_PEOPLE / len(people))
        level = 1.0 if step >= 1 - level else level + step
        chosen = _resampled(fit * step, rng)
        people, prior, fit = people[chosen], prior[chosen], fit[chosen]
        root = np.linalg.cholesky(np.cov(people[:, moving].T) + 1e-12 * np.eye(n_moving))
        for _ in range(_MOVES if level < 1 else _LAST_MOVES):
            tried = people.copy()
            jump = scale * 2.38 / np.sqrt(n_moving)
            tried[:, moving] += jump * rng.standard_normal((N_PEOPLE, n_moving)) @ root.T
            prior_there = physiology.log_density(tried, seen.covariates, log_weights)
            fit_there = seen.log_likelihood(tried)
            gain = prior_there - prior + level * (fit_there - fit)
            moved = np.log(rng.random(N_PEOPLE)) < gain
            people[moved], prior[moved], fit[moved] = tried[moved], prior_there[moved], fit_there[moved]
            scale *= np.exp(0.5 * (moved.mean() - 0.25))
    return people


def _prior(
    physiology: Physiology, seen: Seen, log_weights: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Return people as they are before the beat was looked at, and which groups they may be of.

    What is known are the traits that stand still.
    """
    known, expected = seen.still[STILL], physiology.expected(seen.covariates)
    parts, weights = [], log_weights.copy()
    for g in np.flatnonzero(np.isfinite(log_weights)):
        covariance = physiology.scaled[g] @ physiology.scaled[g].T
        of_known = covariance[np.ix_(STILL, STILL)]
        gain = np.linalg.solve(of_known, covariance[np.ix_(STILL, ~STILL)]).T
        away = known - expected[g, STILL]
        root = np.linalg.cholesky(covariance[np.ix_(~STILL, ~STILL)] - gain @ covariance[np.ix_(STILL, ~STILL)])
        weights[g] -= 0.5 * (away @ np.linalg.solve(of_known, away) + np.linalg.slogdet(of_known)[1])
        parts.append((expected[g, ~STILL] + gain @ away, root))
    share = np.exp(weights - weights.max())
    counts = rng.multinomial(_FIRST, share / share.sum())
    people = np.tile(seen.still, (_FIRST, 1))
    start = 0
    for (middle, root), count in zip(parts, counts[np.isfinite(log_weights)], strict=True):
        people[start : start + count, ~STILL] = middle + rng.standard_normal((count, len(middle))) @ root.T
        start += count
    return people, share > _UNLIKELY


def _step(fit: FloatArray, most: float, kept: float) -> float:
    """Return how much more the fit may count so that a share of the effective sample stays; `most` at most."""

    def left(step: float) -> float:
        weights = np.exp(step * (fit - fit.max()))
        return float(weights.sum() ** 2 / (weights @ weights) / len(fit))

    if left(most) >= kept:
        return most
    low, high = 0.0, most
    for _ in range(60):
        middle = (low + high) / 2 if low else high / 16
        low, high = (middle, high) if left(middle) >= kept else (low, middle)
        if low and high / low < 1.01:
            break
    return max(low, high / 2)


def _resampled(log_weights: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return positions of `N_PEOPLE` people, drawn by weight with equal steps (systematic resampling)."""
    weights = np.exp(log_weights - log_weights.max())
    ends = np.cumsum(weights)
    at = (rng.random() + np.arange(N_PEOPLE)) / N_PEOPLE * ends[-1]
    return np.asarray(np.minimum(np.searchsorted(ends, at), len(weights) - 1), dtype=np.intp)
