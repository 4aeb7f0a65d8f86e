"""Images at low resolution: small enough to be kept and compared by the thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray
from nextscan.images.files import Image

_Number = TypeVar("_Number", bound=np.generic)
_STEP = 4.0  # mm: small against a head, large against noise
_MOST = 64  # voxels along an axis of a coarse image
_NOTHING = 1e-3  # of the range of intensities: air that was measured is noisier
_BRIGHT = 0.1  # of the range: less is background
_TRACES = 0.02  # of the widest slice of a head: less is noise


@dataclass(frozen=True, eq=False)
class Coarse:
    """An image averaged over blocks, with the share of its range that is no background.

    Attributes
    ----------
    data : ndarray of float32, three dimensions
    affine : ndarray of float64, shape (4, 4)
        From voxel indices to mm in the space where images of a subject are compared.
    inside : ndarray of bool
        Voxels that are not background.
    blank : ndarray of bool
        Voxels that are zero throughout, as where a face or all but the brain was removed.
    voxel : ndarray of float64, shape (3,)
        Distance of neighbouring voxels of the image itself in mm.
    """

    data: NDArray[np.float32]
    affine: FloatArray
    inside: BoolArray
    blank: BoolArray
    voxel: FloatArray

    @property
    def centre(self) -> FloatArray:
        """Centre of what is not background, in mm, shape (3,)."""
        points = np.argwhere(self.inside)
        middle: FloatArray = self.affine[:3, :3] @ points.mean(axis=0) + self.affine[:3, 3]
        return middle

    @property
    def spacing(self) -> FloatArray:
        """Distance of neighbouring voxels in mm, shape (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))


def coarsen(image: Image, to_common: FloatArray | None = None) -> Coarse:
    """Average an image over blocks of about 4 mm, at most 64 along an axis.

    Parameters
    ----------
    image : Image
    to_common : ndarray, shape (4, 4), optional
        From mm in the image's space to mm where images are compared.
    """
    factors = _factors(image)
    data = _averaged(image.data, factors)
    blank = np.asarray(np.abs(image.data) <= _NOTHING * float(np.quantile(np.abs(data), 0.98)))
    for axis, factor in enumerate(factors):
        blank = np.logical_and.reduce(_blocks(blank, axis, factor), axis=axis + 1)
    blocks = np.diag([*factors, 1.0])
    blocks[:3, 3] = (np.array(factors) - 1) / 2
    affine = image.affine @ blocks
    return Coarse(
        data,
        affine if to_common is None else to_common @ affine,
        foreground(data),
        blank,
        np.array(image.header.spacing, np.float64),
    )


def head_lengths(image: Image) -> tuple[float, float, float]:
    """Return how long the head is by the header, in mm, along the axes of the array.

    Negative where it ends at neither side within the image, and may be longer.
    """
    edge, span = _levels(_averaged(image.data, _factors(image)))
    lengths = []
    for axis, step in enumerate(image.header.spacing):
        factors = [1 if other == axis else factor for other, factor in enumerate(_factors(image))]
        inside = np.abs(_averaged(image.data, factors) - edge) > _BRIGHT * span
        profile = inside.sum(axis=tuple(other for other in range(3) if other != axis))
        at = np.flatnonzero(profile > _TRACES * profile.max())
        ends = len(at) > 0 and (at[0] > 0 or at[-1] < len(profile) - 1)
        length = (at[-1] - at[0] + 1) * step if len(at) else 0.0
        lengths.append(float(length if ends else -length))
    return lengths[0], lengths[1], lengths[2]


def _factors(image: Image) -> list[int]:
    return [
        min(n, max(1, round(_STEP / step), -(-n // _MOST)))
        for n, step in zip(image.data.shape, image.header.spacing, strict=True)
    ]


def _averaged(data: NDArray[np.float32], factors: Sequence[int]) -> NDArray[np.float32]:
    for axis, factor in enumerate(factors):
        if factor > 1:
            data = _blocks(data, axis, factor).mean(axis=axis + 1, dtype=np.float32)
    return data


def _blocks(data: NDArray[_Number], axis: int, factor: int) -> NDArray[_Number]:
    """Split an axis into blocks of equal length, without what is left over."""
    n = data.shape[axis] // factor
    data = data[(*[slice(None)] * axis, slice(n * factor))]
    return data.reshape(*data.shape[:axis], n, factor, *data.shape[axis + 1 :])


def foreground(data: NDArray[np.float32]) -> BoolArray:
    """Mark what differs from the background: beyond a tenth of the way from the border's value to the bright end."""
    edge, span = _levels(data)
    return np.asarray(np.abs(data - edge) > _BRIGHT * span) if span > 0 else np.ones(data.shape, bool)


def background(data: NDArray[np.float32]) -> float:
    """Return the value of what lies at the border, which is air."""
    return float(np.median(np.concatenate([np.take(data, [0, -1], axis).ravel() for axis in range(3)])))


def _levels(data: NDArray[np.float32]) -> tuple[float, float]:
    """Return the value of the border and how far the bright end is from it."""
    edge = background(data)
    return edge, float(np.quantile(np.abs(data - edge), 0.98))
