"""Times that are not known, and labels that are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort, targets
from nextscan.imputers.mixed_factor.visit_times import filled_years, label_rates, labels_at_start, target_years

UNKNOWN = np.nan


def cohort(years: list[list[float]], seen: list[list[int]], age: list[float] | None = None) -> Cohort:
    """One feature, seen where told."""
    of = np.repeat(np.arange(len(years)), [len(own) for own in years])
    visits = np.concatenate([np.arange(1, len(own) + 1).astype(str) for own in years])
    features = np.where(np.concatenate(seen), 1.0, np.nan)[:, None]
    labels = pd.DataFrame() if age is None else pd.DataFrame({"age": age})
    subjects = np.array([f"s{i}" for i in range(len(years))])
    return Cohort("c", subjects, of, visits, np.concatenate(years), features, ("a",), visit_labels=labels)


def test_unknown_times_lie_evenly_between_known_ones_and_a_step_apart_after_them() -> None:
    made = cohort([[0, UNKNOWN, UNKNOWN, 6], [UNKNOWN, UNKNOWN], [0, 2, UNKNOWN]], [[1] * 4, [1] * 2, [1] * 3])
    assert filled_years(made, 1.5).tolist() == [0, 2, 4, 6, 0, 1.5, 0, 2, 3.5]


def test_unknown_targets_are_as_many_gaps_later_as_visits() -> None:
    made = cohort([[0, 3, UNKNOWN, UNKNOWN]], [[1, 1, 0, 0]])
    drawn, expected = target_years(made, targets(made), np.array([1.0, 2.0]), 4000, 0)
    np.testing.assert_allclose(expected, [4.5, 6])
    assert set(drawn[:, 0]) == {4, 5}
    assert set(drawn[:, 1] - drawn[:, 0]) == {1, 2}
    np.testing.assert_allclose(drawn.mean(axis=0), expected, atol=0.05)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1] - drawn[:, 0])[0, 1]) < 0.06


def test_an_unknown_target_stays_between_its_neighbours() -> None:
    made = cohort([[0, UNKNOWN, 3.0, 8.0]], [[1, 0, 1, 1]])
    drawn, expected = target_years(made, targets(made), np.array([1.0, 2.0]), 4000, 0)
    assert expected.tolist() == [1.5]
    assert {round(float(value), 9) for value in drawn[:, 0]} == {1.0, 1.5, 2.0}
    assert drawn.mean() == pytest.approx(1.5, abs=0.03)


def test_known_times_are_kept_and_asked_ones_count_from_the_last_visit() -> None:
    made = cohort([[0, 2, 5.0]], [[1, 0, 1]])
    assert target_years(made, targets(made), np.ones(2), 2, 0)[0].tolist() == [[2.0], [2.0]]
    assert target_years(made, targets(made, [-1, 2]), np.ones(2), 2, 0)[1].tolist() == [4.0, 7.0]


def test_a_subject_seen_once_is_expected_a_gap_later() -> None:
    made = cohort([[0.0], [0.0]], [[1], [1]])
    drawn, expected = target_years(made, targets(made), np.array([1.0, 3.0]), 500, 0)
    assert expected.tolist() == [2, 2]
    assert set(drawn.ravel()) == {1, 3}


def test_an_age_is_carried_back_to_the_start() -> None:
    made = cohort([[0, 2], [0, 3], [0, 4]], [[1, 1], [1, 1], [0, 1]], [60, 62, 70, 73, UNKNOWN, 54])
    rates = label_rates(made)
    assert rates == {"age": 1}
    assert labels_at_start(made, made.years, rates)["age"].tolist() == [60, 70, 50]


def test_a_text_is_taken_as_it_is() -> None:
    made = cohort([[0, 2]], [[0, 1]])
    made = replace(made, visit_labels=pd.DataFrame({"site": [None, "north"]}))
    assert labels_at_start(made, made.years, label_rates(made))["site"].tolist() == ["north"]
