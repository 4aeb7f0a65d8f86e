"""Fit, impute, score and keep: the work of one method on one fold, one file per finished job."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, Progress, read_npz
from nextscan.atomic import atomic_path
from nextscan.cohort import Imputation, Split, Task, hide
from nextscan.errors import NextscanError, OutputError
from nextscan.imputers.estimator import Estimator
from nextscan.randomness import bits
from nextscan.study.plan import QUANTILES, Job
from nextscan.study.scoring import FoldScores, score_fold
from nextscan.study.units import Units, visit_rows

if TYPE_CHECKING:
    from nextscan.study.sequences.films import Films
    from nextscan.study.volumes.measures import Volumes
    from nextscan.study.volumes.scoring import ScoredVolumes

    Measured = Volumes | Films


@dataclass(frozen=True, eq=False)
class JobResult:
    """What is kept of a finished job.

    Attributes
    ----------
    subject : ndarray of str, shape (n_subjects,)
        Test subjects of the fold.
    scores : FoldScores
        Their CRPS of single cells is empty unless the job is shown.
    units : Units
    draw : ndarray of float32, shape (n_subjects, n_features)
        The first draw, native units.
    mean : ndarray of float32, shape (n_subjects, n_features)
        The predictive mean, native units; empty unless the job is shown.
    fan_subject : ndarray of str, shape (n_chosen,)
    fan : ndarray, shape (n_chosen, n_quantiles, n_features)
        Quantiles of the draws of chosen subjects; empty unless the job is shown.
    record : dict
        Times, and what the imputer recorded.
    descriptor, real_descriptor : ndarray, shape (n_subjects, n_numbers)
        What describes the first draw of an image and the real one; of no length where there are no images.
    """

    subject: NDArray[np.str_]
    scores: FoldScores
    units: Units
    draw: NDArray[np.float32]
    mean: NDArray[np.float32]
    fan_subject: NDArray[np.str_]
    fan: FloatArray
    record: dict[str, Any]
    descriptor: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    real_descriptor: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    def save(self, path: Path) -> None:
        """Write the result; the file appears whole or not at all."""
        flat: dict[str, Any] = {}
        for part in (self, self.scores, self.units):
            for name, value in ((f.name, getattr(part, f.name)) for f in fields(part)):
                if isinstance(value, np.ndarray):
                    flat[name] = value
                elif isinstance(value, dict) and name != "record":
                    flat[name], flat[f"{name}.names"] = np.array(list(value.values())), np.array(list(value))
        flat["record"] = np.asarray(json.dumps(self.record, default=_plain))
        with atomic_path(path) as beside:
            np.savez(beside, **flat)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read a result, or return None where there is none that can be read."""
        try:
            flat = read_npz(path)
            tables = {
                name: dict(zip(flat.pop(f"{name}.names").tolist(), flat.pop(name), strict=True))
                for name in ("by_subject", "by_feature", "against_training")
            }
            units = Units(**{f.name: flat.pop(f.name) for f in fields(Units)})
            # Results of before it was kept stay good: only their comparisons by feature are without it.
            crps = flat.pop("crps", np.zeros((0, flat["draw"].shape[1]), np.float32))
            scores = FoldScores(covered=flat.pop("covered"), crps=crps, **tables)
            return cls(scores=scores, units=units, record=json.loads(str(flat.pop("record"))), **flat)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None


Load = Callable[[Job], JobResult]
"""Returns the result of a job that is finished."""


@dataclass(frozen=True)
class Outcome:
    """How the jobs of one method on one fold ended; `error` is empty if well."""

    method: str
    repeat: int
    fold: int
    n_jobs: int
    seconds: float
    error: str = ""


def draws_path(folder: Path, job: Job) -> Path:
    """Return where all draws of a job are kept on request."""
    return folder / f"{job.stem}.draws.parquet"


def result_path(folder: Path, job: Job) -> Path:
    """Return where the result of a job is kept."""
    return folder / f"{job.stem}.npz"


def run_jobs(
    split: Split,
    imputer: Estimator,
    jobs: Sequence[Job],
    *,
    folder: Path,
    draws: int,
    seed: int,
    save_draws: bool,
    chosen: NDArray[np.str_],
    progress: Progress | None,
    volumes: Measured | None = None,
) -> Outcome:
    """Fit one method on one fold with one or more seeds, and write a result per seed.

    Parameters
    ----------
    jobs : sequence of Job
        Of one method, repeat and fold; methods that can train seeds side by side do.
    chosen : ndarray of str
        Subjects to keep quantiles, and images, of.
    volumes : Volumes or Films, optional
        For methods of images: the features of `split` are regional volumes then, which no method sees.

    Returns
    -------
    Outcome
        A `NextscanError` of the method is recorded in it, and nothing is written then.
    """
    began = time.perf_counter()
    first = jobs[0]

    def tell(event: Mapping[str, Any]) -> None:
        if progress is not None:
            progress({**event, "method": first.method, "repeat": first.repeat, "fold": first.fold})

    checkpoint = folder / f"{_group_name(jobs)}.checkpoint"
    try:
        split = split if volumes is None else volumes.of_fold(split)
        models: list[Any] = imputer.clone().fit(
            split.train if volumes is None else volumes.seen(split.train, split, imputer),
            split.validation if volumes is None else volumes.seen(split.validation, split, imputer),
            seeds=[job.seed for job in jobs],
            checkpoint=checkpoint,
            progress=tell if progress is not None else None,
        )
        seconds_fit = (time.perf_counter() - began) / len(jobs)
        task, units = hide(split.test), Units.of(split) if volumes is None else volumes.units(split)
        for job, model in zip(jobs, models, strict=True):
            began_imputing = time.perf_counter()
            scored = None
            if volumes is None:
                imputation: Imputation = model.impute(
                    task.shown, draws=draws, seed=_draw_seed(seed, job), missing_labels="ignore"
                )
                seconds_impute = time.perf_counter() - began_imputing
            else:
                scored, seconds_impute = _impute_images(
                    model,
                    task,
                    split,
                    volumes,
                    job=job,
                    draws=draws,
                    seed=_draw_seed(seed, job),
                    chosen=chosen,
                    folder=folder,
                )
                imputation = scored.imputation
            _check(imputation, job, task)
            record = {
                "seconds_fit": round(seconds_fit, 3),
                "seconds_impute": round(seconds_impute, 3),
                "draw_seed": imputation.seed,
                "record": dict(model.record_),
            }
            result = _result(task, split, units, imputation, job=job, chosen=chosen, record=record, scored=scored)
            if save_draws and job.shown:
                with atomic_path(draws_path(folder, job)) as beside:
                    imputation.to_frame().to_parquet(beside, index=False)
            result.save(result_path(folder, job))
        shutil.rmtree(checkpoint, ignore_errors=True)
        problem = ""
    except OutputError:
        raise
    except NextscanError as error:
        problem = str(error)
    return Outcome(first.method, first.repeat, first.fold, len(jobs), time.perf_counter() - began, problem)


def _impute_images(
    model: Any, task: Task, split: Split, volumes: Measured, *, chosen: NDArray[np.str_], **settings: Any
) -> tuple[ScoredVolumes, float]:
    """Predict images or films with a fitted model and score them; return the seconds that predicting took as well."""
    if volumes.kind == "sequences":
        from nextscan.study.sequences import jobs as of_films

        return of_films.impute_and_score(model, task, split, volumes, chosen=chosen, **settings)
    from nextscan.study.volumes import jobs as of_images

    return of_images.impute_and_score(model, task, split, volumes, chosen=chosen, **settings)


def _group_name(jobs: Sequence[Job]) -> str:
    keys = hashlib.blake2b("".join(job.key for job in jobs).encode(), digest_size=6).hexdigest()
    return f"{jobs[0].method}-repeat{jobs[0].repeat}-fold{jobs[0].fold}-{keys}"


def _draw_seed(seed: int, job: Job) -> int:
    """Return a seed for the draws; the same for all methods of a seed, other in every repeat."""
    return int(bits(np.array([seed]), job.seed, job.repeat)[0]) & 0x7FFFFFFF


def _check(imputation: Imputation, job: Job, task: Task) -> None:
    if list(imputation.requested.subject) != list(task.targets.subject):
        raise NextscanError(f"{job.method}: imputed other visits than those hidden in fold {job.fold}")
    wrong = ~np.isfinite(imputation.draws).all(axis=(0, 1))
    if wrong.any():
        name = imputation.feature_names[int(np.flatnonzero(wrong)[0])]
        raise NextscanError(
            f"{job.method}: {wrong.sum()} of {len(wrong)} features have draws that are not finite, first {name} "
            f"(seed {job.seed}, repeat {job.repeat}, fold {job.fold}); exclude them or change the method's settings"
        )


def _result(
    task: Task,
    split: Split,
    units: Units,
    imputation: Imputation,
    *,
    job: Job,
    chosen: NDArray[np.str_],
    record: dict[str, Any],
    scored: ScoredVolumes | None,
) -> JobResult:
    n_features = task.truth.shape[1]
    here = np.flatnonzero(np.isin(task.targets.subject, chosen)) if job.shown else np.zeros(0, np.intp)
    fan = np.quantile(imputation.draws[:, here], QUANTILES, axis=0, method="weibull") if len(here) else None
    follow_ups = np.concatenate([part.features[visit_rows(part)[1]] for part in (split.train, split.validation)])
    scores = score_fold(task, imputation, units, follow_ups)
    if scored is not None:
        scores = replace(scores, by_subject=scores.by_subject | scored.by_subject)
    return JobResult(
        subject=task.targets.subject,
        scores=scores if job.shown else replace(scores, crps=scores.crps[:0]),
        units=units,
        draw=imputation.draws[0].astype(np.float32),
        mean=imputation.mean().astype(np.float32) if job.shown else np.zeros((0, n_features), np.float32),
        fan_subject=task.targets.subject[here],
        fan=np.zeros((0, len(QUANTILES), n_features)) if fan is None else fan.transpose(1, 0, 2).astype(np.float64),
        record=record,
        **({} if scored is None else {"descriptor": scored.descriptor, "real_descriptor": scored.real_descriptor}),
    )


def _plain(value: object) -> object:
    """Turn NumPy values into what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
