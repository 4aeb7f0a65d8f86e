"""Conformal intervals: exact positions, levels that are kept, groups, subjects with several visits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Calibration, Imputation, hide
from nextscan.cohort.calibration import groups_of_label
from nextscan.errors import SettingError
from samples import many_visits, tiny_cohort


def calibration(errors: np.ndarray, subject: list[str] | None = None, **labels: object) -> Calibration:
    """Return a calibration with these standardised errors, shape (n, n_features)."""
    n, width = errors.shape
    names = np.array([f"held-{i:04d}" for i in range(n)] if subject is None else subject)
    return Calibration(
        errors=errors.astype(np.float32),
        subject=names,
        labels=pd.DataFrame(labels, index=range(n)),
        gap=np.ones(n),
        least_sd=np.full(width, 1e-6),
        nonnegative=np.zeros(width, bool),
        n_draws=2,
    )


def factor(known: Calibration, level: float, **options: object) -> np.ndarray:
    """Return the factors of one target."""
    found, of = known.factors(level, np.array(["new"]), **options)
    return found[of[0]]


def test_quantile_is_the_finite_sample_one() -> None:
    errors = np.array([[-3.0, 1.0], [1.0, -2.0], [2.0, np.nan], [-5.0, 4.0], [4.0, 3.0]])
    known = calibration(errors)
    np.testing.assert_array_equal(factor(known, 0.5), [3.0, 3.0])  # positions ceil(6 / 2) of 5, ceil(5 / 2) of 4
    np.testing.assert_array_equal(factor(known, 0.8), [5.0, 4.0])  # ceil(4.8) = 5 of 5, 4 of 4
    np.testing.assert_array_equal(factor(known, 2 / 3), [4.0, 4.0])  # 4 exactly, ceil(10 / 3) = 4
    with pytest.raises(SettingError, match=r"a 81% conformal interval needs at least 5 held-out subjects, there are 4"):
        factor(known, 0.81)


def test_interval_is_mean_and_factor_times_sd_and_stays_above_zero() -> None:
    known = replace(calibration(np.array([[2.0, 2.0]])), nonnegative=np.array([True, False]))
    task = hide(tiny_cohort(1, 0, n_features=2))
    draws = np.array([[[0.0, 0.0]], [[2.0, 2.0]], [[900.0, 900.0]]])
    made = Imputation("any", task.shown.feature_names, task.targets, draws, task.context, calibration=known)
    low, high = made.interval(0.5, "conformal")  # the calibration's two draws: mean 1, sd sqrt(2)
    np.testing.assert_allclose(high, [[1 + 2 * 2**0.5] * 2])
    np.testing.assert_allclose(low, [[0.0, 1 - 2 * 2**0.5]])


def test_standardised_errors_are_of_the_predictive_sd_and_a_tiny_sd_counts_as_more() -> None:
    sd = np.array([[1.0, 0.0], [0.0, 0.0]])
    made = Calibration.of(
        np.array([[3.0, 7.0], [2.0, np.nan]]),
        np.array([[1.0, 7.0], [1.0, 7.0]]),
        sd,
        subject=np.array(["a", "b"]),
        labels=pd.DataFrame(index=[5, 6]),
        gap=np.ones(2),
        nonnegative=np.ones(2, bool),
        n_draws=40,
    )
    least = 0.1 * 0.5**0.5
    np.testing.assert_allclose(made.errors, [[2.0, 0.0], [1 / least, np.nan]], rtol=1e-6)
    assert repr(made) == "<Calibration by 2 held-out visits of 2 subjects, 2 features>"


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_level_is_kept_though_the_sd_is_wrong(level: float) -> None:
    """Draws of half the spread: 40 held-out subjects, 50 features and 500 cohorts; the mean over them is known."""
    generator = np.random.default_rng(4)
    inside = []
    for _ in range(500):
        errors = 2 * generator.standard_t(3, size=(41, 50))
        inside.append(np.mean(np.abs(errors[40]) <= factor(calibration(errors[:40]), level)))
    expected = np.ceil(41 * level) / 41
    assert np.mean(inside) == pytest.approx(expected, abs=4 * np.std(inside) / np.sqrt(500))
    assert expected >= level


def test_groups_have_intervals_of_their_own() -> None:
    """A group whose spread is doubled is not covered by the common interval, but by its own."""
    generator = np.random.default_rng(2)
    patient = np.arange(3000) % 6 == 0
    errors = generator.normal(size=(3000, 4)) * np.where(patient, 2.0, 1.0)[:, None]
    label = np.where(patient, "patient", "control")
    known = calibration(errors[:1500], diagnosis=label[:1500])
    truth, labels = np.abs(errors[1500:]), pd.DataFrame({"diagnosis": label[1500:]})
    names = np.array([f"new-{i}" for i in range(1500)])
    for by, patients, controls in ((None, 0.532, 0.853), ("diagnosis", 0.8, 0.8)):
        found, of = known.factors(0.8, names, labels, by=by)
        inside = truth <= found[of]
        assert inside.mean() == pytest.approx(0.8, abs=0.02)
        assert inside[patient[1500:]].mean() == pytest.approx(patients, abs=0.04)
        assert inside[~patient[1500:]].mean() == pytest.approx(controls, abs=0.02)


def test_a_group_without_enough_subjects_is_refused_not_replaced() -> None:
    known = calibration(
        np.ones((30, 1)), sex=["F"] * 27 + ["M"] * 2 + [None], number=np.arange(30.0), name=[f"n{i}" for i in range(30)]
    )
    subject = np.array(["sub-1", "sub-2"])
    ask = {"level": 0.9, "subject": subject, "by": "sex"}
    assert known.factors(**ask, labels=pd.DataFrame({"sex": ["F", "F"]}))[0] == [[1.0]]
    with pytest.raises(
        SettingError, match="for subject sub-2 needs at least 9 held-out subjects with sex M, there are 2"
    ):
        known.factors(**ask, labels=pd.DataFrame({"sex": ["F", "M"]}))
    with pytest.raises(SettingError, match=r"for subject sub-1 .* with sex missing, there are 1; leave by out"):
        known.factors(**ask, labels=pd.DataFrame({"sex": [None, "F"]}))
    with pytest.raises(SettingError, match="with sex other, there are 0"):
        known.factors(**ask, labels=pd.DataFrame({"sex": ["other", "F"]}))
    with pytest.raises(SettingError, match="the imputed subjects have no label sex"):
        known.factors(**ask, labels=pd.DataFrame(index=range(2)))
    with pytest.raises(SettingError, match="the calibration knows no such label; there are: sex, number, name, gap"):
        known.factors(0.5, subject, by="site")
    with pytest.raises(SettingError, match="by=name: 30 different values; by needs a label with at most 20"):
        known.factors(0.5, subject, pd.DataFrame({"name": ["n1", "n2"]}), by="name")


def test_groups_of_numbers_are_thirds() -> None:
    known = calibration(np.repeat([1.0, 2.0, 3.0], 30)[:, None], age=np.arange(90.0))
    known = replace(known, gap=np.arange(90.0)[::-1])
    subject, ages = np.array(["a", "b", "c", "d"]), np.array([-5.0, 31.0, 88.0, 29.0])
    found, of = known.factors(0.9, subject, pd.DataFrame({"age": ages}), by="age")
    assert found[of].ravel().tolist() == [1.0, 2.0, 3.0, 1.0]
    found, of = known.factors(0.9, subject, None, ages, by="gap")
    assert found[of].ravel().tolist() == [3.0, 2.0, 1.0, 3.0]
    with pytest.raises(SettingError, match="for subject b needs at least 9 held-out subjects with gap missing"):
        known.factors(0.9, subject, None, np.array([1.0, np.nan, 1.0, 1.0]), by="gap")


def test_a_subject_with_many_held_out_visits_counts_once() -> None:
    """Weights 1 / 4 per subject: the least score that at least half of the weight reaches is b's."""
    errors = np.array([[9.0], [9.0], [9.0], [9.0], [1.0], [2.0]])
    known = calibration(errors, ["c", "c", "c", "c", "a", "b"])
    assert factor(known, 0.5) == 2.0
    assert factor(known, 0.7) == 9.0
    with pytest.raises(SettingError, match="needs at least 4 held-out subjects, there are 3"):
        factor(known, 0.8)


def test_bands_hold_all_visits_of_a_subject() -> None:
    """Held-out visits of a subject share an error, so visits one at a time are covered less often together."""
    generator = np.random.default_rng(7)
    visits, width = 4, 30
    n = 600
    errors = generator.normal(size=(2 * n, 1, width)) + generator.normal(size=(2 * n, visits, width))
    names = np.repeat([f"held-{i}" for i in range(n)], visits).tolist()
    known = calibration(errors[:n].reshape(-1, width), names)
    largest = np.abs(errors[n:]).max(axis=1)
    subject = np.repeat("new", visits)
    kept = {}
    for over in ("visit", "subject"):
        found, of = known.factors(0.9, subject, over=over)
        kept[over] = (largest <= found[of[0]]).mean()
    assert kept["subject"] == pytest.approx(0.9, abs=0.015)
    assert kept["visit"] < 0.8
    found, of = known.factors(0.9, subject, over="visit")
    assert (np.abs(errors[n:]) <= found[0]).mean() == pytest.approx(0.9, abs=0.015)
    with pytest.raises(
        SettingError, match=r"held-out subjects and 5 or more held-out visits, there are 0; .*visits='later'"
    ):
        known.factors(0.9, np.repeat("new", 5), over="subject")


def test_what_is_asked_wrongly_is_named() -> None:
    task = hide(tiny_cohort(3, 0))
    draws = np.random.default_rng(0).normal(size=(20, 3, 6))
    made = Imputation("any", task.shown.feature_names, task.targets, draws, task.context)
    with pytest.raises(SettingError, match=r"call calibrate after fit \(nextscan fit --conformal\)"):
        made.interval(0.9, "conformal")
    with pytest.raises(SettingError, match="by and over are for conformal ones, got method='draws', by='sex'"):
        made.interval(0.8, by="sex")
    few = replace(made, calibration=replace(calibration(np.ones((30, 6))), n_draws=40))
    with pytest.raises(SettingError, match="calibrated with 40 draws, there are 20; impute with at least 40 draws"):
        few.interval(0.9, "conformal")
    with pytest.raises(SettingError, match="between 0 and 1"):
        factor(calibration(np.ones((3, 1))), 1.0)
    with pytest.raises(SettingError, match="over must be visit or subject"):
        factor(calibration(np.ones((3, 1))), 0.5, over="all")


def test_groups_are_the_same_after_saving() -> None:
    labels = {"sex": ["F", None, "M"], "site": [1, 2, 2], "known": [True, False, True], "age": [60.5, np.nan, 71.0]}
    known = calibration(np.arange(6.0).reshape(3, 2), **labels)
    again = Calibration.from_state(known.state())
    np.testing.assert_array_equal(again.errors, known.errors)
    assert again.subject.tolist() == known.subject.tolist()
    assert again.n_draws == 2
    for name in labels:
        assert groups_of_label(again.labels[name]) == groups_of_label(known.labels[name])


def test_all_visits_after_the_first_can_be_hidden() -> None:
    cohort = many_visits(3, n_visits=4, n_features=2)
    task = hide(cohort, shown=1)
    assert task.targets.visit.tolist() == ["2", "3", "4"] * 3
    np.testing.assert_array_equal(task.truth, cohort.features[cohort.visits != "1"])
    np.testing.assert_array_equal(task.context, np.repeat(cohort.features[cohort.visits == "1"], 3, axis=0))
