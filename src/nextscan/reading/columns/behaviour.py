"""What columns of numbers do over the visits of people: which are no measures of images, whatever their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.reading.columns.roles import baseline_of, doubtful_word, is_imaging, role_of
from nextscan.reading.formats.tables import Texts
from nextscan.reading.times.dates import DAYS_PER_YEAR

_LOOKS = 60
"""People looked at before a column is looked at in full."""
_FEW, _FEWEST = 2, 3
"""People with several visits from whom a column's behaviour says something: beside its name, and alone."""
_PER_YEAR = {"years": 1.0, "months": 12.0, "weeks": DAYS_PER_YEAR / 7, "days": DAYS_PER_YEAR}
_SLACK = 0.02
_MOSTLY = 0.8
_ENOUGH_NAMES = 10
_MOST_LEVELS = 10
_ENOUGH_ROWS = 20


@dataclass
class Behaviour:
    """Columns that are no measures of images, and those that may be none.

    Attributes
    ----------
    identifiers, counters : list of str
        Names of people or rows; numbers of visits.
    copies : dict of column to the column whose first value it repeats
    times : dict of column to unit
        Time or age; the unit is empty where no time of the table tells it.
    doubtful : dict of column to reason
    """

    identifiers: list[str] = field(default_factory=list)
    counters: list[str] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)

    @property
    def gone(self) -> set[str]:
        """Columns that are to be left out."""
        return {*self.identifiers, *self.counters, *self.copies, *self.times}


def behaviour(
    names: Sequence[str],
    columns: Mapping[str, int],
    numbers: FloatArray,
    subjects: IntArray,
    order: FloatArray,
    years: FloatArray,
) -> Behaviour:
    """Judge columns of numbers by what they do over visits.

    Parameters
    ----------
    names : sequence of str
        The columns to judge.
    columns : mapping of column to position in `numbers`
        Others that may be repeated, too.
    numbers : ndarray, shape (n, n_columns)
    subjects : ndarray of int, shape (n,)
    order : ndarray, shape (n,)
        What sorts the visits of a subject.
    years : ndarray, shape (n,)
        Counted from anywhere; NaN where unknown.
    """
    found = Behaviour()
    names = [name for name in names if name in columns]
    if not names:
        return found
    at = np.array([columns[name] for name in names], np.intp)
    visits = _Visits(numbers, at, subjects, order, years)
    found.identifiers += [names[i] for i in visits.rows_counted().tolist() if not is_imaging(names[i])]
    still = visits.constant()
    telling = visits.several >= _FEWEST and 2 * int(still.sum()) <= len(names)
    for i in _places(still):
        name = names[i]
        named = baseline_of(name, columns)
        if copied := visits.copied(i, name, names, columns, still):
            found.copies[name] = copied
        elif named is not None and role_of(name) != "score":
            found.doubtful[name] = f"by its name a copy of {named} at the first visit, which it is not"
        elif not is_imaging(name) and name not in found.identifiers and not visits.is_same_for_all(i):
            if telling and visits.is_identifier(i) and role_of(name) != "score":
                found.identifiers.append(name)
            elif telling:
                found.doubtful[name] = "the same at all visits of a person"
    for i in _places(visits.growing()):
        if unit := visits.is_time(i):
            found.times[names[i]] = unit
        elif visits.several >= _FEWEST and visits.counts(i):
            found.counters.append(names[i])
        elif visits.starts_at_zero(i) and not is_imaging(names[i]) and role_of(names[i]) != "score":
            found.times[names[i]] = ""
    if found.gone.issuperset(names):
        return Behaviour(doubtful=dict.fromkeys(names, "not like a measure, but there is no other"))
    usual = len(names) >= _ENOUGH_NAMES and sum(map(is_imaging, names)) >= _MOSTLY * len(names)
    for i, name in enumerate(names):
        if name in found.gone or name in found.doubtful:
            continue
        if word := doubtful_word(name):
            found.doubtful[name] = f"{word} in its name"
        elif not is_imaging(name) and (levels := visits.few_levels(i)):
            found.doubtful[name] = levels
        elif usual and not is_imaging(name):
            found.doubtful[name] = "not called like the other features"
    return found


class _Visits:
    """Values of people with several visits, in order; a few people first, all where these say something."""

    def __init__(
        self, numbers: FloatArray, at: IntArray, subjects: IntArray, order: FloatArray, years: FloatArray
    ) -> None:
        self._numbers, self._at = numbers, at
        rows = np.lexsort((order, subjects))
        count = np.bincount(subjects)
        self._rows = rows[count[subjects[rows]] > 1]
        self._subject = subjects[self._rows]
        self._years = years[self._rows]
        self.several = int((count > 1).sum())
        people = np.unique(self._subject)[:_LOOKS]
        looked = self._rows[np.isin(self._subject, people)]
        self._look, self._looked = numbers[np.ix_(looked, at)], subjects[looked]

    def constant(self) -> BoolArray:
        """Mark columns with one value per person, of at least three people known at several visits."""
        result = _is_constant(self._look, self._looked)
        for i in _places(result):
            result[i] = _is_constant(self._values(i)[:, None], self._subject)[0]
        return result

    def growing(self) -> BoolArray:
        """Mark columns that grow from each visit to the next of everybody."""
        result = _grows(self._look, self._looked)
        for i in _places(result):
            result[i] = _grows(self._values(i)[:, None], self._subject)[0]
        return result

    def copied(self, i: int, name: str, names: Sequence[str], columns: Mapping[str, int], still: BoolArray) -> str:
        """Return the column that had this column's values at everybody's first visit, or nothing."""
        first = np.flatnonzero(np.diff(self._subject, prepend=-1))
        mine = self._values(i)[first]
        named = baseline_of(name, columns)
        moving = {names[j] for j in _places(~still)} | (set(columns) - set(names))
        others = [other for other in columns if other != name and (other in moving or other == named)]
        there = self._numbers[np.ix_(self._rows[first], np.array([columns[other] for other in others], np.intp))]
        both = ~(np.isnan(there) | np.isnan(mine)[:, None])
        equal, known = ((there == mine[:, None]) & both).sum(axis=0), both.sum(axis=0)
        if named in others:
            of = others.index(named)
            return named if known[of] and equal[of] >= _MOSTLY * known[of] else ""
        enough = np.flatnonzero((known >= _FEWEST) & (equal == known))
        if len(enough) and len(np.unique(mine[~np.isnan(mine)])) >= _FEWEST:
            return others[int(enough[0])]
        # where the name says it, and no column of the table speaks against it; a score of the first visit is a label
        return named if named is not None and role_of(name) != "score" else ""

    def is_identifier(self, i: int) -> bool:
        """Tell whether a column that is constant per person is a whole number of its own for each."""
        values = self._numbers[:, self._at[i]]
        known = values[~np.isnan(values)]
        if not len(known) or (known != np.round(known)).any():
            return False
        mine = self._values(i)
        first = np.flatnonzero(np.diff(self._subject, prepend=-1))
        levels = mine[first][~np.isnan(mine[first])]
        return len(levels) >= _FEWEST and len(np.unique(levels)) == len(levels)

    def is_same_for_all(self, i: int) -> bool:
        """Tell whether everybody has the same value: a constant feature, which is told elsewhere."""
        values = self._values(i)
        return bool(np.nanmin(values) == np.nanmax(values))

    def is_time(self, i: int) -> str:
        """Return the unit in which a column grows just as time does, or nothing."""
        step = np.diff(self._subject) == 0
        gap, change = np.diff(self._years)[step], np.diff(self._values(i))[step]
        known = ~(np.isnan(gap) | np.isnan(change)) & (gap > 0)
        if known.sum() < _FEW:
            return ""
        gap, change = gap[known], change[known]
        rounding = next((step for step in (1.0, 0.1, 0.01) if np.allclose(change / step, np.round(change / step))), 0.0)
        for unit, per_year in _PER_YEAR.items():
            off = np.abs(change - gap * per_year)
            slope = float(change.sum() / (gap.sum() * per_year))
            if (
                abs(slope - 1) < (0.2 if rounding == 1 else 0.1)
                and (off <= np.maximum(_SLACK * gap * per_year, 1.01 * rounding)).all()
            ):
                return unit
        return ""

    def counts(self, i: int) -> bool:
        """Tell whether a column numbers the visits of everybody from 0 or 1."""
        values = self._values(i)
        start = np.flatnonzero(np.diff(self._subject, prepend=-1))
        rank = np.arange(len(values)) - np.repeat(start, np.diff(np.append(start, len(values))))
        return bool(np.array_equal(values, rank) or np.array_equal(values, rank + 1))

    def starts_at_zero(self, i: int) -> bool:
        """Tell whether everybody starts at zero."""
        first = np.flatnonzero(np.diff(self._subject, prepend=-1))
        return bool((self._values(i)[first] == 0).all())

    def rows_counted(self) -> IntArray:
        """Return the columns that number the rows of the table."""
        numbers = self._numbers
        if len(numbers) < _ENOUGH_ROWS:
            return np.zeros(0, np.intp)
        head = numbers[: _LOOKS + 1][:, self._at]
        start = np.isin(head[0], (0, 1))
        likely = np.flatnonzero(start & (np.diff(head, axis=0) == 1).all(axis=0))
        return np.array([i for i in likely if (np.diff(numbers[:, self._at[i]]) == 1).all()], np.intp)

    def few_levels(self, i: int) -> str:
        """Say between which whole numbers a column lies, if it has few of them; or nothing."""
        values = self._numbers[:, self._at[i]]
        if len(values) < _ENOUGH_ROWS or len(np.unique(values[:_LOOKS])) > _MOST_LEVELS + 1:
            return ""
        known = np.unique(values[~np.isnan(values)])
        if not 1 < len(known) <= _MOST_LEVELS or (known != np.round(known)).any():
            return ""
        return f"only whole numbers from {known[0]:g} to {known[-1]:g}"

    def _values(self, i: int) -> FloatArray:
        values: FloatArray = self._numbers[self._rows, self._at[i]]
        return values


def _places(marked: BoolArray) -> list[int]:
    places: list[int] = np.flatnonzero(marked).tolist()
    return places


def _is_constant(values: FloatArray, subjects: IntArray) -> BoolArray:
    step = np.diff(subjects) == 0
    change = np.diff(values, axis=0)[step]
    known = ~np.isnan(change)
    return np.asarray((known.sum(axis=0) >= _FEW) & ((change == 0) | ~known).all(axis=0))


def _grows(values: FloatArray, subjects: IntArray) -> BoolArray:
    step = np.diff(subjects) == 0
    change = np.diff(values, axis=0)[step]
    known = ~np.isnan(change)
    return np.asarray((known.sum(axis=0) >= _FEW) & ((change > 0) | ~known).all(axis=0))


def ordering(time: FloatArray, names: Texts | None, rank: Mapping[str, int]) -> FloatArray:
    """Return what sorts the visits of a subject: their time, or the rank of their names where no time is known."""
    if names is None or not np.isnan(time).any():
        return np.where(np.isnan(time), np.inf, time)
    ranks: FloatArray = pd.Series(names).map(rank).to_numpy(float)
    return ranks
