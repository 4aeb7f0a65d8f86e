"""Linear with mean residual: the line between images, and what lines miss on average in films of training."""

from __future__ import annotations

from typing import ClassVar

from nextscan.arrays import Volume
from nextscan.imputers.sequences.film_row import FilmRow
from nextscan.imputers.sequences.shown import Shown
from nextscan.imputers.sequences.times import linear_weights


class LinearWithMeanResidual(FilmRow):
    """Add to the line between the images around the target what such lines miss on average in films of training.

    The mean film bends the line: what everybody's heart does between two images is not straight. Voxels correspond as
    far as the images lie in one common space. For parameters see `FilmRow`.
    """

    name: ClassVar[str] = "linear-with-mean-residual"
    minimum_films: ClassVar[int] = 2
    corrected: ClassVar[bool] = True

    def _guess(self, shown: Shown) -> Volume:
        return shown.mixed(linear_weights(shown.times, shown.target, shown.period))
