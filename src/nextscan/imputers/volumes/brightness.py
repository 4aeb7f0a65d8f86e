"""Brightness that differs between two scans for reasons of the scanner, as a smooth factor."""

from __future__ import annotations

from itertools import product

import numpy as np

from nextscan.arrays import FloatArray, Volume
from nextscan.preprocess.volumes import Prepared

_WAVES = tuple(k for k in product(range(4), repeat=3) if sum(k) <= 3)  # half waves along the axes
_BRIGHT = -0.4  # prepared scale: darker voxels are mostly noise
_SAMPLED = 40  # voxels per axis looked at
_FEWEST = 10 * len(_WAVES)  # voxels to fit the factor to
_ROUNDS = 8
_CUT = 4.685  # Tukey's constant: 95 % efficient for normal noise


def brightness(source: Prepared, target: Prepared) -> FloatArray:
    """Fit the smooth factor by which the scanner made one scan of a subject brighter than another.

    Differential bias correction (Lewis & Fox 2004, doi:10.1016/j.neuroimage.2004.05.007) with few cosines
    instead of a filter, fitted robustly (Tukey's biweight): voxels whose tissue has changed are outliers
    and do not bend it.

    Parameters
    ----------
    source, target : Prepared
        On one grid.

    Returns
    -------
    ndarray of float, shape (20,)
        Weights of the cosines that make up the log of the factor; zeros if too few voxels are bright, or
        images have intensities below zero, where a factor means nothing.
    """
    step = tuple(slice(None, None, max(1, n // _SAMPLED)) for n in source.data.shape)
    bright = np.minimum(source.data[step], target.data[step]) > _BRIGHT
    if np.count_nonzero(bright) < _FEWEST or min(source.low, target.low) < 0:
        return np.zeros(len(_WAVES))
    ratio = np.log(_native(target, step)[bright] / _native(source, step)[bright])
    axes = [half_waves(n)[:, s] for n, s in zip(source.data.shape, step, strict=True)]
    basis = np.stack(
        [(axes[0][i][:, None, None] * axes[1][j][:, None] * axes[2][k])[bright] for i, j, k in _WAVES], axis=1
    )
    weight = np.ones(len(ratio))
    weights = np.zeros(len(_WAVES))
    for _ in range(_ROUNDS):
        weighted = basis * weight[:, None]
        weights = np.linalg.lstsq(weighted.T @ basis, weighted.T @ ratio, rcond=1e-9)[0]
        error = ratio - basis @ weights
        scale = 1.4826 * float(np.median(np.abs(error)))
        if not scale:
            break
        weight = np.maximum(1 - (error / (_CUT * scale)) ** 2, 0) ** 2
    return weights


def as_bright_as(source: Prepared, target: Prepared, weights: FloatArray) -> Volume:
    """Return the target in the intensity scale of the source, with the brightness the source's scanner gave it.

    Parameters
    ----------
    source, target : Prepared
    weights : ndarray of float, shape (20,)
        From `brightness`.

    Returns
    -------
    ndarray of float32, shape (x, y, z)
        Prepared scale of the source, in [-1, 1]; what was clipped at -1 stays there.
    """
    table = np.zeros((4, 4, 4))
    table[tuple(np.transpose(_WAVES))] = weights
    x, y, z = (half_waves(n) for n in target.data.shape)
    log = np.einsum("ijk,ia,jb,kc->abc", table, x, y, z, optimize=True).astype(np.float32)
    native = _native(target, ()) * np.exp(-log)
    matched = (native - source.low) * np.float32(2 / (source.high - source.low)) - np.float32(1)
    bright: Volume = np.where(target.data == -1, np.float32(-1), matched.clip(-1, 1))
    return bright


def _native(volume: Prepared, where: tuple[slice, ...]) -> Volume:
    """Return intensities of the image, but for what was clipped."""
    part = volume.data[where]
    native: Volume = np.float32(volume.low) + (part + 1) * np.float32((volume.high - volume.low) / 2)
    return native


def half_waves(n: int, n_waves: int = 4) -> FloatArray:
    """Return cosines of 0, 1, 2 ... half waves over n voxels, shape (n_waves, n)."""
    waves: FloatArray = np.cos(np.pi * np.arange(n_waves)[:, None] * (np.arange(n) + 0.5) / n)
    return waves
