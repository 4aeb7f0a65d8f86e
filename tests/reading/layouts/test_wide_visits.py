from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import NextscanWarning, SchemaError
from nextscan.reading import read_cohort
from nextscan.reading.inferred import write_schema

Read = Callable[..., Cohort]


def test_ages_of_visits_are_times_and_an_age_without_a_scan_asks_for_one(read: Read) -> None:
    cohort = read(
        "subject,age_t1,age_t2,hippo_t1,hippo_t2,site_t1,site_t2,education\n"
        "a,61,63.5,3900,3850,North,South,12\nb,70,73,4000,,North,North,9\nc,55,,3700,,South,,16\n"
    )
    assert cohort.to_frame()[["subject", "visit", "years"]].to_numpy().tolist() == [
        ["a", "t1", 0], ["a", "t2", 2.5], ["b", "t1", 0], ["b", "t2", 3], ["c", "t1", 0],
    ]  # fmt: skip
    assert cohort.is_request.tolist() == [False, False, False, True, False]
    assert cohort.labels["education"].tolist() == [12, 9, 16]
    assert cohort.visit_labels["site"].tolist() == ["North", "South", "North", "North", "South"]


@pytest.mark.parametrize(
    ("columns", "cells", "years"),
    [
        ("date_bl,date_fu", "2015-01-01,2017-07-02", 2.5),
        ("scan_date_bl,scan_date_fu", "01.03.2015,01.03.2016", 1.0),
        ("age_at_bl,age_at_fu", "60,61.25", 1.25),
        ("years_fu", "1.75", 1.75),
        ("months_fu", "18", 1.5),
        ("interval_years", "2.25", 2.25),
        ("days_from_baseline", "731", 2.0),
        ("gap_days", "731", 2.0),
        ("int_months", "18", 1.5),
        ("IntervalWeeks", "78.25", 1.5),
        ("delta_t_years", "2.25", 2.25),
        ("fu_years", "1.75", 1.75),
        ("Interval (months)", "18", 1.5),
    ],
)
def test_when_visits_were(read: Read, columns: str, cells: str, years: float) -> None:
    cohort = read(f"id,hippo_bl,hippo_fu,amyg_bl,amyg_fu,{columns}\na,3900,3850,1500,1480,{cells}\n")
    assert cohort.years[1] == pytest.approx(years, abs=0.01)
    assert cohort.feature_names == ("hippo", "amyg")


@pytest.mark.parametrize("more", ["followup_years", "scan_date", "months"])
def test_a_time_without_a_visit_is_no_time_of_all_visits(read: Read, more: str) -> None:
    cell = "2015-01-01" if more == "scan_date" else "2"
    timed = read(f"id,age_t1,age_t2,hippo_t1,hippo_t2,{more}\na,60,62,3900,3850,{cell}\nb,50,52,4000,3950,{cell}\n")
    assert timed.years.tolist() == [0, 2, 0, 2]
    three = read(f"id,hippo_v1,hippo_v2,hippo_v3,{more}\na,3900,3850,3800,{cell}\nb,4000,3950,3900,{cell}\n")
    assert not (three.years[1:3] == 0).any()
    assert any(f"times that belong to no visit: {more}" in note for note in three.notes)


@pytest.mark.parametrize("column", ["gap", "delta_t", "followup_time", "time_between_scans", "dt"])
def test_the_time_between_visits_in_an_unknown_unit_asks_for_it(read: Read, column: str) -> None:
    table = f"id,hippo_t1,hippo_t2,amyg_t1,amyg_t2,{column}\na,3900,3850,1500,1480,731\nb,4000,3950,1600,1590,365\n"
    with pytest.warns(NextscanWarning, match=f"{column} may be the time between the two visits, in an unknown unit"):
        cohort = read(table)
    assert np.isnan(cohort.years[1::2]).all()
    assert column not in cohort.labels
    (finding,) = (finding for finding in cohort.findings if finding.code == "gap-without-unit")
    schema = finding.cure.split("schema: ")[1].split(" (or")[0]
    np.testing.assert_allclose(read(table, schema=schema).years[1::2] * 365.25, [731, 365])


@pytest.mark.parametrize("column", ["gap", "gap_days"])
def test_one_time_for_three_visits_is_none(read: Read, column: str) -> None:
    table = f"id,hippo_v1,hippo_v2,hippo_v3,{column}\na,3900,3850,3800,400\nb,4000,3950,3900,300\n"
    cohort = read(table)
    assert any(f"times that belong to no visit: {column}" in note for note in cohort.notes)
    assert column not in cohort.labels
    with pytest.raises(SchemaError, match=f"{column} of .* tells one time, for 3 visits"):
        read(table, schema=f'time = {{ column = "{column}", unit = "days" }}')


@pytest.mark.parametrize("column", ["followup", "group", "lag_group", "disease_duration"])
def test_what_is_no_time_between_visits_stays_a_label(read: Read, column: str) -> None:
    cohort = read(f"id,hippo_t1,hippo_t2,{column}\na,3900,3850,1\nb,4000,3950,0\n")
    assert column in cohort.labels


def test_an_age_without_a_visit_is_that_at_entry(read: Read) -> None:
    cohort = read("id,age,hippo_v1,hippo_v2\na,60,3900,3850\nb,50,4000,3950\n")
    assert cohort.labels["age_at_entry"].tolist() == [60, 50]
    assert np.isnan(cohort.years[1])


def test_calendar_years_in_names_tell_the_time(read: Read) -> None:
    cohort = read("id,hippo_2014,hippo_2018\na,3900,3850\nb,4000,\n")
    assert cohort.years.tolist() == [0, 4, 0]


def test_a_measure_taken_once_and_numbers_with_decimal_commas(read: Read) -> None:
    cohort = read("id;thick_v1;thick_v2;pet_v2\na;2,5;2,4;1,1\nb;2,75;2,7;1,3\n")
    np.testing.assert_array_equal(cohort.features, [[2.5, np.nan], [2.4, 1.1], [2.75, np.nan], [2.7, 1.3]])


def test_messages_name_line_and_visit(read: Read) -> None:
    with pytest.raises(Exception, match=r"line 3, visit t2, column hippo: expected a number, found 'bad'"):
        read("id,hippo_t1,hippo_t2\na,3900,3850\nb,4000,bad\nc,4000,3900\n")


def test_frames_with_pairs_and_parquet(tmp_path: pytest.TempPathFactory) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "hippo_t1": [3900, 4000], "hippo_t2": [3850.5, np.nan]})
    assert read_cohort(frame).features[:, 0].tolist() == [3900, 3850.5, 4000]


@pytest.mark.parametrize(
    "table",
    [
        "id,sex,age_t1,age_t2,hippo_t1,hippo_t2\na,M,60,62,3900,3850\nb,F,50,,4000,\n",
        "id,hippo_t1,hippo_t2,gap_months\na,3900,3850,24\nb,4000,3950,30\n",
        "id,hippo_t1,hippo_t2,room_t1,room_t2,arm\na,3900,3850,left,right,x\nb,4000,3950,left,,y\n",
        "id,hippo_t1,hippo_t2,fu,smoker\na,3900,3850,1,yes\nb,4000,3950,0,no\n",
        "id,GA,thickness\na,38,2.5\nb,40,2.6\n",
        "id,visit,GA,FA\na,1,0.25,0.5\na,2,0.2,0.4\nb,1,0.3,0.6\n",
        "id;hippo.1;hippo.2;X3rd.Ventricle.1;X3rd.Ventricle.2\na;3,9;3,8;900;920\nb;4,0;;800;\n",
        "id;visit;Left.Putamen;thick\na;1;3,9;2,5\na;2;3,8;2,25\n",
        "Participant ID,Vol | Instance 2,Vol | Instance 3\n1000001,3900,3850\n1000002,4000,\n",
    ],
)
@pytest.mark.filterwarnings("ignore:.*field 53")
def test_the_schema_that_is_inferred_reads_the_same(tmp_path: Path, table: str) -> None:
    (tmp_path / "study.csv").write_text(table)
    before = read_cohort(tmp_path / "study.csv")
    write_schema(tmp_path / "other.toml", tmp_path / "study.csv")
    after = read_cohort(tmp_path / "study.csv", tmp_path / "other.toml")
    pd.testing.assert_frame_equal(before.to_frame(), after.to_frame(), check_like=True)


@pytest.mark.parametrize(
    ("table", "schema", "years"),
    [
        ("id,volume_t1,volume_t2,age_t1,age_t2,sex\na,a1.nii,a2.nii,60,62,M\nb,b1.nii,b2.nii,50,52.5,F\n", "",
         [0, 2, 0, 2.5]),
        ("id,volume_bl,mask_bl,volume_fu,mask_fu,gap_months\na,a1.nii,m1.nii,a2.nii,m2.nii,18\nb,b1.nii,,,,24\n", "",
         [0, 1.5, 0, 2]),
        ("id,flair_v1,flair_v2,gap\na,a1.nii,a2.nii,2\nb,b1.nii,b2.nii,3\n",
         'time = { column = "gap" }\nimages = { volume = "flair" }\n', [0, 2, 0, 3]),
        ("id,scan_pre,scan_post,hippo_pre,hippo_post\na,a1.nii,a2.nii,3900,3850\nb,b1.nii,b2.nii,4000,3950\n",
         'wide = ["*_pre", "*_post"]\nimages = { volume = "scan" }\n', [0, np.nan, 0, np.nan]),
    ],
    ids=["ages", "months and masks", "a role of the schema", "forms of the schema"],
)  # fmt: skip
def test_the_schema_of_wide_tables_of_images_reads_the_same(
    tmp_path: Path, table: str, schema: str, years: list[float]
) -> None:
    for name in ("a1", "a2", "b1", "b2", "m1", "m2"):
        (tmp_path / f"{name}.nii").write_bytes(b"")
    (tmp_path / "table.csv").write_text(table)
    given = (tmp_path / "given.toml") if schema else None
    if given is not None:
        given.write_text(schema)
    before = read_cohort(tmp_path / "table.csv", given)
    np.testing.assert_allclose(before.years, years)
    assert [Path(name).name for name in before.files_of("volume")][:2] == ["a1.nii", "a2.nii"]
    after = read_cohort(tmp_path / "table.csv", write_schema(tmp_path / "other.toml", tmp_path / "table.csv", given))
    pd.testing.assert_frame_equal(before.to_frame(), after.to_frame(), check_like=True)
    assert {role: paths.tolist() for role, paths in before.files.items()} == {
        role: paths.tolist() for role, paths in after.files.items()
    }
