"""Times of one person told by several columns, years, dates and ages, joined to one: they fill each other's gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.formats.tables import Texts

_SAME_AXIS = 1.0  # year: ages may be rounded
_CONTRADICTS = "contradicts it where both are known"
_HALF = 0.5  # of a year, by which people are older on average than their age in whole years


@dataclass(frozen=True, eq=False)
class Clock:
    """Times of visits by one column, in years since one moment for each person.

    Attributes
    ----------
    name : str
        What tells them, for messages.
    kind : str
        ``years``, ``date`` or ``age``.
    years : ndarray of float
        NaN where unknown.
    """

    name: str
    kind: str
    years: FloatArray

    @cached_property
    def whole(self) -> bool:
        """Tell whether they are ages of whole years."""
        known = self.years[~np.isnan(self.years)]
        return self.kind == "age" and bool(np.array_equal(known, np.round(known)))


@dataclass
class Joined:
    """Times of the clock that is trusted most, with gaps filled.

    Attributes
    ----------
    time : ndarray of float
        As the first clock counts.
    aside : ndarray of float
        Times of people of whom the first clock tells nothing and nothing joins it, as another one counts.
    filled : dict of name to int
        How many visits each clock gave a time.
    unjoined : dict of int to str
        Rows that keep no time though a clock tells one, and why.
    """

    time: FloatArray
    aside: FloatArray
    filled: dict[str, int] = field(default_factory=dict)
    unjoined: dict[int, str] = field(default_factory=dict)


def join_clocks(clocks: Sequence[Clock], subjects: Texts, births: FloatArray | None = None) -> Joined:
    """Fill gaps of the first clock by the others, which come in the order in which they are trusted.

    For each person alone: where two clocks tell the time of one visit, the difference there (the median of several,
    which must lie within a year of each other) carries one to the other. Where no visit has both, dates and ages are
    joined by the date of birth, and clocks of one kind are one. What cannot be joined stays unknown.

    Parameters
    ----------
    clocks : sequence of Clock
    subjects : ndarray of str
        None where a row belongs to nobody.
    births : ndarray of float, optional
        Dates of birth in years since 1970, row by row.
    """
    joined = Joined(clocks[0].years.copy(), np.full(len(subjects), np.nan))
    others = np.zeros(len(subjects), bool)
    for clock in clocks[1:]:
        others |= ~np.isnan(clock.years)
    wanting = pd.unique(pd.Series(subjects[np.isnan(joined.time) & others]).dropna())
    if not len(wanting):
        return joined
    rows_of = pd.Series(subjects).groupby(pd.Series(subjects)).indices
    for name in wanting:
        at = rows_of[name]
        if len(at) > 1:
            known = np.zeros(0) if births is None else births[at][~np.isnan(births[at])]
            _join_person(joined, clocks, at, float(known[0]) if len(known) else np.nan)
    return joined


def _join_person(joined: Joined, clocks: Sequence[Clock], at: IntArray, birth: float) -> None:
    base, kind = joined.time[at], clocks[0].kind
    pending = [clock for clock in clocks[1:] if not np.isnan(clock.years[at]).all()]
    aside = False
    if np.isnan(base).all() and not any(_known_shift(clock, kind, birth) is not None for clock in pending):
        base, kind, aside = pending[0].years[at], pending[0].kind, True
        _count(joined, pending[0], ~np.isnan(base))
        pending = pending[1:]
    contradicting: set[str] = set()
    while step := _next(base, kind, pending, at, birth):
        clock, filled = step
        pending.remove(clock)
        if filled is None:
            contradicting.add(clock.name)
            continue
        _count(joined, clock, np.isnan(base) & ~np.isnan(filled))
        base = np.where(np.isnan(base), filled, base)
    (joined.aside if aside else joined.time)[at] = base
    for clock in clocks[1:]:
        for row in at[np.isnan(base) & ~np.isnan(clock.years[at])]:
            why = _CONTRADICTS if clock.name in contradicting else "no visit has both"
            joined.unjoined.setdefault(int(row), f"{clock.name}: {why}")


def _count(joined: Joined, clock: Clock, new: BoolArray) -> None:
    joined.filled[clock.name] = joined.filled.get(clock.name, 0) + int(new.sum())


def _next(
    base: FloatArray, kind: str, pending: list[Clock], at: IntArray, birth: float
) -> tuple[Clock, FloatArray | None] | None:
    """Return the first clock that can be joined, with its times as the base counts; None where it contradicts it."""
    for clock in pending:
        theirs = clock.years[at]
        both = ~np.isnan(base + theirs)
        if both.any():
            apart = (base - theirs)[both]
            far = np.ptp(apart) > _SAME_AXIS
            return clock, None if far else theirs + np.median(apart)
    for clock in pending:
        if (shift := _known_shift(clock, kind, birth)) is not None:
            return clock, clock.years[at] + shift
    return None


def _known_shift(clock: Clock, kind: str, birth: float) -> float | None:
    """Return what leads from a clock to one of some kind without a visit that has both; None if nothing does."""
    if clock.kind == kind and kind in ("date", "age"):
        return 0.0
    if {clock.kind, kind} != {"date", "age"} or np.isnan(birth):
        return None
    return birth + _HALF * clock.whole if kind == "date" else -birth


def told(
    joined: Joined,
    clocks: Sequence[Clock],
    subjects: Texts,
    source: str,
    place: Callable[[int], str],
    *,
    visits: str = "visits",
) -> tuple[list[str], list[Finding]]:
    """Return notes on what was filled, and a finding on what could not be."""
    notes = []
    for clock in clocks[1:]:
        if n := joined.filled.get(clock.name):
            notes.append(f"times of {n} {visits} from {clock.name}{', to a year' if clock.whole else ''}")
    if not joined.unjoined:
        return notes, []
    rows = sorted(joined.unjoined)
    who = tuple(dict.fromkeys(str(subjects[row]) for row in rows))
    named = [f"subject {subjects[row]} ({place(row)}; {joined.unjoined[row]})" for row in rows]
    text = (
        f"{source}: times of {len(rows)} {visits} stay unknown, as nothing joins them to {clocks[0].name}: "
        f"{some(named, 3)}"
    )
    cure = "give both at one visit of each of these people, or the date of birth in a column date_of_birth"
    if any(why.endswith(_CONTRADICTS) for why in joined.unjoined.values()):
        cure = f"correct what contradicts; else {cure}"
    named_in = {why.split(":")[0] for why in joined.unjoined.values()}
    columns = tuple(clock.name for clock in clocks if clock is clocks[0] or clock.name in named_in)
    return notes, [Finding("warning", "times-unjoined", text, columns, who, cure)]
