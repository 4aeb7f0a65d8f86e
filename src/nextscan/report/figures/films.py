"""Figures of films: volumes of label maps over the beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nextscan.report.figures.style import LOOKS, new_figure, quiet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEW = 5  # frames that make no line


def volume_curves(curves: Mapping[str, Any], time_unit: str, most: int = 4) -> Figure:
    """Draw volumes over time, a panel for each region and a line for each film.

    Parameters
    ----------
    curves : mapping
        ``subject`` and ``time`` of each frame, and ``volumes`` in mL by region.
    time_unit : str
    """
    regions = list(curves["volumes"])[:most]
    subject, time = np.asarray(curves["subject"]), np.asarray(curves["time"], float)
    with styled():
        figure = new_figure(2.7)
        panels = np.atleast_1d(figure.subplots(1, len(regions)))
        for axes, name in zip(panels, regions, strict=True):
            volume = np.array([np.nan if value is None else value for value in curves["volumes"][name]], float)
            for one in np.unique(subject):
                rows = np.flatnonzero(subject == one)
                rows = rows[np.argsort(time[rows])]
                mark = "o" if len(rows) < _FEW else ""
                axes.plot(time[rows], volume[rows], color=LOOKS[0].colour, lw=0.8, alpha=0.5, marker=mark, ms=3)
            axes.set(title=name, xlabel=time_unit, ylabel="mL" if name == regions[0] else "", ylim=(0, None))
            quiet(axes)
    return figure
