"""Keep the images of a few subjects for the report, see `nextscan.study.volumes.measures` for what is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.atomic import atomic_path, write_text
from nextscan.cohort import Task
from nextscan.cohort.volume_imputation import PredictedVolume
from nextscan.study.plan import Job, Plan
from nextscan.study.volumes.scoring import CHANGED
from nextscan.study.volumes.truth import RealImages, real_images

N_TIMES = 6
"""Predictions over time, from no time at all to the longest interval of training."""

_MARGIN = 2  # voxels around the head


def kept_path(folder: Path, job: Job, place: int) -> Path:
    """Return where a job keeps the images of a shown subject, given by its place among them."""
    return folder / f"{job.stem}.images-{place}.npz"


def keep_prediction(
    path: Path,
    predicted: PredictedVolume,
    real: RealImages,
    *,
    scores: dict[str, float],
    names: Sequence[str],
    regions: dict[str, FloatArray],
    series: Iterable[tuple[PredictedVolume, FloatArray]] = (),
) -> None:
    """Write what the report shows of one prediction.

    Parameters
    ----------
    regions : dict of name to ndarray
        ``source_regions``, ``true_regions``, ``mean_regions``, ``draw_regions``.
    series : iterable of (PredictedVolume, ndarray)
        At growing intervals; with their regional volumes. One is held at a time.
    """
    box = _box(real)

    def spread(one: PredictedVolume) -> NDArray[np.float16]:
        return (one.sd()[box] / real.width).astype(np.float16)

    flat: dict[str, Any] = {
        "mean": _scaled(predicted.mean[box], real),
        "sd": spread(predicted),
        "draw": _scaled(predicted.draws[0][box], real),
        "scores": np.array(list(scores.values())),
        "score_names": np.array(list(scores)),
        "regions_names": np.array(list(names)),
        **regions,
    }
    over_time = [(_scaled(one.mean[box], real), spread(one), one.gap, volumes) for one, volumes in series]
    if over_time:
        told = ("series", "series_sd", "series_gap", "series_regions")
        flat |= {name: np.stack(parts) for name, parts in zip(told, zip(*over_time, strict=True), strict=True)}
    with atomic_path(path) as beside:
        np.savez_compressed(beside, **flat)


def write_images(
    out: Path,
    plan: Plan,
    methods: Iterable[str],
    *,
    task: Task,
    chosen: NDArray[np.str_],
    labels: Sequence[int],
    folder: Path,
) -> None:
    """Gather what the jobs kept, beside the real images, in the folder ``images`` of a run."""
    images = out / "images"
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir()
    methods = list(methods)
    entries = []
    for place, subject in enumerate(chosen[::-1]):  # the largest change first
        index = int(np.flatnonzero(task.targets.subject == subject)[0])
        here = images / f"{place:03d}"
        here.mkdir()
        real = real_images(task, index, labels=labels)
        _write_real(here / "real.npz", real)
        fold = -1
        have: list[str] = []
        moving: list[str] = []
        for method in methods:
            for job in plan.shown_jobs(method):
                kept = kept_path(folder, job, place)
                if kept.is_file():
                    shutil.copyfile(kept, here / f"{method}.npz")
                    fold = job.fold
                    have.append(method)
                    with np.load(kept, allow_pickle=False) as file:
                        if "series" in file.files:
                            moving.append(method)
        entries.append(
            {
                "subject": str(subject),
                "visit": str(task.targets.visit[index]),
                "years": _number(task.targets.years[index]),
                "gap": _number(task.targets.gap[index]),
                "fold": fold,
                "folder": f"images/{place:03d}",
                "window": [real.low, real.high],
                "unit_change": CHANGED,
                "methods": have,
                "series": moving,
            }
        )
    write_text(images / "index.json", json.dumps({"subjects": entries}, indent=1) + "\n")


def _write_real(path: Path, real: RealImages) -> None:
    box = _box(real)
    affine = real.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    flat: dict[str, Any] = {
        "source": _scaled(real.source[box], real),
        "truth": _scaled(real.truth[box], real),
        "mask": real.mask[box].astype(np.uint8),
        "affine": affine,
    }
    if real.clean_truth is not None:
        flat["noise_free"] = _scaled(real.clean_truth[box], real)
    if real.clean_source is not None:
        flat["source_noise_free"] = _scaled(real.clean_source[box], real)
    with atomic_path(path) as beside:
        np.savez_compressed(beside, **flat)


def _box(real: RealImages) -> tuple[slice, slice, slice]:
    """Return the box of head and mask with a margin."""
    places = np.nonzero(real.head | real.mask)
    x, y, z = (
        slice(max(int(at.min()) - _MARGIN, 0), min(int(at.max()) + 1 + _MARGIN, size))
        for at, size in zip(places, real.source.shape, strict=True)
    )
    return x, y, z


def _scaled(image: NDArray[np.floating], real: RealImages) -> NDArray[np.float16]:
    scaled = (np.asarray(image, np.float64) - real.low) / real.width
    return np.clip(scaled, -100, 100).astype(np.float16)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
