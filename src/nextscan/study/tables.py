"""Write the tables of a run folder from the results of its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import IntArray
from nextscan.atomic import atomic_path
from nextscan.cohort import Task
from nextscan.study.jobs import Load, draws_path
from nextscan.study.plan import QUANTILES, Job, Plan

LEARNING = ("epoch", "step", "train_loss", "validation_score", "skipped", "clipped", "seconds")


def write_csv(path: Path, rows: Iterable[dict[str, Any]], columns: Iterable[str]) -> None:
    """Write rows of numbers and names; a missing number is an empty cell."""
    with atomic_path(path) as beside:
        pd.DataFrame(list(rows), columns=list(columns)).to_csv(beside, index=False)


def write_subject_scores(path: Path, jobs: Iterable[Job], task: Task, load: Load) -> None:
    """Write every subject's scores of every job, long form."""
    visit = dict(zip(task.targets.subject, task.targets.visit, strict=True))

    def frames() -> Iterator[pd.DataFrame]:
        for job in jobs:
            result = load(job)
            scores = result.scores.by_subject
            n = len(result.subject)
            yield pd.DataFrame(
                {
                    **job.place,
                    "subject": np.tile(result.subject, len(scores)),
                    "visit": np.tile([visit[name] for name in result.subject], len(scores)),
                    "metric": np.repeat(list(scores), n),
                    "value": np.concatenate(list(scores.values())),
                }
            )

    _write_parquet(path, frames())


def feature_rows(
    plan: Plan, methods: Iterable[str], feature_names: tuple[str, ...], load: Load
) -> Iterator[dict[str, Any]]:
    """Yield scores per feature, averaged over the folds of the first repeat and seed."""
    for method in methods:
        folds = [load(job).scores.by_feature for job in plan.shown_jobs(method)]
        for metric in folds[0]:
            values = np.mean([scores[metric] for scores in folds], axis=0)
            for feature, value in zip(feature_names, values, strict=True):
                yield {"method": method, "feature": feature, "metric": metric, "value": value}


def write_predictions(
    path: Path,
    plan: Plan,
    methods: Iterable[str],
    *,
    task: Task,
    feature_names: tuple[str, ...],
    load: Load,
) -> None:
    """Write all context visits, truth, predictive mean and first draw of every test subject, native units."""
    wanted, shown = task.targets, task.shown
    methods = list(methods)
    position = {subject: i for i, subject in enumerate(wanted.subject)}
    fold_of = np.zeros(len(wanted), np.int64)
    for job in plan.shown_jobs(methods[0]):
        fold_of[[position[name] for name in load(job).subject]] = job.fold
    told = wanted.to_frame()
    told.insert(0, "method", "")
    told.insert(1, "fold", fold_of)
    told["gap"], told["kind"] = wanted.gap, ""

    def frame(rows: IntArray, values: NDArray[np.floating], **changes: object) -> pd.DataFrame:
        features = pd.DataFrame(values.astype(np.float32), columns=list(feature_names))
        return pd.concat([told.iloc[rows].reset_index(drop=True).assign(**changes), features], axis=1)

    def frames() -> Iterator[pd.DataFrame]:
        seen = np.flatnonzero(~shown.is_request)
        of = shown.subject_of[seen]  # one target per subject, in the same order
        at = {"visit": shown.visits[seen], "years": shown.years[seen]}
        yield frame(of, shown.features[seen], kind="context", **at)
        yield frame(np.arange(len(wanted)), task.truth, kind="truth")
        for method in methods:
            for job in plan.shown_jobs(method):
                result = load(job)
                rows = np.array([position[name] for name in result.subject])
                yield frame(rows, result.mean, kind="mean", method=method)
                yield frame(rows, result.draw, kind="draw", method=method)

    _write_parquet(path, frames())


def write_fans(
    path: Path, plan: Plan, methods: Iterable[str], *, task: Task, feature_names: tuple[str, ...], load: Load
) -> None:
    """Write quantiles of the draws of the chosen subjects, long form, native units."""
    wanted = task.targets.to_frame().set_index("subject")

    def frames() -> Iterator[pd.DataFrame]:
        for method in methods:
            for job in plan.shown_jobs(method):
                result = load(job)
                for subject, fan in zip(result.fan_subject, result.fan, strict=True):
                    yield pd.DataFrame(
                        {
                            "method": method,
                            "subject": subject,
                            "visit": wanted.at[subject, "visit"],
                            "years": wanted.at[subject, "years"],
                            "feature": np.tile(feature_names, len(QUANTILES)),
                            "quantile": np.repeat(QUANTILES, len(feature_names)),
                            "value": fan.ravel(),
                        }
                    )

    _write_parquet(path, frames())


def write_draws(path: Path, plan: Plan, method: str, folder: Path) -> None:
    """Join the draws of the folds of the first repeat and seed, long form, native units."""
    _write_parquet(path, (pd.read_parquet(draws_path(folder, job)) for job in plan.shown_jobs(method)))


def learning_rows(jobs: Iterable[Job], load: Load) -> Iterator[dict[str, Any]]:
    """Yield a row per epoch of every job that trained in epochs."""
    for job in jobs:
        for epoch in load(job).record["record"].get("learning", ()):
            yield job.place | epoch


def _write_parquet(path: Path, frames: Iterable[pd.DataFrame]) -> None:
    """Write frames one after the other, so that only one is in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic_path(path) as beside, ExitStack() as stack:
        writer = None
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if writer is None:
                writer = stack.enter_context(pq.ParquetWriter(beside, table.schema))
            writer.write_table(table)
