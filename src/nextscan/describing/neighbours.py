"""Neighbouring visits of a person, and which of two that do not fit is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray, IntArray
from nextscan.describing.data import Observed


@dataclass(frozen=True, eq=False)
class Pairs:
    """Neighbouring observed visits of a person.

    Attributes
    ----------
    before, after : ndarray of int
        Positions in `Observed.rows`.
    gap : ndarray of float
        Time between the two, NaN where unknown.
    group : ndarray of int
        Pairs with the same names of visits have the same number.
    """

    before: IntArray
    after: IntArray
    gap: FloatArray
    group: IntArray

    def __len__(self) -> int:
        return len(self.before)


def neighbours(data: Observed) -> Pairs:
    """Return all pairs of neighbouring observed visits."""
    after = np.flatnonzero(data.order > 0)
    before = after - 1
    rows = data.rows
    names = pd.Series(data.cohort.visits)
    group = pd.factorize(names.iloc[rows[before]].str.cat(names.iloc[rows[after]].to_numpy(), sep="\0"))[0]
    return Pairs(before, after, data.cohort.years[rows[after]] - data.cohort.years[rows[before]], group)


def wrong_scan(
    pairs: Pairs, pair: int, out: Collection[int], signs: Mapping[int, Mapping[int, float]]
) -> tuple[int, bool]:
    """Return which visit of a pair is wrong, and whether its neighbour on the other side says so, too.

    The one whose other neighbour is far as well, in the other direction; else the later one, unless it is the earlier
    that has no other neighbour and the later one has.

    Parameters
    ----------
    pairs : Pairs
    pair : int
    out : collection of int
        Pairs that do not fit.
    signs : mapping of pair to mapping of feature to sign
        Which way features changed, where that is known.
    """
    mine = signs.get(pair, {})
    for other, scan in ((pair + 1, int(pairs.after[pair])), (pair - 1, int(pairs.before[pair]))):
        if other not in out or not 0 <= other < len(pairs):
            continue
        joins = pairs.before[other] == scan if other > pair else pairs.after[other] == scan
        theirs = signs.get(other, {})
        if joins and (not mine or not theirs or any(theirs.get(key) == -sign for key, sign in mine.items())):
            return scan, True
    has_earlier = pair > 0 and pairs.after[pair - 1] == pairs.before[pair]
    has_later = pair + 1 < len(pairs) and pairs.before[pair + 1] == pairs.after[pair]
    return int(pairs.before[pair] if has_later and not has_earlier else pairs.after[pair]), False


def quantile(values: FloatArray, share: float, axis: int) -> FloatArray:
    """Return a quantile of the known values, NaN where there are none; the lower of two neighbours, but for medians."""
    ordered = np.sort(np.ascontiguousarray(values.T) if axis == 0 else values, axis=1)
    last = (~np.isnan(ordered)).sum(axis=1) - 1
    place, rows = share * np.maximum(last, 0), np.arange(len(ordered))
    low = np.floor(place).astype(np.intp)
    high = np.ceil(place).astype(np.intp) if share == 0.5 else low
    result: FloatArray = (ordered[rows, low] + ordered[rows, high]) / 2
    return result


def median(values: FloatArray, axis: int = 0) -> FloatArray:
    """Return the median of the known values, NaN where there are none."""
    return quantile(values, 0.5, axis)


def mad(values: FloatArray) -> FloatArray:
    """Return the robust sd of the columns of values around 0."""
    return median(np.abs(values)) / 0.6745
