"""When images were, as numbers for a network, and what is expected of an image from those around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray
from nextscan.imputers.sequences.times import apart, bracket, linear_weights, nearest

Base = Literal["nearest", "linear"]
_HARMONICS = 4


@dataclass(frozen=True)
class Clock:
    """Times of a sequence as numbers.

    Attributes
    ----------
    period : float or None
        Where time is a circle, how long it takes around, see `nextscan.cohort.Cohort.period`.
    step : float
        Mean time between neighbouring images of training.
    timed : bool
        Whether times are used; without, only which image comes before which.
    """

    period: float | None
    step: float
    timed: bool = True

    @property
    def n_when(self) -> int:
        """Numbers of each image."""
        return 4 + 2 * _HARMONICS

    @property
    def n_summaries(self) -> int:
        """Rows of `summaries`."""
        return 4

    def apart(self, times: FloatArray, wanted: FloatArray | float) -> FloatArray:
        """Return how long it is from times to the wanted one, the shorter way round where time is a circle."""
        return apart(times, wanted, self.period)

    def summaries(self, times: FloatArray) -> FloatArray:
        """Return weights that sum up images whatever their number, shape (n_summaries, K).

        Their mean; the part of them that goes with the cosine and the sine of time on the circle, or with time on a
        line; and one image, nearest to the start of the circle, or the last of the line.
        """
        n = len(times)
        mean = np.full(n, 1 / n)
        last = np.zeros(n)
        if not np.isfinite(times).all() or not self.timed:
            last[-1] = 1.0
            return np.stack([mean, np.zeros(n), np.zeros(n), last])
        if self.period is None:
            last[int(np.argmax(times))] = 1.0
            far = (times - times.mean()) / self.step
            return np.stack([mean, far / n, np.zeros(n), last])
        angle = times * (2 * np.pi / self.period)
        last[int(np.argmax(np.cos(angle)))] = 1.0
        parts = [2 * (wave - wave.mean()) / n for wave in (np.cos(angle), np.sin(angle))]
        return np.stack([mean, *parts, last])

    @property
    def n_wanted(self) -> int:
        """Numbers of the wanted time."""
        return 2 * _HARMONICS

    def when(self, times: FloatArray, apart: FloatArray, after: BoolArray) -> NDArray[np.float32]:
        """Return what is known of when images were, relative to the wanted one and on the circle.

        Parameters
        ----------
        times, apart : ndarray of float, shape (..., K)
            Since the first visit, and from the image to the wanted time; NaN where unknown.
        after : ndarray of bool, shape (..., K)
            Whether an image comes after the wanted one.

        Returns
        -------
        ndarray of float32, shape (..., K, n_when)
        """
        known = np.isfinite(apart) & self.timed
        far = np.where(known, apart, np.where(after, -self.step, self.step)) / self.step
        if self.period is not None:
            far = far * (2 * self.step / self.period)  # from -1 to 1
        return np.concatenate(
            [np.stack([far, np.abs(far), after, known], axis=-1), self._circle(times)], axis=-1
        ).astype(np.float32)

    def wanted(self, time: FloatArray) -> NDArray[np.float32]:
        """Return the wanted times (...) as numbers, shape (..., n_wanted): where on the circle they are."""
        return self._circle(time).astype(np.float32)

    def _circle(self, times: FloatArray) -> FloatArray:
        """Return sines and cosines of times on the circle; zeros where time is a line or unknown."""
        if self.period is None or not self.timed:
            return np.zeros((*np.shape(times), 2 * _HARMONICS))
        angle = np.nan_to_num(times)[..., None] * (2 * np.pi / self.period) * np.arange(1, _HARMONICS + 1)
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1) * np.isfinite(times)[..., None]

    def weights(self, times: FloatArray, wanted: float, after: BoolArray, kind: Base) -> FloatArray:
        """Return by how much each image counts in what is expected without learning, shape (K,), sum 1.

        "nearest" copies the nearest image. "linear" goes in proportion to time between the nearest one before and the
        nearest one after, the last before and the first of the next round where time is a circle; beyond all images of
        a line, on through the two nearest.

        Parameters
        ----------
        times : ndarray of float, shape (K,)
            Of the images; NaN where unknown.
        wanted : float
        after : ndarray of bool, shape (K,)
            Whether an image comes after the time wanted.
        kind : "nearest" or "linear"

        >>> circle, line, before = Clock(period=1.0, step=0.25), Clock(None, 1.0), np.array([False, False])
        >>> circle.weights(np.array([0.0, 0.5]), 0.75, before, "linear").tolist()
        [0.5, 0.5]
        >>> line.weights(np.array([0.0, 1.0]), 2.0, before, "linear").tolist()
        [-1.0, 2.0]
        """
        known = self._known(times, wanted)
        if known and kind == "linear":
            return linear_weights(times, wanted, self.period)
        weights = np.zeros(len(times))
        weights[nearest(times, wanted, self.period) if known else self._in_order(after)[0]] = 1.0
        return weights

    def around(self, times: FloatArray, wanted: float, after: BoolArray) -> tuple[int, int]:
        """Return which images lie next to a time, before and after it; one of them twice where there is no other."""
        return bracket(times, wanted, self.period)[:2] if self._known(times, wanted) else self._in_order(after)

    def _known(self, times: FloatArray, wanted: float) -> bool:
        return self.timed and bool(np.isfinite(times).all() and np.isfinite(wanted))

    @staticmethod
    def _in_order(after: BoolArray) -> tuple[int, int]:
        """Return the last image before, else the first after, and the one that follows."""
        n_before = int(np.count_nonzero(~after))
        last = max(n_before - 1, 0)
        return last, min(n_before, len(after) - 1)
