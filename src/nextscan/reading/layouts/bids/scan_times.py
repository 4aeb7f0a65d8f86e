"""Times of sessions from the scans.tsv of BIDS folders, and what they fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import to_texts
from nextscan.reading.layouts.bids.cells import iso_date
from nextscan.reading.times.columns import known_dates

Key = tuple[str, str]
"""Subject and session, as their folders are called."""
_ANATOMICAL = "anat"
_SAME_AXIS = 1.0  # year: ages may be rounded
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


def filled(rows: VisitRows, scans: ScanTimes) -> VisitRows:
    """Give the sessions of rows that lack a time that of their scans, or their age, for each person on one axis.

    A person's ages go on by the dates of the scans, and dates by ages. Where the column that tells times says nothing
    of a person, the other times count; if those are dates beside the ages of others, or the reverse, all times are
    counted from first visits.
    """
    assert rows.visits is not None
    if rows.time_unit != _UNITS_OF_DATES:
        return rows
    of_scans = scans.years(list(zip(rows.subjects, rows.visits, strict=True)))
    if not rows.time_kind or np.isnan(rows.time).all():
        dated = replace(rows, time=of_scans, time_kind="date")
        return rows if np.isnan(of_scans).all() else _told(dated, rows.time, of_scans)
    sources = [(of_scans, "date")]
    if rows.time_kind == "date" and "age" in rows.labels:
        sources.append((rows.labels["age"].to_numpy(float, na_value=np.nan), "age"))
    time, foreign = rows.time.copy(), np.zeros(len(rows), bool)
    for other, kind in sources:
        for at in pd.Series(rows.subjects).groupby(rows.subjects).indices.values():
            known, there = ~np.isnan(time[at]), ~np.isnan(other[at])
            if len(at) < 2 or not (~known & there).any():
                continue
            apart = (time[at] - other[at])[known & there]
            if len(apart):
                offset = float(np.median(apart)) if np.ptp(apart) <= _SAME_AXIS else np.nan
            else:
                offset = 0.0 if rows.time_kind == kind or not known.any() else np.nan
                foreign[at] = rows.time_kind != kind and not known.any()
            time[at] = np.where(known, time[at], other[at] + offset)
    labels = rows.labels
    if rows.time_kind == "age" and "age" in labels:
        labels = labels.assign(age=labels["age"].where(labels["age"].notna() | foreign, pd.Series(time, labels.index)))
    kind = rows.time_kind
    if foreign.any():
        time, kind = time - pd.Series(time).groupby(rows.subjects).transform("min").to_numpy(), "years"
    return _told(replace(rows, time=time, time_kind=kind, labels=labels), rows.time, of_scans)


def _told(rows: VisitRows, before: FloatArray, of_scans: FloatArray) -> VisitRows:
    new, name = np.isnan(before) & ~np.isnan(rows.time), Path(rows.source).name
    by_scans = int((new & ~np.isnan(of_scans)).sum())
    notes = [f"{name}: times of {by_scans} sessions from acq_time of scans.tsv"] if by_scans else []
    by_age = int(new.sum()) - by_scans
    return rows.telling([*notes, *([f"{name}: times of {by_age} sessions from their age"] if by_age else [])])
