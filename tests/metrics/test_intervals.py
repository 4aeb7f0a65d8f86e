"""Intervals against normal theory and their own coverage."""

import numpy as np
import pytest

from nextscan.metrics import bootstrap_interval, jackknife_interval, resampled_means, standard_error_interval


def test_bootstrap_of_a_mean_has_the_width_of_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = bootstrap_interval(values)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values, seed=1) != (low, high)


def test_columns_see_the_same_subjects() -> None:
    values = np.random.default_rng(2).normal(size=(50, 1))
    means = resampled_means(np.hstack([values, values + 2]), resamples=20)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 2.0)
    assert means[:, 0].std() > 0.05


def test_subjects_without_a_value_do_not_count() -> None:
    values = np.array([[1.0, np.nan], [1.0, np.nan], [np.nan, np.nan]])
    means = resampled_means(values, resamples=50)
    assert set(means[~np.isnan(means[:, 0]), 0]) == {1.0}
    assert np.isnan(means[:, 1]).all()


def test_standard_error_interval_is_students() -> None:
    low, high = standard_error_interval([1.0, 3.0])
    assert (low + high) / 2 == pytest.approx(2.0)
    assert high - 2 == pytest.approx(12.7062, abs=1e-3)  # t with one degree of freedom, error 1
    assert np.isnan(standard_error_interval([1.0])).all()


def test_jackknife_of_a_mean_has_its_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=200)
    groups = np.array_split(values, 20)
    left_out = [np.concatenate(groups[:i] + groups[i + 1 :]).mean() for i in range(20)]
    low, high = jackknife_interval(values.mean(), left_out)
    of_groups = np.std([group.mean() for group in groups], ddof=1) / np.sqrt(20)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(2.0930 * of_groups, rel=1e-3)  # t with 19 degrees
