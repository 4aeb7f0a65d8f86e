"""Scores of films against values by hand."""

import numpy as np
import pytest

from nextscan import metrics


def test_dice_of_equal_apart_and_empty_masks():
    mask = np.array([[True, False], [True, True]])
    assert metrics.dice(mask, mask) == 1.0
    assert metrics.dice(mask, ~mask) == 0.0
    assert np.isnan(metrics.dice(mask & False, mask & False))


def test_ejection_fraction_of_the_mean_curve_is_smaller_than_the_mean_of_the_fractions():
    early, late = np.array([100.0, 40.0, 100.0]), np.array([100.0, 100.0, 40.0])
    both = np.stack([early, late])
    np.testing.assert_allclose(metrics.ejection_fraction(both), [60.0, 60.0])
    assert metrics.ejection_fraction(both.mean(axis=0)) == pytest.approx(30.0)
    nothing = metrics.ejection_fraction(np.array([[np.nan, 5.0], [0.0, 0.0], [np.nan, np.nan]]))
    assert np.isnan(nothing).all()


def test_roughness_counts_second_differences_around_the_circle():
    film = np.array([0.0, 1.0, 4.0, 9.0])[:, None] * np.ones((4, 2))
    every = np.ones(4, bool)
    assert metrics.roughness(film, every, circle=False) == 2.0
    # at the seam: 9 - 0 + 1 = 10 and 4 - 18 + 0 = -14
    assert metrics.roughness(film, every, circle=True) == (10 + 2 + 2 + 14) / 4
    assert metrics.roughness(film, np.array([True, False, False, False]), circle=True) == 10.0
    assert np.isnan(metrics.roughness(film, np.array([True, False, False, False]), circle=False))
