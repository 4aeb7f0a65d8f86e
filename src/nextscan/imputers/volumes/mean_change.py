"""Volume mean change: the source image plus years times what a voxel changed on average in a year."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from nextscan.arrays import Volume
from nextscan.imputers.volumes.base import Given
from nextscan.imputers.volumes.pairs import PreparedPairs
from nextscan.imputers.volumes.resampling import ResamplingVolumeImputer


class VolumeMeanChange(ResamplingVolumeImputer):
    """Add each voxel's mean change, in proportion to the years, to the source image.

    The change per year is that of least squares through the origin over all training pairs, so that pairs
    far apart, in which more changes over the same noise, count for more. Voxels correspond as far as the
    images lie in one common space: without that the mean change is a blur. Draws add the residual images of
    training pairs, each divided by one minus its leverage. Where an interval is unknown, it is taken to be
    the mean one. For parameters see `ResamplingVolumeImputer`.

    Attributes
    ----------
    change_ : ndarray of float32, shape (x, y, z)
        Mean change over the mean training interval, prepared scale.
    """

    name: ClassVar[str] = "volume-mean-change"
    uses_time: ClassVar[bool] = True
    predicts_backward: ClassVar[bool] = True
    _LEARNED: ClassVar[tuple[str, ...]] = ("change", "residuals")

    def _learn(self, data: PreparedPairs) -> Callable[[int], Volume]:
        reach = self.reach(data.pairs.gap)
        squares = float(reach @ reach) or 1.0
        total = np.zeros(self.preparer_.shape, np.float64)
        for i in range(len(data)):
            total += reach[i] * data.change(i)
        self.change_: Volume = (total / squares).astype(np.float32)

        def residual(i: int) -> Volume:
            left: Volume = data.change(i) - np.float32(reach[i]) * self.change_
            return left / np.float32(max(1 - reach[i] ** 2 / squares, 1 / len(data)))

        return residual

    def _mean(self, given: Given) -> Volume:
        mean: Volume = given.source + np.float32(self.reach(given.gap)) * self.change_
        return mean
