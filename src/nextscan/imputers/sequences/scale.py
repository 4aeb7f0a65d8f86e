"""One intensity scale for all images of a film: that of the one which a prediction starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import Volume
from nextscan.imputers.volumes.brightness import as_bright_as, brightness
from nextscan.preprocess.volumes import Prepared

Window = tuple[float, float]


def rescaled(data: NDArray[np.floating], window: Window, into: Window) -> Volume:
    """Bring prepared values from one window to another.

    Parameters
    ----------
    data : ndarray of float, any shape
        Intensities of which those of `window` are -1 and 1.
    window, into : (float, float)
        Intensities that are -1 and 1, before and after.

    Returns
    -------
    ndarray of float32
        Not clipped: an image may be brighter than another one. What was clipped at -1 stays there, as nothing is
        known of it.
    """
    values = np.asarray(data, np.float32)
    if tuple(window) == tuple(into):
        return values
    (low, high), (new_low, new_high) = window, into
    slope = (high - low) / (new_high - new_low)
    shift = slope + 2 * (low - new_low) / (new_high - new_low) - 1
    moved: Volume = np.where(values == -1, np.float32(-1), values * np.float32(slope) + np.float32(shift))
    return moved


def in_window(prepared: Prepared, low: float, high: float) -> Volume:
    """Return a prepared image in the scale whose -1 and 1 are these intensities, see `rescaled`."""
    return rescaled(prepared.data, (prepared.low, prepared.high), (low, high))


def as_reference(image: Prepared, reference: Prepared, *, one_film: bool) -> Volume:
    """Return a prepared image in the scale of another one of the person.

    Parameters
    ----------
    image, reference : Prepared
        On one grid.
    one_film : bool
        Whether both are frames of one film; otherwise what the scanner made brighter is taken back, see
        `nextscan.imputers.volumes.brightness`.

    Returns
    -------
    ndarray of float32, shape (x, y, z)
        The reference, where one of the two does not show what lies there.
    """
    if image is reference:
        return reference.data
    if one_film:
        values = in_window(image, reference.low, reference.high)
    else:
        values = as_bright_as(reference, image, brightness(reference, image))
    both = reference.shown_by_both(image)
    return values if both is None else np.where(both, values, reference.data)
