from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NextscanWarning, SchemaError
from nextscan.reading import read_cohort

Read = Callable[..., Cohort]

THICKNESS = "lh.aparc.thickness\tlh_insula_thickness\tlh_MeanThickness_thickness\tBrainSegVolNotVent\teTIV\n"
DKT = "lh.aparc.DKTatlas.thickness\tlh_insula_thickness\tlh_cuneus_thickness\teTIV\n"
ASEG = "Measure:volume\tLeft-Hippocampus\tBrainSegVol-to-eTIV\tSurfaceHoles\tEstimatedTotalIntraCranialVol\n"
MEAN = "Measure:mean\tLeft-Hippocampus\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of four tables of two scans, beside a table of participants and other files."""
    stats = tmp_path / "stats"
    stats.mkdir()
    (stats / "lh.thickness.tsv").write_text(THICKNESS + "sub-1\t2.5\t2.4\t1000\t1500\nsub-2\t2.6\t2.3\t1100\t1600\n")
    (stats / "lh.dkt.txt").write_text(DKT + "sub-1\t2.9\t1.9\t1500\nsub-2\t2.8\t1.8\t1600\n")
    (stats / "aseg.csv").write_text(ASEG.replace("\t", ",") + "sub-2,3900,0.71,30,1600\nsub-1,4000,0.7,20,1500\n")
    (stats / "mean.table").write_text(MEAN + "sub-1\t80\nsub-2\t81\n")
    (stats / "notes.txt").write_text("nothing to see")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tsex\tiq\n2\t62\tM\t110\n1\t61\tF\tn/a\n")
    return stats


def test_tables_of_a_folder_are_joined_on_scans(folder: Path) -> None:
    cohort = read_cohort(folder)
    assert cohort.subjects.tolist() == ["sub-1", "sub-2"]
    features = dict(zip(cohort.feature_names, cohort.features.T.tolist(), strict=True))
    assert features["Left-Hippocampus"] == [4000, 3900]
    assert features["Left-Hippocampus_mean"] == [80, 81]
    assert features["eTIV"] == [1500, 1600]
    # two parcellations have an insula of their own: the one that is not the default is told apart
    assert features["lh_insula_thickness"] == [2.5, 2.6]
    assert features["aparc.DKTatlas:lh_insula_thickness"] == [2.9, 2.8]
    assert len(features) == 4 + 2 + 4 + 1
    assert any("with the same values, kept once: eTIV" in note for note in cohort.notes)


def test_units_follow_from_the_measure(folder: Path) -> None:
    units = read_cohort(folder).units
    assert units["lh_cuneus_thickness"] == units["aparc.DKTatlas:lh_insula_thickness"] == "mm"
    assert units["Left-Hippocampus"] == units["eTIV"] == units["BrainSegVolNotVent"] == "mm3"
    assert not {"Left-Hippocampus_mean", "BrainSegVol-to-eTIV", "SurfaceHoles"} & set(units)


def test_participants_above_are_joined(folder: Path) -> None:
    cohort = read_cohort(folder)
    assert cohort.labels["sex"].tolist() == ["F", "M"]
    np.testing.assert_array_equal(cohort.labels["iq"], [np.nan, 110])
    assert cohort.visit_labels["age"].tolist() == [61, 62]


def test_one_table_alone(folder: Path) -> None:
    cohort = read_cohort(folder / "aseg.csv")
    assert cohort.subjects.tolist() == ["sub-2", "sub-1"]
    assert cohort.n_features == 4


def test_a_scan_that_a_table_lacks_has_missing_features(folder: Path) -> None:
    (folder / "mean.table").write_text(MEAN + "sub-1\t80\n")
    cohort = read_cohort(folder)
    np.testing.assert_array_equal(cohort.features[:, cohort.feature_names.index("Left-Hippocampus_mean")], [80, np.nan])
    assert any("1 scans are not in mean.table" in note for note in cohort.notes)


@pytest.mark.parametrize(
    ("scans", "subjects", "visits"),
    [
        (["sub-1_ses-a", "sub-1_ses-b", "sub-2_ses-a"], ["sub-1", "sub-2"], ["ses-a", "ses-b", "ses-a"]),
        (["sub-1_ses-1.long.sub-1", "sub-1_ses-2.long.sub-1"], ["sub-1"], ["ses-1", "ses-2"]),
        (["S1_tp1.long.S1_base", "S1_tp2.long.S1_base"], ["S1"], ["tp1", "tp2"]),
        (["S1_tp1.long.S1", "S1_tp2.long.S1", "S1"], ["S1"], ["tp1", "tp2"]),
        (["sub-000_ses-1_run-01", "sub-000_ses-2_run-01"], ["sub-000"], ["ses-1", "ses-2"]),
        (["sub-1_ses-1_run-1", "sub-1_ses-1_run-2"], ["sub-1"], ["ses-1_run-1", "ses-1_run-2"]),
        (["sub000_tp1", "sub000_tp2"], ["sub000"], ["tp1", "tp2"]),
        (["1001.0", "1002.0"], ["1001", "1002"], ["1", "1"]),
    ],
)
def test_scan_names_give_subject_and_visit(
    tmp_path: Path, scans: list[str], subjects: list[str], visits: list[str]
) -> None:
    path = tmp_path / "lh.tsv"
    path.write_text("lh.aparc.area\ta\tb\n" + "".join(f"{scan}\t{i}\t{2 * i}\n" for i, scan in enumerate(scans)))
    cohort = read_cohort(path)
    assert cohort.subjects.tolist() == subjects
    assert cohort.visits.tolist() == visits


def test_sessions_get_their_time_from_participants(tmp_path: Path) -> None:
    (tmp_path / "lh.tsv").write_text("lh.aparc.area\ta\nsub-1_ses-2\t5\nsub-1_ses-1\t4\nsub-2_ses-1\t3\n")
    people = tmp_path / "participants.tsv"
    people.write_text("participant_id\tsession_id\tage\nsub-1\tses-1\t60\nsub-1\tses-2\t62.5\nsub-2\tses-1\t70\n")
    cohort = read_cohort(tmp_path / "lh.tsv")
    assert cohort.years.tolist() == [0, 2.5, 0]
    assert cohort.visit_labels["age"].tolist() == [60, 62.5, 70]
    people.write_text("participant_id\tage\nsub-1\t60\nsub-2\t70\n")
    once = read_cohort(tmp_path / "lh.tsv")
    np.testing.assert_array_equal(once.years, [0, np.nan, 0])
    assert once.labels["age_at_entry"].tolist() == [60, 70]


def test_participants_of_a_long_table_are_joined_where_named(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("subject,sex,a\n1,F,2\n3,M,3\n")
    (tmp_path / "people.tsv").write_text("ID\tsex\tgroup\n1\tX\tHC\n2\tX\tMDD\n")
    schema = tmp_path / "schema.toml"
    schema.write_text('subject = "subject"')
    cohort = read_cohort(tmp_path / "long.csv", schema, participants=tmp_path / "people.tsv")
    assert cohort.labels["sex"].tolist() == ["F", "M"]
    assert cohort.labels["group"].isna().tolist() == [False, True]
    assert any("1 rows have no match in people.tsv" in note for note in cohort.notes)


def test_participants_are_found_whatever_their_padding(tmp_path: Path) -> None:
    (tmp_path / "lh.tsv").write_text("lh.aparc.area\ta\nsub-07_ses-1\t5\nsub-07_ses-2\t4\nsub-11_ses-1\t3\n")
    people = tmp_path / "participants.tsv"
    people.write_text("participant_id\tsession_id\tage\tsex\n7\tses-01\t60\tF\n7\tses-02\t63\tF\n11\tses-01\t70\tM\n")
    cohort = read_cohort(tmp_path / "lh.tsv")
    assert cohort.years.tolist() == [0, 3, 0]
    assert cohort.labels["sex"].tolist() == ["F", "M"]


@pytest.mark.parametrize(
    ("people", "says"),
    [
        ("participant_id\tage\nx\t60\n", r"none of its subjects \(x\) is in .*stats \(sub-1, sub-2\)"),
        ("participant_id\tage\nsub-1\t60\nsub-1\t61\n", "line 3: participant sub-1 is in the table twice"),
    ],
)
def test_participants_that_do_not_fit(folder: Path, people: str, says: str) -> None:
    (folder.parent / "participants.tsv").write_text(people)
    with pytest.raises(CohortError, match=says):
        read_cohort(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (THICKNESS + "sub-1\t2\t2\t2\t2\nsub-1\t3\t3\t3\t3\n", "line 3: scan sub-1 is in the table twice"),
        (THICKNESS + "\t2\t2\t2\t2\n", "line 2: the scan's name is missing"),
        (THICKNESS + "sub-1\tx\t2\t2\t2\n", "column lh_insula_thickness: expected numbers, found text"),
        (THICKNESS + "sub-1\t\t\t\t\n", "no feature with values is left"),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "lh.tsv").write_text(content)
    with pytest.raises(CohortError, match=says):
        read_cohort(tmp_path / "lh.tsv")


def test_folder_without_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,a\n1,2\n")
    with pytest.raises(CohortError, match="no FreeSurfer tables in this folder"):
        read_cohort(tmp_path)


def test_schema_chooses_features_of_a_folder(folder: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.toml"
    schema.write_text('features = ["*_thickness"]\nexclude = ["*Mean*"]\n[units]\n"*" = "cm"')
    cohort = read_cohort(folder, schema)
    assert set(cohort.feature_names) == {
        "lh_insula_thickness",
        "lh_cuneus_thickness",
        "aparc.DKTatlas:lh_insula_thickness",
    }
    assert set(cohort.units.values()) == {"cm"}
    schema.write_text('features = ["volume*"]')
    with pytest.raises(SchemaError, match=r"features: no column fits volume\*"):
        read_cohort(folder, schema)


def test_templates_are_left_out_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "lh.tsv").write_text("lh.aparc.area\ta\nA_ses-1.long.A\t5\nA_ses-1\t4\nA\t3\n")
    cohort = read_cohort(tmp_path / "lh.tsv")
    assert cohort.features.tolist() == [[5]]
    assert any("2 scans are not of the longitudinal stream and left out: A_ses-1, A" in note for note in cohort.notes)


def test_people_without_a_longitudinal_scan_are_kept_with_a_note(tmp_path: Path) -> None:
    lines = ["A_ses-1.long.A\t5\t1", "A_ses-2.long.A\t6\t3", "A_ses-1\t4\t2", "A\t3\t4", "B_ses-1\t7\t5"]
    (tmp_path / "lh.tsv").write_text("\n".join(["lh.aparc.area\ta\tb", *lines]) + "\n")
    cohort = read_cohort(tmp_path / "lh.tsv")
    assert cohort.subjects.tolist() == ["A", "B"]
    assert cohort.features[:, 0].tolist() == [5, 6, 7]
    assert any("1 scans of people without a longitudinal scan are kept" in note for note in cohort.notes)


def test_one_scan_under_two_names(tmp_path: Path) -> None:
    names = "\t".join("abcdef")
    values = ["1812.4\t951.7\t2204.1\t688.3\t1420.9\t733.6", "1760.2\t990.4\t2318.8\t702.5\t1388.1\t751.0"]
    (tmp_path / "lh.tsv").write_text(f"lh.aparc.area\t{names}\ns1\t{values[0]}\ns2\t{values[0]}\ns3\t{values[1]}\n")
    with pytest.warns(NextscanWarning, match="scan s2: subject s2 has the same imaging as subject s1"):
        assert read_cohort(tmp_path / "lh.tsv").subjects.tolist() == ["s1", "s3"]


@pytest.mark.parametrize(
    ("scans", "bases"),
    [
        (("P7_MR1", "P7_MR2"), "P7"),
        (("sub-7_ses-1", "sub-7_ses-2"), "sub-7"),
        (("S7_tp1", "S7_tp2"), "S7_base"),
    ],
)
def test_longitudinal_scans_have_the_times_of_a_qdec_table(tmp_path: Path, scans: tuple[str, str], bases: str) -> None:
    names = [f"{scan}.long.{bases}" for scan in scans]
    (tmp_path / "aseg.txt").write_text(f"Measure:volume\tLeft-Amygdala\n{names[0]}\t1500.5\n{names[1]}\t1480.25\n")
    (tmp_path / "long.dat").write_text(f"fsid fsid-base years\n{scans[1]} {bases} 1.25\n{scans[0]} {bases} 0\n")
    cohort = read_cohort(tmp_path / "aseg.txt", participants=tmp_path / "long.dat")
    assert cohort.years.tolist() == [0, 1.25]
    assert cohort.features[:, 0].tolist() == [1500.5, 1480.25]


def test_a_merged_table_of_longitudinal_scans_names_people_by_their_base(read: Read) -> None:
    cohort = read("fsid,fsid-base,years,amygdala\nP1_B,P1,1.5,2\nP1_A,P1,0,1\nP2_A,P2,0,3\n")
    assert cohort.subjects.tolist() == ["P1", "P2"]
    assert cohort.visits.tolist() == ["A", "B", "A"]
    assert cohort.years.tolist() == [0, 1.5, 0]
