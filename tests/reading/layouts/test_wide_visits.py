from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort
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
