"""Chosen subjects' features over time: what was shown, the fan that was predicted, what came true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.report.figures.style import INK, SOFT, Look, broken, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Fan:
    """Quantiles of one method's draws for one feature of one subject.

    Attributes
    ----------
    quantiles : ndarray of float, shape (q,)
        Ascending, symmetric about one half.
    years : ndarray of float, shape (t,)
        Ascending.
    values : ndarray of float, shape (t, q)
    """

    quantiles: FloatArray
    years: FloatArray
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One panel: a feature of a subject.

    Attributes
    ----------
    subject, feature : str
    shown_years, shown : ndarray of float, shape (v,)
        Visits the methods saw, ascending.
    true_years, true : float
        The hidden visit.
    fan : Fan
        Of the method in view.
    rival : Fan or None
        Of the baseline beside it.
    """

    subject: str
    feature: str
    shown_years: FloatArray
    shown: FloatArray
    true_years: float
    true: float
    fan: Fan
    rival: Fan | None = None


def trajectory_fans(
    rows: Sequence[Sequence[Trajectory]], *, look: Look, rival_look: Look | None = None, timed: bool = True
) -> Figure:
    """Draw panels in a grid: a row per feature, a column per subject; the values' axis is common to a row.

    Without `timed`, years stand for the order of visits.
    """
    with styled():
        figure = new_figure(0.5 + 1.75 * len(rows))
        grid = figure.subplots(len(rows), len(rows[0]), squeeze=False, sharey="row", sharex="col")
        for r, row in enumerate(rows):
            for c, panel in enumerate(row):
                axes = grid[r, c]
                _draw(axes, panel, look, rival_look)
                if r == 0:
                    axes.set_title(panel.subject, fontsize=8.5)
                if c == 0:
                    axes.set_ylabel(broken(panel.feature), fontsize=8.5)
            if not timed:
                for axes in grid[r]:
                    axes.locator_params(axis="x", integer=True)
        figure.supxlabel("years since the first visit" if timed else "visit", fontsize=9, color=SOFT)
    return figure


def _draw(axes: Axes, panel: Trajectory, look: Look, rival_look: Look | None) -> None:
    fan = panel.fan
    # Between visits nothing is claimed: the fan opens straight from the last visit shown.
    years = np.concatenate([panel.shown_years[-1:], fan.years])
    for k in range(len(fan.quantiles) // 2):
        low = np.concatenate([panel.shown[-1:], fan.values[:, k]])
        high = np.concatenate([panel.shown[-1:], fan.values[:, -1 - k]])
        axes.fill_between(years, low, high, color=look.colour, alpha=0.17, lw=0)
    if len(fan.quantiles) % 2:
        middle = np.concatenate([panel.shown[-1:], fan.values[:, len(fan.quantiles) // 2]])
        axes.plot(years, middle, color=look.colour, lw=1.2)
    if panel.rival is not None and rival_look is not None:
        span = max(float(years[-1] - panel.shown_years[0]), 1e-9)
        at = panel.rival.years[-1] + 0.055 * span
        ends = panel.rival.values[-1]
        axes.vlines(at, ends[0], ends[-1], color=rival_look.colour, lw=1)
        axes.vlines(at, *_inner(panel.rival), color=rival_look.colour, lw=3)
    axes.plot(panel.shown_years, panel.shown, "-o", color=INK, lw=1, ms=4.5)
    axes.plot(panel.true_years, panel.true, "o", color="white", mec=INK, mew=1.3, ms=5.5, zorder=5)
    axes.margins(x=0.1, y=0.12)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=7.5)


def _inner(fan: Fan) -> tuple[float, float]:
    """Return the ends of the interval nearest to 80%."""
    k = int(np.argmin(np.abs(fan.quantiles - 0.1)))
    return float(fan.values[-1, k]), float(fan.values[-1, -1 - k])
