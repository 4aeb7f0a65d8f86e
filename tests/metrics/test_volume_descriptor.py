"""The image descriptor by hand, and that orientation does not matter to it."""

import numpy as np
import pytest

from nextscan.metrics import frechet_distance
from nextscan.metrics.volume_descriptor import descriptor_grid, volume_descriptor


def test_the_grid_keeps_fewer_numbers_than_images() -> None:
    for n in range(5, 400):
        grid = descriptor_grid(n)
        assert 4 * np.prod(grid) < 0.9 * n
    assert descriptor_grid(35) == (2, 2, 1)
    assert descriptor_grid(10_000) == (4, 4, 4)
    with pytest.raises(ValueError, match="more than 4 images"):
        descriptor_grid(4)


def test_by_hand() -> None:
    ramp = np.arange(6.0)[:, None, None] * np.ones((1, 4, 2))
    affine = np.diag([2.0, 1.0, 1.0, 1.0])  # 2 mm along the ramp: a slope of 0.5 per mm
    told = volume_descriptor(ramp, affine, grid=(2, 1, 1)).reshape(2, 4)
    third = np.sqrt(2 / 3)
    np.testing.assert_allclose(told, [[1.0, third, 0.5, 0.0], [4.0, third, 0.5, 0.0]], atol=1e-12)


def test_the_mask_gives_the_box() -> None:
    image = np.random.default_rng(0).normal(size=(8, 9, 7))
    mask = np.zeros(image.shape, bool)
    mask[2, 3, 1] = mask[5, 8, 4] = True
    inside = volume_descriptor(image, np.eye(4), mask, grid=(1, 1, 1))
    box = image[2:6, 3:9, 1:5]
    np.testing.assert_allclose(inside[:2], [box.mean(), box.std()])
    with pytest.raises(ValueError, match="0 voxels"):
        volume_descriptor(image, np.eye(4), mask & False)
    with pytest.raises(ValueError, match="cannot be cut"):
        volume_descriptor(image[:1], np.eye(4), grid=(2, 2, 2))


def test_stored_orientation_does_not_matter() -> None:
    image = np.random.default_rng(1).normal(size=(6, 8, 4))
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    told = volume_descriptor(image, affine, grid=(2, 2, 2))
    flipped = affine.copy()
    flipped[0, 0] = -1.0
    np.testing.assert_allclose(volume_descriptor(image[::-1], flipped, grid=(2, 2, 2)), told)
    np.testing.assert_allclose(
        volume_descriptor(image.transpose(2, 0, 1), affine[:, [2, 0, 1, 3]], grid=(2, 2, 2)), told
    )


def test_the_distance_sees_what_changed() -> None:
    generator = np.random.default_rng(2)
    real = generator.normal(size=(60, 6, 6, 6))

    def described(images: np.ndarray) -> np.ndarray:
        return np.array([volume_descriptor(image, np.eye(4), grid=(2, 1, 1)) for image in images])

    same, darker = generator.normal(size=(60, 6, 6, 6)), generator.normal(size=(60, 6, 6, 6)) - 0.5
    assert frechet_distance(described(real), described(real)) == pytest.approx(0.0, abs=1e-9)
    near = frechet_distance(described(real), described(same))
    far = frechet_distance(described(real), described(darker))
    assert far == pytest.approx(2 * 0.25, rel=0.3)  # two cells whose mean fell by a half
    assert near < 0.1 * far
