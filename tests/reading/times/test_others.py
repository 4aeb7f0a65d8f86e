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


def test_the_date_of_the_scan_counts_and_the_other_is_told(read: Read) -> None:
    people = [(f"2013-02-1{i},2013-02-1{i}", f"2015-02-1{i},2015-03-1{i}") for i in range(6)]
    cohort = read(table("visit_date,mri_date", people))
    assert cohort.years[1] == pytest.approx((365 + 365 + 28) / 365.25)
    assert found(cohort) == []
    note = "visit_date differs from mri_date at 6 visits, by up to 28 days; the latter is used"
    assert any(note in line for line in cohort.notes)
    same = [(f"2013-02-1{i},2013-02-1{i}", f"2015-02-1{i},2015-02-1{i}") for i in range(6)]
    assert not any("differs" in line for line in read(table("visit_date,mri_date", same)).notes)


NEONATES = "id,visit,{},thickness,{}\nn1,1,{},1.5,{}\nn1,2,{},1.25,{}\nn2,1,{},1.75,{}\nn2,2,{},1.625,{}\n"


@pytest.mark.parametrize("name", ["PMA", "GA", "pma_at_scan", "gestational_age"])
def test_an_age_since_conception_that_grows_is_the_time(read: Read, name: str) -> None:
    cohort = read(NEONATES.format(name, "b", 32, 1.5, 40, 2.5, 31, 3.5, 41, 4.5))
    assert cohort.years[1::2] == pytest.approx([8 * 7 / 365.25, 10 * 7 / 365.25])
    assert cohort.feature_names == ("thickness", "b")


def test_an_age_at_birth_or_another_measure_is_not(read: Read) -> None:
    cohort = read(NEONATES.format("gestational_age", "PMA", 28, 32, 28, 40, 29, 31, 29, 41))
    assert cohort.years[1] == pytest.approx(8 * 7 / 365.25)
    assert cohort.labels["gestational_age"].tolist() == [28, 29]
    cohort = read(NEONATES.format("GA", "b", 28, 1.5, 28, 2.5, 29, 3.5, 29, 4.5))
    assert (cohort.labels["GA"].tolist(), cohort.feature_names) == ([28, 29], ("thickness", "b"))
    cohort = read(NEONATES.format("GA", "FA", 0.25, 0.5, 0.3, 0.6, 0.35, 0.7, 0.4, 0.8))
    assert cohort.years[1] != cohort.years[1]
    assert set(cohort.feature_names) == {"GA", "thickness", "FA"}
    cohort = read("id,FA,GA,MD\na,0.25,0.5,0.1\nb,0.35,0.7,0.2\n")
    assert (set(cohort.feature_names), [*cohort.labels, *cohort.visit_labels]) == ({"FA", "GA", "MD"}, [])
