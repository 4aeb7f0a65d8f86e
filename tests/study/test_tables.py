"""The tables of a run folder, read as the report reads them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan import metrics
from nextscan.cohort import hide
from nextscan.study.plan import QUANTILES
from samples import tiny_cohort

BASELINES = ["carry-forward", "mean-change", "feature-regression", "ridge", "reliability"]
FEATURES = list(tiny_cohort().feature_names)


def test_predictions(run: Path) -> None:
    frame = pd.read_parquet(run / "predictions.parquet")
    assert list(frame.columns) == ["method", "fold", "subject", "visit", "years", "gap", "kind", *FEATURES]
    task = hide(tiny_cohort())
    truth = frame[frame["kind"] == "truth"].set_index("subject").loc[task.targets.subject]
    np.testing.assert_allclose(truth[FEATURES], task.truth, rtol=1e-6)
    np.testing.assert_allclose(truth["gap"], task.targets.gap)
    context = frame[frame["kind"] == "context"].set_index("subject").loc[task.targets.subject]
    np.testing.assert_allclose(context[FEATURES], task.context, rtol=1e-6)
    assert set(context["visit"]) == {"1"}
    assert set(context["years"]) == {0.0}
    assert (truth["fold"] == context["fold"]).all()
    assert truth["fold"].value_counts().to_dict() == {0: 14, 1: 13, 2: 13}
    far = frame[(frame["method"] == "far") & (frame["kind"] == "mean")].set_index("subject").loc[truth.index]
    np.testing.assert_allclose(far[FEATURES], task.context + 1, rtol=1e-6)
    assert (far["fold"] == truth["fold"]).all()
    counts = frame.groupby(["method", "kind"]).size()
    assert set(counts) == {40}
    assert set(counts.index) == {("", "context"), ("", "truth")} | {
        (method, kind) for method in ["near", "far", *BASELINES] for kind in ("mean", "draw")
    }


def test_draws_on_request(run: Path) -> None:
    assert {path.stem for path in (run / "draws").iterdir()} == {"near", "far", *BASELINES}
    draws = pd.read_parquet(run / "draws" / "near.parquet")
    assert list(draws.columns) == ["subject", "visit", "years", "draw", *FEATURES]
    assert (draws.groupby("subject")["draw"].apply(sorted).map(tuple) == tuple(range(1, 10))).all()
    predictions = pd.read_parquet(run / "predictions.parquet")
    shown = predictions[(predictions["method"] == "near") & (predictions["kind"] == "draw")].set_index("subject")
    first = draws[draws["draw"] == 1].set_index("subject").loc[shown.index]
    np.testing.assert_array_equal(first[FEATURES], shown[FEATURES])


def test_fans_are_quantiles_of_the_draws(run: Path) -> None:
    fans = pd.read_parquet(run / "fans.parquet")
    assert fans["subject"].nunique() == 6
    assert set(fans["method"]) == {"near", "far", *BASELINES}
    assert len(fans) == 6 * 7 * len(QUANTILES) * len(FEATURES)
    draws = pd.read_parquet(run / "draws" / "near.parquet")
    subject = fans["subject"].iloc[0]
    mine = fans[(fans["method"] == "near") & (fans["subject"] == subject) & (fans["feature"] == "feature-4")]
    expected = np.quantile(draws.loc[draws["subject"] == subject, "feature-4"], QUANTILES, method="weibull")
    np.testing.assert_allclose(mine.set_index("quantile")["value"].loc[list(QUANTILES)], expected, rtol=1e-6)


def test_subject_scores_average_to_the_table(run: Path) -> None:
    subjects = pd.read_parquet(run / "subject_scores.parquet")
    assert list(subjects.columns) == [
        "method",
        "seed",
        "repeat",
        "fold",
        "subject",
        "visit",
        "metric",
        "value",
    ]
    assert set(subjects["visit"]) == {"2"}
    scores = pd.read_csv(run / "scores.csv")
    one = scores[(scores["method"] == "ridge") & (scores["repeat"] == "1") & (scores["fold"] == "2")]
    table = one.set_index("metric")["value"]
    mine = subjects[(subjects["method"] == "ridge") & (subjects["repeat"] == 1) & (subjects["fold"] == 2)]
    means = mine.groupby("metric")["value"].mean()
    np.testing.assert_allclose(means, table.loc[means.index])


def test_scores_can_be_computed_from_the_draws(run: Path) -> None:
    predictions = pd.read_parquet(run / "predictions.parquet")
    scores = pd.read_csv(run / "scores.csv")
    values = []
    for fold in range(3):
        here = predictions[predictions["fold"] == fold]
        real = here[here["kind"] == "truth"].set_index("subject")[FEATURES].to_numpy(float)
        mean = here[(here["method"] == "ridge") & (here["kind"] == "mean")].set_index("subject")
        mean = mean.loc[here.loc[here["kind"] == "truth", "subject"], FEATURES].to_numpy(float)
        values.append(metrics.pearson_per_feature(real, mean[None]).value)
        row = scores[
            (scores["method"] == "ridge")
            & (scores["repeat"] == "0")
            & (scores["fold"] == str(fold))
            & (scores["metric"] == "pearson_per_feature_of_mean")
        ]
        assert row["value"].item() == pytest.approx(values[-1], rel=1e-5)
    features = pd.read_csv(run / "feature_scores.csv")
    mine = features[(features["method"] == "ridge") & (features["metric"] == "pearson_per_feature_of_mean")]
    assert list(mine["feature"]) == FEATURES
    assert mine["value"].mean() == pytest.approx(np.mean(values), rel=1e-5)


def test_learning_curves(run: Path) -> None:
    learning = pd.read_csv(run / "learning.csv")
    assert len(learning) == 2 * 2 * 2 * 3  # methods, seeds, repeats, folds
    expected = "method seed repeat fold epoch step train_loss validation_score skipped clipped seconds"
    assert " ".join(learning.columns) == expected
    assert learning["train_loss"].eq(0.5).all()
    assert learning["validation_score"].isna().all()


def test_calibration(run: Path) -> None:
    calibration = pd.read_csv(run / "calibration.csv").set_index(["method", "level"])
    scores = pd.read_csv(run / "scores.csv")
    pooled = scores[(scores["seed"] == "all") & (scores["metric"] == "coverage_80")].set_index("method")
    for method in ("near", "far", *BASELINES):
        assert calibration.loc[(method, 0.8), "coverage"] == pytest.approx(pooled.loc[method, "value"])
        assert calibration.loc[(method, 0.8), "low"] <= calibration.loc[(method, 0.8), "coverage"]
    assert calibration.loc["near"].index.max() == 0.8  # all that 9 draws can give
