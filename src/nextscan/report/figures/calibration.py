"""Whether intervals hold what they promise: over levels, and over groups of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nextscan.report.figures.style import FAINT, INK, SOFT, Look, new_figure, quiet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def calibration_curve(
    curves: Mapping[str, pd.DataFrame], *, looks: Mapping[str, Look], strong: Sequence[str] = ()
) -> Figure:
    """Draw the observed share inside central intervals against their level, and the departure from it.

    Parameters
    ----------
    curves : mapping of method title to DataFrame
        Columns level, coverage, low, high, all between 0 and 1; low and high may be NaN.
    looks : mapping of method title to Look
    strong : sequence of str
        Methods drawn strongly and with intervals; without any, all are.
    """
    strong = [method for method in curves if method in strong] or list(curves)
    with styled():
        figure = new_figure(3.7)
        whole, apart = figure.subplots(1, 2, width_ratios=(1, 1.25))
        whole.plot([0, 100], [0, 100], color=FAINT, lw=0.9, ls=(0, (4, 2)))
        apart.axhline(0, color=FAINT, lw=0.9, ls=(0, (4, 2)))
        for method, curve in curves.items():
            look, curve = looks[method], 100 * curve.sort_values("level")
            off = curve["coverage"] - curve["level"]
            bold = method in strong
            line = {"color": look.colour, "ls": look.dash, "lw": 1.6 if bold else 0.9, "zorder": 3 if bold else 2}
            marked = line | {"marker": look.marker, "ms": 5 if bold else 3.5, "mec": "white", "mew": 0.5}
            whole.plot(curve["level"], curve["coverage"], **line)
            at = curve["level"]
            if bold:  # shifted a little so that intervals do not hide each other
                at = at + 0.6 * (strong.index(method) - (len(strong) - 1) / 2)
                apart.vlines(at, curve["low"] - curve["level"], curve["high"] - curve["level"], color=look.colour, lw=1)
            apart.plot(at, off, label=method, **marked)
        whole.set(xlim=(0, 100), ylim=(0, 100), box_aspect=1, xlabel="level of the interval, %")
        whole.set_title("Real values inside, %")
        apart.set_title("Inside less level, percentage points")
        apart.set(xlim=(0, 100), xlabel="level of the interval, %")
        largest = max(2.5, *(abs(end) for end in apart.get_ylim()))
        apart.set_ylim(-largest, largest)
        for text, place, align in (("too cautious", 0.985, "top"), ("too sure", 0.015, "bottom")):
            apart.text(0.995, place, text, transform=apart.transAxes, ha="right", va=align, fontsize=8.5, color=SOFT)
        for axes in (whole, apart):
            quiet(axes, grid="both")
        figure.legend(*apart.get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(curves)))
    return figure


@dataclass(frozen=True, eq=False)
class Coverage:
    """Shares of real values inside the interval of one level: per method title an array over groups."""

    level: float
    value: Mapping[str, ArrayLike]
    low: Mapping[str, ArrayLike]
    high: Mapping[str, ArrayLike]


def coverage_by_group(groups: Sequence[str], panels: Sequence[Coverage], *, looks: Mapping[str, Look]) -> Figure:
    """Draw the share of real values inside intervals, for each group and method: a panel per level.

    Parameters
    ----------
    groups : sequence of str, length n
    panels : sequence of Coverage
        All of the same methods; shares between 0 and 1, arrays of length n. A line marks the level.
    looks : mapping of method title to Look
    """
    methods = list(panels[0].value)
    with styled():
        figure = new_figure(1.1 + len(groups) * (0.16 + 0.13 * len(methods)))
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(grid, panels, strict=True):
            axes.axvline(100 * panel.level, color=INK, lw=1, ls=(0, (1, 2)))
            for i, method in enumerate(methods):
                look = looks[method]
                rows = np.arange(len(groups)) + 0.62 * ((i + 0.5) / len(methods) - 0.5)
                value, low, high = (
                    100 * np.asarray(part[method], float) for part in (panel.value, panel.low, panel.high)
                )
                axes.hlines(rows, low, high, color=look.colour, lw=1.3)
                axes.plot(value, rows, look.marker, color=look.colour, ms=7, mec="white", label=method)
            axes.set_ylim(len(groups) - 0.45, -0.55)
            axes.set_xlabel(f"real values inside the {100 * panel.level:g}% interval, %")
            axes.spines["left"].set_visible(False)
            quiet(axes, grid="x")
        grid[0].set_yticks(range(len(groups)), groups)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(methods)))
    return figure
