"""Whole evaluations: what they write, how they resume, and how they fail."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nextscan.errors import CohortError, NextscanError, NextscanWarning, OutputError, SettingError
from nextscan.study import evaluate
from samples import tiny_cohort
from study.shift_imputer import Shift

pytestmark = pytest.mark.minutes

SETTINGS: dict[str, Any] = {"n_folds": 2, "draws": 5}


def pooled(run: Path) -> pd.DataFrame:
    scores = pd.read_csv(run / "scores.csv", dtype={"seed": str, "repeat": str, "fold": str})
    whole = (scores[["seed", "repeat", "fold", "group"]] == "all").all(axis=1)
    return scores[whole].pivot(index="method", columns="metric", values="value")


def test_every_score_of_every_row(run: Path) -> None:
    table = pooled(run)
    similarity = ("pearson_per_feature", "pearson_per_subject", "euclidean", "cosine_distance")
    distribution = ("frechet_distance", "mean_correlation", "covariate_correlation_gap")
    assert set(table.columns) == {
        *similarity,
        *(f"{name}_of_mean" for name in similarity),
        *distribution,
        *(f"{name}_train" for name in distribution),
        *("rmse", "crps", "energy_score", "coverage_80", "coverage_95", "sd_ratio", "change_correlation"),
    }
    baselines = {"carry-forward", "mean-change", "feature-regression", "ridge", "reliability"}
    assert set(table.index) == {"near", "far"} | baselines
    assert table["coverage_95"].isna().all()  # 9 draws
    alone = ["near", "far", "carry-forward", "mean-change"]
    assert table.loc[alone, "change_correlation"].isna().all()
    assert table["change_correlation"].notna().sum() == 3
    assert table.drop(columns=["coverage_95", "change_correlation"]).notna().all(axis=None)
    assert table.loc["far", "rmse"] > table.loc["near", "rmse"]
    assert table.loc["far", "pearson_per_feature_of_mean"] == pytest.approx(
        table.loc["carry-forward", "pearson_per_feature_of_mean"]
    )
    scores = pd.read_csv(run / "scores.csv")
    assert set(scores["study"]) == {"small"}
    assert set(scores["cohort"]) == {"tiny"}


def test_a_second_call_does_no_work_and_gives_the_same(tmp_path: Path, fits: list[int]) -> None:
    run = evaluate(tiny_cohort(), {"mine": Shift()}, out=tmp_path / "run", seeds=2, **SETTINGS)
    assert sorted(fits) == [1, 1, 2, 2]
    before = (run / "scores.csv").read_bytes()
    evaluate(tiny_cohort(), {"mine": Shift()}, out=run, seeds=2, **SETTINGS)
    assert len(fits) == 4
    assert (run / "scores.csv").read_bytes() == before
    evaluate(tiny_cohort(), {"mine": Shift()}, out=run, seeds=3, repeats=2, **SETTINGS)
    assert sorted(fits[4:]) == [1, 1, 2, 2, 3, 3, 3, 3]  # seed 3 everywhere, seeds 1 and 2 in the new repeat


def test_a_killed_run_goes_on_to_the_same_result(
    tmp_path: Path, fits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(tiny_cohort(), {"mine": Shift()}, out=tmp_path / "whole" / "run", seeds=2, **SETTINGS)
    fits.clear()
    fit = Shift._fit

    def killed(self: Shift, train: Any, *others: Any) -> None:
        if len(fits) == 3:
            raise KeyboardInterrupt
        fit(self, train, *others)

    with monkeypatch.context() as patch:
        patch.setattr(Shift, "_fit", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(tiny_cohort(), {"mine": Shift()}, out=tmp_path / "run", seeds=2, **SETTINGS)
    assert not (tmp_path / "run" / "scores.csv").exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is None
    fits.clear()
    run = evaluate(tiny_cohort(), {"mine": Shift()}, out=tmp_path / "run", seeds=2, **SETTINGS)
    assert len(fits) == 2  # the first fold was kept
    for name in ("scores.csv", "calibration.csv", "feature_scores.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert not list((run / "jobs").glob("*.checkpoint"))


def test_a_failing_method_is_listed_and_the_others_go_on(tmp_path: Path, fits: list[int]) -> None:
    methods = {"mine": Shift(), "broken": Shift(fail_from=0)}
    with pytest.warns(NextscanWarning, match="no row for broken: this method always fails"):
        run = evaluate(tiny_cohort(), methods, out=tmp_path / "run", **SETTINGS)
    record = json.loads((run / "run.json").read_text())
    assert [(entry["method"], entry["fold"]) for entry in record["failed"]] == [("broken", 0), ("broken", 1)]
    assert record["failed"][0]["error"] == "this method always fails; use another one"
    assert "broken" not in pooled(run).index
    assert "mine" in pooled(run).index


def test_when_every_requested_method_fails_so_does_the_evaluation(tmp_path: Path, fits: list[int]) -> None:
    with pytest.raises(NextscanError, match="every requested method failed: this method always fails"):
        evaluate(tiny_cohort(), {"broken": Shift(fail_from=0)}, out=tmp_path / "run", **SETTINGS)
    assert not (tmp_path / "run" / "scores.csv").exists()
    assert len(list((tmp_path / "run" / "jobs").glob("*.npz"))) == 2 * 5  # the baselines are kept


def test_processes_do_not_change_scores(tmp_path: Path) -> None:
    one = evaluate(tiny_cohort(), [], out=tmp_path / "one" / "run", **SETTINGS)
    two = evaluate(tiny_cohort(), [], out=tmp_path / "two" / "run", n_jobs=2, **SETTINGS)
    pd.testing.assert_frame_equal(pooled(one), pooled(two))


def test_progress_counts_jobs_and_lets_fits_speak(tmp_path: Path, fits: list[int]) -> None:
    events: list[Mapping[str, Any]] = []
    evaluate(tiny_cohort(), {"mine": Shift()}, out=tmp_path / "run", progress=events.append, **SETTINGS)
    jobs = [event["job"] for event in events if "job" in event]
    assert jobs == sorted(jobs)
    assert (jobs[0], jobs[-1]) == (0, 12)
    assert {event["jobs"] for event in events if "job" in event} == {12}
    assert events[0]["remaining_seconds"] is None
    assert events[-1]["remaining_seconds"] == 0
    inner = [event for event in events if "epoch" in event]
    assert [(event["method"], event["fold"]) for event in inner] == [("mine", 0), ("mine", 1)]


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    evaluate(tiny_cohort(), [], out=tmp_path / "run", **SETTINGS)
    with pytest.raises(SettingError, match="holds an evaluation of draws=5, not 6"):
        evaluate(tiny_cohort(), [], out=tmp_path / "run", **{**SETTINGS, "draws": 6})


def test_the_oracle_row_brings_the_excess_energy(tmp_path: Path, fits: list[int]) -> None:
    simulated = replace(tiny_cohort(), law="cohort.law.npz")
    methods = {"oracle": Shift(spread=0.5), "far": Shift(offset=3.0)}
    run = evaluate(simulated, methods, out=tmp_path / "run", **SETTINGS)
    table = pooled(run)
    ratio = table["energy_score"] / table.loc["oracle", "energy_score"] - 1
    excess = table["excess_energy_score"].drop("oracle")
    np.testing.assert_allclose(excess, ratio.loc[excess.index])
    assert excess["far"] > 1


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    single = tiny_cohort(n_paired=0)
    with pytest.raises(CohortError, match="nobody has two visits"):
        evaluate(single, [], out=tmp_path / "run", **SETTINGS)
    with pytest.raises(SettingError, match="no method named secondgran"):
        evaluate(tiny_cohort(), ["secondgran"], out=tmp_path / "run", **SETTINGS)
    with pytest.raises(SettingError, match="n_folds >= 2"):
        evaluate(tiny_cohort(), [], out=tmp_path / "run", n_folds=1)
    with pytest.raises(CohortError, match="too few for 50 folds"):
        evaluate(tiny_cohort(), [], out=tmp_path / "run", n_folds=50)
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/run: cannot be written"):
        evaluate(tiny_cohort(), [], out=tmp_path / "file" / "run", **SETTINGS)


def test_known_figures_of_a_real_cohort(tmp_path: Path, shared_data: Path) -> None:
    """The baselines' scores on `nimh_cz` as published beside the data."""
    from nextscan.reading import read_cohort

    table = shared_data / "features" / "nimh_cz" / "LNM_data.csv"
    cohort = read_cohort(table, exclude=["EstimatedTotalIntraCranialVol"])
    assert (cohort.n_subjects, cohort.n_visits, cohort.n_features) == (165, 330, 184)
    scores = pooled(evaluate(cohort, [], out=tmp_path / "run", n_folds=5, repeats=3, draws=40))
    assert scores.loc["carry-forward", "pearson_per_feature_of_mean"] == pytest.approx(0.904, abs=0.003)
    assert scores.loc["carry-forward", "pearson_per_feature"] == pytest.approx(0.83, abs=0.01)
    assert scores.loc["carry-forward", "energy_score"] == pytest.approx(4.07, abs=0.06)
    assert scores.loc["feature-regression", "rmse"] == pytest.approx(0.430, abs=0.005)
    assert scores.loc["feature-regression", "energy_score"] == pytest.approx(3.99, abs=0.06)
    assert scores.loc["feature-regression", "crps"] == pytest.approx(0.227, abs=0.004)
    assert scores.loc["feature-regression", "coverage_95"] == pytest.approx(0.95, abs=0.015)
