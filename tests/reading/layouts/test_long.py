from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort
from nextscan.describing import describe
from nextscan.errors import CohortError, NextscanWarning, SchemaError
from nextscan.reading import read_cohort

Read = Callable[..., Cohort]


def rows(n: int, cells: Callable[[int], str]) -> str:
    return "".join(f"{i},{cells(i)}\n" for i in range(n))


def test_roles_by_name_and_value(read: Read) -> None:
    header = "participant_id,session_id,age,Sex,sitenum,ward,flag,dob,remark,volume,nothing,same\n"
    body = "".join(
        f"s{i:02d},ses-{v},{50 + i + 1.5 * v},{'MF'[i % 2]},{i % 3},{'AB'[i % 2]},{i % 2},1950-01-{i + 1:02d},"
        f"remark {i} {v},{3000 + i + v},,7\n"
        for i in range(30)
        for v in (1, 2)
    )
    cohort = read(header + body)
    assert cohort.feature_names == ("volume", "same")
    assert list(cohort.labels) == ["sex", "ward", "flag"]
    assert list(cohort.visit_labels) == ["age"]
    assert cohort.labels["flag"].tolist() == [i % 2 for i in range(30)]
    assert cohort.visits[:2].tolist() == ["ses-1", "ses-2"]
    np.testing.assert_allclose(cohort.years, np.tile([0, 1.5], 30))
    text = "\n".join(cohort.notes)
    for line in [
        "subject: participant_id; visit: session_id; time: age (age in years)",
        "left out as identifiers: sitenum",
        "left out, all values missing: nothing",
        "left out as dates: dob",
        "left out as free text: remark",
        "two whole numbers, taken as labels: flag",
        "constant features: same",
    ]:
        assert f"study.csv: {line}" in text


def test_a_known_label_is_no_identifier_and_no_feature(read: Read) -> None:
    cohort = read("id,townsend_index,pd_polygenic_score,a\ns,-3,0.5,1\nt,2.5,1.5,2\n")
    assert list(cohort.labels) == ["townsend_index", "pd_polygenic_score"]
    assert cohort.labels["townsend_index"].tolist() == [-3, 2.5]


def test_rows_are_sorted_by_time_and_subjects_keep_their_order(read: Read) -> None:
    cohort = read("id,age,a\nB,71,1\nA,62,4\nB,70,2\nA,60,3\n")
    assert cohort.subjects.tolist() == ["B", "A"]
    assert cohort.features[:, 0].tolist() == [2, 1, 3, 4]
    assert cohort.years.tolist() == [0, 1, 0, 2]
    assert cohort.visits.tolist() == ["1", "2", "1", "2"]


def test_only_visit_numbers_leave_years_unknown(read: Read) -> None:
    cohort = read("subject,visit,a\ns,10,3\ns,9,2\nt,1,1\n")
    assert cohort.visits.tolist() == ["9", "10", "1"]
    np.testing.assert_array_equal(cohort.years, [0, np.nan, 0])
    assert any("time since the first visit is unknown for 1 follow-ups" in note for note in cohort.notes)


def test_years_count_from_the_first_visit(read: Read) -> None:
    assert read("id,years,a\ns,2,1\ns,5,2\n").years.tolist() == [0, 3]


def test_date_beats_age_and_age_stays_a_label(read: Read) -> None:
    cohort = read("id,date,age,a\ns,2020-01-01,60,1\ns,2021-12-31,62,2\n")
    np.testing.assert_allclose(cohort.years, [0, 730 / 365.25])
    assert cohort.visit_labels["age"].tolist() == [60, 62]


def test_age_in_months_is_a_label_in_years(read: Read) -> None:
    cohort = read("src_subject_id,eventname,interview_age,a\ns,baseline_year_1,120,1\ns,2_year_follow_up,144,2\n")
    assert cohort.visit_labels["age"].tolist() == [10, 12]
    assert cohort.years.tolist() == [0, 2]


def test_requests_are_rows_without_features(read: Read) -> None:
    cohort = read("id,visit,years,a,b\ns,1,0,1,2\ns,2,3.5,,NA\nt,1,0,3,4\nt,2,,,\n")
    assert cohort.is_request.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(cohort.years, [0, 3.5, 0, np.nan])


def test_subjects_without_any_scan_are_left_out(read: Read) -> None:
    with pytest.warns(NextscanWarning, match=r"no features at any visit for 1 subjects \(t\); left out"):
        cohort = read("id,visit,a\ns,1,1\nt,1,\nt,2,\n")
    assert cohort.subjects.tolist() == ["s"]


def test_blank_rows_are_skipped(read: Read) -> None:
    assert read("id,age,a\ns,60,1\n,,\nt,61,2\n,,\n").subjects.tolist() == ["s", "t"]


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["1000001.0", "1000002.0"], ["1000001", "1000002"]),
        (["007", "08"], ["007", "08"]),
        (["1", "A2"], ["1", "A2"]),
        (["1.5", "2.0"], ["1.5", "2.0"]),
    ],
)
def test_subject_names(read: Read, ids: list[str], names: list[str]) -> None:
    assert read("id,a\n" + "".join(f"{name},{i}.5\n" for i, name in enumerate(ids))).subjects.tolist() == names


def test_ids_and_visits_of_parquet_types(tmp_path) -> None:
    frame = pd.DataFrame(
        {
            "id": [1000001.0, 1000001.0, 2.0],
            "visit": pd.Categorical(["v1", "v2", "v1"]),
            "exam_date": pd.to_datetime(["2020-01-01", "2021-01-01", "2020-05-05"]),
            "sex": pd.Categorical(["F", "F", "M"]),
            "volume": np.array([1, 2, 3], np.int32),
            "ratio": np.array([0.5, np.nan, 0.25], np.float32),
        }
    )
    frame.to_parquet(tmp_path / "study.parquet")
    cohort = read_cohort(tmp_path / "study.parquet")
    assert cohort.subjects.tolist() == ["1000001", "2"]
    assert cohort.visits.tolist() == ["v1", "v2", "v1"]
    np.testing.assert_allclose(cohort.years, [0, 366 / 365.25, 0])
    assert cohort.labels["sex"].tolist() == ["F", "M"]
    np.testing.assert_array_equal(cohort.features, [[1, 0.5], [2, np.nan], [3, 0.25]])


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("name,a\ns,1\n", r"no subject column; expected a name such as participant_id.*name it in a schema"),
        ("id,a\ns,1\n,2\n", "line 3, column id: the subject is missing"),
        ("id,visit,a\ns,1,1\ns,,2\n", "line 3, column visit: the visit is missing"),
        ("id,a\n1e+06,2\n", r"line 2, column id: '1e\+06' looks like a rounded number"),
        ("id,sex\ns,M\nt,F\n", "no column of numbers is left to serve as a feature"),
    ],
)
def test_bad_tables(read: Read, table: str, says: str) -> None:
    with pytest.raises(CohortError, match=says):
        read(table)


# -- with a schema --------------------------------------------------------------------------------


def test_schema_overrules_names(read: Read) -> None:
    cohort = read(
        "who,id,wave,t,sex,grp,x,y,z\np,1,b,0,0,1,5,6,7\np,2,a,18,0,1,8,-9,10\nq,3,a,0,1,2,11,12,13\n",
        schema="""
        name = "Mine"
        subject = "who"
        visit = "wave"
        missing = [-9]
        features = ["x", "/^y/"]
        [time]
        column = "t"
        unit = "months"
        [labels.gender]
        column = "sex"
        codes = { 0 = "F", 1 = "M" }
        [labels.group]
        column = "grp"
        [units]
        "?" = "mm"
        """,
    )
    assert (cohort.name, cohort.subjects.tolist()) == ("Mine", ["p", "q"])
    assert cohort.visits.tolist() == ["b", "a", "a"]
    assert cohort.years.tolist() == [0, 1.5, 0]
    assert cohort.labels["gender"].tolist() == ["F", "M"]
    assert cohort.labels["group"].tolist() == ["1", "2"]
    np.testing.assert_array_equal(cohort.features, [[5, 6], [8, np.nan], [11, 12]])
    assert cohort.units == {"x": "mm", "y": "mm"}


def test_schema_beside_the_table_is_found(tmp_path, read: Read) -> None:
    (tmp_path / "study.toml").write_text('name = "Beside"')
    assert read("id,a\ns,1\n").name == "Beside"


def test_time_that_only_numbers_visits(read: Read) -> None:
    cohort = read("id,age,a\ns,2,1\ns,1,2\n", schema='[time]\ncolumn = "age"\nkind = "visit"')
    assert cohort.visits.tolist() == ["1", "2"]
    np.testing.assert_array_equal(cohort.years, [0, np.nan])


def test_own_time_unit_is_kept(read: Read) -> None:
    cohort = read("id,frame,a\ns,0,1\ns,12,2\n", schema='[time]\ncolumn = "frame"\nunit = "frames"')
    assert (cohort.time_unit, cohort.years.tolist()) == ("frames", [0, 12])


def test_present_makes_a_condition_of_a_date(read: Read) -> None:
    cohort = read(
        "id,stroke_date,a\ns,2011-01-01,1\nt,,2\n",
        schema='[labels.stroke]\ncolumn = "stroke_date"\npresent = true',
    )
    assert cohort.labels["stroke"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ('subject = "ids"', r"schema.toml, subject: .*study.csv has no column ids; did you mean id\?"),
        ('[time]\ncolumn = "yrs"', r"time.column: .* has no column yrs"),
        ('labels = ["sx"]', r"labels.sx: .* has no column sx; did you mean sex\?"),
        ('features = ["q*"]', r"schema.toml, features: no column fits q\*"),
        ('exclude = ["q"]', r"schema.toml, exclude: no column fits q"),
        (
            "[labels.sex]\ncodes = {M = 1}",
            r"line 3, column sex: 'F' is not among the codes of the schema \(M\)",
        ),
    ],
)
def test_schema_that_does_not_fit(read: Read, schema: str, says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        read("id,sex,a\ns,M,1\nt,F,2\n", schema=schema)


def test_a_text_column_cannot_be_named_a_feature(read: Read) -> None:
    with pytest.raises(CohortError, match="line 2, column g: expected a number, found 'x'"):
        read("id,g,a\n1,x,2\n2,y,3\n", schema='features = ["g", "a"]')


@pytest.mark.parametrize(
    ("table", "taken"),
    [
        ("id,ses,visit,a\ns,2,1,5\ns,2,2,6\n", "visit: visit"),
        ("id,ses,age,a\ns,2,60,5\ns,2,61,6\nt,,60,5\n", "visit: not named"),
        ("id,ses,a\ns,1,5\ns,2,6\nt,1,4\n", "visit: ses"),
        ("id,ses,a\ns,ses-01,5\nt,ses-01,6\n", "visit: ses"),
    ],
)
def test_socioeconomic_status_is_no_session(read: Read, table: str, taken: str) -> None:
    cohort = read(table)
    assert any(taken in note for note in cohort.notes)
    assert cohort.feature_names == ("a",)


def test_a_visit_twice_names_its_column(read: Read) -> None:
    with pytest.raises(CohortError, match=r"has visit 1 twice .*visits are taken from column wave"):
        read("id,wave,a\ns,1,5\ns,1,6\n")


def test_age_that_stays_is_age_at_entry(read: Read) -> None:
    cohort = read("id,visit,age,a\ns,1,60,1\ns,2,60,2\nt,1,70,3\n")
    assert cohort.labels["age_at_entry"].tolist() == [60, 70]
    np.testing.assert_array_equal(cohort.years, [0, np.nan, 0])
    beside = read("id,time,age,a\ns,0,60,1\ns,2,60,2\nt,0,70,3\n")
    assert beside.years.tolist() == [0, 2, 0]
    assert list(beside.labels) == ["age_at_entry"]


def test_months_are_time_if_they_start_at_0_or_increase(read: Read) -> None:
    assert read("id,Month_bl,age,a\ns,0,60,1\ns,18,60,2\nt,0,70,3\n").years.tolist() == [0, 1.5, 0]
    assert read("id,months,a\ns,3,1\ns,9,2\nt,4,3\n").years.tolist() == [0, 0.5, 0]
    calendar = read("id,visit,month,a\ns,1,11,1\ns,2,2,2\nt,1,4,3\n")
    np.testing.assert_array_equal(calendar.years, [0, np.nan, 0])


def test_long_gaps_without_a_unit_are_a_warning(read: Read) -> None:
    table = "id,time,a\ns,0,1\ns,12,2\nt,0,3\nt,12,4\n"
    (finding,) = describe(read(table)).of("time-unit")
    assert finding.text == "time has no unit; gaps of 12.0 read as years; give the unit in a schema"
    typed = read(table, schema='[time]\ncolumn = "time"\nunit = "months"\n')
    assert describe(typed).of("time-unit") == ()
