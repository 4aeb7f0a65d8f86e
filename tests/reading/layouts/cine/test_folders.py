"""Folders of films: whose they are, where frames lie in the beat, and what belongs to them."""

import json
from pathlib import Path

import numpy as np
import pytest

from cine_samples import AFFINE, acdc, acdc_patient, film, mnms, mnms2, of_mnms, plain
from nextscan.cohort import hide, shown_visits
from nextscan.images.files import read_image, write_image
from nextscan.reading import read_cohort
from nextscan.reading.inferred import write_schema

pytest.importorskip("nibabel")
pytestmark = pytest.mark.filterwarnings("ignore::nextscan.errors.NextscanWarning")


def notes(cohort) -> str:
    return " ".join(cohort.notes)


def test_acdc(tmp_path: Path) -> None:
    cohort = read_cohort(acdc(tmp_path / "database"))
    assert cohort.subjects.tolist() == ["patient001", "patient002", "patient003"]
    assert cohort.visits[:10].tolist() == [f"frame-{k:02d}" for k in range(1, 11)]
    np.testing.assert_allclose(cohort.years[:10], np.arange(10) / 10)
    assert (cohort.period, cohort.time_unit, cohort.n_features) == (1.0, "cycle", 0)
    assert cohort.labels.iloc[0].to_dict() == {"group": "DCM", "height": 171.0, "weight": 71.0}
    assert cohort.visit_labels["phase"].iloc[:5].fillna("").tolist() == ["ED", "", "", "ES", ""]
    assert cohort.files_of("volume")[3].endswith("training/patient001/patient001_4d.nii.gz#3")
    shown = cohort.files_of("segmentation")
    assert shown[3].endswith("patient001_frame04_gt.nii.gz")
    assert np.count_nonzero(shown[:10] != "") == 2
    assert cohort.reading["regions"] == {"RV": 1, "MYO": 2, "LV": 3}
    assert "label maps: 1 = RV, 2 = MYO, 3 = LV" in notes(cohort)
    # the header says 1 s from frame to frame: not a beat, and not taken
    assert "times in headers are not used; of 3 films 3 a beat that no heart has (10.00 s)" in notes(cohort)


def test_phases_choose_what_is_shown(tmp_path: Path) -> None:
    cohort = read_cohort(acdc(tmp_path / "database", 2))
    task = hide(cohort, shown_visits(cohort, "ED,ES"))
    assert len(task.targets) == 16
    assert task.shown.visits[task.targets.context[0]] == "frame-01"
    assert task.shown.period == 1.0


@pytest.mark.parametrize("depth", ["", "training", "database/training"])
def test_acdc_at_any_depth(tmp_path: Path, depth: str) -> None:
    acdc_patient(tmp_path / depth, 7)
    assert read_cohort(tmp_path).subjects.tolist() == ["patient007"]
    assert read_cohort(tmp_path / depth / "patient007").n_visits == 10


def test_a_whole_film_starts_at_ed(tmp_path: Path) -> None:
    acdc_patient(tmp_path, 1, n_frames=10, ed=3, es=6)
    cohort = read_cohort(tmp_path)
    assert cohort.visits.tolist() == [f"frame-{k:02d}" for k in (3, 4, 5, 6, 7, 8, 9, 10, 1, 2)]
    np.testing.assert_allclose(cohort.years, np.arange(10) / 10)
    assert cohort.visit_labels["phase"].fillna("").tolist()[:4] == ["ED", "", "", "ES"]
    np.testing.assert_array_equal(read_image(cohort.files_of("volume")[0]).data, film(10, 2, 1)[0][..., 2])
    assert "ED is not the first frame of 1 film (patient001 frame 3): their time starts at ED" in notes(cohort)


def test_an_ed_at_the_end_belongs_to_the_next_beat(tmp_path: Path) -> None:
    acdc_patient(tmp_path, 90, n_frames=11, ed=11, es=3)
    cohort = read_cohort(tmp_path)
    assert cohort.visits[:4].tolist() == ["frame-11", "frame-01", "frame-02", "frame-03"]
    np.testing.assert_allclose(cohort.years[:4], np.arange(4) / 11)
    assert [finding.code for finding in cohort.findings] == ["wrapped-films"]


def test_a_film_that_may_be_cut_starts_at_its_first_frame(tmp_path: Path) -> None:
    acdc_patient(tmp_path, 1, n_frames=12, ed=2, es=11)
    acdc_patient(tmp_path, 2)
    cohort = read_cohort(tmp_path)
    assert cohort.visits[0] == "frame-01"
    (cut,) = cohort.findings
    assert (cut.code, cut.subjects, cut.level) == ("cut-films", ("patient001",), "warning")
    schema = tmp_path.parent / f"{tmp_path.name}.toml"
    schema.write_text("[sequences]\nwhole = true\n")
    whole = read_cohort(tmp_path)
    assert whole.visits[0] == "frame-02"
    assert not whole.findings


def test_acdc_without_the_film(tmp_path: Path) -> None:
    for number, names in ((1, ("4d",)), (2, ())):
        place = acdc_patient(tmp_path, number)
        for name in names:
            (place / f"patient{number:03d}_{name}.nii.gz").unlink()
    cohort = read_cohort(tmp_path)
    assert cohort.visits[:2].tolist() == ["frame-01", "frame-04"]
    np.testing.assert_allclose(cohort.years[:2], [0, 0.3])
    assert cohort.files_of("volume")[1].endswith("patient001_frame04.nii.gz")
    assert cohort.observed_visits.tolist() == [2, 10]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (0.08, "1 a plausible beat (0.80 s)"),
        (80.0, "1 a plausible beat only if their time is in milliseconds (0.80 s)"),
        (None, "1 state no time between frames"),
        (1.0, "1 a beat that no heart has (10.00 s)"),
    ],
)
def test_times_of_headers_are_told_and_not_taken(tmp_path: Path, step: float | None, told: str) -> None:
    acdc_patient(tmp_path, 1, step=step)
    cohort = read_cohort(tmp_path)
    assert f"times in headers are not used; of 1 films {told}" in notes(cohort)
    assert cohort.years[1] == 0.1


def test_labels_that_are_missing_or_more(tmp_path: Path) -> None:
    acdc_patient(tmp_path, 1, Group=None, Height=None)
    acdc_patient(tmp_path, 2, Name="nobody")
    cohort = read_cohort(tmp_path)
    assert cohort.labels["group"].isna().tolist() == [True, False]
    assert list(cohort.labels) == ["group", "height", "weight"]
    assert "labels that Info.cfg does not tell of everybody: group, height" in notes(cohort)


def test_simulated_truth_lies_beside(tmp_path: Path) -> None:
    acdc_patient(tmp_path, 1)
    truth = tmp_path / "derivatives" / "truth"
    truth.mkdir(parents=True)
    write_image(truth / "patient001_clean.nii.gz", film(10)[0], AFFINE)
    (truth / "hearts.law.npz").write_bytes(b"")
    cohort = read_cohort(tmp_path)
    assert cohort.files_of("noise_free")[4].endswith("patient001_clean.nii.gz#4")
    assert cohort.law.endswith("hearts.law.npz")


def test_mnms(tmp_path: Path) -> None:
    cohort = read_cohort(mnms(tmp_path / "OpenDataset"))
    assert cohort.subjects.tolist() == ["A0S9V9", "B1K2L3", "C4D5E6"]
    assert cohort.visit_labels["phase"].iloc[:4].fillna("").tolist() == ["ED", "", "", "ES"]
    shown = cohort.files_of("segmentation").reshape(3, 9)
    assert shown[0, 3].endswith("A0S9V9_sa_gt.nii.gz#3")
    assert np.count_nonzero(shown != "", axis=1).tolist() == [2, 2, 0]  # those of the unlabelled are empty
    first = {"vendor": "Siemens", "centre": "1", "age": 40.0, "group": "NOR", "sex": "F", "weight": 70.0}
    assert cohort.labels.iloc[0].to_dict() == first
    assert cohort.reading["regions"] == {"LV": 1, "MYO": 2, "RV": 3}
    assert "1 = LV, 2 = MYO, 3 = RV" in notes(cohort)


def test_mnms_with_blanks_and_subjects_elsewhere(tmp_path: Path) -> None:
    root = mnms(tmp_path / "OpenDataset")
    table = next(root.glob("*.csv"))
    table.write_text(table.read_text().replace("A,1,0,3,40", "A,1,,,") + "9,X1X1X1,GE,C,3,0,5,50,NOR,M,180,80\n")
    cohort = read_cohort(root)
    assert "1 subjects of the table have no film here: X1X1X1" in notes(cohort)
    assert cohort.findings[0].code == "phases-unknown"
    assert cohort.findings[0].subjects == ("A0S9V9",)
    assert cohort.visit_labels["phase"].iloc[:9].isna().all()


def test_mnms2_finds_phases_by_voxels(tmp_path: Path) -> None:
    cohort = read_cohort(mnms2(tmp_path / "MnM2"))
    assert cohort.subjects.tolist() == ["001", "002", "003"]
    assert cohort.labels.iloc[0].to_dict() == {"group": "NOR", "vendor": "SIEMENS", "scanner": "Avanto", "field": "1.5"}
    assert cohort.visit_labels["phase"].iloc[:4].fillna("").tolist() == ["ED", "", "", "ES"]
    assert cohort.files_of("segmentation")[3].endswith("001_SA_ES_gt.nii.gz")
    maps = read_image(cohort.files_of("segmentation")[0]).data
    np.testing.assert_array_equal(maps, of_mnms(film(8, 0, 1)[1][..., 0]))


def test_mnms2_one_folder_deeper_and_without_the_long_axis(tmp_path: Path) -> None:
    root = mnms2(tmp_path / "download" / "MnM2", 2)
    for path in root.rglob("*_LA_*"):
        path.unlink()
    assert read_cohort(tmp_path / "download").n_visits == 16


def test_a_plain_folder(tmp_path: Path) -> None:
    root = plain(tmp_path / "films", {"p1": 6, "p2_4d": 8}, maps=True)
    (root / "participants.tsv").write_text("participant_id\tsex\np1\tF\np2\tM\n")
    cohort = read_cohort(root)
    assert cohort.subjects.tolist() == ["p1", "p2"]
    np.testing.assert_allclose(cohort.years[:6], np.arange(6) / 6)
    assert cohort.files_of("segmentation")[5].endswith("p1_seg.nii.gz#5")
    assert cohort.labels["sex"].tolist() == ["F", "M"]
    assert "regions" not in cohort.reading
    assert list(cohort.visit_labels) == []


def test_a_plain_folder_by_its_schema(tmp_path: Path) -> None:
    root = plain(tmp_path / "films")
    text = '[sequences]\ntime = "ms"\nframe_seconds = 0.04\nregions = { LV = 1 }\n'
    (tmp_path / "films.toml").write_text(text)
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[:6], 40.0 * np.arange(6))
    assert (cohort.period, cohort.time_unit, cohort.reading["regions"]) == (None, "ms", {"LV": 1})
    assert cohort.reading["schema"]["sequences"]["frame_seconds"] == 0.04
    json.dumps(cohort.reading)
    write_schema(tmp_path / "again.toml", root)
    assert read_cohort(root, tmp_path / "again.toml").fingerprint() == cohort.fingerprint()
    (tmp_path / "films.toml").write_text('[sequences]\ntime = "frames"\n')
    assert read_cohort(root).years[:3].tolist() == [0, 1, 2]
