"""Group tables of FreeSurfer: `aparcstats2table` and `asegstats2table` output, alone or a folder of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.errors import CohortError, SchemaError, some
from nextscan.reading.columns.scans import scan_names
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.formats.cells import Cells, Missing
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import Table, Texts
from nextscan.reading.layouts.freesurfer_names import renamed, share_of_regions
from nextscan.reading.layouts.long import units_of, whole
from nextscan.reading.layouts.plan import own_missing
from nextscan.reading.schema import Schema, TableSchema, fits, matching

_HEADER = re.compile(
    r"(?:(?P<hemi>lh|rh)\.(?P<parcellation>[\w.\-+]+)\.(?P<measure>\w+)|Measure[:.](?P<stats>\w+))",
    re.IGNORECASE,
)
_UNITS = {
    "thickness": "mm",
    "thicknessstd": "mm",
    "area": "mm2",
    "volume": "mm3",
    "meancurv": "1/mm",
    "gauscurv": "1/mm2",
}
_VOLUMES = frozenset({"BrainSegVolNotVent", "eTIV", "EstimatedTotalIntraCranialVol", "BrainSegVol"})
_NOT_VOLUMES = re.compile(r"-to-eTIV$|SurfaceHoles$")
_SUFFIXES = frozenset({".tsv", ".csv", ".txt", ".dat", ".table", ".stats"})


def is_freesurfer(table: Table) -> bool:
    """Tell from the first column's name, such as ``lh.aparc.thickness`` or ``Measure:volume``."""
    return _HEADER.fullmatch(table.columns[0]) is not None


def tables_in(folder: Path, schema: Schema | None = None) -> list[Table]:
    """Return the FreeSurfer tables of a folder, by name.

    Raises
    ------
    CohortError
        If there is none.
    """
    tables = _tables(folder, schema)
    if not tables:
        raise CohortError(
            f"{folder}: no FreeSurfer tables in this folder (their first column is called lh.aparc.thickness, "
            "Measure:volume or alike) and no sub-* folders of BIDS; give a table instead of the folder"
        )
    return tables


def has_tables(folder: Path) -> bool:
    """Tell whether a folder holds FreeSurfer tables."""
    return bool(_tables(folder))


def _tables(folder: Path, schema: Schema | None = None) -> list[Table]:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and _suffix(path) in _SUFFIXES)
    return [table for path in paths if (table := _table(path, schema)) is not None and is_freesurfer(table)]


def _suffix(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _table(path: Path, schema: Schema | None) -> Table | None:
    try:
        return open_table(path, None if schema is None else schema.of(path))
    except CohortError:
        return None  # some other file of the folder


@dataclass(frozen=True)
class _Part:
    table: Table
    scans: Texts
    values: FloatArray
    names: tuple[str, ...]  # as in the header
    features: tuple[str, ...]
    units: dict[str, str]


def read_freesurfer(
    source: Path, tables: list[Table], schema: TableSchema, *, schema_path: str = "schema", strict: bool = True
) -> VisitRows:
    """Read and join FreeSurfer tables on their scans.

    Features keep the names FreeSurfer gives them. Those of `asegstats2table` with another measure than
    volume get it as suffix (``Left-Hippocampus_mean``). A column that several tables repeat, such as
    eTIV, is kept once; where tables give the same name different values, the name of the table's
    parcellation or file is put before it. Units follow from the measure. Names of longitudinal scans
    (``sub-01_ses-2.long.sub-01``), of BIDS sessions and of other conventions (``sub01_tp2``) give subject and visit,
    see `scan_names`. Beside longitudinal scans, others are kept of people who have no longitudinal one.

    Parameters
    ----------
    source : Path
        The folder, or the table.
    tables : list of Table
    schema : TableSchema
    schema_path : str
        For messages.
    strict : bool
        All scans must fit the schema's `scan_name`.

    Returns
    -------
    VisitRows
        Without times and labels; `participants.join` adds them.

    Raises
    ------
    CohortError
        If a table has text where numbers belong, names a scan twice, or no scan is in all tables' ids.
    """
    tables = sorted(tables, key=lambda table: _origin(table) != "aparc")  # its names stay as they are
    parts = [_read(table, schema) for table in tables]
    scans = pd.unique(np.concatenate([part.scans for part in parts]))
    index = pd.Index(scans)
    columns: dict[str, FloatArray] = {}
    units: dict[str, str] = {}
    dropped: list[str] = []
    for part in parts:
        at = index.get_indexer(pd.Index(part.scans))
        for i, name in enumerate(part.features):
            values = np.full(len(scans), np.nan)
            values[at] = part.values[:, i]
            if name in columns and np.array_equal(columns[name], values, equal_nan=True):
                dropped.append(name)
                continue
            if name in columns:
                name = f"{_origin(part.table)}:{name}"
            columns[name] = values
            if part.names[i] in part.units:
                units[name] = part.units[part.names[i]]
    chosen = _chosen(list(columns), schema, schema_path)
    empty = [name for name in chosen if np.isnan(columns[name]).all()]
    chosen = [name for name in chosen if name not in set(empty)]
    if not chosen:
        raise CohortError(f"{source}: no feature with values is left; check the tables and the schema")
    named = scan_names(scans, schema.scan_name, where=str(source), schema_path=schema_path, strict=strict)
    missing = {part.table.path.name: len(scans) - len(part.scans) for part in parts if len(part.scans) < len(scans)}
    lines = [
        f"{len(parts)} FreeSurfer table{'s' if len(parts) > 1 else ''}, {len(scans)} scans, {len(chosen)} features "
        f"({some(chosen, 3)})",
        *(
            [f"repeated in several tables with the same values, kept once: {some(dict.fromkeys(dropped))}"]
            * bool(dropped)
        ),
        *([f"left out, all values missing: {some(empty)}"] if empty else []),
        *(f"{count} scans are not in {name}" for name, count in missing.items()),
        *named.notes,
    ]
    rows = VisitRows(
        source=str(source),
        subjects=np.array([schema.subject_prefix + name for name in named.subjects], dtype=object),
        visits=np.where(named.visits == "", "1", named.visits) if named.has_visits else None,
        time=np.full(len(scans), np.nan),
        time_kind="",
        features=np.column_stack([columns[name] for name in chosen]),
        feature_names=tuple(chosen),
        labels=pd.DataFrame(index=range(len(scans))),
        rows=np.arange(len(scans)),
        place=lambda row: f"scan {scans[row]}",
        units={name: unit for name, unit in units.items() if name in set(chosen)} | units_of(chosen, schema),
        notes=tuple(f"{source.name}: {line}" for line in lines),
        findings=named.findings,
    )
    return rows.take(named.keep)


def _read(table: Table, schema: TableSchema) -> _Part:
    match = _HEADER.fullmatch(table.columns[0])
    measure = (match["measure"] or match["stats"]).lower() if match else ""
    names = table.columns[1:]
    own = own_missing(schema, names, {}) | {table.columns[0]: Missing()}
    blocks = list(cells := Cells(table, names, [table.columns[0]], Missing.of(schema.missing), own))
    scans = whole(np.concatenate([block.texts[table.columns[0]] for block in blocks]))
    for name in names:
        if cells.kinds[name] == "text":
            raise CohortError(f"{table.path}, column {name}: expected numbers, found text; is this a FreeSurfer table?")
    if (regions := share_of_regions(map(str, scans))) > max(0.5, share_of_regions(names)):
        raise CohortError(
            f"{table.path}: is transposed: regions in rows ({regions:.0%} of the names in the first column, such as "
            f"{scans[0]}), scans in columns ({some(names, 2)}); make the table without --transpose, or turn it: "
            + _turned(table)
        )
    series = pd.Series(scans)
    if series.isna().any():
        row = int(np.flatnonzero(series.isna())[0])
        raise CohortError(f"{table.path}, {table.place(row)}: the scan's name is missing; fill it in or remove the row")
    if series.duplicated().any():
        row = int(np.flatnonzero(series.duplicated())[0])
        raise CohortError(f"{table.path}, {table.place(row)}: scan {scans[row]} is in the table twice; remove one row")
    suffix = f"_{measure}" if match and match["stats"] and measure != "volume" else ""
    named = renamed(names, names)
    features = tuple(named[name] + suffix for name in names)
    units = _units(named.values(), measure)
    return _Part(
        table,
        scans,
        np.concatenate([block.numbers for block in blocks]),
        names,
        features,
        {name: units[named[name]] for name in names if named[name] in units},
    )


def _turned(table: Table) -> str:
    """Return the command that turns a table with regions in rows."""
    name, path = table.columns[0], table.path
    sep = "" if table.delimiter == "," else f", sep={table.delimiter!r}"
    to = f".T.rename_axis('{name}').to_csv('{path.stem}.turned{path.suffix}'{sep})"
    return f"python -c \"import pandas as pd; pd.read_csv('{path.name}', index_col=0{sep}){to}\""


def _units(names: Iterable[str], measure: str) -> dict[str, str]:
    """Return units by header name; intensities and counts have none."""
    units = {}
    for name in names:
        unit = "mm3" if name in _VOLUMES else _UNITS.get(measure)
        if unit and not _NOT_VOLUMES.search(name):
            units[name] = unit
    return units


def _origin(table: Table) -> str:
    match = _HEADER.fullmatch(table.columns[0])
    return match["parcellation"] if match and match["parcellation"] else table.path.stem


def _chosen(names: list[str], schema: TableSchema, schema_path: str) -> list[str]:
    matching(schema.exclude, names, f"{schema_path}, exclude", SchemaError)
    if schema.features is not None:
        names = matching(schema.features, names, f"{schema_path}, features", SchemaError)
    return [name for name in names if not any(fits(pattern, name) for pattern in schema.exclude)]
