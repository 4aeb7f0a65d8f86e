from collections.abc import Callable
from pathlib import Path

import pytest

from nextscan.cohort import Cohort
from nextscan.cohort.findings import Finding, refuse_errors
from nextscan.errors import CohortError, NextscanWarning, SchemaError
from nextscan.reading import read_cohort

Read = Callable[..., Cohort]


def table(names: list[str]) -> str:
    """Return a table with a row a name: ages grow, values differ."""
    rows = [f"{name},{60 + 1.5 * i:g},F,{3900 - 7.3 * i:.1f},{1800 + 3.1 * i:.1f}" for i, name in enumerate(names)]
    return "\n".join(["id,age,sex,hc,am", *rows]) + "\n"


def told(read: Read, text: str, **options: object) -> tuple[Cohort, dict[str, Finding]]:
    with pytest.warns(NextscanWarning):
        cohort = read(text, **options)
    return cohort, {finding.code: finding for finding in cohort.findings}


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["007", "8", "7"], ["7", "007"]),
        (["K12", "k12", "K13"], ["K12", "k12"]),
        (["sub-04", "04", "05"], ["04", "sub-04"]),
        (["K-07", "K7", "K8"], ["K-07", "K7"]),
        (["X1", "3.0", "3"], ["3", "3.0"]),
        (["Subject 9", "09", "a"], ["09", "Subject 9"]),
    ],
)
def test_one_person_in_two_writings_stops_what_learns(read: Read, names: list[str], pairs: list[str]) -> None:
    cohort, findings = told(read, table(names))
    assert sorted(findings["same-person"].subjects) == sorted(pairs)
    assert findings["same-person"].level == "error"
    with pytest.raises(CohortError, match='subject_names = "matched" in a schema makes them one'):
        refuse_errors(cohort.findings)


def test_the_schema_makes_them_one_or_keeps_them_apart(read: Read) -> None:
    text = table(["007", "8", "7", "k9", "K9"])
    one = read(text, schema='subject_names = "matched"')
    assert one.subjects.tolist() == ["007", "8", "k9"]
    assert one.years.tolist() == [0, 3, 0, 0, 1.5]
    assert any("taken as one person: '007' = '7', 'k9' = 'K9'" in note for note in one.notes)
    assert read(text, schema='subject_names = "as written"').findings == ()


def test_names_in_several_writings_and_with_suffixes_are_settled_together(read: Read) -> None:
    lines = 'subject_names = "matched"\nscan_name = "(?P<subject>.+?)(?:_(?P<visit>[0-9]+))?"'
    cohort = read(table(["012", "12", "Z4", "z4", "Z5", "Z5_2"]), schema=lines)
    assert cohort.subjects.tolist() == ["012", "Z4", "Z5"]
    assert cohort.visits.tolist() == ["1", "2"] * 3
    assert cohort.years.tolist() == [0, 1.5] * 3


def test_spaces_around_names_mean_nothing(read: Read) -> None:
    cohort = read(table([" 01", "02", "01 "]))
    assert cohort.subjects.tolist() == ["01", "02"]
    assert cohort.n_visits == 3


@pytest.mark.parametrize(
    "names",
    [
        ["A_001", "B_001", "C_001"],
        ["001a", "001b", "002a", "002b"],
        ["9", "10", "99", "100", "109"],
        ["1_01", "1_02", "2_01", "2_02", "2_03"],
        ["01A1", "1A01", "0A11"],
        ["NDARINV0AB1", "NDARINVA0B1"],
        ["P01", "C01", "01"],
        ["1.5", "2.5", "3.5"],
        ["sub-1", "sub-2"],
        ["F1-mother", "F1-father"],
    ],
)
def test_other_people_are_left_alone(read: Read, names: list[str]) -> None:
    cohort = read(table(names))
    assert cohort.subjects.tolist() == names
    assert cohort.findings == ()


@pytest.mark.parametrize(
    ("names", "line", "people"),
    [
        (["Q03", "Q04", "Q03_2"], r"(?P<subject>.+?)(?:_(?P<visit>\d+))?", ["Q03", "Q04"]),
        (["17", "18", "17-dup"], r"(?P<subject>.+?)(?:[_. -](?P<visit>[A-Za-z]*\d*))?", ["17", "18"]),
        (["Q3", "Q4", "Q3 (2)"], r"(?P<subject>.+?)(?: *\((?P<visit>\d+)\))?", ["Q3", "Q4"]),
    ],
)
def test_a_name_with_a_suffix_beside_the_name(read: Read, names: list[str], line: str, people: list[str]) -> None:
    _, findings = told(read, table(names))
    assert findings["visit-in-name"].level == "error"
    assert findings["visit-in-name"].subjects == (names[0], names[2])
    assert f"scan_name = '{line}' in a schema" in findings["visit-in-name"].cure
    split = read(table(names), schema=f"scan_name = '{line}'")
    assert split.subjects.tolist() == people
    assert split.observed_visits.tolist() == [2, 1]


def test_a_suffix_of_somebody_of_the_other_sex_is_no_visit(read: Read) -> None:
    assert read(table(["Q3", "Q4"]) + "Q3_2,70,M,3000.5,1999.5\n").findings == ()


def test_people_seen_at_the_same_visit_are_two(read: Read) -> None:
    rows = [f"{name},{wave},{20 + 3.7 * i + wave:.1f}" for i, name in enumerate(("r-2", "r-2_2")) for wave in (1, 2, 3)]
    assert read("\n".join(["id,wave,a", *rows])).findings == ()


NAMES = {
    "sessions": (["a_ses-1", "a_ses-2", "b_ses-1"], ["a", "b"], ["ses-1", "ses-2", "ses-1"]),
    "bids": (["sub-7_ses-V01_T1w", "sub-7_ses-V02_T1w"], ["sub-7"], ["ses-V01", "ses-V02"]),
    "adni": (["011_S_0002_bl", "011_S_0002_m24", "011_S_0003_sc"], ["011_S_0002", "011_S_0003"], ["bl", "m24", "sc"]),
    "oasis2": (["OAS2_0099_MR1", "OAS2_0099_MR3"], ["OAS2_0099"], ["MR1", "MR3"]),
    "oasis3": (["OAS30007_MR_d0100", "OAS30007_MR_d0648"], ["OAS30007"], ["d0100", "d0648"]),
    "long": (["P9_MR1.long.P9", "P9_MR2.long.P9"], ["P9"], ["MR1", "MR2"]),
    "long bids": (["P9_ses-1.long.P9_base", "P9_ses-2.long.P9_base"], ["P9"], ["ses-1", "ses-2"]),
    "tp": (["n1.tp1", "n1.tp2", "n2.tp1"], ["n1", "n2"], ["tp1", "tp2", "tp1"]),
    "dates": (["K5_20110305", "K5_20130401", "K6_20120101"], ["K5", "K6"], ["20110305", "20130401", "20120101"]),
    "dashes": (["K5_2011-03-05", "K5_2013-04-01"], ["K5"], ["2011-03-05", "2013-04-01"]),
    "words": (["K-5_baseline", "K-5_followup", "K-6_baseline"], ["K-5", "K-6"], ["baseline", "followup", "baseline"]),
    "ukb": (["1000123_20263_2_0", "1000123_20263_3_0"], ["1000123"], ["2", "3"]),
    "hcp": (["HCA600_V1_MR", "HCA600_V2_MR"], ["HCA600"], ["V1", "V2"]),
}


@pytest.mark.parametrize("kind", NAMES)
def test_scan_names_of_known_conventions_are_split_with_a_note(read: Read, kind: str) -> None:
    names, subjects, visits = NAMES[kind]
    cohort = read(table(names))
    assert cohort.subjects.tolist() == subjects
    assert cohort.visits.tolist() == visits
    assert any("names of scans hold the visit" in note for note in cohort.notes)
    assert cohort.findings == ()


@pytest.mark.parametrize("kind", NAMES)
def test_and_so_are_those_of_freesurfer(tmp_path: Path, kind: str) -> None:
    names, subjects, visits = NAMES[kind]
    lines = [f"{name}\t{3000 + i}.5\t{1000 - 3 * i}.2" for i, name in enumerate(names)]
    (tmp_path / "aseg.tsv").write_text("\n".join(["Measure:volume\tLeft-Putamen\tRight-Putamen", *lines]) + "\n")
    cohort = read_cohort(tmp_path / "aseg.tsv")
    assert cohort.subjects.tolist() == subjects
    assert cohort.visits.tolist() == visits


@pytest.mark.parametrize(
    "names",
    [
        ["A_v1", "B_v1", "C_v1"],  # nobody twice: v1 may belong to the name
        ["HC_20140503", "PD_20150607"],
        ["site1_12345678", "site2_12345678"],
        [f"HC_v{i}" for i in range(40)],  # a group, not a person
    ],
)
def test_names_that_do_not_repeat_stay_whole(read: Read, names: list[str]) -> None:
    assert read(table(names)).subjects.tolist() == names


def test_a_column_of_visits_comes_before_the_visit_in_the_name(read: Read) -> None:
    text = "id,wave,hc\nK1_ses-1,first,2.5\nK1_ses-2,second,3.5\n"
    cohort = read(text, schema='visit = "wave"')
    assert cohort.subjects.tolist() == ["K1"]
    assert cohort.visits.tolist() == ["first", "second"]


def test_ambiguous_names_are_offered_with_the_line_that_splits_them(read: Read) -> None:
    names = [f"{1000 + i}_{visit}" for i in range(6) for visit in (1, 2)]
    cohort, findings = told(read, table(names))
    assert cohort.subjects.tolist() == names
    assert findings["visit-in-name"].level == "error"  # ages grow from _1 to _2 for everybody
    assert r"scan_name = '(?P<subject>.+)_(?P<visit>\d+)' in a schema" in findings["visit-in-name"].cure
    split = read(table(names), schema=r"scan_name = '(?P<subject>.+)_(?P<visit>\d+)'")
    assert split.n_subjects == 6
    assert split.visits.tolist() == ["1", "2"] * 6
    assert split.years.tolist() == [0, 1.5] * 6


def test_names_that_may_be_twins_are_only_a_warning(read: Read) -> None:
    text = "id,hc,am\n" + "".join(
        f"F{i}_{k},{3000 + 17 * i + k}.5,{900 + 5 * i * k}\n" for i in range(6) for k in (1, 2)
    )
    _, findings = told(read, text)
    assert findings["visit-in-name"].level == "warning"


def test_sites_with_many_people_are_not_offered(read: Read) -> None:
    assert read(table([f"{site}_{i}" for site in (1, 2, 3) for i in range(1, 9)])).findings == ()


def test_a_pattern_must_fit_every_name_and_name_the_subject(read: Read, tmp_path: Path) -> None:
    text = table(["a-1", "a-2", "b"])
    with pytest.raises(SchemaError, match=r"scan_name: 1 names do not fit .*: b"):
        read(text, schema=r"scan_name = '(?P<subject>.+)-(?P<visit>\d)'")
    with pytest.raises(SchemaError, match=r"scan_name: .* no group \(\?P<subject>"):
        read(text, schema=r"scan_name = '(.+)-(\d)'")
    with pytest.raises(SchemaError, match="is not a regular expression"):
        read(text, schema=r"scan_name = '(?P<subject>.+'")


def test_a_scan_named_without_a_visit_beside_others(read: Read) -> None:
    cohort, findings = told(read, table(["S1", "S1_tp2", "S2_tp1"]))
    assert cohort.subjects.tolist() == ["S1", "S2"]
    assert findings["half-named-scans"].subjects == ("S1",)


def test_participants_who_left_are_no_people(read: Read) -> None:
    text = "eid,age,a\n1000011,60,1.5\n-1,61,1.2\n-2,61,1.1\n0,62,1.7\n,63,1.8\n1000012,64,1.9\n"
    cohort = read(text)
    assert cohort.subjects.tolist() == ["1000011", "1000012"]
    (finding,) = cohort.findings
    assert (finding.level, finding.code) == ("note", "no-person")
    assert "4 rows left out whose eid is -1, -2, 0 and 1 more" in finding.text
    wide = "eid,25005-2.0,25005-3.0,53-2.0,53-3.0\n1000011,10.5,11.5,2015-01-01,2018-01-01\n-3,9.5,,2015-01-01,\n"
    assert read(wide + ",8.5,,2016-01-01,\n").subjects.tolist() == ["1000011"]


def test_a_negative_name_among_numbers_is_nobody_but_zero_may_be_somebody(read: Read) -> None:
    cohort, findings = told(read, "subject,age,a\n0,60,1.5\n1,61,1.2\n-9,61,1.1\n")
    assert cohort.subjects.tolist() == ["0", "1"]
    assert findings["no-person"].level == "warning"
    assert read("subject,age,a\n-x,60,1.5\n1,61,1.2\n").n_subjects == 2
