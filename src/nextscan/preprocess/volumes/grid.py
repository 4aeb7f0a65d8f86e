"""The grid that all visits of a subject share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextscan.arrays import FloatArray

Triple = tuple[float, float, float]
Shape = tuple[int, int, int]


def ras_axes(affine: FloatArray) -> tuple[tuple[int, int, int], FloatArray]:
    """Tell which image axis runs most to the right, to the front and up, and their directions.

    Parameters
    ----------
    affine : ndarray of float, shape (4, 4)
        From voxels to mm, RAS+.

    Returns
    -------
    axes : tuple of int
        Image axis nearest to R, A and S.
    directions : ndarray of float, shape (3, 3)
        A rotation whose columns point along these axes towards R, A and S: oblique images stay oblique.

    >>> lps = np.diag([-1.0, -1.0, 3.0, 1.0])
    >>> ras_axes(lps[[1, 0, 2, 3]])[0]
    (1, 0, 2)
    """
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    nearest = max(_ORDERS, key=lambda order: float(np.abs(unit[range(3), order]).sum()))
    columns = unit[:, nearest] * np.sign(unit[range(3), nearest])
    left, _, right = np.linalg.svd(columns)  # the rotation nearest to axes that a shear may have bent
    return nearest, np.asarray(left @ right)


_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def subject_grid(
    affine: FloatArray,
    native_shape: Sequence[int],
    transform: FloatArray | None,
    *,
    shape: Shape,
    spacing: Triple,
) -> FloatArray:
    """Return the affine of a subject's grid: from its voxels to mm in the subject's common space.

    Its axes are those of the first image, reordered and turned towards R, A and S, so that an oblique
    image is not blurred for nothing; where a transform takes the image into a common space, they are the
    axes R, A and S of that space. The middle voxel of the image becomes the middle voxel of the grid: with
    equal spacing the two coincide voxel by voxel, however far the grid reaches beyond the image.

    Parameters
    ----------
    affine : ndarray of float, shape (4, 4)
        Of the subject's first image.
    native_shape : three int
        Of that image.
    transform : ndarray of float, shape (4, 4), or None
        From common space to image, as `read_transform` returns it.
    shape, spacing : tuple
        Of the grid, along R, A and S.
    """
    _, directions = ras_axes(affine)
    middle = affine @ np.append(_middle(affine, native_shape), 1.0)
    if transform is not None:
        directions = np.eye(3)
        middle = np.linalg.solve(transform, middle)
    grid = np.eye(4)
    grid[:3, :3] = directions * spacing
    grid[:3, 3] = middle[:3] - grid[:3, :3] @ (np.array(shape) // 2)
    return grid


def _middle(affine: FloatArray, native_shape: Sequence[int]) -> FloatArray:
    """Return the image voxel that becomes voxel n // 2 of the grid, counted from the left, back and bottom."""
    axes, _ = ras_axes(affine)
    middle = np.zeros(3)
    for world, axis in enumerate(axes):
        n = native_shape[axis]
        middle[axis] = n // 2 if affine[world, axis] > 0 else n - 1 - n // 2
    return middle


def reach(affine: FloatArray, native_shape: Sequence[int], grid: FloatArray) -> FloatArray:
    """Return how far the voxels of an image reach from the middle voxel of a grid, in voxels of the grid.

    Parameters
    ----------
    affine, native_shape
        Of the image, in the space of the grid.
    grid : ndarray of float, shape (4, 4)
        Affine of a grid of shape (1, 1, 1), whose only voxel is the middle one.

    Returns
    -------
    ndarray of float, shape (2, 3)
        To the left, back and bottom (negative), and to the right, front and top.
    """
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in native_shape])).reshape(3, -1)
    corners = np.linalg.solve(grid, affine @ np.vstack([ends, np.ones(ends.shape[1])]))[:3]
    return np.stack([corners.min(axis=1), corners.max(axis=1)])


def shape_for(reached: FloatArray, *, multiple: int = 8) -> Shape:
    """Return the smallest shape that holds what `reach` returned, each side an even multiple.

    >>> shape_for(np.array([[-80.0, -90.0, -16.0], [79.0, 90.0, 15.0]]))
    (160, 184, 32)
    """
    needed = 2 * np.maximum(-reached[0], reached[1] + 1) - 0.05  # a twentieth of a voxel is rounding
    x, y, z = (int(-(-side // multiple) * multiple) for side in needed)
    return x, y, z
