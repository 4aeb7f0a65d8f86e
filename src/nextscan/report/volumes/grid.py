"""Put images into the form a page can hold: axes right-anterior-superior, cropped, coarser, NIfTI in base64.

All arrays of an example stand on one grid; what is done to one is done to all. Nothing here needs
nibabel, so that a report can be read and made again where the extra `volumes` is missing.
"""

from __future__ import annotations

import base64
import gzip
import struct
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.float32]
_CODES = 255  # of an 8-bit image


@dataclass(frozen=True, eq=False)
class Grid:
    """The way from an image in file order to one whose axes run right, anterior and superior.

    Attributes
    ----------
    order : tuple of int, length 3
        The file axis that runs most nearly along each world axis.
    flips : tuple of bool, length 3
        Which of the ordered axes are turned round.
    box : tuple of slice, length 3
        What is kept of the turned image.
    affine : ndarray of float, shape (4, 4)
        Voxel to mm of the result.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    box: tuple[slice, slice, slice]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Return mm per voxel along each axis, shape (3,)."""
        spacing: NDArray[np.float64] = np.linalg.norm(self.affine[:3, :3], axis=0)
        return spacing

    def apply(self, image: ArrayLike) -> Image:
        """Turn and crop an image, shape (x, y, z) in file order."""
        turned = np.asarray(image, np.float32).transpose(self.order)
        turned = turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return np.ascontiguousarray(turned[self.box])

    def world(self, voxel: ArrayLike) -> NDArray[np.float64]:
        """Return the place of a voxel of the result in mm, shape (3,)."""
        place: NDArray[np.float64] = self.affine[:3, :3] @ np.asarray(voxel, float) + self.affine[:3, 3]
        return place


def grid_of(source: ArrayLike, affine: ArrayLike, *, margin: int = 2) -> Grid:
    """Return the grid that turns an image upright and crops it to what is not background.

    Parameters
    ----------
    source : array, shape (x, y, z)
    affine : array, shape (4, 4)
        Voxel to mm, x to the right, y to the front, z up.
    margin : int
        Voxels kept around the head.

    Examples
    --------
    >>> image = np.zeros((4, 5, 6), np.float32)
    >>> image[1:3, 2:4, 2:5] = 1.0
    >>> grid = grid_of(image, np.diag([-2.0, 1.0, 1.0, 1.0]), margin=0)
    >>> grid.apply(image).shape, grid.flips, grid.world([0, 0, 0]).tolist()
    ((2, 2, 3), (True, False, False), [-4.0, 2.0, 2.0])
    """
    affine = np.asarray(affine, float)
    source = np.asarray(source, np.float32)
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    rotation = left @ right  # the nearest grid without shear decides which axis is which
    order, flips = [-1, -1, -1], [False, False, False]
    free = np.abs(rotation)
    for _ in range(3):
        world, axis = divmod(int(free.argmax()), 3)
        order[world], flips[world] = axis, bool(rotation[world, axis] < 0)
        free[world, :], free[:, axis] = -1, -1
    upright = np.eye(4)
    upright[:3, :3] = affine[:3, order]
    upright[:3, 3] = affine[:3, 3]
    for axis, flip in enumerate(flips):
        if flip:
            upright[:3, 3] += (source.shape[order[axis]] - 1) * upright[:3, axis]
            upright[:3, axis] *= -1
    whole = (slice(None), slice(None), slice(None))
    turned = Grid((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]), whole, upright)
    box = _head(turned.apply(source), margin)
    cropped = upright.copy()
    cropped[:3, 3] += upright[:3, :3] @ [part.start for part in box]
    return replace(turned, box=box, affine=cropped)


def inside_head(image: Image) -> NDArray[np.bool_]:
    """Mark voxels that differ from the background (the smallest value) by 8% of the range of most values."""
    low, high = float(image.min()), float(np.quantile(image, 0.99))
    marked: NDArray[np.bool_] = image > low + 0.08 * (high - low)
    return marked


def _head(image: Image, margin: int) -> tuple[slice, slice, slice]:
    marked = inside_head(image)
    parts = []
    for axis in range(3):
        # A slice counts if one voxel in two hundred of it is marked: single bright specks of noise do not.
        share = marked.mean(axis=tuple(other for other in range(3) if other != axis))
        found = np.flatnonzero(share > 0.005)
        length = image.shape[axis]
        start, stop = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, length)
        parts.append(slice(max(0, start - margin), min(length, stop + margin)))
    return parts[0], parts[1], parts[2]


def most_changed(change: Image, spacing: ArrayLike, *, within: NDArray[np.bool_] | None = None) -> tuple[int, int, int]:
    """Return the voxel around which an image of changes is furthest from zero; the middle if it is zero.

    The change is smoothed first (standard deviation 4 mm, at least one voxel), so that noise,
    which has either sign, does not choose the place.
    """
    from scipy.ndimage import gaussian_filter

    if not change.any():
        x, y, z = (length // 2 for length in change.shape)
        return x, y, z
    smooth = np.abs(gaussian_filter(change, np.maximum(4.0 / np.asarray(spacing, float), 1.0)))
    if within is not None and within.any():
        smooth = np.where(within, smooth, -1.0)
    x, y, z = np.unravel_index(int(smooth.argmax()), change.shape)
    return int(x), int(y), int(z)


def coarsened(image: ArrayLike, factor: int) -> Image:
    """Average cubes of factor voxels a side; the last ones are filled up with the edge.

    >>> coarsened(np.arange(8.0).reshape(2, 2, 2), 2).tolist()
    [[[3.5]]]
    """
    image = np.asarray(image, np.float32)
    if factor == 1:
        return image
    padded = np.pad(image, [(0, -length % factor) for length in image.shape], mode="edge")
    x, y, z = (length // factor for length in padded.shape)
    blocks = padded.reshape(x, factor, y, factor, z, factor)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def coarser_affine(affine: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Return the affine of a coarsened image: its voxels are larger and its first centre lies further in."""
    scaled = affine.copy()
    scaled[:3, :3] *= factor
    scaled[:3, 3] += affine[:3, :3] @ np.full(3, (factor - 1) / 2)
    return scaled


def nifti_base64(image: ArrayLike, affine: NDArray[np.float64], *, low: float, high: float) -> str:
    """Return an image as a gzipped 8-bit NIfTI-1 file in base64.

    Values are kept to one 255th of `high - low` and clipped to that range; header fields as in
    nifti1.h (Cox et al. 2004).
    """
    image = np.asarray(image, np.float32)
    slope = (high - low) / _CODES or 1.0
    codes = np.clip(np.rint((image - low) / slope), 0, _CODES).astype(np.uint8)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *image.shape, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 2, 8)  # datatype: unsigned 8 bits
    struct.pack_into("<8f", header, 76, 1.0, *spacing, 0, 0, 0, 0)
    struct.pack_into("<fff", header, 108, 352.0, slope, low)  # vox_offset, scl_slope, scl_inter
    header[123] = 2  # mm
    struct.pack_into("<hh", header, 252, 0, 2)  # qform unset, sform aligned
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    packed = gzip.compress(bytes(header) + codes.tobytes(order="F"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode()
