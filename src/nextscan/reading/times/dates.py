"""Dates as people write them into names, and dates as text beyond the calendar of pandas."""

from __future__ import annotations

import datetime
import math
import re

DAYS_PER_YEAR = 365.25
_MOMENT = 1e-6  # days: of arithmetic, so that midnight belongs to its day
_EPOCH = datetime.date(1970, 1, 1)
_CLOCK = r"(?:[t_\s\-]?\d{2}[:\-]?\d{2}(?:[:\-]?\d{2})?(?:\.\d+)?z?)?"
_YEAR_FIRST = re.compile(rf"(?<!\d)((?:19|20)\d\d)([-_./]?)(\d\d)\2(\d\d){_CLOCK}(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})([-_./])(\d{1,2})\2((?:19|20)\d\d)(?!\d)")
_MONTH_NAMED = re.compile(r"(?<!\d)(\d{1,2})[-_.\s]?([a-z]{3,9})[-_.\s]?((?:19|20)\d\d)(?!\d)")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ZONE = r"\s*(?:Z|[+-]\d{2}(?::?\d{2})?)?"
_ISO = re.compile(
    rf"(\d{{4}})-?(\d{{2}})-?(\d{{2}})(?:[T ]\s*(\d{{2}}):?(\d{{2}})(?::?(\d{{2}})(?:[.,]\d*)?)?{ZONE})?",
    re.IGNORECASE,
)


def day_of(years: float) -> datetime.datetime:
    """Return the day that lies so many years after 1 January 1970, as dates are counted here.

    What lies outside the calendar becomes its first or its last day.
    """
    days = math.floor(years * DAYS_PER_YEAR + _MOMENT)
    first, last = ((end - _EPOCH).days for end in (datetime.date.min, datetime.date.max))
    return datetime.datetime.combine(_EPOCH + datetime.timedelta(days=min(max(days, first), last)), datetime.time())


def date_in(text: str) -> float | tuple[int, int, int] | None:
    """Return the date a name holds in years since 1970; day, month and year where the first two may be swapped.

    >>> date_in("2014-05-02") == date_in("20140502") == date_in("02.05.2014") == date_in("ses-02may2014")
    True
    >>> date_in("02/05/2014"), date_in("m12")
    ((2, 5, 2014), None)
    """
    if found := _YEAR_FIRST.search(text):
        return _years(int(found[1]), int(found[3]), int(found[4]))
    if found := _MONTH_NAMED.search(text.lower()):
        month = found[2][:3]
        return _years(int(found[3]), MONTHS.index(month) + 1, int(found[1])) if month in MONTHS else None
    if found := _YEAR_LAST.search(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if found[2] == ".":
            return _years(year, second, first)
        return (first, second, year) if min(first, second) > 0 and max(first, second) <= 31 else None
    return None


def iso_date(text: str) -> tuple[str, str] | None:
    """Return the day and the time of day of a text as ISO 8601 has it; None where it is none.

    >>> iso_date("2015-03-01T16:45Z"), iso_date("1901-03-01T10:00:00.25+02:00"), iso_date("2015-03-01")
    (('2015-03-01', '16:45:00'), ('1901-03-01', '10:00:00'), ('2015-03-01', ''))
    >>> iso_date("01/03/2015"), iso_date("2015-13-01")
    (None, None)
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = match.groups()
    try:
        date = datetime.date(int(year), int(month), int(day))
        clock = datetime.time(int(hour), int(minute), min(int(second or 0), 59)) if hour else None
    except ValueError:
        return None
    return date.isoformat(), "" if clock is None else clock.isoformat()


def _years(year: int, month: int, day: int) -> float | None:
    try:
        return (datetime.date(year, month, day) - _EPOCH).days / DAYS_PER_YEAR
    except ValueError:
        return None
