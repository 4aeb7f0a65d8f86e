"""Paired differences by hand, and of a run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.errors import RunFolderError, SettingError
from nextscan.report.metric_catalogue import metric
from nextscan.study import paired_differences
from nextscan.study.differences import against_best


def table(**scores: list[float]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "method": method,
                "subject": [f"s{i}" for i in range(len(values))],
                "visit": "2",
                "metric": "crps",
            }
        ).assign(value=values, seed=1, repeat=0)
        for method, values in scores.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_mean_difference_over_the_same_subjects() -> None:
    generator = np.random.default_rng(1)
    base = 100 * generator.random(400)
    gain = generator.normal(0.5, 1, 400)
    result = paired_differences(table(a=list(base), b=list(base + gain)), "crps", reference="a").set_index("method")
    assert result.loc["a", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    error = gain.std() / 20
    assert result.loc["b", "difference"] == pytest.approx(gain.mean())
    # Far narrower than the spread of the scores themselves: the pairing counts.
    assert result.loc["b", "low"] == pytest.approx(gain.mean() - 1.96 * error, abs=0.3 * error)
    assert result.loc["b", "high"] == pytest.approx(gain.mean() + 1.96 * error, abs=0.3 * error)
    assert result.loc["b", "n"] == 400


def test_seeds_and_repeats_are_averaged_first_and_gaps_left_out() -> None:
    scores = pd.concat([table(a=[1.0, 2.0, 5.0], b=[2.0, 4.0, np.nan]), table(b=[4.0, 4.0, np.nan]).assign(seed=2)])
    result = paired_differences(scores, "crps", reference="a").set_index("method")
    assert result.loc["b", "difference"] == pytest.approx(((3 - 1) + (4 - 2)) / 2)
    assert result.loc["b", "n"] == 2


def test_a_method_without_the_score_has_no_difference() -> None:
    result = paired_differences(table(a=[1.0, 2.0], b=[np.nan, np.nan]), "crps", reference="a")
    assert np.isnan(result["difference"][1])
    assert result["n"][1] == 0


def test_of_a_run_folder(run: Path) -> None:
    result = paired_differences(run, "energy_score", reference="near").set_index("method")
    assert result.loc["far", "low"] > 0  # one unit off is worse, surely
    scores = pd.read_csv(run / "scores.csv")
    pooled = scores[(scores["seed"] == "all") & (scores["metric"] == "energy_score")].set_index("method")["value"]
    assert result.loc["far", "difference"] == pytest.approx(pooled["far"] - pooled["near"])


def test_what_is_not_there_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no scores of nobody by crps .* there are near, far, carry-forward"):
        paired_differences(run, "crps", reference="nobody")
    with pytest.raises(SettingError, match="none at all"):
        paired_differences(run, "frechet_distance", reference="near")
    with pytest.raises(RunFolderError, match=r"subject_scores\.parquet: cannot be read"):
        paired_differences(tmp_path, "crps", reference="near")


def test_against_the_best_row_and_the_best_baseline() -> None:
    generator = np.random.default_rng(5)
    hard = generator.gamma(2, 5, 300)  # how hard each subject is: far more than methods differ
    cosmetic = 0.01 * generator.normal(size=300)
    energy = {
        "oracle": hard - 1,
        "new": hard,
        "ridge": hard + cosmetic - cosmetic.mean() + 1e-6,
        "carry-forward": hard + 0.2 + 0.1 * generator.normal(size=300),
    }
    subjects = {method: {"energy_score": values} for method, values in energy.items()}
    found = pd.DataFrame(against_best(subjects)).set_index(["role", "method"])
    assert set(found.loc["best", "against"]) == {"new"}
    assert set(found.loc["best baseline", "against"]) == {"ridge"}
    assert found.loc[("best", "new"), ["difference", "low", "high"]].tolist() == [0, 0, 0]
    tied = found.loc[("best", "ridge")]
    assert tied["low"] < 0 < tied["high"]
    worse = found.loc[("best", "carry-forward")]
    assert worse["difference"] == pytest.approx((energy["carry-forward"] - hard).mean())
    assert 0.17 < worse["low"] < worse["high"] < 0.24  # though the scores' own intervals overlap widely
    assert found.loc[("best", "oracle"), "difference"] == pytest.approx(-1)


def test_direction_and_target_decide_who_is_best() -> None:
    ones = np.ones(50)
    subjects = {
        "low": {"coverage_80": 0.7 * ones, "change_correlation": 0.1 * ones},
        "high": {"coverage_80": 0.95 * ones, "change_correlation": 0.3 * ones},
        "ridge": {"coverage_80": 0.5 * ones, "change_correlation": np.nan * ones},
    }
    found = pd.DataFrame(against_best(subjects))
    best = found[found["role"] == "best"].set_index(["metric", "method"])
    assert best.loc[("coverage_80", "high"), "against"] == "low"
    assert best.loc[("coverage_80", "high"), "difference"] == pytest.approx(0.15 - 0.1)
    assert set(best.loc["change_correlation", "against"]) == {"high"}
    assert "ridge" not in best.loc["change_correlation"].index
    baseline = found[found["role"] == "best baseline"]
    assert set(baseline["metric"]) == {"coverage_80"}


def test_the_directions_are_those_of_the_report(run: Path) -> None:
    found = pd.read_csv(run / "differences.csv")
    scores = pd.read_csv(run / "scores.csv")
    pooled = scores[(scores[["seed", "repeat", "fold", "group"]] == "all").all(axis=1)]
    for name, rows in found[found["role"] == "best"].groupby("metric"):
        values = pooled[pooled["metric"] == name].set_index("method")["value"]
        badness = values.map(metric(name).badness)
        expected = badness[rows["method"]].to_numpy() - badness[rows["against"]].to_numpy()
        sign = -1 if metric(name).better == "higher" else 1
        np.testing.assert_allclose(rows["difference"], sign * expected, atol=1e-9)
        assert badness[rows["against"].iloc[0]] == badness.min()
