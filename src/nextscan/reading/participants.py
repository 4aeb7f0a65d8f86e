"""Labels and times of a table of participants, joined to rows of scans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import IntArray
from nextscan.errors import CohortError, some
from nextscan.reading.columns.labels import label_name
from nextscan.reading.columns.people import match_names
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import VISIT, find
from nextscan.reading.formats.tables import Table
from nextscan.reading.layouts.bids.sessions import explained, open_people, rewritten
from nextscan.reading.layouts.bids.sidecars import Sidecars
from nextscan.reading.layouts.long import read_long
from nextscan.reading.schema import TableSchema
from nextscan.reading.times.columns import time_column

_HEAD = 4096  # bytes: a table says something within them
PARTICIPANTS = ("participants.tsv", "participants.csv")
"""What tables of participants are called."""
_LEVELS_ABOVE = 2


def participants_near(source: Path) -> Path | None:
    """Return `participants.tsv` beside a folder or table, or up to two folders above."""
    folder = (source if source.is_dir() else source.parent).resolve()
    places = [folder, *folder.parents[:_LEVELS_ABOVE]]
    return next((path for place in places for name in PARTICIPANTS if (path := place / name).is_file()), None)


def join_participants(rows: VisitRows, path: Path, schema: TableSchema, *, schema_path: str = "schema") -> VisitRows:
    """Add the columns of a table of participants as labels, and its age, years or date as time.

    Rows are found by subject, and by visit where both tables name visits; with or without ``sub-``, padding and case.
    Every column is a label: features come from the scans' tables, labels these already have stay. Where
    only subjects are named, age is that of the participant (``age_at_entry`` if some have many scans), and dates are
    nobody's label. The unit of times is that of a JSON sidecar beside the table, if there is one; what is no number
    stops nothing (see `nextscan.reading.layouts.bids.cells.plain_times`).

    Raises
    ------
    CohortError
        If the table names a subject (and visit) twice, or knows none of the subjects.
    """
    if path.is_file() and not path.read_bytes()[:_HEAD].strip():
        return rows.telling([f"{Path(rows.source).name}: {path.name} is empty"])
    table = open_people(path)
    if len(table.columns) == 1:
        return rows.telling([f"{Path(rows.source).name}: {path.name} holds no labels"])
    schema, sidecars = schema.within(table.columns), Sidecars(path.parent)
    dates = _dates_of_people(table, schema)
    table, plain = rewritten(table, sidecars, leave={*explained(schema), *dates}, missing=schema.missing)
    people, _ = read_long(table, schema, schema_path=schema_path, only_labels=True, no_times=dates)
    people = replace(people, labels=people.labels.drop(columns=list(map(label_name, dates)), errors="ignore"))
    by_visit = people.visits is not None and rows.visits is not None
    at = _found(rows, people, by_visit=by_visit)
    labels = people.labels_at(at)
    if not by_visit and pd.Series(rows.subjects).duplicated().any():
        labels = labels.rename(columns={"age": "age_at_entry"})
    labels = labels[[name for name in labels if name not in rows.labels]]
    joined = replace(rows, labels=pd.concat([rows.labels, labels], axis=1))
    if by_visit and not rows.time_kind and people.time_kind:
        time = people.time[at].copy()
        time[at < 0] = float("nan")
        joined = replace(joined, time=time, time_kind=people.time_kind, time_unit=people.time_unit)
    name, lost = Path(rows.source).name, int((at < 0).sum())
    notes = [f"{name}: joined with {path.name}: {some(labels, 20)}"] if labels.shape[1] else []
    notes += [f"{name}: {lost} rows have no match in {path.name}"] if lost else []
    notes += [f"{path.name}: {note}" for note in plain.notes]
    return joined.telling(notes, [*plain.findings, *sidecars.findings])


def _dates_of_people(table: Table, schema: TableSchema) -> tuple[str, ...]:
    """Return the columns of dates of people of whom no visit is named: they are no times of visits."""
    if schema.visit is not None or find(table.columns, VISIT) is not None:
        return ()
    times = ((name, time_column([name])) for name in table.own_columns if name not in explained(schema))
    return tuple(name for name, time in times if time is not None and time.kind == "date")


def _found(rows: VisitRows, people: VisitRows, *, by_visit: bool) -> IntArray:
    """Return the row of `people` for each of `rows`, -1 where there is none."""
    best = None
    for strip in (False, True):
        mine, theirs = (_keys(part, strip=strip, by_visit=by_visit) for part in (rows, people))
        if theirs.has_duplicates:
            row = int(theirs.duplicated().argmax())
            raise CohortError(
                f"{people.where(row)}: participant {people.subjects[row]} is in the table twice; keep one row per "
                "subject, or name the visit in both tables"
            )
        at: IntArray = theirs.get_indexer(mine)
        best = at if best is None or (at >= 0).sum() > (best >= 0).sum() else best
    if best is not None and (best < 0).any():
        best = _padded(rows, people, by_visit=by_visit, best=best)
    if best is None or (best < 0).all():
        raise CohortError(
            f"{people.source}: none of its subjects ({some(people.subjects, 3)}) is in {rows.source} "
            f"({some(rows.subjects, 3)}); the names must agree"
        )
    return best


def _keys(rows: VisitRows, *, strip: bool, by_visit: bool) -> pd.Index:
    def bare(names: pd.Series, prefix: str) -> pd.Series:
        return names.str.removeprefix(prefix) if strip else names

    subjects = bare(pd.Series(rows.subjects, dtype="str"), "sub-")
    if not by_visit:
        return pd.Index(subjects)
    return pd.MultiIndex.from_arrays([subjects, bare(pd.Series(rows.visits, dtype="str"), "ses-")])


def _padded(rows: VisitRows, people: VisitRows, *, by_visit: bool, best: IntArray) -> IntArray:
    """Find rows that are left by names that differ only in how they are written: 1 and sub-001."""
    subject = match_names(list(rows.subjects), names := list(dict.fromkeys(people.subjects)))
    keys = [pd.Series(names, dtype="str").reindex(subject).to_numpy(object)]
    theirs = [people.subjects]
    if by_visit and rows.visits is not None and people.visits is not None:
        visit = match_names(list(rows.visits), named := list(dict.fromkeys(people.visits)))
        keys.append(pd.Series(named, dtype="str").reindex(visit).to_numpy(object))
        theirs.append(people.visits)
    found = pd.MultiIndex.from_arrays(theirs).get_indexer(pd.MultiIndex.from_arrays(keys))
    result: IntArray = np.where(best >= 0, best, found)
    return result
