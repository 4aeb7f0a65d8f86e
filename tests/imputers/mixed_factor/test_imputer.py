"""Mixed-factor: near the best possible on its own kind of world, better with every visit, ranks by held-out score."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nextscan.cohort import Cohort, hide
from nextscan.imputers import make_imputer
from nextscan.imputers.base import Imputer
from nextscan.imputers.mixed_factor.effects_fit import maximise
from nextscan.imputers.mixed_factor.imputer import MixedFactor
from nextscan.metrics import energy_score
from nextscan.simulating import simulate

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def world() -> tuple[Cohort, Cohort]:
    cohort = simulate(n_subjects=900, n_features=30, n_pairs=400, seed=3)
    paired = np.flatnonzero(cohort.is_paired)
    test = paired[-200:]
    return cohort.select_subjects(np.setdiff1d(np.arange(cohort.n_subjects), test)), cohort.select_subjects(test)


@pytest.fixture(scope="module")
def fitted(world) -> MixedFactor:
    return MixedFactor(n_factors=10, n_slopes=2).fit(world[0])


def energy(world: tuple[Cohort, Cohort], model: Imputer) -> float:
    train, test = world
    task, unit = hide(test), np.nanstd(train.features, axis=0)
    return float(np.mean(energy_score(task.truth / unit, model.impute(task.shown, 40).draws / unit)))


def test_comes_nearer_to_the_oracle_than_the_baselines(world, fitted) -> None:
    oracle, *baselines = (
        energy(world, make_imputer(name).fit(world[0])) for name in ("oracle", "ridge", "reliability")
    )
    excess = energy(world, fitted) / oracle - 1
    assert excess < min(baselines) / oracle - 1 - 0.01
    assert excess < 0.05


def test_ranks_and_pool_are_chosen_by_held_out_score(world, monkeypatch) -> None:
    """... wherever the climb of a likelihood ends."""
    monkeypatch.setattr("nextscan.imputers.mixed_factor.imputer.maximise", partial(maximise, iterations=15))
    train = world[0].select_features(world[0].feature_names[:8])
    model = MixedFactor(n_slopes=0).fit(train)
    held_out = model.record_["held_out_energy_score"]
    assert set(held_out) == {"n_factors", "unpaired"}
    best = min(held_out["n_factors"], key=held_out["n_factors"].get)
    assert str(model.record_["chosen_n_factors"]) == best
    assert model.model_.loading.shape == (int(best), 8)


def test_every_visit_narrows_the_prediction(world, fitted) -> None:
    test = world[1]
    twice = fitted.impute(test, 60, at_years=[1.0])
    seen = np.flatnonzero(np.diff(test.subject_of, prepend=-1))
    features = test.features.copy()
    features[np.setdiff1d(np.arange(test.n_visits), seen)] = np.nan
    once = fitted.impute(replace(test, features=features), 60)
    assert (twice.sd().mean(axis=0) < once.sd().mean(axis=0)).mean() > 0.9
