"""Write Arrow tables piece by piece to CSV, TSV or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nextscan.arrays import FloatArray
from nextscan.errors import SettingError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".parquet": ""}
_DIGITS = 7
"""Significant digits of imputed numbers in text: more would be noise of the draws."""

Write = Callable[[Any], None]


def is_parquet(path: Path) -> bool:
    """Tell by the suffix whether a result is written as Parquet or as text.

    Raises
    ------
    SettingError
        If the suffix is none of .csv, .tsv and .parquet.
    """
    suffix = path.suffix.lower()
    if suffix not in DELIMITERS:
        raise SettingError(f"{path}: the name must end in {', '.join(DELIMITERS)}, which chooses the format")
    return not DELIMITERS[suffix]


@contextmanager
def table_sink(path: Path, *, delimiter: str = "", plain: Collection[str] = ()) -> Iterator[Write]:
    """Yield a function that appends an Arrow table to a new file; all tables have the same columns.

    Parameters
    ----------
    path : Path
        The suffix chooses the format.
    delimiter : str
        Of a ``.csv`` file, if not a comma.
    plain : collection of str
        Text columns known to hold nothing that needs quotes, such as numbers.
    """
    if is_parquet(path):
        with _parquet(path) as write:
            yield write
        return
    delimiter = DELIMITERS[path.suffix.lower()] if path.suffix.lower() != ".csv" else delimiter or ","
    with path.open("w", encoding="utf-8", newline="") as file:
        started = False

        def write(table: Any) -> None:
            nonlocal started
            if not started:
                file.write(_line(table.column_names, delimiter))
                started = True
            if table.num_rows:
                file.write("\n".join(_lines(table, delimiter, plain)) + "\n")

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    writer = None
    try:

        def write(table: Any) -> None:
            nonlocal writer
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)

        yield write
    finally:
        if writer is not None:
            writer.close()


def _line(cells: list[str], delimiter: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _lines(table: Any, delimiter: str, plain: Collection[str]) -> list[str]:
    columns = [
        _quoted(column.combine_chunks(), delimiter, plain=name in plain)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    joined = pc.binary_join_element_wise(*columns, delimiter, null_handling="replace", null_replacement="")
    lines: list[str] = joined.to_pylist()
    return lines


def _quoted(cells: Any, delimiter: str, *, plain: bool) -> Any:
    if not pa.types.is_string(cells.type):
        return cells.cast(pa.string())
    special = None if plain else pc.match_substring_regex(cells, f'[{delimiter}"\r\n]')
    if special is None or not pc.any(special).as_py():
        return cells
    inside = pc.binary_join_element_wise('"', pc.replace_substring(cells, '"', '""'), '"', "")
    return pc.if_else(special, inside, cells)


def significant(values: FloatArray) -> FloatArray:
    """Round to seven significant digits.

    >>> significant(np.array([1507937.95403, 0.0123456789])).tolist()
    [1507938.0, 0.01234568]
    """
    size = np.abs(np.where((values == 0) | ~np.isfinite(values), 1.0, values))
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.maximum(size, 1e-290))))
    return np.asarray(np.round(values * scale) / scale)
