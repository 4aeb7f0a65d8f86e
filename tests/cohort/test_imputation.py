"""The result: mean, spread, intervals that keep their level, yearly change, long form."""

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import Imputation, hide
from nextscan.errors import SettingError
from samples import tiny_cohort


@pytest.fixture
def imputation() -> Imputation:
    task = hide(tiny_cohort(5, 0))
    draws = np.random.default_rng(0).normal(size=(39, 5, 6)) + task.context
    return Imputation("any", task.shown.feature_names, task.targets, draws, task.context)


def test_mean_is_exact_where_there_is_one(imputation: Imputation) -> None:
    np.testing.assert_allclose(imputation.mean(), imputation.draws.mean(0))
    assert replace(imputation, exact_mean=imputation.context).mean() is imputation.context
    np.testing.assert_allclose(imputation.sd(), imputation.draws.std(0, ddof=1))
    assert repr(imputation) == "<Imputation by any: 5 visits, 6 features, 39 draws each>"


def test_interval_ends_are_order_positions(imputation: Imputation) -> None:
    ordered = np.sort(imputation.draws, axis=0)
    low, high = imputation.interval(0.95)  # 39 draws: positions 1 and 39 of 40
    np.testing.assert_allclose(low, ordered[0])
    np.testing.assert_allclose(high, ordered[-1])
    low, high = imputation.interval(0.8)  # positions 4 and 36
    np.testing.assert_allclose(low, ordered[3])
    np.testing.assert_allclose(high, ordered[35])


def test_interval_keeps_its_level() -> None:
    numbers = np.random.default_rng(1).normal(size=(20, 20_000))
    task = hide(tiny_cohort(1, 0, n_features=20_000))
    made = Imputation("any", task.shown.feature_names, task.targets, numbers[1:, None], task.context)
    low, high = made.interval(0.8)
    assert ((low <= numbers[0]) & (numbers[0] <= high)).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(("level", "message"), [(0.99, "at least 199 draws, there are 39"), (1.0, "between 0 and 1")])
def test_interval_refuses_what_it_cannot_keep(imputation: Imputation, level: float, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        imputation.interval(level)


def test_annual_change_in_percent(imputation: Imputation) -> None:
    gap = imputation.requested.gap
    made = replace(imputation, exact_mean=imputation.context * 1.1)
    np.testing.assert_allclose(made.annual_change(), 10 / np.repeat(gap[:, None], 6, axis=1))
    unknown = replace(made, requested=replace(made.requested, gap=np.full(5, np.nan)))
    assert np.isnan(unknown.annual_change()).all()


def test_long_form_holds_every_draw(imputation: Imputation) -> None:
    frame = imputation.to_frame()
    assert frame.shape == (39 * 5, 4 + 6)
    row = frame[(frame["draw"] == 7) & (frame["subject"] == "sub-003")].iloc[0]
    assert row["feature-4"] == imputation.draws[6, 3, 4]
    assert row["years"] == imputation.requested.years[3]
