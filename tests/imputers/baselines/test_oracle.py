from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import hide
from nextscan.errors import SettingError
from nextscan.imputers import load
from nextscan.imputers.baselines.oracle import Oracle
from nextscan.imputers.contract.check import Candidate, imputer_checks
from nextscan.simulating import load_law, simulate
from samples import tiny_cohort

# it knows one unit only, learns nothing from pairs, and conditions on later visits in linear worlds only
BEYOND = {"linear": {"check_native_units", "check_few_pairs"}}
BEYOND["hard"] = BEYOND["linear"] | {"check_at_years"}
CASES = [(world, check) for world in BEYOND for check in imputer_checks() if check.__name__ not in BEYOND[world]]


@pytest.fixture(scope="module")
def candidates():
    return {
        world: Candidate(Oracle, cohort=simulate(n_subjects=80, n_features=8, n_pairs=50, seed=3, world=world))
        for world in BEYOND
    }


@pytest.mark.parametrize(("world", "check"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_contract(candidates, world, check):
    check(candidates[world])


def test_it_predicts_what_the_law_says_of_the_features_asked_for(tmp_path):
    whole = simulate(n_subjects=60, n_features=9, n_pairs=60, world="hard", missing=0.1, seed=1)
    cohort = whole.select_features(whole.feature_names[::-2])
    task = hide(cohort)
    model = Oracle().fit(cohort)
    law = load_law(cohort.law).select(cohort.feature_names)
    result = model.impute(task.shown, 3, seed=5)
    assert np.array_equal(result.mean(), law.mean(task.shown, task.targets))
    assert np.array_equal(result.draws, law.draw(task.shown, task.targets, 3, seed=5))
    assert model.record_["world"] == "hard"
    model.save(tmp_path / "oracle")
    assert np.array_equal(load(tmp_path / "oracle").impute(task.shown, 3, seed=5).draws, result.draws)


def test_it_is_the_limit_of_the_mean():
    cohort = simulate(n_subjects=800, n_features=6, n_pairs=800, seed=2)
    task = hide(cohort)
    mean = Oracle().fit(cohort).impute(task.shown, 1).mean()
    error = task.truth - mean
    best = (error**2).mean()
    for shift in (
        0.1 * (task.context - task.context.mean(axis=0)),
        0.1 * (mean - mean.mean(axis=0)),
        0.1 * mean.std(axis=0),
    ):
        assert ((error + shift) ** 2).mean() > best
        assert ((error - shift) ** 2).mean() > best


def test_it_refuses_what_it_does_not_know():
    real = tiny_cohort()
    with pytest.raises(SettingError, match="tiny: the oracle knows only simulated cohorts"):
        Oracle().fit(real)
    cohort = simulate(n_subjects=50, n_features=8, n_pairs=20)
    with pytest.raises(SettingError, match="is the law of other features, it does not know feature-0"):
        Oracle().fit(replace(real, law=cohort.law))
    with pytest.raises(SettingError, match="far from the law"):
        Oracle().fit(replace(cohort, features=cohort.features / 1000))
