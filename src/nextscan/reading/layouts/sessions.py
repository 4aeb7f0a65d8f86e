"""When sessions of a BIDS folder were: sessions.tsv of the data set or of subjects, else scans.tsv."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nextscan.errors import CohortError, some
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import SUBJECT, VISIT, find
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import MISSING_TEXTS, Table, to_texts
from nextscan.reading.layouts.long import read_long
from nextscan.reading.schema import TableSchema

SUBJECT_COLUMN, SESSION_COLUMN = "participant_id", "session_id"


@dataclass(frozen=True)
class _Joined(Table):
    """Rows of several text tables, each named by its own file and line."""

    cells: dict[str, list[str | None]] = field(default_factory=dict)
    places: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """Name a row by its file and line."""
        return self.places[row]

    def read(self, columns: Sequence[str], *, verbatim: bool = False, block: int = 0) -> Iterator[Any]:
        """Yield one record batch."""
        import pyarrow as pa

        yield pa.RecordBatch.from_pydict({name: pa.array(self.cells[name], pa.string()) for name in columns})


def read_sessions(root: Path, subjects: Sequence[Path], schema: TableSchema, *, schema_path: str) -> VisitRows | None:
    """Read what tables say about sessions: subject, visit, time and labels; None where there is no table.

    Parameters
    ----------
    root : Path
        The BIDS folder.
    subjects : sequence of Path
        Folders of subjects.
    schema : TableSchema
    schema_path : str
        For messages.

    Raises
    ------
    CohortError
        If a table names no sessions or one of them twice, or a time cannot be read.
    """
    tables: list[tuple[Path, str | None]] = [(path, None) for path in (root / "sessions.tsv",) if path.is_file()]
    for folder in subjects:
        path = folder / f"{folder.name}_sessions.tsv"
        tables += [(path, folder.name)] if path.is_file() else []
    joined = _join(root, tables) if tables else _scans(root, subjects)
    if joined is None:
        return None
    own = schema.within(joined.columns)
    columns = {"subject": own.subject or SUBJECT_COLUMN, "visit": own.visit or SESSION_COLUMN}
    own = own.model_copy(update={**columns, "subject_prefix": ""})
    rows, _ = read_long(joined, own, schema_path=schema_path, only_labels=True)
    return _with_prefixes(rows)


def _with_prefixes(rows: VisitRows) -> VisitRows:
    assert rows.visits is not None
    subjects = np.array([_prefixed(name, "sub-") for name in rows.subjects], dtype=object)
    visits = np.array([_prefixed(name, "ses-") for name in rows.visits], dtype=object)
    seen: set[tuple[str, str]] = set()
    for row, key in enumerate(zip(subjects, visits, strict=True)):
        if key in seen:
            raise CohortError(f"{rows.where(row)}: session {key[1]} of {key[0]} is there twice; keep one row")
        seen.add(key)
    return replace(rows, subjects=subjects, visits=visits)


def _prefixed(name: str, prefix: str) -> str:
    return name if name.startswith(prefix) else prefix + name


def _join(root: Path, tables: Sequence[tuple[Path, str | None]]) -> _Joined:
    """Read text tables and put them below each other; `str` is the subject where the file is about one."""
    rows: list[dict[str, str | None]] = []
    places: list[str] = []
    for path, whose in tables:
        table = open_table(path) if path.read_bytes().strip().count(b"\t") else _narrow(path)
        visit = find(table.columns, VISIT)
        subject = find([name for name in table.columns if name != visit], SUBJECT)
        if visit is None or (whose is None and subject is None):
            need = SESSION_COLUMN if whose else f"{SUBJECT_COLUMN} and {SESSION_COLUMN}"
            raise CohortError(f"{path}: expected columns {need} (and age or acq_time), found {some(table.columns)}")
        known = {visit: SESSION_COLUMN, **({subject: SUBJECT_COLUMN} if subject and whose is None else {})}
        n = 0
        for batch in table.batches():
            columns = {known.get(name, name): to_texts(batch.column(name)) for name in table.columns}
            for i in range(batch.num_rows):
                row = {name: texts[i] for name, texts in columns.items()}
                rows.append({**row, SUBJECT_COLUMN: whose} if whose else row)
                places.append(f"{path.relative_to(root)} {table.place(n + i)}")
            n += batch.num_rows
    return _stacked(root, rows, places)


def _narrow(path: Path) -> Table:
    """Open a table of one column, which no delimiter tells."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    if not lines:
        raise CohortError(f"{path}: the file is empty; expected a table with a header line")
    return Table(path, (lines[0].strip(),), "\t")


def _scans(root: Path, subjects: Sequence[Path]) -> _Joined | None:
    """Take times from the scans.tsv of sessions: the earliest acquisition of an anatomical image."""
    rows: list[dict[str, str | None]] = []
    places: list[str] = []
    for folder in subjects:
        for path in sorted(folder.glob("ses-*/*_scans.tsv")):
            table = open_table(path)
            if not {"filename", "acq_time"} <= set(table.columns):
                continue
            times = [
                (str(time), n)
                for batch in table.batches(["filename", "acq_time"])
                for n, (name, time) in enumerate(
                    zip(to_texts(batch.column("filename")), to_texts(batch.column("acq_time")), strict=True)
                )
                if name is not None and time is not None and name.startswith("anat/")
            ]
            if times:
                time, n = min(times)
                rows.append({SUBJECT_COLUMN: folder.name, SESSION_COLUMN: path.parent.name, "acq_time": time})
                places.append(f"{path.relative_to(root)} {table.place(n)}")
    return _stacked(root, rows, places) if rows else None


def _stacked(root: Path, rows: list[dict[str, str | None]], places: list[str]) -> _Joined:
    names = tuple(dict.fromkeys([SUBJECT_COLUMN, SESSION_COLUMN, *(name for row in rows for name in row)]))
    missing = frozenset(MISSING_TEXTS)
    cells = {name: [None if row.get(name) in missing else row.get(name) for row in rows] for name in names}
    return _Joined(root, names, "\t", cells=cells, places=tuple(places))
