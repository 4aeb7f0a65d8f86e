"""Whether chance explains that two visits hold the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray

_SAMPLE = 4000  # visits, or pairs of visits, from which spread and correlation are taken
_CHUNK = 1024  # tied visits looked at together
_FALSE_ALARMS = 1e-3  # chance ties expected in a table where a tie is called no chance
_FEW_PAIRS = 5  # fewer pairs of one person's visits do not tell how much people change
_LITTLE_CHANGE = 0.1  # then: change as a share of the spread between people
_ATOM = 4.0  # a value this much commoner than rounding explains is a value of its own, such as zero
_MOST_NAMES = 5  # people under whose names one scan goes
_MANY = 20  # visits from which on quartiles tell the spread


def improbable_ties(
    values: FloatArray, keys: NDArray[Any], subjects: NDArray[Any], among: BoolArray
) -> tuple[BoolArray, BoolArray]:
    """Mark visits that hold the values of another visit where chance cannot explain it.

    Values are equal by chance where they are rounded: two of them lie within one step of each other with
    probability ``step / (sqrt(2 pi) sd)``, where sd is that of the differences between visits of different people, or
    of one person's. Over features the bits of surprise add up, each given the features before it (from their
    correlation), so that copies and sums of features add nothing. Values that many others have, such as zero, add
    nothing either, nor does zero, and what many people share in all features is no identity but was filled in. A tie is
    improbable if less than one in a thousand is expected among all pairs of visits compared.

    Parameters
    ----------
    values : ndarray of float, shape (n, n_features)
    keys : ndarray, shape (n,)
        Equal for rows with equal values.
    subjects : ndarray, shape (n,)
    among : ndarray of bool, shape (n,)
        Visits to compare.

    Returns
    -------
    within, between : ndarray of bool, shape (n,)
        Visits with an improbable tie, were the other one of the same person, and were it of somebody else.
    """
    within, between = np.zeros(len(values), bool), np.zeros(len(values), bool)
    rows = np.flatnonzero(among)
    code, position = (pd.factorize(names)[0] for names in (keys[rows], subjects[rows]))
    repeated = np.bincount(code)[code] > 1 if len(rows) else np.zeros(0, bool)
    if not repeated.any():
        return within, between
    _, unique = np.unique(code, return_index=True)
    sample = values[rows[_spread(unique, _SAMPLE)]]
    steps = np.array([_step(column) for column in sample.T])
    apart = _sd(sample) * np.sqrt(2)
    surprise = _surprise(sample, apart, steps)
    change, n_pairs = _changes(values, rows, code, position)
    if len(change) < _FEW_PAIRS:
        small = _surprise(sample, _LITTLE_CHANGE * apart, steps)
    else:
        small = _surprise(change, _sd(change), steps)
        same = np.nan_to_num((change == 0).sum(axis=0) / np.maximum((~np.isnan(change)).sum(axis=0), 1))
        small = np.minimum(small, -np.log2(np.maximum(same, 1e-300)))
    ordered = np.sort(sample, axis=0)
    people = pd.Series(position).groupby(code).nunique().to_numpy()
    few = people[code[repeated]] <= _MOST_NAMES
    tied = rows[repeated]
    for start in range(0, len(tied), _CHUNK):
        chunk = tied[start : start + _CHUNK]
        known, commoner = _commonness(values[chunk], ordered, steps, apart)
        bits = np.where(known, np.maximum(surprise - commoner, 0.0), 0.0).sum(axis=1)
        likely = np.log2(len(rows)) * 2 - 1 - bits >= np.log2(_FALSE_ALARMS)
        between[chunk] = ~likely & few[start : start + _CHUNK]
        bits = np.where(known, np.maximum(small - commoner, 0.0), 0.0).sum(axis=1)
        within[chunk] = np.log2(max(n_pairs, 1)) - bits < np.log2(_FALSE_ALARMS)
    return within, between


def _spread(positions: IntArray, most: int) -> IntArray:
    return positions[np.linspace(0, len(positions) - 1, min(len(positions), most)).astype(np.intp)]


def _step(column: FloatArray) -> float:
    """Return what the values of a feature are multiples of; infinity for a constant one."""
    distinct = np.unique(column[np.isfinite(column)])
    if len(distinct) < 2:
        return np.inf
    if len(distinct) >= 5:
        least = float(np.diff(distinct).min())
        steps = (distinct - distinct[0]) / least
        if (np.abs(steps - np.round(steps)) < 1e-3).all():
            return least
    for decimals in range(-3, 13):
        scaled = distinct * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) <= 1e-9 + 1e-12 * np.abs(scaled)).all():
            return float(10.0**-decimals)
    return float(np.abs(distinct).max() * 1e-15)


def _sd(values: FloatArray) -> FloatArray:
    """Return the sd of each column; of many values that of their middle half, if it is smaller."""
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.where(known, values, 0.0).sum(axis=0) / n, 0.0)
    sd: FloatArray = np.sqrt((centred**2).sum(axis=0) / np.maximum(n - 1, 1))
    usual = n >= _MANY
    if usual.any():
        low, high = np.nanquantile(values[:, usual], (0.25, 0.75), axis=0)
        middle = (high - low) / 1.349
        sd[usual] = np.where(middle > 0, np.minimum(sd[usual], middle), sd[usual])
    return sd


def _surprise(sample: FloatArray, apart: FloatArray, steps: FloatArray) -> FloatArray:
    """Return how many bits an equal value of each feature says, given equal values of the features before it."""
    from sklearn.covariance import oas

    usable = np.flatnonzero((apart > 0) & np.isfinite(steps))
    bits = np.zeros(sample.shape[1])
    if not len(usable):
        return bits
    part = sample[:, usable]
    known = ~np.isnan(part)
    mean = np.where(known, part, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, part - mean, 0.0)
    scale = np.sqrt((centred**2).mean(axis=0))
    scaled = centred / np.where(scale > 0, scale, 1.0)
    correlation = oas(scaled, assume_centered=True)[0] if len(scaled) > 1 else np.eye(len(usable))
    rounding = (steps[usable] / apart[usable]) ** 2 / 6 + 1e-10
    left = np.diag(np.linalg.cholesky(correlation + np.diag(rounding)))
    bits[usable] = np.maximum(np.log2(np.sqrt(2 * np.pi) * apart[usable] * left / steps[usable]), 0.0)
    return bits


def _changes(values: FloatArray, rows: IntArray, code: IntArray, position: IntArray) -> tuple[FloatArray, int]:
    """Return differences of neighbouring visits of a person that are not all equal, and how many pairs there are."""
    order = np.argsort(position, kind="stable")
    same = position[order][1:] == position[order][:-1]
    differ = np.flatnonzero(same & (code[order][1:] != code[order][:-1]))
    chosen = _spread(differ, _SAMPLE) if len(differ) else differ
    return values[rows[order[chosen + 1]]] - values[rows[order[chosen]]], int(same.sum())


def _commonness(
    values: FloatArray, ordered: FloatArray, steps: FloatArray, apart: FloatArray
) -> tuple[BoolArray, FloatArray]:
    """Tell which cells say anything, and how many bits less because others have the value, too.

    Parameters
    ----------
    values : ndarray, shape (n, n_features)
    ordered : ndarray, shape (m, n_features)
        A sample of different visits, each feature sorted.
    steps, apart : ndarray, shape (n_features,)
    """
    known = ~np.isnan(values) & (values != 0)
    commoner = np.zeros(values.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_rounding = np.clip(steps / (np.sqrt(2 * np.pi) * apart), 1e-300, 1.0)
    for i in range(values.shape[1]):
        column = ordered[:, i]
        n = int((~np.isnan(column)).sum())
        left, right = (np.searchsorted(column[:n], values[:, i], side=side) for side in ("left", "right"))
        others = right - left - 1  # the sample holds one of the tied visits
        share = others / max(n - 1, 1)
        often = (others >= 2) & (share > by_rounding[i])
        commoner[often, i] = np.log2(share[often] / by_rounding[i])
        known[often & (share > _ATOM * by_rounding[i]), i] = False
    return known, commoner
