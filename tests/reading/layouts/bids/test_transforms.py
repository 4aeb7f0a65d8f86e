"""Which transform of a BIDS folder takes an image to a space of all visits."""

from pathlib import Path

import pytest

from image_samples import bids, transform
from nextscan.errors import CohortError, NextscanWarning
from nextscan.images.names import parse
from nextscan.reading import read_cohort
from nextscan.reading.layouts.bids.transforms import transforms_of

HERE = "sub-7_ses-b"


def taken(image: str, *transforms: str, space: str | None = None) -> tuple[list[str], set[str]]:
    place = [parse(Path(f"/data/sub-7/ses-b/anat/{HERE}_{name}_xfm.txt")) for name in transforms]
    file = parse(Path(f"/data/sub-7/ses-b/anat/{HERE}_{image}.nii.gz"))
    assert file is not None
    assert None not in place
    found, elsewhere = transforms_of([each for each in place if each], file, space)
    return [each.path.name.removeprefix(f"{HERE}_").removesuffix("_xfm.txt") for each in found], elsewhere


FMRIPREP = ("from-T1w_to-fsnative_mode-image", "from-fsnative_to-T1w_mode-image", "from-orig_to-T1w_mode-image")
MNI = "from-T1w_to-MNI152NLin2009cAsym_mode-image"


@pytest.mark.parametrize(
    ("image", "transforms", "expected"),
    [
        ("desc-preproc_T1w", FMRIPREP, ([], {"fsnative"})),
        ("desc-preproc_T1w", (*FMRIPREP, MNI), ([MNI], {"fsnative"})),
        ("T1w", FMRIPREP, ([], {"T1w"})),
        ("T1w", (*FMRIPREP, MNI), ([], {"T1w"})),  # MNI starts from the reference, not from the raw image
        ("T1w", (MNI,), ([MNI], set())),
        ("T1w", ("from-T1w_to-common_mode-image",), (["from-T1w_to-common_mode-image"], set())),
        ("T1w", ("from-orig_to-template",), (["from-orig_to-template"], set())),
        ("T1w", ("from-native_to-base_mode-image",), (["from-native_to-base_mode-image"], set())),
        ("desc-preproc_T1w", ("from-orig_to-template",), ([], set())),
        ("T2w", ("from-T2w_to-T1w_mode-image", "from-T2w_to-orig_mode-image"), ([], {"T1w", "orig"})),
        ("FLAIR", ("from-T1w_to-common", "from-FLAIR_to-scanner"), ([], {"scanner"})),
        ("space-MNI_T1w", ("from-MNI_to-common", MNI), (["from-MNI_to-common"], set())),
        ("acq-fast_T1w", ("acq-slow_from-T1w_to-common", "from-T1w_to-common"), (["from-T1w_to-common"], set())),
        ("T1w", ("from-T1w_to-common_mode-points",), ([], set())),
        ("T1w", ("from-T1w_to-MNI6", "from-T1w_to-MNI2009"), (["from-T1w_to-MNI6", "from-T1w_to-MNI2009"], set())),
    ],
)
def test_spaces_of_one_session_are_not_shared(
    image: str, transforms: tuple[str, ...], expected: tuple[list[str], set[str]]
) -> None:
    assert taken(image, *transforms) == expected


def test_the_schema_chooses_whatever_it_names() -> None:
    assert taken("desc-preproc_T1w", *FMRIPREP, space="fsnative") == (["from-T1w_to-fsnative_mode-image"], set())
    assert taken("T1w", *FMRIPREP, space="T1w") == (["from-orig_to-T1w_mode-image"], set())
    assert taken("T1w", *FMRIPREP, space="MNI") == ([], set())


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Raw heads, with what fMRIPrep adds."""
    root = bids(tmp_path / "raw", {"01": ("1", "2"), "02": ("1", "2")})
    for image in sorted(root.glob("sub-*/ses-*/anat/*_T1w.nii.gz")):
        folder = root / "derivatives" / "fmriprep" / image.relative_to(root).parent
        folder.mkdir(parents=True)
        stem = image.name.removesuffix("_T1w.nii.gz")
        for ends in FMRIPREP:
            transform(folder / f"{stem}_{ends}_xfm.txt", offset=(1 if "orig" in ends else 30, 0, 0))
    return root


def test_a_reference_of_all_sessions_is_shared(raw: Path) -> None:
    for subject in ("01", "02"):
        folder = raw / "derivatives" / "fmriprep" / f"sub-{subject}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{subject}_desc-preproc_T1w.nii.gz").touch()
    cohort = read_cohort(raw)
    assert [Path(path).name[12:] for path in cohort.files_of("transform")] == [
        "_from-orig_to-T1w_mode-image_xfm.txt"
    ] * 4


def test_a_reference_of_each_session_is_not(raw: Path) -> None:
    for image in sorted(raw.glob("sub-*/ses-*/anat/*_T1w.nii.gz")):
        place = raw / "derivatives" / "fmriprep" / image.relative_to(raw)
        place.with_name(place.name.replace("_T1w", "_desc-preproc_T1w")).write_bytes(image.read_bytes())
    cohort = read_cohort(raw)
    assert "transform" not in cohort.files
    assert any("not taken are those into spaces of one session: to-T1w (4)" in note for note in cohort.notes)
    with pytest.warns(NextscanWarning, match="no table tells when sessions were"):
        prepared = read_cohort(raw / "derivatives" / "fmriprep")
    assert "transform" not in prepared.files
    assert prepared.has_volume.sum() == 4


def test_several_shared_spaces_are_a_choice(raw: Path) -> None:
    for image in sorted(raw.glob("sub-*/ses-*/anat/*_T1w.nii.gz")):
        for space in ("MNI6", "MNI2009"):
            transform(image.with_name(image.name.replace("T1w.nii.gz", f"from-T1w_to-{space}_mode-image_xfm.txt")))
    with pytest.raises(CohortError, match=r"several transforms of this image, to MNI2009, MNI6; choose one"):
        read_cohort(raw)
