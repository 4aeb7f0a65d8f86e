"""Mixed-factor with many irregular visits: nearly the exact law, whichever visit is asked for."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort, hide
from nextscan.imputers import make_imputer
from nextscan.imputers.baselines.oracle import Oracle
from nextscan.imputers.mixed_factor.imputer import MixedFactor
from nextscan.metrics import crps
from nextscan.simulating import simulate

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def train() -> Cohort:
    return simulate(n_subjects=1300, n_features=6, n_pairs=1300, n_visits=6, seed=2).select_subjects(range(200, 1300))


@pytest.fixture(scope="module")
def test() -> Cohort:
    cohort = simulate(n_subjects=200, n_features=6, n_pairs=200, n_visits=6, seed=2)
    return cohort.select_subjects(cohort.observed_visits >= 5)


@pytest.fixture(scope="module")
def model(train: Cohort) -> MixedFactor:
    return MixedFactor(n_factors=6, n_slopes=4).fit(train)


@pytest.fixture(scope="module")
def oracle(train: Cohort) -> Oracle:
    return Oracle().fit(train)


def without(cohort: Cohort, number: int) -> Cohort:
    """Take away a visit of each subject, and what was noted there, but not its time."""
    starts = np.flatnonzero(np.diff(cohort.subject_of, prepend=-1))
    features, labels = cohort.features.copy(), cohort.visit_labels.copy()
    features[starts + number] = np.nan
    labels.loc[starts + number, "age"] = np.nan
    return replace(cohort, features=features, visit_labels=labels)


def truth(cohort: Cohort, number: int) -> np.ndarray:
    return cohort.features[np.flatnonzero(np.diff(cohort.subject_of, prepend=-1)) + number]


def rms(values: np.ndarray, train: Cohort) -> float:
    return float(np.sqrt(np.nanmean((values / np.nanstd(train.features, axis=0)) ** 2)))


def test_error_falls_with_each_further_visit(model, oracle, train, test) -> None:
    errors, excess = [], []
    for shown in (1, 2, 3, 4):
        task = hide(test, shown)
        same = (
            task.targets.row
            >= np.flatnonzero(np.diff(test.subject_of, prepend=-1))[task.shown.subject_of[task.targets.row]] + 4
        )
        mean = model.impute(task.shown, 1).mean()
        errors.append(rms((mean - task.truth)[same], train))
        best = oracle.impute(task.shown, 1).mean()
        excess.append(rms((mean - best)[same], train) / rms((best - task.truth)[same], train))
    assert (np.diff(errors) < 0).all()
    assert max(excess) < 0.15


@pytest.mark.parametrize("number", [0, 2, 4])
def test_any_visit_is_predicted_as_the_law_does(model, oracle, train, test, number: int) -> None:
    asked = without(test, number)
    ours, best = (imputer.impute(asked, 200) for imputer in (model, oracle))
    assert rms(ours.mean() - best.mean(), train) < 0.15 * rms(best.mean() - truth(test, number), train)
    assert np.mean(ours.sd() / best.sd()) == pytest.approx(1, abs=0.06)


def test_a_visit_in_between_is_better_known_than_one_at_the_end(model, test) -> None:
    between, end = (model.impute(without(test, number), 200).sd().mean() for number in (2, 4))
    assert between < end


def test_a_time_asked_for_is_the_visit_of_that_time(model, test) -> None:
    asked = test.select_subjects(range(20))
    last = np.flatnonzero(np.diff(asked.subject_of, append=-1))
    back = model.impute(asked, 2, at_years=[-1.5, 2.0])
    assert back.targets["visit"].tolist()[:2] == ["imputed-1.5", "imputed+2"]
    years = asked.years[last][:, None] + [-1.5, 2.0]
    np.testing.assert_allclose(back.targets["years"], years.ravel())
    oracle = Oracle().fit(test).impute(asked, 2, at_years=[-1.5, 2.0])
    assert rms(back.mean() - oracle.mean(), test) < 0.08


def test_gaps_in_features_are_no_obstacle(train, oracle, test) -> None:
    holes = np.random.default_rng(0).random(test.features.shape) < 0.3
    holes[:, 0] = False
    gappy = without(replace(test, features=np.where(holes, np.nan, test.features)), 4)
    drilled = np.random.default_rng(1).random(train.features.shape) < 0.2
    drilled[:, 0] = False
    model = MixedFactor(n_factors=6, n_slopes=4).fit(replace(train, features=np.where(drilled, np.nan, train.features)))
    ours, best = model.impute(gappy, 2).mean(), oracle.impute(gappy, 2).mean()
    assert rms(ours - best, train) < 0.15 * rms(best - truth(test, 4), train)
    assert rms(ours - truth(test, 4), train) > rms(model.impute(without(test, 4), 2).mean() - truth(test, 4), train)


def test_unknown_years_average_over_the_intervals_of_training(model, test) -> None:
    asked, last = without(test, 4), np.flatnonzero(np.diff(test.subject_of, prepend=-1)) + 4
    asked = asked.select_visits(np.arange(test.n_visits) <= last[test.subject_of])
    request = asked.is_request
    years = np.where(request, np.roll(asked.years, 1) + model.gaps_.mean(), asked.years)
    known = model.impute(replace(asked, years=years), 400)
    unknown = model.impute(replace(asked, years=np.where(request, np.nan, years)), 400)
    np.testing.assert_allclose(unknown.mean(), known.mean(), rtol=1e-9)
    rate = model.impute(replace(asked, years=np.where(request, years + 1, years)), 2).mean() - known.mean()
    wider = unknown.sd() ** 2 - known.sd() ** 2
    assert wider.mean() > 0.5 * (rate**2).mean() * model.gaps_.var() > 0


def curves(n: int, seed: int) -> Cohort:
    """Logistic curves in time since onset, seen with noise: one feature between 0 and 1."""
    rng = np.random.default_rng(seed)
    visits = np.full(n, 5)
    of = np.repeat(np.arange(n), visits)
    number = np.concatenate([np.arange(count) for count in visits])
    years = number * 1.5 + np.where(number > 0, rng.uniform(-0.5, 0.5, len(of)), 0)
    onset, speed = rng.normal(0, 4, n), np.exp(rng.normal(-0.7, 0.2, n))
    value = 1 / (1 + np.exp(-(years - 4 - onset[of]) * speed[of])) + rng.normal(0, 0.03, len(of))
    return Cohort(
        "curves",
        np.array([f"s{seed}-{i:03d}" for i in range(n)]),
        of,
        (number + 1).astype(str),
        years,
        np.clip(value, 0, 1)[:, None],
        ("score",),
        labels=pd.DataFrame(),
    )


def test_features_between_0_and_1_may_level_off() -> None:
    train, task = curves(60, 0), hide(curves(100, 1), 2)
    chosen = MixedFactor(n_factors=1, n_slopes=1).fit(train)
    assert chosen.record_["chosen_curve"] == "logistic"
    ours = chosen.impute(task.shown, 60)
    assert ours.draws.min() >= 0
    assert ours.draws.max() <= 1
    straight = MixedFactor(n_factors=1, n_slopes=1, curve="linear").fit(train).impute(task.shown, 60)
    forward = make_imputer("carry-forward").fit(train).impute(task.shown, 60)
    score, linear, still = (float(crps(task.truth, part.draws).mean()) for part in (ours, straight, forward))
    assert score < 0.9 * linear < 0.9 * still


def test_one_feature_has_a_slope_that_its_level_tells_of() -> None:
    model = MixedFactor(n_slopes=1, curve="linear").fit(curves(60, 2))
    assert model.record_["chosen_n_factors"] == 1
    assert abs(float(model.model_.coupling)) > 0.3
