"""When images were, as numbers for a network, and what is expected of an image from those around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray

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
        ahead: FloatArray = np.asarray(wanted) - times
        return ahead if self.period is None else ahead - self.period * np.round(ahead / self.period)

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

    def around(self, apart: FloatArray, after: BoolArray) -> tuple[int, int]:
        """Return which images lie next to a time, before and after it; one of them twice where there is no other."""
        if len(apart) == 1:
            return 0, 0
        if np.isfinite(apart).all() and self.timed:
            return self._around(apart)
        order = np.flatnonzero(~after)
        return (int(order[-1]) if len(order) else 0), min(len(order), len(apart) - 1)

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

    def weights(self, apart: FloatArray, after: BoolArray, kind: Base) -> FloatArray:
        """Return by how much each image counts in what is expected without learning, shape (K,), sum 1.

        "nearest" copies the nearest image. "linear" goes in proportion to time between the nearest one before and the
        nearest one after, the last before and the first of the next round where time is a circle; beyond all images of
        a line, on through the two nearest.

        Parameters
        ----------
        apart : ndarray of float, shape (K,)
            From each image to the wanted time, positive where the image comes first; NaN where unknown.
        after : ndarray of bool, shape (K,)
        kind : "nearest" or "linear"

        >>> clock = Clock(period=1.0, step=0.25)
        >>> clock.weights(np.array([-0.25, 0.25]), np.array([False, False]), "linear").tolist()
        [0.5, 0.5]
        >>> Clock(None, 1.0).weights(np.array([2.0, 1.0]), np.array([False, False]), "linear").tolist()
        [-1.0, 2.0]
        """
        weights = np.zeros(len(apart))
        if len(apart) == 1:
            weights[0] = 1.0
        elif not np.isfinite(apart).all() or not self.timed:
            order = np.flatnonzero(~after)
            weights[order[-1] if len(order) else 0] = 1.0  # the last before, else the first after
        elif kind == "nearest":
            weights[np.lexsort((after, np.abs(apart)))[0]] = 1.0
        else:
            first, second = self._around(apart)
            before, behind = (apart[[first, second]] % self.period) if self.period else apart[[first, second]]
            span = before - behind + (self.period or 0.0)
            share = before / span if first != second else 0.0
            weights[first] += 1 - share
            weights[second] += share
        return weights

    def _around(self, apart: FloatArray) -> tuple[int, int]:
        """Return which images lie next to the wanted time, or are the two nearest beyond."""
        if self.period is not None:
            ahead = apart % self.period
            return int(np.argmin(ahead)), int(np.argmax(ahead))
        before, behind = np.flatnonzero(apart >= 0), np.flatnonzero(apart < 0)
        if len(before) and len(behind):
            return int(before[np.argmin(apart[before])]), int(behind[np.argmax(apart[behind])])
        nearest, next_one = np.argsort(np.abs(apart), kind="stable")[:2]
        if apart[nearest] == apart[next_one]:  # two images of one time have no slope
            return int(nearest), int(nearest)
        return int(nearest), int(next_one)
