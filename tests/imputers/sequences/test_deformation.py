"""Displacements that are known, and images deformed by a share of them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from film_samples import film_cohort, still
from nextscan.cohort import hide, shown_visits
from nextscan.errors import CohortError
from nextscan.images.files import read_image
from nextscan.imputers.sequences.deformation import Deformation
from nextscan.imputers.sequences.demons import deformed, displacement
from nextscan.imputers.sequences.linear_in_time import LinearInTime


def ball(radius, side=24, centre=0.0):
    axes = np.meshgrid(*(np.linspace(-1, 1, side),) * 3, indexing="ij")
    far = np.sqrt((axes[0] - centre) ** 2 + axes[1] ** 2 + axes[2] ** 2)
    return np.tanh((radius - far) / 0.15).astype(np.float32)


def test_a_displacement_moves_an_image_by_as_many_voxels():
    image = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    by_one = np.zeros((3, 8, 9, 10), np.float32)
    by_one[0] = 1
    np.testing.assert_allclose(deformed(image, by_one)[:-1], image[1:], atol=1e-6)
    np.testing.assert_array_equal(deformed(image, 0 * by_one), image)


@pytest.mark.parametrize("moved", [(2.0, 0.0, 0.0), (0.0, -1.5, 1.0)])
def test_a_known_shift_is_found(moved):
    texture = gaussian_filter(np.random.default_rng(1).normal(size=(24, 24, 24)), 2).astype(np.float32)
    texture /= texture.std()
    found = displacement(texture, shift(texture, moved, order=3, mode="nearest"), (1.0, 1.0, 1.0))
    inner = found[:, 6:-6, 6:-6, 6:-6]
    np.testing.assert_allclose(inner.mean(axis=(1, 2, 3)), -np.array(moved), atol=0.15)


def test_half_way_a_ball_is_half_as_much_smaller():
    start, stop, half = ball(0.7), ball(0.4), ball(0.55)
    found = displacement(start, stop, (1.0, 1.0, 1.0))
    error = np.sqrt(np.mean((deformed(start, found / 2) - half) ** 2))
    assert error < 0.5 * np.sqrt(np.mean(((start + stop) / 2 - half) ** 2))
    np.testing.assert_array_equal(displacement(start, start, (1.0, 1.0, 1.0)), 0)


@pytest.mark.parametrize("shape", [(16, 16, 1), (5, 17, 16), (33, 16, 8)])
def test_any_grid_will_do(shape):
    generator = np.random.default_rng(2)
    found = displacement(*generator.normal(size=(2, *shape)).astype(np.float32), (2.0, 2.0, 10.0))
    assert found.shape == (3, *shape)
    assert np.isfinite(found).all()
    assert not np.abs(found[2]).max() or shape[2] > 1


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """Cubes whose bright ball shrinks and grows again, on a circle."""
    films = {}
    for i in range(4):
        body = np.where(still(i) > 0, 60.0, 0.0)
        radii = 0.6 - 0.1 * np.minimum(np.arange(6), 6 - np.arange(6))
        films[f"sub-{i}"] = (np.arange(6) / 6, np.stack([body + 450 * (1 + ball(r, 16, 0.05 * i)) for r in radii]))
    cohort = film_cohort(tmp_path_factory.mktemp("moving"), films, period=1.0)
    return cohort.select_subjects([0, 1, 2]), cohort.select_subjects([3])


def test_between_two_images_a_deformation_is_nearer_than_the_line(moving):
    train, test = moving
    task = hide(test, shown_visits(test, "ses-01,ses-04"))
    errors = {}
    for model in (Deformation(), LinearInTime()):
        result = model.fit(train).impute(task.shown, 2)
        truth = [read_image(path).data for path in task.truth_files["volume"]]
        errors[model.name] = np.mean([np.square(v.mean - t).mean() for v, t in zip(result, truth, strict=True)])
    assert errors["deformation"] < 0.7 * errors["linear-in-time"]


def test_beyond_two_images_of_a_line_it_goes_on_but_not_for_ever(tmp_path):
    times = np.array([0.0, 1.0, 2.0, 3.0, 9.0])
    films = {
        f"sub-{i}": (times, np.stack([np.where(still() > 0, 400, 0) + 250 * (1 + ball(r, 16)) for r in radii]))
        for i, radii in enumerate([(0.6, 0.52, 0.44, 0.36, 0.3), (0.6, 0.52, 0.44, 0.36, 0.3)])
    }
    cohort = film_cohort(tmp_path, films)
    test = cohort.select_subjects([1])
    task = hide(test, shown_visits(test, "first:2"))
    model = Deformation(match_brightness=False).fit(cohort.select_subjects([0]))
    volumes = list(model.impute(task.shown, 1))
    truth = read_image(task.truth_files["volume"][0]).data
    copy = read_image(volumes[0].source).data
    assert np.square(volumes[0].mean - truth).mean() < 0.5 * np.square(copy - truth).mean()
    np.testing.assert_array_equal(volumes[1].mean, volumes[2].mean)


def test_one_image_cannot_be_deformed(moving):
    train, test = moving
    task = hide(test, shown_visits(test, "first:1"))
    with pytest.raises(CohortError, match=r"subject sub-3 .* has one image, and deformation needs two .* copy-nearest"):
        Deformation().fit(train).impute(task.shown, 1)
