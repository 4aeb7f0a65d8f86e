"""Hide real follow-ups, impute them with every method, score, and write a run folder."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, Progress
from nextscan.cohort import Cohort, Task, check_splits, folds, hide, shown_visits
from nextscan.cohort.findings import refuse_errors
from nextscan.errors import NextscanError, NextscanWarning, OutputError
from nextscan.imputers.estimator import Estimator
from nextscan.study import differences, feature_differences, tables
from nextscan.study.groups import groups_of
from nextscan.study.jobs import JobResult, Load, Outcome, draws_path, result_path, run_jobs
from nextscan.study.plan import Job, Plan
from nextscan.study.pooling import pool
from nextscan.study.run_record import check_folder, failures, job_record, now, run_record, write_record
from nextscan.study.units import feature_sd

if TYPE_CHECKING:
    from nextscan.study.sequences.films import Films
    from nextscan.study.volumes.measures import Volumes

N_CHOSEN = 6
"""Subjects whose trajectories are kept."""

_PLACE = ("method", "seed", "repeat", "fold")
_SCORES = ("study", "cohort", *_PLACE, "group", "metric", "value", "low", "high", "n")
_CALIBRATION = ("method", "level", "coverage", "low", "high", "n")
_FEATURES = ("method", "feature", "metric", "value")
_LEARNING = (*_PLACE, *tables.LEARNING)


def evaluate(
    cohort: Cohort,
    methods: Sequence[str] | Mapping[str, Estimator],
    *,
    out: str | Path,
    n_folds: int = 5,
    repeats: int = 1,
    seeds: int | Sequence[int] = 1,
    draws: int | None = None,
    seed: int = 0,
    save_draws: bool = False,
    segmenter: str = "",
    extractor: str = "",
    shown: str | None = None,
    progress: Progress | None = None,
    n_jobs: int = 1,
    command: str = "",
) -> Path:
    """Compare methods on hidden follow-ups, the baselines always beside them.

    The last visit of the test subjects of each fold is hidden, every method predicts it, and all draws
    are scored alike. The work is cut into jobs (method, seed, repeat, fold), each kept when done: the
    same call goes on where it was interrupted, and a call with more methods, seeds or repeats in the
    same folder reuses what is there. The tables hold what the last call asked for.

    Parameters
    ----------
    cohort : Cohort
        Subjects with one visit are training material. Of images, the regional volumes are the features that
        are scored, beside the images themselves: see `nextscan.study.volumes.measures`.
    methods : sequence of registry names, or mapping of row name to unfitted imputer
        All of features or all of images. The baselines, and for simulated cohorts the oracle, are added.
    out : path
        The run folder.
    n_folds, repeats : int
        The paired subjects are cut into folds by subject, this many times anew.
    seeds : int or sequence of int
        Training seeds, or how many (1, 2, ...); closed-form methods run with the first only.
    draws : int, optional
        Per subject, the same for every row; 95 % intervals need 39. By default 40, of images 10.
    seed : int
        Of the folds, the draws and the intervals.
    save_draws : bool
        Also write all draws of the first repeat and seed to ``draws/METHOD.parquet``; of images their
        regional volumes.
    segmenter, extractor : str, optional
        ``module:function`` in place of the built-in ones: ``segmenter(image, affine)`` returns mm³ by region;
        ``extractor(image, affine)`` a vector that describes an image, for the Fréchet distance. Of films the built-in
        segmenter is learned in each fold, from the label maps of its training subjects.
    shown : str, optional
        Which visits of test subjects are shown, a rule of `nextscan.cohort.shown_visits` such as ``first:4``. Of films
        (time is a circle, or images are frames of a file) all other frames are hidden and predicted: see
        `nextscan.study.sequences.films`. Of other cohorts the last visit is hidden as it would be without, so that
        rules can be compared with each other: of the visits before it those are shown. Training subjects are seen
        whole.
    progress : callable, optional
        Called with mappings; those with ``job`` and ``jobs`` count jobs and may hold
        ``remaining_seconds``; others come from within a fit. The latter only with one process.
    n_jobs : int
        Processes; 1 is best where linear algebra uses all cores already.
    command : str
        As recorded in `run.json`.

    Returns
    -------
    Path
        `out`, holding run.json, scores.csv, differences.csv, subject_scores.parquet,
        feature_scores.csv, feature_differences.csv, predictions.parquet, fans.parquet, calibration.csv,
        learning.csv and jobs/; of images also images/, of films films/, frame_scores.csv and curves.parquet.

    Raises
    ------
    NextscanError
        If a setting is wrong, the cohort has a finding that is an error, the folder holds another evaluation, or every
        requested method fails. A method that fails while others succeed gives a warning and is listed with its error
        under ``failed`` in `run.json`.
    """
    refuse_errors(cohort.findings)
    plan = Plan.of(
        cohort,
        methods,
        n_folds=n_folds,
        repeats=repeats,
        seeds=seeds,
        draws=draws,
        seed=seed,
        save_draws=save_draws,
        segmenter=segmenter,
        extractor=extractor,
        shown=shown,
    )
    if plan.of_images:
        cohort = replace(cohort, features=np.zeros((cohort.n_visits, 0)), feature_names=(), units={})
    hide(cohort)
    splits = folds(cohort, n_folds, repeats=repeats, seed=seed)
    if plan.of_images:
        for split in splits:
            check_splits(split.train, split.validation, split.test)
    else:
        next(splits)  # refuses what cannot be split
    out = Path(out)
    check_folder(out, plan)
    folder = out / "jobs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    record = run_record(cohort, plan, command=command, started=now())
    write_record(out / "run.json", record)
    images, films = _measured(cohort, plan, folder, progress, n_jobs)
    volumes = images or films
    if volumes is not None:
        cohort = volumes.regional
        record |= volumes.record()
    visible = _visible(cohort, plan)
    task = hide(cohort if visible is None else cohort.select_visits(visible))
    chosen = _chosen(task)
    outcomes = _run(cohort, plan, chosen, folder, progress=progress, n_jobs=n_jobs, volumes=volumes, visible=visible)
    record["failed"] = failures(outcomes)
    failed = {outcome.method: outcome.error for outcome in outcomes if outcome.error}
    if plan.requested and all(method in failed for method in plan.requested):
        write_record(out / "run.json", record)
        raise NextscanError(f"every requested method failed: {failed[plan.requested[0]]}")
    for method, reason in failed.items():
        warnings.warn(f"no row for {method}: {reason}", NextscanWarning, stacklevel=2)
    finished = [method for method in plan.methods if method not in failed]
    load = partial(_load, folder)
    jobs = [job for job in plan.jobs() if job.method in finished]
    _write(out, cohort, plan, finished, task, jobs, load, films)
    if images is not None:
        from nextscan.study.volumes.images import write_images

        labels = images.regions.labels
        write_images(out, plan, finished, task=task, chosen=chosen, labels=labels, folder=folder)
    if films is not None:
        from nextscan.study.sequences.keeping import write_kept

        write_kept(out, plan, finished, films=films, chosen=chosen, folder=folder)
    record["jobs"] = [job_record(job, load(job)) for job in jobs]
    record["finished"] = now()
    write_record(out / "run.json", record)
    return out


def _measured(
    cohort: Cohort, plan: Plan, folder: Path, progress: Progress | None, n_jobs: int
) -> tuple[Volumes | None, Films | None]:
    """Measure the volumes of images, or of the frames of films."""
    if plan.of_films:
        from nextscan.study.sequences.films import Films

        return None, Films.of(cohort, plan, folder, progress=progress, n_jobs=n_jobs)
    if plan.of_images:
        from nextscan.study.volumes.measures import Volumes

        return Volumes.of(cohort, plan, folder, progress=progress, n_jobs=n_jobs), None
    return None, None


def _visible(cohort: Cohort, plan: Plan) -> BoolArray | None:
    """Tell which visits of test subjects take part, shape (n_visits,): the last, and those that a rule shows."""
    if not plan.shown or plan.of_films:
        return None
    observed = np.flatnonzero(~cohort.is_request)
    visible = shown_visits(cohort, plan.shown, seed=plan.seed)
    visible[observed[np.diff(cohort.subject_of[observed], append=-1) != 0]] = True
    return visible


def _run(
    cohort: Cohort,
    plan: Plan,
    chosen: NDArray[np.str_],
    folder: Path,
    *,
    progress: Progress | None,
    n_jobs: int,
    volumes: Volumes | Films | None,
    visible: BoolArray | None,
) -> list[Outcome]:
    """Run every job that is not finished yet; return how each group of them ended."""
    from joblib import Parallel, delayed

    def wanting(job: Job) -> bool:
        drawn = not (plan.save_draws and job.shown) or draws_path(folder, job).is_file()
        return not drawn or JobResult.load(result_path(folder, job)) is None

    pending: dict[tuple[int, int], dict[str, list[Job]]] = defaultdict(lambda: defaultdict(list))
    n_all = n_pending = 0
    for job in plan.jobs():
        n_all += 1
        if wanting(job):
            n_pending += 1
            pending[job.repeat, job.fold][job.method].append(job)
    if not pending:
        return []
    clock = _Clock(progress, pending, n_all, n_jobs)

    def work() -> Iterator[Any]:
        for split in folds(cohort, plan.n_folds, repeats=plan.repeats, seed=plan.seed):
            if visible is not None:
                of_test = visible[np.isin(cohort.subjects, split.test.subjects)[cohort.subject_of]]
                split = replace(split, test=split.test.select_visits(of_test))
            for method, jobs in pending[split.repeat, split.fold].items():
                clock.begin(method)
                yield delayed(run_jobs)(
                    split,
                    plan.methods[method],
                    jobs,
                    folder=folder,
                    draws=plan.draws,
                    seed=plan.seed,
                    save_draws=plan.save_draws,
                    chosen=chosen,
                    progress=progress if n_jobs == 1 else None,
                    volumes=volumes,
                )

    outcomes = []
    for outcome in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(work()):
        clock.end(outcome)
        outcomes.append(outcome)
    return outcomes


class _Clock:
    """Counts jobs and tells how many are left, and for how long once every method has been seen."""

    def __init__(
        self,
        progress: Progress | None,
        pending: Mapping[tuple[int, int], Mapping[str, Sequence[Job]]],
        n_all: int,
        n_jobs: int,
    ) -> None:
        self.progress, self.n_all, self.n_jobs = progress, n_all, n_jobs
        self.left = Counter(job.method for group in pending.values() for jobs in group.values() for job in jobs)
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def begin(self, method: str) -> None:
        """Note that a method is next."""
        self._tell(method)

    def end(self, outcome: Outcome) -> None:
        """Note how some jobs ended."""
        self.left[outcome.method] -= outcome.n_jobs
        self.seconds[outcome.method].append(outcome.seconds / outcome.n_jobs)
        self._tell(outcome.method, error=outcome.error)

    def _tell(self, method: str, *, error: str = "") -> None:
        if self.progress is None:
            return
        known = all(self.seconds[name] for name, n in self.left.items() if n)
        remaining = sum(n * np.mean(self.seconds[name]) for name, n in self.left.items() if n) if known else None
        event: dict[str, Any] = {"phase": "evaluate", "method": method}
        event |= {"job": self.n_all - self.left.total(), "jobs": self.n_all}
        event["remaining_seconds"] = None if remaining is None else float(remaining) / max(self.n_jobs, 1)
        self.progress(event | ({"error": error} if error else {}))


def _write(
    out: Path,
    cohort: Cohort,
    plan: Plan,
    methods: list[str],
    task: Task,
    jobs: list[Job],
    load: Load,
    films: Films | None,
) -> None:
    """Write every table of the run folder."""
    names = cohort.feature_names
    pooled = pool(plan, methods, task, groups_of(task), load)
    if films is not None:
        from nextscan.study.sequences.tables import COLUMNS, frame_rows, measuring_rows

        pooled.scores.extend(measuring_rows(plan, films))
        tables.write_csv(out / "frame_scores.csv", frame_rows(plan, methods, films, out / "jobs"), COLUMNS)
    told = {"study": out.name, "cohort": cohort.name}
    tables.write_csv(out / "scores.csv", (told | row for row in pooled.scores), _SCORES)
    tables.write_csv(out / "calibration.csv", pooled.calibration, _CALIBRATION)
    tables.write_csv(out / "feature_scores.csv", tables.feature_rows(plan, methods, names, load), _FEATURES)
    kinds = {method: plan.methods[method].name for method in methods}
    compared = differences.against_best(pooled.subjects, kinds=kinds, seed=plan.seed)
    tables.write_csv(out / "differences.csv", compared, differences.COLUMNS)
    of_features = feature_differences.differences_of_run(plan, methods, task=task, feature_names=names, load=load)
    tables.write_csv(out / "feature_differences.csv", of_features, feature_differences.COLUMNS)
    tables.write_csv(out / "learning.csv", tables.learning_rows(jobs, load), _LEARNING)
    tables.write_subject_scores(out / "subject_scores.parquet", jobs, task, load)
    tables.write_predictions(out / "predictions.parquet", plan, methods, task=task, feature_names=names, load=load)
    tables.write_fans(out / "fans.parquet", plan, methods, task=task, feature_names=names, load=load)
    if plan.save_draws:
        (out / "draws").mkdir(exist_ok=True)
        for method in methods:
            tables.write_draws(out / "draws" / f"{method}.parquet", plan, method, out / "jobs")


def _chosen(task: Task) -> NDArray[np.str_]:
    """Choose subjects spread over the size of their real change, from small to large."""
    sd = feature_sd(task.context)
    change = (task.truth - task.context) / np.where(sd > 0, sd, np.nan)
    known = ~np.isnan(change)
    size = (np.where(known, change, 0.0) ** 2).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    places = np.linspace(0.05, 0.95, min(N_CHOSEN, len(size))) * (len(size) - 1)
    chosen: NDArray[np.str_] = task.targets.subject[
        np.argsort(size, kind="stable")[np.unique(places.round().astype(int))]
    ]
    return chosen


def _load(folder: Path, job: Job) -> JobResult:
    result = JobResult.load(result_path(folder, job))
    if result is None:
        raise NextscanError(f"{result_path(folder, job)}: cannot be read; evaluate again with the same settings")
    return result
