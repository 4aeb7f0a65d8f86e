from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge as ReferenceRidge

from nextscan.cohort import hide
from nextscan.errors import SettingError, TooFewPairsError
from nextscan.imputers.baselines.paired_visits import rows_of_subjects
from nextscan.imputers.baselines.ridge import Ridge, _left_out, fit_ridge
from samples import many_visits, tiny_cohort


def standardised(n=30, d=6, noise=0.5, seed=0):
    """Return predictors = context, and a follow-up of a stable part with noise at both visits."""
    generator = np.random.default_rng(seed)
    stable = generator.normal(size=(n, 3)) @ generator.normal(size=(3, d))
    context = stable + noise * generator.normal(size=(n, d))
    target = stable + noise * generator.normal(size=(n, d)) + 0.3
    return context - context.mean(axis=0), target


ALONE = np.array([f"sub-{i:02d}" for i in range(60)])
SHARED = np.array([f"sub-{i:02d}" for i in np.r_[np.arange(10), np.arange(10), np.arange(5), 20:25]])


@pytest.mark.parametrize("owners", [ALONE[:30], SHARED], ids=["one pair each", "one to three pairs"])
@pytest.mark.parametrize("carried", [0.0, 0.4, 1.0])
def test_left_out_residuals_equal_refitting_without_the_subject(carried, owners):
    context, target = standardised()
    left, singular, _ = np.linalg.svd(context, full_matrices=False)
    seen = np.ones(target.shape, bool)
    subjects = rows_of_subjects(owners)
    error, penalty, c, residuals = _left_out(left, singular, 3.0, context, target, seen, carried, subjects)
    assert (penalty, c) == (3.0, carried)
    for name in np.unique(owners):
        own = owners == name
        refit = ReferenceRidge(alpha=3.0).fit(context[~own], (target - carried * context)[~own])
        expected = target[own] - carried * context[own] - refit.predict(context[own])
        assert residuals[own] == pytest.approx(expected, abs=1e-9)
    assert error == pytest.approx(np.mean(residuals**2))


def test_carried_fraction_has_the_least_left_out_error():
    context, target = standardised()
    left, singular, _ = np.linalg.svd(context, full_matrices=False)
    seen = np.ones(target.shape, bool)
    best = _left_out(left, singular, 30.0, context, target, seen, None, rows_of_subjects(ALONE[:30]))
    others = [
        _left_out(left, singular, 30.0, context, target, seen, c, rows_of_subjects(ALONE[:30]))[0]
        for c in np.linspace(0, 1, 101)
    ]
    assert 0 < best[2] < 1
    assert best[0] <= min(others)


@pytest.mark.parametrize("owners", [ALONE, np.repeat(ALONE[:20], 3)], ids=["one pair each", "three pairs each"])
def test_missing_follow_up_cells_are_left_out_feature_by_feature(owners):
    context, target = standardised(n=60)
    gaps = np.random.default_rng(5).random(target.shape) < 0.15
    gapped = np.where(gaps, np.nan, target)
    fitted = fit_ridge(context, context, gapped, 0.5, rows_of_subjects(owners))
    for j in range(context.shape[1]):
        seen = ~gaps[:, j]
        reference = ReferenceRidge(alpha=fitted.penalty).fit(context[seen], (target - 0.5 * context)[seen, j])
        predicted = fitted.intercept[j] + context @ fitted.coefficients[:, j]
        assert predicted == pytest.approx(reference.predict(context), abs=1e-3)
    assert np.isnan(fitted.residuals[gaps]).all()


def test_ridge_of_the_follow_up_equals_scikit_learn(cohort):
    bare = replace(cohort, labels=cohort.labels.iloc[:, :0], visit_labels=cohort.visit_labels.iloc[:, :0])
    bare = replace(bare, years=np.where(bare.years > 0, 2.0, 0.0))  # a constant interval tells nothing
    train, task = bare.select_subjects(range(30)), hide(bare.select_subjects(range(30, 40)))
    model = Ridge(carried=0.0).fit(train)
    x, y = train.features[train.visits == "1"], train.features[train.visits == "2"]
    centre, spread = x.mean(axis=0), x.std(axis=0)
    reference = ReferenceRidge(alpha=model.record_["penalty"]).fit((x - centre) / spread, y)
    assert model.impute(task.shown, 2).mean() == pytest.approx(reference.predict((task.context - centre) / spread))


@pytest.mark.parametrize(("noise", "low", "high"), [(0.05, 0.85, 1.0), (2.0, 0.0, 0.5)])
def test_ridge_learns_how_much_to_carry(noise, low, high):
    generator = np.random.default_rng(2)
    cohort = tiny_cohort(n_paired=120, n_single=0, n_features=40)
    stable = generator.normal(size=(120, 40))[cohort.subject_of]
    cohort = replace(cohort, features=50 + stable + noise * generator.normal(size=stable.shape))
    model = Ridge().fit(cohort)
    assert low <= model.record_["carried"] <= high


def test_years_and_labels_are_used_when_known():
    cohort = tiny_cohort(n_paired=300, n_single=0)
    sex = (cohort.labels["sex"] == "F").to_numpy()[cohort.subject_of]
    cohort = replace(cohort, features=cohort.features - cohort.years[:, None] * np.where(sex, 0.0, 2.0)[:, None])
    model = Ridge().fit(cohort)
    first = cohort.select_visits(cohort.years == 0).select_subjects(range(40))
    means = model.impute(first, 2, at_years=[1.0, 3.0]).mean().reshape(40, 2, -1)
    slope = (means[:, 1] - means[:, 0]) / 2
    assert slope.mean(axis=0) == pytest.approx(-0.2 - 2 * (~sex).mean(), abs=0.35)
    women = (first.labels["sex"] == "F").to_numpy()
    assert (means[~women, 0].mean() - means[women, 0].mean()) < -1


def test_draws_are_honest_where_ridge_could_overfit():
    generator = np.random.default_rng(4)
    loading = generator.normal(size=(5, 80))
    cohort = tiny_cohort(n_paired=240, n_single=0, n_features=80)
    stable = (generator.normal(size=(240, 5)) @ loading)[cohort.subject_of]
    cohort = replace(cohort, features=50 + stable + generator.normal(size=(480, 80)))
    model = Ridge().fit(cohort.select_subjects(range(40)))
    task = hide(cohort.select_subjects(range(40, 240)))
    error = task.truth - model.impute(task.shown, 2).mean()
    assert model.residuals_.std() == pytest.approx(error.std(), rel=0.05)


def test_pairs_of_one_subject_only_are_refused():
    with pytest.raises(TooFewPairsError, match="all pairs of visits are of one subject"):
        Ridge().fit(many_visits(1, n_visits=8))


def test_carried_outside_the_unit_interval_is_refused(cohort):
    with pytest.raises(SettingError, match="fraction"):
        Ridge(carried=2.0).fit(cohort)
