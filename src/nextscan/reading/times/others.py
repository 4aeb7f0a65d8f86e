"""Columns of times besides the one that is used: whether they tell the same gaps between visits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, some
from nextscan.reading.columns.vocabulary import PER_YEAR
from nextscan.reading.formats.tables import Table, Texts
from nextscan.reading.times.columns import TimeColumn, is_time, read_time

_FAR, _FAR_SHARE = 1.0, 0.5  # years, and share of the shorter gap, by which two columns of times may differ


def disagreeing(
    table: Table,
    used: TimeColumn,
    time: FloatArray,
    others: Iterable[TimeColumn],
    texts: dict[str, Texts],
    subjects: Texts,
) -> list[Finding]:
    """Compare gaps between visits in other columns of times and dates with those in the column that is used.

    Columns that cannot be read, or that tell something else than when the visit was, as most of their gaps differ,
    say nothing.
    """
    if used.kept_unit != "years":
        return []
    position, _ = pd.factorize(pd.Series(subjects), sort=False)
    order = np.lexsort((time, position))
    findings = []
    for other in others:
        try:
            values, column = read_time(table, other, texts[other.column])
        except CohortError:
            continue
        if column.kept_unit != "years" or not is_time(column, values, subjects):
            continue
        pair = np.diff(position[order]) == 0
        gap, theirs = np.diff(time[order]), np.diff(values[order])
        pair &= ~np.isnan(gap + theirs)
        far = pair & (np.abs(gap - theirs) > np.maximum(_FAR, _FAR_SHARE * np.minimum(np.abs(gap), np.abs(theirs))))
        if not far.any():
            continue
        unit = _ratio_of_units(gap[pair], theirs[pair])
        if unit or 2 * far.sum() <= pair.sum():
            findings.append(_disagreement(table, used, column, order, gap, theirs, np.flatnonzero(far), subjects, unit))
    return findings


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
