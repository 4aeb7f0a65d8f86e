"""Text tables and Parquet as batches of cells, with errors that name the line and the column."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.errors import CohortError, some

MISSING_TEXTS = ("", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "#N/A", "<NA>")

IMPUTED, IMPUTED_VISIT, UNLIKE_TRAINING = "imputed", "imputed_visit", "unlike_training"
COMPANIONS = ("low", "high", "annual_percent")
"""What a completed table adds: columns that mark imputed visits, and endings of columns beside features."""

_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}
_SAMPLE_BYTES = 4 << 20
_SAMPLE_LINES = 50
_BLOCK_BYTES = 16 << 20
_PARQUET_ROWS = 4096

_NO_VALUE = pa.array(MISSING_TEXTS)

Texts = NDArray[np.object_]
"""Cells as `str`, None where missing."""


@dataclass(frozen=True)
class Table:
    """A file of rows and named columns.

    Attributes
    ----------
    path : Path
    columns : tuple of str
        Distinct names; an unnamed column is named by its position, as in ``column 1``.
    delimiter : str
        Empty for Parquet.
    nested : tuple of str
        Columns of lists and structures, which no table of cells can hold: they are not among `columns`.
    """

    path: Path
    columns: tuple[str, ...]
    delimiter: str
    nested: tuple[str, ...] = ()

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
        return f"{_DELIMITERS[self.delimiter]}-separated" if self.delimiter else "Parquet"

    def place(self, row: int) -> str:
        """Name a row (counted from 0) as the user finds it; the header of a text table is line 1."""
        return f"line {row + 2}" if self.delimiter else f"row {row + 1}"

    def cell(self, row: int, column: str) -> str:
        """Name a cell for a message: file, row and column."""
        return f"{self.path}, {self.place(row)}, column {column}"

    def batches(self, columns: Sequence[str] | None = None, *, verbatim: bool = False) -> Iterator[Any]:
        """Yield record batches of all or some columns; cells of a text table come as text.

        With `verbatim`, texts that mean "missing" are kept as they are.
        """
        wanted = list(self.columns if columns is None else columns)
        try:
            yield from self._parquet(wanted) if not self.delimiter else self._text(wanted, verbatim)
        except pa.ArrowInvalid as error:
            raise CohortError(self._explain(str(error))) from None
        except OSError as error:
            raise CohortError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def _parquet(self, columns: list[str]) -> Iterator[Any]:
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(batch_size=_PARQUET_ROWS, columns=columns)

    def _text(self, columns: list[str], verbatim: bool) -> Iterator[Any]:
        convert = pacsv.ConvertOptions(
            column_types={name: pa.string() for name in columns},
            include_columns=columns,
            strings_can_be_null=not verbatim,
            null_values=list(MISSING_TEXTS),
        )
        read = pacsv.ReadOptions(column_names=self.columns, skip_rows=1, block_size=_BLOCK_BYTES)
        parse = pacsv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True)
        with pacsv.open_csv(self.path, read_options=read, parse_options=parse, convert_options=convert) as reader:
            yield from reader

    def _explain(self, message: str) -> str:
        if "UTF8" in message:
            return f"{self.path}: is not UTF-8 text; save the table with UTF-8 encoding"
        if ragged := re.search(r"Expected (\d+) columns, got (\d+)", message):
            line = self._ragged_line()
            more = " (one cell more: row names without a header?)" if int(ragged[2]) == int(ragged[1]) + 1 else ""
            return (
                f"{self.path}, line {line}: {ragged[2]} cells where the header has {ragged[1]}{more}; the delimiter "
                f"was taken to be a {_DELIMITERS[self.delimiter]}; correct the line"
            )
        return f"{self.path}: cannot be read as a {self.form} table ({message}); save it again"

    def _ragged_line(self) -> int:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=self.delimiter)
            return next((rows.line_num for row in rows if row and len(row) != len(self.columns)), 0)


def open_table(path: Path) -> Table:
    """Look at the head of a file: its format, delimiter and columns.

    Raises
    ------
    CohortError
        If the file is missing, empty, binary, not UTF-8, has a single column or repeated names.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE_BYTES)
    except OSError as error:
        raise CohortError(f"{path}: cannot be read: {error.strerror or error}") from error
    if head[:4] == b"PAR1" or path.suffix in {".parquet", ".pq"}:
        return _open_parquet(path)
    if not head.strip():
        raise CohortError(f"{path}: the file is empty; expected a table with a header line")
    if b"\0" in head[:4096]:
        raise CohortError(f"{path}: is a binary file; save the table as CSV, TSV or Parquet with UTF-8 encoding")
    if len(head) == _SAMPLE_BYTES:
        head = head[: head.rfind(b"\n") + 1]
    try:
        lines = head.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = head[: error.start].count(b"\n") + 1
        raise CohortError(f"{path}, line {line}: is not UTF-8 text; save the table with UTF-8 encoding") from None
    lines = [line for line in lines if line.strip()][:_SAMPLE_LINES]
    delimiter = _delimiter(path, lines)
    return Table(path, _distinct(path, next(csv.reader(lines, delimiter=delimiter))), delimiter)


def _open_parquet(path: Path) -> Table:
    try:
        fields = list(pq.read_schema(path))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
        raise CohortError(f"{path}: is not a whole Parquet file (truncated?); write it again") from None
    nested = tuple(str(field.name) for field in fields if pa.types.is_nested(field.type))
    names = [str(field.name) for field in fields if field.name not in nested]
    return Table(path, _distinct(path, [name for name in names if not name.startswith("__index_level_")]), "", nested)


def _delimiter(path: Path, lines: list[str]) -> str:
    """Return the delimiter that cuts most lines as it cuts the header, into most cells; a space comes last."""
    found: list[tuple[bool, float, int, str]] = []
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        if counts[0] > 1:
            same = float(np.mean([count == counts[0] for count in counts]))
            found.append((delimiter != " ", same, counts[0], delimiter))
    if not found:
        raise CohortError(
            f"{path}: only one column, {lines[0][:60]!r}; expected columns separated by "
            f"{', '.join(list(_DELIMITERS.values())[:-1])} or space"
        )
    return max(found)[-1]


def _distinct(path: Path, names: list[str]) -> tuple[str, ...]:
    columns = [name.strip() or f"column {i}" for i, name in enumerate(names, 1)]
    repeated = sorted({name for name in columns if columns.count(name) > 1}) if len({*columns}) < len(columns) else []
    if repeated:
        raise CohortError(f"{path}: column names appear twice: {some(repeated)}; give every column its own name")
    return tuple(columns)


@dataclass(frozen=True)
class Missing:
    """Values that mean "missing" besides the usual ones: `numbers` in numeric cells, `texts` in text cells."""

    numbers: tuple[float, ...] = ()
    texts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, codes: Sequence[float | str]) -> Missing:
        """Make it from codes as written in a schema.

        >>> Missing.of([-999, "unknown"]).numbers
        (-999.0,)
        """
        numbers = tuple(value for code in codes if (value := to_number(code)) is not None)
        return cls(numbers, frozenset(str(code).strip() for code in codes))

    def without(self, texts: Texts) -> Texts:
        """Return texts with None where one is a code, however its number is written.

        >>> Missing.of([-999]).without(np.array(["-999.0", "-99"], dtype=object)).tolist()
        [None, '-99']
        """
        if not self.texts:
            return texts
        levels = {text for text in texts if text is not None}
        codes = {text for text in levels if text in self.texts or to_number(text) in self.numbers}
        return np.array([None if text in codes else text for text in texts], dtype=object) if codes else texts


def to_number(text: object) -> float | None:
    """Return the number a cell or a setting holds, or None.

    >>> to_number("1e3"), to_number("1_000")
    (1000.0, None)
    """
    try:
        return float(str(text)) if "_" not in str(text) else None
    except ValueError:
        return None


@dataclass(frozen=True)
class Block:
    """Some consecutive rows: numbers of shape (n_rows, n_columns), and texts per text column."""

    start: int
    numbers: FloatArray
    texts: dict[str, Texts]


@dataclass
class Cells:
    """Read a table block by block and find out which columns hold numbers.

    Iterate to read; a column is decided by the first batch in which it has values: more numbers than
    texts make it numeric, and a text in it from then on is an error.

    Parameters
    ----------
    table : Table
    columns : sequence of str
        Numeric if they can be.
    texts : sequence of str
        Always read as text.
    missing : Missing
    own : mapping of column to Missing
        In place of `missing`: of names, which are never codes, and of labels with codes of their own.

    Attributes
    ----------
    kinds : dict of column to kind
    """

    table: Table
    columns: Sequence[str]
    texts: Sequence[str] = ()
    missing: Missing = field(default_factory=Missing)
    own: Mapping[str, Missing] = field(default_factory=dict)
    kinds: dict[str, Literal["number", "text", "empty"]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Block]:
        self.kinds.update(dict.fromkeys(self.columns, "empty"))
        wanted = list(dict.fromkeys([*self.columns, *self.texts]))
        start = 0
        for batch in self.table.batches(wanted):
            numbers = np.full((batch.num_rows, len(self.columns)), np.nan)
            texts = {name: self._texts(batch.column(name), name) for name in self.texts}
            for i, name in enumerate(self.columns):
                cells = batch.column(name)
                if self.kinds[name] != "text" and (values := self._numbers(cells, name, start)) is not None:
                    numbers[:, i] = values
                if self.kinds[name] == "text":
                    texts[name] = self._texts(cells, name)
            yield Block(start, numbers, texts)
            start += batch.num_rows
        if not start:
            raise CohortError(f"{self.table.path}: the table has a header and no rows")

    def _numbers(self, cells: Any, name: str, start: int) -> FloatArray | None:
        if cells.null_count == len(cells):
            return None
        values = to_numbers(cells)
        if values is None:
            bad = self._not_numbers(cells)
            values = numbers_or_missing(cells)
            if self.kinds[name] == "empty" and len(bad) > np.isfinite(values).sum():
                self.kinds[name] = "text"
                return None
            if bad:
                row, text = bad[0]
                comma = " (a decimal comma? write 1.5, not 1,5)" if re.fullmatch(r"-?\d+,\d+", text) else ""
                raise CohortError(
                    f"{self.table.cell(start + row, name)}: expected a number, found {text!r}{comma}; correct the "
                    "cell, or exclude the column or list the value as missing in a schema"
                )
        for code in self.missing.numbers:
            values[values == code] = np.nan
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0])
            raise CohortError(
                f"{self.table.cell(start + row, name)}: the value is infinite; correct the cell or leave it empty"
            )
        if self.kinds[name] == "empty" and not np.isnan(values).all():
            self.kinds[name] = "number"
        return values

    def _not_numbers(self, cells: Any) -> list[tuple[int, str]]:
        """Return position and text of cells that hold neither a number nor a code for missing."""
        known = self.missing.texts.union(MISSING_TEXTS)
        return [
            (row, str(text))
            for row, text in enumerate(cells.to_pylist())
            if text is not None and str(text).strip() not in known and to_number(text) is None
        ]

    def _texts(self, cells: Any, name: str) -> Texts:
        return self.own.get(name, self.missing).without(to_texts(cells))


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
    texts = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    result: Texts = pc.if_else(pc.is_in(texts, _NO_VALUE), None, texts).to_numpy(zero_copy_only=False)
    return result
