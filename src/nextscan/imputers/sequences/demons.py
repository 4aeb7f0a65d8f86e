"""How one image is deformed into another: a smooth displacement, found by demons (Thirion 1998)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextscan.arrays import Volume

_ROUNDS = 30  # at each resolution
_SMOOTH = 0.8  # shortest sides of a voxel: of the displacement
_FLUID = 0.7  # of each step
_LONGEST_STEP = 1.0  # voxels
_SMALLEST = 16  # voxels along an axis that is halved


def displacement(start: Volume, stop: Volume, spacing: Sequence[float]) -> Volume:
    """Find where in the first image each voxel of the second one comes from.

    Demons with the mean of both gradients (Thirion 1998, doi:10.1016/S1361-8415(98)80022-4; Wang et al. 2005,
    doi:10.1088/0031-9155/50/12/011), at half and at full resolution; smooth, but not made to be invertible.

    Parameters
    ----------
    start, stop : ndarray of float32, shape (x, y, z)
        In one scale.
    spacing : three float
        Of the grid: the displacement is as smooth along all axes in mm, not in voxels.

    Returns
    -------
    ndarray of float32, shape (3, x, y, z)
        In voxels: ``stop`` at a place is about ``start`` at that place plus this, see `deformed`.
    """
    from scipy.ndimage import gaussian_filter, zoom

    halves = [2 if n >= _SMALLEST else 1 for n in start.shape]
    steps = [min(spacing) / side for side in spacing]
    found = np.zeros((3, *start.shape), np.float32)
    for factors in ([*halves], [1, 1, 1]) if max(halves) > 1 else ([1, 1, 1],):
        blur = [0.5 * (factor > 1) * factor for factor in factors]
        coarse = [gaussian_filter(image, blur, mode="nearest") for image in (start, stop)]
        cut = tuple(slice((factor - 1) // 2, None, factor) for factor in factors)
        moving, fixed = (np.ascontiguousarray(image[cut]) for image in coarse)
        sizes = [new / old for new, old in zip(moving.shape, found.shape[1:], strict=True)]
        scaled = [
            zoom(part, sizes, order=1, mode="nearest", grid_mode=True) * size
            for part, size in zip(found, sizes, strict=True)
        ]
        found = _demons(moving, fixed, np.stack(scaled).astype(np.float32), steps)
    return found


def _demons(moving: Volume, fixed: Volume, found: Volume, steps: Sequence[float]) -> Volume:
    from scipy.ndimage import gaussian_filter

    gradient = np.stack(_gradient(fixed))
    for _ in range(_ROUNDS):
        seen = deformed(moving, found)
        off = seen - fixed
        force = (gradient + np.stack(_gradient(seen))) / 2
        force *= off / ((force**2).sum(axis=0) + off**2 / _LONGEST_STEP**2 + np.float32(1e-6))
        for part, step in zip(found, force, strict=True):
            part -= gaussian_filter(step, [_FLUID * size for size in steps], mode="nearest")
            part[...] = gaussian_filter(part, [_SMOOTH * size for size in steps], mode="nearest")
    return found


def _gradient(image: Volume) -> list[Volume]:
    """Return the derivatives along the axes; 0 along one of a single voxel."""
    return [np.gradient(image, axis=axis) if n > 1 else np.zeros_like(image) for axis, n in enumerate(image.shape)]


def deformed(image: Volume, displacement: Volume) -> Volume:
    """Return an image, shape (x, y, z), as seen at each place plus a displacement in voxels, shape (3, x, y, z)."""
    from scipy.ndimage import map_coordinates

    places = np.indices(image.shape, dtype=np.float32)
    places += displacement
    seen: Volume = map_coordinates(image, places, order=1, mode="nearest", output=np.float32)
    return seen
