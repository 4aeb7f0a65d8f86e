"""Predicted against real change, and how long people were followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nextscan.report.figures.style import FAINT, SOFT, Look, broken, new_figure, quiet, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LEAST = 10
"""Fewer people than this make no group that may be shown."""


def change_scatter(
    real: ArrayLike,
    predicted: Mapping[str, ArrayLike],
    *,
    features: Sequence[str],
    looks: Mapping[str, Look],
) -> Figure:
    """Scatter predicted against real change: a row per method, a column per feature.

    Both axes of a panel have one scale, common to the methods; the diagonal is a perfect prediction.

    Parameters
    ----------
    real : array of float, shape (n_targets, n_features)
        Native units; NaN where unknown.
    predicted : mapping of method title to array of float, shape (n_targets, n_features)
    features : sequence of str
        One title per column.
    looks : mapping of method title to Look
    """
    return _grid(np.asarray(real, float), predicted, features, looks, _Points, ("real change", "predicted change"))


def change_in_groups(
    real: ArrayLike,
    predicted: Mapping[str, ArrayLike],
    *,
    features: Sequence[str],
    looks: Mapping[str, Look],
) -> Figure:
    """Draw mean real change, with 95 % intervals, of groups of people of alike predicted change.

    Parameters
    ----------
    real, predicted, features, looks
        As in `change_scatter`.
    """
    return _grid(np.asarray(real, float), predicted, features, looks, _Groups, ("predicted change", "real change"))


def _grid(
    real: NDArray[np.float64],
    predicted: Mapping[str, ArrayLike],
    features: Sequence[str],
    looks: Mapping[str, Look],
    kind: type[_Points] | type[_Groups],
    labels: tuple[str, str],
) -> Figure:
    with styled():
        figure = new_figure(0.62 + 1.95 * len(predicted))
        grid = figure.subplots(len(predicted), len(features), squeeze=False)
        for column, feature in enumerate(features):
            panels = [kind(real[:, column], np.asarray(values, float)[:, column]) for values in predicted.values()]
            ends = _ends(np.concatenate([panel.values() for panel in panels]))
            for row, (method, panel) in enumerate(zip(predicted, panels, strict=True)):
                axes = grid[row, column]
                _frame(axes, ends)
                panel.draw(axes, looks[method])
                if row == 0:
                    axes.set_title(broken(feature), fontsize=8.5, loc="left")
                if row < len(predicted) - 1:
                    axes.tick_params(labelbottom=False)
                if column == 0:
                    axes.set_ylabel(f"{method}\n{labels[1]}", color=SOFT)
        figure.supxlabel(labels[0], fontsize=9, color=SOFT)
    return figure


def _frame(axes: Axes, ends: tuple[float, float]) -> None:
    axes.axhline(0, color="#e5e7ea", lw=0.8, zorder=0)
    axes.axvline(0, color="#e5e7ea", lw=0.8, zorder=0)
    axes.plot(ends, ends, color=FAINT, lw=0.8, ls=(0, (4, 2)), zorder=1)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_box_aspect(1)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=7.5)


class _Points:
    """A point for each person."""

    def __init__(self, real: NDArray[np.float64], predicted: NDArray[np.float64]) -> None:
        self.real, self.predicted = real, predicted

    def values(self) -> NDArray[np.float64]:
        return np.concatenate([self.real, self.predicted])

    def draw(self, axes: Axes, look: Look) -> None:
        axes.scatter(
            self.real,
            self.predicted,
            s=13,
            marker=look.marker,
            color=look.colour,
            alpha=0.45,
            linewidths=0,
            rasterized=len(self.real) > 250,
        )


class _Groups:
    """Means of at most ten groups of people in order of what is predicted for them."""

    def __init__(self, real: NDArray[np.float64], predicted: NDArray[np.float64]) -> None:
        known = np.isfinite(real) & np.isfinite(predicted)
        real, predicted = real[known], predicted[known]
        n_groups = min(10, len(real) // LEAST)
        groups = np.array_split(np.argsort(predicted, kind="stable"), n_groups) if n_groups else []
        self.predicted = np.array([predicted[group].mean() for group in groups])
        self.real = np.array([real[group].mean() for group in groups])
        self.half = np.array([1.96 * real[group].std(ddof=1) / np.sqrt(len(group)) for group in groups])

    def values(self) -> NDArray[np.float64]:
        return np.concatenate([self.predicted, self.real - self.half, self.real + self.half])

    def draw(self, axes: Axes, look: Look) -> None:
        axes.errorbar(self.predicted, self.real, self.half, fmt=look.marker, ms=4, color=look.colour, elinewidth=0.9)


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of most values: a few far ones may lie outside so that the rest can be seen."""
    values = values[np.isfinite(values)]
    if not len(values):
        return -1.0, 1.0
    low, high = np.quantile(values, [0.002, 0.998])
    low, high = min(low, 0.0), max(high, 0.0)
    room = 0.06 * (high - low) or 1.0
    return float(low - room), float(high + room)


def gap_histogram(gaps: ArrayLike, *, unit: str = "years") -> Figure:
    """Draw how long after the first visit the real follow-ups were.

    Parameters
    ----------
    gaps : array of float, shape (n,)
        Not NaN.
    """
    gaps = np.round(np.asarray(gaps, float), 9)  # equal but for rounding
    with styled():
        figure = new_figure(1.75, width=6.2)
        axes = figure.subplots()
        bins = min(30, max(8, int(np.sqrt(len(gaps)) * 1.5)))
        axes.hist(gaps, bins=bins, color="#9fb6cc", edgecolor="white", linewidth=0.8)
        middle = float(np.median(gaps))
        axes.axvline(middle, color="#0b4f8a", lw=1.4)
        axes.annotate(
            f"median {middle:.2f}",
            (middle, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, 1),
            textcoords="offset points",
            fontsize=8.5,
            color="#0b4f8a",
        )
        axes.set_xlabel(f"{unit} from context to follow-up")
        axes.set_ylabel("subjects")
        axes.locator_params(axis="y", nbins=4, integer=True)
        quiet(axes)
    return figure
