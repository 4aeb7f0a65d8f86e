"""A job leaves one whole file or none."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import folds, hide
from nextscan.study.jobs import JobResult, draws_path, result_path, run_jobs
from nextscan.study.plan import QUANTILES, Job
from samples import tiny_cohort
from study.shift_imputer import Shift

SPLIT = next(iter(folds(tiny_cohort(), 4)))
JOBS = [Job("shift", seed, 0, 0, seed == 1, f"k{seed}") for seed in (1, 2)]
CHOSEN = np.array([hide(SPLIT.test).targets.subject[3], "nobody"])


def run(folder: Path, imputer: Shift, **changes: Any):
    settings = {"draws": 11, "seed": 0, "save_draws": True, "chosen": CHOSEN, "progress": None, **changes}
    return run_jobs(SPLIT, imputer, JOBS, folder=folder, **settings)


def load(folder: Path, job: Job) -> JobResult:
    result = JobResult.load(result_path(folder, job))
    assert result is not None
    return result


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    outcome = run(tmp_path, Shift(offset=0.5))
    assert (outcome.method, outcome.n_jobs, outcome.error) == ("shift", 2, "")
    first = load(tmp_path, JOBS[0])
    first.save(tmp_path / "again.npz")
    again = JobResult.load(tmp_path / "again.npz")
    assert again is not None
    for part in ("by_subject", "by_feature", "against_training"):
        for name, value in getattr(first.scores, part).items():
            np.testing.assert_array_equal(getattr(again.scores, part)[name], value)
    for field in fields(first):
        if isinstance(getattr(first, field.name), np.ndarray):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(first, field.name))
    assert again.record == first.record
    assert first.record["record"]["skipped_fraction"] == pytest.approx(1 / 3)


def test_what_is_kept(tmp_path: Path) -> None:
    run(tmp_path, Shift(offset=0.5))
    task = hide(SPLIT.test)
    shown, other = (load(tmp_path, job) for job in JOBS)
    np.testing.assert_allclose(shown.mean, task.context + 0.5, rtol=1e-6)
    assert len(other.mean) == 0
    assert not np.array_equal(shown.draw, other.draw)
    draws = pd.read_parquet(draws_path(tmp_path, JOBS[0]))
    assert not draws_path(tmp_path, JOBS[1]).exists()
    mine = draws[draws["subject"] == CHOSEN[0]]["feature-2"].to_numpy()
    assert len(mine) == 11
    assert list(shown.fan_subject) == [CHOSEN[0]]
    expected = np.quantile(mine, QUANTILES, method="weibull")
    np.testing.assert_allclose(shown.fan[0, :, 2], expected, rtol=1e-6)
    first = draws[draws["draw"] == 1]["feature-2"].to_numpy()
    np.testing.assert_array_equal(first, shown.draw[:, 2])


def test_the_crps_of_cells_is_kept_of_shown_jobs_and_may_be_missing(tmp_path: Path) -> None:
    run(tmp_path, Shift(offset=0.5))
    shown, other = (load(tmp_path, job) for job in JOBS)
    np.testing.assert_allclose(shown.scores.crps.mean(axis=0), shown.scores.by_feature["crps"], rtol=1e-5)
    assert shown.scores.crps.dtype == np.float32
    assert other.scores.crps.shape == (0, 6)
    path = result_path(tmp_path, JOBS[0])
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if name != "crps"}
    np.savez(path, **kept)  # as before it was kept
    assert load(tmp_path, JOBS[0]).scores.crps.shape == (0, 6)


def test_a_failing_method_leaves_its_line_and_no_file(tmp_path: Path) -> None:
    outcome = run(tmp_path, Shift(fail_from=0))
    assert outcome.error == "this method always fails; use another one"
    assert list(tmp_path.iterdir()) == []


def test_draws_that_are_not_finite_are_a_failure(tmp_path: Path) -> None:
    outcome = run(tmp_path, Shift(spread=np.inf))
    assert "6 of 6 features have draws that are not finite, first feature-0" in outcome.error
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_counts_as_none(tmp_path: Path) -> None:
    run(tmp_path, Shift())
    path = result_path(tmp_path, JOBS[0])
    whole = path.read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        assert JobResult.load(path) is None
    assert JobResult.load(tmp_path / "nowhere.npz") is None


def test_the_hidden_truth_changes_no_draw(tmp_path: Path) -> None:
    run(tmp_path, Shift())
    before = load(tmp_path, JOBS[0])
    test = SPLIT.test
    features = test.features.copy()
    features[test.visits == "2"] += 5
    changed = replace(SPLIT, test=replace(test, features=features))
    run_jobs(
        changed,
        Shift(),
        JOBS,
        folder=tmp_path,
        draws=11,
        seed=0,
        save_draws=False,
        chosen=CHOSEN,
        progress=None,
    )
    after = load(tmp_path, JOBS[0])
    np.testing.assert_array_equal(after.draw, before.draw)
    np.testing.assert_array_equal(after.units.sd, before.units.sd)
    assert after.scores.by_subject["rmse"].mean() > before.scores.by_subject["rmse"].mean()
