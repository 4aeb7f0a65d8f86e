"""Times of visits held against their names: a baseline after its follow-up, a month that lasts for years."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import PER_YEAR
from nextscan.reading.times.order import NamedOrder, comparable, named_order

_FAR, _FAR_SHARE = 1.0, 0.5  # years, and share of the nominal time, that a visit may lie from where its name says
_RATIO = 0.15  # how far a ratio of times may lie from that of two units


def against_names(rows: VisitRows) -> list[Finding]:
    """Compare measured times with the names of visits; rows are in order of time.

    Returns
    -------
    list of Finding
        ``visit-order`` (an error) where a visit lies after one that should follow it; ``time-unit`` (an error) where
        all times differ from those in names by the ratio of two units; ``visit-against-time`` (a warning) where single
        visits lie far from the time in their names.
    """
    position, _ = pd.factorize(pd.Series(rows.subjects), sort=False)
    names = named_order(rows, position)
    if names is None or np.isnan(rows.time).all():
        return []
    first = np.flatnonzero((np.diff(position) == 0) & (np.diff(rows.time) > 0))
    assert rows.visits is not None
    is_imputed = np.array([str(name).startswith("imputed") for name in rows.visits])
    first = first[~is_imputed[first] & ~is_imputed[first + 1]]
    back = first[comparable(names, first, first + 1) & _reversed(names, first)]
    return [*_backwards(rows, back), *_far(rows, names, np.setdiff1d(first, back))]


def _reversed(names: NamedOrder, first: IntArray) -> BoolArray:
    same_time = names.years[first] == names.years[first + 1]
    return np.asarray((names.rank[first] > names.rank[first + 1]) & ~same_time)


def _backwards(rows: VisitRows, back: IntArray) -> list[Finding]:
    if not len(back):
        return []
    assert rows.visits is not None
    who = list(dict.fromkeys(rows.subjects[back]))
    told = [
        f"{_subject(rows, i)}visit {rows.visits[i + 1]} has {rows.moment(i + 1)} and visit {rows.visits[i]} "
        f"{rows.moment(i)}, {rows.visits[i + 1]} lies after {rows.visits[i]}"
        for i in back[:3]
    ]
    more = f" (and {len(who) - 3} more subjects: {some(who[3:])})" if len(who) > 3 else ""
    text = f"{rows.where(int(back[0]))}: time runs backwards for {'; for '.join(told)}{more}"
    return [Finding("error", "visit-order", text, subjects=tuple(who), cure="correct the visit or the time")]


def _subject(rows: VisitRows, row: int) -> str:
    return f"subject {rows.subjects[row]}: "


def _far(rows: VisitRows, names: NamedOrder, first: IntArray) -> list[Finding]:
    """Find pairs whose measured gap is far from the gap in their names."""
    assert rows.visits is not None
    same = (names.is_date[first] == names.is_date[first + 1]) & names.settled[first]
    first = first[same & ~np.isnan(names.years[first] + names.years[first + 1])]
    if not len(first) or rows.time_unit != "years":
        return []
    meant, gap = names.years[first + 1] - names.years[first], np.diff(rows.time)[first]
    known = rows.time[~np.isnan(rows.time)]
    whole = 1.0 if rows.time_kind == "age" and np.array_equal(known, np.round(known)) else 0.0
    far = np.abs(gap - meant) > np.maximum(_FAR, _FAR_SHARE * meant) + whole
    if rows.time_kind != "date" and (unit := _other_unit(meant, gap)):
        i = int(first[0])
        column = f"column {rows.time_column} is" if rows.time_column else "times are"
        text = (
            f"{rows.source}: {column} read as years, names of visits say {unit}: subject {rows.subjects[i]} has "
            f"{gap[0]:.3g} years between {rows.visits[i]} and {rows.visits[i + 1]}"
        )
        cure = f'if names are right, write in a schema: time = {{ column = "{rows.time_column}", unit = "{unit}" }}'
        return [Finding("error", "time-unit", text, (rows.time_column,) if rows.time_column else (), cure=cure)]
    if not far.any():
        return []
    who = list(dict.fromkeys(rows.subjects[first[far]]))
    told = [
        f"subject {rows.subjects[i]}, visit {rows.visits[i + 1]} ({rows.moment(i + 1)}) lies {g:.2f} years after "
        f"{rows.visits[i]} ({rows.moment(i)})"
        for i, g in zip(first[far][:3], gap[far][:3], strict=True)
    ]
    more = f"; and {len(who) - 3} more subjects: {some(who[3:])}" if len(who) > 3 else ""
    text = f"{rows.source}: visits far from the time in their names: {'; '.join(told)}{more}"
    cure = "correct the visit or the time; the measured time is used"
    return [Finding("warning", "visit-against-time", text, subjects=tuple(who), cure=cure)]


def _other_unit(meant: FloatArray, gap: FloatArray) -> str:
    """Return the unit that times are in if all of them are too long by it; empty if there is none."""
    if len(meant) < 2 or not (meant > 0).all():
        return ""
    ratio = gap / meant
    fitting = (unit for unit, n in PER_YEAR.items() if n > 1 and (np.abs(ratio / n - 1) < _RATIO).all())
    return next(fitting, "")
