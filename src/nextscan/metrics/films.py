"""Scores of films: how alike two masks are, what a curve of volumes ejects, and how smoothly images follow each other.

Curves have their frames along the last axis, films along the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray


def dice(first: BoolArray, second: BoolArray) -> float:
    """Return twice the common voxels of two masks over the sum of both; NaN where both are empty.

    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    size = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / size if size else float("nan")


def ejection_fraction(volumes: NDArray[np.floating]) -> FloatArray:
    """Return by how many percent of its largest value each curve falls to its smallest.

    NaN in a curve is a frame that does not count; a curve with fewer than two frames, or without volume, has none. The
    fraction of a mean curve is smaller than the mean fraction of the curves: take it curve by curve.

    >>> ejection_fraction(np.array([[120.0, 60.0, 90.0], [np.nan, 80.0, 100.0]]))
    array([50., 20.])
    """
    known = ~np.isnan(volumes)
    high = np.where(known, volumes, -np.inf).max(axis=-1)
    low = np.where(known, volumes, np.inf).min(axis=-1)
    exists = (known.sum(axis=-1) > 1) & (high > 0)
    fraction: FloatArray = np.full(exists.shape, np.nan)
    np.divide(100.0 * (high - low), high, out=fraction, where=exists)
    return fraction


def roughness(film: NDArray[np.floating], counted: BoolArray, *, circle: bool) -> float:
    """Return the mean absolute second difference in time, over voxels and the frames that count.

    Parameters
    ----------
    film : ndarray, shape (n_frames, ...)
    counted : ndarray of bool, shape (n_frames,)
    circle : bool
        Whether the first frame follows the last.

    Returns
    -------
    float
        NaN where no frame that counts has two neighbours.

    >>> roughness(np.array([[0.0], [1.0], [4.0]]), np.array([True, True, True]), circle=False)
    2.0
    """
    at = np.flatnonzero(counted)
    if not circle:
        at = at[(at > 0) & (at < len(film) - 1)]
    if not len(at) or len(film) < 3:
        return float("nan")
    bends = [film[k - 1] - 2 * film[k].astype(np.float64) + film[(k + 1) % len(film)] for k in at]
    return float(np.mean([np.abs(bend).mean() for bend in bends]))
