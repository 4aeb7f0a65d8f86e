"""Times on a line and on a circle, against cases that can be told by hand."""

import numpy as np
import pytest

from nextscan.imputers.sequences.times import apart, bracket, linear_weights, nearest

QUARTERS = np.array([0.0, 0.25, 0.5])


@pytest.mark.parametrize(
    ("times", "target", "period", "expected"),
    [
        (QUARTERS, 0.3, 1.0, 1),
        (QUARTERS, 0.875, 1.0, 0),  # the next beat is nearer
        (QUARTERS, 0.75, 1.0, 2),  # as far from the next beat: the one before
        (QUARTERS, 0.125, 1.0, 0),
        (QUARTERS[::-1], 0.125, 1.0, 2),
        (QUARTERS, 0.875, None, 2),
        (QUARTERS, -1.0, None, 0),
        (np.array([0.1 + 0.2, 0.7]), 0.5, None, 0),  # a tie but for rounding
        (np.array([5.0]), 0.0, None, 0),
        (np.array([1.25]), 0.0, 1.0, 0),
    ],
)
def test_nearest_the_shorter_way_round_and_of_two_the_one_before(times, target, period, expected):
    assert nearest(times, target, period) == expected


@pytest.mark.parametrize(
    ("times", "target", "period", "expected"),
    [
        ([0.0], 0.4, 1.0, [1.0]),
        ([0.0], 7.0, None, [1.0]),
        ([0.0, 0.25], 0.0, 1.0, [1.0, 0.0]),
        ([0.0, 0.25], 1.0, 1.0, [1.0, 0.0]),
        ([0.0, 0.25], 0.1, 1.0, [0.6, 0.4]),
        ([0.0, 0.25], 0.5, 1.0, [1 / 3, 2 / 3]),  # across the wrap, not beyond the line
        ([0.25, 0.0], 0.5, 1.0, [2 / 3, 1 / 3]),
        ([0.0, 1 / 12, 2 / 12, 3 / 12], 11 / 12, 1.0, [8 / 9, 0, 0, 1 / 9]),
        ([0.25, 0.75], 0.0, 1.0, [0.5, 0.5]),
        ([0.0, 2.0], 0.5, None, [0.75, 0.25]),
        ([0.0, 1.0, 3.0], 5.0, None, [0.0, -1.0, 2.0]),
        ([1.0, 2.0, 9.0], 0.0, None, [2.0, -1.0, 0.0]),
        ([0.0, 1.0, 3.0, 4.0], 2.0, None, [0.0, 0.5, 0.5, 0.0]),
        ([3.0, 0.0, 1.0], 2.0, None, [0.5, 0.0, 0.5]),
        ([0.0, 0.0, 1.0], 2.0, None, [-1.0, 0.0, 2.0]),
        ([2.0, 2.0], 5.0, None, [1.0, 0.0]),
        ([0.5, 0.5], 0.7, 1.0, [1.0, 0.0]),
    ],
)
def test_linear_weights(times, target, period, expected):
    np.testing.assert_allclose(linear_weights(np.array(times), target, period), expected, atol=1e-12)


@pytest.mark.parametrize("period", [None, 1.0])
def test_weights_are_those_of_a_line_wherever_the_target_is(period):
    generator = np.random.default_rng(2)
    for _ in range(50):
        times, target = np.sort(generator.uniform(0, 1, 4)), generator.uniform(0, 1)
        weights = linear_weights(times, target, period)
        assert weights.sum() == pytest.approx(1)
        assert weights @ apart(target, times, None) == pytest.approx(0) or period is not None
        first, second, fraction = bracket(times, target, period)
        assert 0 <= fraction <= 1 or period is None
        assert np.count_nonzero(weights) == 2
        assert weights[second] == pytest.approx(fraction)
        assert weights[first] == pytest.approx(1 - fraction)


def test_a_hair_before_the_beginning_is_the_beginning():
    assert bracket(np.array([0.0, 0.5]), -1e-16, 1.0) == (0, 0, 0.0)
    assert bracket(np.array([0.0, 0.5]), 1 - 1e-12, 1.0) == (0, 0, 0.0)
