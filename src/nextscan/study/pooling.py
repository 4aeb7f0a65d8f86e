"""Average scores over folds, repeats and seeds, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort import Task
from nextscan.metrics import (
    frechet_distance,
    jackknife_interval,
    percentile_interval,
    resampled_means,
    standard_error_interval,
)
from nextscan.study.groups import Group
from nextscan.study.jobs import JobResult, Load
from nextscan.study.plan import ORACLE, Plan
from nextscan.study.scoring import DISTRIBUTION, LEVELS
from nextscan.study.units import feature_sd

ALL = "all"
_PARTS_LEFT_OUT = 10

Row = dict[str, Any]
Scores = dict[str, FloatArray]
Interval = tuple[float, float]
_UNKNOWN: Interval = (float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class Pooled:
    """What comes out of pooling.

    Attributes
    ----------
    scores, calibration : list of dict
        Rows of `scores.csv` and `calibration.csv`.
    subjects : dict of method to dict of metric to ndarray, shape (n_subjects,)
        Each subject's scores, averaged over repeats and seeds.
    """

    scores: list[Row] = field(default_factory=list)
    calibration: list[Row] = field(default_factory=list)
    subjects: dict[str, Scores] = field(default_factory=dict)


def pool(plan: Plan, methods: Iterable[str], task: Task, groups: list[Group], load: Load) -> Pooled:
    """Pool the results of methods that finished all their jobs.

    Scores are averaged over subjects, each of whom is in one test set per repeat, that is over folds
    weighted by their size; then over repeats and seeds. The interval is a bootstrap over subjects, for
    distribution scores the jackknife over groups of subjects (of the first seed only, to save time).
    With several seeds the standard error over seeds widens it: half-widths add in quadrature.

    Parameters
    ----------
    task : Task
        The test subjects of all folds.
    groups : list of Group
        Of these subjects: coverage is given for each.
    load : callable
        Returns the result of a job.
    """
    pooled = Pooled()
    of_seeds: dict[str, list[float]] = {}
    for method in methods:
        seeds = [_OneSeed(plan, method, seed, task, load) for seed in plan.seeds_of(method)]
        of_seeds[method] = [_value(one.subjects["energy_score"]) for one in seeds]
        _pool_method(plan, method, seeds, groups, pooled)
    if ORACLE in pooled.subjects:
        energy = {method: scores["energy_score"] for method, scores in pooled.subjects.items()}
        pooled.scores.extend(_excess(plan, energy, of_seeds))
    return pooled


class _OneSeed:
    """The scores of one method and seed: rows of its folds, and averages over repeats.

    Attributes
    ----------
    subjects : dict of metric to ndarray, shape (n_subjects,)
        In the order of the task.
    covered : ndarray, shape (n_subjects, n_levels)
    whole : dict of metric to ndarray
        Scores that no subject has a part in; behind the value those with parts of the subjects left out.
    """

    def __init__(self, plan: Plan, method: str, seed: int, task: Task, load: Load) -> None:
        self.seed = seed
        self.rows: list[Row] = []
        repeats = [self._repeat(plan, method, repeat, task, load) for repeat in range(plan.repeats)]
        self.subjects = _average([subjects for subjects, _, _ in repeats])
        self.covered = np.mean([covered for _, covered, _ in repeats], axis=0)
        self.whole = _average([whole for _, _, whole in repeats])

    def _repeat(
        self, plan: Plan, method: str, repeat: int, task: Task, load: Load
    ) -> tuple[Scores, FloatArray, Scores]:
        results = [load(plan.job(method, self.seed, repeat, fold)) for fold in range(plan.n_folds)]
        place = {"method": method, "seed": self.seed, "repeat": repeat}
        for fold, result in enumerate(results):
            here = place | {"fold": fold}
            self.rows += subject_rows(here, result.scores.by_subject, plan.seed)
            for name, value in result.scores.against_training.items():
                self.rows.append(_row(here, name, value, len(result.subject)))
        position = {subject: i for i, subject in enumerate(task.targets.subject)}
        rows = np.concatenate([[position[name] for name in result.subject] for result in results])
        order = np.argsort(rows)
        names = results[0].scores.by_subject
        subjects = {
            name: np.concatenate([result.scores.by_subject[name] for result in results])[order] for name in names
        }
        whole = self._distribution(plan, here=place | {"fold": ALL}, results=results, rows=rows, task=task)
        for name in results[0].scores.against_training:
            whole[name] = np.mean([[result.scores.against_training[name]] for result in results], axis=0)
        return subjects, np.concatenate([result.scores.covered for result in results])[order], whole

    def _distribution(self, plan: Plan, *, here: Row, results: list[JobResult], rows: IntArray, task: Task) -> Scores:
        """Score all folds' draws as one completed data set, also with parts of the subjects left out."""
        from threadpoolctl import threadpool_limits

        real, drawn = _completed(results, rows, task)
        with_parts = self.seed == plan.seeds_of(here["method"])[0]
        samples = [slice(None), *(_leave_out(len(real), plan.seed) if with_parts else ())]
        whole = {}
        for name, score in DISTRIBUTION.items():
            with threadpool_limits(1):  # matrices too small for threads, which get in each other's way
                whole[name] = np.array([score(real[sample], drawn[sample]) for sample in samples])
            self.rows.append(_row(here, name, whole[name][0], len(real), _interval(whole[name])))
        if results[0].descriptor.shape[1]:
            whole["fid"] = _described_distance(results, rows, samples)
            self.rows.append(_row(here, "fid", whole["fid"][0], len(real), _interval(whole["fid"])))
        return whole


def _pool_method(plan: Plan, method: str, seeds: list[_OneSeed], groups: list[Group], pooled: Pooled) -> None:
    subjects = _average([one.subjects for one in seeds])
    whole = {name: float(np.mean([one.whole[name][0] for one in seeds])) for name in seeds[0].whole}
    covered = np.mean([one.covered for one in seeds], axis=0)
    n = len(covered)
    place = {"method": method, "seed": ALL, "repeat": ALL, "fold": ALL}
    for one in seeds:
        pooled.scores.extend(one.rows)
        if len(seeds) > 1:
            pooled.scores.extend(subject_rows(place | {"seed": one.seed}, one.subjects, plan.seed))
            for name, values in one.whole.items():
                pooled.scores.append(_row(place | {"seed": one.seed}, name, values[0], n))
    rows = subject_rows(place, subjects, plan.seed)
    for row in rows:
        _widen(row, [_value(one.subjects[row["metric"]]) for one in seeds])
    for name, value in whole.items():
        first = seeds[0].whole[name]
        row = _row(place, name, value, n, _interval(first + (value - first[0])))
        rows.append(_widen(row, [one.whole[name][0] for one in seeds]))
    for group in groups:
        members = {name: subjects[name][group.member] for name in subjects if name.startswith("coverage_")}
        for row in subject_rows(place, members, plan.seed, group=group.name):
            rows.append(_widen(row, [_value(one.subjects[row["metric"]][group.member]) for one in seeds]))
    pooled.scores.extend(rows)
    pooled.subjects[method] = subjects
    low, high = percentile_interval(resampled_means(covered, seed=plan.seed))
    for i, level in enumerate(LEVELS):
        if not np.isnan(covered[:, i]).all():
            row = {"level": level, "value": _value(covered[:, i]), "low": low[i], "high": high[i], "n": n}
            _widen(row, [_value(one.covered[:, i]) for one in seeds])
            pooled.calibration.append({"method": method, "level": level, "coverage": row.pop("value"), **row})


def _widen(row: Row, of_seeds: Sequence[float]) -> Row:
    """Add to a row's interval over subjects what its values of several seeds tell of training by chance."""
    if len(of_seeds) > 1:
        low, high = standard_error_interval(of_seeds)
        half = (high - low) / 2
        row["low"] = row["value"] - float(np.hypot(row["value"] - row["low"], half))
        row["high"] = row["value"] + float(np.hypot(row["high"] - row["value"], half))
    return row


def _excess(plan: Plan, energy: Mapping[str, FloatArray], of_seeds: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    """Yield the energy score over the oracle's, less one, on the same subjects (paired bootstrap)."""
    for method, scores in energy.items():
        if method == ORACLE:
            continue
        pair = np.column_stack([scores, energy[ORACLE]])
        means = resampled_means(pair[~np.isnan(pair).any(axis=1)], seed=plan.seed)
        low, high = percentile_interval((means[:, 0] / means[:, 1] - 1)[:, None])
        place = {"method": method, "seed": ALL, "repeat": ALL, "fold": ALL}
        value = _value(scores) / _value(energy[ORACLE]) - 1
        row = _row(place, "excess_energy_score", value, len(pair), (float(low[0]), float(high[0])))
        yield _widen(row, [mean / _value(energy[ORACLE]) - 1 for mean in of_seeds[method]])


def subject_rows(place: Row, scores: Scores, seed: int, *, group: str = ALL) -> list[Row]:
    """Return a row per metric with its bootstrap interval over subjects."""
    table = np.column_stack(list(scores.values()))
    low, high = percentile_interval(resampled_means(table, seed=seed))
    return [
        _row(place, name, _value(values), int((~np.isnan(values)).sum()), (float(a), float(b)), group=group)
        for (name, values), a, b in zip(scores.items(), low, high, strict=True)
    ]


def _row(place: Row, metric: str, value: float, n: int, interval: Interval = _UNKNOWN, *, group: str = ALL) -> Row:
    low, high = interval
    return {**place, "group": group, "metric": metric, "value": float(value), "low": low, "high": high, "n": n}


def _interval(values: FloatArray) -> Interval:
    return jackknife_interval(float(values[0]), values[1:]) if len(values) > 1 else _UNKNOWN


def _leave_out(n: int, seed: int) -> list[IntArray]:
    """Return the subjects that stay when each of some equal parts is left out; none for few subjects."""
    if n < 4 * _PARTS_LEFT_OUT:
        return []
    parts = np.array_split(np.random.default_rng(seed).permutation(n), _PARTS_LEFT_OUT)
    return [np.setdiff1d(np.arange(n), part) for part in parts]


def _completed(results: list[JobResult], rows: IntArray, task: Task) -> tuple[FloatArray, FloatArray]:
    """Return truth and first draw of all folds on the published scale, in the order of the task."""
    order = np.argsort(rows)
    truth = np.split(task.truth[rows], np.cumsum([len(result.subject) for result in results])[:-1])
    real = np.concatenate([r.units.published(part) for r, part in zip(results, truth, strict=True)])[order]
    drawn = np.concatenate([r.units.published(r.draw) for r in results])[order]
    return real, np.where(np.isnan(real), np.nan, drawn)


def _described_distance(results: list[JobResult], rows: IntArray, samples: Sequence[slice | IntArray]) -> FloatArray:
    """Return the Fréchet distance of imputed and real images, whole and with parts of the subjects left out.

    Each number of a description counts in standard deviations over the real images.
    """
    order = np.argsort(rows)
    real = np.concatenate([result.real_descriptor for result in results])[order]
    drawn = np.concatenate([result.descriptor for result in results])[order]
    sd = feature_sd(real)
    unit = np.where(sd > 1e-9 * np.abs(real).max(axis=0, initial=0.0), sd, np.inf)
    return np.array([frechet_distance(real[sample] / unit, drawn[sample] / unit) for sample in samples])


def _average(scores: list[Scores]) -> Scores:
    return {name: np.mean([part[name] for part in scores], axis=0) for name in scores[0]}


def _value(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
