"""What kind of images a model knows: by their names, voxels and intensities."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from image_samples import AFFINE, bids, head
from nextscan import load, make_imputer, read_cohort
from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NextscanWarning
from nextscan.images.files import read_image, write_image


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    make_imputer("copy-source").fit(read_cohort(bids(folder / "brains"))).save(folder / "model")
    return folder / "model"


def others(folder: Path, name: str, scale: float = 1.0, offset: float = 0.0, size: float = 1.0) -> Cohort:
    """Return a cohort of two people scanned once, whose images are called so."""
    folder.mkdir()
    paths = [str(folder / name.format(who)) for who in "ab"]
    affine = AFFINE @ np.diag([size, size, size, 1.0])
    for i, path in enumerate(paths):
        write_image(path, head(i) * np.float32(scale) + np.float32(offset), affine)
    table = "subject,visit,volume\n" + "".join(f"s{i},1,{path}\n" for i, path in enumerate(paths))
    (folder / "table.csv").write_text(table)
    return read_cohort(folder / "table.csv")


def test_what_was_learned_from_is_kept(model: Path) -> None:
    known = load(model).record_["images"]
    assert (known["suffixes"], known["kinds"], known["negative"]) == (["T1w"], ["T1w"], False)
    assert known["spacing"] == pytest.approx([6.0, 6.0])
    assert load(model).reading_["suffix"] == "T1w"


@pytest.mark.parametrize(
    "name",
    [
        "sub-{}_T2w.nii.gz",
        "sub-{}_ses-1_acq-3d_FLAIR.nii.gz",
        "{}_T2.nii.gz",
        "sub-{}_desc-brain_T1w.nii.gz",
        "sub-{}_ce-gadolinium_T1w.nii.gz",
        "sub-{}_space-MNI152_T1w.nii.gz",
    ],
)
def test_another_kind_is_refused_unless_it_is_allowed(model: Path, tmp_path: Path, name: str) -> None:
    cohort, known = others(tmp_path / "others", name), load(model)
    with pytest.raises(CohortError, match=r"and 1 more: the copy-source model learned from images of kind T1w, and"):
        known.impute(cohort, 2)
    with pytest.warns(NextscanWarning, match="learned from images of kind T1w"):
        known.impute(cohort, 2, other_kinds="warn")


@pytest.mark.parametrize(
    "name",
    ["sub-{}_T1w.nii.gz", "sub-{}_ses-1_dir-AP_run-2_T1w.nii.gz", "{}_MPRAGE.nii.gz", "scan{}.nii.gz"],
)
def test_the_same_kind_and_names_that_tell_none_raise_nothing(model: Path, tmp_path: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(model).impute(others(tmp_path / "others", name, scale=0.001), 2)[0]


@pytest.mark.parametrize("protocol", ["acq-mprage", "rec-norm", "acq-mprage_rec-norm"])
def test_another_protocol_is_told(model: Path, tmp_path: Path, protocol: str) -> None:
    cohort = others(tmp_path / "others", f"sub-{{}}_{protocol}_T1w.nii.gz")
    says = "of another protocol by the name than what the copy-source model learned from, names without acq and rec"
    with pytest.warns(NextscanWarning, match=says):
        load(model).impute(cohort, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(model).impute(cohort, 2, other_kinds="ignore")


def test_protocols_of_training_are_known(tmp_path: Path) -> None:
    root = bids(tmp_path / "brains")
    for path in root.glob("sub-0[12]/ses-*/anat/*_T1w.nii.gz"):
        path.rename(path.with_name(path.name.replace("_T1w", "_acq-mprage_T1w")))
    learned = make_imputer("copy-source").fit(read_cohort(root))
    assert learned.record_["images"]["protocols"] == ["", "acq-mprage"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learned.impute(others(tmp_path / "others", "sub-{}_acq-mprage_T1w.nii.gz"), 2)


@pytest.mark.parametrize("other_kinds", ["refuse", "ignore"])
def test_brightness_much_unlike_that_of_training_is_told_once(model: Path, tmp_path: Path, other_kinds: str) -> None:
    cohort = others(tmp_path / "others", "sub-{}_T1w.nii.gz")
    for path in cohort.files_of("volume"):
        data = read_image(path).data
        write_image(path, np.where(data > 100, 1100 - data, data), AFFINE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = load(model).impute(cohort, 2, at_years=[1, 2], other_kinds=other_kinds)
        _ = result[0], result[1], result[2], result[3]
    told = [str(warning.message) for warning in caught if "much unlike" in str(warning.message)]
    assert len(told) == (2 if other_kinds == "refuse" else 0)
    for message, path, who in zip(told, cohort.files_of("volume"), ("s0", "s1"), strict=False):
        assert message.startswith(f"{path} ({who} 1): its brightness is much unlike that of the images the copy-source")


def test_much_other_voxels_are_told(model: Path, tmp_path: Path) -> None:
    with pytest.warns(NextscanWarning, match=r"voxels of 18 mm, and the copy-source model learned from voxels of 6 mm"):
        load(model).impute(others(tmp_path / "coarse", "sub-{}_T1w.nii.gz", size=3), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(model).impute(others(tmp_path / "alike", "sub-{}_T1w.nii.gz", size=1.5), 2)


def test_intensities_below_zero_are_told(model: Path, tmp_path: Path) -> None:
    cohort = others(tmp_path / "normalised", "sub-{}_T1w.nii.gz", offset=-400.0)
    with pytest.warns(NextscanWarning, match=r"is it an image of another kind \(CT, a map, normalised\)"):
        load(model).impute(cohort, 2)[0]


def test_a_model_that_kept_nothing_refuses_nothing(model: Path, tmp_path: Path) -> None:
    old = load(model)
    del old.record_["images"]
    old.contrast_ = None
    old.save(tmp_path / "old")
    assert "images" not in json.loads((tmp_path / "old" / "model.json").read_text())["state"].get("record", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "old").impute(others(tmp_path / "others", "sub-{}_T2w.nii.gz"), 2)[0]


def test_training_images_of_unknown_kind_compare_with_none(tmp_path: Path) -> None:
    train = read_cohort(bids(tmp_path / "brains"))
    paths = train.files_of("volume").copy()
    for i, path in enumerate(paths):
        paths[i] = str(Path(path).rename(tmp_path / f"image{i}.nii.gz"))
    mixed = make_imputer("copy-source").fit(replace(train, files={"volume": paths}))
    assert mixed.record_["images"]["suffixes"] == []
    mixed.impute(others(tmp_path / "others", "sub-{}_T2w.nii.gz"), 2)
