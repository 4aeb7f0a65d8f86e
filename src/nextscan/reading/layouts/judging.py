"""Which columns of numbers are no features of images: labels, what is left out, and what is doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.columns.behaviour import Behaviour, behaviour, ordering
from nextscan.reading.columns.roles import is_change, role_of
from nextscan.reading.formats.tables import Texts
from nextscan.reading.times.visit_names import ordered

DOUBTFUL = "doubtful-columns"
"""The finding that lists columns taken as features that may be none."""


@dataclass(frozen=True)
class Judgement:
    """Features and labels among columns of numbers, what is left out, and what to say about it."""

    features: list[str]
    labels: list[str]
    gone: set[str]
    findings: list[Finding]


def judge(
    source: str,
    features: Sequence[str],
    columns: Sequence[str],
    numbers: FloatArray,
    *,
    subjects: Texts,
    visits: Texts | None,
    time: FloatArray,
    binary: Sequence[str] = (),
) -> Judgement:
    """Tell scores, changes, copies of the baseline, identifiers and times from measures of images.

    Changes between visits are left out, unless there is nothing else: they tell a model what it is to predict.

    Parameters
    ----------
    source : str
        The file, for messages.
    features : sequence of str
        Columns of numbers that are features unless something speaks against it.
    columns : sequence of str
        Names of the columns of `numbers`.
    numbers : ndarray, shape (n, n_columns)
    subjects : ndarray of str, shape (n,)
        None where a row is blank.
    visits : ndarray of str, or None
    time : ndarray, shape (n,)
        In years; NaN where unknown.
    binary : sequence of str
        Columns of two whole numbers, taken as labels.
    """
    named: Texts = pd.notna(subjects)
    rows = slice(None) if named.all() else np.flatnonzero(named)
    position = pd.factorize(pd.Series(subjects[rows]))[0].astype(np.intp)
    names = None if visits is None else visits[rows]
    rank = {} if names is None else {name: i for i, name in enumerate(ordered({*names} - {None}))}
    order = ordering(time[rows], names, rank)
    at = {name: i for i, name in enumerate(columns)}
    changes = [name for name in features if is_change(name) and role_of(name) != "score"]
    if len(changes) == len(features):
        changes = []  # who has nothing but changes wants these
    measured = [name for name in features if name not in changes]
    found = behaviour([*measured, *binary], at, numbers[rows], position, order, time[rows])
    left = [name for name in measured if name not in found.gone]
    scores = [name for name in left if role_of(name) == "score"]
    if len(scores) == len(left):
        scores = []  # who has nothing but scores wants these
    doubtful = {name: why for name, why in found.doubtful.items() if name not in scores}
    doubtful |= {name: "two whole numbers, taken as labels" for name in binary if name not in found.gone}
    measures = [name for name in left if name not in scores]
    findings = _findings(source, found, scores, doubtful)
    if changes:
        zero = [name for name in changes if _starts_at_zero(numbers[rows, at[name]], position, order)]
        findings.insert(0, _about_changes(source, changes, zero))
    return Judgement(measures, scores, {*found.gone, *changes}, findings)


def _starts_at_zero(values: FloatArray, position: IntArray, order: FloatArray) -> bool:
    """Tell whether a column is 0 at everybody's first visit where it is known, and not at all others."""
    by_time = np.lexsort((order, position))
    first = by_time[np.unique(position[by_time], return_index=True)[1]]
    known = values[first][~np.isnan(values[first])]
    return bool(known.size and not known.any() and np.nan_to_num(values).any())


def _about_changes(source: str, changes: list[str], zero: list[str]) -> Finding:
    line = f"{source}: by name changes between visits, which look into the future, left out: {', '.join(changes)}"
    line += f"; 0 at everybody's first visit: {', '.join(zero)}" if zero else ""
    listed = ", ".join(f'"{name}"' for name in changes)
    cure = f"if they are changes, say so in a schema: exclude = [{listed}]; if not, name the features: features = [...]"
    return Finding("warning", "change-columns", line, tuple(changes), cure=cure)


def _findings(source: str, found: Behaviour, scores: list[str], doubtful: dict[str, str]) -> list[Finding]:
    keep = "to keep them, name the features in a schema: features = [...]"
    known = [f"{name} ({unit})" for name, unit in found.times.items() if unit]
    open_times = [name for name, unit in found.times.items() if not unit]
    findings = []
    if open_times:
        line = f"{source}: {some(open_times)} starts at 0 for everybody and grows: a time, left out of the features"
        cure = f'say it in a schema: [time] column = "{open_times[0]}", unit = "days" (or weeks, months, years)'
        findings.append(Finding("warning", "time-columns", line, tuple(open_times), cure=cure))
    told = {
        "clinical-scores": (scores, "clinical scores, taken as labels rather than as features of images", scores),
        "baseline-copies": (
            [f"{name} ({of})" for name, of in found.copies.items()],
            "copies of a value at the first visit, left out",
            list(found.copies),
        ),
        "identifier-columns": (
            [*found.identifiers, *found.counters],
            "numbers of people, rows or visits, left out",
            [*found.identifiers, *found.counters],
        ),
        "times-left-out": (
            known, "grows just as time does, left out", [name for name, unit in found.times.items() if unit],
        ),
    }  # fmt: skip
    for code, (named, what, columns) in told.items():
        if named:
            line = f"{source}: {what}: {', '.join(named)}"
            findings.append(Finding("note", code, line, tuple(columns), cure=keep))
    if doubtful:
        why: dict[str, list[str]] = {}
        for name, reason in doubtful.items():
            why.setdefault(reason, []).append(name)
        line = "; ".join(f"{reason}: {', '.join(named)}" for reason, named in why.items())
        cure = "name the features, or what to leave out, in a schema: exclude = [...]"
        findings.append(Finding("note", DOUBTFUL, f"{source}: doubtful columns: {line}", tuple(doubtful), cure=cure))
    return findings
