from pathlib import Path

import numpy as np
import pytest

from nextscan.errors import CohortError
from nextscan.reading.formats.tables import Table
from nextscan.reading.times.columns import TimeColumn, age_column, is_time, read_time, settle_time, time_column

TABLE = Table(Path("study.csv"), ("id", "when"), ",")


def times(kind: str, texts: list[str | None], unit: str = "years", date_format: str = "") -> tuple:
    return read_time(TABLE, TimeColumn("when", kind, unit, date_format), np.array(texts, dtype=object))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["age", "Scan Date", "months"], TimeColumn("months", "years", "months")),
        (["age", "Scan Date"], TimeColumn("Scan Date", "date", "years")),
        (["interview_age"], TimeColumn("interview_age", "age", "months")),
        (["MR Delay"], TimeColumn("MR Delay", "years", "days")),
        (["TIME"], TimeColumn("TIME", "time", "years")),
        (["timepoint"], None),
    ],
)
def test_names_of_time_columns(columns: list[str], found: TimeColumn | None) -> None:
    assert time_column(columns) == found


def test_age_is_found_beside_another_time() -> None:
    assert age_column(["years", "age_at_scan"]) == TimeColumn("age_at_scan", "age", "years")
    assert age_column(["years"]) is None


@pytest.mark.parametrize(
    ("unit", "years"), [("years", 18), ("months", 1.5), ("weeks", 126 / 365.25), ("days", 18 / 365.25)]
)
def test_units_become_years(unit: str, years: float) -> None:
    values, column = times("years", ["18", None], unit)
    np.testing.assert_allclose(values, [years, np.nan])
    assert column.kept_unit == "years"
    assert float(column.text(values[0])) == pytest.approx(18, rel=1e-5)


def test_another_unit_is_kept() -> None:
    values, column = times("years", ["18"], "frames")
    assert (values[0], column.kept_unit) == (18, "frames")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2020-02-29", "%Y-%m-%d"),
        ("20200229", "%Y%m%d"),
        ("29.02.2020", "%d.%m.%Y"),
        ("29/02/2020", "%d/%m/%Y"),
        ("02/29/2020", "%m/%d/%Y"),
        ("29-Feb-2020", "%d-%b-%Y"),
        ("2020-02-29T00:00:00", "%Y-%m-%dT%H:%M:%S"),
    ],
)
def test_dates_count_days_since_1970(text: str, form: str) -> None:
    values, column = times("date", [text, None])
    np.testing.assert_allclose(values, [18321 / 365.25, np.nan])
    assert column.date_format == form
    assert column.text(values[0]) == text


@pytest.mark.parametrize(
    ("kind", "texts", "says"),
    [
        ("years", ["0", "-1.5"], "line 3, column when: negative time -1.5"),
        ("age", ["60", "old"], "line 3, column when: expected age in years, found 'old'"),
        ("age", ["60", "inf"], "found 'inf'"),
        ("date", ["2020-01-01", "2020-02-30"], "line 3, column when: '2020-02-30' is not a date as %Y-%m-%d"),
        ("date", ["01/02/2020", "03/04/2021"], "dates such as 01/02/2020 may be day first or month first"),
    ],
)
def test_bad_times(kind: str, texts: list[str | None], says: str) -> None:
    with pytest.raises(CohortError, match=says):
        times(kind, texts)


def test_a_given_format_settles_the_order_of_day_and_month() -> None:
    day_first, _ = times("date", ["01/02/1970"], date_format="%d/%m/%Y")
    month_first, _ = times("date", ["01/02/1970"], date_format="%m/%d/%Y")
    np.testing.assert_allclose([day_first[0], month_first[0]], [31 / 365.25, 1 / 365.25])


@pytest.mark.parametrize(
    ("column", "values", "is_one"),
    [
        ("month", [0, 6, 0, 12], True),
        ("month", [3, 11, 2, 5], False),
        ("month", [6, 24, 6, 18], True),
        ("day", [1, 30, 2, 28], False),
        ("day", [1, 365, 1, 380], True),
        ("year", [2012, 2014, 2013, 2014], True),
        ("year", [2014, 2012, 2013, 2014], False),
        ("days", [700, 0, 0, 650], True),
        ("days", [5, 5, 7, 7], False),
    ],
)
def test_parts_of_a_date_are_no_times(column: str, values: list[float], is_one: bool) -> None:
    unit = {"month": "months", "year": "years"}.get(column, "days")
    found = TimeColumn(column, "years", unit)
    years = np.array(values, float) / found.per_year
    assert is_time(found, years, np.array(["a", "a", "b", "b"], dtype=object)) is is_one


def test_a_scan_before_the_start_has_a_negative_time() -> None:
    np.testing.assert_allclose(times("years", ["-14", "180"], "days")[0], np.array([-14, 180]) / 365.25)
    np.testing.assert_allclose(times("years", ["-1.5", "6"], "months")[0], np.array([-1.5, 6]) / 12)


@pytest.mark.parametrize("code", ["-9", "-99", "-999", "-4"])
def test_negative_codes_are_no_times(code: str) -> None:
    with pytest.raises(CohortError, match=rf"negative time {code};.*missing = \[{code}\]"):
        times("years", [code, "180"], "days")


@pytest.mark.parametrize("date", ["9999-12-31", "1000-01-01", "0001-01-01"])
def test_dates_beyond_the_calendar_of_pandas(date: str) -> None:
    values, column = times("date", [date, "2014-05-02"])
    assert column.text(values[0]).zfill(10) == date


@pytest.mark.parametrize(
    ("values", "first", "kind"),
    [
        ([70.1, 71.3], [70.1], "age"),
        ([0, 1.2], [0], "years"),
        ([2.0, 3.0], [2.0], "years"),
        ([300, 301], [300], "years"),
    ],
)
def test_a_column_called_time_is_age_if_it_looks_like_age(values: list[float], first: list[float], kind: str) -> None:
    column = settle_time(TimeColumn("TIME", "time"), np.array(values), np.array(first))
    assert column.kind == kind
