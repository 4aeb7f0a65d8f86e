"""Write what was inferred of a table as a schema, to be read, corrected and given back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from nextscan.atomic import atomic_path
from nextscan.errors import CohortError, OutputError, SchemaError
from nextscan.reading.columns.labels import label_name
from nextscan.reading.columns.sentinels import codes_in
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.opening import open_table
from nextscan.reading.layouts.judging import DOUBTFUL
from nextscan.reading.layouts.layout import Layout, VisitsLayout, WideLayout
from nextscan.reading.layouts.ukb.columns import UNNUMBERED
from nextscan.reading.participants import participants_near
from nextscan.reading.read import find_dictionary, find_schema, read_rows
from nextscan.reading.schema import Schema, TableSchema, fits, matching
from nextscan.reading.times.columns import age_column

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AGES = frozenset({"age", "age_at_entry"})


def write_schema(
    path: str | Path,
    table: str | Path,
    schema: str | Path | None = None,
    *,
    exclude: Sequence[str] = (),
    dictionary: str | Path | None = None,
    participants: str | Path | None = None,
    suffix: str | None = None,
) -> Path:
    """Write a schema file that says what is inferred of a table or folder: reading it with that gives the same cohort.

    Parameters
    ----------
    path : path
        The TOML file; it must not be there yet.
    table, schema, exclude, dictionary, participants, suffix
        As in `nextscan.read_cohort`; what a given schema says is kept.

    Raises
    ------
    CohortError, SchemaError
        If the table cannot be read.
    OutputError
        If the file is there already, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "study.csv").write_text("ID,age,Gender,hippocampus\\nA,60,F,3800\\nA,62.5,F,3700\\n")
    >>> print("\\n".join(write_schema(folder / "study.toml", folder / "study.csv").read_text().splitlines()[3:]))
    subject = "ID"
    features = [
        "hippocampus",
    ]
    <BLANKLINE>
    [time]
    column = "age"
    kind = "age"
    unit = "years"
    <BLANKLINE>
    [labels]
    sex = { column = "Gender", kind = "category" }
    """
    path, table = Path(path), Path(table)
    if path.exists():
        raise OutputError(f"{path}: is there already; a schema is never overwritten: choose another name")
    given = find_schema(table, schema)
    options: dict[str, Any] = {
        "dictionary": find_dictionary(dictionary),
        "participants": participants,
        "suffix": suffix,
    }
    rows, layout = read_rows(table, given, **options)
    gone = set(matching(exclude, rows.feature_names, f"{rows.source}, exclude", CohortError))
    rows = replace(rows, feature_names=tuple(name for name in rows.feature_names if name not in gone))
    own = given.of(table)
    labels = _labels(rows, layout, own, None if participants is None else Path(participants), table)
    text = _document(rows, layout, given, own, labels, suffix=suffix)
    if layout is None and labels and not _reads_alike(text, table, rows, options):
        text = _document(rows, layout, given, own, {}, suffix=suffix)
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def _document(
    rows: VisitRows,
    layout: Layout | WideLayout | VisitsLayout | None,
    given: Schema,
    own: TableSchema,
    labels: Mapping[str, Mapping[str, Any]],
    *,
    suffix: str | None,
) -> str:
    lines = [
        f"# What nextscan understood of {Path(rows.source).name}: correct what is wrong, leave the rest.",
        "# Every key may be removed; it is inferred then.",
        "",
    ]
    top: dict[str, Any] = {"name": given.name, "subject": own.subject, "visit": own.visit}
    if isinstance(layout, Layout):
        top |= {"subject": layout.subject, "visit": layout.visit or own.visit}
    if isinstance(layout, VisitsLayout):
        top |= {"subject": layout.subject, "wide": layout.forms}
    top |= {} if own.wide is None else {"wide": list(own.wide)}
    top |= {"scan_name": own.scan_name, "subject_names": own.subject_names}
    top |= _of_file(own, layout)
    top |= {"subject_prefix": own.subject_prefix, "missing": list(own.missing), "exclude": list(own.exclude)}
    top["missing_in"] = dict(own.missing_in)
    top["allow"] = list(given.allow)
    lines += [f"{key} = {_value(value)}" for key, value in top.items() if value or (key == "wide" and own.wide == ())]
    for finding in codes_in(rows):
        lines += [f"# {finding.text}", f"# {finding.cure}"]
    lines += ["features = []"] if not rows.feature_names else ["features = [", *_features(rows, layout), "]"]
    lines += [f"# {finding.text}" for finding in rows.findings if finding.code == DOUBTFUL]
    if own.time is not None:
        lines += _section("time", own.time.model_dump(exclude_none=True))
    elif isinstance(layout, Layout | VisitsLayout) and layout.time is not None:
        time = layout.time
        more = {"format": time.date_format} if time.kind == "date" else {"unit": time.unit}
        lines += _section("time", {"column": time.column, "kind": time.kind, **more})
    lines += _section("labels", labels)
    columns = {} if layout is None or isinstance(layout, WideLayout) else layout.features
    units = {_pattern(columns.get(name, name), rows.feature_names): unit for name, unit in rows.units.items()}
    lines += _section("units", units)
    images = own.images.model_dump(exclude_none=True) | ({"suffix": suffix} if suffix else {})
    lines += _section("images", images)
    lines += _section("sequences", own.sequences.model_dump(exclude_defaults=True, exclude_none=True))
    for name, section in given.files.items():
        lines += _section(f"files.{_key(name)}", section.model_dump(exclude_unset=True, exclude_none=True))
    return "\n".join(lines) + "\n"


def _of_file(own: TableSchema, layout: Layout | WideLayout | VisitsLayout | None) -> dict[str, Any]:
    """Return how the file and its numbers are written: as the schema says, or as was inferred."""
    told = {key: getattr(own, key) for key in ("delimiter", "encoding", "decimal", "thousands", "sheet")}
    if layout is not None:
        table = layout.table
        told["encoding"] = told["encoding"] or (table.encoding if table.encoding != "utf-8" else None)
        told["decimal"] = told["decimal"] or ("," if table.forms.usual.decimal == "," else None)
    return told


def _features(rows: VisitRows, layout: Layout | WideLayout | VisitsLayout | None) -> list[str]:
    columns = {} if layout is None or isinstance(layout, WideLayout) else layout.features
    names: Iterable[str] = (_pattern(columns.get(name, name), rows.feature_names) for name in rows.feature_names)
    if isinstance(layout, WideLayout):
        features = {name: feature for name, feature in layout.features.items() if name in set(rows.feature_names)}
        fields = {field for field, _ in features.values() if field < UNNUMBERED}
        titles = [_pattern(name, features) for name, (field, _) in features.items() if field >= UNNUMBERED]
        names = [*map(str, sorted(fields)), *titles]  # numbers hold with and without a data dictionary
    return [f"    {_value(name)}," for name in names]


def _labels(
    rows: VisitRows,
    layout: Layout | WideLayout | VisitsLayout | None,
    own: TableSchema,
    participants: Path | None,
    table: Path,
) -> dict[str, dict[str, Any]]:
    """Return what the schema is to say about each label; ages follow from their column without it."""
    columns = {} if layout is None else dict(layout.labels)
    if layout is None and (people := participants or participants_near(table)) is not None:
        columns = {label_name(name): name for name in open_table(people).own_columns}
    told = {}
    for name in map(str, rows.labels):
        known = (own.labels or {}).get(name)
        column = columns.get(name, name)
        if known is None and (
            (name in _AGES and age_column([column]) is not None) or (layout is not None and name not in columns)
        ):
            continue
        entry: dict[str, Any] = {} if column == name else {"column": column}
        entry |= {} if known is None else known.model_dump(exclude_defaults=True)
        if not entry.get("present"):
            entry["kind"] = "number" if pd.api.types.is_numeric_dtype(rows.labels[name]) else "category"
        told[name] = entry
    return told


def _reads_alike(text: str, table: Path, rows: VisitRows, options: Mapping[str, Any]) -> bool:
    """Tell whether labels that come from several tables are read with this schema as without."""
    import tomllib

    try:
        again, _ = read_rows(table, Schema.model_validate(tomllib.loads(text)), **options)
    except (CohortError, SchemaError):
        return False
    return bool(again.labels.equals(rows.labels))


def _pattern(name: str, names: Iterable[str]) -> str:
    """Write a name as a pattern that fits nothing else."""
    if not re.search(r"[*?\[]|^/.*/$", name):
        return name
    try:
        alone = not any(fits(name, other) for other in names if other != name)
    except SchemaError:
        alone = False
    return name if alone else f"/^{re.escape(name)}$/"


def _section(name: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    return ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in values.items())]


def _key(name: object) -> str:
    return str(name) if _BARE.fullmatch(str(name)) else _value(str(name))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
