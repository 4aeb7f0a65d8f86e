"""Resampling: exact where grids coincide, linear functions kept, no aliasing."""

import numpy as np
import pytest

from nextscan.preprocess.volumes.resampling import reached, resample


def test_axes_that_are_reordered_flipped_and_shifted_are_copied_bit_for_bit():
    data = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    # result (i, j, k) is data (k - 1, 4 - i, j + 2)
    matrix = np.array([[0.0, 0, 1, -1], [-1, 0, 0, 4], [0, 1, 0, 2], [0, 0, 0, 1]])
    got = resample(data, matrix, (7, 8, 9), fill=-9.0)
    assert got.dtype == np.float32
    for i, j, k in np.ndindex(got.shape):
        x, y, z = k - 1, 4 - i, j + 2
        inside = 0 <= x < 4 and 0 <= y < 5 and 0 <= z < 6
        assert got[i, j, k] == (data[x, y, z] if inside else -9.0)


def test_single_precision_noise_of_headers_does_not_blur():
    data = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    matrix = np.eye(4)
    matrix[:3, :3] += 1e-6
    np.testing.assert_array_equal(resample(data, matrix, data.shape), data)


def test_grids_apart_give_fill_only():
    matrix = np.eye(4)
    matrix[0, 3] = 50
    assert (resample(np.ones((4, 4, 4), np.float32), matrix, (4, 4, 4), fill=3.0) == 3.0).all()


@pytest.mark.parametrize("scale", [0.7, 1.3])
def test_linear_functions_survive_an_oblique_grid(scale):
    angle = 0.3
    matrix = np.eye(4)
    matrix[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[:3, 3] = [4.0, 2.5, 1.25]
    data = sum(np.meshgrid(*[np.arange(20.0)] * 3, indexing="ij")[a] * (a + 1) for a in range(3)).astype(np.float32)
    got = resample(data, matrix, (6, 6, 6), fill=np.nan)
    index = np.stack(np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij"), -1) @ matrix[:3, :3].T + matrix[:3, 3]
    expected = index @ np.array([1.0, 2.0, 3.0])
    inside = (index >= 0).all(axis=-1)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(got[inside], expected[inside], atol=1e-4)


def test_a_pattern_too_fine_for_the_result_averages_out_instead_of_aliasing():
    data = np.zeros((40, 8, 8), np.float32)
    data[::2] = 1.0
    matrix = np.diag([2.0, 1.0, 1.0, 1.0])
    sampled = resample(data, matrix, (20, 8, 8), smooth=False)
    averaged = resample(data, matrix, (20, 8, 8))
    assert (sampled == 1.0).all()  # what aliasing does
    # a sampled Gaussian of sigma² = 3 / 2.355² leaves 2 exp(-pi² sigma² / 2) = 14 % of an alternating pattern
    np.testing.assert_allclose(averaged[4:16], 0.5 + np.exp(-(np.pi**2) * 3 / (2 * 2.3548**2)), atol=2e-3)
    np.testing.assert_allclose(resample(np.full_like(data, 5.0), matrix, (20, 8, 8)), 5.0, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.7])
@pytest.mark.parametrize("angle", [0.0, 0.2, np.pi / 2])
@pytest.mark.parametrize("offset", [(4.0, -3.0, -1.0), (4.1, -3.2, -1.3)])
def test_voxels_that_an_image_reaches_are_those_not_filled(scale, angle, offset):
    matrix = np.eye(4)
    matrix[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[2, 2] = 2 * scale
    matrix[:3, 3] = offset
    filled = np.isnan(resample(np.ones((12, 9, 10), np.float32), matrix, (14, 12, 13), fill=np.nan, smooth=False))
    within = reached(matrix, (12, 9, 10), (14, 12, 13))
    assert 0.005 < within.mean() < 0.9
    assert not (within & filled).any()
    if offset[0] != 4.0:  # else some lie on the border itself, and may count or not
        assert (within | filled).all()
