"""Columns of times besides the one that is used: whether they tell the same gaps and days, and what they fill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, some
from nextscan.reading.columns.vocabulary import PER_YEAR, canonical
from nextscan.reading.formats.tables import Table, Texts
from nextscan.reading.times.cells import read_dates
from nextscan.reading.times.columns import TimeColumn, is_time, read_time
from nextscan.reading.times.dates import DAYS_PER_YEAR
from nextscan.reading.times.joined import Clock, join_clocks, told

_FAR, _FAR_SHARE = 1.0, 0.5  # years, and share of the shorter gap, by which two columns of times may differ
_PLANNED = frozenset({"m"})
"""Columns of the months that a plan says, not of those that passed."""

Read = Sequence[tuple[TimeColumn, FloatArray]]
"""Columns of times, and what they tell in years."""


def read_others(
    table: Table, used: TimeColumn, others: Iterable[TimeColumn], texts: dict[str, Texts], subjects: Texts
) -> Read:
    """Return the other columns that tell when visits were: those that can be read, and differ between visits."""
    read = []
    for other in others if used.kept_unit == "years" else ():
        try:
            values, column = read_time(table, other, texts[other.column])
        except CohortError:
            continue
        if column.kept_unit == "years" and is_time(column, values, subjects):
            read.append((column, values))
    return read


@dataclass(frozen=True, eq=False)
class Filled:
    """Times with gaps filled by other columns, of people of whom they tell nothing those `aside`, and what to say."""

    time: FloatArray
    aside: FloatArray | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def with_others(
    table: Table,
    used: TimeColumn,
    time: FloatArray,
    others: Read,
    ages: Clock | None,
    births: Texts | None,
    subjects: Texts,
) -> Filled:
    """Fill gaps in times by the other columns and ages, and tell where these contradict them.

    Parameters
    ----------
    table : Table
    used : TimeColumn
    time : ndarray of float
        What it tells.
    others : sequence of (TimeColumn, ndarray of float)
        The better ones first; ages come after them.
    ages : Clock, optional
    births : ndarray of str, optional
        Dates of birth.
    subjects : ndarray of str
    """
    findings = disagreeing(table, used, time, others, subjects)
    notes = differing_days(used, time, others)
    if used.kept_unit != "years":
        return Filled(time, None, tuple(notes), tuple(findings))
    clocks = [Clock(used.column, used.kind, time), *fillers(time, others, subjects), *([] if ages is None else [ages])]
    born = None if births is None else _born(table, births)
    joined = join_clocks(clocks, subjects, born)
    more, unjoined = told(joined, clocks, subjects, str(table.path), table.place)
    aside = None if np.isnan(joined.aside).all() else joined.aside
    return Filled(joined.time, aside, (*notes, *more), (*findings, *unjoined))


def _born(table: Table, births: Texts) -> FloatArray | None:
    try:
        return read_dates(table, "date of birth", births).years
    except CohortError:
        return None  # of no use here, and no time of a visit


def disagreeing(table: Table, used: TimeColumn, time: FloatArray, others: Read, subjects: Texts) -> list[Finding]:
    """Compare gaps between visits in other columns of times and dates with those in the column that is used.

    Columns that tell something else than when the visit was, as most of their gaps differ, say nothing.
    """
    findings = []
    for column, values in others:
        order, gap, theirs, pair, far = _gaps(time, values, subjects)
        if not far.any():
            continue
        unit = _ratio_of_units(gap[pair], theirs[pair])
        if unit or 2 * far.sum() <= pair.sum():
            findings.append(_disagreement(table, used, column, order, gap, theirs, np.flatnonzero(far), subjects, unit))
    return findings


def differing_days(used: TimeColumn, time: FloatArray, others: Read) -> list[str]:
    """Return notes on other columns of dates whose days differ from those in use."""
    notes = []
    for column, values in others if used.kind == "date" else ():
        days = np.abs(values - time) * DAYS_PER_YEAR
        other = days[~np.isnan(days)] >= 1
        if column.kind == "date" and other.any():
            most = f"by up to {np.nanmax(days):.0f} days"
            notes.append(
                f"{column.column} differs from {used.column} at {int(other.sum())} visits, {most}; the latter is used"
            )
    return notes


def fillers(time: FloatArray, others: Read, subjects: Texts) -> list[Clock]:
    """Return the other columns that may fill gaps of the one in use: whose gaps are the same where both are known."""
    found = []
    for column, values in others:
        *_, pair, far = _gaps(time, values, subjects)
        if 2 * far.sum() <= pair.sum() and canonical(column.column) not in _PLANNED:
            found.append(Clock(column.column, column.kind, values))
    return found


def _gaps(
    time: FloatArray, values: FloatArray, subjects: Texts
) -> tuple[IntArray, FloatArray, FloatArray, BoolArray, BoolArray]:
    """Return the order of visits, gaps by both columns, which of them are known, and which of these lie far apart."""
    position, _ = pd.factorize(pd.Series(subjects), sort=False)
    order = np.lexsort((time, position))
    pair = np.diff(position[order]) == 0
    gap, theirs = np.diff(time[order]), np.diff(values[order])
    pair &= ~np.isnan(gap + theirs)
    far = pair & (np.abs(gap - theirs) > np.maximum(_FAR, _FAR_SHARE * np.minimum(np.abs(gap), np.abs(theirs))))
    return order, gap, theirs, pair, far


def _ratio_of_units(gap: FloatArray, theirs: FloatArray) -> str:
    usable = (gap > 0.2) & (theirs > 0) | (theirs > 0.2) & (gap > 0)
    if not usable.any() or not usable.mean() > 0.5:
        return ""
    ratio = theirs[usable] / gap[usable]
    for unit, n in PER_YEAR.items():
        for k, which in ((n, "the other"), (1 / n, "the column in use")):
            if n > 1 and np.mean(np.abs(ratio / k - 1) < 0.1) > 0.9:
                return f"as if {which} were in {unit}"
    return ""


def _disagreement(
    table: Table,
    used: TimeColumn,
    other: TimeColumn,
    order: IntArray,
    gap: FloatArray,
    theirs: FloatArray,
    far: IntArray,
    subjects: Texts,
    unit: str,
) -> Finding:
    who = list(dict.fromkeys(subjects[order[far]]))
    named = [
        f"subject {subjects[order[i]]}, {table.place(int(order[i]))} to {table.place(int(order[i + 1]))}: "
        f"{gap[i]:.2f} and {theirs[i]:.2f} years"
        for i in far
    ]
    text = (
        f"{table.path}: columns {used.column} and {other.column} disagree on gaps between visits"
        f"{', ' + unit if unit else ''}: {some(named, 3)}"
    )
    cure = f"correct one of the two; {used.column} is used"
    return Finding("warning", "times-disagree", text, (used.column, other.column), tuple(map(str, who)), cure)
