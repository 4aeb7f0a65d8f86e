"""Volumes of FreeSurfer, read and written on as NIfTI; and NIfTI-2."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_samples import AFFINE, head
from nextscan.describing.images.check import check_images
from nextscan.errors import ImageError
from nextscan.images.files import read_header, read_image, write_image
from nextscan.images.names import image_name
from nextscan.reading import read_cohort

nibabel = pytest.importorskip("nibabel")
CONFORMED = np.array([[-1.0, 0, 0, 44], [0, 0, 1.25, -52], [0, -1, 0, 61], [0, 0, 0, 1]])


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4"])
@pytest.mark.parametrize("ending", [".mgz", ".mgh", ".MGZ"])
def test_numbers_and_place_are_those_nibabel_reads(tmp_path: Path, kind: str, ending: str) -> None:
    data = np.random.default_rng(1).uniform(0, 200, (7, 5, 6)).astype(kind)
    nibabel.save(nibabel.MGHImage(data, CONFORMED), tmp_path / f"a{ending.lower()}")
    path = (tmp_path / f"a{ending.lower()}").rename(tmp_path / f"brain{ending}")
    image = read_image(path)
    np.testing.assert_array_equal(image.data, data.astype(np.float32))
    np.testing.assert_allclose(image.affine, CONFORMED, atol=1e-5)
    seen = image.header
    assert (seen.shape, seen.orientation, seen.codes) == ((7, 5, 6), "LIA", (0, 1))
    np.testing.assert_array_equal(seen.itk_affine, seen.affine)


def test_a_derivative_of_it_is_nifti_in_the_same_place(tmp_path: Path) -> None:
    nibabel.save(nibabel.MGHImage(head(), CONFORMED), tmp_path / "norm.mgz")
    image = read_image(tmp_path / "norm.mgz")
    again = nibabel.load(write_image(tmp_path / "b.nii.gz", image.data, image.affine, like=tmp_path / "norm.mgz"))
    np.testing.assert_array_equal(again.get_fdata(), image.data)
    np.testing.assert_allclose(again.affine, CONFORMED, atol=1e-5)
    assert (int(again.header["sform_code"]), again.header.get_xyzt_units()[0]) == (1, "mm")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda block: b"", "the file is empty"),
        (lambda block: block[:100], "or cut short"),
        (lambda block: b"\0\0\0\2" + block[4:], "is no volume of FreeSurfer"),
        (lambda block: block[:900], "cannot hold them"),
        (lambda block: block[:20] + b"\0\0\0\5" + block[24:], "the header is damaged"),
        (lambda block: block[:16] + b"\0\0\0\3" + block[20:], "has 4 dimensions"),
    ],
)
def test_a_damaged_volume_is_refused_in_one_line(tmp_path: Path, change: object, says: str) -> None:
    path = tmp_path / "a.mgh"
    nibabel.save(nibabel.MGHImage(head(), CONFORMED), path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ImageError, match=says) as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_a_volume_that_says_not_where_it_lies_is_unplaced(tmp_path: Path) -> None:
    path = tmp_path / "a.mgh"
    nibabel.save(nibabel.MGHImage(head(), CONFORMED), path)
    block = bytearray(path.read_bytes())
    block[28:30] = b"\0\0"
    path.write_bytes(block)
    assert read_header(path).codes == (0, 0)
    assert read_header(path).orientation == "LIA"


def test_a_table_of_them_is_a_cohort(tmp_path: Path) -> None:
    rows = []
    for subject in range(2):
        for visit in range(2):
            name = f"s{subject}_{visit}.mgz"
            nibabel.save(nibabel.MGHImage(head(subject, visit), AFFINE), tmp_path / name)
            rows.append({"subject": f"s{subject}", "visit": f"v{visit}", "years": visit, "volume": name})
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    cohort = read_cohort(tmp_path / "t.csv")
    assert cohort.has_volume.all()
    assert check_images(cohort) == []


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("s1/mri/norm.mgz", "T1w"), ("s1/mri/T1.mgz", "T1w"), ("s1/mri/FLAIR.mgz", "FLAIR"), ("s1/T2_raw.mgh", "T1w")],
)
def test_steps_of_the_stream_are_t1w(path: str, suffix: str) -> None:
    assert image_name(path) == ("", suffix)


@pytest.mark.parametrize("end", ["<", ">"])
def test_a_derivative_of_nifti_2_has_a_valid_header(tmp_path: Path, end: str) -> None:
    source = nibabel.Nifti2Image(head(), AFFINE, nibabel.Nifti2Header(endianness=end))
    source.header["descrip"] = b"kept"
    nibabel.save(source, tmp_path / "a.nii.gz")
    image = read_image(tmp_path / "a.nii.gz")
    for affine in (image.affine, image.affine @ np.diag([1.0, 1, 2, 1])):
        path = write_image(tmp_path / "b.nii.gz", image.data, affine, like=tmp_path / "a.nii.gz")
        block = gzip.decompress(path.read_bytes())
        assert int.from_bytes(block[:4], "little") == 348
        assert block[344:348] == b"n+1\0"
        assert nibabel.Nifti1Header.diagnose_binaryblock(block[:348]) == ""
        again = nibabel.load(path)
        np.testing.assert_array_equal(again.get_fdata(), image.data)
        np.testing.assert_allclose(again.affine, affine, atol=1e-4)
        assert bytes(again.header["descrip"]).rstrip(b"\0") == b"kept"
