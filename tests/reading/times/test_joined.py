"""Ages, dates and years of one person that fill each other's gaps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nextscan
from nextscan.cohort import Cohort
from nextscan.errors import NextscanWarning
from nextscan.reading.times.joined import Clock, join_clocks
from nextscan.writing import complete_table

Read = Callable[..., Cohort]
NAN = np.nan


def clocks(**times: list[float]) -> list[Clock]:
    return [Clock(kind, kind, np.array(values, float)) for kind, values in times.items()]


def people(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


def test_a_visit_that_has_both_carries_ages_to_dates() -> None:
    told = join_clocks(clocks(date=[40, NAN, NAN, 44], age=[60.5, 61.5, 63.25, NAN]), people(*"aaaa"))
    np.testing.assert_allclose(told.time, [40, 41, 42.75, 44])
    assert (told.filled, told.unjoined, np.isnan(told.aside).all()) == ({"age": 2}, {}, True)


def test_clocks_are_joined_one_by_another() -> None:
    told = join_clocks(
        clocks(years=[0, NAN, NAN, NAN], date=[40, 41.5, NAN, NAN], age=[NAN, 60.5, 62.5, NAN]), people(*"aaaa")
    )
    np.testing.assert_allclose(told.time, [0, 1.5, 3.5, NAN])
    assert told.filled == {"date": 1, "age": 1}


def test_of_each_person_alone() -> None:
    told = join_clocks(clocks(date=[40, NAN, 44, NAN], age=[60.5, 61.5, 70.5, 71]), people(*"abab"))
    np.testing.assert_allclose(told.time, [40, NAN, 44, NAN])
    np.testing.assert_allclose(told.aside, [NAN, 61.5, NAN, 71])
    assert told.unjoined == {}


def test_without_a_visit_that_has_both_nothing_is_joined_but_by_the_date_of_birth() -> None:
    mixed = clocks(date=[40, NAN, 44], age=[NAN, 61.25, NAN])
    told = join_clocks(mixed, people(*"aaa"))
    np.testing.assert_allclose(told.time, [40, NAN, 44])
    assert told.unjoined == {1: "age: no visit has both"}
    told = join_clocks(mixed, people(*"aaa"), np.array([NAN, -19.5, NAN]))
    np.testing.assert_allclose(told.time, [40, 41.75, 44])
    reverse = join_clocks(clocks(age=[60.5, NAN], date=[NAN, 42]), people(*"aa"), np.array([-20.0, -20.0]))
    np.testing.assert_allclose(reverse.time, [60.5, 62])


def test_a_visit_that_has_both_is_trusted_more_than_the_date_of_birth() -> None:
    told = join_clocks(clocks(date=[40, NAN], age=[60.5, 61.5]), people(*"aa"), np.array([-25.0, -25.0]))
    assert told.time[1] == 41


def test_ages_in_whole_years_are_half_a_year_more_on_average() -> None:
    born = join_clocks(clocks(date=[40, NAN], age=[NAN, 61]), people(*"aa"), np.array([-20.0, -20.0]))
    assert born.time[1] == 41.5
    told = join_clocks(clocks(date=[40, 40.75, NAN, 43], age=[60, 60, 61, 63]), people(*"aaaa"))
    assert told.time[2] == 41


def test_clocks_that_contradict_each_other_are_not_joined() -> None:
    told = join_clocks(clocks(date=[40, 41, NAN], age=[60.5, 64.5, 66]), people(*"aaa"))
    assert np.isnan(told.time[2])
    assert told.unjoined == {2: "age: contradicts it where both are known"}


def test_two_columns_of_dates_are_one_clock() -> None:
    two = [Clock("mri_date", "date", np.array([40, NAN])), Clock("visit_date", "date", np.array([NAN, 42.5]))]
    assert join_clocks(two, people(*"aa")).time.tolist() == [40, 42.5]
    years = [Clock("years", "years", np.array([0, NAN])), Clock("since surgery", "years", np.array([NAN, 2.5]))]
    assert np.isnan(join_clocks(years, people(*"aa")).time[1])


MIXED = (
    "id,visit,scan_date,age,thickness\na,1,2010-01-01,60.5,2.5\na,2,,61.5,2.4\na,3,2013-01-01,,2.3\n"
    "b,1,2010-01-01,70.5,2.5\nb,2,2011-01-01,71.5,2.4\n"
)


def test_of_a_table(read: Read) -> None:
    cohort = read(MIXED)
    np.testing.assert_allclose(cohort.years, [0, 1, 1096 / 365.25, 0, 365 / 365.25])
    assert "study.csv: times of 1 visits from age" in cohort.notes
    assert cohort.findings == ()


def test_what_cannot_be_joined_is_told_with_a_cure_that_works(read: Read) -> None:
    table = MIXED.replace("a,1,2010-01-01,60.5", "a,1,2010-01-01,")
    with pytest.warns(NextscanWarning, match=r"stay unknown.*subject a \(line 3; age: no visit has both\)"):
        cohort = read(table)
    np.testing.assert_allclose(cohort.years[:3], [0, NAN, 1096 / 365.25])
    (finding,) = cohort.findings
    assert (finding.code, finding.subjects, finding.columns) == ("times-unjoined", ("a",), ("scan_date", "age"))
    assert "date_of_birth" in finding.cure
    lines = table.splitlines()
    born = [f"{lines[0]},date_of_birth", *(f"{line},1949-07-02" for line in lines[1:])]
    np.testing.assert_allclose(read("\n".join(born) + "\n").years[1], 1, atol=0.01)


def test_people_with_ages_alone_among_dates(read: Read) -> None:
    table = MIXED + "c,1,,50.5,2.5\nc,2,,52,2.4\nd,1,2012-01-01,,2.5\n"
    cohort = read(table)
    np.testing.assert_allclose(cohort.years[-3:], [0, 1.5, 0])
    table = table.replace("2010-01-01", "1900-01-01", 1)
    with pytest.warns(NextscanWarning, match="dates that cannot be"):
        assert "impossible-date" in [finding.code for finding in read(table).findings]


def test_a_completed_table_has_no_invented_dates(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        [f"p{i}", v, f"20{10 + v}-03-0{1 + i % 9}" if i else None, 60.5 + v + i, *rng.normal(3, 0.1, 2)]
        for i in range(12)
        for v in range(2)
    ]
    frame = pd.DataFrame(rows, columns=["id", "visit", "scan_date", "age", "a", "b"])
    frame.to_csv(tmp_path / "study.csv", index=False)
    cohort = nextscan.read_cohort(tmp_path / "study.csv")
    assert cohort.years.tolist()[:2] == [0, 1]
    result = nextscan.MeanChange().fit(cohort).impute(cohort, at_years=[2])
    made = pd.read_csv(complete_table(tmp_path / "study.csv", result, tmp_path / "out.csv"))
    added = made[made["imputed"]]
    assert added["scan_date"].isna().tolist() == [True, *[False] * 11]
    np.testing.assert_allclose(added["age"].iloc[0], 63.5)


@pytest.mark.parametrize("plan", ["M", "site_code"])
def test_months_of_a_plan_fill_nothing(read: Read, plan: str) -> None:
    table = f"RID,VISCODE,EXAMDATE,{plan},Hippocampus\n1,bl,2010-01-01,0,39.5\n1,m12,,12,38.5\n2,bl,2010-01-01,0,41.5\n"
    assert np.isnan(read(table).years[1])
