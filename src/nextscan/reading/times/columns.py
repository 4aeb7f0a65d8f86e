"""When a visit was: years, ages and dates of a table as numbers of years."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray, IntArray
from nextscan.errors import CohortError
from nextscan.reading.columns.vocabulary import PER_YEAR, canonical
from nextscan.reading.formats.tables import Table, Texts, to_number
from nextscan.reading.schema import TimeSchema
from nextscan.reading.times.cells import CELL_BY_CELL, DATE_FORMATS, EXCEL, EXCEL_EPOCH, Dates, read_dates
from nextscan.reading.times.dates import DAYS_PER_YEAR, day_of
from nextscan.reading.times.names import is_after_conception, is_of_birth, known_names

_CODES = frozenset({-1.0, -3.0, -4.0, -7.0, -8.0, -9.0, *(-float(digit * n) for digit in "789" for n in (2, 3, 4))})
"""Negative numbers that mean "missing" where there is no other negative number."""
_YOUNGEST, _OLDEST = 14.0, 260.0
"""Weeks since conception at which children are scanned."""
_CALENDAR = {
    **dict.fromkeys(("day", "dayofmonth", "scanday", "visitday", "examday"), 31),
    **dict.fromkeys(("month", "scanmonth", "visitmonth", "exammonth"), 12),
    **dict.fromkeys(("year", "scanyear", "visityear", "examyear"), 0),
    "week": 53,
    "hour": 24,
}
"""Names that may be a part of a date, and the most that part can be; 0 where it tells years all the same."""


@dataclass(frozen=True)
class TimeColumn:
    """A column that tells when a visit was.

    Attributes
    ----------
    column : str
    kind : str
        ``years``, ``age``, ``date``, or ``time`` while it is open whether it is years or age.
    unit : str
        Of years and age.
    date_format : str
        Of dates; see `nextscan.reading.times.cells`.
    note : str
        What else there is to say about how the cells are read.
    """

    column: str
    kind: str
    unit: str = "years"
    date_format: str = ""
    note: str = ""

    @property
    def meaning(self) -> str:
        """Kind and unit, in words."""
        named = {"date": f"dates as {self.date_format}", "age": f"age in {self.unit}"}.get(self.kind, self.unit)
        return f"{named}; {self.note}" if self.note else named

    @property
    def per_year(self) -> float:
        """How many units make a year; 1 for a unit that is kept as it is."""
        return PER_YEAR.get(self.unit, 1.0)

    @property
    def kept_unit(self) -> str:
        """The unit of the numbers that `read` returns."""
        return "years" if self.unit in PER_YEAR else self.unit

    def text(self, years: float) -> str:
        """Write a time, counted as `read` counts, as the column writes it: of dates the nearest day."""
        if self.kind == "date":
            if self.date_format == EXCEL:
                return str(round(years * DAYS_PER_YEAR) + EXCEL_EPOCH)
            form = DATE_FORMATS[0] if self.date_format == CELL_BY_CELL else self.date_format
            return str(day_of(round(years * DAYS_PER_YEAR) / DAYS_PER_YEAR).strftime(form))
        return f"{years * self.per_year:.6g}"


def time_columns(columns: Iterable[str]) -> list[TimeColumn]:
    """Return the columns of a table that tell a time by their names, the best first."""
    return [TimeColumn(column, kind, unit) for column, (kind, unit) in known_names(columns)]


def time_column(columns: Iterable[str]) -> TimeColumn | None:
    """Return the best known time column of a table: years before dates before age."""
    return next(iter(time_columns(columns)), None)


def age_column(columns: list[str]) -> TimeColumn | None:
    """Return the column that holds age."""
    return next((column for column in time_columns(columns) if column.kind == "age"), None)


def from_schema(schema: TimeSchema) -> TimeColumn | None:
    """Return the time column a schema names; None where it only numbers visits."""
    if schema.kind == "visit":
        return None
    return TimeColumn(schema.column, schema.kind, schema.unit, schema.format or "")


def read_time(table: Table, column: TimeColumn, texts: Texts) -> tuple[FloatArray, TimeColumn]:
    """Return times in years (or the kept unit), NaN where missing, and the column with its form settled.

    Raises
    ------
    CohortError
        If a cell is no number or no date, dates are ambiguous, or years or ages are negative.
    """
    if column.kind == "date":
        dates = read_dates(table, column.column, texts, column.date_format)
        return dates.years, replace(column, unit="years", date_format=dates.form, note=dates.note)
    if column.kind in ("years", "time") and (after_all := _dates_after_all(table, column, texts)) is not None:
        return after_all.years, replace(
            column, kind="date", unit="years", date_format=after_all.form, note=after_all.note
        )
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        if text is None:
            continue
        number = to_number(text)
        if number is None or not np.isfinite(number):
            raise CohortError(
                f"{table.cell(row, column.column)}: expected {column.kind} in {column.unit}, "
                f"found {text!r}; correct the cell, leave it empty, or name another time column in a schema"
            )
        values[row] = number / column.per_year
    if (negative := _impossible(np.round(values * column.per_year, 9), column)).size:
        row = int(negative[0])
        raise CohortError(
            f"{table.cell(row, column.column)}: negative time {texts[row]}; expected time "
            f"since the first visit or age; correct the cell, leave it empty if the time is unknown, or write "
            f"missing = [{texts[row]}] in a schema if it is a code"
        )
    return values, column


def _dates_after_all(table: Table, column: TimeColumn, texts: Texts) -> Dates | None:
    """Return the dates of a column called like a number of units (``scan_month``) that holds no number at all."""
    known = [text for text in texts if text is not None]
    if not known or any(to_number(text) is not None for text in known):
        return None
    try:
        return read_dates(table, column.column, texts)
    except CohortError:
        return None


def _impossible(numbers: FloatArray, column: TimeColumn) -> IntArray:
    """Return the rows of negative times that no scan before the baseline explains: ages, codes, more than a year."""
    negative = np.flatnonzero(numbers < 0)
    before_start = negative[numbers[negative] / column.per_year > -1]
    if column.kind == "age" or len(before_start) < len(negative) or np.isin(numbers[negative], list(_CODES)).all():
        return negative
    return np.zeros(0, np.intp)


def settle_time(column: TimeColumn, values: FloatArray, first: FloatArray) -> TimeColumn:
    """Decide whether a column that is only called ``time`` holds years or age.

    It is age if no subject starts at 0 and all values could be ages in years (5 to 120).
    """
    if column.kind != "time":
        return column
    known = values[~np.isnan(values)]
    looks_like_age = len(known) > 0 and (first > 0).all() and known.min() >= 5 and known.max() <= 120
    return replace(column, kind="age" if looks_like_age else "years")


def of_frames(column: TimeColumn, values: FloatArray, table: Table) -> TimeColumn:
    """Return a column that is only called ``time`` as that of frames of films: parts of a beat.

    Raises
    ------
    CohortError
        If it cannot be that.
    """
    known = values[~np.isnan(values)]
    if len(known) and known.max() > 1:
        raise CohortError(
            f"{table.path}, column {column.column}: times of frames up to {known.max():g} have no unit; call the "
            "column trigger_time if it is in ms, or give its unit in a schema: "
            f'time = {{ column = "{column.column}", unit = "ms" }}'
        )
    return TimeColumn(column.column, "years", "cycle")


def is_of_baseline(values: FloatArray, subjects: Texts) -> bool:
    """Tell whether ages are those at baseline: equal at all visits of everyone with several visits."""
    of = _of_several(values, subjects)
    return bool(of.ngroups and (of.nunique() <= 1).all())


def is_time(column: TimeColumn, values: FloatArray, subjects: Texts) -> bool:
    """Tell whether values can be times of visits, whatever the column is called.

    They differ between visits of somebody; parts of a beat lie between 0 and 1. Months count from 0 or
    grow along the visits of everyone, and so do units in the singular, which may be of a calendar: months up to 12 and
    days up to 31 that do not start at 0 are of one.
    """
    if column.unit == "cycle":
        known = values[~np.isnan(values)]
        return bool(len(known) and known.min() >= 0 and known.max() <= 1 and (known % 1 > 0).any())
    if is_of_baseline(values, subjects):
        return False
    if is_after_conception(column.column):
        weeks = values[~np.isnan(values)] * PER_YEAR["weeks"]
        alike = is_of_birth(column.column) and not _of_several(values, subjects).ngroups
        return bool(len(weeks) > 0 and weeks.min() >= _YOUNGEST and weeks.max() <= _OLDEST and not alike)
    most = _CALENDAR.get(canonical(column.column))
    if column.kind != "years" or (column.unit != "months" and most is None):
        return True
    if most is not None and not _starts_at_0(values, subjects):
        known = values[~np.isnan(values)] * column.per_year
        if len(known) and known.min() >= 1 and known.max() <= most and np.allclose(known, np.round(known)):
            return False
    return counts_from_start(values, subjects)


def _starts_at_0(values: FloatArray, subjects: Texts) -> bool:
    first = pd.Series(values).groupby(subjects).min()
    return bool((first.dropna() == 0).all())


def counts_from_start(values: FloatArray, subjects: Texts) -> bool:
    """Tell whether months count time: everyone starts at 0, or they increase along the visits of everyone."""
    of = _of_several(values, subjects)
    grows = bool(of.ngroups and (of.diff().dropna() > 0).all())
    return _starts_at_0(values, subjects) or grows


def _of_several(values: FloatArray, subjects: Texts) -> Any:
    known = pd.DataFrame({"value": values, "subject": subjects}).dropna()
    several = known[known["subject"].duplicated(keep=False)]
    return several.groupby("subject")["value"]
