"""DataFrames and other cells in memory as tables."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nextscan.errors import CohortError, some
from nextscan.reading.columns.vocabulary import SUBJECT, find
from nextscan.reading.formats.tables import MISSING_TEXTS, Table, distinct, to_texts
from nextscan.reading.schema import TableSchema

SOURCE = "DataFrame"
"""The path of a table that is no file."""


def is_frame(value: object) -> bool:
    """Tell whether a value is a table in memory: pandas, Arrow, or what offers itself as Arrow (polars)."""
    return hasattr(value, "__arrow_c_stream__")


def frame_table(frame: Any, schema: TableSchema | None = None) -> Table:
    """Return a DataFrame of pandas, or whatever gives itself as an Arrow table, as a table.

    Names of the index count as columns. Dates become text as in a file, as do true and false; texts that mean
    "missing" in a file mean it here.

    Raises
    ------
    CohortError
        If it has no columns, names appear twice or have several levels, or no rows.
    """
    notes: list[str] = []
    categories: list[str] = []
    if isinstance(frame, pd.DataFrame):
        frame = _with_index(frame, notes)
        columns = [(str(name), _of_series(frame.iloc[:, i])) for i, name in enumerate(frame.columns)]
        kinds = zip(frame.columns, frame.dtypes, strict=True)
        categories = [str(name).strip() for name, kind in kinds if isinstance(kind, pd.CategoricalDtype)]
    else:
        table = pa.table(frame)
        columns = [
            (name, _plain(cells.combine_chunks()))
            for name, cells in zip(table.column_names, table.columns, strict=True)
        ]
    nested = [name for name, cells in columns if pa.types.is_nested(cells.type)]
    lasting = [name for name, cells in columns if pa.types.is_duration(cells.type)]
    notes += [f"left out, cells hold several values: {some(nested)}"] if nested else []
    notes += [f"left out, durations without a unit: {some(lasting)}; write numbers of days or years"] if lasting else []
    columns = [(name, cells) for name, cells in columns if name not in {*nested, *lasting}]
    names = distinct(Path(SOURCE), [name for name, _ in columns])
    n_rows = len(columns[0][1]) if columns else 0
    if len(names) < 2 or not n_rows:
        raise CohortError(f"{SOURCE}: has {len(names)} columns, {n_rows} rows; expected a subject and features")
    held = pa.table({name: cells for name, (_, cells) in zip(names, columns, strict=True)})
    return Table(
        Path(SOURCE),
        names,
        "",
        held=held,
        kind=SOURCE,
        categories=frozenset(categories),
        decimal=None if schema is None else schema.decimal,
        thousands=None if schema is None else schema.thousands,
        notes=tuple(notes),
    )


def typed(values: Sequence[object]) -> Any:
    """Return cells of any kinds as one Arrow array: numbers if all are, else texts.

    >>> typed([1, 2.5, None]).to_pylist(), typed([1.0, "x", datetime.date(2016, 5, 4)]).to_pylist()
    ([1.0, 2.5, None], ['1', 'x', '2016-05-04'])
    """
    known = [value for value in values if not _is_missing(value)]
    if all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in known):
        return pa.array([None if _is_missing(value) else float(value) for value in values], pa.float64())  # type: ignore[arg-type]
    timed = any(isinstance(value, datetime.datetime) and value.time() != datetime.time() for value in known)
    return _plain(pa.array([None if _is_missing(value) else _text(value, timed) for value in values], pa.string()))


def _is_missing(value: object) -> bool:
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and math.isnan(value))
    )


def _text(value: object, timed: bool) -> str:
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S" if timed else "%Y-%m-%d")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _with_index(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    if frame.columns.nlevels > 1:
        raise CohortError(
            f"{SOURCE}: names of columns have {frame.columns.nlevels} levels; join them into one: "
            "frame.columns = ['_'.join(map(str, name)) for name in frame.columns]"
        )
    named = [name for name in frame.index.names if name is not None]
    if named:
        clash = [str(name) for name in named if name in frame.columns]
        frame = frame.drop(columns=clash) if clash and all(_same(frame, name) for name in clash) else frame
        fresh = frame.reset_index(level=[name for name in named if name not in frame.columns])
        return fresh.reset_index(drop=True)
    texts = frame.index.nlevels == 1 and pd.api.types.is_string_dtype(frame.index.dtype)
    if texts and frame.index.dtype != "int64" and find(map(str, frame.columns), SUBJECT) is None:
        notes.append("subject: the index, which has no name")
        return frame.rename_axis(index="subject").reset_index()
    return frame.reset_index(drop=True)


def _same(frame: pd.DataFrame, name: str) -> bool:
    return bool((frame[name].astype(str).to_numpy() == frame.index.get_level_values(name).astype(str).to_numpy()).all())


def _of_series(series: pd.Series) -> Any:
    """Return a column as Arrow keeps it; what it cannot keep as text."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if isinstance(series.dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.astype("str")
    try:
        return _plain(pa.array(series, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return typed(series.tolist())


def _plain(cells: Any) -> Any:
    """Return an array whose cells are numbers or texts, missing as in a file; nested ones stay."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _plain(cells.dictionary_decode())
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        return pa.array(to_texts(cells), pa.string())
    if pa.types.is_boolean(kind):
        return pc.if_else(cells, "True", "False")
    if pa.types.is_large_string(kind) or kind == pa.string_view():
        cells = cells.cast(pa.string())
    if pa.types.is_string(cells.type):
        return pc.if_else(pc.is_in(pc.utf8_trim_whitespace(cells), pa.array(MISSING_TEXTS)), None, cells)
    return cells
