"""`nextscan fit` for images: the default method, and refusals of methods for tables."""

from pathlib import Path

import pytest

import nextscan
from bad_inputs.tables import good_table
from image_samples import bids
from nextscan.cli.main import run
from nextscan.imputers.contract.volume_world import growing_ventricles

TINY = ("epochs=1", "examples_per_epoch=8", "channels=8,16", "attention=false,false")


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Return the name of a table with paths of images, in the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    cohort = growing_ventricles(Path("images"), 4)
    cohort.to_frame().drop(columns="years").to_csv("images.csv", index=False)
    return "images.csv"


@pytest.mark.minutes
def test_images_are_learned_by_diffusion_unless_told_otherwise(images, capsys):
    assert run(["fit", images, "--out", "model", *(part for each in TINY for part in ("--set", each))]) == 0
    shown = capsys.readouterr()
    assert "model: model (volume-diffusion, 9 pairs, images at 16x16x16)" in shown.out
    assert "next:  nextscan impute model images.csv --at-years 1,2,5 --out completed\n" in shown.out
    assert "1 of 4 subjects have no two images: volume-diffusion learns change from pairs alone" in shown.err
    model = nextscan.load("model")
    assert isinstance(model, nextscan.VolumeDiffusion)
    assert model.channels == (8, 16)
    assert model.attention == (False, False)
    assert model.record_["learning"][-1]["epoch"] == 1
    assert {path.name for path in Path().iterdir()} == {"images", images, "model"}  # no state of training is left


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "ridge"], "ridge learns from tables of features, and this cohort holds images"),
        (["--method", "copy-source", "--conformal"], "--conformal is for tables"),
        (["--method", "volume-difusion"], "did you mean volume-diffusion"),
        (["--set", "channels=7"], "channels must be multiples of 8"),
        (["--set", "interval=unseen"], "set interval='reach' or backward=False"),
    ],
)
def test_what_does_not_fit_images_is_one_line(images, capsys, arguments, said):
    assert run(["fit", images, "--out", "model", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not Path("model").exists()


def test_a_method_for_images_refuses_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    good_table().to_csv("table.csv", index=False)
    assert run(["fit", "table.csv", "--method", "volume-diffusion", "--out", "model"]) == 2
    assert "volume-diffusion learns from images, and this cohort is a table of features" in capsys.readouterr().err


def test_what_comes_next_repeats_how_to_read_the_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bids(tmp_path / "my brains")
    Path("s.toml").write_text('name = "mine"\n')
    given = ["--schema", "s.toml", "--participants", "my brains/participants.tsv", "--suffix", "T1w"]
    assert run(["fit", "my brains", "--method", "copy-source", "--out", "model", *given]) == 0
    expected = (
        "nextscan impute model 'my brains' --schema s.toml --participants 'my brains/participants.tsv' --suffix T1w"
    )
    assert f"next:  {expected} --at-years 1,2,5 --out completed\n" in capsys.readouterr().out
