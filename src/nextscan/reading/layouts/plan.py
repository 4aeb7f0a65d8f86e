"""What the columns of a long table are, as far as their names and the schema tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from nextscan.cohort.known import Names, spelled
from nextscan.errors import CohortError, SchemaError, some
from nextscan.reading.columns.image_columns import image_columns
from nextscan.reading.columns.labels import label_name
from nextscan.reading.columns.roles import is_label
from nextscan.reading.columns.vocabulary import BIRTH, FILMS, SUBJECT, VISIT, canonical, find, is_identifier
from nextscan.reading.formats.cells import Missing
from nextscan.reading.formats.tables import Table, to_texts
from nextscan.reading.layouts.freesurfer_names import as_freesurfer
from nextscan.reading.schema import LabelSchema, TableSchema, fits, matching, nearest, no_column
from nextscan.reading.times.columns import TimeColumn, age_column, from_schema, time_column, time_columns
from nextscan.reading.times.names import is_after_conception


@dataclass(frozen=True)
class Plan:
    """Roles of the columns of a long table.

    Attributes
    ----------
    subject : str
    visit : str or None
    time, age : TimeColumn or None
        `age` only where it is not the time.
    labels : mapping of label to (column, schema)
    candidates : list of str
        Columns that are features if they hold numbers.
    certain : bool
        The candidates are features, whatever they look like; and there are no more labels.
    keep_empty : bool
        Candidates without any value stay, as the main table has values for them.
    images : mapping of role to column
        Columns of paths; empty for a table without images.
    notes : list of str
    other_times : list of TimeColumn
        Columns that tell times and dates too; they fill gaps of `time`.
    birth : str or None
        The column of dates of birth.
    called : mapping of column to feature
        Columns that a model or another table writes otherwise.
    """

    subject: str
    visit: str | None
    time: TimeColumn | None
    age: TimeColumn | None
    labels: Mapping[str, tuple[str, LabelSchema]]
    candidates: list[str]
    certain: bool
    keep_empty: bool
    images: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    other_times: list[TimeColumn] = field(default_factory=list)
    birth: str | None = None
    called: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """Columns to read as text."""
        times = [part.column for part in (self.time, self.age, *self.other_times) if part is not None]
        labels = [column for column, _ in self.labels.values()]
        named = [self.subject, self.visit, self.birth, *times, *labels, *self.images.values()]
        return list(dict.fromkeys(name for name in named if name is not None))


def plan(
    table: Table,
    schema: TableSchema,
    *,
    schema_path: str,
    like: Names | None = None,
    only_labels: bool = False,
    no_times: tuple[str, ...] = (),
) -> Plan:
    """Give every column a role; parameters as in `nextscan.reading.layouts.long.read_long`.

    Raises
    ------
    CohortError
        If no column names subjects.
    SchemaError
        If the schema names a column that the table lacks.
    """
    columns = list(table.own_columns)
    excluded = {name for name in columns if any(fits(pattern, name) for pattern in schema.exclude)}
    if like is None and not only_labels:
        matching(schema.exclude, columns, f"{schema_path}, exclude", SchemaError)
    rest = [name for name in columns if name not in excluded]

    def take(name: str | None, key: str) -> str | None:
        if name is not None and name not in columns:
            raise no_column(f"{schema_path}, {key}", table.path, name, columns)
        if name in rest:
            rest.remove(name)
        return name

    subject = take(schema.subject or find(rest, SUBJECT), "subject")
    images = {} if only_labels else image_columns(table, schema.images, schema_path=schema_path)
    for column in images.values():
        take(column, "images")
    if subject is None:
        raise CohortError(
            f"{table.path}: no subject column; expected a name such as participant_id, subject or eid among "
            f'{some(columns, 8)}; rename the column, or name it in a schema: subject = "..."'
        )
    only_number = schema.time.column if schema.time and schema.time.kind == "visit" else None
    found = find(rest, VISIT)
    if found is not None and canonical(found) == "ses" and not _are_sessions(table, subject, found):
        found = None  # socioeconomic status
    if found is not None and canonical(found) == "fsid" and canonical(subject) != "fsidbase":
        found = None  # the name of a scan beside the name of its person
    visit = take(schema.visit or only_number or found, "visit" if schema.visit else "time.column")
    measures = {*(schema.features or ()), *(() if like is None else like.feature_names)}
    telling = [name for name in rest if name not in {*no_times, *measures}]
    time = from_schema(schema.time) if schema.time else time_column(telling)
    take(time.column if time else None, "time.column")
    no_ages = {*measures, *(name for name in no_times if is_after_conception(name))}  # of birth, or no age at all
    age = (
        None if time is not None and time.kind == "age" else age_column([name for name in rest if name not in no_ages])
    )
    take(age.column if age else None, "age")

    others = [] if only_labels or time is None else [o for o in time_columns(rest) if o.kind in ("years", "date")]
    birth = None if only_labels else find(rest, BIRTH)

    labels: dict[str, tuple[str, LabelSchema]] = {}
    if schema.labels is not None:
        for name, label in schema.labels.items():
            required = like is None and not only_labels
            if required or (label.column or name) in columns:
                labels[name] = (take(label.column or name, f"labels.{name}") or name, label)
        for name in [name for name in rest if images and is_of_film(name, schema)]:
            labels.setdefault(label_name(name), (take(name, "labels") or name, LabelSchema()))
    else:
        known = set(like.labels) if like is not None else set()
        for name in list(rest):
            usual = is_label(name) or name in table.categories or (only_labels and not is_identifier(name))
            if label_name(name) in known or (images and is_of_film(name, schema)) or (like is None and usual):
                own = name if label_name(name) in labels else label_name(name)
                labels[own] = (take(name, "labels") or name, LabelSchema())

    called: dict[str, str] = {}
    notes = [f"excluded by the schema: {some(sorted(excluded))}"] if excluded else []
    notes += [f"left out, columns of lists or structures: {some(table.nested)}"] if table.nested else []
    lacking = [name for name in schema.missing_in if name not in {*columns, *map(as_freesurfer, columns)}]
    if lacking and like is None and not only_labels:
        notes.append(f"missing_in: no column {some(lacking)}; {nearest(lacking[0], columns)}".rstrip("; "))
    if only_labels:
        candidates = []
    elif like is not None:
        there = {as_freesurfer(name) for name in rest}
        wanted = [name for name in like.feature_names if name not in there or name in rest]
        called = spelled(rest, wanted, of=like.source, where=str(table.path))
        candidates = [
            name for name in rest if name in called or not {name, as_freesurfer(name)}.isdisjoint(like.feature_names)
        ]
        unknown = [name for name in rest if name not in candidates and not is_identifier(name)]
        if unknown:
            notes.append(
                f"{len(unknown)} columns that are no features of {like.source}, left out: {', '.join(unknown)}"
            )
    elif schema.features is not None:
        candidates = matching(schema.features, rest, f"{schema_path}, features", SchemaError)
    else:
        identifiers = [name for name in rest if is_identifier(name) or canonical(name) in SUBJECT]
        times = [other.column for other in time_columns(rest) if other.column not in no_ages]
        notes += [f"left out as identifiers: {some(identifiers)}"] if identifiers else []
        notes += [f"left out as other times: {some(times)}"] if times else []
        candidates = [name for name in rest if name not in {*identifiers, *times}]
    certain = like is not None or only_labels or schema.features is not None
    return Plan(
        subject, visit, time, age, labels, candidates, certain, like is not None, images, notes, others, birth, called
    )


def is_of_film(column: str, schema: TableSchema) -> bool:
    """Tell whether a column of a table of images places frames in the beat."""
    return canonical(column) in FILMS or column == schema.sequences.rr


def _are_sessions(table: Table, subject: str, column: str) -> bool:
    """Tell whether a column called ``ses`` names sessions: words, ``01``, or numbers that tell visits apart."""
    batches = [
        [to_texts(batch.column(name)) for name in (subject, column)] for batch in table.batches([subject, column])
    ]
    frame = pd.DataFrame({
        key: [text for batch in batches for text in batch[i]] for i, key in enumerate(("subject", "value"))
    }).dropna(subset="subject")  # fmt: skip
    known = frame["value"].dropna().astype(str)
    if not known.str.fullmatch(r"[0-9]|[1-9][0-9](\.0*)?|[0-9]\.[0-9]*").all():
        return True
    several = frame[frame["subject"].duplicated(keep=False)]
    if len(known) < len(frame):
        return False
    if not len(several):
        return bool(known.nunique() == 1)
    return bool(several.groupby("subject")["value"].agg(lambda values: values.is_unique).mean() > 0.5)


def own_missing(
    schema: TableSchema, columns: Sequence[str], of_labels: Mapping[str, tuple[float | str, ...]]
) -> dict[str, Missing]:
    """Return the missing values of each column that has some of its own, by either of its names, or as a label."""
    own = {}
    for name in columns:
        codes = schema.missing_in.get(name, schema.missing_in.get(as_freesurfer(name), ()))
        if codes or name in of_labels:
            own[name] = Missing.of((*schema.missing, *codes, *of_labels.get(name, ())))
    return own
