"""Score predicted films: frame by frame, and by the curve of volumes that they imply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextscan import metrics
from nextscan.arrays import FloatArray, Volume
from nextscan.study.sequences.films import Course, Films
from nextscan.study.sequences.truth import CAVITY, MUSCLE, RealFilm

SAME = 5e-3
"""A curve that is predicted to change by less than this share is a copy: few voxels of it were cut to a window."""
LEVEL = 0.8

_IMAGE = ("nrmse", "ssim", "psnr")
IMAGE_SCORES = tuple(f"{name}{suffix}" for suffix in ("", "_heart") for name in _IMAGE)
FRAME_SCORES = (*IMAGE_SCORES, "volume_error", "volume_bias", "muscle_error", "dice_cavity", "volume_coverage_80")
"""Of every hidden frame; NaN where there is none. The average of all but bias and coverage is a score of a subject."""
CURVE_SCORES = ("ef_error", "ef_bias", "ef_coverage_80", "curve_change_error", "roughness_ratio")
"""Of every subject."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Volumes of one subject's hidden frames, mL.

    Attributes
    ----------
    draws : ndarray, shape (n_draws, n_hidden, n_regions)
    mean : ndarray, shape (n_hidden, n_regions)
    ef : ndarray, shape (n_draws,)
        Ejection fraction of each draw, percent.
    ef_mean : float
        Median over draws; that of the copy where the mean is a copy.
    """

    draws: FloatArray
    mean: FloatArray
    ef: FloatArray
    ef_mean: float


def curves_of(films: Films, one: Course, measured: FloatArray, draws: FloatArray, mean: FloatArray) -> Curves:
    """Take ejection fractions draw by draw, frames shown as measured, and know a copy for what it is.

    Parameters
    ----------
    measured : ndarray, shape (n_frames, n_regions)
        What is measured in the real frames, of which those shown count.
    draws : ndarray, shape (n_draws, n_hidden, n_regions)
    mean : ndarray, shape (n_hidden, n_regions)
    """
    copied = measured[one.nearest][~one.given]
    of_copy = bool((np.abs(mean - copied) <= SAME * copied).all())
    mean = copied if of_copy else mean

    def ejected(hidden: FloatArray) -> FloatArray:
        whole = np.broadcast_to(measured[:, films.cavity], (*hidden.shape[:-1], len(one.rows))).copy()
        whole[..., ~one.given] = hidden
        return films.ejection(one, whole)

    ef = ejected(draws[..., films.cavity])
    middle = float(ejected(mean[:, films.cavity])) if of_copy else float(np.median(ef))
    return Curves(draws, mean, ef, middle)


def curve_scores(films: Films, one: Course, measured: FloatArray, curves: Curves) -> dict[str, float]:
    """Score the ejection fraction and the change of the cavity from the nearest frame shown."""
    truth = films.truth[one.rows]
    true_ef = float(films.ejection(one, truth[:, films.cavity]))
    middle = float(np.median(curves.ef))
    covered = float("nan")
    if len(curves.ef) and metrics.highest_level(len(curves.ef)) >= LEVEL and not np.isnan(true_ef):
        central = metrics.central_level(np.array([[true_ef]]), curves.ef[:, None, None])
        covered = float(metrics.covered(central, LEVEL)[0, 0])
    cavity, hidden = films.cavity, ~one.given
    start = np.where(np.isnan(truth), measured, truth)[one.nearest][hidden, cavity]
    real = truth[hidden, cavity] - start
    said = curves.mean[:, cavity] - measured[one.nearest][hidden, cavity]
    known = ~np.isnan(real)
    size = float(np.abs(real[known]).sum())
    return {
        "ef_error": abs(middle - true_ef),
        "ef_bias": middle - true_ef,
        "ef_coverage_80": covered,
        "curve_change_error": float(np.abs(said - real)[known].sum()) / size if size > 0 else float("nan"),
    }


def volume_scores(films: Films, one: Course, curves: Curves) -> list[dict[str, float]]:
    """Score the volumes at each hidden frame."""
    truth = films.truth[one.rows[~one.given]]
    places = list(films.regions)
    scores = []
    highest = metrics.highest_level(len(curves.draws)) if len(curves.draws) else 0.0
    for k, true in enumerate(truth):
        cavity = films.cavity
        off = float(curves.mean[k, cavity] - true[cavity])
        muscle = (
            abs(float(curves.mean[k, places.index(MUSCLE)] - true[places.index(MUSCLE)]))
            if MUSCLE in places
            else float("nan")
        )
        covered = float("nan")
        if highest >= LEVEL and not np.isnan(true[cavity]):
            central = metrics.central_level(np.array([[true[cavity]]]), curves.draws[:, k, cavity][:, None, None])
            covered = float(metrics.covered(central, LEVEL)[0, 0])
        scores.append(
            {"volume_error": abs(off), "volume_bias": off, "muscle_error": muscle, "volume_coverage_80": covered}
        )
    return scores


def image_scores(real: RealFilm, k: int, mean: Volume) -> dict[str, float]:
    """Score the predicted mean of one frame against the real one, without noise where that is known."""
    box, target = real.box, real.target[k]
    scores = {}
    for name, score in zip(_IMAGE, (metrics.nrmse, metrics.ssim, metrics.psnr), strict=True):
        scores[name] = score(target, mean, data_range=real.width)
        # the box holds all that the window of SSIM sees around the heart
        scores[f"{name}_heart"] = score(target[box], mean[box], mask=real.heart[box], data_range=real.width)
    return scores


def roughness_ratio(real: RealFilm, hidden: Sequence[Volume], *, circle: bool) -> float:
    """Return how rough one drawn film is in time over how rough the real one is as measured, inside the heart."""
    film = real.images[:, real.heart].astype(np.float64)
    drawn = film.copy()
    drawn[~real.given] = np.stack([image[real.heart] for image in hidden])
    # frames shown next to a hidden one count as well: a film may break there
    near = ~real.given | np.roll(~real.given, 1) | np.roll(~real.given, -1)
    rough = metrics.roughness(film, near, circle=circle)
    return metrics.roughness(drawn, near, circle=circle) / rough if rough > 0 else float("nan")


def dice_cavity(films: Films, real: RealFilm, k: int, seen: np.ndarray | None) -> float:
    """Return the Dice of the cavity seen in a predicted frame with that of its label map."""
    labels = real.labels[k]
    if seen is None or labels is None:
        return float("nan")
    return metrics.dice(seen, labels == films.regions[CAVITY])
