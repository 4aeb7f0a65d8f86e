"""A scale on which features between 0 and 1 that level off at both ends change along straight lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray

_MARGIN = 0.1  # the curve's ends lie beyond 0 and 1, so that noise near these is not blown up
_NEAREST = 1e-3


def can_curve(features: FloatArray) -> NDArray[np.bool_]:
    """Tell which features have all values between 0 and 1, shape (n_features,)."""
    result: NDArray[np.bool_] = (np.nanmin(features, axis=0) >= 0) & (np.nanmax(features, axis=0) <= 1)
    return result


def straightened(values: FloatArray, curved: NDArray[np.bool_]) -> FloatArray:
    """Map columns marked `curved` to the log odds of their place between the curve's ends."""
    if not curved.any():
        return values
    values = values.copy()
    place = np.clip((values[:, curved] + _MARGIN) / (1 + 2 * _MARGIN), _NEAREST, 1 - _NEAREST)
    values[:, curved] = np.log(place / (1 - place))
    return values


def bent(values: NDArray[Any], curved: NDArray[np.bool_]) -> NDArray[Any]:
    """Undo `straightened`; values beyond 0 and 1 become these."""
    if not curved.any():
        return values
    values = values.copy()
    place = 0.5 + 0.5 * np.tanh(values[..., curved] / 2)
    values[..., curved] = np.clip(place * (1 + 2 * _MARGIN) - _MARGIN, 0.0, 1.0)
    return values
