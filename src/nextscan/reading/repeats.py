"""The same imaging twice: what is an upstream repeat and what is an error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray
from nextscan.cohort.findings import Finding
from nextscan.cohort.ties import improbable_ties
from nextscan.errors import CohortError, some
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.tables import Texts

_CHUNK = 4096


def digests(rows: VisitRows) -> Texts:
    """Hash the features and the path of the volume of each row: equal ones, equal digests."""
    found = np.empty(len(rows), dtype=object)
    for start in range(0, len(rows), _CHUNK):
        values = rows.features[start : start + _CHUNK] + 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan  # one kind of NaN
        found[start : start + _CHUNK] = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in values]
    if "volume" in rows.files:
        pairs = zip(found, rows.files["volume"], strict=True)
        found[:] = [hashlib.blake2b(digest + path.encode(), digest_size=16).digest() for digest, path in pairs]
    return found


def without_repeats(rows: VisitRows) -> VisitRows:
    """Drop rows that repeat another row of the table; the first is kept, with a warning.

    - The same subject, visit and time with the same features: a repeated row.
    - The same subject with the same features at another visit or time: an upstream repeat, never a
      follow-up, as no two scans give the same values.
    - A subject all of whose scans are those of other subjects: one person under two names.

    The last two are told only where chance cannot explain the tie (`nextscan.cohort.ties`).

    Raises
    ------
    CohortError
        If the same subject and visit (or the same subject and time, or just the same subject, where
        the table has no more) has rows with different features.
    """
    rows = _without_empty_twins(rows)
    observed = ~rows.is_request
    digest = digests(rows)
    within, between = improbable_ties(rows.features, digest, rows.subjects, observed)
    frame = pd.DataFrame(
        {"subject": rows.subjects, "digest": digest, "visit": _visit_key(rows), "row": range(len(rows))}
    )
    same_visit = frame[observed].duplicated(["subject", "digest", "visit"]).reindex(frame.index, fill_value=False)
    same_scan = frame[observed & within].duplicated(["subject", "digest"]).reindex(frame.index, fill_value=False)
    repeated, reused = same_visit.to_numpy(), (same_scan & ~same_visit).to_numpy()
    keep = ~(repeated | reused)
    findings = []
    if repeated.any():
        first = int(np.flatnonzero(repeated)[0])
        line = f"{rows.where(first)}: subject {rows.subjects[first]} repeats an earlier row"
        findings.append(_finding("repeated-row", line, f"{_count(repeated, 'such row')} left out", rows, repeated))
    if reused.any():
        line = (
            f"{rows.source}: {_count(reused, 'row')} of {_subjects(rows, reused)} hold the same imaging as another "
            f"visit of the same subject ({rows.place(int(rows.rows[reused.argmax()]))})"
        )
        cure = "taken as an upstream repeat, not as a follow-up: the first row is kept"
        findings.append(_finding("repeated-imaging", line, cure, rows, reused))
    twins, partly = _twins(frame, rows, observed & keep, between)
    if twins.any():
        row = int(np.flatnonzero(twins)[0])
        other = frame.loc[(frame["digest"] == digest[row]) & keep, "subject"].iloc[0]
        line = f"{rows.where(row)}: subject {rows.subjects[row]} has the same imaging as subject {other}"
        findings.append(
            _finding("twin-subject", line, f"{_subjects(rows, twins)} left out as duplicates of others", rows, twins)
        )
    if partly:
        line = f"{rows.source}: subjects share some, not all, of their scans with others: {some(partly)}"
        findings.append(Finding("warning", "shared-scans", line, subjects=tuple(partly), cure="check them"))
    _check_distinct(rows, frame[keep & observed])
    keep &= ~twins
    return rows.take(keep).telling(findings=findings) if findings else rows


def _without_empty_twins(rows: VisitRows) -> VisitRows:
    """Drop a request where the same visit is also observed, and a request made twice."""
    request = rows.is_request
    if not request.any():
        return rows
    frame = pd.DataFrame({"subject": rows.subjects, "visit": _visit_key(rows)})
    seen = pd.MultiIndex.from_frame(frame).isin(pd.MultiIndex.from_frame(frame[~request]))
    named = (frame["visit"] != "").to_numpy()
    drop = request & ((named & seen) | (frame.duplicated() & request)).to_numpy()
    if not drop.any():
        return rows
    return rows.take(~drop).telling([f"{rows.source}: {_count(drop, 'empty row')} left out: the visit has another row"])


def _visit_key(rows: VisitRows) -> Texts:
    """Return what tells the visits of a subject apart: the visit's name, else its time, else nothing."""
    if rows.visits is not None:
        return rows.visits
    return np.array(["" if np.isnan(value) else repr(float(value)) for value in rows.time], dtype=object)


def _twins(frame: pd.DataFrame, rows: VisitRows, scans: BoolArray, telling: BoolArray) -> tuple[BoolArray, list[str]]:
    """Mark all rows of subjects whose every scan was seen before under another name; list who shares only some."""
    known = frame[scans]
    owner = known.groupby("digest", sort=False)["subject"].transform("first")
    borrowed = (owner.ne(known["subject"]) & telling[scans]).groupby(known["subject"], sort=False)
    every, any_ = borrowed.all(), borrowed.any()
    twins = np.isin(rows.subjects.astype(str), every.index[every].to_numpy(str))
    return twins, sorted(any_.index[any_ & ~every])


def _check_distinct(rows: VisitRows, kept: pd.DataFrame) -> None:
    clash = kept[kept.duplicated(["subject", "visit"], keep=False)]
    if not len(clash):
        return
    same = clash["subject"].eq(clash["subject"].iloc[0]) & clash["visit"].eq(clash["visit"].iloc[0])
    first, second = clash[same]["row"].iloc[:2]
    subject = rows.subjects[first]
    which = f"visit {rows.visits[first]}" if rows.visits is not None else rows.moment(first)
    what = f"has {which}" if which else "is there"
    places = f"{rows.place(int(rows.rows[first]))} and {rows.place(int(rows.rows[second]))}"
    if rows.has_volume[[first, second]].any():
        one, other = (Path(rows.files["volume"][row]).name or "none" for row in (first, second))
        raise CohortError(
            f"{rows.source}: subject {subject} {what} twice with different images "
            f"({places}: {one} and {other}); keep one row, or tell visits apart by a visit or time column"
        )
    differs = np.flatnonzero(rows.features[first] != rows.features[second])
    column = next((c for c in differs if not np.isnan(rows.features[[first, second], c]).all()), differs[0])
    left, right = rows.features[first, column], rows.features[second, column]
    taken = f"; visits are taken from column {rows.visit_column}" if rows.visit_column else ""
    raise CohortError(
        f"{rows.source}: subject {subject} {what} twice with different values "
        f"({places}; {rows.feature_names[column]} is {left:g} and {right:g}); keep one row, or tell "
        f"visits apart by a visit or time column{taken}"
    )


def _finding(code: str, text: str, cure: str, rows: VisitRows, marked: BoolArray) -> Finding:
    return Finding("warning", code, text, subjects=tuple(dict.fromkeys(rows.subjects[marked])), cure=cure)


def _count(marked: BoolArray, noun: str) -> str:
    n = int(marked.sum())
    return f"{n} {noun}{'s' if n != 1 else ''}"


def _subjects(rows: VisitRows, marked: BoolArray) -> str:
    names = list(dict.fromkeys(rows.subjects[marked]))
    return f"{len(names)} subject{'s' if len(names) != 1 else ''} ({some(names, 3)})"
