"""Values of UK-Biobank exports that are codes, not measures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray

_CODES = (-1.0, -3.0)
_LARGEST_CODE, _MOST_LEVELS = 10, 5


def drop_codes(values: FloatArray) -> int:
    """Make -1 and -3 missing in features without other negative values; return how many cells changed."""
    changed = 0
    with np.errstate(invalid="ignore"):
        lowest = np.fmin.reduce(values, axis=0, initial=np.inf)
    for i in np.flatnonzero(lowest < 0):
        negative = values[:, i] < 0
        if np.isin(values[negative, i], _CODES).all():
            values[negative, i] = np.nan
            changed += int(negative.sum())
    return changed


def with_imaging(values: FloatArray, row: IntArray, dated: BoolArray) -> BoolArray:
    """Mark the visits to keep: those with measures, and requests; of the others, values become missing.

    A visit whose only values are small codes (whether scanning was completed, how good it was) was not imaged. It is
    a request if it has a date and an imaged visit lies before it, as is one without any value.

    Parameters
    ----------
    values : ndarray of float, shape (n, n_features)
        Changed in place.
    row : ndarray of int
        Of the table; visits of a row lie together, in order.
    dated : ndarray of bool
    """
    codes = np.array([_is_code(values[:, i]) for i in range(values.shape[1])], bool)
    if not len(values) or not codes.any() or codes.all():
        return np.ones(len(values), bool)
    bare = np.asarray(np.isnan(values[:, ~codes]).all(axis=1))
    values[bare] = np.nan
    before = pd.Series(~bare).groupby(row).cumsum().to_numpy() > 0
    return np.asarray(~bare | (before & dated))


def _is_code(values: FloatArray) -> bool:
    if (np.abs(values[:64]) > _LARGEST_CODE).any():
        return False  # a quick look first
    known = values[~np.isnan(values)]
    small = len(known) > 0 and bool((np.abs(known) <= _LARGEST_CODE).all())
    return small and bool((known == np.floor(known)).all()) and len(np.unique(known)) <= _MOST_LEVELS
