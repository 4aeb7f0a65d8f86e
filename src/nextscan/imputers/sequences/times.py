"""Times of a sequence on a line or on a circle: how far apart they are, and which lie around another one."""

from __future__ import annotations

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort.cohort import apart

__all__ = ["ahead", "apart", "bracket", "linear_weights", "nearest"]

_SAME = 1e-6  # of the period, or of the longest time between: closer ones are one


def ahead(start: FloatArray | float, stop: FloatArray | float, period: float | None) -> FloatArray:
    """Return how long it is from one time on to another: in [0, period) where time is a circle.

    >>> ahead(0.75, np.array([0.0, 0.5, 0.75]), 1.0).tolist(), ahead(0.75, np.array([0.5]), None).tolist()
    ([0.25, 0.75, 0.0], [-0.25])
    """
    straight = np.asarray(stop, np.float64) - start
    if period is None:
        return straight
    around = straight % period
    return np.where(period - around < _SAME * period, 0.0, around)  # a hair before it is no whole round


def nearest(times: FloatArray, target: float, period: float | None) -> int:
    """Return which time is nearest to the target, the shorter way round; of two at one distance the one before.

    >>> nearest(np.array([0.0, 0.25, 0.5]), 0.875, 1.0), nearest(np.array([0.0, 1.0]), 0.5, None)
    (0, 0)
    """
    far = apart(times, target, period)
    least = np.abs(far).min()
    return int(np.argmax(np.where(np.abs(far) <= least + _hair(times, target, period), far, -np.inf)))


def bracket(times: FloatArray, target: float, period: float | None) -> tuple[int, int, float]:
    """Return the two times around a target, and where it lies between them.

    Returns
    -------
    first, second : int
        Positions in `times`: the one before the target and the one after it, on a circle across the wrap. On a line
        beyond all times the two nearest ones, in their order. Twice the same where the target is one of the times, or
        there is no other.
    fraction : float
        0 at the first, 1 at the second; beyond that outside all times of a line.

    Examples
    --------
    >>> bracket(np.array([0.0, 0.25]), 0.5, 1.0)
    (1, 0, 0.3333333333333333)
    >>> bracket(np.array([0.0, 2.0]), 3.0, None), bracket(np.array([0.0, 2.0]), 2.0, None)
    ((0, 1, 1.5), (1, 1, 0.0))
    """
    same = _hair(times, target, period)
    if period is not None:
        since, until = ahead(times, target, period), ahead(target, times, period)
        first, second = int(np.argmin(since)), int(np.argmin(until))
        if since[first] <= same or until[second] <= same:
            at = first if since[first] <= same else second
            return at, at, 0.0
        span = float(ahead(times[first], times[second], period))
        return (first, second, float(since[first] / span)) if span > same else (first, first, 0.0)
    since = target - times
    at = int(np.argmin(np.abs(since)))
    others = np.abs(times - times[at]) > same
    if abs(since[at]) <= same or not others.any():
        return at, at, 0.0
    across = others & (np.sign(since) != np.sign(since[at]))
    partner = int(np.argmin(np.where(across if across.any() else others, np.abs(since), np.inf)))
    first, second = (at, partner) if times[at] < times[partner] else (partner, at)
    return first, second, float(since[first] / (times[second] - times[first]))


def linear_weights(times: FloatArray, target: float, period: float | None) -> FloatArray:
    """Return what each time counts for at a target that lies on the straight line of the two around it.

    >>> linear_weights(np.array([0.0, 1.0, 2.0]), 4.0, None).tolist()
    [0.0, -2.0, 3.0]
    """
    first, second, fraction = bracket(times, target, period)
    weights = np.zeros(len(times))
    weights[first] += 1 - fraction
    weights[second] += fraction
    return weights


def _hair(times: FloatArray, target: float, period: float | None) -> float:
    """Return the length below which two times are the same."""
    return _SAME * (float(np.abs(times - target).max()) if period is None else period)
