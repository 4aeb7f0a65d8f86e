"""What a scanner adds to simulated hearts: shifted slices, a bias of brightness that stays for the beat, and noise."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.randomness import normal, subject_keys

_SCANNER = 0x63696E65  # keeps these draws apart from all others with the same seed
_BIAS, _GAIN, _SHIFT, _NOISE = range(4)
_WAVES = [k for k in product(range(3), repeat=3) if 0 < sum(k) <= 2]  # half waves along the axes
_BIAS_SPREAD, _GAIN_SPREAD = 0.025, 0.02  # of each wave's log amplitude, and of the log brightness of a slice
_SHIFT_SPREAD = 1.0  # mm
NOISE = 6.0
"""Spread of the noise of a voxel, blood being near 200, whatever the size of voxels."""


def slice_shifts(subject: str, n_slices: int, *, seed: int) -> FloatArray:
    """Return how far each slice lies off its place in mm, shape (n_slices, 2).

    A slice is seen in one breath-hold, over all frames; the next breath-hold puts the heart elsewhere.
    """
    keys = np.repeat(subject_keys([subject]), n_slices)
    shifts: FloatArray = _SHIFT_SPREAD * normal(keys, _SCANNER, seed, _SHIFT, np.arange(n_slices), size=2)
    return np.clip(shifts, -2.5 * _SHIFT_SPREAD, 2.5 * _SHIFT_SPREAD)


def bias(subject: str, shape: tuple[int, int, int], *, seed: int) -> NDArray[np.float32]:
    """Return the factor of brightness of each voxel, some ±10 %: of the coils, and of each slice.

    It belongs to the subject: it is the same in all frames.
    """
    keys = subject_keys([subject])
    log = _GAIN_SPREAD * normal(np.repeat(keys, shape[2]), _SCANNER, seed, _GAIN, np.arange(shape[2]), size=1)[:, 0]
    field = np.broadcast_to(log, shape).copy()
    waves = [[np.cos(np.pi * k * (np.arange(n) + 0.5) / n) for k in range(3)] for n in shape]
    weights = normal(keys, _SCANNER, seed, _BIAS, size=len(_WAVES))[0]
    for (i, j, k), weight in zip(_WAVES, weights, strict=True):
        field += _BIAS_SPREAD * weight * waves[0][i][:, None, None] * waves[1][j][:, None] * waves[2][k]
    return np.exp(field).astype(np.float32)


def noisy(images: NDArray[np.float32], subject: str, numbers: NDArray[np.int64], *, seed: int) -> NDArray[np.float32]:
    """Return images with Rician noise of their own.

    Parameters
    ----------
    images : ndarray of float32, shape (x, y, z, n)
    subject : str
    numbers : ndarray of int, shape (n,)
        Of the frames: the same number has the same noise.
    seed : int
    """
    keys = np.repeat(subject_keys([subject]), len(numbers))
    noise = NOISE * normal(keys, _SCANNER, seed, _NOISE, numbers, size=2 * images[..., 0].size)
    real, imaginary = np.moveaxis(noise.reshape(-1, 2, *images.shape[:3]), 0, -1).astype(np.float32)
    seen: NDArray[np.float32] = np.hypot(images + real, imaginary)
    return seen
