"""Figures of films: volumes over the beat, ejection fractions, and errors by how far a frame is from those given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nextscan.arrays import BoolArray, FloatArray
from nextscan.report.figures.style import FAINT, INK, LOOKS, SOFT, Look, new_figure, quiet, styled
from nextscan.report.films.kept import Clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW = 5  # frames that make no line


@dataclass(frozen=True, eq=False)
class Beat:
    """The volume of one subject's cavity over the beat, as a method imputes it.

    Attributes
    ----------
    time : ndarray, shape (n_frames,)
        From the first frame, ascending; of a beat in percent.
    given : ndarray of bool, shape (n_frames,)
    truth, value : ndarray, shape (n_frames,)
        mL; `value` is measured where the frame was given, and the predictive mean elsewhere.
    bands : sequence of ndarray, each of shape (2, n_frames)
        Ends of central intervals of the draws, the widest first; `value` where the frame was given.
    """

    subject: str
    time: FloatArray
    given: BoolArray
    truth: FloatArray
    value: FloatArray
    bands: Sequence[FloatArray]


@dataclass(frozen=True, eq=False)
class Ejected:
    """Ejection fractions in percent: of people, or averages over groups of them.

    Attributes
    ----------
    real, predicted : ndarray, shape (n,)
    low, high : ndarray, shape (n,)
        Of people the ends of the 80 % interval of the draws, of groups the 95 % interval of what is real.
    words : str
        Below the name of the method.
    """

    real: FloatArray
    predicted: FloatArray
    low: FloatArray
    high: FloatArray
    words: str = ""


@dataclass(frozen=True, eq=False)
class Horizon:
    """Errors of one method by time from the nearest given frame, ascending; each array of shape (n,)."""

    time: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray


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


def beats(rows: Mapping[str, Sequence[Beat]], *, looks: Mapping[str, Look], clock: Clock) -> Figure:
    """Draw the volume of the cavity over time: a row for each method, a column for each subject.

    Parameters
    ----------
    rows : mapping of title to sequence of Beat
        Of the same subjects.
    looks : mapping of title to Look
    clock : Clock
        Of a circle, the first frame follows the last one.
    """
    width = max(len(row) for row in rows.values())
    with styled():
        figure = new_figure(0.55 + 2.05 * len(rows))
        grid = figure.subplots(len(rows), width, squeeze=False, sharex=True, sharey="col")
        for r, (title, row) in enumerate(rows.items()):
            for axes, beat in zip(grid[r], row, strict=False):
                _beat(axes, beat, looks[title], circle=clock.period is not None)
                if r == 0:
                    axes.set_title(beat.subject, fontsize=8.5)
            grid[r, 0].set_ylabel(f"{title}\ncavity, mL", fontsize=8.5)
        figure.supxlabel(clock.label, fontsize=9, color=SOFT)
    return figure


def _beat(axes: Axes, beat: Beat, look: Look, *, circle: bool) -> None:
    known = np.isfinite(beat.truth)

    def closed(values: FloatArray, end: float | None = None) -> FloatArray:
        """Return to the first frame, which follows the last one."""
        return np.append(values, values[0] if end is None else end) if circle else values

    time = closed(beat.time, 100.0)
    for low, high in beat.bands:
        axes.fill_between(time, closed(low), closed(high), color=look.colour, alpha=0.2, lw=0)
    axes.plot(time, closed(beat.value), color=look.colour, lw=1.5)
    if known.sum() >= _FEW:
        end = closed(known, True)
        axes.plot(time[end], closed(beat.truth[known]), color=INK, lw=0.9, dashes=(4, 2.5))
    hidden = known & ~beat.given
    axes.plot(beat.time[hidden], beat.truth[hidden], "o", color="white", mec=INK, mew=1, ms=4, zorder=4)
    axes.plot(beat.time[beat.given], beat.value[beat.given], "o", color=INK, ms=4.5, zorder=5)
    axes.set(ylim=(0, None))
    if circle:
        axes.set(xlim=(-2, 102), xticks=[0, 25, 50, 75, 100])
    axes.locator_params(axis="y", nbins=5)
    axes.tick_params(labelsize=7.5)
    quiet(axes)


def ejection(panels: Mapping[str, Ejected], *, looks: Mapping[str, Look], grouped: bool = False) -> Figure:
    """Draw predicted ejection fractions against real ones, a panel for each method, on one scale.

    Parameters
    ----------
    panels : mapping of title to Ejected
    looks : mapping of title to Look
    grouped : bool
        Whether points are averages over groups: predictions across, what is real upwards with its interval.
    """
    columns = min(3, len(panels))
    n_rows = math.ceil(len(panels) / columns)
    values = np.concatenate([np.concatenate([one.real, one.predicted]) for one in panels.values()])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.06 * (high - low) or 1.0
    ends = (low - room, high + room)
    with styled():
        figure = new_figure(0.3 + 2.95 * n_rows)
        grid = figure.subplots(n_rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, (title, one) in zip(grid.flat, panels.items(), strict=False):
            look = looks[title]
            axes.plot(ends, ends, color=FAINT, lw=0.9, dashes=(4, 3), zorder=1)
            across, up = (one.predicted, one.real) if grouped else (one.real, one.predicted)
            axes.vlines(across, one.low, one.high, color=look.colour, lw=1.4 if grouped else 0.8, alpha=0.4, zorder=2)
            size = (6.0 if grouped else 4.2) * (1.7 if look.marker == "*" else 1.0)
            axes.plot(across, up, look.marker, color=look.colour, ms=size, mec="white", mew=0.4)
            axes.set_title(title, fontsize=9, pad=16)
            axes.text(0, 1.02, one.words, transform=axes.transAxes, fontsize=8, color=SOFT, va="bottom")
            axes.set(xlim=ends, ylim=ends, aspect="equal")
            quiet(axes, grid="both")
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        names = ("predicted", "real") if grouped else ("real", "predicted")
        figure.supxlabel(f"{names[0]} ejection fraction, %", fontsize=9, color=SOFT)
        figure.supylabel(f"{names[1]} ejection fraction, %", fontsize=9, color=SOFT)
    return figure


def horizon_errors(
    panels: Mapping[str, Mapping[str, Horizon]],
    *,
    looks: Mapping[str, Look],
    strong: Sequence[str],
    unit: str,
    width: float,
) -> Figure:
    """Draw errors against the time from the nearest given frame, a panel for each score and a line for each method.

    Parameters
    ----------
    panels : mapping of label of the axis to mapping of title to Horizon
    looks : mapping of title to Look
    strong : sequence of str
        Titles drawn with intervals; others are thin lines.
    unit : str
        Of times.
    width : float
        Inches; narrow figures have their panels below each other.
    """
    side = width > 6
    shape = (1, len(panels)) if side else (len(panels), 1)
    with styled():
        figure = new_figure(3.6 if side else 0.6 + 2.9 * len(panels), width=width)
        grid = figure.subplots(*shape, squeeze=False, sharex=True)
        handles: dict[str, Any] = {}
        for axes, (label, lines) in zip(grid.flat, panels.items(), strict=True):
            for title, line in lines.items():
                look, main = looks[title], title in strong
                if main:
                    axes.fill_between(line.time, line.low, line.high, color=look.colour, alpha=0.16, lw=0)
                style: dict[str, Any] = {"color": look.colour, "linestyle": look.dash, "lw": 1.7 if main else 1.0}
                (drawn,) = axes.plot(line.time, line.value, marker=look.marker, ms=4.4, mec="white", mew=0.4, **style)
                drawn.set_alpha(1.0 if main else 0.75)
                handles.setdefault(title, drawn)
            axes.set(ylabel=label, ylim=(0, None))
            quiet(axes)
        figure.supxlabel(f"time from the nearest given frame, {unit}", fontsize=9, color=SOFT)
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=max(1, int(width / 2.2)))
    return figure
