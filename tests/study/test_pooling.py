"""Pooled scores from job results made by hand."""

from typing import Any

import numpy as np
import pytest

from nextscan.cohort import folds, hide
from nextscan.metrics import frechet_distance
from nextscan.study.groups import Group
from nextscan.study.jobs import JobResult
from nextscan.study.plan import Job, Plan
from nextscan.study.pooling import Pooled, pool
from nextscan.study.scoring import LEVELS, FoldScores
from nextscan.study.units import Units
from samples import tiny_cohort
from study.shift_imputer import Shift

COHORT = tiny_cohort(n_paired=50, n_single=0, n_features=3)
TASK = hide(COHORT)
SPLITS = {(split.repeat, split.fold): split for split in folds(COHORT, 3, repeats=2)}
POSITION = {subject: i for i, subject in enumerate(COHORT.subjects)}


def plan(seeds: int = 1, *methods: str) -> Plan:
    named = {name: Shift() for name in methods or ("shift",)}
    return Plan(named, tuple(named), "", 3, 2, tuple(range(seeds)), 9, 0, False)


def result(job: Job, energy: np.ndarray) -> JobResult:
    split = SPLITS[job.repeat, job.fold]
    task, rows = hide(split.test), [POSITION[name] for name in split.test.subjects]
    scores = FoldScores(
        by_subject={
            "energy_score": energy[rows],
            "coverage_80": np.arange(50.0)[rows],
            "lacking": np.full(len(rows), np.nan),
        },
        covered=np.tile(LEVELS, (len(rows), 1)),
        by_feature={},
        crps=np.zeros((0, 3), np.float32),
        against_training={"frechet_distance_train": 10.0 * job.repeat + job.fold},
    )
    nothing = np.zeros((0, 3), np.float32)
    draw = (task.truth + 1 + job.seed).astype(np.float32)
    return JobResult(split.test.subjects, scores, Units.of(split), draw, nothing, np.array([]), nothing, {})


def rows(pooled: Pooled, **wanted: Any) -> list[dict[str, Any]]:
    return [row for row in pooled.scores if all(row[name] == value for name, value in wanted.items())]


OVERALL = {"seed": "all", "repeat": "all", "fold": "all"}
ENERGY = np.random.default_rng(1).normal(4, 1, 50)


def test_scores_are_averaged_over_subjects_and_repeats() -> None:
    pooled = pool(plan(), ["shift"], TASK, [], lambda job: result(job, ENERGY + job.repeat))
    (row,) = rows(pooled, metric="energy_score", **OVERALL)
    assert row["value"] == pytest.approx(ENERGY.mean() + 0.5)
    error = ENERGY.std() / np.sqrt(50)
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert row["n"] == 50
    (one,) = rows(pooled, metric="energy_score", repeat=1, fold=2)
    tested = [POSITION[name] for name in SPLITS[1, 2].test.subjects]
    assert one["value"] == pytest.approx(ENERGY[tested].mean() + 1)
    assert one["n"] == len(tested)
    np.testing.assert_allclose(pooled.subjects["shift"]["energy_score"], ENERGY + 0.5)


def test_a_score_that_does_not_exist_stays_missing() -> None:
    pooled = pool(plan(), ["shift"], TASK, [], lambda job: result(job, ENERGY))
    (row,) = rows(pooled, metric="lacking", **OVERALL)
    assert np.isnan([row["value"], row["low"], row["high"]]).all()
    assert row["n"] == 0


def test_several_seeds_widen_the_interval_over_subjects() -> None:
    def intervals(seeds: int, factor: float) -> list[dict[str, Any]]:
        groups = [Group("late", np.arange(50) >= 30)]
        pooled = pool(plan(seeds), ["shift"], TASK, groups, lambda job: result(job, ENERGY + factor * job.seed**2))
        whole = rows(pooled, metric="energy_score", **OVERALL)
        return whole + rows(pooled, metric="frechet_distance", **OVERALL) + rows(pooled, group="late")

    one = intervals(1, 0.0)
    alike = intervals(3, 0.0)
    for alone, together in zip(one[::2], alike[::2], strict=True):
        assert [together["low"], together["high"]] == pytest.approx([alone["low"], alone["high"]])
    row = intervals(3, 1.0)[0]
    per_seed = ENERGY.mean() + np.array([0, 1, 4])
    half = 4.302653 * per_seed.std(ddof=1) / np.sqrt(3)  # Student's t with two degrees of freedom
    assert row["value"] == pytest.approx(per_seed.mean())
    below, above = one[0]["value"] - one[0]["low"], one[0]["high"] - one[0]["value"]
    assert row["value"] - row["low"] == pytest.approx(np.hypot(below, half), rel=1e-4)
    assert row["high"] - row["value"] == pytest.approx(np.hypot(above, half), rel=1e-4)
    # The draws of a seed are shifted by it: the Fréchet distance differs between seeds, more than between subjects.
    assert alike[1]["high"] - alike[1]["low"] > one[1]["high"] - one[1]["low"] > 0
    pooled = pool(plan(3), ["shift"], TASK, [], lambda job: result(job, ENERGY + job.seed**2))
    (single,) = rows(pooled, metric="energy_score", seed=2, repeat="all", fold="all")
    assert single["value"] == pytest.approx(per_seed[2])


def test_distribution_scores_pool_the_subjects_of_all_folds() -> None:
    pooled = pool(plan(), ["shift"], TASK, [], lambda job: result(job, ENERGY))
    (row,) = rows(pooled, metric="frechet_distance", repeat=0, fold="all")
    scaled = []
    for fold in range(3):
        split = SPLITS[0, fold]
        scaled.append([Units.of(split).published(hide(split.test).truth + shift) for shift in (0, 1)])
    real, drawn = (np.concatenate(part) for part in zip(*scaled, strict=True))
    assert row["value"] == pytest.approx(frechet_distance(real, drawn), rel=1e-4)
    (both,) = rows(pooled, metric="frechet_distance", **OVERALL)
    (other,) = rows(pooled, metric="frechet_distance", repeat=1, fold="all")
    assert both["value"] == pytest.approx((row["value"] + other["value"]) / 2)
    assert both["low"] < both["value"] < both["high"]
    (train,) = rows(pooled, metric="frechet_distance_train", **OVERALL)
    assert train["value"] == pytest.approx(np.mean([0, 1, 2, 10, 11, 12]))


def test_excess_energy_is_paired_with_the_oracle() -> None:
    two = plan(1, "shift", "oracle")
    factor = {"shift": 1.2, "oracle": 1.0}
    pooled = pool(two, ["shift", "oracle"], TASK, [], lambda job: result(job, factor[job.method] * ENERGY))
    (row,) = rows(pooled, metric="excess_energy_score")
    assert row["method"] == "shift"
    # The same factor for everybody: however subjects are resampled, the ratio is 1.2.
    assert [row["value"], row["low"], row["high"]] == pytest.approx([0.2, 0.2, 0.2])


def test_coverage_of_groups_and_levels() -> None:
    member = np.arange(50) >= 30
    pooled = pool(plan(), ["shift"], TASK, [Group("late", member)], lambda job: result(job, ENERGY))
    (row,) = rows(pooled, group="late")
    assert (row["metric"], row["n"]) == ("coverage_80", 20)
    assert row["value"] == pytest.approx(np.arange(30, 50).mean())
    assert [line["coverage"] for line in pooled.calibration] == pytest.approx(list(LEVELS))
    assert {line["n"] for line in pooled.calibration} == {50}
