"""Shapes as signed distances in mm, negative inside, and what share of a voxel lies within one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = Sequence[float] | NDArray[np.floating]


def ellipsoid(x: Field, centre: Point, radii: Point) -> Field:
    """Return the distance to an ellipsoid, to first order near its surface (Quilez 2008).

    Parameters
    ----------
    x : ndarray of float32, shape (3, ...)
        Positions.
    centre, radii : 3 numbers
    """
    first = np.zeros(x.shape[1:], np.float32)
    second = np.zeros_like(first)
    for axis in range(3):
        scaled = (x[axis] - np.float32(centre[axis])) * np.float32(1 / radii[axis])
        first += scaled * scaled
        scaled *= np.float32(1 / radii[axis])
        second += scaled * scaled
    np.sqrt(first, out=first)
    np.sqrt(second, out=second)
    # in the very centre both are zero; the distance there is some number far inside
    np.maximum(second, np.float32(1e-3 / max(radii)), out=second)
    distance: Field = np.divide(first * (first - np.float32(1)), second)
    return distance


def along(x: Field, start: Point, stop: Point) -> tuple[Field, Field]:
    """Return the distance to a segment, and where along it (0 to 1) the nearest point lies."""
    direction = np.asarray(stop, np.float32) - np.asarray(start, np.float32)
    offset = [x[axis] - np.float32(start[axis]) for axis in range(3)]
    share = sum(part * step for part, step in zip(offset, direction, strict=True)) / (direction @ direction)
    share = np.clip(share, 0, 1, dtype=np.float32)
    away = sum((part - share * step) ** 2 for part, step in zip(offset, direction, strict=True))
    return np.sqrt(away, dtype=np.float32), share


def union(a: Field, b: Field, width: float = 0.0) -> Field:
    """Return the union of two shapes, their crease rounded over `width` mm."""
    if not width:
        return np.minimum(a, b)
    blend = np.maximum(width - np.abs(a - b), 0) / np.float32(width)
    rounded: Field = np.minimum(a, b) - blend * blend * np.float32(width / 4)
    return rounded


def without(a: Field, b: Field, width: float = 0.0) -> Field:
    """Return the part of `a` that is not in `b`."""
    return -union(-a, b, width)


def both(a: Field, b: Field, width: float = 0.0) -> Field:
    """Return the part that two shapes share."""
    return -union(-a, -b, width)


def coverage(distance: Field, width: float) -> Field:
    """Return the share of a cell of `width` mm that lies within a shape, 0 to 1.

    It is exact for a flat face across a cell, and the difference of two parallel faces is exact for a
    sheet between them, however thin; so volumes move smoothly with a face.
    """
    share: Field = np.clip(np.float32(0.5) - distance * np.float32(1 / width), 0, 1)
    return share
