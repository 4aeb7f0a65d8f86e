"""Which columns of a long table are labels, which features, and which neither, by the values they hold."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.cohort.cohort import ROLES
from nextscan.errors import CohortError, some
from nextscan.reading.columns.image_columns import is_path
from nextscan.reading.formats.cells import Cells
from nextscan.reading.formats.tables import Texts
from nextscan.reading.layouts.plan import Plan
from nextscan.reading.times.dates import MONTHS

_FREE_TEXT_LEVELS = 50
_FREE_TEXT_SHARE = 0.2
_ENOUGH_ROWS = 20
_MONTH, _YEAR = r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_DATE = re.compile(
    r"(?:\d{4}[-/.]\d{2}[-/.]\d{2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?:[T ]\d\d:\d\d.*)?"
    rf"|{_MONTH}[-/.]{_YEAR}|{_YEAR}[-/.]{_MONTH}|(?i:{'|'.join(MONTHS)})[a-z]*[-/., ]+{_YEAR}"
)


class Sorting:
    """Decide by their values which undecided columns are labels and which are features."""

    def __init__(
        self, columns: Plan, cells: Cells, numbers: FloatArray, texts: dict[str, Texts], *, keep_labels: bool
    ) -> None:
        self._columns, self._numbers = columns, numbers
        self.features: list[str] = []
        self.labels: list[str] = []
        self.binary: list[str] = []
        self.notes: list[str] = []
        empty, dates, free, words, binary, paths = [], [], [], [], [], []
        for name in columns.candidates:
            kind = cells.kinds[name]
            if kind == "text" and columns.certain:
                row, text = next((row, text) for row, text in enumerate(texts[name]) if text is not None)
                raise CohortError(
                    f"{cells.table.cell(row, name)}: expected a number, found {text!r}; "
                    "a feature column holds numbers; leave it out of the features"
                )
            if kind == "empty" and not columns.keep_empty:
                empty.append(name)
            elif kind == "text":
                known = pd.Series(texts[name]).dropna()
                if columns.images and is_path(known.iloc[0]):
                    paths.append(name)
                elif known.str.fullmatch(_DATE).all():
                    dates.append(name)
                elif known.nunique() > max(_FREE_TEXT_LEVELS, _FREE_TEXT_SHARE * len(known)):
                    free.append(name)
                else:
                    words.append(name)
            elif not columns.certain and self._is_binary(name):
                binary.append(name)
            else:
                self.features.append(name)
        self.labels = [*words, *binary] if keep_labels else []
        self.binary = binary if keep_labels else []
        for what, names in {
            "left out, all values missing": empty,
            "left out as dates": dates,
            "left out as free text": free,
            f"left out, paths of other images than the roles {', '.join(ROLES)}": paths,
            "left out, not among the labels of the schema": [] if keep_labels else [*words, *binary],
            "two whole numbers, taken as labels": binary if keep_labels else [],
            "constant features": [] if columns.certain else [n for n in self.features if self._is_constant(n)],
        }.items():
            self.notes += [f"{what}: {some(names)}"] if names else []

    def numbers_of(self, column: str) -> FloatArray:
        """Return a candidate's numbers."""
        return self._numbers[:, self._columns.candidates.index(column)]

    def _known(self, name: str) -> FloatArray:
        values = self.numbers_of(name)
        return values[~np.isnan(values)]

    def _is_binary(self, name: str) -> bool:
        values = self._known(name)
        levels = np.unique(values[:_ENOUGH_ROWS])  # a quick look first
        if len(values) < _ENOUGH_ROWS or len(levels) > 2:
            return False
        levels = np.unique(values)
        return len(levels) == 2 and set(levels) <= {0.0, 1.0, 2.0}

    def _is_constant(self, name: str) -> bool:
        values = self._known(name)
        return len(values) > 1 and bool((values == values[0]).all())
