"""Ceilings and gains of single features, by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import hide
from nextscan.study.feature_differences import Predicted, feature_differences
from samples import tiny_cohort


def table(truth, context, predicted, pairs=()) -> pd.DataFrame:
    names = [f"f{i}" for i in range(truth.shape[1])]
    rows = feature_differences(truth, context, predicted, pairs, feature_names=names)
    return pd.DataFrame(rows)


def pick(found: pd.DataFrame, metric: str, method: str = "", against: str = "") -> pd.DataFrame:
    rows = (found["metric"] == metric) & (found["method"] == method) & (found["against"] == against)
    return found[rows].set_index("feature")


def test_ceiling_and_explained_share_of_four_subjects() -> None:
    truth = np.array([[1.0], [-1.0], [1.0], [-1.0]]) * 10 + 500
    context = truth - np.array([[2.0], [2.0], [-2.0], [-2.0]])  # change varies by 4, the follow-up by 100
    mean = truth + np.array([[5.0], [5.0], [-5.0], [-5.0]])
    found = table(truth, context, {"m": Predicted(mean)})
    assert pick(found, "reliability_ceiling")["value"]["f0"] == pytest.approx(1 - 4 / 200)
    assert pick(found, "r2", "m")["value"]["f0"] == pytest.approx(1 - 25 / 100)
    assert pick(found, "r2_left", "m")["value"]["f0"] == pytest.approx(0.98 - 0.75)
    assert found["p"].isna().all()


def test_the_ceiling_is_the_reliability_of_a_visit_where_all_change_alike_and_never_above_the_true_one() -> None:
    generator = np.random.default_rng(1)
    n = 20_000
    stable = generator.normal(size=(n, 3))
    noise = np.array([0.2, 0.5, 1.0])
    context = stable + noise * generator.normal(size=(n, 3))
    truth = stable - 0.3 + noise * generator.normal(size=(n, 3))
    # The third feature's true value changes, too: the ceiling is then a lower bound.
    truth[:, 2] += 0.5 * generator.normal(size=n)
    found = pick(table(truth, context, {}), "reliability_ceiling")
    expected = 1 / (1 + noise**2)
    np.testing.assert_allclose(found["value"][:2], expected[:2], atol=0.01)
    assert (found["low"][:2] < expected[:2]).all()
    assert (expected[:2] < found["high"][:2]).all()
    assert found["high"].iloc[2] < 1 - 1 / (1 + 0.25 + 1)  # noise 1 of a variance of 2.25


def test_noise_alone_leaves_nothing_to_predict() -> None:
    context, truth = np.random.default_rng(2).normal(size=(2, 500, 1))
    found = table(truth, context, {})
    assert found["value"].iloc[0] == pytest.approx(0, abs=0.1)
    assert found["low"].iloc[0] == 0


def test_gains_are_paired_and_false_discoveries_are_held_down() -> None:
    generator = np.random.default_rng(3)
    n, n_features = 400, 60
    hidden = generator.normal(size=(n, n_features))
    truth = hidden + generator.normal(size=hidden.shape)
    knows = np.arange(n_features) < 20
    better = np.where(knows, 0.5 * hidden, 0.2 * generator.normal(size=hidden.shape))
    noisy = 0.2 * generator.normal(size=hidden.shape)
    crps = np.abs(truth)
    predicted = {
        "better": Predicted(better, 0.9 * crps),
        "reference": Predicted(np.where(knows, 0.0, noisy), crps),
        "silent": Predicted(better),
    }
    found = table(truth, truth, predicted, [("better", "reference"), ("silent", "reference")])
    gain = pick(found, "squared_error_gain", "better", "reference")
    reference = np.where(knows, 0.0, noisy)
    expected = 1 - ((better - truth) ** 2).mean(axis=0) / ((reference - truth) ** 2).mean(axis=0)
    np.testing.assert_allclose(gain["value"], expected)
    assert (gain["q"].to_numpy()[knows] <= 0.05).all()
    assert (gain["q"].to_numpy()[~knows] <= 0.05).sum() <= 3
    np.testing.assert_allclose(
        pick(found, "r2_gain", "better", "reference")["value"],
        pick(found, "r2", "better")["value"] - pick(found, "r2", "reference")["value"],
    )
    gain = pick(found, "crps_gain", "better", "reference")
    np.testing.assert_allclose(gain[["value", "low", "high"]], 0.1)
    assert pick(found, "crps_gain", "silent", "reference").empty


def test_without_any_true_gain_p_is_honest_and_nothing_is_discovered() -> None:
    generator = np.random.default_rng(6)
    truth = generator.normal(size=(200, 500))
    one, other = 0.3 * generator.normal(size=(2, *truth.shape))
    found = table(truth, truth, {"a": Predicted(one), "b": Predicted(other)}, [("a", "b")])
    gain = pick(found, "squared_error_gain", "a", "b")
    assert 0.03 < (gain["p"] <= 0.05).mean() < 0.07
    assert (gain["q"] > 0.05).all()


def test_gaps_constant_features_and_equal_methods() -> None:
    generator = np.random.default_rng(4)
    truth, context = generator.normal(size=(2, 50, 3))
    truth[:20, 0] = np.nan
    truth[:, 1] = 7.0
    truth[:, 2] = np.nan
    same = Predicted(context)
    found = table(truth, context, {"a": same, "b": same}, [("a", "b")])
    gain = pick(found, "squared_error_gain", "a", "b")
    assert gain.loc["f0", ["value", "low", "high", "p", "q", "n"]].tolist() == [0, 0, 0, 1, 1, 30]
    assert gain.loc[["f1", "f2"], ["value", "low", "p", "q"]].isna().all(axis=None)


def test_of_a_run(run: Path) -> None:
    found = pd.read_csv(run / "feature_differences.csv", keep_default_na=False, na_values=[""])
    task = hide(tiny_cohort())
    r2 = found[(found["metric"] == "r2") & (found["method"] == "far")].set_index("feature")["value"]
    error = ((task.context + 1 - task.truth) ** 2).mean(axis=0)
    np.testing.assert_allclose(r2, 1 - error / task.truth.var(axis=0), rtol=1e-4)
    change = (task.truth - task.context).var(axis=0)
    ceiling = found[found["metric"] == "reliability_ceiling"]["value"]
    np.testing.assert_allclose(ceiling, 1 - change / task.truth.var(axis=0) / 2)
    paired = found[found["metric"] == "crps_gain"]
    assert set(paired["against"]) == {"reliability"}
    assert set(paired["method"]) == {"near", "far", "carry-forward", "mean-change", "feature-regression", "ridge"}
    scores = pd.read_csv(run / "feature_scores.csv").set_index(["metric", "method", "feature"])["value"]
    ratio = scores["crps"]["far"] / scores["crps"]["reliability"]
    mine = paired[paired["method"] == "far"].set_index("feature")["value"]
    np.testing.assert_allclose(mine, 1 - ratio[mine.index], rtol=0.02)  # folds of 14 and 13
