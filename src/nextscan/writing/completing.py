"""Where imputed visits go in the user's own table, and the table with them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nextscan.arrays import FloatArray
from nextscan.cohort.cohort import Cohort
from nextscan.errors import CohortError
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.numbers import PLAIN_FORMS, Forms
from nextscan.reading.formats.tables import IMPUTED, IMPUTED_VISIT, UNLIKE_TRAINING, to_number
from nextscan.reading.layouts.layout import Layout, VisitsLayout, WideLayout
from nextscan.reading.layouts.ukb.fields import AGE, DATE
from nextscan.reading.times.columns import TimeColumn
from nextscan.reading.times.dates import DAYS_PER_YEAR
from nextscan.writing.sinks import significant
from nextscan.writing.summaries import Summaries


@dataclass(frozen=True)
class Slot:
    """Where one imputed visit goes.

    Attributes
    ----------
    row : int
        Row of the table.
    added : bool
        In a new row after it, rather than in the row itself.
    group : int
        Which columns take the features.
    others : mapping of column to text
        What else is known of the visit, for cells that are empty: its name, its time.
    mark : str
        Names the visit.
    """

    row: int
    added: bool
    group: int
    others: Mapping[str, str]
    mark: str


@dataclass(frozen=True)
class Placement:
    """The slots of all targets.

    Attributes
    ----------
    slots : list of Slot
        One per target, in the order of the summaries.
    columns : mapping of group to columns
        In the order of the imputed features.
    kept : collection of str
        Columns whose cells a new row takes over: what belongs to the subject.
    """

    slots: list[Slot]
    columns: Mapping[int, Sequence[str]]
    kept: Collection[str] = ()


class _Subjects:
    """What is known of the subjects of a table: their rows, and when their first visit was."""

    def __init__(self, cohort: Cohort, rows: VisitRows) -> None:
        first = np.searchsorted(cohort.subject_of, np.arange(cohort.n_subjects))
        last = np.zeros(cohort.n_subjects, int)
        np.maximum.at(last, cohort.subject_of, rows.rows)
        age = rows.labels["age"].to_numpy(float) if "age" in rows.labels else np.full(len(rows), np.nan)
        self._source = cohort.source
        self._number = {name: i for i, name in enumerate(cohort.subjects)}
        time = rows.time[first]
        if rows.time_kind == "date":  # years are added to days: an afternoon is no part of the next one
            time = np.floor(time * DAYS_PER_YEAR + 1e-6) / DAYS_PER_YEAR
        self.last_row, self.first_time, self.first_age = last, time, age[first]

    def __getitem__(self, name: str) -> int:
        if name not in self._number:
            raise CohortError(f"{self._source}: imputed subject {name} is not in this table; give the table it is from")
        return self._number[name]


def _each(summaries: Summaries) -> Iterator[tuple[str, str, float]]:
    for targets in summaries.targets:
        yield from zip(targets.subject.tolist(), targets.visit.tolist(), targets.years.tolist(), strict=True)


def place_long(layout: Layout, cohort: Cohort, rows: VisitRows, summaries: Summaries) -> Placement:
    """Place visits in a long table: a request in its own row, any other in a new row after the subject's last.

    A new row has the subject and what belongs to the subject, the visit's name (the next number, where
    visits are numbered), and its time and age where known; its other cells are empty.
    """
    subjects = _Subjects(cohort, rows)
    numbered = bool(np.char.isdigit(cohort.visits).all())
    latest = np.zeros(cohort.n_subjects, int)
    if numbered:
        np.maximum.at(latest, cohort.subject_of, cohort.visits.astype(int))
    asked = np.flatnonzero(cohort.is_request)
    request = {
        (str(name), str(visit)): int(row)
        for name, visit, row in zip(cohort.subject_names(asked), cohort.visits[asked], rows.rows[asked], strict=True)
    }
    slots = []
    for name, visit, years in _each(summaries):
        i = subjects[name]
        row = request.get((name, visit))
        if row is not None:
            slots.append(Slot(row, False, 0, {}, visit))
            continue
        known = _moments(layout.time, float(subjects.first_time[i]) + years)
        known |= _moments(layout.age, float(subjects.first_age[i]) + years)
        latest[i] += 1
        named, last = str(latest[i]) if numbered else visit, int(subjects.last_row[i])
        if layout.visit:
            known[layout.visit] = named
        if layout.scans:
            known[layout.subject] = layout.scan_named(last, named)
        slots.append(Slot(last, True, 0, known, visit))
    kept = [
        *([] if layout.scans else [layout.subject]),
        *(layout.labels[name] for name in cohort.labels if name in layout.labels),
    ]
    return Placement(slots, {0: _columns(layout.features, summaries)}, kept)


def place_wide(layout: WideLayout, cohort: Cohort, rows: VisitRows, summaries: Summaries) -> Placement:
    """Place visits in a wide export: in the cells of their instance, in the subject's own row.

    A visit that is not named after an instance goes to the next one after the subject's last observed
    visit. Date (field 53) and age (21003) of the instance are filled in where they are empty and the
    time is known.
    """
    subjects = _Subjects(cohort, rows)
    observed = ~cohort.is_request
    last = np.zeros(cohort.n_subjects, int)
    np.maximum.at(last, cohort.subject_of[observed], cohort.visits[observed].astype(int))
    slots: list[Slot] = []
    taken: dict[int, set[int]] = defaultdict(set)
    for name, visit, years in _each(summaries):
        i = subjects[name]
        instance = int(visit) if visit.isdigit() else int(last[i]) + 1
        while instance in taken[i]:
            instance += 1
        taken[i].add(instance)
        known: dict[str, str] = {}
        if rows.time_kind == "date":
            column = TimeColumn(layout.column(DATE, instance, 0), "date", date_format="%Y-%m-%d")
            known |= _moments(column, float(subjects.first_time[i]) + years)
        known |= _moments(TimeColumn(layout.column(AGE, instance, 0), "age"), float(subjects.first_age[i]) + years)
        slots.append(Slot(int(subjects.last_row[i]), False, instance, known, str(instance)))
    used = sorted({slot.group for slot in slots})
    columns = {
        instance: _columns({name: layout.column(f, instance, a) for name, (f, a) in layout.features.items()}, summaries)
        for instance in used
    }
    return Placement(slots, columns)


def place_visits(layout: VisitsLayout, cohort: Cohort, rows: VisitRows, summaries: Summaries) -> Placement:
    """Place visits in a table with one row per subject: in the columns of their visit, in the subject's own row.

    A visit that is not named after columns goes to those of the next visit after the subject's last observed one,
    unless its time is known and people were seen there at quite another time; else to new columns. Age and date of
    the visit are filled in where they are empty and the time is known.
    """
    subjects = _Subjects(cohort, rows)
    order = {visit: i for i, visit in enumerate(layout.visits)}
    observed = ~cohort.is_request
    last = np.full(cohort.n_subjects, -1)
    np.maximum.at(last, cohort.subject_of[observed], [order[visit] for visit in cohort.visits[observed].tolist()])
    usual = {visit: _middle(cohort.years[observed & (cohort.visits == visit)]) for visit in layout.visits}
    groups: dict[str, int] = dict(order)
    slots: list[Slot] = []
    taken: dict[int, set[str]] = defaultdict(set)
    for name, visit, years in _each(summaries):
        i = subjects[name]
        if visit not in order:
            later = [after for after in layout.visits[int(last[i]) + 1 :] if after not in taken[i]]
            near = [after for after in later if not abs(years - usual[after]) > max(0.5, usual[after] / 4)]
            visit = near[0] if near else re.sub(r"[^A-Za-z0-9]+", "", visit) or "imputed"
        while visit in taken[i]:
            visit += "b"
        taken[i].add(visit)
        known: dict[str, str] = {}
        for column, first in ((layout.time, subjects.first_time[i]), (layout.age, subjects.first_age[i])):
            if column is not None:
                known |= _moments(replace(column, column=layout.column(column.column, visit)), float(first) + years)
        group = groups.setdefault(visit, len(groups))
        slots.append(Slot(int(subjects.last_row[i]), False, group, known, visit))
    used = {slot.group for slot in slots}
    columns = {
        group: _columns({name: layout.column(stem, visit) for name, stem in layout.features.items()}, summaries)
        for visit, group in groups.items()
        if group in used
    }
    return Placement(slots, columns)


def _middle(years: FloatArray) -> float:
    known = years[~np.isnan(years)]
    return float(np.median(known)) if len(known) else float("nan")


def _columns(of: Mapping[str, str], summaries: Summaries) -> list[str]:
    lacking = [name for name in summaries.feature_names if name not in of]
    if lacking:
        raise CohortError(f"imputed feature {lacking[0]} is not in this table; give the table it is from")
    return [of[name] for name in summaries.feature_names]


def _moments(column: TimeColumn | None, time: float) -> dict[str, str]:
    return {} if column is None or np.isnan(time) else {column.column: column.text(time)}


class Completion:
    """Turn batches of a table into batches of the completed table.

    Parameters
    ----------
    placement : Placement
    summaries : Summaries
    columns : sequence of str
        Of the table.
    as_text : bool
        Numbers are written as text.
    forms : Forms
        How the columns write numbers.

    Raises
    ------
    CohortError
        If the table has the columns that mark imputed rows already.
    """

    def __init__(
        self,
        placement: Placement,
        summaries: Summaries,
        columns: Sequence[str],
        *,
        as_text: bool,
        forms: Forms = PLAIN_FORMS,
    ) -> None:
        self._placement, self._summaries, self._as_text, self._forms = placement, summaries, as_text, forms
        self._columns = list(columns)
        self._slots_of: dict[int, list[int]] = defaultdict(list)
        for position, slot in enumerate(placement.slots):
            self._slots_of[slot.row].append(position)
        every = [column for group in placement.columns.values() for column in group]
        self._new = [column for column in every if column not in set(columns)]
        self._companions = [f"{column}__{what}" for column in every for what in summaries.companions]
        clash = next((name for name in (IMPUTED, UNLIKE_TRAINING, *self._companions) if name in set(columns)), None)
        if clash:
            raise CohortError(
                f"the table has a column {clash} already; give the table as it was before it was completed"
            )

    def batches(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield a completed Arrow table for each batch of the table, in order."""
        start = 0
        for batch in batches:
            yield self._complete(batch, start)
            start += batch.num_rows

    def _complete(self, batch: Any, start: int) -> Any:
        source: list[int] = []
        added: list[bool] = []
        at: dict[int, int] = {}  # position of a target -> row to write
        for i in range(batch.num_rows):
            own = len(source)
            source.append(i)
            added.append(False)
            for position in self._slots_of.get(start + i, ()):
                at[position] = own
                if self._placement.slots[position].added:
                    at[position] = len(source)
                    source.append(i)
                    added.append(True)
        cells = {name: _decoded(batch.column(name)).take(pa.array(source)) for name in self._columns}
        if any(added):
            fresh = pa.array(added)
            for name in self._columns:
                if name not in self._placement.kept:
                    cells[name] = pc.if_else(fresh, pa.scalar(None, cells[name].type), cells[name])
        number = pa.string() if self._as_text else pa.float64()
        for name in self._new:
            cells[name] = pa.nulls(len(source), number)
        self._fill_others(cells, at)
        cells[IMPUTED], cells[IMPUTED_VISIT], unlike = self._marks(at, len(source))
        if any(mark is not None for mark in self._summaries.unlike):
            cells[UNLIKE_TRAINING] = unlike
        for name in self._companions:
            cells[name] = pa.nulls(len(source), number)
        self._fill_features(cells, at)
        for name in self._columns:
            cells[name] = _encoded(cells[name], batch.column(name).type)
        return pa.table(cells)

    def _fill_others(self, cells: dict[str, Any], at: Mapping[int, int]) -> None:
        given: dict[str, dict[int, str]] = defaultdict(dict)
        for position, row in at.items():
            for column, text in self._placement.slots[position].others.items():
                if column in cells:
                    given[column][row] = text
        for column, texts in given.items():
            empty = [row for row in texts if cells[column][row].as_py() in (None, "")]
            values = self._written(column, _typed([texts[row] for row in empty], cells[column].type))
            cells[column] = _replaced(cells[column], empty, values)

    def _marks(self, at: Mapping[int, int], n_rows: int) -> tuple[Any, Any, Any]:
        names: list[list[str]] = [[] for _ in range(n_rows)]
        unlike: list[bool | None] = [None] * n_rows
        for position, row in at.items():
            names[row].append(self._placement.slots[position].mark)
            unlike[row] = unlike[row] or self._summaries.unlike[position]
        flags = [bool(name) for name in names]
        visits = pa.array([";".join(name) or None for name in names], pa.string())
        return self._flags(flags), visits, self._flags(unlike)

    def _flags(self, flags: Sequence[bool | None]) -> Any:
        if not self._as_text:
            return pa.array(flags, pa.bool_())
        return pa.array([None if flag is None else "true" if flag else "false" for flag in flags], pa.string())

    def _fill_features(self, cells: dict[str, Any], at: Mapping[int, int]) -> None:
        for group, columns in self._placement.columns.items():
            positions = [position for position in at if self._placement.slots[position].group == group]
            if not positions:
                continue
            values = self._summaries.read(positions)
            values = significant(values) if self._as_text else values
            rows = [at[position] for position in positions]
            for i, column in enumerate(columns):
                names = [column, *(f"{column}__{what}" for what in self._summaries.companions)]
                for part, name in enumerate(names):
                    made = self._written(column, _typed(values[:, part, i], cells[name].type))
                    cells[name] = _replaced(cells[name], rows, made)

    def _written(self, column: str, values: Any) -> Any:
        """Return numbers as the column writes them, where the result is text."""
        if not self._as_text or not pa.types.is_string(values.type):
            return values
        return self._forms[column].write(values)


def _decoded(cells: Any) -> Any:
    return cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells


def _encoded(cells: Any, kind: Any) -> Any:
    if not pa.types.is_dictionary(kind):
        return cells
    coded = cells.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.cast(kind.index_type), coded.dictionary, ordered=kind.ordered)


def _replaced(cells: Any, rows: Sequence[int], values: Any) -> Any:
    mask = np.zeros(len(cells), bool)
    mask[list(rows)] = True
    order = np.argsort(np.asarray(rows), kind="stable")
    return pc.replace_with_mask(cells, pa.array(mask), values.take(pa.array(order)))


def _typed(values: FloatArray | list[str], kind: Any) -> Any:
    """Return numbers or texts as an Arrow array of a column's type; whole-number columns get rounded numbers."""
    if isinstance(values, np.ndarray):
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return pa.array(values, from_pandas=True).cast(kind)
        rounded = np.round(values) if pa.types.is_integer(kind) else values
        return pa.array(rounded, from_pandas=True).cast(kind, safe=False)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = [to_number(text) for text in values]
        return _typed(np.array([np.nan if number is None else number for number in numbers]), kind)
    return pa.array(values, pa.string()).cast(kind)
