"""Small planes of images, a column for each visit: sagittal, coronal, axial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nextscan.report.figures.style import SOFT, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Planes of one image.

    Attributes
    ----------
    subject, visit : str
    years : float or None
        Since the subject's first visit, in `unit`.
    planes : mapping of plane to ndarray of uint8
        Rows from the top.
    unit : str
    """

    subject: str
    visit: str
    years: float | None
    planes: Mapping[str, NDArray[np.uint8]]
    unit: str = "years"


def thumbnails(images: Sequence[Thumbnail]) -> Figure:
    """Draw the planes of images: a column per image, at least four columns wide, a row per plane."""
    columns = max(4, len(images))
    with styled():
        figure = new_figure(0.4 + 3 * 8.4 / columns)
        grid = figure.subplots(len(PLANES), columns, squeeze=False)
        for axes in grid.ravel():
            axes.set_axis_off()
        for c, image in enumerate(images):
            for r, plane in enumerate(PLANES):
                grid[r, c].imshow(image.planes[plane], cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
            when = "" if image.years is None else f"\n{image.years:.3g} {image.unit}"
            name = image.subject if len(image.subject) < 16 else image.subject[:14] + "…"
            grid[0, c].set_title(f"{name}\n{image.visit}{when}", fontsize=7.5, color=SOFT)
    return figure
