"""What a prediction of an image of a film starts from: the images shown, in one scale, and their times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscan.arrays import FloatArray, Volume
from nextscan.imputers.sequences.scale import as_reference
from nextscan.imputers.sequences.times import apart
from nextscan.imputers.volumes.base import Given


@dataclass(frozen=True, eq=False)
class Shown:
    """Images of a film that are shown, and the time of the one that is not.

    Attributes
    ----------
    times : ndarray of float, shape (n,)
        Of the images, in no particular order; of a film of training one may be there twice.
    frames : ndarray of float32, shape (n, x, y, z)
        In the scale of image `source`.
    source : int
    target : float
        Time of the image to predict.
    period : float or None
        Where time is a circle.
    film : int or str
        Position of a film of training in its bank, or the name of the subject that is imputed.
    """

    times: FloatArray
    frames: Volume
    source: int
    target: float
    period: float | None
    film: int | str

    @property
    def far(self) -> FloatArray:
        """How far each image is from the target, the shorter way round where time is a circle."""
        return np.abs(apart(self.times, self.target, self.period))

    def mixed(self, weights: FloatArray) -> Volume:
        """Return a weighted sum of the images, shape (x, y, z); those of weight 0 are not touched."""
        used = np.flatnonzero(weights)
        if len(used) == 1 and weights[used[0]] == 1:
            return self.frames[used[0]]
        total: Volume = np.tensordot(weights[used].astype(np.float32), self.frames[used], 1)
        return total


def shown_of(given: Given, period: float | None, *, match_brightness: bool) -> Shown:
    """Return all images of a subject that are shown, in the scale of the source of the prediction.

    Those at unknown times are left out. Where the time of the source is unknown, it is the only one: the target lies
    `Given.gap` after it.
    """
    known = [seen for seen in given.seen if np.isfinite(seen.time)]
    if not known or not np.isfinite(given.time):
        return Shown(np.zeros(1), given.source[None], 0, given.gap, period, given.subject)
    times = np.array([seen.time for seen in known])
    source = int(np.argmin(np.abs(times - (given.time - given.gap))))
    start = known[source].prepared()
    frames = [
        given.source if i == source else as_reference(seen.prepared(), start, one_film=not match_brightness)
        for i, seen in enumerate(known)
    ]
    return Shown(times, np.stack(frames), source, given.time, period, given.subject)
