"""The scores of a fold are the metrics on the right scale."""

import numpy as np
import pytest

from nextscan import metrics
from nextscan.cohort import folds, hide
from nextscan.study.scoring import LEVELS, score_fold
from nextscan.study.units import Units, visit_rows
from samples import tiny_cohort
from study.shift_imputer import Shift


@pytest.fixture(scope="module")
def scored():
    split = next(iter(folds(tiny_cohort(n_paired=80), 2)))  # 40 test subjects: more than one part
    task, units = hide(split.test), Units.of(split)
    imputation = Shift(offset=0.3).fit(split.train, split.validation).impute(task.shown, draws=12, seed=3)
    follow_ups = split.train.features[visit_rows(split.train)[1]]
    return task, units, imputation, follow_ups, score_fold(task, imputation, units, follow_ups)


def test_published_scale_for_similarity(scored) -> None:
    task, units, imputation, _, scores = scored
    real, drawn = units.published(task.truth), units.published(imputation.draws)
    np.testing.assert_allclose(scores.by_subject["euclidean"], metrics.euclidean(real, drawn))
    mean = units.published(imputation.mean())[None]
    np.testing.assert_allclose(scores.by_subject["cosine_distance_of_mean"], metrics.cosine_distance(real, mean))
    np.testing.assert_allclose(scores.by_subject["pearson_per_subject"], metrics.pearson_per_subject(real, drawn))


def test_first_visit_spread_for_proper_scores(scored) -> None:
    task, units, imputation, _, scores = scored
    real, drawn = task.truth / units.sd, imputation.draws / units.sd
    np.testing.assert_allclose(scores.by_subject["crps"], metrics.crps(real, drawn).mean(axis=1))
    np.testing.assert_allclose(scores.by_feature["crps"], metrics.crps(real, drawn).mean(axis=0))
    np.testing.assert_allclose(scores.by_subject["energy_score"], metrics.energy_score(real, drawn))
    error = (imputation.mean() - task.truth) / units.sd
    assert scores.by_subject["rmse"].mean() == pytest.approx(np.sqrt((error**2).mean()))


def test_group_scores_average_to_the_score(scored) -> None:
    task, _, imputation, _, scores = scored
    expected = metrics.pearson_per_feature(task.truth, imputation.draws).value
    assert scores.by_subject["pearson_per_feature"].mean() == pytest.approx(expected)
    assert np.isnan(scores.by_subject["change_correlation"]).all()  # the same change for everybody
    assert scores.by_subject["sd_ratio"].mean() == pytest.approx(
        (imputation.draws.std(axis=1) / task.truth.std(axis=0)).mean(), rel=1e-5
    )


def test_coverage_at_every_level_the_draws_can_give(scored) -> None:
    task, _, imputation, _, scores = scored
    expected = metrics.coverage(task.truth, imputation.draws, 0.8).mean(axis=1)
    np.testing.assert_allclose(scores.by_subject["coverage_80"], expected)
    assert np.isnan(scores.by_subject["coverage_95"]).all()  # 12 draws give at most 1 - 2 / 13
    assert LEVELS[~np.isnan(scores.covered).any(axis=0)].max() == 0.8
    assert (np.diff(scores.covered[:, :16], axis=1) >= 0).all()


def test_one_test_subject_is_scored_but_has_no_distribution() -> None:
    """Leave-one-out is what is left to a handful of pairs."""
    split = next(iter(folds(tiny_cohort(n_paired=4), 4)))
    task = hide(split.test)
    imputation = Shift().fit(split.train, split.validation).impute(task.shown, draws=4, seed=3)
    follow_ups = split.train.features[visit_rows(split.train)[1]]
    scores = score_fold(task, imputation, Units.of(split), follow_ups)
    assert np.isnan(list(scores.against_training.values())).all()
    assert np.isfinite(scores.by_subject["energy_score"]).all()


def test_against_training(scored) -> None:
    _, units, imputation, follow_ups, scores = scored
    drawn = units.published(imputation.draws[0])
    expected = metrics.frechet_distance(units.published(follow_ups), drawn)
    assert scores.against_training["frechet_distance_train"] == pytest.approx(expected)
    assert set(scores.against_training) == {
        "frechet_distance_train",
        "mean_correlation_train",
        "covariate_correlation_gap_train",
    }
