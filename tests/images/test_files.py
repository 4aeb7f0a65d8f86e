"""Images as they are read and written."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from image_samples import AFFINE, head, patched, with_header
from nextscan.errors import ImageError, OutputError
from nextscan.images.files import read_header, read_image, write_image
from nextscan.stamps import content_stamp

nibabel = pytest.importorskip("nibabel")
OBLIQUE = np.array([[-0.7, -0.03, 0.4, 119], [0.03, -0.71, 0.28, 99], [0.02, 0.05, 3.97, -78], [0, 0, 0, 1]])


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8", ">f4", ">i2"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_numbers_are_those_nibabel_reads(tmp_path: Path, kind: str, ending: str) -> None:
    data = np.random.default_rng(0).uniform(0, 200, (7, 5, 6)).astype(kind)
    header = nibabel.Nifti1Header(endianness=">" if kind[0] == ">" else "<")
    nibabel.save(nibabel.Nifti1Image(data, OBLIQUE, header), tmp_path / f"a{ending}")
    image = read_image(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(image.data, data.astype(np.float32))
    np.testing.assert_allclose(image.affine, OBLIQUE, rtol=1e-6)
    assert image.data.dtype == np.float32
    assert (image.header.shape, image.header.orientation) == ((7, 5, 6), "LPS")
    np.testing.assert_allclose(image.header.spacing, np.linalg.norm(OBLIQUE[:3, :3], axis=0), rtol=1e-6)


def test_scaled_numbers_and_one_frame_of_four_dimensions(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4, 1), AFFINE)
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = nibabel.load(tmp_path / "a.nii.gz").get_fdata()[..., 0]
    np.testing.assert_allclose(read_image(tmp_path / "a.nii.gz").data, expected, rtol=1e-6)


def test_a_second_edition_header(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(head(), AFFINE), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").data, head())


def test_names_do_not_decide_whether_a_file_is_compressed(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.nii.gz", head(), AFFINE)
    (tmp_path / "b.nii.gz").write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").data, head())


def test_equal_images_are_equal_bytes_and_nibabel_agrees(tmp_path: Path) -> None:
    first = write_image(tmp_path / "a.nii.gz", head(), OBLIQUE)
    again = write_image(tmp_path / "b.nii.gz", head(), OBLIQUE)
    assert first.read_bytes() == again.read_bytes()
    loaded = nibabel.load(first)
    np.testing.assert_array_equal(loaded.get_fdata(), head())
    np.testing.assert_allclose(loaded.affine, OBLIQUE, rtol=1e-6)
    assert content_stamp(first) == content_stamp(again)
    assert content_stamp(first) != content_stamp(write_image(tmp_path / "c.nii.gz", head(1), OBLIQUE))


@pytest.mark.parametrize(("data", "kind"), [([0, 1], "uint8"), ([-5, 300], "int16"), ([0, 70_000], "int32")])
def test_whole_numbers_stay_whole(tmp_path: Path, data: list[int], kind: str) -> None:
    values = np.array(data * 4).reshape(2, 2, 2)
    path = write_image(tmp_path / "a.nii.gz", values, AFFINE)
    assert read_header(path).dtype == kind
    np.testing.assert_array_equal(read_image(path).data, values)


def test_the_header_of_another_image_is_kept_to_the_bit(tmp_path: Path) -> None:
    source = nibabel.Nifti1Image(head(), OBLIQUE)
    source.header.set_qform(AFFINE, 2)
    source.header.set_sform(OBLIQUE, 4)
    source.header.set_xyzt_units("mm", "sec")
    source.header["descrip"] = b"scanner 7"
    nibabel.save(source, tmp_path / "source.nii.gz")
    path = write_image(tmp_path / "out.nii.gz", head(3), read_header(tmp_path / "source.nii.gz").affine,
                       like=tmp_path / "source.nii.gz")  # fmt: skip
    one, other = nibabel.load(tmp_path / "source.nii.gz").header, nibabel.load(path).header
    for name in ("qform_code", "sform_code", "quatern_b", "qoffset_x", "srow_x", "srow_z", "xyzt_units", "descrip"):
        assert one[name].tobytes() == other[name].tobytes(), name
    moved = write_image(tmp_path / "moved.nii.gz", head(3), AFFINE, like=tmp_path / "source.nii.gz")
    np.testing.assert_allclose(read_header(moved).affine, AFFINE)
    assert read_header(moved).codes == (2, 4)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    bad = head()
    bad[0, 0, 0] = np.nan
    for data, name, says in ((bad, "a.nii.gz", "finite"), (head()[0], "a.nii.gz", "three"), (head(), "a.nii", "name")):
        with pytest.raises(OutputError, match=says):
            write_image(tmp_path / name, data, AFFINE)
    with pytest.raises(ImageError, match="no such file"):
        write_image(tmp_path / "a.nii.gz", head(), AFFINE, like=tmp_path / "none.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_qfac_of_zero_counts_as_one_and_a_constant_may_be_allowed(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.nii.gz", np.ones((4, 4, 4), bool), AFFINE)
    patched(path, with_header("pixdim", 0, at=76))
    assert read_image(path, allow_constant=True).data.sum() == 64
    with pytest.raises(ImageError, match=r"a.nii.gz \(sub-1 ses-2\): every voxel is 1"):
        read_image(path, where="sub-1 ses-2")


def test_without_nibabel_one_line_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    path = write_image(tmp_path / "a.nii.gz", head(), AFFINE)
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    with pytest.raises(ImageError, match=r"install nextscan\[volumes\]"):
        read_header(path)
