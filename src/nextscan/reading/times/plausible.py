"""Dates, ages and gaps that cannot be: placeholders, the future, lifetimes between scans, one wrong year."""

from __future__ import annotations

import datetime
from typing import Literal

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.times.dates import DAYS_PER_YEAR

_EARLIEST = 5.0  # years since 1970: nobody was in a scanner before 1975
_SHIFTED = -45.0  # before 1925: dates that BIDS has shifted there to hide them
_PLACEHOLDER, _NEW_YEAR = -70.0, 2 / DAYS_PER_YEAR  # 1 January 1900 and the days around it
_PLANNED = 30.0  # years ahead in which a visit may be asked for
_LONGEST = 45.0  # years between two scans: the age of imaging
_LONG = 15.0  # years that few studies wait
_LIKE_DAYS = 100.0  # half of the gaps are longer: too long for months, too
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_OLDEST = 120.0
_OLD = 95.0  # years that few people reach: where most are older, ages are in another unit
_ENOUGH_GAPS = 8
_ENOUGH_ORDERED = 20
_MOST_OUTLIERS, _SHARE_OF_OUTLIERS = 5, 0.05
# how many times as long as the next gap, and how many years longer, a gap is that stands alone
_ALONE, _WELL_ALONE = (1.75, 2.0), (3.0, 5.0)
_DEVIATIONS = 6.0


def plausible(rows: VisitRows) -> list[Finding]:
    """Test every date, age and gap of rows in order.

    Returns
    -------
    list of Finding
        Errors ``impossible-date``, ``impossible-age`` and ``impossible-gap``; a warning ``unusual-gap`` where a gap
        stands alone among the others, yet may be; and warnings in place of errors for people with one visit, from whom
        no change is learned.

    Notes
    -----
    A date is impossible before 1975, or in the future where a scan was taken, which is where placeholders lie
    (1900-01-01, 1970-01-01, 9999-12-31). Data sets that shift all dates there to hide them are left alone: what is
    unlike the other dates of a person, or unlike those of most people, counts. Whose dates all lie before 1925, where
    BIDS has them shifted to, is left alone too. A gap stands alone if it is three times
    (and five years) longer than the next shorter one, and far beyond the spread of the others.
    """
    if rows.time_unit != "years" or np.isnan(rows.time).all():
        return []
    position, _ = pd.factorize(pd.Series(rows.subjects), sort=False)
    wrong = np.zeros(len(rows), bool)
    findings: list[Finding] = []
    if rows.time_kind == "date":
        wrong = _impossible_dates(rows, position)
        what = "dates that cannot be those of a scan"
        findings += _told(rows, position, wrong, "impossible-date", what, "correct the date, or leave it empty")
    elif rows.time_kind == "age":
        wrong = np.asarray(rows.time > _OLDEST)
        findings += _told(rows, position, wrong, "impossible-age", "ages that cannot be", _age_cure(rows))
    return [*findings, *_gaps(rows, position, wrong), *_against_file(rows, position, wrong), *_calendar_years(rows)]


def _calendar_years(rows: VisitRows) -> list[Finding]:
    known = rows.time[~np.isnan(rows.time)]
    if rows.time_kind != "years" or known.min() < _FIRST_YEAR or known.max() > _LAST_YEAR or (known % 1).any():
        return []
    text = f"{rows.source}: times are calendar years, {known.min():.0f} to {known.max():.0f}: gaps may be a year off"
    columns = (rows.time_column,) if rows.time_column else ()
    return [Finding("note", "calendar-years", text, columns, cure="give dates or ages, if there are any")]


def _impossible_dates(rows: VisitRows, position: IntArray) -> BoolArray:
    now = (datetime.date.today() - datetime.date(1970, 1, 1)).days / DAYS_PER_YEAR
    time, asked = rows.time, rows.is_request
    out = (time < _EARLIEST) | (time > now + np.where(asked, _PLANNED, 0.01))
    known = ~np.isnan(time)
    count, outside = (np.bincount(position, mask, minlength=len(rows)) for mask in (known, out))
    wholly, partly = (outside == count) & (count > 0), (outside > 0) & (outside < count)
    hidden = wholly.sum() > 0.5 * (count > 0).sum() and not partly.sum() > wholly.sum()
    shifted = (time < _SHIFTED) & (np.abs(time - _PLACEHOLDER) > _NEW_YEAR)
    as_bids = np.bincount(position, shifted, minlength=len(rows)) == count
    wrong: BoolArray = out & (partly[position] | (not hidden)) & ~as_bids[position]
    return wrong


def _age_cure(rows: VisitRows) -> str:
    typical = float(np.nanmedian(rows.time))
    if typical <= _OLD:
        return "correct the age, or leave it empty"
    unit = "months" if typical < 1500 else "days"
    column = rows.time_column or "age"
    return f'is it in {unit}? then write in a schema: time = {{ column = "{column}", kind = "age", unit = "{unit}" }}'


def _told(rows: VisitRows, position: IntArray, wrong: BoolArray, code: str, what: str, cure: str) -> list[Finding]:
    several = (np.bincount(position, minlength=len(rows)) > 1)[position]
    levels: tuple[tuple[Literal["error", "warning"], BoolArray], ...] = (("error", several), ("warning", ~several))
    columns = (rows.time_column,) if rows.time_column else ()
    findings = []
    for level, part in levels:
        at = np.flatnonzero(wrong & part).tolist()
        if at:
            named = [
                f"subject {rows.subjects[i]}{_visit(rows, i)} ({rows.place(int(rows.rows[i]))}): {rows.moment(i)}"
                for i in at
            ]
            text = f"{rows.source}: {what}: {some(named, 5)}"
            findings.append(Finding(level, code, text, columns, tuple(dict.fromkeys(rows.subjects[at])), cure))
    return findings


def _visit(rows: VisitRows, row: int) -> str:
    return "" if rows.visits is None else f", visit {rows.visits[row]}"


def _gaps(rows: VisitRows, position: IntArray, wrong: BoolArray) -> list[Finding]:
    """Find gaps longer than the age of imaging, those that stand alone, and all of them too long for years."""
    seen = np.flatnonzero(~rows.is_request)
    pair = (np.diff(position[seen]) == 0) & ~wrong[seen[1:]] & ~wrong[seen[:-1]] & (np.diff(rows.clock[seen]) > 0)
    first, second, gap = seen[:-1][pair], seen[1:][pair], np.diff(rows.clock[seen])[pair]
    too_long = gap > _LONGEST
    well, hardly = _alone(gap[~too_long])
    usual = gap[~too_long & ~np.isin(gap, [*well, *hardly])]
    others = f"; the other gaps are {usual.min():.2g} to {usual.max():.3g} years" if len(usual) else ""
    unit = "days" if len(gap) and np.median(gap) > _LIKE_DAYS else "months"
    in_unit = f'time = {{ column = "{rows.time_column or "..."}", kind = "{rows.time_kind}", unit = "{unit}" }}'
    doubted = f"are times in {unit}? then give the unit in a schema: {in_unit}"
    told: list[tuple[Literal["error", "warning"], str, str, BoolArray, str]] = [
        ("error", "impossible-gap", "gaps that cannot be", too_long | np.isin(gap, well),
         doubted if len(gap) and too_long.mean() > 0.5 else "correct the dates, ages or times, or leave them empty"),
        ("warning", "unusual-gap", "gaps unlike the others", np.isin(gap, hardly), "check the dates, ages or times"),
    ]  # fmt: skip
    if rows.time_kind != "date" and len(gap) and _LONG < np.median(gap) <= _LONGEST:
        told.append(("warning", "time-unit", "most gaps are very long", gap >= np.median(gap), doubted))
    findings = []
    for level, code, what, marked, cure in told:
        if not marked.any():
            continue
        named = [
            f"subject {rows.subjects[i]}: {g:.1f} years between {_end(rows, i)} and {_end(rows, j)}"
            for i, j, g in zip(first[marked].tolist(), second[marked].tolist(), gap[marked], strict=True)
        ]
        who = tuple(dict.fromkeys(rows.subjects[first[marked]]))
        columns = (rows.time_column,) if rows.time_column else ()
        findings.append(Finding(level, code, f"{rows.source}: {what}: {some(named, 3)}{others}", columns, who, cure))
    return findings


def _end(rows: VisitRows, row: int) -> str:
    visit = "" if rows.visits is None else f"visit {rows.visits[row]} "
    return f"{visit}({rows.moment(row)})" if visit else rows.moment(row)


def _alone(gap: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the gaps that stand well alone above the others, and those that do but may be."""
    none = np.zeros(0)
    if len(gap) < _ENOUGH_GAPS:
        return none, none
    ordered = np.sort(gap)
    most = max(1, min(_MOST_OUTLIERS, int(_SHARE_OF_OUTLIERS * len(gap))))
    below, above = ordered[-most - 1 : -1], ordered[-most:]
    centre = np.median(np.log(ordered))
    spread = max(1.4826 * float(np.median(np.abs(np.log(ordered) - centre))), 0.05)
    beyond = (np.log(above) - centre) / spread > _DEVIATIONS
    found = []
    for ratio, years in (_WELL_ALONE, _ALONE):
        holes = np.flatnonzero(beyond & (above >= ratio * below) & (above - below >= years))
        found.append(above[holes[0] :] if len(holes) else none)
    return found[0], np.setdiff1d(found[1], found[0])


def _against_file(rows: VisitRows, position: IntArray, wrong: BoolArray) -> list[Finding]:
    """Find the few people whose rows lie in the file against time, where those of all others lie along it."""
    if rows.visits is not None:
        return []
    first = np.flatnonzero((np.diff(position) == 0) & (np.diff(rows.time) > 0) & ~wrong[1:] & ~wrong[:-1])
    back = first[np.diff(rows.rows)[first] < 0]
    if not len(back) or len(first) < _ENOUGH_ORDERED or len(back) > _SHARE_OF_OUTLIERS * len(first):
        return []
    who = tuple(dict.fromkeys(rows.subjects[back]))
    named = [
        f"subject {rows.subjects[i]} ({rows.place(int(rows.rows[i + 1]))}: {rows.moment(i + 1)}, "
        f"{rows.place(int(rows.rows[i]))}: {rows.moment(i)})"
        for i in back.tolist()
    ]
    text = f"{rows.source}: rows lie in the file against time, unlike those of everyone else: {some(named, 3)}"
    cure = "correct the time, if one is wrong; visits are in order of time"
    return [Finding("warning", "rows-against-time", text, subjects=who, cure=cure)]
