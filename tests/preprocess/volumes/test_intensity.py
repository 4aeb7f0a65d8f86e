"""Intensity ranges: inside the head, fluid included, whatever the air around."""

import numpy as np
import pytest

from nextscan.errors import ImageError
from nextscan.preprocess.volumes.intensity import find_head, intensity_range, scaled
from volume_samples import centred, head

AFFINE = centred(np.eye(3), (2, 2, 2), (48, 48, 48))


def test_head_holds_its_dark_ventricle_and_no_air():
    found = find_head(head(AFFINE, (48, 48, 48)))
    points = np.stack(np.meshgrid(*[np.arange(48)] * 3, indexing="ij"), -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    distance = np.linalg.norm(points / np.array([0.8, 1.0, 0.9]), axis=-1)
    assert found[distance < 37].all()
    assert not found[distance > 46].any()


def test_range_does_not_depend_on_how_much_air_there_is():
    small = head(AFFINE, (48, 48, 48))
    large = np.pad(small, 16)
    np.testing.assert_allclose(intensity_range(small, (0.01, 0.99)), intensity_range(large, (0.01, 0.99)), rtol=0.03)


def test_range_reaches_down_to_fluid():
    low, high = intensity_range(head(AFFINE, (48, 48, 48)), (0.001, 0.999))
    assert low < 115
    assert 980 < high < 1060


def test_range_scales_with_the_image():
    image = head(AFFINE, (48, 48, 48))
    low, high = intensity_range(image, (0.001, 0.999))
    np.testing.assert_allclose(
        intensity_range(7 * image - 300, (0.001, 0.999)), (7 * low - 300, 7 * high - 300), rtol=1e-5
    )


def test_a_mask_is_looked_into_instead():
    image = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    mask = np.zeros(image.shape, bool)
    mask[2] = True
    assert intensity_range(image, (0.0, 1.0), mask=mask) == (200.0, 299.0)
    with pytest.raises(ImageError, match=r"a\.nii\.gz: the mask is empty"):
        intensity_range(image, (0.0, 1.0), mask=~mask & mask, where="a.nii.gz")


def test_an_image_without_contrast_is_refused():
    image = np.zeros((10, 10, 10), np.float32)
    image[2:8, 2:8, 2:8] = 5
    with pytest.raises(ImageError, match=r"b\.nii\.gz: intensities inside the head do not differ"):
        intensity_range(image, (0.001, 0.999), where="b.nii.gz")


def test_an_image_of_hardly_anything_but_air_is_understood():
    image = np.zeros((32, 32, 32), np.float32)
    image[10:14, 10:14, 10:14] = np.arange(1, 65).reshape(4, 4, 4)  # 0.2 % of it
    low, high = intensity_range(image, (0.001, 0.999))
    assert low < high <= 64
    with pytest.raises(ImageError, match=r"c\.nii\.gz: shows nothing but air"):
        intensity_range(np.zeros((8, 8, 8), np.float32), (0.001, 0.999), where="c.nii.gz")


def test_scaling_clips_and_counts_what_it_clips():
    values, clipped = scaled(np.array([0.0, 10.0, 15.0, 20.0, 99.0], np.float32), 10.0, 20.0)
    assert values.tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
    assert clipped == (0.2, 0.2)
