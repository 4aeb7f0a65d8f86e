"""When a visit was: years, ages and dates of a table as numbers of years."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.errors import CohortError
from nextscan.reading.columns.tables import Table, Texts, to_number
from nextscan.reading.columns.visits import DAYS_PER_YEAR, day_of
from nextscan.reading.columns.vocabulary import TIME, canonical
from nextscan.reading.schema import TimeSchema

_MONTHS = frozenset({"month", "months"})
_OF_MONTHS = _MONTHS | {
    "bl", "baseline", "base", "since", "from", "first", "to", "visit", "scan", "mri", "mr", "session", "time",
    "interval", "gap", "elapsed", "follow", "up", "followup", "in", "post", "after", "study",
}  # fmt: skip
PER_YEAR = {"years": 1.0, "months": 12.0, "weeks": DAYS_PER_YEAR / 7, "days": DAYS_PER_YEAR}
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
        """Write a time, counted as `read` counts, as the column writes it."""
        if self.kind == "date":
            return str(day_of(years).strftime(self.date_format))
        return f"{years * self.per_year:.6g}"


def time_column(columns: list[str]) -> TimeColumn | None:
    """Return the best known time column of a table: years before dates before age."""
    known = {canonical(column): column for column in reversed(columns)}
    found = next((TimeColumn(known[name], *meaning) for name, meaning in TIME.items() if name in known), None)
    if found is None or found.kind in ("age", "time"):
        months = next((column for column in columns if _counts_months(column)), None)
        return found if months is None else TimeColumn(months, "years", "months")
    return found


def _counts_months(column: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", column).lower())
    return not _MONTHS.isdisjoint(words) and _OF_MONTHS.issuperset(words)


def age_column(columns: list[str]) -> TimeColumn | None:
    """Return the column that holds age."""
    found = (time_column([column]) for column in columns)
    return next((column for column in found if column is not None and column.kind == "age"), None)


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
    if (negative := np.flatnonzero(values < 0)).size:
        row = int(negative[0])
        raise CohortError(
            f"{table.cell(row, column.column)}: negative time {texts[row]}; expected time "
            "since the first visit or age; correct the cell, or leave it empty if the time is unknown"
        )
    return values, column


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
            "correct the cell, or give the time's format in a schema"
        )
    days = (parsed[fitting[0]] - pd.Timestamp(0)) / pd.Timedelta(days=1)
    values = days.reindex(given.index).to_numpy(float) / DAYS_PER_YEAR
    return values, TimeColumn(column.column, "date", "years", fitting[0])


def known_dates(texts: Texts) -> FloatArray:
    """Return dates in years, counted as `read_time` does; NaN where a text is missing or no unambiguous date."""
    given = pd.Series(texts, dtype="str")
    days = pd.Series(np.nan, index=given.index)
    for form in DATE_FORMATS[:-2]:
        parsed = pd.to_datetime(given, format=form, errors="coerce")
        days = days.fillna((parsed - pd.Timestamp(0)) / pd.Timedelta(days=1))
    years: FloatArray = days.to_numpy(float) / DAYS_PER_YEAR
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


def is_of_baseline(values: FloatArray, subjects: Texts) -> bool:
    """Tell whether ages are those at baseline: equal at all visits of everyone with several visits."""
    of = _of_several(values, subjects)
    return bool(of.ngroups and (of.nunique() <= 1).all())


def counts_from_start(values: FloatArray, subjects: Texts) -> bool:
    """Tell whether months count time: everyone starts at 0, or they increase along the visits of everyone."""
    first = pd.Series(values).groupby(subjects).min()
    of = _of_several(values, subjects)
    grows = bool(of.ngroups and (of.diff().dropna() > 0).all())
    return bool((first.dropna() == 0).all()) or grows


def _of_several(values: FloatArray, subjects: Texts) -> Any:
    known = pd.DataFrame({"value": values, "subject": subjects}).dropna()
    several = known[known["subject"].duplicated(keep=False)]
    return several.groupby("subject")["value"]
