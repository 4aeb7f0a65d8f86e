import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_validator import judged
from nextscan.errors import OutputError, SettingError
from nextscan.images.files import read_image
from nextscan.reading import read_cohort
from nextscan.simulating import load_brain_law, simulate_brains
from nextscan.simulating.brains import cohort as brains
from nextscan.simulating.brains.cohort import WHITE, head_of

SHAPE = (16, 20, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("simulated") / "brains"
    simulate_brains(place, n_subjects=3, shape=SHAPE, seed=5)
    return place


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".npz"  # archives hold the time of writing
    }


def test_the_folder_is_read_as_it_was_made(folder, tmp_path):
    made = simulate_brains(tmp_path / "brains", n_subjects=3, shape=SHAPE, seed=5)
    read = read_cohort(tmp_path / "brains")
    assert (read.n_subjects, read.n_visits) == (3, 9)
    assert list(read.observed_visits) == [3, 2, 4]
    for name in ("subjects", "visits", "subject_of"):
        assert np.array_equal(getattr(read, name), getattr(made, name)), name
    np.testing.assert_allclose(read.years, made.years, atol=1e-6)
    assert read.law == made.law
    for role, paths in made.files.items():
        assert np.array_equal(read.files_of(role), paths), role
    pd.testing.assert_frame_equal(read.labels, made.labels, check_dtype=False)
    pd.testing.assert_frame_equal(read.visit_labels, made.visit_labels, check_dtype=False)
    assert contents(tmp_path / "brains") == contents(folder)


def test_another_seed_makes_other_people(folder, tmp_path):
    simulate_brains(tmp_path / "brains", n_subjects=1, shape=SHAPE, seed=6)
    image = Path("sub-001", "ses-01", "anat", "sub-001_ses-01_T1w.nii.gz")
    assert contents(tmp_path / "brains")[str(image)] != contents(folder)[str(image)]


def test_the_truth_is_the_image_without_noise_and_its_volumes(folder):
    cohort, law = read_cohort(folder), load_brain_law(folder / "derivatives/truth/brains.law.npz")
    table = pd.read_csv(folder / "derivatives/truth/regions.tsv", sep="\t")
    assert list(table["participant_id"] + table["session_id"]) == list(
        np.char.add(cohort.subject_names(np.arange(cohort.n_visits)), cohort.visits)
    )
    row = 3  # the first visit of the second subject
    seen, clean, labels = (
        read_image(cohort.files_of(role)[row]).data for role in ("volume", "noise_free", "segmentation")
    )
    head = head_of(law, "sub-002")
    np.testing.assert_allclose(clean, WHITE * head.image(law.states[row]), rtol=1e-5, atol=1e-3)
    assert np.array_equal(labels, head.label_map(law.states[row]))
    for region, volume in head.volumes(law.states[row]).items():
        assert table[region][row] == pytest.approx(volume, abs=0.01)
    bright = clean > 900
    assert np.log(seen[bright] / clean[bright]).std() == pytest.approx(0.04, abs=0.02)


def test_labels_are_named(folder):
    table = pd.read_csv(folder / "derivatives/truth/dseg.tsv", sep="\t", keep_default_na=False)
    assert list(table["index"]) == list(range(len(table)))
    named = dict(zip(table["name"], table["region"], strict=True))
    assert named["ventricles"] == "ventricles"
    assert named["cerebellar_grey_matter"] == "grey_matter"
    assert named["csf"] == named["skull"] == "n/a"


def test_the_bids_validator_accepts_the_cohort(folder):
    summary, errors = judged(folder)
    assert errors == []
    assert summary["subjects"] == ["001", "002", "003"]
    assert summary["sessions"] == ["01", "02", "03", "04"]
    assert summary["modalities"] == ["MRI"]


def test_a_cohort_is_replaced_and_nothing_else(folder, tmp_path):
    place = tmp_path / "brains"
    place.mkdir()
    simulate_brains(place, n_subjects=2, shape=(8, 10, 8))
    assert simulate_brains(place, n_subjects=1, shape=(8, 10, 8)).n_subjects == 1
    assert [path.name for path in tmp_path.iterdir()] == ["brains"]
    (place / "derivatives" / "nextscan").mkdir()
    before = contents(place)
    with pytest.raises(OutputError, match="holds derivatives/nextscan, which was not simulated"):
        simulate_brains(place, n_subjects=2, shape=(8, 10, 8))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all I have")
    with pytest.raises(OutputError, match="is not a cohort of simulated brains"):
        simulate_brains(tmp_path / "mine", n_subjects=1)
    with pytest.raises(OutputError, match="is a file"):
        simulate_brains(tmp_path / "mine" / "thesis.txt", n_subjects=1)
    assert contents(place) == before
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all I have"


def test_nothing_is_left_where_it_stops_half_way(tmp_path, monkeypatch):
    def fail(*_args, **_others):
        raise KeyboardInterrupt

    monkeypatch.setattr(brains, "scan", fail)
    with pytest.raises(KeyboardInterrupt):
        simulate_brains(tmp_path / "brains", n_subjects=1, shape=(8, 10, 8))
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_visits(tmp_path):
    events = []
    simulate_brains(tmp_path / "brains", n_subjects=2, shape=(8, 10, 8), progress=events.append)
    assert [(event["done"], event["total"]) for event in events] == [(i + 1, 5) for i in range(5)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_subjects": 0}, "at least 1 subject, got 0"),
        ({"shape": (32, 40)}, "a shape is three numbers from 8 to 512, as in 32,40,32; got 32,40"),
        ({"shape": (4, 40, 32)}, "a shape is three numbers"),
        ({"shape": (32, 40, 1000)}, "a shape is three numbers"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(SettingError, match=message):
        simulate_brains(tmp_path / "brains", **{"n_subjects": 1, **settings})
    assert list(tmp_path.iterdir()) == []
