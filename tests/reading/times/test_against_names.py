from collections.abc import Callable

import pytest

from nextscan.cohort import Cohort

Read = Callable[..., Cohort]
pytestmark = pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")


def found(cohort: Cohort) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f.code: (f.level, f.subjects) for f in cohort.findings if f.level in ("error", "warning")}


@pytest.mark.parametrize(
    ("visits", "dates"),
    [
        (("bl", "m12"), ("2015-03-02", "2014-02-10")),
        (("screening", "week 26"), ("2015-03-02", "2014-12-10")),
        (("ses-1", "ses-2"), ("2015-03-02", "2013-03-02")),
        (("T0", "T1"), ("2015-03-02", "2013-03-02")),
        (("6 months", "2 years"), ("2015-03-02", "2013-09-02")),
        (("baseline_arm_1", "month_6_arm_1"), ("2015-03-02", "2014-09-02")),
        (("pre", "post"), ("2015-03-02", "2014-09-02")),
        (("20130302", "20150302"), ("2015-03-02", "2013-03-02")),
    ],
)
def test_a_visit_after_its_follow_up_is_an_error(read: Read, visits: tuple[str, str], dates: tuple[str, str]) -> None:
    other = f"b,{visits[0]},{min(dates)},3\nb,{visits[1]},{max(dates)},4\n"
    cohort = read(f"id,visit,scan_date,a\na,{visits[0]},{dates[0]},1\na,{visits[1]},{dates[1]},2\n{other}")
    assert found(cohort)["visit-order"] == ("error", ("a",))
    text = str(next(f for f in cohort.findings if f.code == "visit-order"))
    assert f"for subject a: visit {visits[0]} has date {dates[0]}" in text
    assert f"{visits[0]} lies after {visits[1]}" in text
    assert (cohort.years >= 0).all()


@pytest.mark.parametrize(
    ("visit", "date", "far"),
    [
        ("m06", "2017-05-10", True), ("m06", "2011-11-20", False), ("m24", "2014-09-01", True),
        ("m24", "2013-04-01", False), ("2 years", "2011-09-01", True), ("2 years", "2012-06-01", False),
        ("V04", "2018-01-01", False), ("final", "2018-01-01", False), ("visit_2_arm_1", "2018-01-01", False),
    ],
)  # fmt: skip
def test_a_visit_far_from_the_time_in_its_name_is_a_warning(read: Read, visit: str, date: str, far: bool) -> None:
    bl = "visit_1_arm_1" if visit.startswith("visit") else "bl"
    cohort = read(f"id,visit,scan_date,a\na,{bl},2011-05-02,1\na,{visit},{date},2\nb,{bl},2012-05-02,1\n")
    expected = {"visit-against-time": ("warning", ("a",))} if far else {}
    assert found(cohort) == expected


@pytest.mark.parametrize(
    ("unit", "values"),
    [("months", (0, 6, 12.2, 0, 6.3)), ("days", (0, 181, 366, 0, 190)), ("weeks", (0, 26, 53, 0, 27))],
)
def test_times_in_another_unit_than_their_names_are_an_error(read: Read, unit: str, values: tuple[float, ...]) -> None:
    keys = ("a,bl", "a,m6", "a,m12", "b,bl", "b,m6")
    cohort = read(
        "id,visit,years,x\n" + "".join(f"{k},{v},{i}\n" for i, (k, v) in enumerate(zip(keys, values, strict=True)))
    )
    finding = next(f for f in cohort.findings if f.code == "time-unit")
    assert finding.level == "error"
    assert f'time = {{ column = "years", unit = "{unit}" }}' in finding.cure
    schema = finding.cure[finding.cure.index("time =") :]
    read_again = read(
        "id,visit,years,x\n" + "".join(f"{k},{v},{i}\n" for i, (k, v) in enumerate(zip(keys, values, strict=True))),
        schema=schema,
    )
    assert found(read_again) == {}


def test_a_rescan_named_after_the_same_month_may_come_first(read: Read) -> None:
    assert found(read("id,visit,age,a\ns,bl,60,1\ns,m06,60.6,2\ns,m06b,60.5,3\n")) == {}


def test_screening_and_baseline_may_change_places(read: Read) -> None:
    assert found(read("id,visit,age,a\ns,sc,60.1,1\ns,bl,60,2\ns,m06,60.5,3\n")) == {}
