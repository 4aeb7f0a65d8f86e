"""Text tables, Parquet and tables in memory as batches of cells, with errors that name the line and the column."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, some
from nextscan.reading.formats.numbers import PLAIN, Forms, number_forms

MISSING_TEXTS = ("", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "#N/A", "<NA>")

IMPUTED, IMPUTED_VISIT, UNLIKE_TRAINING = "imputed", "imputed_visit", "unlike_training"
COMPANIONS = ("low", "high", "annual_percent")
"""What a completed table adds: columns that mark imputed visits, and endings of columns beside features."""

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}
_SAMPLE_BYTES = 4 << 20
_BLOCK_BYTES = 16 << 20
_ROWS = 4096

_NO_VALUE = pa.array(MISSING_TEXTS)

Texts = NDArray[np.object_]
"""Cells as `str`, None where missing."""


@dataclass(frozen=True)
class Table:
    """Rows and named columns, of a file or in memory.

    Attributes
    ----------
    path : Path
    columns : tuple of str
        Distinct names; an unnamed column is named by its position, as in ``column 1``.
    delimiter : str
        Empty for a table with types: Parquet, Excel, a DataFrame.
    encoding : str
        Of a text table.
    skipped : int
        Lines up to the header, and with it.
    compressed : bool
        With gzip.
    held : pyarrow.Table or None
        All cells, of a table in memory.
    kind : str
        What a table in memory is, in words.
    decimal, thousands : str or None
        How the schema says that numbers are written.
    names : frozenset of str
        Columns of names, which are read to the letter.
    categories : frozenset of str
        Columns that are categories by their type.
    nested : tuple of str
        Columns of lists and structures, which no table of cells can hold: they are not among `columns`.
    notes : tuple of str
        What was understood when the table was opened.
    findings : tuple of Finding
        What the user should check.
    """

    path: Path
    columns: tuple[str, ...]
    delimiter: str
    encoding: str = "utf-8"
    skipped: int = 1
    compressed: bool = False
    held: Any = None
    kind: str = "Parquet"
    decimal: str | None = None
    thousands: str | None = None
    names: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_completed(self) -> bool:
        """Tell whether `nextscan.writing.tables` completed the table: it marks imputed visits."""
        return {IMPUTED, IMPUTED_VISIT} <= set(self.columns)

    @property
    def own_columns(self) -> tuple[str, ...]:
        """Columns the user put there: without the marks and companions of a completed table."""
        if not self.is_completed:
            return self.columns
        ends = tuple(f"__{what}" for what in COMPANIONS)
        marks = (IMPUTED, IMPUTED_VISIT, UNLIKE_TRAINING)
        return tuple(name for name in self.columns if name not in marks and not name.endswith(ends))

    @property
    def form(self) -> str:
        """What the file is, in words."""
        return f"{DELIMITERS[self.delimiter]}-separated" if self.delimiter else self.kind

    def naming(self, names: Iterable[str | None]) -> Table:
        """Return the table with columns of names, whose cells are read to the letter."""
        return replace(self, names=frozenset(name for name in names if name is not None))

    def place(self, row: int) -> str:
        """Name a row (counted from 0) as the user finds it; the header of a text table is line 1."""
        if self.delimiter:
            return f"line {row + 1 + self.skipped}"
        return f"row {row + 1 + (self.skipped if self.kind == 'Excel' else 0)}"

    def cell(self, row: int, column: str) -> str:
        """Name a cell for a message: file, row and column."""
        return f"{self.path}, {self.place(row)}, column {column}"

    @cached_property
    def forms(self) -> Forms:
        """How columns of text write numbers, as the first rows tell."""
        try:
            batch = next(self.read(self.own_columns, block=_SAMPLE_BYTES), None)
        except (pa.ArrowInvalid, OSError):
            return Forms()  # whoever reads the table tells what is wrong with it
        if batch is None:
            return Forms()
        texts = {
            name: cells
            for name, cells in zip(batch.schema.names, batch.columns, strict=True)
            if pa.types.is_string(cells.type) and name not in self.names
        }
        return number_forms(texts, self.decimal, self.thousands).without(self.names)

    def batches(self, columns: Sequence[str] | None = None, *, verbatim: bool = False) -> Iterator[Any]:
        """Yield record batches of all or some columns; cells of a text table come as text.

        Numbers in texts come as a computer writes them, see `numbers`. With `verbatim` they are kept as they are,
        as are texts that mean "missing".
        """
        wanted = list(self.columns if columns is None else columns)
        try:
            for batch in self.read(wanted, verbatim=verbatim):
                yield batch if verbatim else self._plain(batch)
        except pa.ArrowInvalid as error:
            raise CohortError(self._explain(str(error))) from None
        except (OSError, EOFError, UnicodeError) as error:
            raise CohortError(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def _plain(self, batch: Any) -> Any:
        forms = {name: self.forms[name] for name in batch.schema.names}
        if all(form == PLAIN for form in forms.values()):
            return batch
        columns = {
            name: forms[name].plain(cells) if forms[name] != PLAIN and pa.types.is_string(cells.type) else cells
            for name, cells in zip(batch.schema.names, batch.columns, strict=True)
        }
        return pa.RecordBatch.from_pydict(columns)

    def read(self, columns: Sequence[str], *, verbatim: bool = False, block: int = _BLOCK_BYTES) -> Iterator[Any]:
        """Yield record batches of some columns as they are, without a look at how numbers are written."""
        if self.held is not None:
            yield from self.held.select(list(columns)).to_batches(_ROWS)
        elif self.delimiter:
            yield from self._text(list(columns), verbatim, block)
        else:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(batch_size=_ROWS, columns=list(columns))

    def _text(self, columns: list[str], verbatim: bool, block: int) -> Iterator[Any]:
        convert = pacsv.ConvertOptions(
            column_types={name: pa.string() for name in columns},
            include_columns=columns,
            strings_can_be_null=not verbatim,
            null_values=list(MISSING_TEXTS),
        )
        read = pacsv.ReadOptions(
            column_names=self.columns, skip_rows=self.skipped, block_size=block, encoding=_arrow_name(self.encoding)
        )
        parse = pacsv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True)
        with (
            pa.input_stream(str(self.path), compression="gzip" if self.compressed else None) as source,
            pacsv.open_csv(source, read_options=read, parse_options=parse, convert_options=convert) as reader,
        ):
            yield from reader

    def _explain(self, message: str) -> str:
        if "UTF8" in message:
            return (
                f"{self.path}: is not UTF-8 text all through; save the table with UTF-8 encoding, or say which it has "
                'in a schema: encoding = "latin-1"'
            )
        if ragged := re.search(r"Expected (\d+) columns, got (\d+)", message):
            line = self._ragged_line()
            more = " (one cell more: row names without a header?)" if int(ragged[2]) == int(ragged[1]) + 1 else ""
            if self.delimiter == "," and int(ragged[2]) > int(ragged[1]) + 1:
                more = " (decimal commas between commas? save the table with semicolons)"
            return (
                f"{self.path}, line {line}: {ragged[2]} cells where the header has {ragged[1]}{more}; the delimiter "
                f"was taken to be a {DELIMITERS[self.delimiter]}; correct the line, or name the delimiter in a schema: "
                f'delimiter = "{";" if self.delimiter == "," else ","}"'
            )
        return f"{self.path}: cannot be read as a {self.form} table ({message}); save it again"

    def _ragged_line(self) -> int:
        opened = gzip.open if self.compressed else open
        with opened(self.path, "rt", encoding=bare_encoding(self.encoding), newline="") as file:
            rows = csv.reader(file, delimiter=self.delimiter)
            return next(
                (
                    rows.line_num
                    for row in rows
                    if row and len(row) != len(self.columns) and rows.line_num >= self.skipped
                ),
                0,
            )


def distinct(path: Path, names: list[str]) -> tuple[str, ...]:
    """Return trimmed names of columns; an unnamed column is named by its position.

    Raises
    ------
    CohortError
        If a name appears twice.
    """
    columns = [name.strip() or f"column {i}" for i, name in enumerate(names, 1)]
    repeated = sorted({name for name in columns if columns.count(name) > 1}) if len({*columns}) < len(columns) else []
    if repeated:
        raise CohortError(f"{path}: column names appear twice: {some(repeated)}; give every column its own name")
    return tuple(columns)


def bare_encoding(encoding: str) -> str:
    """Return the name of an encoding that leaves out a byte order mark."""
    return "utf-8-sig" if _arrow_name(encoding) == "utf-8" else encoding


def _arrow_name(encoding: str) -> str:
    name = codecs.lookup(encoding).name
    return "utf-8" if name in ("utf-8", "utf-8-sig", "ascii") else encoding


def to_number(text: object) -> float | None:
    """Return the number a cell or a setting holds, or None.

    >>> to_number("1e3"), to_number("1_000")
    (1000.0, None)
    """
    try:
        return float(str(text)) if "_" not in str(text) else None
    except ValueError:
        return None


def to_numbers(cells: Any) -> FloatArray | None:
    """Return an Arrow array as float64 with NaN where null, or None if a cell is no number."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return to_numbers(cells.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        cells = pc.utf8_trim_whitespace(cells)
    elif pa.types.is_boolean(kind):
        cells = cells.cast(pa.uint8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return np.full(len(cells), np.nan) if pa.types.is_null(kind) else None
    try:
        values: FloatArray = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values.copy()


def numbers_or_missing(cells: Any) -> FloatArray:
    """Return an Arrow array as float64 with NaN where a cell is no number."""
    values = to_numbers(cells)
    if values is not None:
        return values
    spelled = [to_number(cell) for cell in cells.to_pylist()]
    return np.array([np.nan if number is None else number for number in spelled])


def to_texts(cells: Any) -> Texts:
    """Return an Arrow array as trimmed strings with None where null or empty; whole numbers without ``.0``."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_floating(cells.type):
        cells = cells.cast(pa.float32()) if pa.types.is_float16(cells.type) else cells
        cells = pc.if_else(pc.is_nan(cells), None, cells)
        whole = pc.all(pc.and_(pc.equal(pc.floor(cells), cells), pc.less(pc.abs(cells), 2.0**53))).as_py()
        cells = cells.cast(pa.int64()) if whole else cells
    elif pa.types.is_timestamp(cells.type):
        midnight = pc.all(pc.equal(pc.floor_temporal(cells, unit="day"), cells)).as_py()
        seconds = cells.cast(pa.timestamp("s", cells.type.tz), safe=False)
        cells = pc.strftime(seconds, "%Y-%m-%d" if midnight else "%Y-%m-%dT%H:%M:%S")
    texts = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    result: Texts = pc.if_else(pc.is_in(texts, _NO_VALUE), None, texts).to_numpy(zero_copy_only=False)
    return result
