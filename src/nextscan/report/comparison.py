"""Who is better than whom: paired differences over subjects, ties, and the distance to the best possible."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nextscan.report.methods import ORACLE
from nextscan.report.metric_catalogue import Metric
from nextscan.report.run_folder import Run


@dataclass(frozen=True)
class Difference:
    """How far a score lies from a reference over the same subjects, with its 95% interval.

    `low` and `high` are NaN for fewer than two subjects.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def outcome(self) -> str:
        """Return "lower", "higher" or "tied"; "unknown" without an interval."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return "unknown"
        return "lower" if self.high < 0 else "higher" if self.low > 0 else "tied"


def relative_difference(scores: ArrayLike, reference: ArrayLike) -> Difference:
    """Compare two positive scores of the same subjects: the ratio of their means, less one.

    The ratio r of the two means has, to first order, the standard error of the mean of
    ``scores - r * reference`` divided by the reference's mean (delta method); the interval uses
    Student's t. With equal scores it is [0, 0].

    Parameters
    ----------
    scores, reference : array of float, shape (n_subjects,)
        Subjects with a NaN in either are left out.

    >>> difference = relative_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    >>> difference.value, difference.low, difference.high, difference.outcome
    (1.0, 1.0, 1.0, 'higher')
    """
    from scipy.special import stdtrit

    table = np.column_stack([np.asarray(scores, float), np.asarray(reference, float)])
    ours, theirs = table[np.isfinite(table).all(axis=1)].T
    n = len(ours)
    if not n or theirs.mean() == 0:
        return Difference(math.nan, math.nan, math.nan, n)
    ratio = ours.mean() / theirs.mean()
    if n < 2:
        return Difference(float(ratio - 1), math.nan, math.nan, n)
    error = (ours - ratio * theirs).std(ddof=1) / math.sqrt(n) / abs(theirs.mean())
    half = float(stdtrit(n - 1, 0.975)) * float(error)
    return Difference(float(ratio - 1), float(ratio - 1) - half, float(ratio - 1) + half, n)


def paired_difference(scores: ArrayLike, reference: ArrayLike) -> Difference:
    """Compare two scores of the same subjects by the mean of their differences (Student's t).

    Unlike `relative_difference` this needs no score of one sign, and suits correlations.

    >>> paired_difference([1.0, -1.0, 0.0], [0.0, 0.0, 0.0]).outcome
    'tied'
    """
    from scipy.special import stdtrit

    apart = np.asarray(scores, float) - np.asarray(reference, float)
    apart = apart[np.isfinite(apart)]
    n = len(apart)
    value = float(apart.mean()) if n else math.nan
    half = float(stdtrit(n - 1, 0.975) * apart.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return Difference(value, value - half, value + half, n)


def subject_values(run: Run, metric: str) -> pd.DataFrame | None:
    """Return a metric per target visit (rows) and method (columns), averaged over seeds and repeats."""
    frame = run.subject_scores
    if frame is None:
        return None
    frame = frame[frame["metric"] == metric]
    if frame.empty:
        return None
    return frame.pivot_table(index=["subject", "visit"], columns="method", values="value", aggfunc="mean")


def against(run: Run, metric: str, method: str, reference: str) -> Difference | None:
    """Return the paired difference of `method` from `reference`, or None if it cannot be known."""
    values = subject_values(run, metric)
    if values is None or method not in values or reference not in values:
        return None
    return relative_difference(values[method], values[reference])


def leaders(run: Run, metric: Metric) -> set[str]:
    """Return the best method of a score and those tied with it; the oracle does not compete.

    Tied: the paired 95 % bootstrap interval over subjects of the difference to the best, as in
    `differences.csv`, holds 0. In runs without that file: the paired interval by Student's t; where no
    scores per subject are known either: the intervals of the two pooled values overlap. A score without a
    direction has no leaders.
    """
    if metric.better and run.differences is not None:
        rows = run.differences[(run.differences["metric"] == metric.name) & (run.differences["role"] == "best")]
        if len(rows):
            held = rows[(rows["low"] <= 0) & (rows["high"] >= 0) & (rows["method"] != ORACLE)]
            return {*held["method"], rows["against"].iloc[0]}
    pooled = run.pooled(metric.name)
    pooled = pooled[np.isfinite(pooled["value"]) & (pooled.index != ORACLE)]
    if not metric.better or pooled.empty:
        return set()
    best = min(pooled.index, key=lambda method: metric.badness(pooled["value"][method]))
    values = subject_values(run, metric.name) if metric.better != "target" else None
    tied = {best}
    for method in pooled.index.drop(best):
        if values is not None and method in values and best in values:
            if paired_difference(values[method], values[best]).outcome == "tied":
                tied.add(method)
        elif metric.badness(pooled["value"][method]) == metric.badness(pooled["value"][best]) or (
            pooled["low"][method] <= pooled["high"][best] and pooled["low"][best] <= pooled["high"][method]
        ):
            tied.add(method)
    return tied


def excess(run: Run) -> dict[str, Difference]:
    """Return how far each method's energy score lies above the oracle's; empty without an oracle."""
    if ORACLE not in run.methods:
        return {}
    pooled = run.pooled("excess_energy_score")
    result: dict[str, Difference] = {}
    for method in run.methods:
        if method == ORACLE:
            continue
        if method in pooled.index:
            value, low, high, n = pooled.loc[method]
            result[method] = Difference(float(value), float(low), float(high), int(n))
        elif (paired := against(run, "energy_score", method, ORACLE)) is not None:
            result[method] = paired
    return result
