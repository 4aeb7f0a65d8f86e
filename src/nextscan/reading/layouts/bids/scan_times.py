"""Times of sessions from the scans.tsv of BIDS folders, and what they fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import to_texts
from nextscan.reading.times.cells import known_dates
from nextscan.reading.times.dates import iso_date
from nextscan.reading.times.joined import Clock, join_clocks, told

Key = tuple[str, str]
"""Subject and session, as their folders are called."""
_ANATOMICAL = "anat"
_UNITS_OF_DATES = "years"


class ScanTimes:
    """When sessions were, by ``acq_time`` of their scans: the earliest anatomical one, else the earliest.

    Parameters
    ----------
    root : Path
    subjects : sequence of Path
        Folders of subjects.

    Attributes
    ----------
    texts : mapping of (subject, session) to str
        As ISO 8601 has it.
    places : mapping of (subject, session) to str
        The file and the line.
    anatomical : set of (subject, session)
        Where it is the time of an anatomical image.
    """

    def __init__(self, root: Path, subjects: Sequence[Path]) -> None:
        self.texts: dict[Key, str] = {}
        self.places: dict[Key, str] = {}
        self.anatomical: set[Key] = set()
        for folder in subjects:
            for path in sorted([*folder.glob("*_scans.tsv"), *folder.glob("ses-*/*_scans.tsv")]):
                self._read(root, folder, path)

    def _read(self, root: Path, subject: Path, path: Path) -> None:
        if path.read_bytes().strip().count(b"\t") == 0:
            return
        table = open_table(path)
        if not {"filename", "acq_time"} <= set(table.columns):
            return
        found: dict[Key, list[tuple[bool, str, int]]] = {}
        n = 0
        for batch in table.batches(["filename", "acq_time"]):
            names, times = (to_texts(batch.column(column)) for column in ("filename", "acq_time"))
            for i, (name, time) in enumerate(zip(names, times, strict=True)):
                date = None if name is None or time is None else iso_date(time)
                if name is None or date is None:
                    continue
                parts = [*path.parent.parts[len(subject.parts) :], *name.split("/")]
                session = next((part for part in parts if part.startswith("ses-")), "")
                text = f"{date[0]}T{date[1]}" if date[1] else date[0]
                found.setdefault((subject.name, session), []).append((_ANATOMICAL not in parts, text, n + i))
            n += batch.num_rows
        for key, scans in found.items():
            other, text, row = min(scans)
            if key in self.texts and (other or key in self.anatomical):
                continue  # told by another file already
            self.texts[key], self.places[key] = text, f"{path.relative_to(root)} {table.place(row)}"
            if not other:
                self.anatomical.add(key)

    def years(self, keys: Sequence[Key]) -> FloatArray:
        """Return the times of sessions as `nextscan.reading.times.columns.read_time` counts dates; NaN if unknown."""
        return known_dates(np.array([self.texts.get(key) for key in keys], dtype=object))


def filled(rows: VisitRows, scans: ScanTimes, births: Mapping[str, float]) -> VisitRows:
    """Give the sessions of rows that lack a time that of their scans, or their age, for each person on one axis.

    See `nextscan.reading.times.joined.join_clocks`: a person's ages go on by the dates of the scans, and dates by ages.

    Parameters
    ----------
    rows : VisitRows
    scans : ScanTimes
    births : mapping of subject to float
        Dates of birth in years since 1970.
    """
    assert rows.visits is not None
    if rows.time_unit != _UNITS_OF_DATES:
        return rows
    name = Path(rows.source).name
    of_scans = Clock("acq_time of scans.tsv", "date", scans.years(list(zip(rows.subjects, rows.visits, strict=True))))
    if not rows.time_kind or np.isnan(rows.time).all():
        if np.isnan(of_scans.years).all():
            return rows
        n = int((~np.isnan(of_scans.years)).sum())
        note = f"{name}: times of {n} sessions from {of_scans.name}"
        return replace(rows, time=of_scans.years, time_kind="date").telling([note])
    clocks = [Clock(rows.time_column, rows.time_kind, rows.time), of_scans]
    if rows.time_kind != "age" and "age" in rows.labels:
        clocks.append(Clock("age", "age", rows.labels["age"].to_numpy(float, na_value=np.nan)))
    joined = join_clocks(clocks, rows.subjects, np.array([births.get(name, np.nan) for name in rows.subjects]))
    notes, findings = told(
        joined, clocks, rows.subjects, rows.source, lambda row: rows.place(int(rows.rows[row])), visits="sessions"
    )
    labels = rows.labels
    if rows.time_kind == "age" and "age" in labels:
        labels = labels.assign(age=labels["age"].where(labels["age"].notna(), pd.Series(joined.time, labels.index)))
    aside = None if np.isnan(joined.aside).all() else joined.aside
    rows = replace(rows, time=joined.time, aside=aside, labels=labels)
    return rows.telling([f"{name}: {note}" for note in notes], findings)
