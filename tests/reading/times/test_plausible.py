import datetime
from collections.abc import Callable

import numpy as np
import pytest

from nextscan import MeanChange
from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NextscanWarning

Read = Callable[..., Cohort]


def dated(gaps: list[float], **changed: str) -> str:
    """Write a table of people scanned twice; `changed` replaces dates, as in ``s3_2="1900-01-01"``."""
    lines = ["id,scan_date,hippo"]
    for i, gap in enumerate(gaps):
        start = datetime.date(2011, 3, 1) + datetime.timedelta(days=29 * i)
        for visit, day in ((1, start), (2, start + datetime.timedelta(days=round(gap * 365.25)))):
            lines.append(f"s{i},{changed.get(f's{i}_{visit}', day)},{4000 - 7 * i - visit}")
    return "\n".join(lines) + "\n"


def found(cohort: Cohort) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f.code: (f.level, f.subjects) for f in cohort.findings}


USUAL = [float(gap) for gap in np.random.default_rng(3).normal(2.0, 0.3, 60)]


@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
@pytest.mark.parametrize(
    "date",
    ["1900-01-01", "1899-12-30", "1970-01-01", "1909-09-09", "2037-07-07", "2104-05-06", "9999-12-31", "1000-01-01"],
)
def test_a_date_that_no_scan_has_is_an_error(read: Read, date: str) -> None:
    cohort = read(dated(USUAL, s7_2=date))
    assert found(cohort) == {"impossible-date": ("error", ("s7",))}
    assert f"subject s7 (line 17): date {date}" in str(cohort.findings[0])
    assert not (np.diff(cohort.years)[::2] < 0).any()


@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
def test_a_wrong_date_stops_a_fit_unless_it_is_allowed(read: Read) -> None:
    table = dated(USUAL, s7_2="2104-05-06")
    with pytest.raises(CohortError, match=r"s7 .*2104-05-06.*--allow impossible-date"):
        MeanChange().fit(read(table))
    MeanChange().fit(read(table, allow="impossible-date"))


@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
def test_the_placeholder_of_a_person_scanned_once_is_a_warning(read: Read) -> None:
    assert found(read(dated(USUAL) + "once,1900-01-01,3990\n")) == {"impossible-date": ("warning", ("once",))}


@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
@pytest.mark.parametrize(("date", "code"), [("2026-01-05", "impossible-gap"), ("2001-02-03", "impossible-gap")])
def test_one_wrong_year_among_sixty_pairs_is_found(read: Read, date: str, code: str) -> None:
    assert found(read(dated(USUAL, s9_2=date)))[code] == ("error", ("s9",))


@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
def test_a_gap_that_stands_alone_but_may_be_is_a_warning(read: Read) -> None:
    cohort = read(dated([*USUAL, 5.6]))
    assert found(cohort) == {"unusual-gap": ("warning", ("s60",))}
    assert "5.6 years between" in str(cohort.findings[0])


@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
def test_a_row_against_time_is_found_where_those_of_all_others_lie_along_it(read: Read) -> None:
    assert found(read(dated(USUAL, s9_2="2010-02-03"))) == {"rows-against-time": ("warning", ("s9",))}


@pytest.mark.parametrize(
    "gaps",
    [
        np.random.default_rng(0).uniform(0.5, 12, 60).tolist(),
        np.exp(np.random.default_rng(1).normal(0.7, 0.7, 60)).clip(0.3, 12).tolist(),
        [1.0] * 40 + [2.0] * 10 + [3.0],
        [0.01] * 10 + [2.0] * 20,
        [2.0, 11.0, 2.1],
        [1.0, 1.1, 0.9, 1.0, 1.2, 1.0, 1.1, 1.0, 2.5],
    ],
)
def test_real_spreads_of_gaps_raise_nothing(read: Read, gaps: list[float]) -> None:
    assert found(read(dated([gap * 0.95 for gap in gaps]))) == {}


def test_dates_shifted_for_everybody_raise_nothing(read: Read) -> None:
    table = dated(USUAL)
    for year in range(2010, 2021):
        table = table.replace(f",{year}-", f",{year - 131}-")
    assert found(read(table.replace("-02-29", "-02-28"))) == {}


def test_a_visit_planned_for_the_future_raises_nothing(read: Read) -> None:
    ahead = datetime.date.today() + datetime.timedelta(days=900)
    assert found(read(dated(USUAL) + f"s3,{ahead},\n")) == {}


@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
@pytest.mark.parametrize(
    ("ages", "code", "level", "says"),
    [
        ([(720 + i, 744 + i) for i in range(9)], "impossible-age", "error", 'kind = "age", unit = "months" }'),
        ([(107 + i, 131 + i) for i in range(9)], "impossible-age", "error", 'kind = "age", unit = "months" }'),
        ([(60 + i, 62 + i) for i in range(9)] + [(61, 200)], "impossible-age", "error", "age 200; correct the age"),
        ([(60 + i, 62 + i) for i in range(9)] + [(26, 64)], "impossible-gap", "error", "between age 26 and age 64"),
        ([(36 + i, 60 + i) for i in range(9)], "time-unit", "warning", "24.0 years between age 36 and age 60"),
    ],
)
def test_ages_that_cannot_be(read: Read, ages: list[tuple[int, int]], code: str, level: str, says: str) -> None:
    cohort = read("id,age,a\n" + "".join(f"s{i},{x},1.{i}\ns{i},{y},2.{i}\n" for i, (x, y) in enumerate(ages)))
    assert [(f.code, f.level) for f in cohort.findings] == [(code, level)]
    assert says in str(cohort.findings[0])


@pytest.mark.parametrize("ages", [[(5, 7), (100, 104)], [(8.5, 22), (9, 21)], [(70, 82), (71, 84)]])
def test_ages_of_children_and_of_the_old_raise_nothing(read: Read, ages: list[tuple[float, float]]) -> None:
    assert found(read("id,age,a\n" + "".join(f"s{i},{x},1\ns{i},{y},2\n" for i, (x, y) in enumerate(ages)))) == {}


def test_an_export_with_a_placeholder_for_a_date(read: Read) -> None:
    people = "".join(f"{i},2014-05-0{i},2016-06-0{i},2,{i}\n" for i in range(1, 9))
    table = "eid,53-2.0,53-3.0,25005-2.0,25005-3.0\n" + people + "9,1900-01-01,2016-01-01,5,4\n"
    with pytest.warns(NextscanWarning, match=r"subject 9, visit 2 \(line 10\): date 1900-01-01"):
        assert found(read(table, "ukb.csv")) == {"impossible-date": ("error", ("9",))}


def test_calendar_years_are_noted(read: Read) -> None:
    assert found(read("id,year,a\ns,2012,1\ns,2014,2\n")) == {"calendar-years": ("note", ())}
    assert found(read("id,days,a\ns,0,1\ns,2014,2\n")) == {}
