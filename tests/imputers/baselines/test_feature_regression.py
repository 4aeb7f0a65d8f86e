from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import folds, hide, merge
from nextscan.errors import TooFewPairsError
from nextscan.imputers import make_imputer
from nextscan.imputers.baselines.feature_regression import FeatureRegression
from nextscan.metrics import crps, energy_score, pearson_per_feature, rmse
from nextscan.reading import read_cohort
from samples import tiny_cohort


def visits(cohort):
    return cohort.features[cohort.visits == "1"], cohort.features[cohort.visits == "2"]


def test_lines_are_least_squares_and_residuals_leave_their_own_pair_out():
    cohort = tiny_cohort(n_paired=25, n_single=0)
    model = FeatureRegression().fit(cohort)
    x, y = visits(cohort)
    left_out = np.empty((25, 6))
    for j in range(6):
        assert [model.slope_[j], model.intercept_[j]] == pytest.approx(np.polyfit(x[:, j], y[:, j], 1))
        for i in range(25):
            line = np.polyfit(np.delete(x[:, j], i), np.delete(y[:, j], i), 1)
            left_out[i, j] = y[i, j] - np.polyval(line, x[i, j])
    assert model.residuals_ == pytest.approx(left_out - left_out.mean(axis=0))


def test_mean_is_on_the_line(cohort):
    train, task = cohort.select_subjects(range(30)), hide(cohort.select_subjects(range(30, 40)))
    model = FeatureRegression().fit(train)
    assert model.impute(task.shown, 2).mean() == pytest.approx(model.intercept_ + model.slope_ * task.context)


def test_missing_follow_up_cells_are_left_out_feature_by_feature(cohort):
    features = cohort.features.copy()
    features[np.flatnonzero(cohort.visits == "2")[8:20], 1] = np.nan
    model = FeatureRegression().fit(replace(cohort, features=features))
    x, y = visits(cohort)
    x, y = x[:40], y[:40]
    keep = np.r_[0:8, 20:40]
    assert model.slope_[1] == pytest.approx(np.polyfit(x[keep, 1], y[keep, 1], 1)[0])
    assert model.slope_[2] == pytest.approx(np.polyfit(x[:, 2], y[:, 2], 1)[0])
    assert np.isfinite(model.residuals_).all()


def test_constant_context_and_a_single_deviating_pair_are_harmless(cohort):
    features = cohort.features.copy()
    first = np.flatnonzero(cohort.visits == "1")
    features[first, 0] = 4.0
    features[first, 1] = 0.0
    features[first[3], 1] = 1.0  # this pair alone determines the slope
    model = FeatureRegression().fit(replace(cohort, features=features))
    follow_up = cohort.features[cohort.visits == "2"]
    assert model.slope_[0] == 0
    assert model.intercept_[0] == pytest.approx(follow_up[:, 0].mean())
    assert np.isfinite(model.residuals_).all()
    assert np.abs(model.residuals_[:, 1]).max() < 10 * follow_up[:, 1].std()


def test_four_pairs_are_too_few():
    with pytest.raises(TooFewPairsError):
        FeatureRegression().fit(tiny_cohort(n_paired=4))


@pytest.mark.minutes
def test_known_figures_of_a_real_cohort(shared_data):
    """Baselines on 165 people scanned twice, 5 folds x 3 repeats, as in the notes beside the data."""
    cohort = read_cohort(
        shared_data / "features" / "nimh_cz" / "LNM_data.csv", exclude=["EstimatedTotalIntraCranialVol"]
    )
    assert cohort.n_features == 184
    scores: dict[str, list[list[float]]] = {}
    for split in folds(cohort, 5, repeats=3, seed=0):
        paired = merge(split.train, split.validation)
        unit = paired.features[paired.visits == paired.visits[0]].std(axis=0)
        task = hide(split.test)
        for name in ("carry-forward", "mean-change", "feature-regression", "ridge", "reliability"):
            result = make_imputer(name).fit(split.train, split.validation).impute(task.shown, 40, seed=1)
            truth, draws, mean = task.truth / unit, result.draws / unit, result.mean() / unit
            scores.setdefault(name, []).append(
                [
                    pearson_per_feature(truth, mean[None]).value,
                    rmse(truth, mean).value,
                    crps(truth, draws).mean(),
                    energy_score(truth, draws).mean(),
                ]
            )
    found = {name: np.mean(values, axis=0) for name, values in scores.items()}
    assert (np.abs(found["carry-forward"] - [0.904, 0.442, 0.231, 4.07]) < [0.003, 0.005, 0.002, 0.06]).all()
    assert (np.abs(found["mean-change"] - [0.904, 0.439, 0.231, 4.07]) < [0.003, 0.005, 0.002, 0.06]).all()
    assert (np.abs(found["feature-regression"] - [0.904, 0.430, 0.227, 3.99]) < [0.003, 0.005, 0.002, 0.06]).all()
    # Between ridge of the change (4.06) and of the follow-up (6.17), the learned carried fraction beats both.
    assert found["ridge"][3] < found["feature-regression"][3] + 0.01
    assert found["reliability"][3] < found["carry-forward"][3]
