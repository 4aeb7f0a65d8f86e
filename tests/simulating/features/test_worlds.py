"""What the worlds promise: the published pattern of the nigra, and how far simple methods are from the limit."""

import numpy as np
import pytest

from nextscan.cohort import hide
from nextscan.imputers import make_imputer
from nextscan.metrics import energy_score
from nextscan.simulating import simulate
from nextscan.simulating.features.labels import STANDARD
from nextscan.simulating.features.regions import regions
from nextscan.simulating.features.worlds import GAP_MEAN, make_law


@pytest.mark.parametrize("world", ["linear", "hard"])
def test_parkinsonism_takes_more_of_the_substantia_nigra(world):
    law = make_law(world, n_features=20, seed=0)
    nigra = np.array([region.in_nigra for region in regions(20)])
    row = list(STANDARD).index("parkinsonism")
    share = STANDARD["parkinsonism"][0]
    drift, effect = (law.scale * law.drift)[nigra].mean(), (law.scale * law.drift_effect[row])[nigra].mean()
    assert GAP_MEAN * (drift - share * effect) == pytest.approx(-1.76, abs=0.01)
    assert GAP_MEAN * (drift + (1 - share) * effect) == pytest.approx(-2.36, abs=0.01)
    assert (law.level[row, nigra] == -0.8).all()


def excess(world, n_train, methods, n_test=150, seed=0):
    cohort = simulate(
        n_subjects=max(2500, n_train + n_test),
        n_features=200,
        n_pairs=n_train + n_test,
        world=world,
        seed=seed,
    )
    paired = np.flatnonzero(cohort.is_paired)
    task = hide(cohort.select_subjects(paired[:n_test]))
    train = cohort.select_subjects(np.setdiff1d(np.arange(cohort.n_subjects), paired[:n_test]))
    unit = train.features.std(axis=0)
    scores = {
        name: energy_score(task.truth / unit, make_imputer(name).fit(train).impute(task.shown, 40).draws / unit).mean()
        for name in ("oracle", *methods)
    }
    return {name: scores[name] / scores["oracle"] - 1 for name in methods}


@pytest.mark.minutes
def test_simple_methods_miss_the_limit_of_the_linear_world_by_the_known_amounts():
    found = excess("linear", 240, ("carry-forward", "ridge", "reliability"))
    assert 0.24 < found["carry-forward"] < 0.31
    assert 0.075 < found["ridge"] < 0.115
    assert 0.045 < found["reliability"] < 0.09


@pytest.mark.minutes
def test_no_simple_method_comes_close_in_the_hard_world():
    found = excess("hard", 1500, ("carry-forward", "feature-regression", "ridge", "reliability"))
    assert min(found.values()) > 0.06
