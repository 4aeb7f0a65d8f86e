"""Cells of columns of dates: each form with its value, and what cannot be told apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import CohortError
from nextscan.reading.formats.tables import Table
from nextscan.reading.inferred import write_schema
from nextscan.reading.read import read_cohort
from nextscan.reading.times.cells import Dates, read_dates
from nextscan.reading.times.columns import TimeColumn

Read = Callable[..., Cohort]
TABLE = Table(Path("study.csv"), ("id", "when"), ",")
MARCH_2012 = 15400  # days after 1 January 1970


def dates(*texts: str | None, form: str = "") -> Dates:
    return read_dates(TABLE, "when", np.array(texts, dtype=object), form)


def days(read: Dates) -> list[float]:
    return (read.years * 365.25).round(6).tolist()


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("03/2012", "%m/%Y"), ("3/2012", "%m/%Y"), ("2012-03", "%Y-%m"), ("2012/03", "%Y/%m"), ("03-2012", "%m-%Y"),
        ("03.2012", "%m.%Y"), ("Mar 2012", "%b %Y"), ("mar-2012", "%b-%Y"), ("March 2012", "%B %Y"),
        ("Mar, 2012", "%b, %Y"), ("2012 Mar", "%Y %b"), ("Mar2012", "%b%Y"),
    ],
)  # fmt: skip
def test_months_count_from_their_first_day(text: str, form: str) -> None:
    read = dates(text, None)
    assert days(read)[0] == MARCH_2012
    assert (read.form, read.note) == (form, "to the month, whose first day counts")


def test_months_of_short_years_are_read_where_one_is_no_day() -> None:
    assert days(dates("Mar-12", "Apr-31")) == [MARCH_2012, 22370]
    assert dates("Mar-12", "Nov-99").form == "%b-%y"
    assert days(dates("Mar-12", "Mar-00"))[0] == MARCH_2012
    with pytest.raises(CohortError, match=r'column when: Mar-12 may be a month of a year or a day.*format = "%b-%y"'):
        dates("Mar-12", "Apr-15")
    assert days(dates("Mar-12", form="%b-%y")) == [MARCH_2012]


@pytest.mark.parametrize(
    ("texts", "expected", "note"),
    [
        (("2012-03-01T10:00:00+01:00", "2012-03-02T10:00:00Z"), (10 / 24, 1 + 10 / 24), "zones of 2 cells left out"),
        (("2012-03-01T10:00:00", "2012-03-02T10:00:00.25-0500"), (10 / 24, 1 + 10 / 24), "zones of 1 cells left out"),
        (("2012-03-01T10:00Z", "2012-03-02 10:00"), (10 / 24, 1 + 10 / 24), "zones of 1 cells left out"),
        (("2012-03-01", "2012-03-02T12:00:00+02"), (0, 1.5), "zones of 1 cells left out"),
        (("2012-03-01", "2012-03-02T12:00"), (0, 1.5), ""),
        (("2012-03-04", "2012-03"), (3, 0), "1 of them to the month"),
        (("20120304", "2012-03-01T06:00:00Z"), (3, 0.25), "zones of 1 cells left out"),
    ],
)
def test_moments_of_several_forms_and_zones(texts: tuple[str, str], expected: tuple[float, float], note: str) -> None:
    read = dates(*texts)
    np.testing.assert_allclose(np.array(days(read)) - MARCH_2012, expected, atol=1e-5)
    assert read.note.startswith(note)
    assert bool(read.note) == bool(note)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("13/03/2012 10:30", "%d/%m/%Y %H:%M:%S"), ("03/13/2012 10:30:00", "%m/%d/%Y %H:%M:%S"),
        ("13.03.2012 10:30", "%d.%m.%Y %H:%M:%S"), ("13-Mar-2012 10:30:00.5", "%d-%b-%Y %H:%M:%S"),
        ("2012/03/13 10:30Z", "%Y/%m/%d %H:%M:%S"),
    ],
)  # fmt: skip
def test_moments_of_other_forms(text: str, form: str) -> None:
    read = dates(text)
    assert read.form == form
    np.testing.assert_allclose(days(read), MARCH_2012 + 12 + 10.5 / 24, atol=1e-5)
    with pytest.raises(CohortError, match="may be day first or month first"):
        dates("03/04/2012 10:30")


def test_zones_of_one_form_keep_it() -> None:
    assert dates("2012-03-01T10:00:00+01:00", "2013-03-01T10:00:00Z").form == "%Y-%m-%dT%H:%M:%S"
    assert dates("2012-03-01", "2013-03-01T10:00:00Z").form == "ISO8601"


def test_days_as_excel_counts_them() -> None:
    read = dates("40969", None, "40970.5")
    np.testing.assert_allclose(days(read), [MARCH_2012, np.nan, MARCH_2012 + 1.5])
    assert read.form == "excel"
    assert "Excel's 1900 date system" in read.note
    assert days(dates("15000", form="excel")) == [15000 - 25569]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("2012-03-01", "40969"), r"line 3, column when: '40969' is a day as Excel counts them.*yyyy-mm-dd"),
        (("40969", "40970", "soon"), "line 4, column when: 'soon' is not a date as a day that Excel counts"),
        (("40969", "12"), "line 3, column when: '12' is not a date as a day that Excel counts, 20000 to 60000"),
        (
            ("2012-03-01T10:00:00Z", "2012-13-01T10:00:00"),
            r"line 3, column when: '2012-13-01T10:00:00' is not a date as",
        ),
        (("2012-03-01", "2012-03-01T10:00Z", "x"), "line 4, column when: 'x' is not a date as ISO 8601"),
        (("03/2012", "13/2012"), "'13/2012' is not a date"),
    ],
)
def test_what_is_no_date(texts: tuple[str, ...], says: str) -> None:
    with pytest.raises(CohortError, match=says):
        dates(*texts)


@pytest.mark.parametrize("form", ["excel", "ISO8601", "%m/%Y"])
def test_a_cell_that_has_not_the_form_of_the_schema(form: str) -> None:
    with pytest.raises(CohortError, match="line 3, column when: 'x' is not "):
        dates({"excel": "1", "ISO8601": "2012-03-01", "%m/%Y": "03/2012"}[form], "x", form=form)


@pytest.mark.parametrize(
    ("form", "text"), [("excel", "40969"), ("ISO8601", "2012-03-01"), ("%m/%Y", "03/2012"), ("%b-%y", "Mar-12")]
)
def test_times_are_written_as_they_are_read(form: str, text: str) -> None:
    assert TimeColumn("when", "date", date_format=form).text(MARCH_2012 / 365.25) == text


PPMI = "PATNO,EVENT_ID,INFODT,Hippocampus\n3400,BL,03/2012,3900.5\n3400,V04,04/2013,3850.5\n3401,BL,11/2011,4000.5\n"


def test_months_of_ppmi_need_no_schema(read: Read) -> None:
    cohort = read(PPMI)
    np.testing.assert_allclose(cohort.years, [0, 396 / 365.25, 0])
    assert (cohort.feature_names, cohort.findings) == (("Hippocampus",), ())
    assert "study.csv: subject: PATNO; visit: EVENT_ID; time: INFODT (dates as %m/%Y; to the month, whose first day " \
        "counts)" in cohort.notes  # fmt: skip


@pytest.mark.parametrize(
    "cells", [("40969", "41334"), ("2012-03-01T10:00:00+01:00", "2013-03-01"), ("03/2012", "03/2013")]
)
def test_a_schema_that_is_written_reads_the_same(tmp_path: Path, cells: tuple[str, str]) -> None:
    path = tmp_path / "study.csv"
    path.write_text(f"id,visit_date,thickness\na,{cells[0]},2.5\na,{cells[1]},2.4\nb,{cells[0]},2.6\n")
    cohort = read_cohort(path)
    assert cohort.years[1] == pytest.approx(365 / 365.25, abs=0.002)
    again = read_cohort(path, write_schema(tmp_path / "other.toml", path))
    assert again.years.tolist() == cohort.years.tolist()


def test_days_of_excel_by_a_schema_in_years_and_days(read: Read) -> None:
    table = "id,visit_date,thickness\na,41234,2.5\na,41600,2.4\n"
    told = read(table, schema='time = { column = "visit_date", kind = "years", unit = "days" }')
    np.testing.assert_allclose([told.years[1], read(table).years[1]], 366 / 365.25)


@pytest.mark.parametrize("column", ["scan_month", "Month", "time"])
def test_months_of_years_in_a_column_called_like_a_number(read: Read, column: str) -> None:
    table = f"id,{column},thickness\na,2012-03,2.5\na,2013-04,2.4\nb,2012-03,2.6\n"
    np.testing.assert_allclose(read(table).years, [0, 396 / 365.25, 0])
    with pytest.raises(CohortError, match="found '2013-04'"):
        read(table.replace("2012-03", "3"))
