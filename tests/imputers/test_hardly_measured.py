"""Features that some visits lack altogether: results, or one line that names them."""

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import Cohort, hide
from nextscan.errors import TooFewPairsError
from nextscan.imputers import make_imputer
from nextscan.simulating import simulate

RANKS = {"n_factors": 2, "n_slopes": 1, "unpaired": "use"}
METHODS = {"mixed-factor": RANKS, "anchored": {**RANKS, "n_folds": 3, "epochs": 2}}


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate(n_subjects=60, n_features=5, n_pairs=40, seed=2)


def without(cohort: Cohort, rows: np.ndarray, value: float = np.nan) -> Cohort:
    features = cohort.features.copy()
    features[rows, 0] = value
    return replace(cohort, features=features)


def follow_ups(cohort: Cohort) -> np.ndarray:
    return np.flatnonzero(np.diff(cohort.subject_of, prepend=-1) == 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("left", [0, 1, 4])
def test_too_few_follow_ups_are_refused_by_name(cohort, method, left) -> None:
    lacking = without(cohort, follow_ups(cohort)[left:])
    with pytest.raises(TooFewPairsError, match=f"feature {cohort.feature_names[0]} was measured at fewer than"):
        make_imputer(method, **METHODS[method]).fit(lacking)


@pytest.mark.minutes
@pytest.mark.parametrize("left", [6, 9])
def test_a_companion_that_some_folds_cannot_fit_has_no_say(cohort, left) -> None:
    lacking = without(cohort, follow_ups(cohort)[left:])
    model = make_imputer("anchored", **METHODS["anchored"]).fit(lacking)
    assert sum(model.record_["weights"].values()) == pytest.approx(1)
    assert np.isfinite(model.impute(hide(lacking).shown, 4).draws).all()


@pytest.mark.minutes
@pytest.mark.parametrize("method", METHODS)
def test_a_feature_alike_at_all_first_visits_keeps_a_spread(cohort, method) -> None:
    first = np.setdiff1d(np.arange(cohort.n_visits), follow_ups(cohort))
    lesions = without(cohort, first, 0.0)
    model = make_imputer(method, **METHODS[method]).fit(lesions)
    assert model.impute(hide(lesions).shown, 20).sd()[:, 0].min() > 0


@pytest.mark.minutes
def test_times_unknown_are_drawn_one_after_the_other(cohort) -> None:
    """Three requests of unknown time in a row lie one, two, three gaps ahead, as with mixed-factor."""
    model = make_imputer("anchored", **METHODS["anchored"]).fit(cohort)
    alone = cohort.select_subjects(~cohort.is_paired)
    rows = np.repeat(np.arange(alone.n_visits), 4)
    asked = np.tile([False, True, True, True], alone.n_visits)
    requests = replace(
        alone,
        subject_of=alone.subject_of[rows],
        visits=np.char.add("v", np.tile(np.arange(4), alone.n_visits).astype(str)),
        years=np.where(asked, np.nan, 0.0),
        features=np.where(asked[:, None], np.nan, alone.features[rows]),
        visit_labels=alone.visit_labels.iloc[rows].reset_index(drop=True),
    )
    result = model.impute(requests, 4)
    expected = model.anchor_.gaps(requests, result.requested, 4, 0)[1].reshape(-1, 3)
    mean_gap = model.anchor_.model.gaps_.mean()
    np.testing.assert_allclose(expected, np.tile([1, 2, 3], (len(expected), 1)) * mean_gap)


@pytest.mark.minutes
def test_a_single_feature_is_enough(cohort) -> None:
    alone = cohort.select_features(cohort.feature_names[1:2])
    model = make_imputer("anchored", **{**METHODS["anchored"], "n_factors": 1}).fit(alone)
    assert np.isfinite(model.impute(hide(alone).shown, 4).draws).all()
