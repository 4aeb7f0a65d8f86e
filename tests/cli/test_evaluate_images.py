"""`nextscan evaluate` for images."""

import json

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


@pytest.mark.filterwarnings("ignore:no Fréchet distance")
def test_a_suffix_chooses_the_images(folder, capsys):
    assert run(COMMAND) == 2
    assert "--suffix" in capsys.readouterr().err
    assert run([*COMMAND, "--suffix", "FLAIR"]) == 0
    notes = json.loads((folder.parent / "study" / "run.json").read_text())["cohort"]["notes"]
    assert any("8 FLAIR" in note for note in notes)
