from collections.abc import Callable

import pytest

from nextscan.cohort import Cohort

Read = Callable[..., Cohort]
pytestmark = pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")


def table(columns: str, people: list[tuple[str, str]]) -> str:
    rows = [f"s{i},{row},{i}.{j}" for i, pair in enumerate(people) for j, row in enumerate(pair)]
    return f"id,{columns},a\n" + "\n".join(rows) + "\n"


def found(cohort: Cohort) -> list[tuple[str, tuple[str, ...]]]:
    return [(f.code, f.subjects) for f in cohort.findings]


def test_two_columns_of_dates_that_disagree(read: Read) -> None:
    good = [(f"2013-02-1{i},2013-03-0{i + 1}", f"2015-02-1{i},2015-05-0{i + 1}") for i in range(6)]
    assert found(read(table("scan_date,visit_date", good))) == []
    bad = [*good, ("2013-02-01,2013-02-03", "2015-02-01,2018-02-03")]
    assert found(read(table("scan_date,visit_date", bad))) == [("times-disagree", ("s6",))]


def test_years_that_disagree_with_dates(read: Read) -> None:
    good = [(f"2013-02-1{i},0", f"2015-02-1{i},2.01") for i in range(6)]
    assert found(read(table("EXAMDATE,Years_bl", good))) == []
    cohort = read(table("EXAMDATE,Years_bl", [*good, ("2013-02-01,0", "2015-02-01,4.1")]))
    assert found(cohort) == [("times-disagree", ("s6",))]
    assert "subject s6, line 14 to line 15: 4.10 and 2.00 years" in str(cohort.findings[0])


def test_years_that_are_months_by_the_dates(read: Read) -> None:
    people = [(f"2013-02-1{i},0", f"2013-08-1{i},6") for i in range(6)]
    cohort = read(table("EXAMDATE,years", people))
    assert "as if the column in use were in months" in str(cohort.findings[0])


@pytest.mark.parametrize("other", ["visit_date,EXAMDATE_bl", "visit_date,DOB", "visit_date,site"])
def test_dates_of_something_else_say_nothing(read: Read, other: str) -> None:
    people = [(f"2013-02-1{i},2001-01-01", f"2015-02-1{i},2001-01-01") for i in range(6)]
    assert found(read(table(other, people))) == []


def test_a_date_that_cannot_be_read_is_left_out(read: Read) -> None:
    people = [(f"2013-02-1{i},soon", f"2015-02-1{i},later") for i in range(6)]
    assert found(read(table("scan_date,visit_date", people))) == []
