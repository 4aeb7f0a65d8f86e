"""Cells of columns of dates: days, moments, months, ISO 8601 of several forms, and the days that Excel counts."""

from __future__ import annotations

import calendar
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.errors import CohortError
from nextscan.reading.formats.tables import Table, Texts, to_number
from nextscan.reading.times.dates import DAYS_PER_YEAR, MONTHS, iso_date

_CERTAIN = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y",
            "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d-%b-%Y %H:%M:%S")  # fmt: skip
DATE_FORMATS = (*_CERTAIN, "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S")
"""The forms that are recognised; of the last four the day and the month may be exchanged."""
MONTH_FORMATS = ("%m/%Y", "%Y-%m", "%Y/%m", "%m-%Y", "%m.%Y", "%b %Y", "%B %Y", "%b-%Y", "%B-%Y", "%b/%Y", "%b, %Y",
                 "%B, %Y", "%b.%Y", "%b%Y", "%Y %b", "%Y-%b")  # fmt: skip
SHORT_YEAR = "%b-%y"
"""Of a month, as Excel shows it; 12 March looks alike."""
CELL_BY_CELL = "ISO8601"
"""In place of a format: each cell is ISO 8601, whatever its form."""
EXCEL = "excel"
"""In place of a format: days of Excel's 1900 date system."""
EXCEL_EPOCH = 25569
"""1 January 1970, as Excel counts days."""
_FIRST_DAY, _LAST_DAY = 20_000, 60_000
"""Days of 1954 and 2064: numbers of a column of dates that lie between are days as Excel counts them."""
_AFTER_CLOCK = re.compile(r"(?<=\d\d:\d\d)(:\d\d)?(?:[.,]\d+)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$", re.IGNORECASE)
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_SHORT_YEAR = re.compile(r"([a-z]{3})-(\d\d)", re.IGNORECASE)


class Dates(NamedTuple):
    """Dates in years since 1970, NaN where missing; the form they have; what there is to say about it."""

    years: FloatArray
    form: str
    note: str = ""


def read_dates(table: Table, column: str, texts: Texts, form: str = "") -> Dates:
    """Return the dates of a column, all of one form, or each as ISO 8601 has it.

    Zones are left out: dates are the clock of the place, as other cells of such columns have it, and gaps are wrong by
    less than a day. Where a cell tells a month, its first day counts.

    Parameters
    ----------
    table : Table
    column : str
    texts : ndarray of str
        None where missing.
    form : str
        As in a schema; recognised where it is empty.

    Raises
    ------
    CohortError
        If a cell is no date, or day and month, or days and years, cannot be told apart.
    """
    given = pd.Series(texts, dtype="str")
    known = given.dropna()
    read = _of_form(table, column, known, form) if form else _recognised(table, column, known)
    return read._replace(years=pd.Series(read.years, known.index).reindex(given.index).to_numpy(float))


def known_dates(texts: Texts) -> FloatArray:
    """Return dates in years, counted as `read_dates` does; NaN where a text is missing or no unambiguous date."""
    given = pd.Series(texts, dtype="str")
    years: FloatArray = np.full(len(given), np.nan)
    for form in _CERTAIN:
        parsed = _years(pd.to_datetime(given, format=form, errors="coerce"))
        years = np.where(np.isnan(years), parsed, years)
    return years


def _recognised(table: Table, column: str, known: pd.Series) -> Dates:
    plain, zones = _without_zones(known)
    note = _about_zones(zones)
    where = f"{table.path}, column {column}"
    fitting, _ = _fitting(plain, DATE_FORMATS)
    if len(fitting) > 1 and not fitting[0][1].equals(fitting[1][1]):
        raise CohortError(
            f"{where}: dates such as {known.iloc[0]} may be day first or month first; give the time's format in a "
            'schema, as in format = "%d/%m/%Y"'
        )
    if fitting:
        return Dates(_years(fitting[0][1]), fitting[0][0], note)
    months, _ = _fitting(plain, MONTH_FORMATS)
    if months:
        return Dates(_years(months[0][1]), months[0][0], "to the month, whose first day counts")
    iso = [_iso(text) for text in known]
    if all(day is not None for day in iso):
        return _each_iso(known, iso, note)
    serial = [_serial(text) for text in known]
    if all(days is not None for days in serial):
        return _days_of_excel(np.array(serial, float))
    if short := _short_years(known):
        return _of_months(table, column, known, certain=short == "years")
    raise _unlike_most(table, column, known, plain, iso, serial)


def _unlike_most(
    table: Table, column: str, known: pd.Series, plain: pd.Series, iso: list[str | None], serial: list[float | None]
) -> CohortError:
    """Return the error about the first cell that is not what most are."""
    _, best = _fitting(plain, DATE_FORMATS + MONTH_FORMATS)
    forms = {
        best: pd.to_datetime(plain, format=best, errors="coerce").notna().to_numpy(),
        "ISO 8601": np.array([moment is not None for moment in iso]),
        f"a day that Excel counts, {_FIRST_DAY} to {_LAST_DAY}": np.array([days is not None for days in serial]),
    }
    form = max(forms, key=lambda name: int(forms[name].sum()))
    first = int(np.flatnonzero(~forms[form])[0])
    if serial[first] is None:
        return _no_date(table, column, known, first, form)
    return CohortError(
        f"{table.cell(int(known.index[first]), column)}: {known.iloc[first]!r} is a day as Excel counts them, among "
        "dates written otherwise; give the column one format of dates in Excel, such as yyyy-mm-dd, and save it "
        "again: where Excel took some of the cells for dates and others not, it may have exchanged day and month"
    )


def _of_form(table: Table, column: str, known: pd.Series, form: str) -> Dates:
    """Read dates of the form that a schema gives."""
    note = ""
    if form == CELL_BY_CELL:
        iso = [_iso(text) for text in known]
        if None in iso:
            raise _no_date(table, column, known, iso.index(None), "ISO 8601")
        return _each_iso(known, iso, _about_zones(_without_zones(known)[1]))
    if form == EXCEL:
        days = [to_number(text) for text in known]
        if None in days:
            raise _no_date(table, column, known, days.index(None), "a day that Excel counts")
        return _days_of_excel(np.array(days, float))
    if "%z" not in form and "%f" not in form:
        known, zones = _without_zones(known)
        note = _about_zones(zones)
    dates = pd.to_datetime(known, format=form, errors="coerce", utc="%z" in form)
    if dates.isna().any():
        raise _no_date(table, column, known, int(np.flatnonzero(dates.isna())[0]), form)
    return Dates(_years(dates), form, note)


def _fitting(known: pd.Series, forms: tuple[str, ...]) -> tuple[list[tuple[str, pd.Series]], str]:
    """Return the forms that all cells have, with their dates, and the form that most have."""
    parsed = {form: pd.to_datetime(known, format=form, errors="coerce") for form in forms}
    best = max(forms, key=lambda form: int(parsed[form].notna().sum()))
    return [(form, dates) for form, dates in parsed.items() if dates.notna().all()], best


def _without_zones(known: pd.Series) -> tuple[pd.Series, int]:
    """Return moments with seconds, without fractions of them and zones, and how many had a zone."""
    zones = sum((match := _AFTER_CLOCK.search(text)) is not None and match[2] is not None for text in known)
    plain = [_AFTER_CLOCK.sub(lambda match: match[1] or ":00", text, count=1) for text in known]
    return pd.Series(plain, known.index, dtype="str"), zones


def _about_zones(zones: int) -> str:
    return f"zones of {zones} cells left out, less than a day" if zones else ""


def _iso(text: str) -> str | None:
    """Return the moment a cell tells as ISO 8601 has it, in one form; of a month its first day."""
    if month := _MONTH.fullmatch(text):
        return f"{month[0]}-01T00:00:00"
    date = iso_date(text)
    return None if date is None else f"{date[0]}T{date[1] or '00:00:00'}"


def _each_iso(known: pd.Series, moments: list[str | None], zones: str) -> Dates:
    dates = pd.to_datetime(pd.Series(moments, known.index, dtype="str"), format="%Y-%m-%dT%H:%M:%S", errors="coerce")
    months = sum(_MONTH.fullmatch(text) is not None for text in known)
    told = f"{months} of them to the month, whose first day counts" if months else ""
    return Dates(_years(dates), CELL_BY_CELL, "; ".join(filter(None, (told, zones))))


def _serial(text: str) -> float | None:
    days = to_number(text)
    return days if days is not None and _FIRST_DAY <= days <= _LAST_DAY else None


def _days_of_excel(days: FloatArray) -> Dates:
    note = (
        "numbers read as days of Excel's 1900 date system (in that of 1904 dates are four years later, gaps the same)"
    )
    return Dates((days - EXCEL_EPOCH) / DAYS_PER_YEAR, EXCEL, note)


def _short_years(known: pd.Series) -> str:
    """Say whether all cells are like ``Mar-12``: ``years`` where one cannot be a day, ``open`` where all can."""
    found = [_SHORT_YEAR.fullmatch(text) for text in known]
    if not found or any(match is None or match[1].lower() not in MONTHS for match in found):
        return ""
    parts = [(MONTHS.index(match[1].lower()) + 1, int(match[2])) for match in found if match is not None]
    no_day = any(not 1 <= number <= calendar.monthrange(2000, month)[1] for month, number in parts)
    return "years" if no_day else "open"


def _of_months(table: Table, column: str, known: pd.Series, *, certain: bool) -> Dates:
    if not certain:
        raise CohortError(
            f"{table.path}, column {column}: {known.iloc[0]} may be a month of a year or a day without one; if it is a "
            f'month, give the time\'s format in a schema: format = "{SHORT_YEAR}"'
        )
    dates = pd.to_datetime(known, format=SHORT_YEAR, errors="coerce")
    return Dates(_years(dates), SHORT_YEAR, "to the month, whose first day counts")


def _no_date(table: Table, column: str, known: pd.Series, at: int, form: str) -> CohortError:
    return CohortError(
        f"{table.cell(int(known.index[at]), column)}: {known.iloc[at]!r} is not a date as {form}; "
        "correct the cell, list it as missing in a schema, or give the time's format there"
    )


def _years(dates: pd.Series) -> FloatArray:
    """Return dates in years since 1970; counted in seconds, which reach further than the calendar of nanoseconds."""
    moments = dates.to_numpy("datetime64[s]")
    seconds = np.where(np.isnat(moments), np.nan, moments.astype(np.int64).astype(float))
    years: FloatArray = seconds / 86400 / DAYS_PER_YEAR
    return years
