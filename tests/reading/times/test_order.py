from collections.abc import Callable

import numpy as np
import pytest

from nextscan.cohort import Cohort

Read = Callable[..., Cohort]


def told(cohort: Cohort, what: str) -> list[str]:
    return [note.split(": ", 1)[1] for note in cohort.notes if what in note]


@pytest.mark.parametrize(
    ("table", "visits", "years"),
    [
        ("id,visit,a\nr,18 months,1\nr,3 years,2\nr,4 weeks,3\n", ["4 weeks", "18 months", "3 years"],
         [0, 1.5 - 28 / 365.25, 3 - 28 / 365.25]),
        ("RID,VISCODE,a\n7,y1,1\n7,m3,2\n7,w4,3\n7,bl,4\n", ["bl", "w4", "m3", "y1"], [0, 28 / 365.25, 0.25, 1]),
        ("record_id,redcap_event_name,a\n1,month_18_arm_2,1\n1,baseline_arm_2,2\n",
         ["baseline_arm_2", "month_18_arm_2"], [0, 1.5]),
        ("subject,session,a\nx,ses-20171103,1\nx,ses-20160105,2\n",
         ["ses-20160105", "ses-20171103"], [0, 668 / 365.25]),
        ("subject,session,a\nx,03.11.2017,1\nx,05.01.2016,2\n", ["05.01.2016", "03.11.2017"], [0, 668 / 365.25]),
        ("id,visit,a\nx,T1,1\nx,T0,2\n", ["T0", "T1"], [0, np.nan]),
        ("PATNO,EVENT_ID,a\n3,V06,1\n3,BL,2\n3,V04,3\n", ["BL", "V04", "V06"], [0, np.nan, np.nan]),
        ("id,visit,a\nx,bl,1\nx,m6,2\nx,unscheduled,3\nx,m12,4\n", ["bl", "m6", "unscheduled", "m12"],
         [0, 0.5, np.nan, 1]),
        ("id,visit,a\nx,bl,1\nx,m12,2\nx,4_init,3\n", ["bl", "m12", "4_init"], [0, 1, np.nan]),
        ("id,session,a\nx,02/05/2014,1\nx,03/04/2013,2\n", ["02/05/2014", "03/04/2013"], [0, np.nan]),
    ],
)  # fmt: skip
def test_names_give_order_and_nominal_times(read: Read, table: str, visits: list[str], years: list[float]) -> None:
    cohort = read(table.replace("PATNO", "subject_id"))
    assert cohort.visits.tolist() == visits
    np.testing.assert_allclose(cohort.years, years)
    assert [f.code for f in cohort.findings] == (["nominal-times"] if np.isfinite(years[1]) else [])


def test_the_order_in_use_is_told(read: Read) -> None:
    assert told(read("id,visit,a\nx,m6,1\nx,bl,2\n"), "in order of") == ["visits in order of their names: bl, m6"]
    assert told(read("id,visit,age,a\nx,m6,61,1\nx,bl,60,2\n"), "in order of") == ["visits in order of their ages"]
    assert told(read("id,visit,a\nx,red,1\nx,blue,2\n"), "in order of") == ["visits in order of the file: red, blue"]
    assert told(read("id,visit,a\nx,bl,1\ny,bl,2\n"), "in order of") == []


def test_nominal_times_are_not_mixed_with_measured_ones(read: Read) -> None:
    cohort = read("id,visit,age,a\nx,bl,60,1\nx,m6,60.4,2\ny,bl,,1\ny,m6,,2\n")
    np.testing.assert_allclose(cohort.years, [0, 0.4, 0, np.nan])


def test_a_schema_leaves_times_unknown(read: Read) -> None:
    cohort = read("id,visit,a\nx,m6,1\nx,bl,2\n", schema='time = { column = "visit", kind = "visit" }')
    assert cohort.visits.tolist() == ["bl", "m6"]
    np.testing.assert_array_equal(cohort.years, [0, np.nan])
    assert cohort.findings == ()


def test_time_left_empty_at_every_first_visit_starts_at_0(read: Read) -> None:
    table = "id,visit,days_since_baseline,a\nx,bl,,1\nx,m6,180,2\ny,bl,,1\ny,m6,200,2\n"
    np.testing.assert_allclose(read(table).years, [0, 180 / 365.25, 0, 200 / 365.25])
    np.testing.assert_allclose(read(table.replace("x,m6,180", "x,m6,")).years, [0, np.nan, 0, np.nan])
