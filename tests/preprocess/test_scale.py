from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscan.errors import CohortError, TooFewPairsError
from nextscan.preprocess import FeatureScaler, context_rows
from samples import tiny_cohort


def with_features(cohort, column, values):
    features = cohort.features.copy()
    features[:, column] = values
    return replace(cohort, features=features)


def test_one_scale_for_all_visits_maps_the_range_to_minus_one_and_one(cohort):
    scaled = FeatureScaler.fit(cohort).transform(cohort.features)
    assert scaled.min(axis=0) == pytest.approx(-1)
    assert scaled.max(axis=0) == pytest.approx(1)
    low, high = cohort.features.min(axis=0), cohort.features.max(axis=0)
    assert scaled[3] == pytest.approx(2 * (cohort.features[3] - low) / (high - low) - 1)


def test_per_visit_scales_are_those_of_context_visits_and_of_follow_ups(cohort):
    scaler = FeatureScaler.fit(cohort, per_visit=True)
    first, second = cohort.features[cohort.visits == "1"], cohort.features[cohort.visits == "2"]
    assert scaler.scale[0] == pytest.approx(np.ptp(first, axis=0) / 2)
    assert scaler.scale[1] == pytest.approx(np.ptp(second, axis=0) / 2)
    assert scaler.transform(second, 1).max(axis=0) == pytest.approx(1)
    assert scaler.inverse(scaler.transform(second, 1), 1) == pytest.approx(second, rel=1e-14)


def test_context_rows_are_single_visits_and_those_followed_by_another():
    cohort = tiny_cohort(n_paired=2, n_single=1)
    assert context_rows(cohort).tolist() == [0, 2, 4]
    features = cohort.features.copy()
    features[3] = np.nan  # now the second subject has one visit, and a request
    assert context_rows(replace(cohort, features=features)).tolist() == [0, 2, 4]


@given(
    st.floats(-1e9, 1e9),
    st.floats(1e-6, 1e9),
    st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20),
)
def test_inverse_is_exact_to_rounding(low, width, positions):
    cohort = tiny_cohort(n_paired=3, n_single=0, n_features=1)
    cohort = with_features(cohort, 0, low + width * np.array([0, 1, 0.5, 0.2, 0.1, 0.9]))
    values = (low + width * np.array(positions))[:, None]
    scaler = FeatureScaler.fit(cohort)
    back = scaler.inverse(scaler.transform(values))
    assert np.abs(back - values).max() <= 4 * np.finfo(float).eps * (abs(low) + 2 * width)


def test_constant_feature_maps_to_zero_and_back_to_its_constant(cohort):
    cohort = with_features(cohort, 2, 0.1 + 0.2)
    scaler = FeatureScaler.fit(cohort)
    other = cohort.features + 1.0
    assert (scaler.transform(other)[:, 2] == 0).all()
    assert (scaler.inverse(scaler.transform(other))[:, 2] == 0.1 + 0.2).all()
    assert scaler.scale[0, 2] == 0


def test_missing_cells_stay_missing_and_do_not_move_the_scale(cohort):
    features = cohort.features.copy()
    row = int(np.argsort(features[:, 0])[5])
    features[row, 0] = np.nan
    gapped = replace(cohort, features=features)
    assert FeatureScaler.fit(gapped).centre == pytest.approx(FeatureScaler.fit(cohort).centre)
    assert np.isnan(FeatureScaler.fit(gapped).transform(features)[row, 0])


def test_a_feature_without_values_and_a_missing_follow_up_are_named_errors(cohort):
    with pytest.raises(CohortError, match="feature-3"):
        FeatureScaler.fit(with_features(cohort, 3, np.nan))
    with pytest.raises(TooFewPairsError, match="follow-up"):
        FeatureScaler.fit(tiny_cohort(n_paired=0), per_visit=True)


def test_state_restores_the_scaler(cohort):
    scaler = FeatureScaler.fit(cohort)
    again = FeatureScaler.from_state(scaler.state())
    assert np.array_equal(again.transform(cohort.features), scaler.transform(cohort.features))
