"""Whether two images of a subject lie on each other: overlap and correlation at low resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray
from nextscan.images.files import Image

LOW_CORRELATION = 0.6
"""Below this two images of one head and contrast do not lie on each other: registered ones reach 0.9 at 4 mm."""

_STEP = 4.0  # mm: small against a head, large against noise
_MOST = 64  # voxels along an axis of a coarse image
_REACH = 6  # coarse voxels moved, at most, in search of a better place
_FEWEST = 50  # voxels that a correlation needs
_FLIPS = ("first", "second", "third")


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
    """

    data: NDArray[np.float32]
    affine: FloatArray
    inside: BoolArray

    @property
    def centre(self) -> FloatArray:
        """Centre of what is not background, in mm, shape (3,)."""
        points = np.argwhere(self.inside)
        middle: FloatArray = self.affine[:3, :3] @ points.mean(axis=0) + self.affine[:3, 3]
        return middle


@dataclass(frozen=True)
class Agreement:
    """How two images lie on each other.

    Attributes
    ----------
    overlap : float
        Share of what the first image shows that lies within the second one's field of view.
    correlation : float
        Of intensities where either shows something and both see; NaN where they share too little.
    shift : float
        How far, in mm, the second must be moved for the best correlation nearby.
    moved : float
        The correlation there.
    flip : str
        The axis of the second array (``"first"``, ``"second"``, ``"third"``) whose reversal makes them agree; else
        empty.
    """

    overlap: float
    correlation: float
    shift: float
    moved: float
    flip: str = ""


def coarsen(image: Image, to_common: FloatArray | None = None) -> Coarse:
    """Average an image over blocks of about 4 mm, at most 64 along an axis.

    Parameters
    ----------
    image : Image
    to_common : ndarray, shape (4, 4), optional
        From mm in the image's space to mm where images are compared.
    """
    factors = [
        min(n, max(1, round(_STEP / step), -(-n // _MOST)))
        for n, step in zip(image.data.shape, image.header.spacing, strict=True)
    ]
    data: NDArray[np.float32] = image.data
    for axis, factor in enumerate(factors):
        n = data.shape[axis] // factor
        data = np.take(data, np.arange(n * factor), axis)
        shape = (*data.shape[:axis], n, factor, *data.shape[axis + 1 :])
        data = data.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    blocks = np.diag([*factors, 1.0])
    blocks[:3, 3] = (np.array(factors) - 1) / 2
    affine = image.affine @ blocks
    return Coarse(data, affine if to_common is None else to_common @ affine, foreground(data))


def foreground(data: NDArray[np.float32]) -> BoolArray:
    """Mark what differs from the background: beyond a tenth of the way from the border's value to the bright end."""
    edge = float(np.median(np.concatenate([np.take(data, [0, -1], axis).ravel() for axis in range(3)])))
    span = float(np.quantile(np.abs(data - edge), 0.98))
    return np.asarray(np.abs(data - edge) > 0.1 * span) if span > 0 else np.ones(data.shape, bool)


def agreement(first: Coarse, second: Coarse) -> Agreement:
    """Compare two coarse images in the space their affines lead to."""
    points = np.argwhere(np.ones(first.data.shape, bool)).astype(float)
    to_second = np.linalg.inv(second.affine) @ first.affine
    places = points @ to_second[:3, :3].T + to_second[:3, 3]
    size = np.array(second.data.shape)
    seen = np.logical_and.reduce((places >= -0.5) & (places <= size - 0.5), axis=1)
    shown = first.inside.ravel()
    overlap = float(seen[shown].mean()) if shown.any() else 0.0
    still = _correlation(first, second, places)
    best, shift = still, np.zeros(3)
    for _ in range(_REACH):  # uphill, one voxel of the first image at a time
        moves = [*np.eye(3), *-np.eye(3)]
        found = [_correlation(first, second, places + to_second[:3, :3] @ (shift + move)) for move in moves]
        if np.isnan(found).all() or not np.nanmax(found) > best:
            break
        best, shift = float(np.nanmax(found)), shift + moves[int(np.nanargmax(found))]
    flip = ""
    if still < LOW_CORRELATION:
        for axis, name in enumerate(_FLIPS):
            turned = replace(second, data=np.flip(second.data, axis), inside=np.flip(second.inside, axis))
            if _correlation(first, turned, places) > max(best, still + 0.2):
                flip = name
    return Agreement(overlap, still, float(np.linalg.norm(first.affine[:3, :3] @ shift)), best, flip)


def _correlation(first: Coarse, second: Coarse, places: FloatArray) -> float:
    from scipy.ndimage import map_coordinates

    there = map_coordinates(second.data, places.T, order=1, mode="constant", cval=np.nan, prefilter=False)
    here = first.data.ravel()
    inside = map_coordinates(second.inside.astype(np.float32), places.T, order=0, mode="constant", cval=0.0) > 0.5
    both = np.isfinite(there) & (first.inside.ravel() | inside)
    x, y = here[both].astype(float), there[both].astype(float)
    if len(x) < _FEWEST or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
