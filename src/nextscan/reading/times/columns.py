"""When a visit was: years, ages and dates of a table as numbers of years."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray, IntArray
from nextscan.errors import CohortError
from nextscan.reading.columns.vocabulary import PER_YEAR, canonical
from nextscan.reading.formats.tables import Table, Texts, to_number
from nextscan.reading.schema import TimeSchema
from nextscan.reading.times.dates import DAYS_PER_YEAR, day_of
from nextscan.reading.times.names import known_names

_CODES = frozenset({-1.0, -3.0, -4.0, -7.0, -8.0, -9.0, *(-float(digit * n) for digit in "789" for n in (2, 3, 4))})
"""Negative numbers that mean "missing" where there is no other negative number."""
_CALENDAR = {
    **dict.fromkeys(("day", "dayofmonth", "scanday", "visitday", "examday"), 31),
    **dict.fromkeys(("month", "scanmonth", "visitmonth", "exammonth"), 12),
    **dict.fromkeys(("year", "scanyear", "visityear", "examyear"), 0),
    "week": 53,
    "hour": 24,
}
"""Names that may be a part of a date, and the most that part can be; 0 where it tells years all the same."""
DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y",
                "%d/%m/%Y", "%m/%d/%Y")  # fmt: skip


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
        Of dates.
    """

    column: str
    kind: str
    unit: str = "years"
    date_format: str = ""

    @property
    def meaning(self) -> str:
        """Kind and unit, in words."""
        return {"date": f"dates as {self.date_format}", "age": f"age in {self.unit}"}.get(self.kind, self.unit)

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
            return str(day_of(round(years * DAYS_PER_YEAR) / DAYS_PER_YEAR).strftime(self.date_format))
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
        return _dates(table, column, texts)
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


def _impossible(numbers: FloatArray, column: TimeColumn) -> IntArray:
    """Return the rows of negative times that no scan before the baseline explains: ages, codes, more than a year."""
    negative = np.flatnonzero(numbers < 0)
    before_start = negative[numbers[negative] / column.per_year > -1]
    if column.kind == "age" or len(before_start) < len(negative) or np.isin(numbers[negative], list(_CODES)).all():
        return negative
    return np.zeros(0, np.intp)


def _dates(table: Table, column: TimeColumn, texts: Texts) -> tuple[FloatArray, TimeColumn]:
    given = pd.Series(texts, dtype="str")
    known = given.dropna().str.replace(r"(\d{2}:\d{2}:\d{2})(?:\.\d+)?Z?$", r"\1", regex=True)
    formats = (column.date_format,) if column.date_format else DATE_FORMATS
    parsed = {form: pd.to_datetime(known, format=form, errors="coerce") for form in formats}
    fitting = [form for form, dates in parsed.items() if dates.notna().all()]
    where = f"{table.path}, column {column.column}"
    if len(fitting) > 1 and not parsed[fitting[0]].equals(parsed[fitting[1]]):
        raise CohortError(
            f"{where}: dates such as {known.iloc[0]} may be day first or month first; give the time's format in a "
            'schema, as in format = "%d/%m/%Y"'
        )
    if not fitting:
        best = max(formats, key=lambda form: int(parsed[form].notna().sum()))
        row = int(known.index[parsed[best].isna()][0])
        raise CohortError(
            f"{table.cell(row, column.column)}: {texts[row]!r} is not a date as {best}; "
            "correct the cell, list it as missing in a schema, or give the time's format there"
        )
    values = pd.Series(_years(parsed[fitting[0]]), known.index).reindex(given.index).to_numpy(float)
    return values, TimeColumn(column.column, "date", "years", fitting[0])


def known_dates(texts: Texts) -> FloatArray:
    """Return dates in years, counted as `read_time` does; NaN where a text is missing or no unambiguous date."""
    given = pd.Series(texts, dtype="str")
    years: FloatArray = np.full(len(given), np.nan)
    for form in DATE_FORMATS[:-2]:
        parsed = _years(pd.to_datetime(given, format=form, errors="coerce"))
        years = np.where(np.isnan(years), parsed, years)
    return years


def _years(dates: pd.Series) -> FloatArray:
    """Return dates in years since 1970; counted in seconds, which reach further than the calendar of nanoseconds."""
    moments = dates.to_numpy("datetime64[s]")
    seconds = np.where(np.isnat(moments), np.nan, moments.astype(np.int64).astype(float))
    years: FloatArray = seconds / 86400 / DAYS_PER_YEAR
    return years


def settle_time(column: TimeColumn, values: FloatArray, first: FloatArray) -> TimeColumn:
    """Decide whether a column that is only called ``time`` holds years or age.

    It is age if no subject starts at 0 and all values could be ages in years (5 to 120).
    """
    if column.kind != "time":
        return column
    known = values[~np.isnan(values)]
    looks_like_age = len(known) > 0 and (first > 0).all() and known.min() >= 5 and known.max() <= 120
    return TimeColumn(column.column, "age" if looks_like_age else "years", column.unit)


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
