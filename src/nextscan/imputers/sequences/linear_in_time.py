"""Linear in time: each voxel on the straight line between the images around the target."""

from __future__ import annotations

from typing import ClassVar

from nextscan.arrays import Volume
from nextscan.imputers.sequences.film_row import FilmRow
from nextscan.imputers.sequences.shown import Shown
from nextscan.imputers.sequences.times import linear_weights


class LinearInTime(FilmRow):
    """Interpolate each voxel linearly in time between the images around the target.

    On a circle the image after the last one is the first one: of a beat whose beginning is shown the rest lies between
    the last image shown and the next beat. On a line, beyond all images, the line through the two nearest ones goes
    on, noise and all. A single image is copied. Draws add what the line missed in films of training, not centred. For
    parameters see `FilmRow`.
    """

    name: ClassVar[str] = "linear-in-time"

    def _guess(self, shown: Shown) -> Volume:
        return shown.mixed(linear_weights(shown.times, shown.target, shown.period))
