"""Interval and labels as numbers."""

import numpy as np
import pandas as pd
import pytest

from nextscan.imputers.contract.volume_world import growing_ventricles
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.pairs import forward_pairs


@pytest.fixture
def cohort(tmp_path):
    return growing_ventricles(tmp_path, 4, noise=0.0)


def test_reach_is_years_over_their_mean_and_one_where_unknown(cohort):
    found = forward_pairs(cohort)
    conditions = Conditions.fit(cohort, found, interval="reach", use_labels=True)
    assert conditions.mean_gap == pytest.approx(found.gap.mean())
    gap = np.array([0.0, 2 * conditions.mean_gap, -conditions.mean_gap, np.nan])
    np.testing.assert_allclose(conditions.reach(gap), [0, 2, -1, 1], rtol=1e-6)
    labels = conditions.encode(cohort.labels_at(np.zeros(4, int)))
    numbers = conditions.numbers(labels, gap)
    assert numbers.shape == (4, conditions.n_numbers)
    np.testing.assert_allclose(numbers[:, -2:], [[0, 1], [2, 1], [-1, 1], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(numbers[:, :-2], labels, rtol=1e-6)
    assert conditions.labels.names == ("age", "sex=F", "sex=M")


def test_encoded_years_are_told_apart_and_unseen_ones_are_not(cohort):
    found = forward_pairs(cohort)
    encoded = Conditions.fit(cohort, found, interval="encoded", use_labels=False)
    none = np.zeros((3, 0))
    numbers = encoded.numbers(none, np.array([0.0, 1.0, 5.0]))
    assert numbers.shape == (3, encoded.n_numbers)
    np.testing.assert_allclose(numbers[0], [0] * 8 + [1] * 8)
    assert np.abs(numbers[1] - numbers[2]).max() > 0.5
    unseen = Conditions.fit(cohort, found, interval="unseen", use_labels=False)
    assert unseen.numbers(none, np.array([0.0, 1.0, 5.0])).shape == (3, 0)
    assert unseen.n_numbers == 0
    assert unseen.reach(np.array([3.0])) == 1


def test_state_brings_it_back(cohort):
    conditions = Conditions.fit(cohort, forward_pairs(cohort), interval="reach", use_labels=True)
    again = Conditions.from_state(conditions.state())
    table = pd.DataFrame({"age": [60.0, None], "sex": ["F", "never seen"]})
    np.testing.assert_array_equal(again.encode(table), conditions.encode(table))
    assert (again.mean_gap, again.interval) == (conditions.mean_gap, conditions.interval)
