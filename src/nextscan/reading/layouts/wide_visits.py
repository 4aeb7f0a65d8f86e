"""Tables with one row per subject, whose columns come in pairs: ``hippocampus_t1``, ``hippocampus_t2``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from nextscan.arrays import BoolArray
from nextscan.cohort.findings import Finding
from nextscan.cohort.known import Names
from nextscan.errors import SchemaError, some
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import SUBJECT, find
from nextscan.reading.formats.numbers import Forms
from nextscan.reading.formats.tables import IMPUTED, IMPUTED_VISIT, Table, to_numbers
from nextscan.reading.layouts.layout import VisitsLayout
from nextscan.reading.layouts.long import read_long
from nextscan.reading.layouts.pairs import Pairs, possible_pairs
from nextscan.reading.schema import TableSchema, TimeSchema
from nextscan.reading.times.columns import time_column
from nextscan.reading.times.names import gap_unit

_MARKS = (IMPUTED, IMPUTED_VISIT)


@dataclass(frozen=True, kw_only=True)
class _Visits(Table):
    """The same table as a long one: a row for each subject and visit, the visits of a subject one after the other."""

    wide: Table
    pairs: Pairs
    visit: str
    later: str
    """The column that tells how long after the first visit the second was."""

    @cached_property
    def forms(self) -> Forms:
        """Numbers are plain here: the wide table makes them so."""
        return Forms()

    def place(self, row: int) -> str:
        """Name the row of the wide table, and the visit."""
        row, visit = divmod(row, len(self.pairs.visits))
        return f"{self.wide.place(row)}, visit {self.pairs.visits[visit]}"

    def read(self, columns: Sequence[str], *, verbatim: bool = False, block: int = 0) -> Iterator[Any]:
        """Yield a batch of visits for each batch of the wide table."""
        of = {stem: [self.pairs.columns.get((stem, visit)) for visit in self.pairs.visits] for stem in self.pairs.stems}
        own = [name for name in columns if name not in of and name not in (self.visit, *_MARKS)]
        marked = [IMPUTED_VISIT] if self.is_completed else []
        wanted = [*own, *(name for stem in columns if stem in of for name in of[stem] if name), *marked]
        for batch in self.wide.batches(list(dict.fromkeys(wanted or [self.pairs.subject]))):
            n, visits = batch.num_rows, self.pairs.visits
            turned = np.arange(n * len(visits)).reshape(len(visits), n).T.ravel()  # visits of a subject together
            marks = [str(text).split(";") for text in batch.column(IMPUTED_VISIT).to_pylist()] if marked else []
            cells = {}
            for name in columns:
                if name in of:
                    parts = [batch.column(column) if column else None for column in of[name]]
                    parts = self._from_start(name, parts, n)
                elif name == self.visit:
                    parts = [pa.array([visit] * n, pa.string()) for visit in visits]
                elif name in _MARKS:
                    parts = [pa.array(["true" if visit in mark else "false" for mark in marks]) for visit in visits]
                elif name == self.later:
                    parts = [pa.array(["0"] * n, pa.string()), _as_text(batch.column(name))]
                else:
                    parts = [batch.column(name)] * len(visits)
                cells[name] = pa.concat_arrays(_of_one_type(parts, n)).take(pa.array(turned))
            yield pa.RecordBatch.from_pydict(cells)

    def _from_start(self, stem: str, parts: list[Any], n: int) -> list[Any]:
        """Let time since the first visit start at 0 where the first visit has no column of its own."""
        kind = time_column([stem])
        if parts[0] is None and kind is not None and kind.kind == "years":
            return [pa.array(["0"] * n, pa.string()), *(part if part is None else _as_text(part) for part in parts[1:])]
        return parts


def _as_text(cells: Any) -> Any:
    return cells.cast(pa.string())


def _of_one_type(parts: list[Any], n: int) -> list[Any]:
    types = {part.type for part in parts if part is not None}
    kind = types.pop() if len(types) == 1 else pa.float64() if all(map(_is_number, types)) else pa.string()
    return [pa.nulls(n, kind) if part is None else part if part.type == kind else part.cast(kind) for part in parts]


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def read_pairs(
    table: Table, pairs: Pairs, schema: TableSchema, *, schema_path: str = "schema", like: Names | None = None
) -> tuple[VisitRows, VisitsLayout]:
    """Read a table whose columns come in pairs.

    Each visit becomes a row, read as those of long tables are: ages and dates of visits (``age_t1``) are
    times, also one column of the time between two visits (``gap_days``), if its name or the schema tells the unit.
    Columns without a visit in their names belong to the subject: they are labels. A visit without features is left
    out, unless its own time is known and an observed visit lies before it: then it is a request.

    Raises
    ------
    CohortError, SchemaError
    """
    table = table.naming([pairs.subject])
    paired = set(pairs.columns.values())
    alone = [name for name in table.own_columns if name not in paired and name != pairs.subject]
    visit = next(name for name in ("visit", "visit name", "visit of column") if name not in {*alone, *pairs.stems})
    between = _between(table, pairs, alone, schema, schema_path)
    later = "" if between is None else between.column
    gaps = [name for name in alone if name != later and gap_unit(name) is not None]
    timeless = [name for name in alone if name != later and (kind := time_column([name])) and kind.kind != "age"]
    timeless += [name for name in gaps if name not in timeless]
    alone = [name for name in alone if name not in timeless]
    long = _Visits(
        path=table.path,
        columns=(pairs.subject, visit, *pairs.stems, *alone, *(_MARKS if table.is_completed else ())),
        delimiter=table.delimiter,
        kind=table.kind,
        categories=table.categories,
        wide=table,
        pairs=pairs,
        visit=visit,
        later=later,
    )
    codes = {name: tuple(of) for name, of in schema.missing_in.items() if name not in paired}
    for (stem, _), column in pairs.columns.items():
        if of := schema.missing_in.get(column):
            codes[stem] = (*codes.get(stem, ()), *of)
    told = schema.model_copy(update={"subject": pairs.subject, "visit": visit, "missing_in": codes})
    told = told if between is None else told.model_copy(update={"time": between})
    rows, layout = read_long(long, told, schema_path=schema_path, like=like)
    rows = _with_labels_of_subjects(rows, set(alone)) if like is None else rows
    n_visits = len(pairs.visits)
    rows = rows.take(_known(rows, n_visits))
    notes = []
    if not rows.time_kind and all(name.isdigit() and len(name) == 4 for name in pairs.visits):
        rows = replace(rows, time=rows.visits.astype(float), time_kind="years")  # type: ignore[union-attr]
        notes.append(f"{table.path.name}: time: calendar years in the names of columns")
    rows = replace(rows, rows=rows.rows // n_visits, place=table.place, visit_column="")
    units = {
        name: unit
        for name, stem in layout.features.items()
        if (unit := table.forms[pairs.columns.get((stem, pairs.visits[0]), "")].unit)
    }
    rows = replace(rows, units=units | dict(rows.units))
    if between is None and not pairs.timed and len(pairs.visits) == 2:
        rows = rows.telling(findings=_without_unit(table, [name for name in gaps if gap_unit(name) == ""]))
    listed = ", ".join(pairs.form.replace("@", name) for name in pairs.visits)
    if timeless:
        notes.append(f"{table.path.name}: left out, times that belong to no visit: {some(timeless)}")
    notes = [
        *notes,
        f"{table.path.name}: one row per subject; visits are in the names of columns: {listed}; if they are none, say "
        "wide = [] in a schema",
    ]
    stems = {name: stem for name, stem in layout.features.items() if name in set(rows.feature_names)}
    labels = {**layout.labels, **{name: column for name, column in layout.features.items() if column in alone}}
    return replace(rows, notes=(*notes, *rows.notes)), VisitsLayout(
        table, pairs.subject, stems, pairs.visits, pairs.columns, pairs.form, labels, layout.time, layout.age
    )


def _between(table: Table, pairs: Pairs, alone: list[str], schema: TableSchema, schema_path: str) -> TimeSchema | None:
    """Return the column that tells how long after the first of two visits the second was."""
    given = schema.time
    if given is not None and given.kind == "years" and given.column in alone:
        if len(pairs.visits) == 2:
            return given
        raise SchemaError(
            f"{schema_path}, time.column: {given.column} of {table.path} tells one time, for {len(pairs.visits)} "
            "visits; give a column of each visit's time"
        )
    if given is not None or pairs.timed or len(pairs.visits) != 2:
        return None
    known = time_column(alone)
    if known is not None and known.kind == "years":
        return TimeSchema(column=known.column, unit=known.unit)
    named = ((name, unit) for name in alone if (unit := gap_unit(name)) and _holds_numbers(table, name))
    return next((TimeSchema(column=name, unit=unit) for name, unit in named), None)


def _holds_numbers(table: Table, name: str) -> bool:
    cells = next(table.batches([name]), None)
    return cells is not None and to_numbers(cells.column(0)) is not None


def _without_unit(table: Table, gaps: list[str]) -> list[Finding]:
    gaps = [name for name in gaps if _holds_numbers(table, name)]
    if not gaps:
        return []
    line = f"{table.path}: {some(gaps)} may be the time between the two visits, in an unknown unit; left out"
    cure = f'say the unit in a schema: time = {{ column = "{gaps[0]}", unit = "days" }} (or weeks, months, years)'
    return [Finding("warning", "gap-without-unit", line, tuple(gaps), cure=cure)]


def _known(rows: VisitRows, n_visits: int) -> BoolArray:
    """Mark observed visits, and those that follow one and whose time is known."""
    person = rows.rows // n_visits
    observed = ~rows.is_request
    before = pd.Series(observed).groupby(person).cumsum().to_numpy() > 0
    return np.asarray(observed | (before & ~np.isnan(rows.clock) & bool(rows.time_kind)))


def _with_labels_of_subjects(rows: VisitRows, alone: set[str]) -> VisitRows:
    """Make labels of numbers that belong to the subject."""
    mine = np.array([name in alone for name in rows.feature_names], bool)
    if not mine.any() or mine.all():
        return rows
    labels = {name: rows.features[:, i] for i, name in enumerate(rows.feature_names) if mine[i]}
    names = tuple(name for name in rows.feature_names if name not in labels)
    return replace(
        rows,
        features=rows.features[:, ~mine],
        feature_names=names,
        units={name: unit for name, unit in rows.units.items() if name in set(names)},
        labels=pd.concat([rows.labels, pd.DataFrame(labels)], axis=1),
    ).telling([f"{rows.source}: labels of subjects: {some(labels)}"])


def possible_visits(table: Table, schema: TableSchema) -> list[Finding]:
    """Return a note where columns come in pairs that may be visits, with the line of a schema that says so."""
    subject = schema.subject or find(table.own_columns, SUBJECT)
    if subject is None or schema.wide is not None or schema.visit is not None or schema.scan_name is not None:
        return []
    pairs = possible_pairs(table, subject)
    if pairs is None:
        return []
    forms = [pairs.form.replace("@", visit) for visit in pairs.visits]
    first = [pairs.columns[pairs.stems[0], visit] for visit in pairs.visits]
    line = f"{table.path}: columns come in pairs ({' and '.join(first)}): visits, or something else?"
    listed = ", ".join(f'"{form}"' for form in forms)
    return [Finding("note", "paired-columns", line, cure=f"if they are visits, say so in a schema: wide = [{listed}]")]
