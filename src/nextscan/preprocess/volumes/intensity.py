"""Intensities scaled to [-1, 1] by what is found inside the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import Volume
from nextscan.errors import ImageError

SAMPLED = 64
"""Voxels per axis looked at, at least, where an image has more."""

_BINS = 256


def intensity_range(
    data: Volume, quantiles: tuple[float, float], *, mask: NDArray[np.bool_] | None = None, where: str = ""
) -> tuple[float, float]:
    """Return the intensities that become -1 and 1: quantiles inside the head.

    Counting air in would make the range depend on how much of it the image holds. What is dark inside the
    head counts: the range reaches down to fluid, so that ventricles keep their contrast.

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
    quantiles : (float, float)
    mask : ndarray of bool, shape (x, y, z), optional
        Look here instead of finding the head.
    where : str
        File, subject and visit, for the error message.

    Raises
    ------
    ImageError
        If there is no head or mask, or the quantiles are equal: nothing could be told apart after scaling.
    """
    step = tuple(slice(None, None, max(1, n // SAMPLED)) for n in data.shape)
    sampled = data[step]
    inside = sampled[find_head(sampled) if mask is None else mask[step]]
    if not len(inside):
        empty = "the mask is empty; give another mask, or prepare without masks"
        raise ImageError(f"{where}: {empty if mask is not None else 'shows nothing but air; leave it out'}")
    low, high = (float(value) for value in np.quantile(inside, quantiles))
    if not low < high:
        raise ImageError(
            f"{where}: intensities inside the head do not differ between quantiles {quantiles[0]:g} and "
            f"{quantiles[1]:g} (both {low:g}); look at the image, or leave it out"
        )
    return low, high


def find_head(data: Volume) -> NDArray[np.bool_]:
    """Find what is not air: the largest bright part with its dark holes filled.

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)

    Returns
    -------
    ndarray of bool, shape (x, y, z)
    """
    from scipy.ndimage import binary_closing, binary_fill_holes, label

    bright = data > _threshold(data)
    parts, n_parts = label(bright)
    if n_parts > 1:
        bright = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
    padded = np.pad(bright, 2)  # so that closing does not eat at the border of the image
    closed = binary_closing(padded, iterations=2)[2:-2, 2:-2, 2:-2]
    return np.asarray(binary_fill_holes(closed | bright))


def _threshold(data: Volume) -> float:
    """Return Otsu's threshold: the cut that leaves the least variance on its two sides."""
    low, high = np.quantile(data, (0.0, 0.995))
    high = high if high > low else data.max()  # hardly anything but air
    if not high > low:
        return float(low)
    counts, edges = np.histogram(np.clip(data, low, high), bins=_BINS)
    values = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * values)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(edges[1 + int(np.nanargmax(between[:-1]))])


def scaled(data: Volume, low: float, high: float) -> tuple[Volume, tuple[float, float]]:
    """Scale intensities so that `low` becomes -1 and `high` 1, and clip what lies outside.

    Returns
    -------
    ndarray of float32
    (float, float)
        The shares of voxels clipped at -1 and at 1.
    """
    values = (data - np.float32(low)) * np.float32(2 / (high - low)) - np.float32(1)
    clipped = float(np.mean(values < -1)), float(np.mean(values > 1))
    return np.clip(values, -1, 1), clipped
