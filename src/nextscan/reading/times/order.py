"""The order of visits: by their time, else by their names, else by the file; and times that names tell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.times.dates import day_of
from nextscan.reading.times.visit_names import visit_names

ONLY_NUMBER = "visit"
"""Kind of time where a schema says that a column only numbers visits: then names give no times either."""
_TIMES = {"date": "dates", "age": "ages"}


@dataclass(frozen=True, eq=False)
class NamedOrder:
    """What the names of visits say about their order, row by row.

    Attributes
    ----------
    rank : ndarray of int
        Grows along the visits of a subject whose names can be compared.
    family : ndarray of int
        Names of one family can be compared; -1 for first and last visits, which compare with all.
    place : ndarray of int
        See `nextscan.reading.times.visit_names.VisitName`.
    years : ndarray of float
        Time in the name; NaN where it tells none.
    is_date : ndarray of bool
    by_file : ndarray of int
        Rank of a name as names appear in the longest series.
    settled : ndarray of bool
        Whether all names of the row's subject can be compared.
    in_order, as_filed : list of str
        All names.
    """

    rank: IntArray
    family: IntArray
    place: IntArray
    years: FloatArray
    is_date: BoolArray
    by_file: IntArray
    settled: BoolArray
    in_order: list[str]
    as_filed: list[str]


def named_order(rows: VisitRows, position: IntArray) -> NamedOrder | None:
    """Read the names of visits; None where the table names none."""
    if rows.visits is None:
        return None
    code, unique = pd.factorize(pd.Series(rows.visits), sort=False)
    names = [str(name) for name in unique]
    read = visit_names(names)
    in_order = sorted(names, key=lambda name: read[name].key)
    longest = np.argsort(-np.bincount(position)[position], kind="stable")
    appearing = [names[i] for i in pd.unique(code[longest])]
    as_filed = sorted(appearing, key=lambda name: read[name].place)
    families = {name: i for i, name in enumerate(dict.fromkeys(v.family for v in read.values() if v.family))}
    family = np.array([families.get(read[name].family, -1) for name in names])[code]
    several = family >= 0
    low, high = np.full(len(rows), len(families)), np.full(len(rows), -1)
    np.minimum.at(low, position[several], family[several])
    np.maximum.at(high, position[several], family[several])
    years = np.array([np.nan if (y := read[name].years) is None else y for name in names])
    return NamedOrder(
        rank=pd.Index(in_order).get_indexer(pd.Index(names))[code],
        family=family,
        place=np.array([read[name].place for name in names])[code],
        years=years[code],
        is_date=np.array([read[name].family == "date" for name in names])[code],
        by_file=pd.Index(as_filed).get_indexer(pd.Index(names))[code],
        settled=(high <= low)[position],
        in_order=in_order,
        as_filed=as_filed,
    )


def in_order(rows: VisitRows) -> VisitRows:
    """Return rows with visits of a subject adjacent and in order; subjects as they first appear.

    Visits are in order of time. Those of subjects with a visit whose time is unknown are in order of their names,
    or as they appear in the file where names cannot be compared. A note says which.
    """
    position, _ = pd.factorize(pd.Series(rows.subjects), sort=False)
    names = named_order(rows, position)
    rank = np.zeros(len(rows), int) if names is None else np.where(names.settled, names.rank, names.by_file)
    repeated = (np.bincount(position, minlength=len(rows)) > 1)[position]
    by_name = np.isnan(rows.clock) & repeated
    partly = np.bincount(position, by_name, minlength=len(rows))[position] > 0
    time = np.where(partly & (rows.visits is not None), 0.0, rows.clock)
    lines = []
    if (repeated & ~partly).any():
        lines.append(f"visits in order of their {_TIMES.get(rows.time_kind, 'times')}")
    if names is not None:
        tied = pd.DataFrame({"subject": position, "time": time}).duplicated(keep=False).to_numpy()
        if (partly & names.settled).any():
            lines.append(f"visits in order of their names: {some(names.in_order, 8)}")
        if (tied & ~names.settled).any():
            lines.append(f"visits in order of the file: {some(names.as_filed, 8)}")
    lines = [line for line in (f"{rows.source}: {line}" for line in lines) if line not in rows.notes]
    order = np.lexsort((rank, time, position))
    rows = rows.telling(lines)
    return rows.take(order) if (np.diff(order) < 0).any() else rows


def with_starts(rows: VisitRows) -> VisitRows:
    """Return rows with 0 years at first visits, if times since then are left empty at all of these."""
    empty = np.isnan(rows.time)
    if rows.visits is None or rows.time_kind != "years" or not empty.any() or empty.all():
        return rows
    position, subjects = pd.factorize(pd.Series(rows.subjects), sort=False)
    names = named_order(rows, position)
    assert names is not None
    lowest = np.full(len(subjects), len(rows))
    np.minimum.at(lowest, position, names.rank)
    is_first = (names.rank == lowest[position]) & (np.bincount(position)[position] > 1) & names.settled
    if (is_first & ~empty).any() or (empty & ~is_first & (np.bincount(position)[position] > 1)).any():
        return rows
    if not is_first.any() or (rows.time[~empty] <= 0).any():
        return rows
    line = f"{rows.source}: time is empty at the first visit of everyone who came back: read as 0"
    return replace(rows, time=np.where(is_first, 0.0, rows.time)).telling([line])


def with_nominal_times(rows: VisitRows) -> VisitRows:
    """Return ordered rows with the times their names tell, where the table has no time at all; with a note.

    A name tells a time by a number with a unit (``m12``, ``2 years``), as a first visit (``bl``), or as a date. A bare
    number (``visit 2``, ``V04``) tells none.
    """
    if rows.visits is None or rows.time_kind or not np.isnan(rows.time).all():
        return rows
    position, _ = pd.factorize(pd.Series(rows.subjects), sort=False)
    names = named_order(rows, position)
    assert names is not None
    dated = np.bincount(position, names.is_date, minlength=len(rows))[position] > 0
    time = np.where(names.is_date | ~dated, names.years, np.nan)
    known = np.flatnonzero(~np.isnan(time))
    back = known[1:][(np.diff(position[known]) == 0) & (np.diff(time[known]) < 0)]  # names against the file
    time[np.isin(position, position[back])] = np.nan
    told = (np.diff(position) == 0) & ~np.isnan(np.diff(time))
    if not told.any():
        return rows
    date = bool(names.is_date.any()) and not (names.family[~names.is_date] >= 0).any()
    if date:
        time[~names.is_date] = np.nan
    shown = dict(zip(rows.visits, time, strict=True))
    meant = [f"{name} = {day_of(shown[name]):%Y-%m-%d}" if date else f"{name} = {shown[name]:.3g}"
             for name in names.in_order if not np.isnan(shown.get(name, np.nan))]  # fmt: skip
    what = "are the dates in" if date else "are nominal, in years, from"
    line = f"{rows.source}: no column tells when visits were; times {what} their names: {some(meant, 8)}"
    column = rows.visit_column or "..."
    cure = (
        "name a column of measured times in a schema, or leave times unknown: "
        f'time = {{ column = "{column}", kind = "{ONLY_NUMBER}" }}'
    )
    filled = replace(rows, time=time, time_kind="date" if date else "years", time_unit="years")
    return filled.telling(findings=[Finding("note", "nominal-times", line, cure=cure)])


def comparable(names: NamedOrder, before: IntArray, after: IntArray) -> BoolArray:
    """Tell of pairs of rows whether their names say which comes first."""
    a, b = names.family[before], names.family[after]
    same = (a == b) & (a >= 0)
    ends = (names.place[before] != names.place[after]) & ((a < 0) | (b < 0))
    return np.asarray(same | ends)
