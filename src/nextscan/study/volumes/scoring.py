"""Score predicted images: voxel by voxel, and by the regional volumes that they imply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nextscan import metrics
from nextscan.arrays import FloatArray
from nextscan.cohort import Imputation, Task
from nextscan.cohort.volume_imputation import PredictedVolume, VolumeImputation
from nextscan.errors import NextscanError, SettingError
from nextscan.metrics.volume_descriptor import Grid
from nextscan.study.plugs import load_function
from nextscan.study.volumes.regions import Regions
from nextscan.study.volumes.truth import RealImages

CHANGED = 0.05
"""A voxel has changed if by more than this share of the window."""

_EXACT = 1e-3  # of the window: a mean farther from the average of draws than this was not made from them

Keep = Callable[[int, PredictedVolume, RealImages, dict[str, float], FloatArray], None]


@dataclass(frozen=True, eq=False)
class Describing:
    """How images are described for the Fréchet distance.

    Attributes
    ----------
    extractor : str
        ``module:function``: takes an image (x, y, z) whose window lies at 0 to 1, and its affine; returns a
        vector of fixed length.
    grid : tuple of int, or None
        Cells of the built-in extractor; None for one of the user's own.
    dimension : int
        Length of the vectors; 0 where there are too few images for any.
    """

    extractor: str
    grid: Grid | None
    dimension: int

    def describe(self, image: NDArray[np.floating], real: RealImages) -> FloatArray:
        """Describe an image on the grid of the source, shape (dimension,)."""
        if not self.dimension:
            return np.zeros(0)
        scaled = (np.asarray(image, np.float32) - np.float32(real.low)) / np.float32(real.width)
        if self.grid is not None:
            return metrics.volume_descriptor(scaled, real.affine, real.head, grid=self.grid)
        return described(self.extractor, scaled, real.affine)


def described(extractor: str, image: NDArray[np.float32], affine: FloatArray) -> FloatArray:
    """Return what an extractor of the user's own says of an image.

    Raises
    ------
    SettingError
        If that is no vector of finite numbers.
    """
    vector = np.asarray(load_function(extractor, what="extractor")(image, affine), np.float64)
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        raise SettingError(f"extractor {extractor}: must return a vector of finite numbers, got shape {vector.shape}")
    return vector


@dataclass(frozen=True, eq=False)
class ScoredVolumes:
    """What is left of predicted images once they are scored.

    Attributes
    ----------
    imputation : Imputation
        Regional volumes of the draws, in mm³, as of any table of features.
    by_subject : dict of metric to ndarray, shape (n_targets,)
    descriptor, real_descriptor : ndarray, shape (n_targets, dimension)
        Of the first draw and of the real follow-up as measured.
    """

    imputation: Imputation
    by_subject: dict[str, FloatArray]
    descriptor: FloatArray
    real_descriptor: FloatArray


def score_volumes(
    result: VolumeImputation,
    task: Task,
    real_of: Callable[[int], RealImages],
    *,
    regions: Regions,
    describing: Describing,
    keep: Keep | None = None,
) -> ScoredVolumes:
    """Make each predicted image in turn, score it and keep its regional volumes.

    Parameters
    ----------
    result : VolumeImputation
        Of `task.targets`, in their order.
    task : Task
        Whose features are regional volumes.
    real_of : callable
        Returns the real images of a target.
    regions : Regions
    describing : Describing
    keep : callable, optional
        Called with each target's index, prediction, real images, scores and the regional volumes of its draws.

    Raises
    ------
    NextscanError
        If a prediction is not finite or not on the grid of its source.
    """
    scores: dict[str, list[float]] = {}
    draws, means, described_draws, described_truth = [], [], [], []
    sources = task.shown.files_of("volume")[task.targets.context]
    for index, context in enumerate(task.context):
        predicted, real = result[index], real_of(index)
        _check(result.method, predicted, real)
        of_images = image_scores(predicted, real)
        for name, value in of_images.items():
            scores.setdefault(name, []).append(value)

        measured = partial(regions.predicted, affine=real.affine, source=str(sources[index]), context=context)
        drawn = np.array([measured(draw) for draw in predicted.draws])
        made = predicted.draws.mean(axis=0, dtype=np.float64)
        exact = np.abs(predicted.mean - made).max() > _EXACT * real.width
        draws.append(drawn)
        means.append(measured(predicted.mean) if exact else drawn.mean(axis=0))
        described_draws.append(describing.describe(predicted.draws[0], real))
        described_truth.append(describing.describe(real.truth, real))
        if keep is not None:
            keep(index, predicted, real, of_images, drawn)
    imputation = Imputation(
        method=result.method,
        feature_names=regions.names,
        requested=task.targets,
        draws=np.stack(draws, axis=1),
        context=task.context,
        exact_mean=np.array(means),
        seed=result.seed,
    )
    by_subject = {name: np.array(values) for name, values in scores.items()}
    by_subject |= regional_scores(task.truth, imputation.mean(), task.context)
    return ScoredVolumes(imputation, by_subject, np.array(described_draws), np.array(described_truth))


def image_scores(predicted: PredictedVolume, real: RealImages) -> dict[str, float]:
    """Score one predicted image.

    SSIM, PSNR and NRMSE are those of the predictive mean, the image that is written out, against the
    follow-up without noise where there is one. Real change is counted from the source without noise there,
    so that taking noise away is no change. Coverage asks whether draws are as wide as what will be measured,
    and so compares with the follow-up as measured, noise included.
    """
    scores: dict[str, float] = {}
    for suffix, mask in (("", None), ("_mask", real.mask)):
        for name, score in (("ssim", metrics.ssim), ("psnr", metrics.psnr), ("nrmse", metrics.nrmse)):
            scores[f"{name}{suffix}"] = score(real.target, predicted.mean, mask=mask, data_range=real.width)
    of_change = (real.target, predicted.mean, real.source)
    scores["voxel_change_correlation"] = metrics.change_correlation_map(
        *of_change, mask=real.mask, true_source=real.start
    )
    scores["direction_auroc"] = metrics.direction_auroc(
        *of_change, mask=real.mask, true_source=real.start, threshold=CHANGED * real.width
    )
    scores["voxel_coverage_80"] = metrics.voxel_coverage(real.truth, predicted.draws, 0.8, mask=real.mask)
    return scores


def regional_scores(truth: FloatArray, mean: FloatArray, context: FloatArray) -> dict[str, FloatArray]:
    """Score predicted regional volumes in percent, one number per subject.

    ``roi_volume_error`` is the mean over regions of the absolute error as a share of the true volume,
    ``roi_change_error`` as a share of the source's volume; ``roi_change_correlation`` is the correlation over
    subjects of predicted with real relative change, averaged over regions, and 0 in a region where the same
    change is predicted for everybody, as by a copy.

    Parameters
    ----------
    truth, mean, context : ndarray, shape (n_subjects, n_regions)
        The follow-up, its predictive mean, and the source.
    """
    end, start = np.where(truth > 0, truth, np.nan), np.where(context > 0, context, np.nan)
    real, said = truth / start, mean / start
    correlation = metrics.change_correlation(real, said, np.ones_like(start))
    possible = metrics.change_correlation(real, real, np.ones_like(start))
    share = int((~np.isnan(correlation.per_feature)).sum()) / max(int((~np.isnan(possible.per_feature)).sum()), 1)
    pseudo = np.nan_to_num(correlation.per_subject) * share
    nothing = np.isnan(possible.per_feature).all()
    return {
        "roi_volume_error": 100 * metrics.known_mean(np.abs(mean - truth) / end, axis=1),
        "roi_change_error": 100 * metrics.known_mean(np.abs(said - real), axis=1),
        "roi_change_correlation": np.full(len(truth), np.nan) if nothing else pseudo,
    }


def _check(method: str, predicted: PredictedVolume, real: RealImages) -> None:
    who = f"{method}: the predicted image of {predicted.subject} {predicted.visit}"
    if predicted.mean.shape != real.source.shape or predicted.draws.shape[1:] != real.source.shape:
        raise NextscanError(
            f"{who} has shape {predicted.mean.shape}, its source {real.source.shape}; predict on the source's own grid"
        )
    if not (np.isfinite(predicted.mean).all() and np.isfinite(predicted.draws).all()):
        raise NextscanError(f"{who} holds voxels that are not finite; change the method's settings")
