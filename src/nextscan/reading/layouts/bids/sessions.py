"""When sessions of a BIDS folder were: sessions.tsv of the data set or of subjects, and scans.tsv."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nextscan.errors import CohortError, some
from nextscan.reading.columns.people import folded, match_names
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import BIRTH, SUBJECT, VISIT, find
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import MISSING_TEXTS, Table, to_texts
from nextscan.reading.layouts.bids.cells import Cells, Plain, is_time, plain_times
from nextscan.reading.layouts.bids.scan_times import Key, ScanTimes, filled
from nextscan.reading.layouts.bids.sidecars import Columns, Sidecars
from nextscan.reading.layouts.long import read_long
from nextscan.reading.schema import TableSchema
from nextscan.reading.times.cells import read_dates
from nextscan.reading.times.columns import time_column

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


def read_sessions(
    root: Path,
    subjects: Sequence[Path],
    schema: TableSchema,
    *,
    schema_path: str,
    images: Collection[Key] = (),
    people: Path | None = None,
) -> VisitRows | None:
    """Read what tables say about sessions: subject, visit, time and labels; None where there is no table.

    Subjects and sessions are called as their folders are, however a table writes them (``ses-1`` is the folder
    ``ses-01``).

    Parameters
    ----------
    root : Path
        The BIDS folder.
    subjects : sequence of Path
        Folders of subjects.
    schema : TableSchema
    schema_path : str
        For messages.
    images : collection of (subject, session)
        Sessions whose time is looked for in scans.tsv where the tables do not name them.
    people : Path, optional
        A table of participants: their dates of birth join ages and dates.

    Raises
    ------
    CohortError
        If a table names no sessions or one of them twice, or a time cannot be read.
    """
    sidecars = Sidecars(root)
    tables: list[tuple[Path, str | None]] = [(path, None) for path in (root / "sessions.tsv",) if path.is_file()]
    for folder in subjects:
        path = folder / f"{folder.name}_sessions.tsv"
        tables += [(path, folder.name)] if path.is_file() else []
    lines = _lines(root, tables, sidecars)
    renamed = _as_folders(root, lines, subjects)
    named = {line.key for line in lines}
    lacking = _without_time(lines, schema) | {subject for subject, session in images if (subject, session) not in named}
    scans = ScanTimes(root, [folder for folder in subjects if folder.name in lacking or not tables])
    lines += [
        _Line({SUBJECT_COLUMN: key[0], SESSION_COLUMN: key[1]}, scans.places[key], {})
        for key in scans.texts
        if key not in named and key[1] and (key in images or (not tables and key in scans.anatomical))
    ]
    if not lines:
        return None
    own = schema.within({name for line in lines for name in line.cells})
    columns = {"subject": own.subject or SUBJECT_COLUMN, "visit": own.visit or SESSION_COLUMN}
    own = own.model_copy(update={**columns, "subject_prefix": ""})
    joined, plain = _stacked(root, lines, own)
    rows, layout = read_long(joined, own, schema_path=schema_path, only_labels=True)
    told = [f"time: {layout.time.column} ({layout.time.meaning})"] if tables and layout.time is not None else []
    notes = [f"{root.name}: {note}" for note in [*told, *renamed, *plain.notes]]
    rows = filled(replace(rows, source=str(root), notes=()), scans, _births(people))
    return rows.telling(notes, [*plain.findings, *sidecars.findings])


def _births(people: Path | None) -> dict[str, float]:
    """Return dates of birth by participant, in years since 1970, where a table tells them."""
    table = None if people is None else open_people(people)
    name, birth = (None, None) if table is None else (find(table.columns, SUBJECT), find(table.columns, BIRTH))
    if table is None or name is None or birth is None:
        return {}
    texts = _texts(table, [name, birth])
    try:
        years = read_dates(table, birth, np.array(texts[birth], dtype=object)).years
    except CohortError:
        return {}  # a label that cannot be read as a date is no error
    pairs = zip(texts[name], years.tolist(), strict=True)
    return {_prefixed(text, "sub-"): born for text, born in pairs if text is not None}


@dataclass
class _Line:
    """A row of a table: its cells, where it is, and what sidecars say about the columns."""

    cells: dict[str, str | None]
    place: str
    said: Columns

    @property
    def key(self) -> Key:
        return str(self.cells[SUBJECT_COLUMN]), str(self.cells[SESSION_COLUMN])


def _without_time(lines: Sequence[_Line], schema: TableSchema) -> set[str]:
    """Return the subjects of whom a column that tells times is empty, or holds no time, at a session."""
    given = {schema.time.column} if schema.time else set()
    columns = {name for line in lines for name in line.cells}
    times = {name for name in columns if name in given or time_column([name]) is not None}
    return {
        line.key[0] for line in lines if not times or any(not is_time(line.cells.get(name) or "") for name in times)
    }


def _as_folders(root: Path, lines: Sequence[_Line], subjects: Sequence[Path]) -> list[str]:
    """Call subjects and sessions as their folders are, in place; return notes.

    Raises
    ------
    CohortError
        If a session is there twice.
    """
    notes = []
    for line in lines:
        for column, prefix in ((SUBJECT_COLUMN, "sub-"), (SESSION_COLUMN, "ses-")):
            if line.cells[column] is None:
                raise CohortError(f"{root}, {line.place}: the {column} is missing; fill it in or remove the row")
            line.cells[column] = _prefixed(str(line.cells[column]).strip(), prefix)
    folders = {folder.name: folder for folder in subjects}
    people = list(dict.fromkeys(line.key[0] for line in lines))
    called = _called(people, list(folders))
    notes += [f"{theirs} in tables is the folder {ours}" for theirs, ours in called.items() if theirs != ours]
    of: dict[str, list[_Line]] = {}
    for line in lines:
        line.cells[SUBJECT_COLUMN] = called[line.key[0]]
        of.setdefault(line.key[0], []).append(line)
    moved: dict[tuple[str, str], int] = {}
    for subject, own in of.items():
        there = [path.name for path in folders[subject].glob("ses-*")] if subject in folders else []
        names = {line.key[1] for line in own}
        sessions = dict(zip(names, names, strict=True)) if names <= set(there) else _called(sorted(names), there)
        for line in own:
            before, now = line.key[1], sessions[line.key[1]]
            if before != now:
                moved[before, now] = moved.get((before, now), 0) + 1
            line.cells[SESSION_COLUMN] = now
    notes += [f"{theirs} in tables is the folder {ours}, of {n} subjects" for (theirs, ours), n in moved.items()]
    seen: dict[tuple[str, str], str] = {}
    for line in lines:
        alike = (line.key[0], folded(line.key[1]))
        before = seen.get(alike, "")
        apart = before != line.key[1] and all((root / line.key[0] / name).is_dir() for name in (before, line.key[1]))
        if before and not apart:
            other = "" if before == line.key[1] else f" (as {before})"
            raise CohortError(
                f"{root}, {line.place}: session {line.key[1]} of {line.key[0]} is there twice{other}; keep one row"
            )
        seen[alike] = line.key[1]
    return notes


def _called(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    at = match_names(names, known)
    return {name: name if i < 0 else known[i] for name, i in zip(names, at.tolist(), strict=True)}


def _prefixed(name: str, prefix: str) -> str:
    return name if name.startswith(prefix) else prefix + name


def _lines(root: Path, tables: Sequence[tuple[Path, str | None]], sidecars: Sidecars) -> list[_Line]:
    """Read text tables and put them below each other; `str` is the subject where the file is about one."""
    lines: list[_Line] = []
    for path, whose in tables:
        table = open_people(path)
        visit = find(table.columns, VISIT)
        subject = find([name for name in table.columns if name != visit], SUBJECT)
        if visit is None or (whose is None and subject is None):
            need = SESSION_COLUMN if whose else f"{SUBJECT_COLUMN} and {SESSION_COLUMN}"
            raise CohortError(f"{path}: expected columns {need} (and age or acq_time), found {some(table.columns)}")
        known = {visit: SESSION_COLUMN, **({subject: SUBJECT_COLUMN} if subject and whose is None else {})}
        said, n = sidecars.of(path), 0
        for batch in table.batches():
            columns = {known.get(name, name): to_texts(batch.column(name)) for name in table.columns}
            for i in range(batch.num_rows):
                cells = {name: texts[i] for name, texts in columns.items()}
                if any(text is not None for text in cells.values()):
                    cells |= {SUBJECT_COLUMN: whose} if whose else {}
                    lines.append(_Line(cells, f"{path.relative_to(root)} {table.place(n + i)}", said))
            n += batch.num_rows
    return lines


def open_people(path: Path) -> Table:
    """Open a table about people or sessions; one of a single column, which no delimiter tells, too."""
    typed = path.suffix in (".parquet", ".pq", ".xlsx", ".gz")
    lines = [] if typed or not path.is_file() else path.read_bytes().split(b"\n", 1)
    if not lines or not lines[0].strip() or any(mark in lines[0].strip() for mark in b"\t,;|"):
        return open_table(path)
    name = lines[0].decode("utf-8-sig", errors="replace").strip().strip('"')
    return open_table(path) if " " in name else Table(path, (name,), "\t")


def rewritten(
    table: Table, sidecars: Sidecars, *, leave: Collection[str], missing: Collection[float | str]
) -> tuple[Table, Plain]:
    """Return a table with its times plain, see `nextscan.reading.layouts.bids.cells.plain_times`.

    Parameters
    ----------
    table : Table
    sidecars : Sidecars
    leave : collection of str
        Columns that the schema explains.
    missing : collection
        The codes of the schema.
    """
    times = [name for name in table.own_columns if name not in leave and time_column([name]) is not None]
    cells = _texts(table, times)
    said = [sidecars.of(table.path)] * (len(cells[times[0]]) if times else 0)
    plain = plain_times(cells, said, table.place, source=str(table.path), missing=missing)
    if not plain.cells and not plain.renamed:
        return table, plain
    every = _texts(table, table.columns)
    every = {plain.renamed.get(name, name): texts for name, texts in every.items()} | plain.cells
    places = tuple(map(table.place, range(len(next(iter(every.values()))))))
    joined = _Joined(
        table.path,
        tuple(every),
        table.delimiter or "\t",
        cells=every,
        places=places,
        categories=table.categories,
        notes=table.notes,
    )
    return joined, plain


def _texts(table: Table, columns: Sequence[str]) -> dict[str, Cells]:
    cells: dict[str, Cells] = {name: [] for name in columns}
    for batch in table.batches(list(columns)) if columns else ():
        for name in columns:
            cells[name] += to_texts(batch.column(name)).tolist()
    return cells


def _stacked(root: Path, lines: Sequence[_Line], schema: TableSchema) -> tuple[_Joined, Plain]:
    missing = frozenset(MISSING_TEXTS)
    names = tuple(dict.fromkeys([SUBJECT_COLUMN, SESSION_COLUMN, *(name for line in lines for name in line.cells)]))
    cells: dict[str, Cells] = {
        name: [None if (text := line.cells.get(name)) in missing else text for line in lines] for name in names
    }
    places = tuple(line.place for line in lines)
    plain = plain_times(
        {name: texts for name, texts in cells.items() if name not in explained(schema)},
        [line.said for line in lines],
        places.__getitem__,
        source=str(root),
        missing=schema.missing,
    )
    cells = {plain.renamed.get(name, name): texts for name, texts in cells.items()} | plain.cells
    empty = {name for name, texts in cells.items() if time_column([name]) is not None and not any(texts)}
    cells = {name: texts for name, texts in cells.items() if name not in empty or name in explained(schema)}
    return _Joined(root, tuple(cells), "\t", cells=cells, places=places), plain


def explained(schema: TableSchema) -> set[str]:
    """Return the columns whose meaning a schema gives."""
    labels = {} if schema.labels is None else schema.labels
    named = [schema.subject, schema.visit, schema.time.column if schema.time else None]
    return {name for name in (*named, *(label.column or key for key, label in labels.items())) if name is not None}
