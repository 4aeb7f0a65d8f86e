"""From rows of visits to a cohort: order, years since the first visit, labels of subjects and of visits."""

from __future__ import annotations

import warnings
from collections.abc import Collection

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.cohort import Cohort
from nextscan.cohort.findings import Finding, allowed
from nextscan.errors import CohortError, NextscanWarning, some
from nextscan.reading.columns.future import future_labels
from nextscan.reading.columns.sentinels import codes_in
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.formats.tables import Texts
from nextscan.reading.times.against_names import against_names
from nextscan.reading.times.order import in_order, with_nominal_times, with_starts
from nextscan.reading.times.plausible import plausible

_OF_VISITS = frozenset({"age"})
_OF_PERSONS = frozenset({"sex", "gender"})


def assemble(rows: VisitRows, name: str, *, law: str = "", allow: Collection[str] = ()) -> tuple[Cohort, VisitRows]:
    """Make the cohort, and return the rows it was made of in the order of its visits.

    Visits of a subject are in order of time, or by their names where time is unknown, else as they appear in the
    file (`in_order`). Where the table has no time, names that tell one give it (`with_nominal_times`). Times are held
    against names (`against_names`) and against what can be (`plausible`).
    The first visit is at 0 years, unless time is a circle; later ones are at unknown years (NaN) where the table does
    not tell. A label belongs to subjects if everyone who has it has it from the first observed visit on,
    with one value; others belong to visits.

    Warns
    -----
    NextscanWarning
        Once for each of the rows' findings that is a warning or an error.
    """
    rows = _without_unseen(in_order(rows if rows.period else with_starts(rows)))
    if rows.period is None:
        rows = with_nominal_times(rows.telling(findings=against_names(rows)))
    rows = rows.telling(findings=plausible(rows))
    position, subjects = pd.factorize(pd.Series(rows.subjects), sort=False)
    first = np.flatnonzero(np.diff(position, prepend=-1))
    years = rows.clock - rows.clock[first][position] if rows.period is None else rows.time.copy()
    if rows.period is None:
        years[first] = 0.0
    visits = rows.visits if rows.visits is not None else _numbered(position, first)
    of_subject, of_visit, late, strange = _split_labels(rows, position, len(subjects))
    strange += [*codes_in(rows), *future_labels(rows, of_subject, of_visit, position)]
    rows = rows.telling([*_about_time(rows, position, years), *late], strange)
    findings = allowed(rows.findings, allow)
    for finding in findings:
        if finding.level in ("error", "warning"):
            warnings.warn(str(finding), NextscanWarning, stacklevel=3)
    cohort = Cohort(
        name=name,
        subjects=np.array(subjects, dtype=str),
        subject_of=position.astype(np.intp),
        visits=visits.astype(str),
        years=years,
        features=np.ascontiguousarray(rows.features),
        feature_names=rows.feature_names,
        labels=of_subject,
        visit_labels=of_visit,
        files={role: paths.astype(str) for role, paths in rows.files.items()},
        units=rows.units,
        time_unit=rows.time_unit,
        period=rows.period,
        source=rows.source,
        law=law,
        notes=rows.notes,
        findings=findings,
    )
    return cohort, rows


def _without_unseen(rows: VisitRows) -> VisitRows:
    """Leave out subjects without any observed visit: there is nothing to start from."""
    seen = set(rows.subjects[~rows.is_request])
    keep = np.array([subject in seen for subject in rows.subjects], bool)
    if keep.all():
        return rows
    unseen = list(dict.fromkeys(rows.subjects[~keep]))
    what = "image" if "volume" in rows.files else "feature"
    if not seen:
        raise CohortError(f"{rows.source}: no row has any {what}; there is nothing to learn from or to start from")
    line = f"{rows.source}: no {what}s at any visit for {len(unseen)} subjects ({some(unseen, 3)}); left out"
    return rows.take(keep).telling(findings=[Finding("warning", "no-observed-visit", line, subjects=tuple(unseen))])


def _numbered(position: IntArray, first: IntArray) -> Texts:
    return (np.arange(len(position)) - first[position] + 1).astype(str).astype(object)


def _split_labels(
    rows: VisitRows, position: IntArray, n_subjects: int
) -> tuple[pd.DataFrame, pd.DataFrame, list[str], list[Finding]]:
    """Return labels of subjects, labels of visits, notes and findings; what only a later visit tells is no baseline."""
    grouped = rows.labels.groupby(position, sort=True)
    observed = np.flatnonzero(~rows.is_request)
    start = observed[np.unique(position[observed], return_index=True)[1]]
    varying, late = [], {}
    for name in rows.labels:
        if (name in _OF_VISITS and rows.period is None) or grouped[name].nunique().max() > 1:
            varying.append(name)
        elif (only_later := (grouped[name].count() > 0).to_numpy() & rows.labels[name].iloc[start].isna()).any():
            late[name] = rows.subjects[start[only_later]]
    of_visit = [name for name in rows.labels if name in varying or name in late]
    of_subject = [name for name in rows.labels if name not in of_visit]
    notes = [
        f"{rows.source}: {name} is known only after the first visit of {some(who, 3)}; taken as a label of visits"
        for name, who in late.items()
    ]
    strange = []
    for name in varying:
        if canonical(name) in _OF_PERSONS:
            differing = grouped[name].nunique()
            who = tuple(dict.fromkeys(rows.subjects[np.isin(position, differing.index[differing > 1])]))
            line = f"{rows.source}: {name} differs between visits of {some(who)}"
            strange.append(Finding("warning", "label-differs", line, (name,), who, "check them"))
    subject_labels = grouped[of_subject].first() if of_subject else pd.DataFrame(index=range(n_subjects))
    return subject_labels.reset_index(drop=True), rows.labels[of_visit].reset_index(drop=True), notes, strange


def _about_time(rows: VisitRows, position: IntArray, years: FloatArray) -> list[str]:
    follow_up: BoolArray = np.diff(position, prepend=-1) == 0
    if not follow_up.any():
        return [f"{rows.source}: every subject has one visit"]
    unknown = follow_up & np.isnan(years)
    at_once = follow_up & (np.diff(years, prepend=np.nan) == 0)
    notes = []
    if unknown.any():
        notes.append(f"{rows.source}: time since the first visit is unknown for {int(unknown.sum())} follow-ups")
    if at_once.any():
        notes.append(
            f"{rows.source}: {int(at_once.sum())} visits are at the same time as the visit before (whole years?)"
        )
    return notes
