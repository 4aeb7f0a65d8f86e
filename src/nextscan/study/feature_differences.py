"""What is predicted of each single feature, how much could be, and whether one method does better than another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort import Task
from nextscan.metrics import benjamini_hochberg, percentile_interval, resampled_means
from nextscan.study.jobs import Load
from nextscan.study.plan import CLOSED_FORM, ORACLE, Plan

COLUMNS = ("metric", "feature", "method", "against", "value", "low", "high", "p", "q", "n")
RELIABILITY = "reliability"
COPY_SOURCE, COPY_NEAREST = "copy-source", "copy-nearest"
MIXED_FACTOR = "mixed-factor"

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What one method says of the test subjects.

    Attributes
    ----------
    mean : ndarray, shape (n_subjects, n_features)
        Native units.
    crps : ndarray, shape (n_subjects, n_features), or None
        Where it was kept.
    """

    mean: NDArray[np.floating]
    crps: NDArray[np.floating] | None = None


def feature_differences(
    truth: FloatArray,
    context: FloatArray,
    predicted: Mapping[str, Predicted],
    pairs: Iterable[tuple[str, str]],
    *,
    feature_names: Sequence[str],
    seed: int = 0,
) -> list[Row]:
    """Return the rows of ``feature_differences.csv``: shares of a feature's variance, and paired gains.

    ``reliability_ceiling``
        ``1 - var(change) / (2 var(follow-up))``, not below 0. Change holds the noise of two visits, so half
        its variance is the noise of one if all subjects change alike, and more than that if they do not.
        The ceiling that noise sets to any predictor therefore lies here or higher, never lower, as long
        as both visits are equally noisy.
    ``r2``
        Share of the follow-up's variance that a method's held-out predictive mean explains.
    ``r2_left``
        The ceiling less ``r2``.
    ``r2_gain``
        ``r2`` less that of `against`.
    ``squared_error_gain``, ``crps_gain``
        Share of the error of `against` that the method takes away: 1 less the ratio of mean scores.

    Intervals are a bootstrap over subjects, the same samples for every quantity, with the fitted models
    as they are. For gains, `p` is two-sided, from value / bootstrap standard error by Student's t, and
    `q` controls the false discovery rate over the features of that metric, method and reference
    (`nextscan.metrics.benjamini_hochberg`).

    Parameters
    ----------
    truth, context : ndarray, shape (n_subjects, n_features)
        The hidden visit and the one shown last, native units, NaN where not measured.
    predicted : mapping of method to Predicted
    pairs : iterable of (method, against)
    feature_names : sequence of str
    seed : int
        Of the bootstrap.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        filled = np.where(np.isnan(truth).all(axis=0), 0.0, truth)
        centre, sd = np.nanmean(filled, axis=0), np.nanstd(filled, axis=0)
        sd = np.where(sd > 1e-9 * np.abs(centre), sd, np.nan)  # below that it is rounding
        real, before = (truth - centre) / sd, (context - centre) / sd
        n, n_changes = ((~np.isnan(values)).sum(axis=0) for values in (real, real - before))
        spread = _variances(real, seed)
        ceiling = np.maximum(1 - _variances(real - before, seed) / (2 * spread), 0.0)
        squared = {name: _means(((told.mean - centre) / sd - real) ** 2, seed) for name, told in predicted.items()}
        crps = {
            name: _means(np.asarray(told.crps, np.float64), seed)
            for name, told in predicted.items()
            if told.crps is not None
        }
        rows = _rows("reliability_ceiling", feature_names, ceiling, n_changes)
        for method, error in squared.items():
            explained = 1 - error / spread
            rows += _rows("r2", feature_names, explained, n, method=method)
            rows += _rows("r2_left", feature_names, ceiling - explained, n_changes, method=method)
        for method, against in pairs:
            gains = {
                "r2_gain": (squared[against] - squared[method]) / spread,
                "squared_error_gain": 1 - squared[method] / squared[against],
            }
            if method in crps and against in crps:
                gains["crps_gain"] = 1 - crps[method] / crps[against]
            for metric, gain in gains.items():
                rows += _rows(metric, feature_names, gain, n, method=method, against=against)
    return rows


def differences_of_run(
    plan: Plan,
    methods: Sequence[str],
    *,
    task: Task,
    feature_names: Sequence[str],
    load: Load,
) -> list[Row]:
    """Compare the methods of a run feature by feature, on the first repeat and seed.

    Everybody is held against the reliability row, of images the copy of the source, and, where there is one,
    the oracle; what is neither
    baseline nor closed form also against ``mixed-factor``, if that is a row.
    """
    position = {subject: i for i, subject in enumerate(task.targets.subject)}
    predicted = {}
    for method in methods:
        results = [load(job) for job in plan.shown_jobs(method)]
        order = np.argsort([position[name] for result in results for name in result.subject])
        mean = np.concatenate([result.mean for result in results])[order]
        kept = all(len(result.scores.crps) == len(result.subject) for result in results)
        crps = np.concatenate([result.scores.crps for result in results])[order] if kept else None
        predicted[method] = Predicted(mean, crps)
    return feature_differences(
        task.truth,
        task.context,
        predicted,
        _pairs(plan, methods),
        feature_names=feature_names,
        seed=plan.seed,
    )


def _pairs(plan: Plan, methods: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [
        (method, against)
        for against in (RELIABILITY, COPY_SOURCE, COPY_NEAREST, ORACLE)
        if against in methods
        for method in methods
    ]
    closed = (*CLOSED_FORM, MIXED_FACTOR)
    if MIXED_FACTOR in methods:
        pairs += [(method, MIXED_FACTOR) for method in methods if plan.methods[method].name not in closed]
    return [(method, against) for method, against in pairs if method != against]


def _means(values: FloatArray, seed: int) -> FloatArray:
    """Return the mean of each feature over subjects, and below it those of their bootstrap samples."""
    known = ~np.isnan(values)
    whole = np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
    return np.vstack([whole, resampled_means(values, seed=seed)])


def _variances(values: FloatArray, seed: int) -> FloatArray:
    return _means(values**2, seed) - _means(values, seed) ** 2


def _rows(
    metric: str, features: Sequence[str], values: FloatArray, n: IntArray, *, method: str = "", against: str = ""
) -> list[Row]:
    p = _p_values(values, n) if against else np.full(len(n), np.nan)
    low, high = percentile_interval(values[1:])
    numbers = zip(features, values[0], low, high, p, benjamini_hochberg(p), n, strict=True)
    return [dict(zip(COLUMNS, (metric, feature, method, against, *rest), strict=True)) for feature, *rest in numbers]


def _p_values(values: FloatArray, n: IntArray) -> FloatArray:
    """Return two-sided p-values of value / bootstrap standard error; 1 where nothing differs."""
    from scipy.special import stdtr

    error = values[1:].std(axis=0, ddof=1)
    t = np.where(values[0] == 0, 0.0, values[0] / error)
    p: FloatArray = 2 * stdtr(np.maximum(n - 1.0, 1.0), -np.abs(t))
    return np.where(np.isnan(values[0]) | (n < 2), np.nan, p)
