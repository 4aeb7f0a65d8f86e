"""Images made upright, cropped, coarser and packed: places, values and headers stay right."""

import base64
import gzip

import numpy as np
import pytest

from image_runs import as_stored, head
from nextscan.report.volumes.grid import coarsened, coarser_affine, grid_of, inside_head, most_changed, nifti_base64


def test_the_same_head_looks_the_same_however_it_was_stored():
    image, affine = head((20, 24, 22), spacing=8.0)
    image = image + np.float32(40) * np.indices(image.shape)[0].astype(np.float32) / 20  # left and right differ
    stored, turned = as_stored(image, affine)
    a, b = grid_of(image, affine), grid_of(stored, turned)
    np.testing.assert_array_equal(a.apply(image), b.apply(stored))
    np.testing.assert_allclose(a.affine, b.affine)
    np.testing.assert_allclose(np.diag(b.affine)[:3], 8.0)


def test_a_voxel_keeps_its_place_in_mm():
    image, affine = head((20, 24, 22), spacing=8.0)
    image[3, 17, 9] = 5000.0
    stored, turned = as_stored(image, affine)
    grid = grid_of(stored, turned)
    upright = grid.apply(stored)
    found = np.unravel_index(int(upright.argmax()), upright.shape)
    np.testing.assert_allclose(grid.world(found), affine[:3, :3] @ [3, 17, 9] + affine[:3, 3])


def test_an_oblique_image_is_turned_by_its_nearest_axes():
    angle = np.deg2rad(20)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation * [1.0, 2.0, 3.0]
    image = np.ones((4, 5, 6), np.float32)
    image[0, 0, 5] = 3.0
    grid = grid_of(image, affine)
    assert (grid.order, grid.flips) == ((0, 1, 2), (False, False, True))
    np.testing.assert_allclose(grid.spacing, [1, 2, 3])
    np.testing.assert_allclose(grid.world([0, 0, 0]), affine[:3, :3] @ [0, 0, 5])


def test_background_noise_is_cropped_and_an_image_without_background_is_not():
    image = np.random.default_rng(0).normal(size=(30, 30, 30)).astype(np.float32)
    image[8:20, 10:22, 5:25] += 200
    shape = grid_of(image, np.eye(4), margin=1).apply(image).shape
    assert shape == (14, 14, 22)
    flat = np.ones((5, 6, 7), np.float32)
    assert grid_of(flat, np.eye(4)).apply(flat).shape == (5, 6, 7)
    assert not inside_head(flat).any()


def test_the_place_of_change_is_not_chosen_by_noise():
    change = np.random.default_rng(1).normal(size=(30, 30, 30)).astype(np.float32)
    change[4, 4, 4] = 9.0
    change[20:25, 12:17, 8:13] += 2.0
    assert np.abs(np.array(most_changed(change, [2.0, 2.0, 2.0])) - [22, 14, 10]).max() <= 1
    within = np.zeros(change.shape, bool)
    within[:8, :8, :8] = True
    assert max(most_changed(change, [2.0, 2.0, 2.0], within=within)) < 8
    assert most_changed(np.zeros((5, 6, 7), np.float32), [2.0, 2.0, 2.0]) == (2, 3, 3)


def test_coarser_voxels_keep_mean_and_place():
    image = np.random.default_rng(2).normal(size=(6, 4, 8)).astype(np.float32)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    small = coarsened(image, 2)
    np.testing.assert_allclose(small.mean(), image.mean(), atol=1e-6)
    np.testing.assert_allclose(small[1, 0, 2], image[2:4, 0:2, 4:6].mean(), rtol=1e-5)
    np.testing.assert_allclose(coarser_affine(affine, 2) @ [1, 0, 2, 1], affine @ [2.5, 0.5, 4.5, 1])
    assert coarsened(np.zeros((5, 5, 5)), 2).shape == (3, 3, 3)


def test_the_packed_file_is_nifti_with_the_values_to_one_step(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    values = np.random.default_rng(3).uniform(-4, 6, (5, 6, 7)).astype(np.float32)
    affine = np.array([[0.0, 2.0, 0.1, -9.0], [-1.5, 0.0, 0.0, 4.0], [0.0, 0.2, 3.0, 7.0], [0.0, 0.0, 0.0, 1.0]])
    text = nifti_base64(values, affine, low=-5.0, high=5.0)
    assert text == nifti_base64(values, affine, low=-5.0, high=5.0)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(base64.b64decode(text))
    read = nibabel.load(path)
    np.testing.assert_allclose(read.affine, affine, atol=1e-6)
    np.testing.assert_allclose(read.get_fdata(), np.clip(values, -5, 5), atol=10 / 255 / 2 + 1e-5)
    assert read.header.get_xyzt_units()[0] == "mm"
    assert len(gzip.decompress(path.read_bytes())) == 352 + 5 * 6 * 7
