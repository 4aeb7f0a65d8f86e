"""The observed visits of a cohort, summarised once for all checks of `describe`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.cohort import Cohort
from nextscan.errors import some
from nextscan.wording import percentage

_OF_BEATS = frozenset({"cycle", "ms", "frames"})
"""Units of time of which a beat has some, and a life too many."""
_FEW = 5  # visits that share a label by chance
_MOST_LEVELS = 60  # of a label that can explain where something happens
_BLOCK = 64  # features sorted at a time: bounds memory, keeps sorting in the cache


@dataclass(frozen=True, eq=False)
class Observed:
    """Visits with features, and who has which.

    Attributes
    ----------
    cohort : Cohort
    rows : ndarray of int, shape (n,)
        Rows of the cohort with at least one feature.
    values : ndarray of float, shape (n, n_features)
        NaN where missing; cells found impossible are set aside (NaN) for later checks.
    in_pool : ndarray of bool, shape (n_subjects,)
        Subjects compared, as a pool, with the paired ones.
    """

    cohort: Cohort
    rows: IntArray
    values: FloatArray
    in_pool: BoolArray

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """Feature names, shape (n_features,)."""
        return np.array(self.cohort.feature_names, dtype=str)

    @cached_property
    def subject(self) -> IntArray:
        """Position of the subject of each observed visit, shape (n,)."""
        return self.cohort.subject_of[self.rows]

    @cached_property
    def order(self) -> IntArray:
        """How many observed visits of the same subject came before, shape (n,)."""
        starts = np.flatnonzero(np.diff(self.subject, prepend=-1))
        return np.arange(len(self.rows)) - np.repeat(starts, np.diff(np.append(starts, len(self.rows))))

    @cached_property
    def first(self) -> IntArray:
        """Positions in `rows` of each subject's first observed visit."""
        return np.flatnonzero(self.order == 0)

    @cached_property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """Positions in `rows` of the first two observed visits of every paired subject."""
        second = np.flatnonzero(self.order == 1)
        return second - 1, second

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per feature; see `summarise`."""
        return summarise(self.values, self.cohort.feature_names)

    @cached_property
    def informative(self) -> BoolArray:
        """Features with more than one value, shape (n_features,)."""
        return np.asarray(self.summary["distinct"] > 1)

    def without(self, impossible: BoolArray) -> Observed:
        """Return the same visits with impossible cells set aside."""
        if not impossible.any():
            return self
        return replace(self, values=np.where(impossible, np.nan, self.values))

    def sample(self, size: int) -> IntArray:
        """Return at most `size` first visits, evenly spread over the table."""
        spread = np.linspace(0, len(self.first) - 1, min(size, len(self.first)))
        return self.first[spread.astype(np.intp)] if len(self.first) else self.first

    def subject_names(self, positions: IntArray) -> tuple[str, ...]:
        """Name the subjects of some observed visits, each once."""
        return tuple(str(name) for name in self.cohort.subjects[np.unique(self.subject[positions])])

    def visit_names(self, positions: IntArray, limit: int = 3) -> str:
        """Name a few observed visits in words."""
        cohort = self.cohort
        shown = []
        for i in positions[:limit]:
            several = np.count_nonzero(cohort.subject_of == self.subject[i]) > 1
            visit = f" (visit {cohort.visits[self.rows[i]]})" if several else ""
            shown.append(f"{cohort.subjects[self.subject[i]]}{visit}")
        return some([*shown, *positions[limit:]], limit)

    def where(self, positions: IntArray) -> str:
        """Say what the observed visits share that others lack: being in the pool, or a label's level.

        Returns an empty string if there is no such thing.
        """
        chosen = np.zeros(len(self.rows), bool)
        chosen[positions] = True
        if chosen.all() or not chosen.any():
            return ""
        pool = self.in_pool[self.subject]
        if np.array_equal(chosen, pool):
            return "exactly the pool"
        shared = self._shared_level(chosen) if len(positions) >= _FEW else ""
        return shared or ("all in the pool" if pool[chosen].all() else "")

    def _shared_level(self, chosen: BoolArray) -> str:
        labels = self.cohort.labels_at(self.rows)
        for name in labels:
            levels = labels.loc[chosen, name].unique()
            if labels[name].nunique() > _MOST_LEVELS or len(levels) > 3 or pd.isna(levels).any():
                continue
            share = chosen.sum() / labels[name].isin(levels).sum()
            if share > 0.9 and len(levels) < labels[name].nunique():
                which = " or ".join(str(level) for level in levels)
                return f"{'all' if share == 1 else percentage(share)} of {name} {which}"
        return ""


def is_of_beats(cohort: Cohort) -> bool:
    """Tell whether visits of a subject are moments of one beat, not of a life."""
    return cohort.period is not None or cohort.time_unit in _OF_BEATS


def observe(cohort: Cohort, in_pool: BoolArray) -> Observed:
    """Gather the visits with features; infinite values count as missing from here on."""
    rows = np.flatnonzero(~cohort.is_request)
    values = cohort.features if len(rows) == cohort.n_visits else cohort.features[rows]
    if np.isinf(values).any():
        values = np.where(np.isinf(values), np.nan, values)
    return Observed(cohort, rows, values, in_pool)


def sorted_blocks(values: FloatArray, columns: IntArray) -> Iterator[tuple[IntArray, FloatArray, NDArray[np.intp]]]:
    """Yield some columns sorted, a few at a time: which, values (columns, n) with NaN last, finite counts."""
    for start in range(0, len(columns), _BLOCK):
        block = columns[start : start + _BLOCK]
        ordered = np.sort(np.ascontiguousarray(values[:, block].T), axis=1)
        yield block, ordered, (~np.isnan(ordered)).sum(axis=1)


def summarise(values: FloatArray, names: tuple[str, ...]) -> pd.DataFrame:
    """Summarise every feature.

    Parameters
    ----------
    values : ndarray, shape (n, n_features)
        NaN where missing.
    names : tuple of str

    Returns
    -------
    DataFrame
        One row per feature: ``feature``; ``missing`` (count); ``minimum``, ``q01``, ``q25``,
        ``median``, ``q75``, ``q99``, ``maximum``, ``mean``, ``sd``; ``zeros`` (count); ``distinct``
        values; ``commonest`` (share of the commonest value); ``half_step``, half the distance of
        neighbouring values where they are rounded to decimals, else 0.
    """
    blocks = sorted_blocks(values, np.arange(values.shape[1]))
    parts = [_summarise_sorted(ordered, count) for _, ordered, count in blocks]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    table.insert(0, "feature", list(names))
    table.insert(1, "missing", len(values) - table.pop("count") if parts else [])
    return table


_QUANTILES = {
    "minimum": 0.0,
    "q01": 0.01,
    "q25": 0.25,
    "median": 0.5,
    "q75": 0.75,
    "q99": 0.99,
    "maximum": 1.0,
}


def _summarise_sorted(ordered: FloatArray, count: IntArray) -> pd.DataFrame:
    rows, last = np.arange(len(ordered)), np.maximum(count - 1, 0)
    result: dict[str, NDArray[np.generic]] = {"count": count}
    for name, share in _QUANTILES.items():
        place = share * last
        low = np.floor(place).astype(np.intp)
        high = np.minimum(low + 1, last)
        result[name] = ordered[rows, low] + (place - low) * (ordered[rows, high] - ordered[rows, low])
    present = np.maximum(count, 1)
    mean = np.nansum(ordered, axis=1) / present
    spread = np.nansum((ordered - mean[:, None]) ** 2, axis=1)
    some_present = count > 0
    result["mean"] = np.where(some_present, mean, np.nan)
    result["sd"] = np.where(some_present, np.sqrt(spread / np.maximum(count - 1, 1)), np.nan)
    result["zeros"] = (ordered == 0).sum(axis=1)
    position = np.arange(ordered.shape[1])
    new = np.ones(ordered.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    result["distinct"] = (new & (position < count[:, None])).sum(axis=1)
    run = position - np.maximum.accumulate(np.where(new, position, 0), axis=1) + 1
    result["commonest"] = run.max(axis=1, initial=0) / present
    result["half_step"] = _half_step(ordered, count)
    return pd.DataFrame(result)


def _half_step(ordered: FloatArray, count: IntArray, looks: int = 400) -> FloatArray:
    picks = (np.linspace(0, 1, looks) * np.maximum(count - 1, 0)[:, None]).astype(np.intp)
    sample = np.nan_to_num(np.take_along_axis(ordered, picks, axis=1))
    result = np.zeros(len(ordered))
    for decimals in range(6, -1, -1):
        scaled = sample * 10.0**decimals
        tolerance = 1e-3 + 1e-15 * np.abs(scaled)
        whole = (np.abs(scaled - np.round(scaled)) < tolerance).all(axis=1)
        result[whole] = 0.5 * 10.0**-decimals
    return result
