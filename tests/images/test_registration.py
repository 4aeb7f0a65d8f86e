"""Overlap and correlation of images, and affine transforms between them."""

from pathlib import Path

import numpy as np
import pytest

from image_samples import AFFINE, head, transform
from nextscan.errors import ImageError
from nextscan.images.coarse import coarsen
from nextscan.images.files import Header, Image, read_image
from nextscan.images.registration import agreement
from nextscan.images.transforms import read_transform

pytestmark = pytest.mark.minutes


def image(data: np.ndarray, affine: np.ndarray = AFFINE) -> Image:
    spacing = tuple(np.linalg.norm(affine[:3, :3], axis=0))
    return Image(data, affine, Header(Path("x"), data.shape, spacing, affine, "RAS", "float32"))


def test_an_image_lies_on_itself() -> None:
    same = agreement(coarsen(image(head())), coarsen(image(head())))
    assert (same.overlap, same.order, same.is_off) == (1.0, (1, 2, 3), False)
    assert same.shift < 0.2
    assert same.correlation == pytest.approx(1, abs=1e-6)


def test_the_order_of_axes_does_not_matter() -> None:
    turned = np.ascontiguousarray(head(0, 1).transpose(2, 0, 1)[::-1])
    affine = AFFINE[:, [2, 0, 1, 3]].copy()
    affine[:, 3] += affine[:, 0] * (turned.shape[0] - 1)
    affine[:, 0] *= -1
    first = coarsen(image(head()))
    direct, other = agreement(first, coarsen(image(head(0, 1)))), agreement(first, coarsen(image(turned, affine)))
    assert other.correlation == pytest.approx(direct.correlation, abs=1e-6)
    assert direct.correlation > 0.95


def test_a_shift_is_found_and_undone_by_its_transform() -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 24
    first, second = coarsen(image(head())), image(head(), moved)
    apart = agreement(first, coarsen(second))
    assert apart.correlation < 0.7
    assert apart.shift == pytest.approx(24, abs=1)
    assert apart.is_apart
    assert apart.moved > 0.95
    back = np.eye(4)
    back[0, 3] = -24
    assert agreement(first, coarsen(second, back)).correlation == pytest.approx(1, abs=1e-6)


def test_blocks_average_and_keep_their_place() -> None:
    data = np.arange(8 * 8 * 8, dtype=np.float32).reshape(8, 8, 8)
    coarse = coarsen(image(data, np.diag([2.0, 2.0, 2.0, 1.0])))
    assert coarse.data.shape == (4, 4, 4)
    np.testing.assert_allclose(coarse.data[0, 0, 0], data[:2, :2, :2].mean())
    np.testing.assert_allclose(coarse.affine @ [0, 0, 0, 1], [1, 1, 1, 1])


def test_a_transform_turns_axes_and_moves_the_centre(tmp_path: Path) -> None:
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    matrix = read_transform(transform(tmp_path / "t.txt", turn, (1, 2, 3)))
    np.testing.assert_allclose(matrix[:3, 3], [-1, -2, 3])
    np.testing.assert_allclose(matrix @ [10, 0, 0, 1], [-1, 8, 3, 1])


@pytest.mark.parametrize("kind", ["Euler3DTransform_double_3_3", "DisplacementFieldTransform_float_3_3"])
def test_other_transforms_are_refused(tmp_path: Path, kind: str) -> None:
    path = transform(tmp_path / "t.txt")
    path.write_text(path.read_text().replace("AffineTransform_double_3_3", kind))
    with pytest.raises(ImageError, match=kind):
        read_transform(path, where="sub-1 ses-1")


@pytest.mark.parametrize(("patient", "without"), [("patient01", 0.78), ("patient12", 0.71)])
def test_real_transforms_bring_visits_together(shared_data: Path, patient: str, without: float) -> None:
    folder = shared_data / "volumes" / "open_ms" / patient
    images = [read_image(folder / f"study{n}_FLAIR.nii.gz") for n in (1, 2)]
    to_common = [np.linalg.inv(read_transform(folder / f"study{n}_FLAIR_to_common_space.txt")) for n in (1, 2)]
    assert agreement(*map(coarsen, images)).correlation < without
    registered = agreement(*(coarsen(i, t) for i, t in zip(images, to_common, strict=True)))
    assert registered.correlation > 0.97
    assert registered.overlap > 0.95


@pytest.mark.parametrize("factors", [(1.08, 1.08, 1.08), (1.0, 1.0, 1.08), (0.95, 1.0, 1.0)])
def test_the_size_of_a_head_is_measured_in_each_direction(factors: tuple[float, float, float]) -> None:
    fine = np.diag([3.0, 3.0, 3.0, 1.0])
    first, second = (head(0, visit, (48, 56, 44)) for visit in (0, 1))
    found = agreement(coarsen(image(first, fine)), coarsen(image(second, np.diag([*factors, 1.0]) @ fine)))
    assert found.stretch == pytest.approx(factors, abs=0.015)
    assert np.prod(found.stretch) == pytest.approx(np.prod(factors), abs=0.02)


@pytest.mark.parametrize("patient", ["patient01", "patient12"])
@pytest.mark.parametrize("contrast", ["FLAIR", "T1W", "T2W"])
def test_real_adult_heads_keep_their_size(shared_data: Path, patient: str, contrast: str) -> None:
    folder = shared_data / "volumes" / "open_ms" / patient
    first, second = (coarsen(read_image(folder / f"study{n}_{contrast}.nii.gz")) for n in (1, 2))
    assert agreement(first, second).stretch == pytest.approx((1, 1, 1), abs=0.02)
