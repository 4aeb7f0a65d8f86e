from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from nextscan.cohort import hide
from nextscan.errors import SettingError
from nextscan.imputers.baselines.carry_forward import CarryForward
from nextscan.imputers.baselines.paired_visits import PairedVisits
from nextscan.imputers.baselines.reliability import Reliability, _noise_variance, _shrinkage
from nextscan.metrics import energy_score
from samples import many_visits, tiny_cohort


class World:
    """Stable part plus independent noise at each visit and a drift: the model the method assumes."""

    def __init__(self, n_features=20, seed=0):
        generator = np.random.default_rng(seed)
        loading = generator.normal(size=(3, n_features))
        self.stable = loading.T @ loading + 0.1 * np.eye(n_features)
        self.noise = generator.uniform(0.2, 2.0, n_features)
        self.drift = generator.normal(size=n_features)
        self.d = n_features

    def cohort(self, n_paired, n_single, seed=1):
        generator = np.random.default_rng(seed)
        cohort = tiny_cohort(n_paired, n_single, self.d)
        stable = generator.multivariate_normal(np.zeros(self.d), self.stable, n_paired + n_single)
        noise = generator.normal(size=cohort.features.shape) * np.sqrt(self.noise)
        moved = np.where(cohort.years[:, None] > 0, self.drift, 0.0)
        return replace(cohort, features=100 + stable[cohort.subject_of] + noise + moved)

    def expected(self, context):
        total = self.stable + np.diag(self.noise)
        return 100 + self.drift + (context - 100) @ np.linalg.solve(total, self.stable)


def test_with_many_subjects_the_mean_is_the_conditional_expectation():
    world = World()
    task = hide(world.cohort(200, 0, seed=9))
    best = world.expected(task.context)
    model = Reliability().fit(world.cohort(1500, 4000))
    mean = model.impute(task.shown, 2).mean()
    carried = task.context + world.drift
    assert np.mean((mean - best) ** 2) < 0.02 * np.mean((carried - best) ** 2)
    assert model.record_["strength"] == pytest.approx(1.0, abs=0.03)
    assert (
        pytest.approx(world.noise[:, None] * np.linalg.inv(world.stable + np.diag(world.noise)), abs=0.08)
        == model.shrink_.T
    )


def test_one_feature_is_shrunk_by_kelleys_formula():
    cohort = World(1).cohort(3000, 0)
    x = cohort.features[cohort.visits == "1"][:, 0]
    y = cohort.features[cohort.visits == "2"][:, 0]
    model = Reliability().fit(cohort)
    noise = np.var(y - x, ddof=1) / 2
    assert model.shrink_[0, 0] == pytest.approx(model.record_["strength"] * noise / x.var(), rel=2e-3)
    assert model.drift_[0] == pytest.approx((y - x).mean())


def test_unpaired_subjects_are_used_where_they_help_and_not_where_they_mislead():
    world = World()
    cohort = world.cohort(30, 1000)
    model = Reliability().fit(cohort)
    pool = model.record_["pool"]
    assert pool["used"] is True
    assert pool["available"] == 1000
    assert pool["energy_score"]["with"] < pool["energy_score"]["without"]
    task = hide(world.cohort(200, 0, seed=9))
    scores = {
        choice: energy_score(task.truth, Reliability(choice).fit(cohort).impute(task.shown, 40).draws).mean()
        for choice in ("use", "ignore")
    }
    assert scores["use"] < scores["ignore"]
    single = cohort.subject_of >= 30
    noise = np.random.default_rng(0).normal(size=cohort.features.shape) * np.linspace(0.1, 30, 20)
    misleading = replace(cohort, features=np.where(single[:, None], 100 + noise, cohort.features))
    assert Reliability().fit(misleading).record_["pool"]["used"] is False
    assert Reliability("use").fit(misleading).record_["pool"]["used"] is True


def test_a_shifted_pool_changes_nothing():
    cohort = World().cohort(40, 200)
    shifted = cohort.features + np.where(cohort.subject_of >= 40, 500.0, 0.0)[:, None]
    first, second = Reliability("use").fit(cohort), Reliability("use").fit(replace(cohort, features=shifted))
    assert second.shrink_ == pytest.approx(first.shrink_, rel=1e-6)
    assert second.mean_ == pytest.approx(first.mean_)


def parts(data):
    """Return what is fitted, and what it is made of: scale, visits and change in its units, covariance, noise."""
    scale = data.context.std(axis=0)
    z, change = (data.context - data.context.mean(axis=0)) / scale, data.change / scale
    covariance, rho = ledoit_wolf(z, assume_centered=True)
    noise = _noise_variance(change, covariance.diagonal())
    return _shrinkage(data, data.context[:0]), scale, z, change, covariance, rho, noise


def test_errors_leave_their_own_pair_out():
    """Against refitting mean, drift and covariance without each pair, at the same regularisation."""
    data = PairedVisits.of(World(8).cohort(20, 0), None, minimum=5)
    fitted, scale, z, change, covariance, rho, noise = parts(data)
    expected = np.empty_like(z)
    for i in range(20):
        kept = np.delete(z, i, axis=0)
        regularised = (1 - rho) * np.cov(kept.T, bias=True) + rho * np.mean(z.var(axis=0)) * np.eye(8)
        pull = fitted.strength * noise * np.linalg.solve(regularised, z[i] - kept.mean(axis=0))
        expected[i] = (change[i] - np.delete(change, i, axis=0).mean(axis=0) + pull) * scale
    within = change - change.mean(axis=0) + fitted.strength * noise * (z @ np.linalg.inv(covariance))
    assert np.linalg.norm(fitted.errors - expected) < 0.04 * np.linalg.norm(expected)
    assert np.linalg.norm(within * scale - expected) > 0.1 * np.linalg.norm(expected)


@pytest.mark.parametrize("n_visits", [2, 4])
def test_errors_leave_their_subject_out(n_visits):
    data = PairedVisits.of(many_visits(30, n_visits=n_visits, n_features=8), None, minimum=5)
    fitted, scale, z, change, _, rho, noise = parts(data)
    expected = np.empty_like(z)
    for name in np.unique(data.subject):
        own = data.subject == name
        # The part of the identity is scaled with the rest: its own change is of a lower order.
        rest = (1 - rho) * np.cov(z[~own].T, bias=True) + rho * len(z) / (~own).sum() * np.eye(8)
        pull = fitted.strength * noise * np.linalg.solve(rest, (z[own] - z[~own].mean(axis=0)).T).T
        expected[own] = (change[own] - change[~own].mean(axis=0) + pull) * scale
    assert fitted.errors == pytest.approx(expected, abs=1e-9)


def test_noise_variances_are_half_the_variance_of_change_as_far_as_sampling_lets_them_differ():
    generator = np.random.default_rng(3)
    variance = np.array([1.0, 4.0, 9.0, 25.0, 1.0, 1.0])
    same = generator.normal(size=(6, 400, 6)) * np.sqrt(2 * 0.3 * variance)
    raw = same.var(axis=1, ddof=1) / 2 / variance
    shrunk = np.array([_noise_variance(change, variance) / variance for change in same])
    assert np.abs(np.log(shrunk / 0.3)).mean() < 0.7 * np.abs(np.log(raw / 0.3)).mean()
    ratio = np.array([0.01, 0.1, 0.3, 1.0, 2.0, 0.0])
    different = generator.normal(size=(4000, 6)) * np.sqrt(2 * ratio * variance)
    assert _noise_variance(different, variance) / variance == pytest.approx(ratio, rel=0.06)


def test_draws_spread_like_the_errors_of_new_subjects():
    world = World(60)
    model = Reliability("ignore").fit(world.cohort(30, 0))
    task = hide(world.cohort(300, 0, seed=9))
    error = task.truth - model.impute(task.shown, 2).mean()
    assert model.residuals_.std() == pytest.approx(error.std(), rel=0.06)
    carried = CarryForward().fit(world.cohort(30, 0))
    assert (
        energy_score(task.truth, model.impute(task.shown, 40).draws).mean()
        < energy_score(task.truth, carried.impute(task.shown, 40).draws).mean()
    )


def test_unknown_choice_is_refused(cohort):
    with pytest.raises(SettingError, match="auto, use or ignore"):
        Reliability("sometimes").fit(cohort)
