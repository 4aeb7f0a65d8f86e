"""Tables that name films or frames, and visits that are phases."""

from pathlib import Path

import numpy as np
import pytest

from cine_samples import AFFINE, film, plain, table
from nextscan.cohort import shown_visits
from nextscan.cohort.known import Known
from nextscan.images.files import write_image
from nextscan.reading import read_cohort
from nextscan.reading.inferred import write_schema

pytest.importorskip("nibabel")
pytestmark = pytest.mark.filterwarnings("ignore::nextscan.errors.NextscanWarning")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    plain(tmp_path / "films", maps=True)
    return tmp_path


def test_films_become_frames(films: Path) -> None:
    path = table(
        films / "hearts.csv",
        "subject,volume,segmentation,ED,ES,sex",
        "p1,films/p1.nii.gz,films/p1_seg.nii.gz,2,4,F",
        "p2,films/p2.nii.gz,films/p2_seg.nii.gz,1,3,M",
    )
    cohort = read_cohort(path)
    assert cohort.visits[:6].tolist() == [f"frame-{k:02d}" for k in (2, 3, 4, 5, 6, 1)]
    np.testing.assert_allclose(cohort.years[:6], np.arange(6) / 6)
    assert cohort.labels["sex"].tolist() == ["F", "M"]
    assert list(cohort.visit_labels) == ["phase"]
    assert cohort.files_of("segmentation")[0].endswith("p1_seg.nii.gz#1")
    assert any("ED and ES count from 1" in note for note in cohort.notes)
    assert "hearts.csv" in cohort.notes[0]


def test_columns_of_frames_are_found_for_a_model_too(films: Path) -> None:
    path = table(films / "hearts.csv", "subject,volume,ED,ES", "p1,films/p1.nii.gz,2,4", "p2,films/p2.nii.gz,1,3")
    cohort = read_cohort(path, like=Known("the model", (), {}, {}))
    assert cohort.visits[0] == "frame-02"


@pytest.mark.parametrize(("counted", "first"), [("", "frame-03"), ("frames_from = 1\n", "frame-02")])
def test_frames_count_from_0_or_1(films: Path, counted: str, first: str) -> None:
    path = table(films / "hearts.csv", "subject,volume,ED,ES", "p1,films/p1.nii.gz,2,4", "p2,films/p2.nii.gz,2,4")
    (films / "hearts.toml").write_text(f"[sequences]\n{counted}")
    assert read_cohort(path).visits[0] == first


def test_frames_with_parts_of_the_beat(films: Path) -> None:
    lines = [f"p1,frame-{k + 1:02d},{k / 6:.4f},films/p1.nii.gz#{k},films/p1_seg.nii.gz#{k}" for k in range(6)]
    for name in ("time", "cycle", "phase_fraction"):
        cohort = read_cohort(table(films / "hearts.csv", f"subject,visit,{name},volume,segmentation", *lines))
        np.testing.assert_allclose(cohort.years, np.arange(6) / 6, atol=1e-4)
        assert (cohort.period, cohort.time_unit) == (1.0, "cycle")
        assert not any("no unit" in note for note in cohort.notes)


def test_the_first_frame_shown_need_not_be_at_0(films: Path) -> None:
    lines = [f"p1,frame-{k + 1:02d},{k / 6:.4f},films/p1.nii.gz#{k}" for k in (2, 4)]
    cohort = read_cohort(table(films / "hearts.csv", "subject,visit,cycle,volume", *lines))
    np.testing.assert_allclose(cohort.years, [2 / 6, 4 / 6], atol=1e-4)


def test_a_phase_per_frame_is_shown_by_its_name(films: Path) -> None:
    phases = ["ED", "", "ES", "", "", ""]
    lines = [f"p1,{k / 6:.4f},{phase},films/p1.nii.gz#{k}" for k, phase in enumerate(phases)]
    cohort = read_cohort(table(films / "hearts.csv", "subject,cycle,phase,volume", *lines))
    assert shown_visits(cohort, "ED,ES").tolist() == [True, False, True, False, False, False]


@pytest.mark.parametrize(
    ("column", "value", "rr"), [("rr", "900", 900), ("RR_interval", "0.9", 900), ("heart_rate", "75", 800)]
)
def test_milliseconds_become_parts_of_a_known_beat(films: Path, column: str, value: str, rr: float) -> None:
    lines = [f"p1,{40 * k},{value},films/p1.nii.gz#{k}" for k in range(6)]
    cohort = read_cohort(table(films / "hearts.csv", f"subject,trigger_time,{column},volume", *lines))
    np.testing.assert_allclose(cohort.years, 40 * np.arange(6) / rr)
    assert (cohort.period, cohort.time_unit) == (1.0, "cycle")


def test_milliseconds_of_an_unknown_beat_are_no_circle(films: Path) -> None:
    lines = [f"p1,{40 * k},films/p1.nii.gz#{k}" for k in range(6)]
    cohort = read_cohort(table(films / "hearts.csv", "subject,trigger_time,volume", *lines))
    np.testing.assert_allclose(cohort.years, 40 * np.arange(6))
    assert (cohort.period, cohort.time_unit) == (None, "ms")


def test_a_cut_film_lies_in_a_measured_beat(films: Path) -> None:
    lines = ["subject,volume,ED,ES,interval", "p1,films/p1.nii.gz,1,5,800", "p2,films/p2.nii.gz,1,3,800"]
    (films / "hearts.toml").write_text('[sequences]\nframe_seconds = 0.08\nrr = "interval"\n')
    cohort = read_cohort(table(films / "hearts.csv", *lines))
    np.testing.assert_allclose(cohort.years[:6], np.arange(6) / 10)
    assert not cohort.findings
    assert cohort.labels["interval"].tolist() == [800, 800]


def test_frames_without_times_have_their_part_of_the_film(films: Path) -> None:
    lines = [f"p1,frame-{k},films/p1.nii.gz#{k}" for k in (0, 1, 4)]
    cohort = read_cohort(table(films / "hearts.csv", "subject,visit,volume", *lines))
    np.testing.assert_allclose(cohort.years, [0, 1 / 6, 4 / 6])


def test_frames_of_visits_of_years_are_no_beat(films: Path) -> None:
    lines = [f"p1,ses-{k},{k},films/p1.nii.gz#{k}" for k in range(3)]
    cohort = read_cohort(table(films / "brains.csv", "subject,visit,years,volume", *lines))
    assert (cohort.period, cohort.time_unit, cohort.years.tolist()) == (None, "years", [0, 1, 2])
    lines = [f"p1,ses-{k},films/p1.nii.gz#{k}" for k in range(3)]
    assert read_cohort(table(films / "brains.csv", "subject,visit,volume", *lines)).period is None


@pytest.mark.parametrize("names", [("ED", "ES"), ("ses-es", "ses-ed")])
def test_visits_called_after_phases(films: Path, names: tuple[str, str]) -> None:
    lines = [f"p{i},{name},{100 + i - k}" for i in range(3) for k, name in enumerate(names)]
    cohort = read_cohort(table(films / "volumes.csv", "subject,visit,lv_volume", *lines))
    assert cohort.visit_labels["phase"].tolist() == ["ED", "ES"] * 3
    assert (cohort.period, cohort.time_unit) == (1.0, "cycle")
    assert np.isnan(cohort.years[1::2]).all()
    assert not cohort.years[::2].any()


def test_other_cycles_are_no_beats(tmp_path: Path) -> None:
    path = table(tmp_path / "study.csv", "subject,cycle,age,hippocampus", "a,1,60,3900", "a,2,62,3850", "b,1,70,4000")
    cohort = read_cohort(path)
    assert (cohort.period, cohort.time_unit, cohort.years.tolist()) == (None, "years", [0, 2, 0])


def test_hearts_of_children(shared_data: Path) -> None:
    cohort = read_cohort(shared_data / "sequences" / "chd_hearts" / "hearts.csv")
    assert cohort.visits.tolist() == ["ED", "ES"] * 38
    assert (cohort.period, cohort.has_volume.sum(), np.count_nonzero(cohort.files_of("segmentation") != "")) == (
        1,
        76,
        76,
    )
    assert list(cohort.labels) == ["diagnosis", "slices"]
    assert not cohort.findings


def test_hearts_of_pigs(shared_data: Path) -> None:
    cohort = read_cohort(shared_data / "sequences" / "pig_hearts" / "pig_hearts.csv")
    assert (cohort.period, cohort.time_unit, list(cohort.labels)) == (None, "years", ["group"])
    assert sum(name.startswith("lv_volume_frame") for name in cohort.feature_names) == 30
    assert cohort.observed_visits.max() == 4


def test_what_is_written_as_a_schema_reads_alike(films: Path) -> None:
    table(films / "a.csv", "subject,volume,ED,ES,sex", "p1,films/p1.nii.gz,2,4,F", "p2,films/p2.nii.gz,1,3,M")
    table(
        films / "b.csv", "subject,trigger_time,rr,volume", *[f"p1,{k * 99},800,films/p1.nii.gz#{k}" for k in range(6)]
    )
    table(films / "c.csv", "subject,time,volume", *[f"p1,{k / 6:.4f},films/p1.nii.gz#{k}" for k in range(6)])
    for name in "abc":
        schema = write_schema(films / f"{name}_read.toml", films / f"{name}.csv")
        again = read_cohort(films / f"{name}.csv", schema)
        assert again.fingerprint() == read_cohort(films / f"{name}.csv").fingerprint()
    # labels that a schema names replace the others, and what places frames is read all the same
    (films / "b.toml").write_text("labels = {}\n")
    cohort = read_cohort(films / "b.csv")
    assert (cohort.period, [*cohort.labels, *cohort.visit_labels]) == (1.0, [])


def test_a_table_beside_label_maps_says_what_they_mean(films: Path) -> None:
    line = "p1,films/p1.nii.gz,films/p1_seg.nii.gz"
    path = table(films / "hearts.csv", "subject,volume,segmentation", line)
    assert "regions" not in read_cohort(path).reading
    table(films / "films" / "labels.csv", "index,name", "0,background", "1,rv", "2,Myocardium", "3,LV")
    cohort = read_cohort(path)
    assert cohort.reading["regions"] == {"RV": 1, "MYO": 2, "LV": 3}
    assert any("label maps, by labels.csv: 1 = RV, 2 = MYO, 3 = LV" in note for note in cohort.notes)


def test_what_is_known_of_a_person_counts_once(films: Path) -> None:
    lines = [
        f"p{i},{k / 6:.4f},{weight},films/p1.nii.gz#{k}" for i, weight in enumerate((59, 60, 99)) for k in range(6)
    ]
    cohort = read_cohort(table(films / "hearts.csv", "subject,cycle,weight,volume", *lines))
    assert "in 1 row" in cohort.findings[0].text


@pytest.mark.parametrize(("suffix", "visits"), [("cine", 11), ("T1w", 2)])
def test_films_of_bids(tmp_path: Path, suffix: str, visits: int) -> None:
    for i, n_frames in enumerate((5, 6)):
        data, maps = film(n_frames, 0, i)
        place = tmp_path / "study" / f"sub-0{i}" / "anat"
        place.mkdir(parents=True)
        write_image(place / f"sub-0{i}_{suffix}.nii.gz", data, AFFINE)
        write_image(place / f"sub-0{i}_dseg.nii.gz", maps, AFFINE)
    cohort = read_cohort(tmp_path / "study")
    assert cohort.n_visits == visits
    if suffix == "cine":
        np.testing.assert_allclose(cohort.years[:5], np.arange(5) / 5)
        assert cohort.files_of("segmentation")[1].endswith("sub-00_dseg.nii.gz#1")
    else:
        assert cohort.period is None


def test_series_that_are_no_beats_are_doubted(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    write_image(tmp_path / "films" / "p1.nii.gz", np.random.default_rng(0).random((4, 4, 3, 120)), AFFINE)
    cohort = read_cohort(tmp_path / "films")
    assert [finding.code for finding in cohort.findings] == ["long-films"]
    assert cohort.visits[-1] == "frame-120"
