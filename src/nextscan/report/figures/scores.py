"""One score of all methods, with intervals, as a dot plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nextscan.report.figures.style import INK, SOFT, WIDTH, Look, new_figure, quiet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def score_intervals(
    names: Sequence[str],
    value: ArrayLike,
    *,
    low: ArrayLike,
    high: ArrayLike,
    looks: Sequence[Look],
    label: str,
    limit: float | None = None,
    limit_label: str = "",
    width: float = WIDTH,
) -> Figure:
    """Draw each method's score and interval on its own line, first name on top.

    Parameters
    ----------
    names : sequence of str, length n
    value, low, high : array of float, shape (n,)
        NaN ends draw no interval.
    looks : sequence of Look, length n
    label : str
        Of the score axis.
    limit : float, optional
        The best possible score: a line through all rows, with `limit_label` beside it.
    width : float
        Inches.
    """
    value, low, high = (np.asarray(part, float) for part in (value, low, high))
    with styled():
        figure = new_figure(0.75 + 0.34 * len(names), width=width)
        axes = figure.subplots()
        for row, look in enumerate(looks):
            if np.isfinite(low[row]) and np.isfinite(high[row]):
                axes.plot([low[row], high[row]], [row, row], color=look.colour, lw=2.4, solid_capstyle="butt")
            axes.plot(value[row], row, look.marker, color=look.colour, ms=7.5, mec="white", mew=0.8)
        if limit is not None:
            axes.axvline(limit, color=INK, lw=1, ls=(0, (1, 2)))
            axes.annotate(
                limit_label,
                (limit, len(names) - 0.45),
                xytext=(5, 0),
                textcoords="offset points",
                va="bottom",
                fontsize=8.5,
                color=SOFT,
            )
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.tick_params(axis="y", labelsize=9.5, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.05)
        axes.locator_params(axis="x", nbins=round(width))
        axes.set_xlabel(label)
        quiet(axes, grid="both")
        axes.grid(False, axis="y")
        for row in range(len(names)):
            axes.axhline(row, color="#eceef0", lw=0.7, zorder=0)
    return figure
