"""Feature by feature: how much can be predicted, how much is, and what one method adds to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nextscan.report.figures.style import FAINT, INK, LOOKS, SOFT, Look, new_figure, quiet, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 60
"""With more features than this their names would not be readable."""

_MANY = 250


def explained_variance(
    features: Sequence[str],
    ceiling: pd.DataFrame,
    explained: Mapping[str, pd.DataFrame],
    *,
    looks: Mapping[str, Look],
    added: pd.DataFrame | None = None,
    added_label: str = "",
    added_look: Look = LOOKS[1],
) -> Figure:
    """Draw the ceiling of each feature with its band, what methods explain, and below what one of them adds.

    Parameters
    ----------
    features : sequence of str, length n
        In the order they are drawn.
    ceiling : DataFrame
        Columns value, low, high, by feature in the order of `features`; shares of variance.
    explained : mapping of method title to DataFrame
        The same columns and order.
    looks : mapping of method title to Look
    added : DataFrame, optional
        The same columns and order: a difference of shares, in a panel of its own.
    added_label : str
        Of that panel.
    """
    with styled():
        figure = new_figure((3.7 if added is None else 5.2) + (1.2 if len(features) <= NAMED else 0))
        heights = [1.0] if added is None else [2.0, 1.0]
        top, *below = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        at = np.arange(len(features), dtype=float)
        value, low, high = _percent(ceiling)
        top.fill_between(at, low, high, color="#e3e6ea", lw=0, step="mid")
        top.plot(at, value, color=INK, lw=1.3, drawstyle="steps-mid", label="ceiling set by noise")
        floor = [0.0]
        for i, (method, table) in enumerate(explained.items()):
            shift = 0.3 * ((i + 0.5) / len(explained) - 0.5)
            _marks(top, at + shift, _percent(table), looks[method], label=method)
            floor.append(float(np.nanmin(np.append(_percent(table)[1], 0.0))))
        top.set_ylim(max(min(floor) - 2, -30), 102)
        top.set_ylabel("variance explained, %", color=SOFT)
        if added is not None:
            below[0].axhline(0, color=INK, lw=0.8)
            _marks(below[0], at, _percent(added), added_look)
            below[0].set_ylabel(added_label, color=SOFT)
        _finish(figure, features, [top, *below])
        figure.legend(*top.get_legend_handles_labels(), loc="outside lower center", ncols=3, markerscale=1.6)
    return figure


def gain_per_feature(features: Sequence[str], gain: pd.DataFrame, *, rate: float = 0.05, label: str) -> Figure:
    """Draw the gain of each feature with its interval, marked by whether it is beyond chance.

    Parameters
    ----------
    features : sequence of str, length n
        In the order they are drawn.
    gain : DataFrame
        Columns value, low, high (shares of the reference's error) and q, in the order of `features`.
    rate : float
        False discovery rate; q at or below it counts.
    label : str
        Of the axis.
    """
    value, low, high = _percent(gain)
    found = gain["q"].to_numpy(float) <= rate
    kinds = {
        "no clear difference": (~found, FAINT, "o", False),
        "better beyond chance": (found & (value > 0), LOOKS[0].colour, "o", True),
        "worse beyond chance": (found & (value < 0), LOOKS[1].colour, "v", True),
    }
    with styled():
        figure = new_figure(3.2 + (1.2 if len(features) <= NAMED else 0))
        axes = figure.subplots()
        axes.axhline(0, color=INK, lw=0.8)
        at = np.arange(len(features), dtype=float)
        for name, (chosen, colour, marker, filled) in kinds.items():
            if chosen.any():
                look = Look(colour, "-", marker)
                ends = (value[chosen], low[chosen], high[chosen])
                _marks(axes, at[chosen], ends, look, label=f"{name}: {int(chosen.sum())}", filled=filled)
        shown = np.abs(np.concatenate([value, low, high]))
        limit = float(np.nanquantile(shown, 0.99)) if np.isfinite(shown).any() else 1.0
        axes.set_ylim(
            max(float(np.nanmin(low, initial=0)), -1.5 * limit) - 0.04 * limit,
            min(float(np.nanmax(high, initial=0)), 1.5 * limit) + 0.04 * limit,
        )
        axes.set_ylabel(label, color=SOFT)
        _finish(figure, features, [axes])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, markerscale=1.6)
    return figure


def _percent(table: pd.DataFrame) -> tuple[NDArray[np.float64], ...]:
    return tuple(100 * table[part].to_numpy(float) for part in ("value", "low", "high"))


def _marks(
    axes: Axes,
    at: NDArray[np.floating],
    ends: tuple[NDArray[np.float64], ...],
    look: Look,
    *,
    label: str = "",
    filled: bool = True,
) -> None:
    """Draw values with their intervals; as an image where there are very many."""
    value, low, high = ends
    many = len(at) > _MANY
    size = 5.0 if len(at) <= NAMED else 2.4
    axes.vlines(at, low, high, color=look.colour, lw=1.2 if len(at) <= NAMED else 0.5, alpha=0.7, rasterized=many)
    axes.plot(
        at,
        value,
        look.marker,
        color=look.colour,
        mfc=look.colour if filled or many else "white",
        mec="white" if filled and not many else look.colour,
        ms=size,
        mew=0.6,
        ls="none",
        label=label,
        rasterized=many,
    )


def _short(name: str, width: int = 24) -> str:
    """Cut the middle out of a long feature name: its ends tell most."""
    cut = name if len(name) <= width else f"{name[: width // 2 - 1]}…{name[-(width - width // 2) :]}"
    return cut.replace("$", r"\$")


def _finish(figure: Figure, features: Sequence[str], panels: Sequence[Axes]) -> None:
    for axes in panels:
        quiet(axes)
        axes.set_xlim(-0.7, len(features) - 0.3)
    last = panels[-1]
    if len(features) <= NAMED:
        last.set_xticks(range(len(features)), [_short(name) for name in features], rotation=90, fontsize=7)
    else:
        last.set_xlabel(f"{len(features)} features, in order")
    figure.align_ylabels(list(panels))
