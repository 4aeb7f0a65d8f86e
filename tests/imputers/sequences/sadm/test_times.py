"""Times as numbers, and what is expected of an image without learning."""

import numpy as np
import pytest

from nextscan.imputers.sequences.sadm.times import Clock

BEAT, YEARS = Clock(1.0, 1 / 12), Clock(None, 1.5)
NONE_AFTER = np.zeros(2, bool)


def test_the_end_of_a_circle_is_next_to_its_start():
    when = BEAT.when(np.array([0.0, 0.5]), BEAT.apart(np.array([0.0, 0.5]), 11 / 12), NONE_AFTER)
    np.testing.assert_allclose(when[:, 1], [2 / 12, 10 / 12], atol=1e-6)  # of half a beat
    weights = BEAT.weights(np.array([0.0, 0.5]), 11 / 12, NONE_AFTER, "nearest")
    np.testing.assert_array_equal(weights, [1, 0])
    np.testing.assert_allclose(BEAT.weights(np.array([0.0, 0.5]), 11 / 12, NONE_AFTER, "linear"), [5 / 6, 1 / 6])
    assert BEAT.around(np.array([0.0, 0.5]), 11 / 12, NONE_AFTER) == (1, 0)


def test_a_line_goes_on_beyond_its_images():
    times = np.array([0.0, 2.0])
    np.testing.assert_allclose(YEARS.weights(times, 3.0, NONE_AFTER, "linear"), [-0.5, 1.5])
    np.testing.assert_allclose(YEARS.weights(times, 0.5, np.array([False, True]), "linear"), [0.75, 0.25])
    when = YEARS.when(times, YEARS.apart(times, 3.0), NONE_AFTER)
    np.testing.assert_allclose(when[:, 0], [2.0, 1 / 1.5])
    assert not when[:, 4:].any()  # there is no circle to be on


@pytest.mark.parametrize("clock", [YEARS, Clock(1.0, 0.1, timed=False)])
def test_where_times_are_unknown_the_order_counts(clock):
    times, after = np.full(3, np.nan), np.array([False, False, True])
    times = times if clock.timed else np.array([0.0, 0.2, 0.6])
    np.testing.assert_array_equal(clock.weights(times, 0.4, after, "linear"), [0, 1, 0])
    assert clock.around(times, 0.4, after) == (1, 2)
    np.testing.assert_array_equal(clock.weights(times, 0.4, np.ones(3, bool), "nearest"), [1, 0, 0])
    when = clock.when(times, clock.apart(times, 0.4), after)
    assert not when[:, 3].any()
    assert (when[:2, 0] > 0).all()
    assert when[2, 0] < 0


def test_summaries_are_a_mean_a_course_and_one_image():
    times = np.arange(12) / 12
    images = 3 + 2 * np.cos(2 * np.pi * times) - np.sin(2 * np.pi * times)
    np.testing.assert_allclose(BEAT.summaries(times) @ images, [3, 2, -1, images[0]], atol=1e-12)
    np.testing.assert_allclose(BEAT.summaries(times[:1]) @ images[:1], [5, 0, 0, 5], atol=1e-12)
    years = np.array([0.0, 1.5, 4.5])
    mean, course, nothing, last = YEARS.summaries(years) @ np.stack([np.ones(3), years / 1.5], axis=1)
    np.testing.assert_allclose([*mean, *last], [1, 4 / 3, 1, 3])
    assert course[0] == pytest.approx(0)
    assert course[1] > 0
    assert not nothing.any()
