"""Values of one grid at the voxels of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, Volume

COARSER = 1.5
"""Voxels this much larger than those they are made from are averages over their surroundings, not samples."""
_SAME = 1e-3  # voxels: what headers in single precision are off by
_BORDER = 1e-9  # voxels: what lies on the border itself may round to either side of it


def resample(
    data: Volume, matrix: FloatArray, shape: Sequence[int], *, fill: float = 0.0, order: int = 1, smooth: bool = True
) -> Volume:
    """Return a volume at the voxels of another grid.

    Where both grids coincide, up to the order and the direction of axes and a shift by whole voxels, values
    are copied, not interpolated.

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
    matrix : ndarray of float, shape (4, 4)
        From voxels of the result to voxels of `data`.
    shape : three int
        Of the result.
    fill : float
        Value of voxels outside of `data`.
    order : int
        Of the spline; 1 is linear, 0 the nearest voxel.
    smooth : bool
        Smooth along axes on which the result is `COARSER` times as coarse, against aliasing (Cardoso et al.
        2015, doi:10.1007/978-3-319-24571-3_81: a Gaussian that makes up the difference of both widths).

    Returns
    -------
    ndarray of float32, shape `shape`
    """
    from scipy.ndimage import affine_transform

    matrix = _snapped(matrix, shape)
    if (copied := _copied(data, matrix, shape, fill)) is not None:
        return copied
    if smooth and order > 0:
        data = _smoothed(data, matrix)
    return np.asarray(
        affine_transform(
            data,
            matrix[:3, :3],
            matrix[:3, 3],
            output_shape=tuple(shape),
            output=np.float32,
            order=order,
            mode="constant",
            cval=fill,
        )
    )


def reached(matrix: FloatArray, image_shape: Sequence[int], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which voxels of a grid lie within an image, so that `resample` takes their values from it.

    Parameters
    ----------
    matrix : ndarray of float, shape (4, 4)
        From voxels of the grid to voxels of the image.
    image_shape, shape : three int
        Of the image and of the grid.

    Returns
    -------
    ndarray of bool, shape `shape`

    >>> reached(np.diag([2.0, 1, 1, 1]), (4, 1, 1), (3, 1, 2))[..., 0, :].tolist()
    [[True, False], [True, False], [False, False]]
    """
    matrix = _snapped(matrix, shape)
    border = 0.0 if np.array_equal(matrix, np.round(matrix)) else _BORDER
    x, y, z = np.ogrid[tuple(slice(n) for n in shape)]
    within = np.ones(tuple(shape), bool)
    for row, n in zip(matrix[:3], image_shape, strict=True):
        place = row[0] * x + row[1] * y + (row[2] * z + row[3])
        within &= (place >= border) & (place <= n - 1 - border)
    return within


def _snapped(matrix: FloatArray, shape: Sequence[int]) -> FloatArray:
    """Round a matrix to whole numbers if that moves no voxel of the result by more than rounding does."""
    whole = np.round(matrix)
    moved = np.abs(matrix - whole)[:3, :3] @ np.array(shape) + np.abs(matrix - whole)[:3, 3]
    return whole if (moved < _SAME).all() else matrix


def _copied(data: Volume, matrix: FloatArray, shape: Sequence[int], fill: float) -> Volume | None:
    """Return the result if it needs no interpolation."""
    linear = matrix[:3, :3]
    steps = np.abs(linear)
    permuted = (steps.sum(axis=0) == 1).all() and (steps.sum(axis=1) == 1).all() and (steps.max(axis=0) == 1).all()
    if not (permuted and np.array_equal(matrix, np.round(matrix))):
        return None
    axes = np.abs(linear).argmax(axis=0)  # of `data`, for each axis of the result
    result = np.full(tuple(shape), fill, np.float32)
    here, there = [slice(0)] * 3, [slice(0)] * 3
    for out, axis in enumerate(axes):
        step, start = int(linear[axis, out]), int(matrix[axis, 3])
        # result voxel i is voxel start + step i of the data
        ends = sorted(((0 - start) * step, (data.shape[axis] - 1 - start) * step))
        first, last = max(0, ends[0]), min(shape[out] - 1, ends[1])
        if first > last:
            return result
        here[out] = slice(first, last + 1)
        low, high = sorted((start + step * first, start + step * last))
        there[axis] = slice(low, high + 1)
    part = data[tuple(there)].transpose(axes)
    part = part[tuple(slice(None, None, int(linear[axis, out])) for out, axis in enumerate(axes))]
    result[tuple(here)] = part
    return result


def _smoothed(data: Volume, matrix: FloatArray) -> Volume:
    from scipy.ndimage import gaussian_filter1d

    for axis, factor in enumerate(np.abs(matrix[:3, :3]).max(axis=1)):
        if factor > COARSER:
            sigma = np.sqrt(factor**2 - 1) / (2 * np.sqrt(2 * np.log(2)))
            data = gaussian_filter1d(data, sigma, axis=axis, mode="nearest", truncate=3.0, output=np.float32)
    return data
