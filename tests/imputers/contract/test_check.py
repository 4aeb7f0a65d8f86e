from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nextscan.cohort import hide
from nextscan.imputers import BASELINES, make_imputer
from nextscan.imputers.baselines.feature_regression import FeatureRegression
from nextscan.imputers.baselines.mean_change import MeanChange
from nextscan.imputers.contract.check import Candidate, check_imputer, imputer_checks
from nextscan.imputers.mixed_factor.effects_fit import maximise

CHECKS = {check.__name__: check for check in imputer_checks()}


RANKS = {"n_factors": 2, "n_slopes": 1}
SETTINGS = {
    **{name: {} for name in BASELINES},
    "mixed-factor": {**RANKS, "unpaired": "use"},
    "anchored": {**RANKS, "unpaired": "use", "n_folds": 2, "epochs": 2},
}
TRAINED = [pytest.param(name, marks=pytest.mark.minutes) for name in SETTINGS if name not in BASELINES]


@pytest.fixture(scope="module")
def candidates() -> dict[str, Candidate]:
    return {name: Candidate(lambda name=name: make_imputer(name, **SETTINGS[name])) for name in SETTINGS}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", [*BASELINES, *TRAINED])
def test_imputers_keep_the_contract(candidates, name, check):
    CHECKS[check](candidates[name])


@pytest.mark.minutes
def test_choosing_by_folds_keeps_the_contract_with_few_pairs():
    CHECKS["check_few_pairs"](Candidate(lambda: make_imputer("mixed-factor", **RANKS)))


@pytest.mark.minutes
@pytest.mark.parametrize(
    "check", ["check_fit_is_reproducible", "check_native_units", "check_missing_cells", "check_constant_features"]
)
def test_choosing_by_folds_keeps_the_contract(monkeypatch, check):
    """... wherever the climb of a likelihood ends."""
    monkeypatch.setattr("nextscan.imputers.mixed_factor.imputer.maximise", partial(maximise, iterations=15))
    CHECKS[check](Candidate(lambda: make_imputer("mixed-factor", **RANKS)))


def test_there_are_checks_for_every_clause():
    assert len(CHECKS) >= 20
    assert "check_imputer" not in CHECKS


# Each broken imputer is right but for one thing; the named check must notice, and say so.


class CopiesSettings(MeanChange):
    def __init__(self, levels=()):
        self.levels = list(levels)


class ImputesUnfitted(MeanChange):
    def _check_fitted(self):
        self.feature_names_ = ("feature-0",)


class NamesWithoutUnderscore(MeanChange):
    def _fit(self, *args):
        super()._fit(*args)
        self.learned = 1


class ChangesLabels(MeanChange):
    def _fit(self, train, *args):
        train.labels["sex"] = "F"
        super()._fit(train, *args)


class FitsAtRandom(MeanChange):
    def _fit(self, *args):
        super()._fit(*args)
        self.change_ = self.change_ + np.random.default_rng().normal()


class ForgetsOnSaving(MeanChange):
    def _state(self):
        return {**super()._state(), "residuals": self.residuals_[::-1].copy()}


class FlattensDraws(MeanChange):
    def _draw(self, *args):
        draws, mean = super()._draw(*args)
        return draws.transpose(1, 0, 2), mean


class ImputesNaN(MeanChange):
    def _draw(self, *args):
        draws, mean = super()._draw(*args)
        draws[0, 0, 0] = np.nan
        return draws, mean


class RoundsObserved(MeanChange):
    def impute(self, *args, **kwargs):
        result = super().impute(*args, **kwargs)
        return replace(result, context=result.context.astype(np.float32).astype(np.float64))


class IgnoresSeed(MeanChange):
    def impute(self, cohort, draws=40, *, seed=0, **others):
        return super().impute(cohort, draws, **others)


class SharesNoise(MeanChange):
    def _draw(self, cohort, wanted, n_draws, seed, progress):
        mean = super()._draw(cohort, wanted, n_draws, seed, progress)[1]
        return mean + self.residuals_[(np.arange(n_draws) + seed) % len(self.residuals_), None], mean


class NoiseByPosition(MeanChange):
    def _draw(self, cohort, wanted, n_draws, seed, progress):
        mean = super()._draw(cohort, wanted, n_draws, seed, progress)[1]
        noise = np.random.default_rng(seed).integers(0, len(self.residuals_), (n_draws, len(mean)))
        return mean + self.residuals_[noise], mean


class CentresOnBatch(MeanChange):
    def _draw(self, *args):
        draws, mean = super()._draw(*args)
        return draws - draws.mean(axis=1, keepdims=True) + self.change_, mean


class FixedUnits(MeanChange):
    def _draw(self, *args):
        draws, mean = super()._draw(*args)
        return draws + 0.1, mean


class GoesNegative(MeanChange):
    def impute(self, *args, **kwargs):
        result = super().impute(*args, **kwargs)
        return replace(result, draws=result.draws - 0.5)


class ByColumnPosition(MeanChange):
    def _check_features(self, cohort):
        return cohort.select_features(cohort.feature_names[: len(self.feature_names_)])


class NeedsYears(MeanChange):
    def _draw(self, cohort, wanted, *args):
        draws, mean = super()._draw(cohort, wanted, *args)
        return draws * (wanted.gap / wanted.gap)[:, None], mean


class NeedsLabels(MeanChange):
    def _draw(self, cohort, wanted, *args):
        cohort.labels["sex"].map({"F": 0, "M": 1}).dropna()
        return super()._draw(cohort, wanted, *args)


class TripsOverGaps(MeanChange):
    def _fit(self, train, *args):
        if np.isnan(train.features).any():
            raise ValueError("Input contains NaN")
        super()._fit(train, *args)


class DividesBySpread(FeatureRegression):
    def _fit(self, train, *args):
        super()._fit(train, *args)
        with np.errstate(all="ignore"):
            self.slope_ = self.slope_ * (self.residuals_.std(axis=0) / self.residuals_.std(axis=0))


class TripsOverFewPairs(MeanChange):
    def _fit(self, train, *args):
        if train.is_paired.sum() < 10:
            raise ZeroDivisionError
        super()._fit(train, *args)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (CopiesSettings, "check_settings_are_stored"),
        (ImputesUnfitted, "check_refuses_before_fit"),
        (NamesWithoutUnderscore, "check_learned_names"),
        (ChangesLabels, "check_inputs_unchanged"),
        (FitsAtRandom, "check_fit_is_reproducible"),
        (ForgetsOnSaving, "check_save_and_load"),
        (FlattensDraws, "check_shape_and_names"),
        (ImputesNaN, "check_shape_and_names"),
        (RoundsObserved, "check_observed_values_kept"),
        (IgnoresSeed, "check_seeds"),
        (SharesNoise, "check_noise_is_per_draw_and_subject"),
        (NoiseByPosition, "check_order_of_subjects"),
        (CentresOnBatch, "check_neighbours_do_not_matter"),
        (FixedUnits, "check_native_units"),
        (GoesNegative, "check_nonnegative"),
        (ByColumnPosition, "check_columns"),
        (NeedsYears, "check_single_visits"),
        (NeedsLabels, "check_unknown_labels"),
        (TripsOverGaps, "check_missing_cells"),
        (DividesBySpread, "check_constant_features"),
        (TripsOverFewPairs, "check_few_pairs"),
    ],
)
def test_broken_imputer_is_noticed(broken, check):
    candidate = Candidate(broken)
    with pytest.raises(AssertionError):
        CHECKS[check](candidate)


def test_leak_is_noticed():
    class Peeks(MeanChange):
        def _draw(self, cohort, wanted, *args):
            draws, mean = super()._draw(cohort, wanted, *args)
            return draws + peeked.truth.mean(), mean

    candidate = Candidate(Peeks)
    peeked = candidate.task
    assert candidate.result is not None
    peeked = hide(replace(candidate.test, features=candidate.test.features * 2))
    with pytest.raises(AssertionError, match="hidden follow-up"):
        CHECKS["check_hidden_truth_does_not_leak"](candidate)


def test_check_imputer_runs_all_and_knows_deviations():
    check_imputer(MeanChange)
    with pytest.raises(AssertionError, match="a loaded model must make the same draws"):
        check_imputer(IgnoresSeed)
    reason = "one set of draws for all seeds"
    check_imputer(IgnoresSeed, deviations={"check_seeds": reason, "check_save_and_load": reason})
