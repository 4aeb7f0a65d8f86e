"""Calibrated imputers: fits that have not seen whom they are compared with, levels kept, models saved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nextscan import FeatureRegression, MeanChange, MixedFactor, hide, load, split_validation
from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NotFittedError, SettingError
from samples import many_visits, tiny_cohort


class Overconfident(MeanChange):
    """Draws of a third of the spread, twice as far off for men."""

    def _draw(self, *args):
        draws, mean = super()._draw(*args)
        return mean + (draws - mean) / 3, mean


def rough_men(cohort: Cohort, seed: int = 5) -> Cohort:
    """Add noise to men's follow-ups."""
    noise = np.random.default_rng(seed).normal(size=cohort.features.shape)
    noisy = (cohort.labels["sex"] == "M").to_numpy()[cohort.subject_of] & (cohort.years > 0)
    return replace(cohort, features=cohort.features + 1.5 * noise * noisy[:, None])


def coverage(model, cohort: Cohort, level: float, **how) -> np.ndarray:
    """Return how often the interval holds what was hidden, shape (n_subjects,)."""
    task = hide(cohort)
    low, high = model.impute(task.shown, 40, seed=1).interval(level, **how)
    return ((low <= task.truth) & (task.truth <= high)).mean(axis=1)


def test_conformal_intervals_keep_their_level_where_draws_do_not():
    cohort = rough_men(tiny_cohort(1000, 0, seed=3))
    train, test = cohort.select_subjects(range(300)), cohort.select_subjects(range(300, 1000))
    model = Overconfident().fit(train).calibrate(train)
    men = (test.labels["sex"] == "M").to_numpy()
    assert coverage(model, test, 0.8).mean() < 0.5
    kept = coverage(model, test, 0.8, method="conformal")
    # 700 test subjects, 300 held out: errors of both, and features of a subject go together
    error = kept.std() * np.sqrt(1 / 700 + 1 / 300)
    assert kept.mean() == pytest.approx(0.8, abs=3 * error)
    assert kept[men].mean() < 0.75 < 0.85 < kept[~men].mean()
    grouped = coverage(model, test, 0.8, method="conformal", by="sex")
    assert grouped[men].mean() == pytest.approx(0.8, abs=3 * error * 2**0.5)
    assert grouped[~men].mean() == pytest.approx(0.8, abs=3 * error * 2**0.5)


def test_nobody_is_judged_by_a_fit_that_saw_them():
    """A memory of everybody it was fitted on makes no errors there; held out it must make them."""

    class Remembers(MeanChange):
        def _fit(self, train, validation, *args):
            super()._fit(train, validation, *args)
            self.seen_ = set(train.subjects) | (set(validation.subjects) if validation is not None else set())

        def _draw(self, cohort, wanted, *args):
            draws, mean = super()._draw(cohort, wanted, *args)
            assert not self.seen_ & set(wanted.subject)
            return draws, mean

    cohort = tiny_cohort(40, 20)
    train, validation = split_validation(cohort, fraction=0.2)
    calibrated = Remembers().fit(train, validation, seed=4).calibrate(train, validation, n_folds=4).calibration_
    paired = cohort.subjects[cohort.is_paired]
    assert sorted(calibrated.subject) == sorted(paired)
    assert sorted(calibrated.labels["sex"]) == sorted(cohort.labels["sex"][cohort.is_paired])
    assert calibrated.errors.shape == (40, 6)
    assert 0.7 < calibrated.errors.std() < 1.3


def test_calibration_and_likeness_are_saved(tmp_path: Path):
    cohort = tiny_cohort(60, 20)
    model = FeatureRegression().fit(cohort).calibrate(cohort)
    model.save(tmp_path / "model")
    expected, again = (each.impute(cohort, 40, seed=2) for each in (model, load(tmp_path / "model")))
    for how in ({}, {"by": "sex"}, {"over": "subject"}):
        for ends in zip(
            expected.interval(0.8, "conformal", **how), again.interval(0.8, "conformal", **how), strict=True
        ):
            np.testing.assert_array_equal(*ends)
    np.testing.assert_array_equal(again.likeness, expected.likeness)
    assert load(tmp_path / "model").calibration_.gap.tolist() == model.calibration_.gap.tolist()


def test_fitting_again_forgets_the_calibration_and_progress_is_told():
    cohort = tiny_cohort()
    events = []
    model = MeanChange().fit(cohort).calibrate(cohort, n_folds=3, progress=events.append)
    assert [(event["done"], event["total"]) for event in events if event["phase"] == "calibrating"] == [
        (i, 3) for i in range(4)
    ]
    assert model.fit(cohort).calibration_ is None


def test_what_cannot_be_calibrated_is_named():
    cohort = tiny_cohort(12, 0)
    with pytest.raises(NotFittedError):
        MeanChange().calibrate(cohort)
    model = MeanChange().fit(cohort)
    with pytest.raises(CohortError, match="12 subjects have two visits, too few for 20 folds"):
        model.calibrate(cohort, n_folds=20)
    with pytest.raises(SettingError, match="at least 2 draws"):
        model.calibrate(cohort, draws=1)
    with pytest.raises(SettingError, match="visits must be last or later"):
        model.calibrate(cohort, visits="all")
    with pytest.raises(SettingError, match="needs at least 19 held-out subjects, there are 12"):
        model.calibrate(cohort).impute(cohort, 40, at_years=[1]).interval(0.95, "conformal")


def test_bands_around_trajectories():
    train, test = many_visits(120, 4, 8, seed=1), many_visits(200, 4, 8, seed=2)
    test = replace(test, subjects=np.array([f"test-{i:03d}" for i in range(200)]))
    model = MixedFactor(n_factors=5, n_slopes=0).fit(train).calibrate(train, visits="later", n_folds=3)
    task = hide(test, shown=1)
    made = model.impute(task.shown, 40, seed=1)
    inside = {}
    for over in ("visit", "subject"):
        low, high = made.interval(0.8, "conformal", over=over)
        inside[over] = ((low <= task.truth) & (task.truth <= high)).reshape(200, 3, 8)
    assert inside["visit"].mean() == pytest.approx(0.8, abs=0.05)
    assert inside["subject"].all(axis=1).mean() == pytest.approx(0.8, abs=0.06)
    assert inside["visit"].all(axis=1).mean() < 0.7


def test_subjects_unlike_training_are_marked():
    train = tiny_cohort(200, 100)
    model = MeanChange().fit(train)
    singles = train.select_subjects(~train.is_paired)
    features = singles.features.copy()
    features[:3] *= 2
    made = model.impute(replace(singles, features=features), 2)
    assert made.unlike_training[:3].all()
    assert made.unlike_training[3:].mean() < 0.06
    few = MeanChange().fit(tiny_cohort(8, 0)).impute(singles, 2)
    assert few.likeness is None
    assert not few.unlike_training.any()


def test_seeds_share_what_is_known_of_training():
    models = MeanChange().fit(tiny_cohort(), seeds=[1, 2])
    assert models[0].likeness_ is models[1].likeness_ is not None
