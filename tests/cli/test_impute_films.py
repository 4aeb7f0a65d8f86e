"""Frames of films are imputed and written as images of their own."""

import json
from pathlib import Path

import numpy as np
import pytest

from cine_samples import AFFINE, acdc, film, plain, table
from nextscan.cli.main import run
from nextscan.images.files import read_image

pytest.importorskip("nibabel")


@pytest.fixture
def hearts(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    acdc(tmp_path / "hearts", 4)
    return tmp_path


@pytest.mark.parametrize("method", ["copy-source", "volume-mean-change"])
def test_places_in_the_beat(hearts: Path, method: str, capsys) -> None:
    assert run(["fit", "hearts", "--method", method, "--out", "model"]) == 0
    assert "--at 0.35,0.5 --out completed" in capsys.readouterr().out
    command = ["impute", "model", "hearts", "--at", "0.35,0.95", "--draws", "2", "--out", "done"]
    assert run(command) == 0
    shown = capsys.readouterr()
    assert "8 visits" in shown.out
    assert "contrast" not in shown.err  # BIDS has no name for films, and that is nobody's fault
    place = hearts / "done/derivatives/nextscan/sub-patient001"
    name = "ses-imputed0p35c/anat/sub-patient001_ses-imputed0p35c_desc-imputed_cine"
    image = read_image(place / f"{name}.nii.gz")
    np.testing.assert_allclose(image.affine, AFFINE)
    assert image.header.n_frames == 1
    if method == "copy-source":
        np.testing.assert_allclose(image.data, film(10, 0, 1)[0][..., 3], atol=1e-4)
    told = json.loads((place / f"{name}.json").read_text())
    assert told["Sources"][0].endswith("patient001_4d.nii.gz")
    said = told["NextscanProvenance"]
    assert (said["source_file"], said["source_visit"]) == ("patient001_4d.nii.gz#3", "frame-04")
    assert (said["years"], said["gap"], said["time_unit"]) == (0.35, pytest.approx(0.05), "cycle")
    assert run(command) == 0
    assert "8 of them were there already" in capsys.readouterr().out


def test_a_frame_that_a_table_lacks(hearts: Path, capsys) -> None:
    plain(hearts / "films", {f"p{i}": 6 for i in range(3)})
    lines = [
        f"p{i},frame-{k + 1:02d},{k / 6:.4f}," + ("" if (i, k) == (2, 3) else f"films/p{i}.nii.gz#{k}")
        for i in range(3)
        for k in range(6)
    ]
    table(hearts / "frames.csv", "subject,visit,cycle,volume", *lines)
    assert run(["fit", "frames.csv", "--method", "copy-source", "--out", "model"]) == 0
    assert run(["impute", "model", "frames.csv", "--draws", "2", "--out", "done"]) == 0
    assert "1 visits" in capsys.readouterr().out
    made = hearts / "done/derivatives/nextscan/sub-p2/ses-frame04/anat/sub-p2_ses-frame04_desc-imputed_cine.nii.gz"
    np.testing.assert_allclose(read_image(made).data, film(6, 0, 2)[0][..., 2], atol=1e-4)
