"""When sessions of BIDS folders were: tables, their sidecars, and scans.tsv."""

import json
from pathlib import Path

import numpy as np
import pytest

from image_samples import bids
from nextscan.errors import CohortError, NextscanWarning
from nextscan.reading import read_cohort

THREE = {"01": ("1", "2"), "02": ("1", "2"), "03": ("1", "2")}


def folder(root: Path, *tables: str, visits: dict[str, tuple[str, ...]] = THREE) -> Path:
    """Write a folder with a sessions.tsv for each subject: lines, with spaces for tabs."""
    bids(root, visits, sessions=False)
    for subject, table in zip(visits, tables, strict=True):
        text = "\n".join("\t".join(line.split()) for line in table.splitlines()) + "\n"
        (root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv").write_text(text)
    return root


def scans(root: Path, subject: str, session: str, *rows: tuple[str, str]) -> None:
    text = "filename\tacq_time\n" + "".join(f"{name}\t{time}\n" for name, time in rows)
    (root / f"sub-{subject}/ses-{session}/sub-{subject}_ses-{session}_scans.tsv").write_text(text)


def levels(cohort) -> list[str]:
    return [f"{finding.level} {finding.code}" for finding in cohort.findings]


AGES = "session_id age\nses-1 30\nses-2 36"


@pytest.mark.parametrize(
    "said",
    [
        {"Units": "months"},
        {"Units": "Month"},
        {"units": "mo"},
        {"Description": "Age in months at the scan"},
        {"LongName": "Age (months)"},
        {"Description": "Age", "Levels": {"age": "given in months"}},
        "Age of the child, in months",
    ],
)
def test_months_by_a_sidecar_of_the_data_set(tmp_path: Path, said: object) -> None:
    root = folder(tmp_path / "heads", AGES, AGES, AGES)
    (root / "sessions.json").write_text(json.dumps({"age": said}))
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[:2], [0, 0.5])
    np.testing.assert_allclose(cohort.visit_labels["age"][:2], [2.5, 3.0])
    assert levels(cohort) == []
    assert "heads: age: 6 cells in months, by the sidecar" in cohort.notes


@pytest.mark.parametrize("said", [{"Units": "years"}, {"Units": "y"}, {"Description": "Age at the visit"}, {}])
def test_years_stay_years(tmp_path: Path, said: object) -> None:
    root = folder(tmp_path / "heads", AGES, AGES, AGES)
    (root / "sessions.json").write_text(json.dumps({"age": said, "session_id": {"Description": "two months apart"}}))
    assert read_cohort(root).years[1] == 6


def test_the_sidecar_of_a_subject_holds_for_it_alone(tmp_path: Path) -> None:
    root = folder(tmp_path / "heads", AGES, AGES, "session_id age\nses-1 700\nses-2 1430.5")
    (root / "sessions.json").write_text(json.dumps({"age": {"Units": "years"}}))
    (root / "sub-02/sub-02_sessions.json").write_text(json.dumps({"age": {"Units": "weeks"}}))
    (root / "sub-03/sub-03_sessions.json").write_text(json.dumps({"age": {"Units": "days"}}))
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[1::2], [6, 6 * 7 / 365.25, 2])


def test_a_column_whose_name_says_months_is_not_converted_twice(tmp_path: Path) -> None:
    table = AGES.replace("age", "age_months")
    root = folder(tmp_path / "heads", table, table, table)
    (root / "sessions.json").write_text(json.dumps({"age_months": {"Units": "months"}}))
    assert read_cohort(root).years[1] == 0.5
    (root / "sessions.json").write_text(json.dumps({"age_months": {"Units": "years"}}))
    with pytest.warns(NextscanWarning, match="the column's name says months"):
        cohort = read_cohort(root)
    assert (cohort.years[1], levels(cohort)) == (6, ["warning two-units"])


def test_a_broken_sidecar_is_told_and_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "heads", AGES, AGES, AGES)
    (root / "sessions.json").write_text("{age: months}")
    with pytest.warns(NextscanWarning, match=r"sessions.json: is not JSON"):
        assert levels(read_cohort(root)) == ["warning sidecar"]


def test_units_in_cells(tmp_path: Path) -> None:
    table = "session_id age\nses-1 018M\nses-2 4y"
    assert read_cohort(folder(tmp_path / "heads", table, table, table)).years[1] == 2.5


def test_ages_that_are_no_numbers_beside_dates(tmp_path: Path) -> None:
    dated = "session_id acq_time age\nses-1 2011-02-03 {}\nses-2 2013-02-03 {}"
    root = folder(tmp_path / "ranges", *(dated.format(*ages) for ages in [("60-65", "60-65"), ("70-75", "n/a")] * 2)
                  , visits={**THREE, "04": ("1", "2")})  # fmt: skip
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[1::2], 731 / 365.25)
    assert (list(cohort.labels), cohort.labels["age_text"].tolist()[:2]) == (["age_text", "sex"], ["60-65", "70-75"])
    root = folder(tmp_path / "capped", *(dated.format(*ages) for ages in [("71", "73"), ("89+", ">89"), ("64", "66")]))
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[1::2], 731 / 365.25)
    np.testing.assert_array_equal(cohort.visit_labels["age"], [71, 73, np.nan, np.nan, 64, 66])
    assert levels(cohort) == []
    assert any("2 cells such as '89+'" in note for note in cohort.notes)


def test_a_word_among_ages_is_missing_with_a_warning_that_names_it(tmp_path: Path) -> None:
    root = folder(tmp_path / "heads", "session_id age\nses-1 61\nses-2 old", AGES, AGES)
    with pytest.warns(NextscanWarning, match=r"'old' \(sub-01/sub-01_sessions.tsv line 3\)"):
        cohort = read_cohort(root)
    assert (np.isnan(cohort.years[1]), cohort.years[3], levels(cohort)) == (True, 6, ["warning no-number"])


def test_iso_dates_are_read_cell_by_cell(tmp_path: Path) -> None:
    tables = [
        "session_id acq_time\nses-1 2012-05-01\nses-2 2013-05-01T08:30",
        "session_id acq_time\nses-1 2012-05-01T23:50:10.123456Z\nses-2 2013-05-01T00:10:00+02:00",
        "session_id acq_time\nses-1 1908-05-01T10:00:00.5\nses-2 1909-05-01T10:00:00",
    ]
    cohort = read_cohort(folder(tmp_path / "heads", *tables))
    np.testing.assert_allclose(
        cohort.years[1::2] * 365.25, [365 + 8.5 / 24, 364 + 20 / 1440 - 10 / 86400, 365], atol=1e-4
    )
    assert levels(cohort) == []


def test_times_of_day_without_dates_are_no_times(tmp_path: Path) -> None:
    table = "session_id acq_time\nses-1 10:15:00\nses-2 16:40:12.5"
    with pytest.warns(NextscanWarning, match="years are unknown"):
        cohort = read_cohort(folder(tmp_path / "heads", table, table, table))
    assert "acq_time: 6 cells hold a time of day without a date" in "".join(cohort.notes)


FOUR = {"01": ("1", "2", "3", "4"), "02": ("1", "2", "3", "4")}


def test_ages_and_dates_of_scans_are_joined_by_a_session_that_has_both(tmp_path: Path) -> None:
    ages = "session_id age\nses-1 40\nses-2 41.5\nses-3 n/a\nses-4 44"
    root = folder(tmp_path / "heads", ages, ages, visits=FOUR)
    for subject in FOUR:
        scans(root, subject, "3", ("anat/x_T1w.nii.gz", "2012-12-31T12:00:00"))
    scans(root, "01", "2", ("anat/x_T1w.nii.gz", "2012-01-01T12:00:00"))
    with pytest.warns(NextscanWarning, match=r"times of 1 sessions stay unknown, as nothing joins them to age"):
        cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years, [0, 1.5, 1.5 + 365 / 365.25, 4, 0, 1.5, np.nan, 4])
    (finding,) = cohort.findings
    assert (finding.code, finding.subjects) == ("times-unjoined", ("sub-02",))
    assert (
        "subject sub-02 (sub-02/sub-02_sessions.tsv line 4; acq_time of scans.tsv: no visit has both)" in finding.text
    )
    assert "heads: times of 1 sessions from acq_time of scans.tsv" in cohort.notes
    (root / "participants.tsv").write_text("participant_id\tdate_of_birth\nsub-01\tn/a\nsub-02\t1970-07-01\n")
    np.testing.assert_allclose(read_cohort(root).years[6], 2.5, atol=0.01)  # at 42.5, by the date of birth
    scans(root, "02", "4", ("anat/x_T1w.nii.gz", "2014-01-01T00:00:00"))
    np.testing.assert_allclose(read_cohort(root).years[6], 4 - 365.5 / 365.25)


def test_scans_fill_what_sessions_lack_for_each_person_and_session(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "heads",
        "session_id bmi acq_time\nses-1 22 2010-01-01\nses-2 23 n/a",
        "session_id bmi\nses-1 25\nses-2 26",
        "session_id bmi acq_time\nses-1 22 2010-01-01\nses-2 23 2010-12-31",
    )
    scans(root, "01", "2", ("anat/x_T1w.nii.gz", "2012-01-01T12:00:00"), ("func/x_bold.nii.gz", "2012-01-01T11:00:00"))
    scans(root, "02", "1", ("func/x_bold.nii.gz", "2010-03-01T11:00:00"))
    scans(root, "02", "2", ("anat/x_T1w.nii.gz", "2011-03-01T11:00:00"), ("anat/y_T1w.nii.gz", "n/a"))
    scans(root, "03", "2", ("anat/x_T1w.nii.gz", "2030-03-01T11:00:00"))
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[1::2] * 365.25, [730.5, 365, 364])
    assert (levels(cohort), cohort.is_request.sum()) == ([], 0)
    assert "heads: times of 3 sessions from acq_time of scans.tsv" in cohort.notes


def test_ages_go_on_by_the_dates_of_scans(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "heads",
        "session_id age\nses-1 70\nses-2 n/a",
        "session_id age\nses-1 50\nses-2 52",
        "session_id age\nses-1 n/a\nses-2 n/a",
    )
    for session, year in (("1", 2001), ("2", 2004)):
        for subject in ("01", "02", "03"):
            scans(root, subject, session, ("anat/x_T1w.nii.gz", f"{year}-06-01"))
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[1::2], [1096 / 365.25, 2, 1096 / 365.25])
    ages = cohort.visit_labels["age"].tolist()
    np.testing.assert_allclose(ages, [70, 70 + 1096 / 365.25, 50, 52, np.nan, np.nan])


def test_ages_count_where_dates_are_missing(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "heads",
        "session_id acq_time age\nses-1 2010-06-01 40\nses-2 n/a 43",
        "session_id acq_time age\nses-1 n/a 50\nses-2 n/a 52",
        "session_id acq_time age\nses-1 2011-06-01 60\nses-2 2012-05-31 60.9",
    )
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[1::2], [3, 2, 365 / 365.25])
    assert "heads: times of 3 sessions from age" in cohort.notes
    empty = AGES.replace("age", "acq_time age").replace("-1 ", "-1 n/a ").replace("-2 ", "-2 n/a ")
    assert read_cohort(folder(tmp_path / "empty", empty, empty, empty)).years[1] == 6


def test_sessions_of_scans_alone_are_times_and_no_requests(tmp_path: Path) -> None:
    root = folder(tmp_path / "heads", AGES, AGES, AGES, visits=THREE)
    (root / "sub-02/sub-02_sessions.tsv").unlink()
    (root / "sub-02/ses-3/func").mkdir(parents=True)
    scans(root, "02", "1", ("anat/x_T1w.nii.gz", "2001-06-01"))
    scans(root, "02", "2", ("anat/x_T1w.nii.gz", "2002-06-01"))
    scans(root, "02", "3", ("func/x_bold.nii.gz", "2003-06-01"))
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[1::2], [6, 365 / 365.25, 6])
    assert cohort.is_request.sum() == 0


@pytest.mark.parametrize(("folders", "table"), [(("01", "02"), ("1", "ses-2")), (("M00", "M06"), ("m0", "ses-m6"))])
def test_names_of_tables_are_those_of_folders_however_written(
    tmp_path: Path, folders: tuple[str, str], table: tuple[str, str]
) -> None:
    root = bids(tmp_path / "heads", {"01": folders, "02": folders}, sessions=False)
    lines = ["participant_id\tsession_id\tage"]
    lines += [
        f"sub-{who}\t{name}\t{age}" for who in (1, 2) for name, age in zip((*table, "x9"), (60, 62, 64), strict=True)
    ]
    (root / "sessions.tsv").write_text("\n".join(lines) + "\n")
    cohort = read_cohort(root)
    assert cohort.visits.tolist() == [*(f"ses-{name}" for name in folders), "ses-x9"] * 2
    assert cohort.is_request.tolist() == [False, False, True] * 2
    assert cohort.years.tolist() == [0, 2, 4] * 2


def test_two_ways_to_write_a_session_in_one_table_are_refused(tmp_path: Path) -> None:
    table = "session_id age\nses-1 60\nses-01 60\nses-2 61"
    root = folder(tmp_path / "heads", table, visits={"01": ("01", "02")})
    with pytest.raises(CohortError, match="line 3: session ses-01 of sub-01 is there twice"):
        read_cohort(root)


def test_sessions_that_only_look_alike_stay_apart(tmp_path: Path) -> None:
    table = "session_id age\nses-1 60\nses-01 61"
    cohort = read_cohort(folder(tmp_path / "heads", table, visits={"01": ("1", "01")}))
    assert sorted(cohort.visits) == ["ses-01", "ses-1"]
