"""`nextscan impute` with a model of images: the same command and options, a BIDS derivative as result."""

import base64
import gzip
import json
import re

import nibabel
import numpy as np
import pytest

import nextscan
from image_samples import bids
from nextscan.cli.main import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with a BIDS cohort and a fitted model, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    bids(tmp_path / "brains", {"01": ("1", "2"), "02": ("1", "2"), "03": ("1", "2"), "04": ("1",)})
    cohort = nextscan.read_cohort("brains")
    nextscan.make_imputer("volume-mean-change").fit(cohort).save("model")
    return tmp_path


def images(place) -> list[str]:
    return sorted(path.name for path in place.rglob("*.nii.gz"))


def test_impute_writes_a_derivative_beside_the_images(folder, capsys):
    assert run(["impute", "model", "brains", "--out", "brains", "--seed", "3", "--draws", "4"]) == 0
    place = folder / "brains" / "derivatives" / "nextscan"
    name = "sub-04_ses-imputed_desc-{}_T1w.nii.gz"
    assert images(place) == [name.format("imputed"), name.format("sd")]
    source = nibabel.load("brains/sub-04/ses-1/anat/sub-04_ses-1_T1w.nii.gz")
    result = nibabel.load(place / "sub-04/ses-imputed/anat" / name.format("imputed"))
    np.testing.assert_array_equal(result.affine, source.affine)
    assert result.shape == source.shape
    expected = nextscan.load("model").impute(nextscan.read_cohort("brains"), 4, seed=3)[0].mean
    np.testing.assert_array_equal(result.get_fdata(dtype=np.float32), expected)
    out = capsys.readouterr().out
    assert "imputed: brains/derivatives/nextscan (1 visits by volume-mean-change, 4 draws each)" in out
    assert "time:      not given" in out
    said = json.loads((place / "sub-04/ses-imputed/anat/sub-04_ses-imputed_desc-sd_T1w.json").read_text())
    assert len(said["NextscanProvenance"]["model"]) == 16
    assert run(["impute", "model", "brains", "--out", "brains", "--seed", "3", "--draws", "4"]) == 0
    assert "4 draws each, 1 of them were there already)" in capsys.readouterr().out


def test_times_draws_and_intervals_are_options_as_for_tables(folder, capsys):
    command = ["impute", "model", "brains", "--at-years", "1,2.5", "--draws", "9", "--level", "0.8"]
    assert run([*command, "--save-draws", "draws", "--out", "out"]) == 0
    means = images(folder / "out" / "derivatives" / "nextscan")
    assert len(means) == 4 * 2 * 4
    assert "sub-01_ses-imputed2p5y_desc-low_T1w.nii.gz" in means
    assert len(images(folder / "draws" / "derivatives" / "nextscan")) == 4 * 2 * 9
    assert "draws:   draws/derivatives/nextscan" in capsys.readouterr().out


def test_a_page_shows_what_was_written_at_every_time(folder, capsys):
    command = ["impute", "model", "brains", "--at-years", "2,0.5", "--draws", "3", "--out", "out"]
    assert run([*command, "--html", "look.html"]) == 2
    assert "it is made only with --individuals" in capsys.readouterr().err
    assert run([*command, "--html", "look.html", "--individuals"]) == 0
    assert "page:    look.html" in capsys.readouterr().out
    page = (folder / "look.html").read_text()
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    links = re.findall(r'(?:src|href)="([^"]+)"', shown)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert "imputed for 3 of 4 subjects" in shown
    assert "3 draws each, seed 0, model " in shown
    told = json.loads(re.search(r"data-head>(.*?)</script>", page)[1])["subjects"]
    assert [subject["title"] for subject in told] == ["sub-01", "sub-02", "sub-03"]
    assert told[0]["times"] == ["0.5 years", "2 years"]
    assert told[0]["limits"]["sd"] > 0
    packed = dict(re.findall(r'data-image="([\d-]+)">([^<]*)</script>', page))
    later = gzip.decompress(base64.b64decode(packed[f"0-{told[0]['images']['changes'][1]}"]))
    image = nibabel.Nifti1Image.from_bytes(later)
    expected = nextscan.load("model").impute(nextscan.read_cohort("brains"), 3, at_years=[2])[0]
    change = np.abs(expected.mean - nibabel.load(expected.source).get_fdata(dtype=np.float32)).max()
    assert np.abs(image.get_fdata()).max() == pytest.approx(
        min(change, 2 * told[0]["limits"]["change"]), abs=2 * image.dataobj.slope
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--interval", "conformal"], "--interval conformal is for tables"),
        (["--by", "sex"], "--by sex is for conformal intervals"),
        (["--dictionary", "brains/participants.tsv"], "--dictionary is for UK-Biobank tables"),
        (["--level", "0.9"], "a 90% interval needs at least 19 draws, there are 10"),
        (["--out", "completed.csv"], "--out completed.csv: this model imputes images, which are written into a folder"),
        (["--save-draws", "draws.parquet"], "--save-draws draws.parquet: this model imputes images"),
        (["--out", "model/model.json"], "is a file, not a folder"),
        (["--suffix", "FLAIR"], "FLAIR"),
        (["--html", "look.pdf"], "look.pdf: the name must end in .html"),
    ],
)
def test_what_does_not_apply_to_images_is_refused_in_one_line(folder, capsys, more, says):
    before = sorted(folder.rglob("*"))
    assert run(["impute", "model", "brains", "--out", "out", *more]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert says in lines[0]
    assert sorted(folder.rglob("*")) == before


def test_another_model_does_not_write_into_the_same_folder(folder, capsys):
    assert run(["impute", "model", "brains", "--out", "out"]) == 0
    nextscan.make_imputer("copy-source").fit(nextscan.read_cohort("brains")).save("other")
    assert run(["impute", "other", "brains", "--out", "out"]) == 2
    assert "was imputed with another method ('volume-mean-change', now 'copy-source')" in capsys.readouterr().err


def test_nobody_to_impute_is_one_line(folder, capsys):
    bids(folder / "paired", {"01": ("1", "2")})
    assert run(["impute", "model", "paired", "--out", "out"]) == 2
    assert "every subject has a follow-up" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_images_of_another_kind_are_one_line_unless_they_are_allowed(folder, capsys):
    bids(folder / "others", {"01": ("1",), "02": ("1",)}, suffix="T2w")
    assert run(["impute", "model", "others", "--suffix", "T2w", "--out", "out"]) == 2
    assert "learned from images of kind T1w, and these are T2w" in capsys.readouterr().err
    assert run(["impute", "model", "others", "--suffix", "T2w", "--allow", "other-kind", "--out", "out"]) == 0
    assert "note: " in capsys.readouterr().err
    bids(folder / "others", {"01": ("1",), "02": ("1",)})
    assert run(["impute", "model", "others", "--out", "again"]) == 0  # the model knows which of the two
    assert all(name.endswith("_T1w.nii.gz") for name in images(folder / "again"))
