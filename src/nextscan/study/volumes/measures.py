"""Studies of images: their regional volumes become features, and predicted images are scored as well.

A cohort of images is turned into a cohort of regional volumes (`Volumes.regional`), split, hidden, scored,
pooled and reported like any other; the methods themselves see the images alone. Beside the scores of
features stand those of images (`nextscan.study.volumes.scoring`), rows of the same long table.

Images for the report lie in ``images/`` of the run folder. ``index.json`` has, under ``subjects``, one entry
per shown subject, the largest real regional change first: subject, visit, years, gap, fold, ``folder``,
``window`` (the native intensities at 0 and 1), ``unit_change`` (from which change on, in window units, a
voxel counts as changed), ``methods`` with images, and ``series``: those with predictions over time. In each
subject's folder, arrays on the source's own grid cut to the head, float16 in window units:

``real.npz``
    ``source``, ``truth`` (the follow-up times its `RealImages.gain`), ``noise_free`` and ``source_noise_free``
    where there are such, ``mask`` (uint8) of the scores inside a mask, ``affine`` (4, 4) of the cut grid.
``METHOD.npz``
    ``mean``, ``sd`` over draws, ``draw`` (the first); ``scores`` with ``score_names``; ``regions_names``, and
    in mm³ ``source_regions``, ``true_regions``, ``mean_regions`` (n_regions,), ``draw_regions`` (n_draws,
    n_regions). For the first subject, and methods that use time, ``series`` and ``series_sd`` (n_times, x, y,
    z): predictive means and their ``sd``, ``series_gap`` years after the source, with ``series_regions``
    (n_times, n_regions). Runs of before it was kept are without ``series_sd``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from nextscan.arrays import Progress
from nextscan.cohort import Cohort, Split, Task, hide
from nextscan.errors import NextscanWarning, SettingError
from nextscan.images.names import CONTRASTS, image_name
from nextscan.metrics import descriptor_grid, volume_descriptor
from nextscan.study.plan import EXTRACTOR, SEGMENTER, Plan
from nextscan.study.units import Units
from nextscan.study.volumes.regions import Regions, measure_regions
from nextscan.study.volumes.scoring import Describing, described
from nextscan.study.volumes.truth import real_images


@dataclass(frozen=True, eq=False)
class Volumes:
    """What the jobs of a study of images share.

    Attributes
    ----------
    regional : Cohort
        The cohort with regional volumes as its only features, and its files.
    regions : Regions
    describing : Describing
    """

    kind: ClassVar[Literal["volumes"]] = "volumes"

    regional: Cohort
    regions: Regions
    describing: Describing

    @classmethod
    def of(
        cls, cohort: Cohort, plan: Plan, folder: Path, *, progress: Progress | None = None, n_jobs: int = 1
    ) -> Volumes:
        """Measure all images of a cohort, or read what was measured before.

        Parameters
        ----------
        folder : path
            Of the run's jobs.

        Raises
        ------
        ImageError
            If an image cannot be read or segmented.
        SettingError
            If segmenter or extractor are no functions, or the extractor tells too much for so few images.
        """
        if plan.segmenter == SEGMENTER:
            _warn_of_contrast(cohort)
        regions = measure_regions(cohort, plan.segmenter, folder / "regions", progress=progress, n_jobs=n_jobs)
        regional = regions.as_features(cohort)
        return cls(regional, regions, _describing(plan.extractor, hide(regional)))

    def of_fold(self, split: Split) -> Split:
        """Return a fold as it is: volumes are measured once for all."""
        return split

    def units(self, split: Split) -> Units:
        """Learn the scales of a fold."""
        return Units.of(split)

    def seen(self, part: Cohort, split: Split, method: object) -> Cohort:
        """Return what a method may see of a part of a fold."""
        return images_of(part)

    def record(self) -> dict[str, Any]:
        """Return what `run.json` says of them."""
        told, n_images = self.describing, int(self.regional.is_paired.sum())
        descriptor = {"extractor": told.extractor, "dimension": told.dimension, "n_images": n_images}
        clean = (self.regional.files_of("noise_free") != "")[self.regional.has_volume].all()
        return {
            "kind": self.kind,
            "regions": self.regions.record(),
            "image_truth": "noise_free" if clean else "volume",
            "descriptor": descriptor if told.dimension else None,
        }


def images_of(cohort: Cohort) -> Cohort:
    """Return what a method of images may see of a cohort: images, no regional volumes and no noise-free image."""
    return replace(
        cohort,
        features=np.zeros((cohort.n_visits, 0)),
        feature_names=(),
        units={},
        files={role: paths for role, paths in cohort.files.items() if role != "noise_free"},
    )


def _warn_of_contrast(cohort: Cohort) -> None:
    """Warn of images that by their names are no T1: the built-in segmenter takes what is dark for fluid."""
    kinds = {image_name(path)[1] for path in cohort.files_of("volume")[cohort.has_volume].tolist()}
    if others := sorted(kinds & CONTRASTS - {"T1w", "UNIT1", "inplaneT1"}):
        warnings.warn(
            f"the built-in segmenter knows T1 contrast, and there are images of kind {', '.join(others)}: regional "
            "volumes of these mean little; give a segmenter that knows them (--segmenter module:function)",
            NextscanWarning,
            stacklevel=3,
        )


def _describing(extractor: str, task: Task) -> Describing:
    """Choose how images are described, so that there are fewer numbers than test images."""
    n_images = len(task.targets)
    if extractor == EXTRACTOR:
        try:
            grid = descriptor_grid(n_images)
            real = real_images(task, 0)
            dimension = len(volume_descriptor(real.source, real.affine, real.head, grid=grid))
        except ValueError as error:
            warnings.warn(f"no Fréchet distance of images: {error}", NextscanWarning, stacklevel=2)
            return Describing(extractor, None, 0)
        return Describing(extractor, grid, dimension)
    real = real_images(task, 0)
    dimension = len(described(extractor, (real.source - np.float32(real.low)) / np.float32(real.width), real.affine))
    if dimension >= n_images:
        raise SettingError(
            f"extractor {extractor}: gives {dimension} numbers for {n_images} test images; a Fréchet distance needs "
            "fewer numbers than images: use a smaller layer, or project them to fewer dimensions"
        )
    return Describing(extractor, None, dimension)
