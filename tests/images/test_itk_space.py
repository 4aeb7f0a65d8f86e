"""Where ITK puts an image: by the codes of qform and sform, as SimpleITK 2.5.7 reads them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from image_samples import transform
from nextscan.errors import ImageError
from nextscan.images.header import read_header
from nextscan.images.itk_space import itk_affine
from nextscan.images.transforms import common_to_image

nibabel = pytest.importorskip("nibabel")
STEPS = np.array([1.5, 2.0, 2.5])


def affine(angles: tuple[float, float, float], steps: np.ndarray, offset: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * steps
    matrix[:3, 3] = offset
    return matrix


Q = affine((0, 0, 12), STEPS, (8, 14, -6))
S = affine((-20, 0, 0), STEPS, (-30, 4, 11))
WIDE = affine((-20, 0, 0), np.array([1.5, 2.0, 5.0]), (-30, 4, 11))  # pixdim says 2.5
SHEARED = S + np.array([[0, 0.2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def header(qform_code: int, sform_code: int, sform: np.ndarray = S, qform: np.ndarray = Q) -> object:
    raw = nibabel.Nifti1Header()
    raw.set_data_shape((4, 5, 6))
    raw.set_qform(qform, qform_code)
    raw["sform_code"] = sform_code
    raw["srow_x"], raw["srow_y"], raw["srow_z"] = sform[:3]
    return raw


@pytest.mark.parametrize(
    ("qform_code", "sform_code", "sform", "expected"),
    [
        (1, 0, S, Q),
        (3, 0, S, Q),
        (0, 1, S, S),
        (0, 2, S, S),
        (0, 4, S, S),
        (1, 1, S, S),
        (2, 1, S, S),
        (1, 2, S, Q),  # nibabel takes the sform here
        (2, 3, S, Q),
        (1, 4, S, Q),
        (4, 5, S, Q),
        (1, 1, SHEARED, Q),
        (1, 2, SHEARED, Q),
        (0, 1, SHEARED, None),
        (0, 4, SHEARED, None),
        (1, 1, WIDE, S),  # directions of the sform, lengths of pixdim
        (0, 2, WIDE, S),
        (0, 0, S, np.diag([-1.5, -2.0, 2.5, 1.0])),  # nibabel puts the middle at the origin, and the second axis turned
    ],
)
def test_the_form_that_counts(qform_code: int, sform_code: int, sform: np.ndarray, expected: np.ndarray | None) -> None:
    found = itk_affine(header(qform_code, sform_code, sform))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_forms_of_opposite_axes_about_one_offset_are_left_open() -> None:
    mirrored = Q @ np.diag([-1.0, 1, 1, 1])
    assert itk_affine(header(1, 2, mirrored)) is None
    np.testing.assert_allclose(itk_affine(header(1, 1, mirrored)), mirrored, atol=1e-5)
    mirrored[0, 3] += 6  # as a flip of the array is written
    np.testing.assert_allclose(itk_affine(header(1, 2, mirrored)), Q, atol=1e-5)


def saved(path: Path, raw: object) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.float32), None, raw), path)
    return path


@pytest.mark.parametrize(("qform_code", "sform_code"), [(1, 2), (0, 0), (1, 1), (0, 4)])
def test_a_transform_finds_the_voxels_that_itk_finds(tmp_path: Path, qform_code: int, sform_code: int) -> None:
    raw = header(qform_code, sform_code)
    seen = read_header(saved(tmp_path / "a.nii", raw))
    matrix = Rotation.from_euler("zyx", [10, 20, -5], degrees=True).as_matrix()
    itk = transform(tmp_path / "t.txt", matrix, (3, -4, 5))
    lps = np.diag([-1.0, -1, 1, 1])
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = matrix, (3, -4, 5)
    point = np.array([10.0, -20, 15, 1])
    expected = np.linalg.inv(itk_affine(raw)) @ lps @ moved @ lps @ point
    np.testing.assert_allclose(np.linalg.inv(seen.affine) @ common_to_image(itk, seen) @ point, expected, atol=1e-5)
    # an image that others were transformed to lies where ITK puts it, too
    expected = np.linalg.inv(itk_affine(raw)) @ point
    np.testing.assert_allclose(np.linalg.inv(seen.affine) @ common_to_image("", seen) @ point, expected, atol=1e-5)


def test_forms_alike_leave_a_transform_to_the_bit(tmp_path: Path) -> None:
    seen = read_header(saved(tmp_path / "a.nii", header(1, 2, Q)))
    matrix = common_to_image(transform(tmp_path / "t.txt", offset=(1, 2, 3)), seen)
    assert matrix.tolist() == [[1, 0, 0, -1], [0, 1, 0, -2], [0, 0, 1, 3], [0, 0, 0, 1]]


def test_an_image_that_itk_refuses_has_no_transform(tmp_path: Path) -> None:
    seen = read_header(saved(tmp_path / "a.nii", header(0, 1, SHEARED)))
    with pytest.raises(ImageError, match=r"a\.nii \(s1 b\): .* ITK puts this one nowhere or by chance"):
        common_to_image(transform(tmp_path / "t.txt"), seen, where="s1 b")
