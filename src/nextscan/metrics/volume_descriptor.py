"""A few numbers that describe an image, for the Fréchet distance between sets of images.

The published distance compares activations of a network trained on photographs, which has to be downloaded
and knows nothing of heads. Here the features are fixed, readable and computed offline; users who trust
another extractor plug it in. The Fréchet distance fits a covariance matrix, so there must be fewer features
than images: with fewer images the grid is coarser, and with hardly any there is no distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray

Volume = NDArray[np.floating]
Grid = tuple[int, int, int]

PER_CELL = 4
"""Numbers for each cell: mean and sd of intensity, mean and sd of the gradient's size."""

_GRIDS: tuple[Grid, ...] = ((1, 1, 1), (1, 2, 1), (2, 2, 1), (2, 2, 2), (2, 3, 2), (3, 3, 3), (3, 4, 3), (4, 4, 4))


def descriptor_grid(n_images: int) -> Grid:
    """Return the finest grid whose descriptors have fewer numbers than nine tenths of the images.

    The tenth is what the jackknife leaves out.

    Raises
    ------
    ValueError
        If there are too few images for the coarsest one.

    >>> descriptor_grid(40), descriptor_grid(8)
    ((2, 2, 2), (1, 1, 1))
    """
    fitting = [grid for grid in _GRIDS if PER_CELL * int(np.prod(grid)) < 0.9 * n_images]
    if not fitting:
        raise ValueError(f"a Fréchet distance of {PER_CELL} features needs more than {n_images} images")
    return fitting[-1]


def volume_descriptor(
    image: Volume, affine: FloatArray, mask: NDArray[np.bool_] | None = None, *, grid: Grid = (2, 2, 2)
) -> FloatArray:
    """Describe an image by intensity and gradient in the cells of a coarse grid over the head.

    The box around the mask is cut into `grid` cells along the patient's right-left, back-front and
    foot-head axes; each cell gives the mean and standard deviation of intensity and of the size of the
    gradient (per mm), over all its voxels.

    Parameters
    ----------
    image : ndarray, shape (x, y, z)
    affine : ndarray, shape (4, 4)
        Voxel to world, millimetres, RAS+.
    mask : ndarray of bool, shape (x, y, z), optional
        The head, whose box is cut up; without it the whole image. Use the same one for all images that
        are compared.
    grid : tuple of int
        Cells along x, y, z of the world.

    Returns
    -------
    ndarray, shape (4 * cells,)
        By cell, x slowest: mean, sd, mean gradient, sd of gradient.

    Raises
    ------
    ValueError
        If the image has fewer voxels across than cells, or the mask is empty.

    >>> image = np.zeros((4, 4, 4)); image[2:] = 1.0
    >>> volume_descriptor(image, np.eye(4), grid=(2, 1, 1)).round(3).tolist()
    [0.0, 0.0, 0.25, 0.25, 1.0, 0.0, 0.25, 0.25]
    """
    values, spacing = _facing_forward(np.asarray(image, np.float64), affine)
    head = np.ones(values.shape, bool) if mask is None else _facing_forward(np.asarray(mask, bool), affine)[0]
    if head.shape != values.shape or not head.any():
        raise ValueError(f"a mask of shape {head.shape} with {head.sum()} voxels, for an image of {values.shape}")
    box = tuple(slice(places.min(), places.max() + 1) for places in np.nonzero(head))
    slopes = np.gradient(values, *spacing) if min(values.shape) > 1 else [np.zeros_like(values)]
    steepness = np.sqrt(sum(slope**2 for slope in slopes))[box]
    values = values[box]
    if any(size < cells for size, cells in zip(values.shape, grid, strict=True)):
        raise ValueError(f"a head of {values.shape} voxels cannot be cut into {grid} cells")
    told: list[float] = []
    edges = [
        np.linspace(0, size, cells + 1).round().astype(int) for size, cells in zip(values.shape, grid, strict=True)
    ]
    for place in np.ndindex(*grid):
        cell = tuple(slice(edge[i], edge[i + 1]) for edge, i in zip(edges, place, strict=True))
        told += [values[cell].mean(), values[cell].std(), steepness[cell].mean(), steepness[cell].std()]
    return np.array(told)


def _facing_forward(values: NDArray[np.generic], affine: FloatArray) -> tuple[NDArray[np.generic], FloatArray]:
    """Flip and swap axes until they run to the right, to the front and up, and return their spacing."""
    spacing = np.sqrt((np.asarray(affine, np.float64)[:3, :3] ** 2).sum(axis=0))
    directions = affine[:3, :3] / spacing
    left, order = list(range(3)), []
    for world in range(3):
        axis = max(left, key=lambda axis: abs(directions[world, axis]))
        left.remove(axis)
        order.append(axis)
    for world, axis in enumerate(order):
        if directions[world, axis] < 0:
            values = np.flip(values, axis)
    return values.transpose(order), spacing[order]
