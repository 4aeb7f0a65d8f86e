from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nextscan.errors import TooFewPairsError
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred, donors, resampled
from samples import tiny_cohort


def test_pairs_are_those_of_training_and_validation_subjects(cohort):
    train, validation = cohort.select_subjects(range(30)), cohort.select_subjects(range(30, 60))
    data = PairedVisits.of(train, validation, minimum=2)
    assert data.subject.tolist() == cohort.subjects[:40].tolist()
    assert np.array_equal(data.context, cohort.features[cohort.visits == "1"][:40])
    assert np.array_equal(data.target, cohort.features[cohort.visits == "2"])
    assert data.gap == pytest.approx(cohort.years[cohort.visits == "2"])
    assert data.labels["age"].to_numpy() == pytest.approx(
        cohort.visit_labels["age"][cohort.visits == "1"][:40].to_numpy()
    )


def test_unpaired_subjects_do_not_inform_the_filling_of_cells():
    cohort = tiny_cohort()
    features = cohort.features.copy()
    features[4, 2] = np.nan
    moved = features.copy()
    moved[cohort.subject_of >= 40] += 1000
    first = PairedVisits.of(replace(cohort, features=features), None, minimum=2)
    second = PairedVisits.of(replace(cohort, features=moved), None, minimum=2)
    assert np.array_equal(first.context, second.context)
    assert not np.isnan(first.context).any()


def test_a_feature_with_too_few_follow_ups_is_a_named_error(cohort):
    features = cohort.features.copy()
    features[np.flatnonzero(cohort.visits == "2")[3:], 5] = np.nan
    with pytest.raises(TooFewPairsError, match="feature-5 was measured at fewer than 4 follow-ups"):
        PairedVisits.of(replace(cohort, features=features), None, minimum=4)
    assert np.isnan(PairedVisits.of(replace(cohort, features=features), None, minimum=3).target).sum() == 37


def test_residuals_are_centred_and_gaps_take_the_nearest_vector_that_has_a_value():
    residuals = np.array([[1.0, 1.0, 2.0], [-1.0, -1.0, -2.0], [0.9, 0.9, np.nan], [-0.9, -0.9, np.nan]])
    filled = centred(residuals)
    assert filled[:, :2].mean(axis=0) == pytest.approx(0)
    assert filled[2:, 2].tolist() == [2.0, -2.0]
    assert np.array_equal(filled[:2], residuals[:2])


def test_gaps_keep_the_spread_and_the_correlation_of_residuals():
    generator = np.random.default_rng(0)
    full = generator.normal(size=(2000, 2)) @ np.array([[1, 0.8, 0.5, 0.3], [0, 0.6, -0.5, 0.4]])
    filled = centred(np.where(generator.random(full.shape) < 0.1, np.nan, full))
    assert filled.std(axis=0) == pytest.approx(full.std(axis=0), rel=0.03)
    assert np.corrcoef(filled.T) == pytest.approx(np.corrcoef(full.T), abs=0.03)


def test_draws_depend_on_subject_seed_and_draw_only():
    residuals = np.random.default_rng(0).normal(size=(50, 3))
    mean = np.arange(12.0).reshape(4, 3)
    names = ["a", "b", "c", "d"]
    draws = resampled(mean, residuals, names, 5, 7)
    assert np.array_equal(resampled(mean[[2]], residuals, ["c"], 5, 7), draws[:, [2]])
    assert np.array_equal(resampled(mean, residuals, names, 2, 7), draws[:2])
    assert not np.array_equal(resampled(mean, residuals, names, 5, 8), draws)
    whole = {tuple(np.round(vector, 9)) for vector in residuals}
    assert {tuple(np.round(vector, 9)) for vector in (draws - mean).reshape(-1, 3)} <= whole


def test_every_residual_vector_is_drawn_equally_often():
    counts = np.bincount(donors(10, [f"s{i}" for i in range(500)], 200, 3).ravel(), minlength=10)
    expected = 500 * 200 / 10
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # 99.9 % of chi-square with 9 degrees of freedom
