"""The part of a job that is about images: predict, score, keep a few for the report."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort import Split, Task, pairs
from nextscan.cohort.volume_imputation import PredictedVolume, VolumeImputation
from nextscan.errors import NextscanError
from nextscan.study.plan import Job
from nextscan.study.volumes.images import N_TIMES, keep_prediction, kept_path
from nextscan.study.volumes.measures import Volumes, images_of
from nextscan.study.volumes.scoring import ScoredVolumes, score_volumes
from nextscan.study.volumes.truth import RealImages, real_images


def impute_and_score(
    model: Any,
    task: Task,
    split: Split,
    volumes: Volumes,
    *,
    job: Job,
    draws: int,
    seed: int,
    chosen: NDArray[np.str_],
    folder: Path,
) -> tuple[ScoredVolumes, float]:
    """Predict the hidden images of a fold with a fitted model, one at a time, and score them.

    Parameters
    ----------
    model : VolumeImputer
        Fitted.
    task : Task
        With regional volumes as features, of which the model sees nothing.
    chosen : ndarray of str
        Subjects whose images are kept if the job is shown, the largest change last; of that one also
        predictions over time.

    Returns
    -------
    ScoredVolumes, seconds spent on predictions
    """
    regions = volumes.regions.calibrated(split.train)
    shown = images_of(task.shown)
    result: VolumeImputation = model.impute(
        shown, draws=draws, seed=seed, missing_labels="ignore", other_kinds="ignore"
    )
    if list(result.requested.subject) != list(task.targets.subject):
        raise NextscanError(f"{job.method}: imputed other visits than those hidden in fold {job.fold}")
    spent = 0.0
    predict = result.predict

    def timed(index: int) -> PredictedVolume:
        nonlocal spent
        began = time.perf_counter()
        predicted = predict(index)
        spent += time.perf_counter() - began
        return predicted

    place_of = {subject: place for place, subject in enumerate(chosen[::-1].tolist())} if job.shown else {}

    def keep(
        index: int, predicted: PredictedVolume, real: RealImages, scores: dict[str, float], drawn: FloatArray
    ) -> None:
        place = place_of.get(predicted.subject)
        if place is None:
            return
        context = task.context[index]

        def measured(one: PredictedVolume) -> FloatArray:
            return regions.predicted(one.mean, one.affine, source=predicted.source, context=context)

        series: Iterable[PredictedVolume] = ()
        if place == 0 and model.uses_time:
            series = _over_time(model, task, split, index, draws=draws, seed=seed)
        keep_prediction(
            kept_path(folder, job, place),
            predicted,
            real,
            scores=scores,
            names=volumes.regions.names,
            regions={
                "source_regions": context,
                "true_regions": task.truth[index],
                "mean_regions": measured(predicted),
                "draw_regions": drawn,
            },
            series=((one, measured(one)) for one in series),
        )

    scored = score_volumes(
        replace(result, predict=timed),
        task,
        lambda index: real_images(task, index, labels=volumes.regions.labels),
        regions=regions,
        describing=volumes.describing,
        keep=keep,
    )
    return scored, spent


def _over_time(model: Any, task: Task, split: Split, index: int, *, draws: int, seed: int) -> Iterable[PredictedVolume]:
    """Predict one subject at growing intervals, up to the longest of training; nothing where times are unknown."""
    longest = float(np.nanmax(pairs(split.train).gap, initial=0.0))
    row = int(task.targets.context[index])
    if longest <= 0 or not np.isfinite(task.shown.years[row]):
        return ()
    one = np.flatnonzero(task.shown.subjects == task.targets.subject[index])
    times = np.linspace(0, longest, N_TIMES)
    result: VolumeImputation = model.impute(
        images_of(task.shown.select_subjects(one)),
        draws=draws,
        seed=seed,
        at_years=times.tolist(),
        missing_labels="ignore",
        other_kinds="ignore",
    )
    return result
