"""A sheet of an Excel workbook as a table in memory."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, SchemaError, some
from nextscan.reading.formats.frames import typed
from nextscan.reading.formats.tables import Table, distinct

if TYPE_CHECKING:
    from nextscan.reading.schema import TableSchema


def open_excel(path: Path, schema: TableSchema | None = None) -> Table:
    """Read a sheet: the first that holds a table, or the one the schema names.

    The header is the first row with at least two cells. Formulas count by the values Excel has saved; those of a
    workbook that another program wrote have none, which is told.

    Raises
    ------
    CohortError
        If openpyxl is not installed, or the workbook is damaged or holds no table.
    SchemaError
        If the workbook lacks the sheet.
    """
    try:
        import openpyxl
    except ImportError:
        raise CohortError(
            f"{path}: reading Excel workbooks needs openpyxl: pip install 'nextscan[excel]'; or save the sheet as CSV"
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError) as error:
        raise CohortError(f"{path}: is not a whole Excel workbook ({error}); save it again, or as CSV") from None
    try:
        wanted = None if schema is None else schema.sheet
        if wanted is not None and wanted not in book.sheetnames:
            raise SchemaError(f"{path}: has no sheet {wanted}, as the schema says; it has {some(book.sheetnames)}")
        for name in [wanted] if wanted is not None else book.sheetnames:
            rows = [list(row) for row in book[name].iter_rows(values_only=True)] if name in _sheets(book) else []
            start = next((i for i, row in enumerate(rows) if sum(cell is not None for cell in row) > 1), None)
            if start is not None:
                break
        else:
            raise CohortError(f"{path}: no sheet holds a table: expected a header with at least two cells")
        others = [sheet for sheet in book.sheetnames if sheet != name]
    finally:
        book.close()
    header = rows[start]
    width = max(i for i, cell in enumerate(header) if cell is not None) + 1
    body = [row[:width] + [None] * (width - len(row)) for row in rows[start + 1 :]]
    while body and all(cell is None for cell in body[-1]):
        body.pop()
    uncounted = _uncounted(path, name, rows) if _has_formulas(path) else []
    names = distinct(path, ["" if cell is None else str(cell) for cell in header[:width]])
    columns = {column: typed([row[i] for row in body]) for i, column in enumerate(names)}
    notes = [f"sheet {name}" + (f" of {len(others) + 1}; for another, say sheet = ... in a schema" if others else "")]
    notes += [f"{start} rows above the header left out"] if start else []
    return Table(
        path,
        names,
        "",
        skipped=start + 1,
        held=pa.table(columns),
        kind="Excel",
        decimal=None if schema is None else schema.decimal,
        thousands=None if schema is None else schema.thousands,
        notes=tuple(notes),
        findings=_told(path, name, uncounted),
    )


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as parts:
        sheets = [name for name in parts.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        return any(re.search(rb"<(?:\w+:)?f[ />]", parts.read(name)) for name in sheets)


def _uncounted(path: Path, sheet: str, rows: list[list[Any]]) -> list[tuple[str, str]]:
    """Return the cells of a sheet that hold a formula and no value, with the formula."""
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True)
    try:
        found = []
        for values, cells in zip(rows, book[sheet].iter_rows(), strict=False):
            for value, cell in zip(values, cells, strict=False):
                if value is None and cell.data_type == "f":
                    found.append((cell.coordinate, str(cell.value)))
        return found
    finally:
        book.close()


def _told(path: Path, sheet: str, uncounted: list[tuple[str, str]]) -> tuple[Finding, ...]:
    if not uncounted:
        return ()
    named = some([f"{cell} {formula}" for cell, formula in uncounted], 3)
    text = f"{path}, sheet {sheet}: {len(uncounted)} formulas without a saved value, read as missing: {named}"
    cure = "open the workbook in Excel or LibreOffice and save it there, which works them out; or save the sheet as CSV"
    return (Finding("warning", "formulas", text, cure=cure),)


def _sheets(book: Any) -> set[str]:
    return {sheet.title for sheet in book.worksheets}  # without charts, which have no cells
