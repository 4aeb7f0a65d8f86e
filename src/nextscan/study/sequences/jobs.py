"""The part of a job that is about films: predict the hidden frames, measure and score them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan import metrics
from nextscan.arrays import FloatArray
from nextscan.atomic import atomic_path
from nextscan.cohort import Imputation, Split, Task, VolumeImputation
from nextscan.errors import NextscanError
from nextscan.imputers.sequences.volume_ridge import VolumeRidge
from nextscan.study.plan import Job
from nextscan.study.sequences.films import Course, Films
from nextscan.study.sequences.keeping import Cut, KeptFilm, curve_rows, curves_path, film_path
from nextscan.study.sequences.measuring import Measuring
from nextscan.study.sequences.scoring import (
    CURVE_SCORES,
    FRAME_SCORES,
    Curves,
    curve_scores,
    curves_of,
    dice_cavity,
    image_scores,
    roughness_ratio,
    volume_scores,
)
from nextscan.study.volumes.measures import images_of
from nextscan.study.volumes.scoring import ScoredVolumes

_EXACT = 1e-3  # of the window: a mean farther from the average of draws than this was not made from them
OF_FRAMES = ("volume_bias", "volume_coverage_80")  # of frames alone

Scores = dict[str, float]


def frames_path(folder: Path, job: Job) -> Path:
    """Return where the scores of the single frames of a job are kept."""
    return folder / f"{job.stem}.frames.parquet"


def impute_and_score(
    model: Any,
    task: Task,
    split: Split,
    films: Films,
    *,
    job: Job,
    draws: int,
    seed: int,
    chosen: NDArray[np.str_],
    folder: Path,
) -> tuple[ScoredVolumes, float]:
    """Predict the hidden frames of a fold with a fitted model, one subject at a time, and score them.

    Parameters
    ----------
    model : VolumeImputer, or VolumeRidge
        Fitted.
    task : Task
        Of the pseudo follow-ups of the fold's test subjects, see `Films.regional`.
    chosen : ndarray of str
        Subjects whose films are kept if the job is shown, the largest change last.

    Returns
    -------
    ScoredVolumes, seconds spent on predictions
    """
    measuring = films.measuring(split.repeat, split.fold)
    hidden = films.task(split.test, split, model)
    began = time.perf_counter()
    if isinstance(model, VolumeRidge):
        told = model.impute(hidden.shown, draws, seed=seed, missing_labels="ignore")
        result: Any = told
    else:
        result = model.impute(
            images_of(hidden.shown), draws=draws, seed=seed, missing_labels="ignore", other_kinds="ignore"
        )
    spent = time.perf_counter() - began
    for name in ("subject", "visit"):
        if list(getattr(result.requested, name)) != list(getattr(hidden.targets, name)):
            raise NextscanError(f"{job.method}: imputed other frames than those hidden in fold {job.fold}")
    place_of = {subject: place for place, subject in enumerate(chosen[::-1].tolist())} if job.shown else {}
    drawn, means, of_subjects, tables, kept = [], [], [], [], []
    for subject in task.targets.subject:
        one = films.courses[str(subject)]
        at = np.flatnonzero(hidden.targets.subject == subject)
        if isinstance(model, VolumeRidge):
            values = (np.asarray(told.draws[:, at], np.float64), told.mean()[at])
            curves = curves_of(films, one, measuring.volumes[one.rows], *values)
            frames, of_film = volume_scores(films, one, curves), dict[str, float]()
        else:
            place = place_of.get(str(subject))
            path = None if place is None else film_path(folder, job, place)
            curves, frames, of_film, more = _predicted(films, measuring, one, result, at, job.method, path)
            spent += more
        of_film |= curve_scores(films, one, measuring.volumes[one.rows], curves)
        drawn.append(films.vector(one, curves.draws, curves.ef, 0.0))
        means.append(films.vector(one, curves.mean, curves.ef_mean, 0.0))
        of_subjects.append(of_film | averaged(frames))
        tables.append(_table(films, one, str(subject), frames))
        known = measuring.volumes[one.rows]
        kept += list(curve_rows(films, one, str(subject), curves, known, whole=str(subject) in place_of))
    with atomic_path(frames_path(folder, job)) as beside:
        pd.concat(tables, ignore_index=True).to_parquet(beside, index=False)
    if job.shown:
        with atomic_path(curves_path(folder, job)) as beside:
            pd.DataFrame(kept).to_parquet(beside, index=False)
    imputation = Imputation(
        method=model.name,
        feature_names=films.feature_names,
        requested=task.targets,
        draws=np.nan_to_num(np.stack(drawn, axis=1)),
        context=task.context,
        exact_mean=np.nan_to_num(np.array(means)),
        seed=seed,
    )
    scores = {
        name: np.array([of.get(name, np.nan) for of in of_subjects])
        for name in (*(name for name in FRAME_SCORES if name not in OF_FRAMES), *CURVE_SCORES)
    }
    scores["ef_correlation"] = ef_correlation(task.truth[:, -1], np.array([mean[-1] for mean in means]))
    nothing = np.zeros((len(of_subjects), 0))
    return ScoredVolumes(imputation, scores, nothing, nothing), spent


def _predicted(
    films: Films,
    measuring: Measuring,
    one: Course,
    result: VolumeImputation,
    at: np.ndarray,
    method: str,
    path: Path | None,
) -> tuple[Curves, list[Scores], Scores, float]:
    """Predict all hidden frames of a subject, and keep them at a path if there is one.

    Returns
    -------
    Its curves, scores of frames and film, and seconds.
    """
    real = films.real(one)
    kept = None if path is None else KeptFilm(Cut.of(real))
    volumes, mean_volumes, first, frames = [], [], [], []
    spent = 0.0
    for k, index in zip(np.flatnonzero(~one.given).tolist(), at.tolist(), strict=True):
        began = time.perf_counter()
        predicted = result.predict(index)
        spent += time.perf_counter() - began
        who = f"{method}: the predicted frame {predicted.visit} of {predicted.subject}"
        if predicted.mean.shape != real.images.shape[1:] or predicted.draws.shape[1:] != real.images.shape[1:]:
            raise NextscanError(
                f"{who} has shape {predicted.mean.shape}, the film {real.images.shape[1:]}; predict on the film's own "
                "grid"
            )
        if not (np.isfinite(predicted.mean).all() and np.isfinite(predicted.draws).all()):
            raise NextscanError(f"{who} holds voxels that are not finite; change the method's settings")
        made = predicted.draws.mean(axis=0, dtype=np.float64)
        exact = np.abs(predicted.mean - made).max() > _EXACT * real.width
        images = np.concatenate([predicted.mean[None], predicted.draws])
        measured = measuring.of(images if exact else predicted.draws, real.affine)
        volumes.append(measured[-len(predicted.draws) :])
        mean_volumes.append(measured[0] if exact else measured.mean(axis=0))
        first.append(predicted.draws[0])
        if kept is not None:
            kept.add(predicted)
        seen = None if real.labels[k] is None else measuring.cavity(predicted.mean[None])
        frames.append(
            image_scores(real, k, predicted.mean)
            | {"dice_cavity": dice_cavity(films, real, k, None if seen is None else seen[0])}
        )
    if kept is not None and path is not None:
        kept.write(path)
    curves = curves_of(films, one, measuring.volumes[one.rows], np.stack(volumes, axis=1), np.array(mean_volumes))
    for scores, of_volumes in zip(frames, volume_scores(films, one, curves), strict=True):
        scores |= of_volumes
    rough = roughness_ratio(real, first, circle=films.cohort.period is not None)
    return curves, frames, {"roughness_ratio": rough}, spent


def averaged(frames: list[Scores]) -> Scores:
    """Average the scores of frames that are scores of a subject as well, over frames that have one."""
    found = {}
    for name in FRAME_SCORES:
        values = np.array([scores.get(name, np.nan) for scores in frames])
        if name not in OF_FRAMES and not np.isnan(values).all():
            found[name] = float(np.nanmean(values))
    return found


def ef_correlation(truth: FloatArray, said: FloatArray) -> FloatArray:
    """Return the correlation of ejection fractions over subjects, as pseudo-values of each."""
    return metrics.pearson_per_feature(truth[:, None], said[None, :, None]).per_subject


def _table(films: Films, one: Course, subject: str, frames: list[Scores]) -> pd.DataFrame:
    """Return the scores of a subject's hidden frames, long form."""
    hidden = np.flatnonzero(~one.given)
    rows = [
        {
            "subject": subject,
            "frame": str(films.cohort.visits[one.rows[k]]),
            "time": float(films.cohort.years[one.rows[k]]),
            "horizon": float(one.horizon[k]),
            "n_before": float(one.n_before[k]),
            "metric": name,
            "value": scores[name],
        }
        for k, scores in zip(hidden, frames, strict=True)
        for name in FRAME_SCORES
        if name in scores
    ]
    return pd.DataFrame(rows)
