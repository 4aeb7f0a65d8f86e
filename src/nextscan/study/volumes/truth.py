"""The real images a prediction is compared with, all on the grid of the source image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, Volume
from nextscan.cohort import Task
from nextscan.errors import ImageError

_QUANTILES = (0.001, 0.999)
_FOREGROUND = 0.1  # of the window: darker is air
_SHOWN = 0.5  # share of a voxel that lies within the other image


@dataclass(frozen=True, eq=False)
class RealImages:
    """Source and follow-up of one target, on the source's own grid and native intensities.

    Attributes
    ----------
    source, truth : ndarray of float32, shape (x, y, z)
        As measured; where nothing is known without noise, the follow-up times `gain`.
    clean_source, clean_truth : ndarray of float32, shape (x, y, z), or None
        Without noise, where the cohort has them.
    affine : ndarray, shape (4, 4)
    mask : ndarray of bool, shape (x, y, z)
        Where scores inside a mask are taken: the context visit's mask file; else where its label map has one of
        the scored regions, or any label if it is not known which those are; else the voxels of the source
        brighter than a tenth of its window. What the follow-up image does not show is left out.
    head : ndarray of bool, shape (x, y, z)
        Voxels of the source brighter than that, whatever the mask.
    low, high : float
        Window: the 0.1 % and 99.9 % quantiles of the source image. Its width is the range of intensities in
        scores.
    gain : float
        What the follow-up was multiplied by. MRI has no unit: a scanner gives the same head 300 today and 400
        next year, which is no change, and which nobody can predict.
    """

    source: Volume
    truth: Volume
    clean_source: Volume | None
    clean_truth: Volume | None
    affine: FloatArray
    mask: BoolArray
    head: BoolArray
    low: float
    high: float
    gain: float = 1.0

    @property
    def width(self) -> float:
        """Width of the window."""
        return self.high - self.low

    @property
    def target(self) -> Volume:
        """The follow-up that image scores compare with: the noise-free one where there is one."""
        return self.truth if self.clean_truth is None else self.clean_truth

    @property
    def start(self) -> Volume:
        """The image real change is counted from: the source, noise-free where both are known so."""
        return self.source if self.clean_source is None or self.clean_truth is None else self.clean_source


def real_images(task: Task, index: int, *, labels: Sequence[int] = ()) -> RealImages:
    """Read the images of one target.

    Parameters
    ----------
    task : Task
    index : int
    labels : sequence of int
        Of the scored regions in label maps.

    Raises
    ------
    ImageError
        If one cannot be read, or the mask lies on another grid or is empty.
    """
    from nextscan.images.files import read_header, read_image
    from nextscan.images.transforms import common_to_image

    row = int(task.targets.context[index])
    subject = task.targets.subject[index]
    shown = {role: paths[row] for role, paths in task.shown.files.items()}
    hidden = {role: paths[index] for role, paths in task.truth_files.items()}
    here, there = f"{subject} {task.shown.visits[row]}", f"{subject} {task.targets.visit[index]}"
    source = read_image(shown["volume"], where=here)
    shape = source.data.shape
    low, high = (float(value) for value in np.quantile(source.data, _QUANTILES))
    if not high > low:
        raise ImageError(f"{shown['volume']} ({here}): hardly any voxel differs from the rest; remove this visit")
    head: BoolArray = np.asarray(source.data > low + _FOREGROUND * (high - low))

    def of_source(role: str) -> NDArray[np.float32] | None:
        if not shown.get(role):
            return None
        image = read_image(shown[role], where=here, allow_constant=True)
        if image.data.shape != shape or not np.allclose(image.affine, source.affine, atol=1e-3):
            raise ImageError(f"{shown[role]} ({here}): lies on another grid than {shown['volume']}; resample it")
        return image.data

    transforms = shown.get("transform", ""), hidden.get("transform", "")
    to_there = np.eye(4)  # without transforms both are where they belong
    if any(transforms) and hidden.get("volume"):
        other = read_header(hidden["volume"], where=there)
        from_common = common_to_image(transforms[0], source.header, where=here)
        to_there = common_to_image(transforms[1], other, where=there) @ np.linalg.inv(from_common)

    def of_truth(role: str) -> tuple[Volume, BoolArray | None] | None:
        if not hidden.get(role):
            return None
        image = read_image(hidden[role], where=there)
        return _moved(image.data, np.linalg.inv(image.affine) @ to_there @ source.affine, shape)

    mask = head
    if (given := of_source("mask")) is not None:
        mask = given > 0
    elif (given := of_source("segmentation")) is not None:
        mask = np.isin(np.rint(given), labels) if labels else given > 0
    if not mask.any():
        raise ImageError(f"{shown.get('mask') or shown.get('segmentation')} ({here}): marks no voxel; remove it")
    found = of_truth("volume")
    if found is None:
        raise ImageError(f"{there}: has no image to compare a prediction with")
    truth, seen = found
    mask = mask if seen is None else mask & seen
    if not mask.any():
        raise ImageError(f"{hidden['volume']} ({there}): shows nothing of {shown['volume']}; give their transforms")
    clean = of_truth("noise_free")
    gain = _gain(source.data, truth, head if seen is None else head & seen) if clean is None else 1.0
    return RealImages(
        source=source.data,
        truth=truth if gain == 1.0 else truth * np.float32(gain),
        clean_source=of_source("noise_free"),
        clean_truth=None if clean is None else clean[0],
        affine=source.affine,
        mask=mask,
        head=head,
        low=low,
        high=high,
        gain=gain,
    )


def _gain(source: Volume, truth: Volume, head: BoolArray) -> float:
    """Return what makes one image as bright as another: the median of ratios, which change in a few regions leaves.

    1 where intensities below zero make a factor meaningless.
    """
    shown = head & (source > 0) & (truth > 0)
    if min(source.min(), truth.min()) < 0 or not shown.any():
        return 1.0
    return float(np.median(source[shown] / truth[shown]))


def _moved(data: Volume, matrix: FloatArray, shape: tuple[int, ...]) -> tuple[Volume, BoolArray | None]:
    """Return an image at the voxels of another grid, and which of them it shows (None: all of them).

    `matrix` takes voxels of that grid to voxels of the image.
    """
    from nextscan.preprocess.volumes.resampling import resample

    if data.shape == shape and np.allclose(matrix, np.eye(4), atol=1e-4):
        return data, None
    seen = resample(np.ones(data.shape, np.float32), matrix, shape, fill=0.0, smooth=False) > _SHOWN
    return resample(data, matrix, shape, fill=float(data.min())), np.asarray(seen)
