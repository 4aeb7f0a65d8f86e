"""Long tables: one row per visit of a subject."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray
from nextscan.cohort.cohort import ROLES
from nextscan.cohort.findings import Finding
from nextscan.cohort.known import Names, about_spelling
from nextscan.errors import CohortError, some
from nextscan.reading.columns.coding import sex_codes
from nextscan.reading.columns.image_columns import files_of, other_paths
from nextscan.reading.columns.labels import as_label, label_name, label_values, respelled
from nextscan.reading.columns.people import about_nobody, matched, nobody, taken_as_one, variants
from nextscan.reading.columns.qdec import is_qdec, people_of, visits_of
from nextscan.reading.columns.scans import ScanNames, scan_names
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.cells import Cells, Missing
from nextscan.reading.formats.tables import IMPUTED, Table, Texts
from nextscan.reading.layouts.freesurfer_names import renamed
from nextscan.reading.layouts.judging import judge
from nextscan.reading.layouts.layout import Layout
from nextscan.reading.layouts.plan import own_missing, plan
from nextscan.reading.layouts.sorting import Sorting
from nextscan.reading.schema import TableSchema, fits
from nextscan.reading.times.columns import TimeColumn, is_of_baseline, is_time, of_frames, read_time, settle_time
from nextscan.reading.times.joined import Clock
from nextscan.reading.times.names import is_after_conception, is_of_birth
from nextscan.reading.times.others import Filled, read_others, with_others
from nextscan.stamps import split_frame

NO_UNIT = "time has no unit; read as years"
"""The note about a column that is only called ``time``."""


def read_long(
    table: Table,
    schema: TableSchema,
    *,
    schema_path: str = "schema",
    like: Names | None = None,
    only_labels: bool = False,
    no_times: tuple[str, ...] = (),
) -> tuple[VisitRows, Layout]:
    """Read a long table.

    Columns whose names are known for it give subject, visit, time and labels. Of the others, text
    columns are labels (unless nearly every row has its own text), as are columns of two whole numbers;
    the remaining columns of numbers are features. In a table of images (`image_columns`) they are labels, too,
    unless the schema names features.

    Parameters
    ----------
    table : Table
    schema : TableSchema
        Overrules what names suggest.
    schema_path : str
        For messages.
    like : Names, optional
        Rows of the main table, or a fitted model: nothing but its features and labels is looked for.
    only_labels : bool
        The table holds no features; every column that is nothing else is a label.
    no_times : tuple of str
        Columns found to hold no times of visits, whatever their names.

    Raises
    ------
    CohortError, SchemaError
    """
    options: dict[str, Any] = {"schema_path": schema_path, "like": like, "only_labels": only_labels}
    columns = plan(table, schema, **options, no_times=no_times)
    table = table.naming([columns.subject, columns.visit, *columns.images.values()])
    marks = [IMPUTED] if table.is_completed else []
    alone = {column: label.missing for column, label in columns.labels.values()}
    own = own_missing(schema, table.own_columns, alone)
    own |= {name: Missing() for name in (columns.subject, columns.visit, *columns.images.values()) if name is not None}
    cells = Cells(table, columns.candidates, [*columns.texts, *marks], Missing.of(schema.missing), own)
    numbers, texts = _gather(cells)
    imputed = np.array([str(text).lower() == "true" for text in texts[IMPUTED]] if marks else [], bool)
    if imputed.any():
        numbers[imputed] = np.nan

    if columns.visit is not None and is_qdec(columns.subject, columns.visit):
        texts[columns.subject] = people_of(texts[columns.subject])
        texts[columns.visit] = visits_of(texts[columns.visit], texts[columns.subject])
    scans = texts[columns.subject]
    strict = like is None and not only_labels
    named = scan_names(whole(scans), schema.scan_name, where=str(table.path), schema_path=schema_path, strict=strict)
    if named.has_visits or schema.scan_name:
        texts[columns.subject] = named.subjects
    one = variants(pd.Series(named.subjects).dropna().unique()) if schema.subject_names == "matched" else []
    if one:
        texts[columns.subject] = matched(named.subjects)
    gone = nobody(scans, columns.subject)
    has_row = _rows_with_subject(table, columns.subject, texts, numbers, gone) & named.keep & ~gone
    n_rows = len(numbers)
    time, time_column = np.full(n_rows, np.nan), columns.time
    open_unit = False
    if time_column is not None:
        time, time_column = read_time(table, time_column, texts[time_column.column])
        first = pd.Series(time).groupby(texts[columns.subject]).min().dropna()
        open_unit = time_column.kind == "time"
        if open_unit and any(
            split_frame(text)[1] is not None for text in texts.get(columns.images.get("volume", ""), ()) if text
        ):
            time_column = of_frames(time_column, time, table)
        time_column = settle_time(time_column, time, first.to_numpy())
        open_unit &= time_column.kind == "years" and time_column.unit == "years"
        if schema.time is None and not is_time(time_column, time, texts[columns.subject]):
            others = (*no_times, time_column.column)
            else_timed = plan(table, schema, **options, no_times=others).time is not None
            if columns.visit is not None or else_timed or is_after_conception(time_column.column):
                return read_long(table, schema, **options, no_times=others)
    codes = {column: sex_codes(table, column, texts[column]) for column, _ in columns.labels.values()}
    labels = {
        name: label_values(texts[column], label, table, column, name=name, codes=codes[column])
        for name, (column, label) in columns.labels.items()
    }
    label_columns = {name: column for name, (column, _) in columns.labels.items()}
    ages: Clock | None = None
    age_is_time = columns.age is None and time_column is not None and time_column.kind == "age"
    if columns.age is not None:
        original = columns.age.column
        age = read_time(table, columns.age, texts[columns.age.column])[0]
        at_entry = columns.age.column in no_times or (like is None and is_of_baseline(age, texts[columns.subject]))
        at_entry |= like is not None and "age" not in like.labels and "age_at_entry" in like.labels
        columns = replace(columns, age=None) if at_entry else columns
        labels[name := "age_at_entry" if at_entry else "age"] = pd.Series(age)
        label_columns[name] = original
        ages = None if at_entry else Clock(original, "age", age)
    filled = Filled(time)
    if time_column is not None and not only_labels:
        births = None if columns.birth is None else texts[columns.birth]
        read = read_others(table, time_column, columns.other_times, texts, texts[columns.subject])
        filled = with_others(table, time_column, time, read, ages, births, texts[columns.subject])
        time = filled.time
    if age_is_time:
        labels["age"] = pd.Series(time)

    sorting = Sorting(columns, cells, numbers, texts, keep_labels=schema.labels is None)
    if columns.images and not columns.certain and schema.labels is None:
        sorting.labels, sorting.features = [*sorting.labels, *sorting.features], []
    at_birth = [
        name
        for name in sorting.features
        if not columns.certain
        and name in no_times
        and is_of_birth(name)
        and is_of_baseline(sorting.numbers_of(name), texts[columns.subject])
    ]
    sorting.features = [name for name in sorting.features if name not in at_birth]
    sorting.labels += at_birth if schema.labels is None else []
    about = []
    if sorting.features and not columns.certain:
        judged = judge(
            str(table.path),
            sorting.features,
            columns.candidates,
            numbers,
            subjects=texts[columns.subject],
            visits=texts[columns.visit] if columns.visit else None,
            time=time,
            binary=sorting.binary,
        )
        sorting.features, about = judged.features, judged.findings
        sorting.labels = [name for name in sorting.labels if name not in judged.gone]
        sorting.labels += judged.labels if schema.labels is None else []
    for column in sorting.labels:
        name = label_name(column)
        labels[name] = as_label(texts[column], column) if column in texts else pd.Series(sorting.numbers_of(column))
        label_columns[name] = column
    if not sorting.features and not only_labels and not columns.images:
        none_of = "" if like is None else f"none is a feature of {like.source}; "
        paths = other_paths(table, [name for name in table.own_columns if name != columns.subject])
        none_of += f"{some(paths)} names images: call it one of {', '.join(ROLES)}; " if paths else ""
        raise CohortError(
            f"{table.path}: no column of numbers is left to serve as a feature; the table has "
            f"{some(table.columns, 8)}; {none_of}name the features in a schema"
        )
    called = renamed(sorting.features, table.columns, kept=() if like is None else like.feature_names)
    called |= {name: columns.called[name] for name in sorting.features if name in columns.called}
    changed = [
        f"{column} as {name}" for column, name in called.items() if name not in (column, columns.called.get(column))
    ]
    positions = [columns.candidates.index(name) for name in sorting.features]
    subjects = _subject_names(table, columns.subject, texts[columns.subject], schema.subject_prefix)
    rows = VisitRows(
        source=str(table.path),
        subjects=subjects,
        files=files_of(table, columns.images, texts, subjects),
        visits=_visit_names(table, columns.visit, texts, has_row)
        if columns.visit
        else _of_scans(named, subjects, time),
        visit_column=columns.visit or "",
        label_columns={name: column for name, column in label_columns.items() if name != column},
        time=time,
        aside=filled.aside,
        time_column="" if time_column is None else time_column.column,
        time_kind=_kind(time_column, schema),
        time_unit="years" if time_column is None else time_column.kept_unit,
        features=numbers if len(positions) == numbers.shape[1] else numbers[:, positions],
        feature_names=tuple(called.values()),
        labels=pd.DataFrame(labels, index=range(n_rows)),
        rows=np.arange(n_rows),
        place=table.place,
        units={called[name]: unit for name, unit in units_of(sorting.features, schema).items()},
    )
    understood = [
        f"{table.form} long table of {int(has_row.sum())} rows",
        f"subject: {columns.subject}; visit: {columns.visit or 'not named'}; "
        + (f"time: {time_column.column} ({time_column.meaning})" if time_column else "time: unknown"),
        f"labels: {some(labels, 20) if labels else 'none'}",
        *(["images: " + ", ".join(columns.images.values())] if columns.images else []),
        *([] if columns.images and not sorting.features else [_told(sorting.features)]),
        *([NO_UNIT] if open_unit else []),
        *([f"named as FreeSurfer names them: {some(changed, 3)}"] if changed else []),
        *(
            f"{name}: {line}"
            for name, column in label_columns.items()
            if column in texts
            if (line := respelled(texts[column], labels[name], codes.get(column)))
        ),
        *filled.notes,
        *named.notes,
        *([taken_as_one(one)] if one else []),
        *columns.notes,
        *sorting.notes,
    ]
    marked = f"{table.path}: {int(imputed.sum())} rows are marked as imputed; read as requests, not as observations"
    findings = [*about, *filled.findings, *named.findings]
    if columns.called and like is not None:
        text = f"{table.path}: {about_spelling(columns.called, like.source)}"
        cure = "rename the columns if they are something else"
        findings.append(Finding("note", "names-respelled", text, tuple(columns.called), cure=cure))
    findings += about_nobody(scans, gone, columns.subject, str(table.path))
    findings += [Finding("warning", "marked-imputed", marked)] if imputed.any() else []
    rows = rows.telling([f"{table.path.name}: {line}" for line in understood], findings)
    layout = Layout(
        table=table,
        subject=columns.subject,
        visit=columns.visit,
        time=time_column,
        features={name: column for column, name in called.items()},
        labels=label_columns,
        age=columns.age,
        scans=list(zip(scans, named.spans, strict=True)) if named.has_visits else [],
    )
    return (rows if has_row.all() else rows.take(has_row)), layout


def _kind(column: TimeColumn | None, schema: TableSchema) -> str:
    if column is not None:
        return column.kind
    return "visit" if schema.time is not None and schema.time.kind == "visit" else ""


def _of_scans(scans: ScanNames, subjects: Texts, time: FloatArray) -> Texts | None:
    """Return the visits that names of scans hold; scans named without one are numbered where their time is known."""
    if not scans.has_visits:
        return None
    visits = scans.visits.copy()
    taken = set(zip(subjects, visits, strict=True))
    for row in np.flatnonzero(visits == ""):
        number = 1
        while not np.isnan(time[row]) and (subjects[row], str(number)) in taken:
            number += 1
        visits[row] = str(number)
        taken.add((subjects[row], visits[row]))
    return visits


def _told(features: list[str]) -> str:
    return f"features: {len(features)} columns of numbers ({some(features, 3)})"


def units_of(features: list[str], schema: TableSchema) -> dict[str, str]:
    """Return the unit of each feature that the schema knows: the first pattern that fits."""
    found = {}
    for name in features:
        fitting = (unit for pattern, unit in schema.units.items() if fits(pattern, name))
        found[name] = next(fitting, None)
    return {name: unit for name, unit in found.items() if unit is not None}


def _gather(cells: Cells) -> tuple[FloatArray, dict[str, Texts]]:
    blocks = list(cells)
    numbers = np.concatenate([block.numbers for block in blocks])
    names = dict.fromkeys(name for block in blocks for name in block.texts)
    texts = {
        name: np.concatenate([
            block.texts[name] if name in block.texts else np.full(len(block.numbers), None) for block in blocks
        ])
        for name in names
    }  # fmt: skip
    return numbers, texts


def _rows_with_subject(
    table: Table, column: str, texts: dict[str, Texts], numbers: FloatArray, nobodys: BoolArray
) -> BoolArray:
    """Mark rows that hold anything; a row without a subject must be blank, or nobody's."""
    missing = pd.isna(pd.Series(texts[column])).to_numpy() & ~nobodys
    if missing.any():
        blank = np.isnan(numbers).all(axis=1)
        for values in texts.values():
            blank &= pd.isna(pd.Series(values)).to_numpy()
        if (missing & ~blank).any():
            row = int(np.flatnonzero(missing & ~blank)[0])
            raise CohortError(f"{table.cell(row, column)}: the subject is missing; fill it in or remove the row")
    return np.asarray(~missing)


def _subject_names(table: Table, column: str, texts: Texts, prefix: str) -> Texts:
    rounded = [row for row, text in enumerate(texts) if text and re.fullmatch(r"\d(\.\d+)?[eE]\+?\d+", text)]
    if rounded:
        raise CohortError(
            f"{table.cell(rounded[0], column)}: {texts[rounded[0]]!r} looks like a rounded "
            "number, not a subject; export the column as text"
        )
    return np.array([text and prefix + text for text in whole(texts)], dtype=object)


def _visit_names(table: Table, column: str | None, texts: dict[str, Texts], has_row: BoolArray) -> Texts | None:
    if column is None:
        return None
    for row, text in enumerate(texts[column]):
        if text is None and has_row[row]:
            raise CohortError(
                f"{table.cell(row, column)}: the visit is missing; fill it in, or name another visit column in a schema"
            )
    return whole(texts[column])


def whole(texts: Texts) -> Texts:
    """Return names without ``.0`` if all of them are whole numbers.

    >>> whole(np.array(["1000001.0", "1000002.0"], dtype=object)).tolist()
    ['1000001', '1000002']
    """
    pattern = re.compile(r"-?\d+(\.0+)?")
    if all(text is None or pattern.fullmatch(text) for text in texts):
        return np.array([text and text.split(".")[0] for text in texts], dtype=object)
    return texts
