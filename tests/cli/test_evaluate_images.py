"""`nextscan evaluate` for images: which of several kinds, and no image in two splits."""

import json
import shutil

import pytest

from image_samples import bids
from nextscan.cli.main import run

COMMAND = ["evaluate", "brains", "--methods", "copy-source", "--folds", "2", "--draws", "2", "--out", "study"]
COMMAND += ["--segmenter", "study.volume_world:segment"]
VISITS = {name: ("1", "2") for name in ("01", "02", "03", "04")}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a BIDS folder of two kinds of images, beside which the commands run."""
    monkeypatch.chdir(tmp_path)
    bids(tmp_path / "brains", VISITS)
    return bids(tmp_path / "brains", VISITS, suffix="FLAIR")


@pytest.mark.minutes
@pytest.mark.filterwarnings("ignore:no Fréchet distance")
def test_a_suffix_chooses_the_images(folder, capsys):
    assert run(COMMAND) == 2
    assert "--suffix" in capsys.readouterr().err
    assert run([*COMMAND, "--suffix", "FLAIR"]) == 0
    notes = json.loads((folder.parent / "study" / "run.json").read_text())["cohort"]["notes"]
    assert any("8 FLAIR" in note for note in notes)


@pytest.mark.filterwarnings("ignore:no Fréchet distance")
def test_two_pairs_are_too_few_for_a_method_that_learns(folder, capsys):
    for name in ("03", "04"):
        shutil.rmtree(folder / f"sub-{name}" / "ses-2")
    alone = ["--suffix", "FLAIR", "--methods", "volume-diffusion"]
    assert run([*COMMAND, *alone]) == 2
    assert "volume-diffusion needs at least 2 pairs of images to learn from, there are 1" in capsys.readouterr().err


@pytest.mark.minutes
def test_one_image_under_two_subjects_is_refused(folder, capsys):
    first = folder / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    for name in list(VISITS)[1:]:
        shutil.copy(first, folder / f"sub-{name}/ses-1/anat/sub-{name}_ses-1_T1w.nii.gz")
    fit = ["fit", "brains", "--method", "copy-source", "--validation-fraction", "0.5", "--out", "model"]
    for command in (COMMAND, fit):
        assert run([*command, "--suffix", "T1w"]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
        assert "in two splits under different subjects: sub-0" in line
        assert "leaks from training to test, drop one" in line
    assert {path.name for path in folder.parent.iterdir()} == {"brains"}
