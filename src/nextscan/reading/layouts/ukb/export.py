"""Wide UK-Biobank exports: one row per participant, one column per field, instance and array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.cohort.known import Names
from nextscan.errors import CohortError, SchemaError, some
from nextscan.reading.columns.labels import is_no_date, label_values, unified
from nextscan.reading.columns.people import about_nobody, nobody
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.cells import Block, Cells, Missing
from nextscan.reading.formats.tables import IMPUTED_VISIT, Table, Texts
from nextscan.reading.layouts.layout import WideLayout
from nextscan.reading.layouts.long import units_of, whole
from nextscan.reading.layouts.plan import own_missing
from nextscan.reading.layouts.ukb import fields
from nextscan.reading.layouts.ukb.columns import NameColumn, export_columns, subject_column
from nextscan.reading.layouts.ukb.values import drop_codes, with_imaging
from nextscan.reading.schema import LabelSchema, TableSchema, fits, matching, nearest
from nextscan.reading.times.cells import known_dates
from nextscan.reading.times.columns import TimeColumn, read_time

Feature = tuple[int, int]
"""Field and array."""


@dataclass(frozen=True)
class _Columns:
    """What is read from an export."""

    eid: str
    features: Mapping[Feature, str]  # name
    of: Mapping[tuple[Feature, int], str]  # column by feature and instance
    instances: tuple[int, ...]
    dates: Mapping[int, str]
    ages: Mapping[int, str]
    sites: Mapping[int, str]
    labels: Mapping[str, tuple[str, int, LabelSchema]]  # column, field, schema


def read_ukb(
    table: Table,
    schema: TableSchema,
    dictionary: fields.Dictionary,
    *,
    schema_path: str = "schema",
    like: Names | None = None,
) -> tuple[VisitRows, WideLayout]:
    """Read an export in any of its naming conventions, block by block.

    Imaging instances (2, 3, ...) become visits named after them; participants without any imaging are
    skipped. Features are the fields of numbers that exist at imaging instances only; the others are
    labels, taken from instance 0 (those in `ukb_fields.LABEL_FIELDS`, and the schema's). Time comes from
    the dates of field 53, else from age (21003). An imaging instance without features but with a
    date after an observed scan is a request.

    Codes -1 and -3 ("do not know", "prefer not to answer") are missing in labels, unless the label
    can be negative (Townsend index, polygenic scores). In a feature they are missing only if the
    feature has no other negative value: one that has is a measure that goes below zero.

    Raises
    ------
    CohortError, SchemaError
    """
    columns, name, dictionary = _columns(table, schema, dictionary, schema_path, like)
    table = table.naming([columns.eid])
    by_column = list(columns.of.values())
    texts = [
        columns.eid, *columns.dates.values(), *columns.ages.values(), *columns.sites.values(),
        *(column for column, _, _ in columns.labels.values()),
    ]  # fmt: skip
    texts += [IMPUTED_VISIT] if table.is_completed else []
    alone = {column: schema.missing_in.get(columns.features[f], ()) for (f, _), column in columns.of.items()}
    alone |= {
        column: (*said.missing, *schema.missing_in.get(label, ()))
        for label, (column, _, said) in columns.labels.items()
    }
    own = own_missing(schema, table.own_columns, alone)
    own |= {columns.eid: Missing()}
    cells = Cells(table, by_column, list(dict.fromkeys(texts)), Missing.of(schema.missing), own)
    gathered = _Gathered(columns, by_column)
    for block in cells:
        gathered.add(block)
    values, row, instance = gathered.visits()
    people: dict[str, Texts] = gathered.texts()
    imaged = with_imaging(values, row, _dated(people, columns.dates, row, instance))
    unimaged = int((~imaged).sum())
    if unimaged:
        values, row, instance = values[imaged], row[imaged], instance[imaged]

    words = {feature for (feature, _), column in columns.of.items() if cells.kinds[column] == "text"}
    kept = [feature for feature in columns.features if feature not in words]
    values = values if not words else values[:, [feature not in words for feature in columns.features]]
    coded = drop_codes(values)
    filled: BoolArray = np.asarray(~np.isnan(values).all(axis=0))
    if like is None and not filled.all():
        kept, values = [f for f, has in zip(kept, filled, strict=True) if has], values[:, filled]
    names = tuple(columns.features[feature] for feature in kept)
    if not len(values) or not names:
        raise CohortError(
            f"{table.path}: no participant has numbers at an imaging instance; expected fields such as 25005 at "
            "instance 2"
        )

    dates = {i: _times(table, columns.dates[i], "date", people) for i in columns.dates}
    ages = {i: _times(table, columns.ages[i], "age", people) for i in columns.ages}
    kind, by_instance = next(
        ((kind, known) for kind, known in (("date", dates), ("age", ages)) if set(known) & set(columns.instances)),
        ("", {}),
    )
    labels, about_labels = _labels(table, columns, people, dates, row, instance)
    if (age := _age(labels, dates, ages, row, instance)) is not None:
        labels["age"] = age
    units = {columns.features[f]: dictionary.units[f[0]] for f in kept if f[0] in dictionary.units}
    eids = people[columns.eid]
    gone = nobody(eids, "eid")
    names_of_people = np.array([schema.subject_prefix + (eid or "") for eid in whole(eids)], dtype=object)
    rows = VisitRows(
        source=str(table.path),
        subjects=names_of_people[row],
        visits=instance.astype(str).astype(object),
        time=_pick(by_instance, row, instance),
        time_kind=kind,
        features=values,
        feature_names=names,
        labels=pd.DataFrame(labels, index=range(len(row))),
        rows=row,
        place=table.place,
        units=units | units_of(list(names), schema),
    )
    times = {"date": "dates of field 53", "age": "age, field 21003", "": "unknown (no field 53)"}
    no_value = 0 if like is not None else int((~filled).sum())
    told = {
        f"{table.form} wide UK-Biobank export of {gathered.n_rows} participants": True,
        f"visits: instances {some(columns.instances)}; time: {times[kind]}": True,
        f"labels: {some(labels, 20) if labels else 'none'}": True,
        **dict.fromkeys(about_labels, True),
        f"features: {len(names)} fields ({some(names, 3)})": True,
        f"{gathered.n_rows - len(np.unique(row))} participants without imaging skipped": True,
        f"fields without numbers left out: {some(sorted({f for f, _ in words}))}": bool(words),
        f"fields without any value left out: {no_value}": no_value > 0,
        f"codes -1 and -3 read as missing in features: {coded} cells": coded > 0,
        f"{unimaged} instances hold only codes of a few levels, no measures; they are no visits": unimaged > 0,
        "features are named by field number; a data dictionary gives their names": not dictionary.titles,
    }
    warned = {
        ("times-unknown", "field 53 (dates) is not in the export", "intervals are unknown; add the field"): not kind,
        ("marked-imputed", f"{gathered.n_imputed} visits are marked as imputed", "not read as observations"): (
            gathered.n_imputed > 0
        ),
    }
    rows = rows.telling(
        [f"{table.path.name}: {line}" for line, holds in told.items() if holds],
        [
            Finding("warning", code, f"{table.path}: {line}", cure=cure)
            for (code, line, cure), holds in warned.items()
            if holds
        ],
    )
    rows = rows.take(~gone[row]).telling(findings=about_nobody(eids, gone, "eid", str(table.path)))
    label_columns = {label: column for label, (column, _, _) in columns.labels.items()}
    return rows, WideLayout(
        table, columns.eid, {columns.features[f]: f for f in kept}, columns.instances, label_columns, name
    )


def _columns(
    table: Table, schema: TableSchema, dictionary: fields.Dictionary, schema_path: str, like: Names | None
) -> tuple[_Columns, NameColumn, fields.Dictionary]:
    numbers = {title: field for field, title in dictionary.titles.items()}
    export = export_columns(table.own_columns, numbers)
    found = export.found
    dictionary = replace(dictionary, titles={**export.titles, **dictionary.titles})
    eid = schema.subject or subject_column(table.columns)
    if eid is None or eid not in table.columns:
        raise CohortError(f"{table.path}: no column eid; a UK-Biobank export has one")
    imaging = [part for part in found if part.instance >= fields.FIRST_IMAGING]
    if not imaging:
        raise CohortError(
            f"{table.path}: no column of an imaging instance (2 or later), only instances "
            f"{some(sorted({part.instance for part in found}))}; export the imaging fields at instances 2 and 3"
        )
    early = {part.field for part in found if part.instance < fields.FIRST_IMAGING}
    at = {(part.field, part.instance, part.array): part.column for part in found}
    named = {(part.field, part.array): dictionary.name(part.field, part.array) for part in imaging}

    def fit(patterns: tuple[str, ...], feature: Feature) -> bool:
        return any(fits(pattern, text) for pattern in patterns for text in (named[feature], str(feature[0])))

    texts = dict.fromkeys([*named.values(), *(str(field) for field, _ in named), *table.own_columns])
    for key, patterns in (("features", schema.features or ()), ("exclude", schema.exclude)):
        if like is None:
            matching(patterns, texts, f"{schema_path}, {key}", SchemaError)
    label_fields = _label_columns(table, at, schema, schema_path, like)
    used = {field for _, field, _ in label_fields.values()} | fields.NOT_FEATURES
    if schema.features is not None:
        chosen = [feature for feature in named if fit(schema.features, feature)]
        if not chosen and like is None:
            raise SchemaError(
                f"{schema_path}, features: no field of an imaging instance fits {some(schema.features)}; "
                f"{nearest(schema.features[0], named.values())}there are {some(named.values())}"
            )
    else:
        chosen = [feature for feature in named if feature[0] not in early | used]
    features = {f: named[f] for f in sorted(chosen) if not fit(schema.exclude, f)}
    if like is not None:  # whatever the instances of this export suggest
        features = {f: text for f, text in sorted(named.items()) if text in set(like.feature_names)}
    of = {((p.field, p.array), p.instance): p.column for p in sorted(imaging) if (p.field, p.array) in features}
    instances = tuple(sorted({instance for _, instance in of}))

    def over(field: int) -> dict[int, str]:
        return {part.instance: part.column for part in found if part.field == field and part.array == 0}

    columns = _Columns(
        eid, features, of, instances, over(fields.DATE), over(fields.AGE), over(fields.SITE), label_fields
    )
    return columns, export.name, dictionary


def _label_columns(
    table: Table,
    at: Mapping[tuple[int, int, int], str],
    schema: TableSchema,
    schema_path: str,
    like: Names | None,
) -> dict[str, tuple[str, int, LabelSchema]]:
    field_of = {column: key[0] for key, column in at.items()}
    if schema.labels is None:
        return {
            label: (at[field, 0, 0], field, LabelSchema())
            for field, label in fields.LABEL_FIELDS.items()
            if (field, 0, 0) in at
        }
    chosen = {}
    for label, given in schema.labels.items():
        wanted = given.column or label
        column = at.get((int(wanted), 0, 0), wanted) if wanted.isdigit() else wanted
        if column in table.columns:
            chosen[label] = (column, field_of.get(column, 0), given)
        elif like is None:
            raise SchemaError(
                f"{schema_path}, labels.{label}: {table.path} has no column or field {wanted} at instance 0; "
                f"{nearest(wanted, table.columns)}it has {some(table.columns)}"
            )
    return chosen


class _Gathered:
    """Visits of the blocks read so far: participants with imaging only, visit by visit."""

    def __init__(self, columns: _Columns, by_column: list[str]) -> None:
        self._columns = columns
        position = {column: i for i, column in enumerate(by_column)}
        self._position = {
            instance: np.array([position.get(columns.of.get((f, instance), ""), -1) for f in columns.features], int)
            for instance in columns.instances
        }
        self._values: list[FloatArray] = []
        self._rows: list[IntArray] = []
        self._instances: list[IntArray] = []
        self._texts: list[dict[str, Texts]] = []
        self.n_rows = self.n_imputed = 0

    def add(self, block: Block) -> None:
        """Take over the visits of a block."""
        n = len(block.numbers)
        padded = np.column_stack([block.numbers, np.full(n, np.nan)])  # position -1 is the missing column
        seen = np.zeros(n, bool)
        values, rows, instances = [], [], []
        for instance in self._columns.instances:
            part = padded[:, self._position[instance]]
            if IMPUTED_VISIT in block.texts:
                marks = [str(instance) in str(text).split(";") for text in block.texts[IMPUTED_VISIT]]
                part[marks] = np.nan
                self.n_imputed += sum(marks)
            has: BoolArray = ~np.isnan(part).all(axis=1)
            dated = pd.notna(block.texts[self._columns.dates[instance]]) if instance in self._columns.dates else False
            keep = np.flatnonzero(has | (seen & dated))
            seen |= has
            values.append(part[keep])
            rows.append(keep)
            instances.append(np.full(len(keep), instance))
        order = np.argsort(np.concatenate(rows), kind="stable")
        self._values.append(np.concatenate(values)[order])
        self._rows.append(np.concatenate(rows)[order] + block.start)
        self._instances.append(np.concatenate(instances)[order])
        self._texts.append(block.texts)
        self.n_rows += n

    def visits(self) -> tuple[FloatArray, IntArray, IntArray]:
        """Return features, table row and instance of all visits; the blocks are released."""
        values, self._values = np.concatenate(self._values), []
        return values, np.concatenate(self._rows), np.concatenate(self._instances)

    def texts(self) -> dict[str, Texts]:
        """Return the text columns of all participants."""
        return {name: np.concatenate([block[name] for block in self._texts]) for name in self._texts[0]}


def _times(table: Table, column: str, kind: str, people: Mapping[str, Texts]) -> FloatArray:
    texts = people[column]
    if kind == "age":
        texts = np.array([None if text in ("-1", "-3") else text for text in texts], dtype=object)
    return read_time(table, TimeColumn(column, kind), texts)[0]


def _dated(people: Mapping[str, Texts], dates: Mapping[int, str], row: IntArray, instance: IntArray) -> BoolArray:
    """Tell which visits have a date."""
    dated = np.zeros(len(row), bool)
    for i, column in dates.items():
        here = instance == i
        dated[here] = pd.notna(people[column][row[here]])
    return dated


def _pick(by_instance: Mapping[int, FloatArray], row: IntArray, instance: IntArray) -> FloatArray:
    """Return each visit's value from the array of its instance, NaN where there is none."""
    time = np.full(len(row), np.nan)
    for i, values in by_instance.items():
        here = instance == i
        time[here] = values[row[here]]
    return time


def _age(
    labels: Mapping[str, pd.Series],
    dates: Mapping[int, FloatArray],
    ages: Mapping[int, FloatArray],
    row: IntArray,
    instance: IntArray,
) -> FloatArray | None:
    """Return age at each visit: field 21003, else age at recruitment plus the time since instance 0."""
    if any(i in ages for i in np.unique(instance)):
        return _pick(ages, row, instance)
    if "age_at_recruitment" in labels and 0 in dates:
        recruited: FloatArray = labels["age_at_recruitment"].to_numpy(float)
        return recruited + _pick(dates, row, instance) - dates[0][row]
    return None


def _labels(
    table: Table,
    columns: _Columns,
    people: Mapping[str, Texts],
    dates: Mapping[int, FloatArray],
    row: IntArray,
    instance: IntArray,
) -> tuple[dict[str, pd.Series], list[str]]:
    labels, notes = {}, []
    start = np.full(len(people[columns.eid]), np.nan)  # date of the first imaging visit
    imaged, first = np.unique(row, return_index=True)
    start[imaged] = _pick(dates, row, instance)[first]
    for label, (column, field, schema) in columns.labels.items():
        codes = () if field in fields.MAY_BE_NEGATIVE else ("-1", "-3", "-1.0", "-3.0", *fields.NOT_KNOWN)
        texts = np.array([None if text in codes else text for text in people[column]], dtype=object)
        of_people = label_values(texts, schema, table, column, name=label, codes=fields.CODES.get(field))
        if schema.present:
            when = known_dates(texts)
            later = np.flatnonzero(when > start)
            of_people.iloc[later] = 0.0
            later = np.intersect1d(later, imaged)
            unsure = int((pd.notna(texts) & (np.isnan(when) | np.isnan(start)))[imaged].sum())
            no_date = np.array([text is not None and is_no_date(text) for text in texts], bool)
            texts[no_date] = None
            if no_date.any():
                notes.append(f"{label}: {no_date.sum()} placeholder dates, such as 1900-01-01, are no history")
            if len(later):
                notes.append(f"{label}: after the first imaging visit in {len(later)} participants, not present there")
            if unsure:
                notes.append(f"{label}: before or after the first imaging visit is unknown in {unsure} participants")
        labels[label] = of_people.iloc[row].reset_index(drop=True)
    site = np.full(len(row), None, dtype=object)
    for i, column in columns.sites.items():
        here = instance == i
        site[here] = people[column][row[here]]
    if pd.notna(site).any():
        labels.setdefault("site", unified(pd.Series(site, dtype="str"), "site"))
    return labels, notes
