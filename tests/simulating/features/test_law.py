"""The law against dense Gaussian conditioning, against Monte Carlo, and against the cohorts drawn from it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gamma, norm

from nextscan.cohort import Cohort, hide, targets
from nextscan.errors import CohortError, SettingError
from nextscan.simulating import load_law, simulate
from nextscan.simulating.features.labels import labels_at_first_visit


def blank_last(cohort: Cohort) -> Cohort:
    return hide(cohort).shown


def dense(law, labels, seen_years, seen, years):
    """Condition [state, every visit] as one dense Gaussian: mean and covariance of the visit at `years`."""
    times = np.array([*seen_years, years])
    n, d = len(times), len(law.centre)
    expected = [
        law.centre + law.scale * (labels @ law.level + t * (law.drift + labels @ law.drift_effect)) for t in times
    ]
    stable = law.loading.T @ law.loading + np.diag(law.specific_variance)
    slopes = law.slope.T @ law.slope
    noise = np.diag(law.noise_variance)
    blocks = [[stable + s * t * slopes + (i == j) * noise for j, t in enumerate(times)] for i, s in enumerate(times)]
    scale = np.tile(law.scale, n)
    covariance = np.block(blocks) * scale[:, None] * scale
    values = np.concatenate([*seen, np.full(d, np.nan)])
    known = ~np.isnan(values)
    wanted = np.arange(d * (n - 1), d * n)
    gain = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, wanted)])
    mean = expected[-1] + (values - np.concatenate(expected))[known] @ gain
    return mean, covariance[np.ix_(wanted, wanted)] - covariance[np.ix_(wanted, known)] @ gain


@pytest.mark.parametrize(("n_visits", "missing"), [(2, 0.0), (2, 0.3), (5, 0.0), (5, 0.3)])
def test_mean_and_covariance_are_those_of_dense_conditioning(n_visits, missing):
    cohort = simulate(n_subjects=30, n_features=9, n_pairs=12, n_visits=n_visits, missing=missing, seed=4)
    law = load_law(cohort.law)
    shown = blank_last(cohort)
    wanted = targets(shown)
    mean, covariance = law.mean(shown, wanted), law.covariance(shown, wanted)
    for i in range(len(wanted)):
        subject = shown.subject_of[wanted.context[i]]
        rows = np.flatnonzero((shown.subject_of == subject) & ~shown.is_request)
        labels = labels_at_first_visit(shown, rows[:1], law.standard)[0]
        want = dense(law, labels, shown.years[rows], shown.features[rows], wanted.years[i])
        np.testing.assert_allclose(mean[i] / law.scale, want[0] / law.scale, rtol=0, atol=1e-8)
        apart = (covariance[i] - want[1]) / law.scale[:, None] / law.scale
        np.testing.assert_allclose(apart, 0, atol=1e-8)


def test_mean_of_a_hard_world_is_that_of_its_equations():
    cohort = simulate(n_subjects=6, n_features=8, n_pairs=3, world="hard", missing=0.1, seed=2)
    law = load_law(cohort.law)
    task = hide(cohort)
    mean = law.mean(task.shown, task.targets)
    generator = np.random.default_rng(0)
    for i, context in enumerate(task.targets.context):
        y = labels_at_first_visit(task.shown, np.array([context]), law.standard)[0]
        x = (task.shown.features[context] - law.centre) / law.scale - y @ law.level
        known = ~np.isnan(x)
        state = np.block([[law.loading.T, np.eye(8)]])  # features from (f, s)
        prior = np.diag(np.concatenate([np.ones(len(law.loading)), law.specific_variance]))
        total = (state @ prior @ state.T + np.diag(law.noise_variance))[np.ix_(known, known)]
        gain = np.linalg.solve(total, (state @ prior)[known])
        centre, spread = x[known] @ gain, prior - (state @ prior)[known].T @ gain
        drawn = generator.multivariate_normal(centre, spread, 200_000, method="cholesky")
        f, s = drawn[:, : len(law.loading)], drawn[:, len(law.loading) :]
        gate = (
            norm.cdf(law.gate[:, 0] + f @ law.gate[:, 1 : 1 + f.shape[1]].T + law.gate[:, 1 + f.shape[1] :] @ y) - 0.5
        )
        pull = law.payload[:, 0] + f @ law.payload[:, 1:].T
        change = law.drift + y @ law.drift_effect + (gate * pull) @ law.pattern
        values = y @ law.level + f @ law.loading + s + task.targets.years[i] * change
        error = values.std(axis=0) / np.sqrt(len(values))
        assert (np.abs((mean[i] - law.centre) / law.scale - values.mean(axis=0)) < 5 * error).all()
        assert np.abs(((gate * pull) @ law.pattern).mean(axis=0)).max() > 20 * error.max()  # it matters


def test_draws_have_the_exact_mean_and_covariance():
    cohort = simulate(n_subjects=5, n_features=6, n_pairs=5, n_visits=3, missing=0.2, seed=8)
    law = load_law(cohort.law)
    shown = blank_last(cohort)
    wanted = targets(shown)
    draws = law.draw(shown, wanted, 4000, seed=1).astype(float)
    covariance = law.covariance(shown, wanted)
    sd = np.sqrt(covariance.diagonal(axis1=1, axis2=2))
    assert np.abs((draws.mean(axis=0) - law.mean(shown, wanted)) / sd).max() < 4.5 / np.sqrt(4000)
    for i in range(len(wanted)):
        whitened = np.linalg.solve(np.linalg.cholesky(covariance[i]), (draws[:, i] - draws[:, i].mean(axis=0)).T)
        assert np.abs(whitened @ whitened.T / 4000 - np.eye(6)).max() < 0.12


@pytest.mark.parametrize("world", ["linear", "hard"])
def test_draws_of_the_law_look_like_the_cohort(world):
    cohort = simulate(n_subjects=1500, n_features=12, n_pairs=1500, world=world, seed=5)
    law = load_law(cohort.law)
    task = hide(cohort)
    draws = law.draw(task.shown, task.targets, 39, seed=5)  # the seed of the cohort: noise must not be shared
    mean = law.mean(task.shown, task.targets)
    rank = (draws < task.truth).sum(axis=0)
    share = np.bincount(rank.ravel(), minlength=40).reshape(8, 5).sum(axis=1) / rank.size
    assert np.abs(share - 1 / 8).max() < 0.011
    error, spread = task.truth - mean, draws.astype(float) - mean
    assert np.sqrt((error**2 / law.scale**2).mean() / (spread**2 / law.scale**2).mean()) == pytest.approx(1, abs=0.04)
    correlation = np.corrcoef((error / law.scale).ravel(), (spread[0] / law.scale).ravel())[0, 1]
    assert abs(correlation) < 0.03
    kurtosis = ((error / error.std(axis=0)) ** 4).mean()
    assert kurtosis > 4 if world == "hard" else kurtosis < 3.3


def test_unknown_time_averages_over_the_interval():
    cohort = simulate(n_subjects=4, n_features=5, n_pairs=0, world="hard", seed=3)
    law = load_law(cohort.law)
    unknown = targets(cohort)
    assert np.isnan(unknown.years).all()
    shape = (2.67 / 1.17) ** 2
    years = gamma(shape, scale=2.67 / shape).ppf((np.arange(2000) + 0.5) / 2000)
    at = [law.mean(cohort, replace(unknown, years=np.full(4, t))) for t in years[::50]]
    line = np.polynomial.Polynomial.fit(years[::50], np.reshape(at, (40, -1))[:, 3], 1)
    assert law.mean(cohort, unknown).ravel()[3] == pytest.approx(line(years).mean(), abs=1e-3 * law.scale[3])
    draws = law.draw(cohort, unknown, 3000, seed=2)
    error = draws.std(axis=0) / np.sqrt(3000)
    assert (np.abs(draws.mean(axis=0) - law.mean(cohort, unknown)) < 4.5 * error).all()


def test_draws_depend_on_the_subject_and_not_on_company():
    cohort = simulate(n_subjects=40, n_features=10, n_pairs=40, seed=6)
    law = load_law(cohort.law)
    shown = blank_last(cohort)
    everybody = law.draw(shown, targets(shown), 3, seed=1)
    few = shown.select_subjects([7, 31])
    alone = law.draw(few, targets(few), 3, seed=1)
    np.testing.assert_allclose(alone, everybody[:, [7, 31]], rtol=1e-6)
    assert not np.allclose(law.draw(few, targets(few), 3, seed=2), alone, rtol=1e-3)


def test_draws_at_several_times_are_one_trajectory():
    cohort = simulate(n_subjects=200, n_features=6, n_pairs=0, seed=6)
    law = load_law(cohort.law)
    wanted = targets(cohort, [5.0, 5.001])
    draws = law.draw(cohort, wanted, 20, seed=1) - law.mean(cohort, wanted)
    share = np.corrcoef(draws[:, ::2].ravel() / 1.0, draws[:, 1::2].ravel())[0, 1]
    covariance = law.covariance(cohort, wanted)[0]
    noise = (law.noise_variance * law.scale**2).sum() / np.trace(covariance)
    assert share == pytest.approx(1 - noise, abs=0.15)


def test_law_of_some_features_is_that_with_the_others_missing():
    cohort = simulate(n_subjects=20, n_features=9, n_pairs=20, world="hard", seed=6)
    law = load_law(cohort.law)
    shown = blank_last(cohort)
    keep = [5, 0, 3]
    names = [cohort.feature_names[i] for i in keep]
    rest = np.setdiff1d(np.arange(9), keep)
    gone = shown.features.copy()
    gone[:, rest] = np.nan
    hidden = replace(shown, features=gone)
    want = law.mean(hidden, targets(hidden))[:, keep]
    few = shown.select_features(names)
    np.testing.assert_allclose(law.select(names).mean(few, targets(few)), want, rtol=1e-10)
    with pytest.raises(SettingError, match="no feature nobody"):
        law.select(["nobody"])
    with pytest.raises(SettingError, match="differ from those of the law"):
        law.mean(few, targets(few))


def test_what_the_law_cannot_know_is_an_error():
    cohort = simulate(n_subjects=20, n_features=6, n_pairs=20, world="hard", seed=1)
    law = load_law(cohort.law)
    with pytest.raises(SettingError, match=r"subject sub-000001 was seen .* hide the later ones"):
        law.mean(cohort, targets(cohort, [1.0]))
    shown = blank_last(cohort)
    with pytest.raises(SettingError, match="linear world"):
        law.covariance(shown, targets(shown))
    without = replace(shown, labels=shown.labels.drop(columns="stroke"))
    with pytest.raises(CohortError, match="has no label stroke"):
        law.mean(without, targets(without))
    gap = shown.labels.assign(stroke=shown.labels["stroke"].where(np.arange(20) != 4))
    with pytest.raises(CohortError, match="subject sub-000005, visit 1: label stroke is missing"):
        law.mean(replace(shown, labels=gap), targets(shown))
    linear = simulate(n_subjects=5, n_features=6, n_pairs=5, seed=1)
    timeless = replace(linear, years=np.where(linear.years > 0, np.nan, linear.years))
    with pytest.raises(CohortError, match="subject sub-000001, visit 2: years is missing"):
        load_law(linear.law).mean(timeless, targets(timeless, [1.0]))
