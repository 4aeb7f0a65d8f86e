"""Cells of a table as numbers and texts, block by block, with errors that name the line and the column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.errors import CohortError
from nextscan.reading.formats.tables import (
    MISSING_TEXTS,
    Table,
    Texts,
    numbers_or_missing,
    to_number,
    to_numbers,
    to_texts,
)


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
        In place of `missing`: of names, which are never codes, and of columns with codes of their own.

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
        for name in self.columns:
            if problem := self.table.forms.unclear.get(name):
                raise CohortError(f"{self.table.path}, column {name}: {problem}")
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
        missing = self.own.get(name, self.missing)
        values = to_numbers(cells)
        if values is None:
            bad = self._not_numbers(cells, missing)
            values = numbers_or_missing(cells)
            if self.kinds[name] == "empty" and len(bad) > np.isfinite(values).sum():
                self.kinds[name] = "text"
                return None
            if bad:
                row, text = bad[0]
                comma = ""
                if re.fullmatch(r"[-+\d.,'\s]*\d[.,]\d+", text):
                    comma = ' (if it is a number: give decimal = "," or thousands = "," in a schema)'
                raise CohortError(
                    f"{self.table.cell(start + row, name)}: expected a number, found {text!r}{comma}; correct the "
                    "cell, or exclude the column or list the value as missing in a schema"
                )
        for code in missing.numbers:
            values[values == code] = np.nan
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0])
            raise CohortError(
                f"{self.table.cell(start + row, name)}: the value is infinite; correct the cell or leave it empty"
            )
        if self.kinds[name] == "empty" and not np.isnan(values).all():
            self.kinds[name] = "number"
        return values

    @staticmethod
    def _not_numbers(cells: Any, missing: Missing) -> list[tuple[int, str]]:
        """Return position and text of cells that hold neither a number nor a code for missing."""
        known = missing.texts.union(MISSING_TEXTS)
        return [
            (row, str(text))
            for row, text in enumerate(cells.to_pylist())
            if text is not None and str(text).strip() not in known and to_number(text) is None
        ]

    def _texts(self, cells: Any, name: str) -> Texts:
        return self.own.get(name, self.missing).without(to_texts(cells))
