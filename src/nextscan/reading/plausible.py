"""Dates, ages and gaps that cannot be: placeholders, the future, lifetimes between scans, one wrong year."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.written_dates import DAYS_PER_YEAR

_EARLIEST = 5.0  # years since 1970: nobody was in a scanner before 1975
_PLANNED = 30.0  # years ahead in which a visit may be asked for
_LONGEST = 45.0  # years between two scans: the age of imaging
_OLDEST = 120.0
_ENOUGH_GAPS = 8
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
    unlike the other dates of a person, or unlike those of most people, counts. A gap stands alone if it is three times
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
    return [*findings, *_gaps(rows, position, wrong)]


def _impossible_dates(rows: VisitRows, position: IntArray) -> BoolArray:
    now = (datetime.date.today() - datetime.date(1970, 1, 1)).days / DAYS_PER_YEAR
    time, asked = rows.time, rows.is_request
    out = (time < _EARLIEST) | (time > now + np.where(asked, _PLANNED, 0.01))
    known = ~np.isnan(time)
    count, outside = (np.bincount(position, mask, minlength=len(rows)) for mask in (known, out))
    wholly, partly = (outside == count) & (count > 0), (outside > 0) & (outside < count)
    hidden = wholly.sum() > 0.5 * (count > 0).sum() and not partly.sum() > wholly.sum()
    wrong: BoolArray = out & (partly[position] | (not hidden))
    return wrong


def _age_cure(rows: VisitRows) -> str:
    typical = float(np.nanmedian(rows.time))
    if typical <= _OLDEST:
        return "correct the age, or leave it empty"
    unit = "months" if typical < 1500 else "days"
    column = rows.time_column or "age"
    return f'is it in {unit}? then write in a schema: time = {{ column = "{column}", kind = "age", unit = "{unit}" }}'


def _told(rows: VisitRows, position: IntArray, wrong: BoolArray, code: str, what: str, cure: str) -> list[Finding]:
    if not wrong.any():
        return []
    several = (np.bincount(position, minlength=len(rows)) > 1)[position]
    findings = []
    for level, marked in (("error", wrong & several), ("warning", wrong & ~several)):
        at = np.flatnonzero(marked)
        if not len(at):
            continue
        who = list(dict.fromkeys(rows.subjects[at]))
        named = [
            f"subject {rows.subjects[i]}{_visit(rows, i)} ({rows.place(int(rows.rows[i]))}): {rows.moment(i)}"
            for i in at.tolist()
        ]
        columns = (rows.time_column,) if rows.time_column else ()
        text = f"{rows.source}: {what}: {some(named, 5)}"
        findings.append(Finding("error" if level == "error" else "warning", code, text, columns, tuple(who), cure))
    return findings


def _visit(rows: VisitRows, row: int) -> str:
    return "" if rows.visits is None else f", visit {rows.visits[row]}"


def _gaps(rows: VisitRows, position: IntArray, wrong: BoolArray) -> list[Finding]:
    """Find gaps longer than the age of imaging, and those that stand alone."""
    first = np.flatnonzero((np.diff(position) == 0) & ~wrong[1:] & ~wrong[:-1])
    gap = np.diff(rows.time)[first]
    first, gap = first[gap > 0], gap[gap > 0]
    too_long = gap > _LONGEST
    rest = gap[~too_long]
    well, hardly = _alone(rest)
    impossible = too_long | np.isin(gap, well)
    findings = []
    others = f"the other gaps are {rest[~np.isin(rest, well)].min():.2g} to {rest[~np.isin(rest, well)].max():.3g}" if (
        len(rest) > len(well)
    ) else ""  # fmt: skip
    if impossible.any():
        cure = "correct the dates, ages or times, or leave them empty"
        if too_long.mean() > 0.5:
            column = rows.time_column or "..."
            cure = f'in months or days? give the unit in a schema: time = {{ column = "{column}", unit = "months" }}'
        findings.append(_about_gaps("error", "impossible-gap", rows, first[impossible], gap[impossible], others, cure))
    unusual = np.isin(gap, hardly)
    if unusual.any():
        cure = "check the dates, ages or times"
        findings.append(_about_gaps("warning", "unusual-gap", rows, first[unusual], gap[unusual], others, cure))
    return findings


def _about_gaps(
    level: str, code: str, rows: VisitRows, first: IntArray, gap: FloatArray, others: str, cure: str
) -> Finding:
    named = [
        f"subject {rows.subjects[i]}: {g:.1f} years between {_end(rows, i)} and {_end(rows, i + 1)}"
        for i, g in zip(first, gap, strict=True)
    ]
    who = tuple(dict.fromkeys(rows.subjects[first]))
    columns = (rows.time_column,) if rows.time_column else ()
    word = "gaps that cannot be" if level == "error" else "gaps unlike the others"
    text = f"{rows.source}: {word}: {some(named, 3)}{'; ' if others else ''}{others}"
    return Finding("error" if level == "error" else "warning", code, text, columns, who, cure)


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
