"""The subject's grid: oriented, centred, and on the image's own voxels where it can be."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscan.preprocess.volumes.grid import ras_axes, reach, shape_for, subject_grid
from volume_samples import centred

OBLIQUE = Rotation.from_euler("xyz", [12, -8, 5], degrees=True).as_matrix()
LAS = np.diag([-1.0, 1.0, 1.0])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (-1, -1, -1)])
def test_axes_of_any_storage_order_are_found(order, signs):
    affine = np.eye(4)
    affine[:3, :3] = (OBLIQUE * np.array(signs) * np.array([1.0, 2.0, 3.0]))[:, order]
    axes, directions = ras_axes(affine)
    assert [order[axis] for axis in axes] == [0, 1, 2]
    np.testing.assert_allclose(directions, OBLIQUE, atol=1e-12)


@pytest.mark.parametrize("native", [(9, 12, 7), (8, 8, 8)])
@pytest.mark.parametrize("shape", [(8, 16, 8), (16, 8, 9)])
def test_equal_spacing_means_equal_voxels(native, shape):
    affine = centred(OBLIQUE @ LAS, (2.0, 1.0, 3.0), native)
    affine[:3, 3] += [17.3, -4.9, 100.1]
    grid = subject_grid(affine, native, None, shape=shape, spacing=(2.0, 1.0, 3.0))
    matrix = np.linalg.solve(affine, grid)
    np.testing.assert_allclose(matrix, np.round(matrix), atol=1e-9)
    np.testing.assert_allclose(np.abs(matrix[:3, :3]), np.eye(3), atol=1e-9)
    middle = matrix[:3, :3] @ (np.array(shape) // 2) + matrix[:3, 3]
    assert (np.abs(middle - (np.array(native) - 1) / 2) <= 0.5 + 1e-9).all()


def test_a_transform_gives_the_axes_of_the_common_space():
    affine = centred(OBLIQUE, (1, 1, 1), (10, 10, 10))
    transform = np.eye(4)
    transform[:3, :3] = OBLIQUE
    transform[:3, 3] = [5.0, 6.0, 7.0]
    grid = subject_grid(affine, (10, 10, 10), transform, shape=(10, 10, 10), spacing=(1, 1, 2))
    np.testing.assert_allclose(grid[:3, :3], np.diag([1.0, 1, 2]), atol=1e-12)
    middle = transform @ grid @ [5, 5, 5, 1]  # of the grid, in the space of the image
    np.testing.assert_allclose(np.linalg.solve(affine, middle)[:3], [5, 5, 5], atol=1e-9)


@pytest.mark.parametrize("n", [(32, 40, 32), (33, 39, 31), (36, 36, 36)])
def test_the_chosen_shape_holds_the_image_and_not_much_more(n):
    affine = centred(LAS, (1.0, 1.5, 2.0), n)
    probe = subject_grid(affine, n, None, shape=(1, 1, 1), spacing=(1.0, 1.5, 2.0))
    shape = shape_for(reach(affine, n, probe))
    grid = subject_grid(affine, n, None, shape=shape, spacing=(1.0, 1.5, 2.0))
    corners = np.linalg.solve(grid, affine @ np.array([[0, 0, 0, 1], [*(np.array(n) - 1), 1]]).T)[:3]
    assert corners.min() >= -1e-9
    assert (corners.max(axis=1) <= np.array(shape) - 1 + 1e-9).all()
    assert (np.array(shape) < np.array(n) + 10).all()
    if n == (32, 40, 32):
        assert shape == n
