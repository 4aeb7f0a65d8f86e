"""What the intensities of one image say about it, and what it looks like."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.images.files import Image
from nextscan.images.header import nibabel

_SAMPLED = 300_000  # voxels looked at one by one
_LEVELS = 512  # more distinct values than a label map has
_PIECEWISE = 0.75  # share of neighbours with the same value: label maps have 0.8 and more, scans below 0.3
_EMPTY = 0.01
_NEGATIVE = 0.01
_PIXELS = 96  # of the longer side of a thumbnail


@dataclass(frozen=True)
class Values:
    """A summary of the intensities of an image.

    Attributes
    ----------
    low, high : float
        Their range.
    filled : float
        Share of voxels that differ from the commonest background, zero.
    negative : float
        Share of voxels below zero by more than noise in the background: 5 % of the range.
    is_label_map : bool
        Whole numbers, few of them, the same at most neighbours.
    digest : bytes
        Equal for images with equal numbers.
    """

    low: float
    high: float
    filled: float
    negative: float
    is_label_map: bool
    digest: bytes

    @property
    def is_almost_empty(self) -> bool:
        """Tell whether nearly all voxels are zero."""
        return self.filled < _EMPTY

    @property
    def is_negative(self) -> bool:
        """Tell whether many voxels are below zero."""
        return self.negative > _NEGATIVE


def summarise(image: Image) -> Values:
    """Summarise the intensities of an image."""
    data = image.data
    flat = data.ravel(order="F")
    return Values(
        low=float(data.min()),
        high=float(data.max()),
        filled=np.count_nonzero(data) / data.size,
        negative=np.count_nonzero(data < -0.05 * float(data.max() - data.min())) / data.size,
        is_label_map=_is_label_map(data),
        digest=hashlib.blake2b(flat.tobytes(), digest_size=16, person=_shape_key(data)).digest(),
    )


def _shape_key(data: NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(repr(data.shape).encode(), digest_size=16).digest()


def _is_label_map(data: NDArray[np.float32]) -> bool:
    every = max(1, data.size // _SAMPLED)
    sample = data.ravel(order="F")[::every]
    if (sample != np.round(sample)).any() or len(np.unique(sample)) > _LEVELS:
        return False
    planes = data[:, :, :: max(1, data.size // (4 * _SAMPLED))]
    here, there = planes[1:], planes[:-1]
    shown = (here != 0) & (there != 0)
    return bool(shown.any() and (here == there)[shown].mean() > _PIECEWISE)


def thumbnail(image: Image, *, pixels: int = _PIXELS) -> dict[str, Any]:
    """Return three planes through the middle of what an image shows, as grey values.

    Returns
    -------
    dict of plane to dict
        ``sagittal``, ``coronal``, ``axial``: each with ``shape`` (rows, columns) and ``grey``, the bytes in base64,
        rows from the top; right of the subject at the right of the picture, front at the right, up at the top.
    """
    from scipy.ndimage import zoom

    from nextscan.images.coarse import coarsen

    turn = nibabel().orientations.io_orientation(image.affine)
    data = nibabel().orientations.apply_orientation(image.data, turn)
    spacing = np.array(image.header.spacing)[np.argsort(turn[:, 0])]
    coarse = coarsen(image)
    centre = np.linalg.inv(image.affine) @ [*coarse.centre, 1.0]
    middle = np.round(centre[:3]).astype(int)[np.argsort(turn[:, 0])]
    flipped = turn[np.argsort(turn[:, 0]), 1] < 0
    middle = np.clip(np.where(flipped, np.array(data.shape) - 1 - middle, middle), 0, np.array(data.shape) - 1)
    low, high = np.quantile(data.ravel()[:: max(1, data.size // _SAMPLED)], (0.01, 0.998))
    step = float((np.array(data.shape) * spacing).max()) / pixels
    planes = {}
    for name, axis in (("sagittal", 0), ("coronal", 1), ("axial", 2)):
        across, up = (a for a in range(3) if a != axis)
        plane = np.take(data, middle[axis], axis).astype(float)
        factors = [max(spacing[a] / step, 1.0 / data.shape[a]) for a in (across, up)]
        small = zoom(plane, factors, order=1, mode="nearest", grid_mode=True)
        grey = np.clip((small - low) / max(high - low, 1e-12), 0, 1) * 255
        picture = np.flipud(grey.T).round().astype(np.uint8)
        planes[name] = {"shape": list(picture.shape), "grey": base64.b64encode(picture.tobytes()).decode()}
    return planes
