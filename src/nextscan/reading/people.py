"""One person under several names: settled by the schema, or told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.cohort.findings import Finding
from nextscan.reading.columns.people import folded, listed, matched, taken_as_one, variants
from nextscan.reading.columns.scans import open_scan_names
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.schema import TableSchema

_AGAIN = re.compile(
    r"(?P<stem>.*\w)(?:[_.\- ]+(?:\d{1,2}|(?:t|s|v|m|w|y|tp|ses|scan|visit|run|bl|fu|re|rescan|retest|repeat|rpt|dup|"
    r"duplicate|copy|new|old|again|baseline|followup|post)[-_]?\d{0,3})| *\(\d{1,2}\))",
    re.IGNORECASE,
)
_MOST_VISITS = 15  # stems with more names are sites or families
_ENOUGH_STEPS = 5
_EVIDENCE = 0.9  # share of steps from number to number that must go forward in time


def one_name_each(rows: VisitRows, schema: TableSchema) -> VisitRows:
    """Settle names that may be one person's: as the schema says, else with a finding that is an error.

    People counted under two names may fall on both sides of a split. Of names equal but for padding, case and prefix
    (001 and 1, S02 and s02, sub-01 and 01), and of a name that is another one with a number or a word for a visit
    behind it (S03 and S03_2), nothing tells for sure that they are one person's.
    """
    if schema.subject_names == "as written":
        return rows
    names = pd.unique(pd.Series(rows.subjects, dtype="str"))
    groups = variants(names)
    if groups and schema.subject_names == "matched":
        subjects = matched(rows.subjects)
        rows = replace(rows, subjects=subjects).telling([f"{Path(rows.source).name}: {taken_as_one(groups)}"])
        names, groups = pd.unique(pd.Series(subjects, dtype="str")), []
    findings = []
    if groups:
        text = f"{rows.source}: names that may be one person's: {listed(groups)}"
        cure = 'subject_names = "matched" in a schema makes them one, subject_names = "as written" keeps them apart'
        every = tuple(name for group in groups for name in group)
        findings.append(Finding("error", "same-person", text, subjects=every, cure=cure))
    findings += [] if schema.scan_name else [*_again(rows, names)]
    return rows.telling(findings=findings) if findings else rows


def _again(rows: VisitRows, names: Sequence[str]) -> Iterable[Finding]:
    """Find names that are others with a visit behind them, else names that all look like visits of people."""
    known = {folded(name): name for name in names} if any(not str(name).isalnum() for name in names) else {}
    stems: dict[str, list[str]] = {}
    for name in names if known else ():
        match = _AGAIN.fullmatch(name)
        if match and (stem := known.get(folded(match["stem"]))) and stem != name:
            stems.setdefault(stem, []).append(name)
    groups = [
        [stem, *more] for stem, more in stems.items() if len(more) < _MOST_VISITS and _may_be_one(rows, stem, more)
    ]
    if groups:
        text = f"{rows.source}: names that may be further scans of one person: {listed(groups)}"
        cure = (
            f'{_line(_bare_or(groups))} in a schema splits the visit off, subject_names = "as written" keeps them apart'
        )
        every = tuple(name for group in groups for name in group)
        yield Finding("error", "visit-in-name", text, subjects=every, cure=cure)
    elif len(names) == len(rows) and known and (pattern := open_scan_names(list(names))):
        split = pd.Series(list(names)).str.extract(pattern)
        repeated = split["subject"].duplicated(keep=False)
        example = names[int(np.flatnonzero(repeated)[0])]
        people = split["subject"].nunique()
        sure = _in_order_of_time(rows, names, split[repeated])
        text = (
            f"{rows.source}: names may hold a visit: {example} may be visit {split['visit'][repeated].iloc[0]} of "
            f"{split['subject'][repeated].iloc[0]}, {people} people instead of {len(names)}"
        )
        cure = f'{_line(pattern)} in a schema splits it off, subject_names = "as written" keeps the names whole'
        every = tuple(name for name, again in zip(names, repeated, strict=True) if again)
        yield Finding("error" if sure else "warning", "visit-in-name", text, subjects=every, cure=cure)


def _line(pattern: str) -> str:
    return f"scan_name = '{pattern}'"


def _bare_or(groups: list[list[str]]) -> str:
    """Return the pattern that splits what is behind a name off, where there is something."""
    ends = [re.fullmatch(_AGAIN, name) for group in groups for name in group[1:]]
    marks = [match.string[match.end("stem") :] for match in ends if match]
    if all(re.fullmatch(r"_\d+", mark) for mark in marks):
        return r"(?P<subject>.+?)(?:_(?P<visit>\d+))?"
    if all(re.fullmatch(r" *\(\d+\)", mark) for mark in marks):
        return r"(?P<subject>.+?)(?: *\((?P<visit>\d+)\))?"
    return r"(?P<subject>.+?)(?:[_. -](?P<visit>[A-Za-z]*\d*))?"


def _may_be_one(rows: VisitRows, stem: str, more: list[str]) -> bool:
    """Tell whether neither the sex nor visits of the same name say that these are different people."""
    here = np.isin(rows.subjects, [stem, *more])
    if rows.visits is not None:
        visits = pd.DataFrame({"subject": rows.subjects[here], "visit": rows.visits[here]}).drop_duplicates()
        if visits["visit"].duplicated().any():
            return False
    column = next((name for name in rows.labels if canonical(name) in ("sex", "gender")), None)
    if column is None:
        return True
    known = rows.labels[column][here].dropna().astype(str)
    return len(set(known.str.casefold().str[:1])) < 2


def _in_order_of_time(rows: VisitRows, names: Sequence[str], split: pd.DataFrame) -> bool:
    """Tell whether times, or ages, grow along the numbers of most stems: twins and families would not do so."""
    age = rows.labels["age"] if "age" in rows.labels else pd.Series(np.nan, range(len(rows)))
    time = rows.time if not np.isnan(rows.time).all() else pd.to_numeric(age, errors="coerce").to_numpy(float)
    by_name = pd.Series(time, index=pd.Index(rows.subjects)).reindex(pd.Index(list(names)))
    frame = split.assign(time=by_name.to_numpy()[split.index], visit=pd.to_numeric(split["visit"]))
    frame = frame.dropna().sort_values(["subject", "visit"], kind="stable")
    steps = frame["time"].diff()[frame["subject"].eq(frame["subject"].shift())]
    return len(steps) >= _ENOUGH_STEPS and float((steps > 0).mean()) >= _EVIDENCE
