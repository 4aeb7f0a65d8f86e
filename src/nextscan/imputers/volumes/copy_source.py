"""Copy source: the follow-up image is the source image again."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from nextscan.arrays import Volume
from nextscan.imputers.volumes.base import Given
from nextscan.imputers.volumes.pairs import PreparedPairs
from nextscan.imputers.volumes.resampling import ResamplingVolumeImputer


class CopySource(ResamplingVolumeImputer):
    """Predict that nothing changes: the row every other method has to beat.

    The mean is the source image, exactly. Draws add whole difference images of training pairs, not centred:
    the carry-forward of images. Differences belong to other heads, whose edges lie elsewhere: a draw has the
    noise and the amount of change of a real follow-up, not its anatomy. For parameters see
    `ResamplingVolumeImputer`.
    """

    name: ClassVar[str] = "copy-source"
    minimum_pairs: ClassVar[int] = 1

    def _learn(self, data: PreparedPairs) -> Callable[[int], Volume]:
        return data.change

    def _mean(self, given: Given) -> Volume:
        return given.source
