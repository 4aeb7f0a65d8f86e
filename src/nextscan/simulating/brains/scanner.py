"""What a scanner adds to a simulated head: a smooth bias of brightness, and noise."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from nextscan.randomness import normal, subject_keys

_SCANNER = 0x7363616E6E6572  # keeps these draws apart from all others with the same seed
_BIAS, _NOISE = range(2)
_WAVES = [k for k in product(range(3), repeat=3) if 0 < sum(k) <= 2]  # half waves along the axes
_BIAS_SPREAD = 0.02  # of each wave's log amplitude
NOISE = 0.03
"""Spread of the noise of a voxel, the brightness of white matter being 1, whatever the size of voxels."""


def scan(image: NDArray[np.float32], subject: str, number: int, *, seed: int) -> NDArray[np.float32]:
    """Return what a scanner sees of an image: times a bias of some ±8 %, and Rician noise on top.

    Parameters
    ----------
    image : ndarray of float32, three dimensions
        White matter being 1.
    subject : str
    number : int
        Of the visit; each has its own bias and noise.
    seed : int
    """
    keys = subject_keys([subject])
    bias = np.zeros(image.shape)
    waves = [
        [np.cos(np.pi * k * (np.arange(n) + 0.5) / n) for k in range(3)] for n in image.shape
    ]  # of the field of view, not of the grid: the same at any resolution
    weights = normal(keys, _SCANNER, seed, _BIAS, number, size=len(_WAVES))[0]
    for (i, j, k), weight in zip(_WAVES, weights, strict=True):
        bias += _BIAS_SPREAD * weight * waves[0][i][:, None, None] * waves[1][j][:, None] * waves[2][k]
    noise = NOISE * normal(keys, _SCANNER, seed, _NOISE, number, size=2 * image.size)
    real, imaginary = noise.reshape(2, *image.shape)
    seen: NDArray[np.float32] = np.hypot(image * np.exp(bias) + real, imaginary).astype(np.float32)
    return seen
