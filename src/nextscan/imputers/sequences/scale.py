"""Images of one person in one scale of intensity."""

from __future__ import annotations

import numpy as np

from nextscan.arrays import Volume
from nextscan.imputers.volumes.brightness import as_bright_as, brightness
from nextscan.preprocess.volumes import Prepared


def in_window(image: Prepared, low: float, high: float) -> Volume:
    """Return a prepared image with the intensities `low` and `high` at -1 and 1, whatever they were in its own scale.

    Frames of one film come from one measurement: what differs in brightness between them is real.
    """
    factor = (image.high - image.low) / (high - low)
    offset = (image.high + image.low - high - low) / (high - low)
    moved: Volume = image.data * np.float32(factor) + np.float32(offset)
    return moved


def as_reference(image: Prepared, reference: Prepared, *, one_film: bool) -> Volume:
    """Return a prepared image in the scale of another one of the person.

    Parameters
    ----------
    image, reference : Prepared
    one_film : bool
        Whether both are frames of one film; otherwise what the scanner made brighter is taken back, see
        `nextscan.imputers.volumes.brightness`.
    """
    if image is reference:
        return reference.data
    if one_film:
        return in_window(image, reference.low, reference.high)
    return as_bright_as(reference, image, brightness(reference, image))
