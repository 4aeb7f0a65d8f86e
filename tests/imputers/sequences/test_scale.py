"""Images of one film in one scale."""

from dataclasses import replace

import numpy as np

from film_samples import changing, film_cohort, still
from nextscan.imputers.sequences.scale import as_reference, in_window, rescaled
from nextscan.preprocess.volumes import VolumePreparer


def test_values_keep_their_intensity():
    data = np.linspace(-0.99, 1, 50, dtype=np.float32)
    moved = rescaled(data, (100.0, 900.0), (0.0, 2000.0))
    np.testing.assert_allclose((moved + 1) * 1000, 100 + (data + 1) * 400, rtol=1e-5)
    np.testing.assert_allclose(rescaled(moved, (0.0, 2000.0), (100.0, 900.0)), data, atol=1e-5)
    assert rescaled(data, (0.0, 1.0), (0.0, 1.0)) is data


def test_values_may_be_brighter_than_the_window_and_air_stays_air():
    moved = rescaled(np.array([-1.0, 1.0], np.float16), (100.0, 1000.0), (0.0, 500.0))
    np.testing.assert_allclose(moved, [-1.0, 3.0], rtol=1e-6)
    assert moved.dtype == np.float32


def test_a_film_that_brightens_does_so_in_the_scale_of_its_source(tmp_path):
    images = np.stack([still(), still(bright=1500.0) + changing()])
    cohort = film_cohort(tmp_path, {"sub-01": (np.arange(2.0), images)}, period=2.0)
    preparer = VolumePreparer.of(cohort)
    first, second = (preparer.prepare(cohort, row) for row in range(2))
    assert (first.low, first.high, second.high) == (0.0, 1000.0, 1500.0)
    seen = as_reference(second, first, one_film=True)
    np.testing.assert_array_equal(seen, in_window(second, first.low, first.high))
    body = first.data > -1
    change = (seen - first.data) * 500  # of 1000 from -1 to 1
    np.testing.assert_allclose(change[body], (images[1] - images[0])[body], atol=1e-2)
    assert np.abs(change[~body & (images[0] == 0)]).max() == 0


def test_brightness_of_the_scanner_is_taken_away_from_visits(tmp_path):
    images = np.stack([still(), 1.3 * still()])
    cohort = film_cohort(tmp_path, {"sub-01": (np.arange(2.0), images)})
    preparer = VolumePreparer.of(cohort)
    first, second = (preparer.prepare(cohort, row) for row in range(2))
    np.testing.assert_allclose(as_reference(second, first, one_film=False), first.data, atol=1e-4)
    assert np.abs(as_reference(second, first, one_film=True) - first.data).max() > 0.5


def test_what_another_image_does_not_show_is_as_in_the_source(tmp_path):
    cohort = film_cohort(tmp_path, {"sub-01": (np.arange(2.0), np.stack([still(), still(1)]))}, period=2.0)
    preparer = VolumePreparer.of(cohort)
    first, second = (preparer.prepare(cohort, row) for row in range(2))
    short = replace(second, image_shape=(16, 16, 10))
    seen = as_reference(short, first, one_film=True)
    np.testing.assert_array_equal(seen[:, :, 10:], first.data[:, :, 10:])
    np.testing.assert_array_equal(seen[:, :, :9], second.data[:, :, :9])
