import datetime

import numpy as np
import pytest

from nextscan.reading.times.dates import date_in, day_of
from nextscan.reading.times.visit_names import visit_names


def in_order(names: list[str]) -> list[str]:
    found = visit_names(names)
    return sorted(names, key=lambda name: found[name].key)


def years(names: list[str]) -> list[float | None]:
    return [visit.years for visit in visit_names(names).values()]


@pytest.mark.parametrize(
    "names",
    [
        ["sc", "bl", "m6", "m06b", "m12", "imputed"],
        ["baseline_year_1_arm_1", "1_year_follow_up_y_arm_1", "2_year_follow_up_y_arm_1"],
        ["ses-01", "ses-9", "ses-10"],
        ["day -7", "day 1", "week 4", "3 months", "1.5y", "year 2"],
        ["SC", "BL", "V02", "V04", "V10"],
        ["screening", "baseline", "week 12", "final"],
        ["pre-op", "6 months post-op", "1 year post-op"],
        ["baseline", "follow-up", "follow-up 2"],
        ["first visit", "second visit", "third visit"],
        ["1stscan", "2ndscan"],
        ["BL", "6mFU", "12mFU"],
        ["D0", "D+30"],
        ["visit I", "visit II", "visit III"],
        ["2 months", "18mo", "2y"],
        ["P07_MR1", "P07_MR2", "P07_MR10"],
        ["28.11.2012", "02.05.2014", "01.12.2014"],
        ["13/05/2012", "02/06/2012", "01/01/2013"],
        ["05/13/2012", "06/02/2012", "01/01/2013"],
    ],
)
def test_names_in_the_order_people_mean(names: list[str]) -> None:
    found = visit_names(names)
    assert in_order(names[::-1]) == names
    assert len({visit.family for visit in found.values()} - {""}) == 1


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["bl", "w4", "m3", "y1"], [0, 28 / 365.25, 0.25, 1]),
        (["6-month", "24 months", "1.5y", "0.5 years"], [0.5, 2, 1.5, 0.5]),
        (["visit 1 (baseline)", "visit 2 (month 6)"], [0, 0.5]),
        (["month_6_arm_1", "baseline_arm_1"], [0.5, 0]),
        (["v2y", "FU6M", "T12m"], [2, 0.5, 1]),
        (["1y6m", "two years"], [1.5, 2]),
        (["d0000", "d0129"], [0, 129 / 365.25]),
        (["OAS7_MR_d0129", "OAS7_MR_d0757"], [129 / 365.25, 757 / 365.25]),
        (["002_S_01_bl", "002_S_01_m12"], [0, 1]),
        (["4_bl", "4_m12"], [0, 1]),
        (["M00", "M24"], [0, 2]),
        (["half year", "6mFU", "M+6"], [0.5, 0.5, 0.5]),
        (["24h", "72h", "d7"], [1 / 365.25, 3 / 365.25, 7 / 365.25]),
        (["bl", "m1", "m2"], [0, 1 / 12, 2 / 12]),
        (["visit_2_year_1", "visit_1_year_0"], [1, 0]),
        (["baseline + 6 months", "baseline"], [0.5, 0]),
    ],
)
def test_numbers_with_units_tell_the_time(names: list[str], told: list[float]) -> None:
    np.testing.assert_allclose(np.array(years(names), float), told)


@pytest.mark.parametrize(
    "names",
    [
        ["1", "2"], ["ses-01", "ses-02"], ["V04", "V06"], ["T0", "T1"], ["wave 2", "wave 4"], ["w1", "w2", "w3"],
        ["w2", "w4", "w6"], ["m1", "m2"], ["d1", "d2", "d3"], ["0", "6", "12"], ["visit_1_arm_1", "visit_2_arm_1"],
        ["fu1", "fu2"], ["site3t", "cube3d"], ["home", "ward"], ["02/05/2014", "03/06/2014"],
    ],
)  # fmt: skip
def test_numbers_without_units_tell_none(names: list[str]) -> None:
    assert years(names) == [None] * len(names)


@pytest.mark.parametrize("names", [["home", "ward"], ["bl", "m12", "4_init"], ["02/05/2014", "03/06/2014"]])
def test_names_that_cannot_be_compared_are_of_different_families(names: list[str]) -> None:
    assert len({visit.family for visit in visit_names(names).values()} - {""}) > 1


def test_dates_in_names() -> None:
    assert date_in("ses-20140502T1130") == date_in("2 May 2014") == date_in("mr_2014.05.02")
    assert date_in("20141302") is None
    assert date_in("1000413") is None
    assert [f"{day_of(years):%Y-%m-%d}" for years in (-36524 / 365.25, 1e9)] == ["1870-01-01", "9999-12-31"]


@pytest.mark.parametrize(("clock", "shift"), [(0, 0), (10 / 24, 0), (0.75, 0), (23.999 / 24, 0), (1, 1)])
@pytest.mark.parametrize("day", [-20000, 0, 16496])
def test_an_afternoon_belongs_to_its_day(day: int, clock: float, shift: int) -> None:
    expected = datetime.datetime(1970, 1, 1) + datetime.timedelta(days=day + shift)
    assert day_of((day + clock) / 365.25) == expected
