"""Open a table: its format, encoding, delimiter and columns, from the head of the file."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nextscan.errors import CohortError, SchemaError
from nextscan.reading.formats.foreign import foreign
from nextscan.reading.formats.tables import DELIMITERS, Table, bare_encoding, distinct

if TYPE_CHECKING:
    from nextscan.reading.schema import TableSchema

_SAMPLE_BYTES = 4 << 20
_SAMPLE_LINES = 50
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_WESTERN = "cp1252"
_HINT = re.compile(r"sep=(.)\s*")
"""The first line that tells Excel the delimiter."""


def open_table(path: Path, schema: TableSchema | None = None) -> Table:
    """Look at the head of a file: its format, encoding, delimiter and columns.

    Parameters
    ----------
    path : Path
        Text with delimiters (also with gzip), Parquet, or an Excel workbook.
    schema : TableSchema, optional
        Its keys `encoding`, `delimiter`, `decimal`, `thousands` and `sheet` overrule what the file suggests.

    Raises
    ------
    CohortError
        If the file is missing, empty, binary, another program's, in an unknown encoding, has a single column or
        repeated names.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE_BYTES)
        compressed = head.startswith(b"\x1f\x8b")
        if compressed:
            with gzip.open(path) as file:
                head = file.read(_SAMPLE_BYTES)
    except (OSError, EOFError) as error:
        raise CohortError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if head[:4] == b"PAR1" or path.suffix in {".parquet", ".pq"}:
        return _open_parquet(path, schema)
    if not head.strip():
        raise CohortError(f"{path}: the file is empty; expected a table with a header line")
    if head.startswith(b"PK\x03\x04") and (path.suffix.lower() in {".xlsx", ".xlsm"} or b"xl/" in head):
        from nextscan.reading.formats.excel import open_excel

        return open_excel(path, schema)
    if what := foreign(path, head):
        raise CohortError(f"{path}: {what}")
    if head.startswith(b"PK\x03\x04"):
        raise CohortError(f"{path}: is a ZIP archive; unpack it, and give the table in it")
    return _open_text(path, head, schema, compressed=compressed)


def _open_text(path: Path, head: bytes, schema: TableSchema | None, *, compressed: bool) -> Table:
    encoding, told = _encoding(path, head, None if schema is None else schema.encoding)
    if len(head) == _SAMPLE_BYTES and encoding != "utf-16":
        head = head[: head.rfind(b"\n") + 1]
    text = head.decode(bare_encoding(encoding), errors="strict" if len(head) < _SAMPLE_BYTES else "ignore")
    lines = text.splitlines()
    hint = _HINT.fullmatch(lines[0])
    header = next((i for i, line in enumerate(lines) if line.strip() and not (hint and i == 0)), 0)
    sample = [line for line in lines[header:] if line.strip()][:_SAMPLE_LINES]
    chosen = schema.delimiter if schema is not None and schema.delimiter else hint[1] if hint else ""
    delimiter = _delimiter(path, sample, chosen)
    return Table(
        path,
        distinct(path, next(csv.reader(sample, delimiter=delimiter))),
        delimiter,
        encoding=encoding,
        skipped=header + 1,
        compressed=compressed,
        decimal=schema.decimal if schema is not None else None,
        thousands=schema.thousands if schema is not None else None,
        notes=tuple(told),
    )


def _encoding(path: Path, head: bytes, given: str | None) -> tuple[str, list[str]]:
    """Return the encoding of a text, and what is to be told about it."""
    marked = next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), None)
    if marked == "utf-16" and given is None:
        return marked, ["text with UTF-16 encoding"]
    nul = head.find(b"\0")
    if nul >= 0 and not (given or "").lower().replace("_", "-").startswith(("utf-16", "utf-32")):
        line = head[:nul].count(b"\n") + 1
        wide = head[1::2].count(b"\0") > 0.4 * len(head[1::2]) or head[::2].count(b"\0") > 0.4 * len(head[::2])
        if wide:
            raise CohortError(
                f"{path}: looks like UTF-16 text; save the table with UTF-8 encoding, or say so in a schema: "
                f'encoding = "utf-16-{"le" if head[1:2] == bytes(1) else "be"}"'
            )
        raise CohortError(
            f"{path}, line {line}: holds NUL bytes: is a binary file, or damaged; save the table as CSV, TSV or "
            "Parquet with UTF-8 encoding"
        )
    encoding = given or "utf-8"
    problem = _problem(head, encoding)
    if problem is None:
        return encoding, []
    line = head[: problem.start].count(b"\n") + 1
    if given is not None:
        raise SchemaError(f"{path}, line {line}: is not {given} text, as the schema says; correct encoding there")
    if _problem(head, _WESTERN) is not None:
        raise CohortError(
            f"{path}, line {line}: is not UTF-8 text; save the table with UTF-8 encoding, or say which it has in a "
            'schema: encoding = "latin-1"'
        )
    shown = head[problem.start :].split(b"\n")[0]
    start = max(head.rfind(mark, 0, problem.start) for mark in (b"\n", b",", b";", b"\t")) + 1
    word = re.split(rb"[,;\t\r\n]", head[start : problem.start] + shown)[0].decode(_WESTERN).strip()
    return _WESTERN, [
        f"not UTF-8 text; read as Windows-1252 (Western European), as in {word[:40]!r}; for another, say which in a "
        'schema: encoding = "..."'
    ]


def _problem(head: bytes, encoding: str) -> UnicodeDecodeError | None:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head, final=len(head) < _SAMPLE_BYTES)
    except UnicodeDecodeError as error:
        return error
    return None


def _open_parquet(path: Path, schema: TableSchema | None) -> Table:
    try:
        fields = list(pq.read_schema(path))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
        raise CohortError(f"{path}: is not a whole Parquet file (truncated?); write it again") from None
    nested = tuple(str(field.name) for field in fields if pa.types.is_nested(field.type))
    names = [str(field.name) for field in fields if field.name not in nested]
    return Table(
        path,
        distinct(path, [name for name in names if not name.startswith("__index_level_")]),
        "",
        nested=nested,
        decimal=schema.decimal if schema is not None else None,
        thousands=schema.thousands if schema is not None else None,
    )


def _delimiter(path: Path, lines: list[str], chosen: str) -> str:
    """Return the delimiter that cuts most lines as it cuts the header, into most cells; a space comes last."""
    found: list[tuple[bool, float, int, str]] = []
    for delimiter in [chosen] if chosen else DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        if counts[0] > 1:
            same = float(np.mean([count == counts[0] for count in counts]))
            found.append((delimiter != " ", same, counts[0], delimiter))
    if not found:
        expected = repr(chosen) if chosen else f"{', '.join(list(DELIMITERS.values())[:-1])} or space"
        raise CohortError(f"{path}: only one column, {lines[0][:60]!r}; expected columns separated by {expected}")
    return max(found)[-1]
