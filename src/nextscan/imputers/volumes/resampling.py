"""Draws of images by resampling the difference images of training pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.errors import SettingError
from nextscan.imputers.paired_visits import donors
from nextscan.imputers.volumes.pairs import Volume


def chosen_pairs(n_pairs: int, at_most: int, seed: int) -> list[int]:
    """Choose the pairs whose difference images are kept: all, or `at_most` at random.

    Raises
    ------
    SettingError
        If fewer than one is to be kept.
    """
    if at_most < 1:
        raise SettingError(f"n_residuals must be at least 1, got {at_most}")
    generator = np.random.default_rng([seed, n_pairs])
    return sorted(generator.permutation(n_pairs)[:at_most].tolist())


def resampled(mean: Volume, residuals: NDArray[np.float16], subject: str, n_draws: int, seed: int) -> Volume:
    """Add to the mean, shape (x, y, z), residual images drawn with replacement.

    Which ones depends on the subject's name, the seed and the draw only.

    Returns
    -------
    ndarray of float32, shape (n_draws, x, y, z)
    """
    draws: Volume = mean + residuals[donors(len(residuals), [subject], n_draws, seed)[:, 0]].astype(np.float32)
    return draws
