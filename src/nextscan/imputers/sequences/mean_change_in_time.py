"""Mean change in time: the nearest image, and what changed on average from there to the time of the target."""

from __future__ import annotations

from typing import ClassVar

from nextscan.arrays import Volume
from nextscan.imputers.sequences.film_row import FilmRow
from nextscan.imputers.sequences.shown import Shown
from nextscan.imputers.sequences.times import nearest


class MeanChangeInTime(FilmRow):
    """Add to the nearest image the mean change in films of training from that image to the target.

    Voxels correspond as far as the images lie in one common space: without that the mean change is a blur. On a line,
    where films are of other times, change is taken to grow with the time from the nearest image. For parameters see
    `FilmRow`.
    """

    name: ClassVar[str] = "mean-change-in-time"
    minimum_films: ClassVar[int] = 2
    corrected: ClassVar[bool] = True

    def _guess(self, shown: Shown) -> Volume:
        return shown.frames[nearest(shown.times, shown.target, shown.period)]

    def _reach(self, shown: Shown) -> float:
        return float(shown.far.min()) if shown.period is None else 1.0
