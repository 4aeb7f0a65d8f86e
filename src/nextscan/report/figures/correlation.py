"""Correlations between features, real beside generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nextscan.arrays import FloatArray
from nextscan.report.figures.style import INK, diverging, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def correlations(values: ArrayLike) -> FloatArray:
    """Return Pearson correlations between columns over the rows where both are known.

    Parameters
    ----------
    values : array of float, shape (n, d)
        NaN where missing.

    Returns
    -------
    ndarray of float, shape (d, d)
        NaN where fewer than three rows have both, or one column does not vary in them.

    >>> np.round(correlations([[1.0, 2.0], [2.0, 4.0], [3.0, 7.0]]), 3)
    array([[1.   , 0.993],
           [0.993, 1.   ]])
    """
    values = np.asarray(values, float)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        n_known = known.sum(axis=0)
        centre = np.where(known, values, 0).sum(axis=0) / np.maximum(n_known, 1)
        centred = np.where(known, values - centre, 0)
        if known.all():
            n: FloatArray = np.full((values.shape[1],) * 2, float(len(values)))
            sums, products = np.zeros_like(n), centred.T @ centred
            squares = np.broadcast_to(np.diag(products)[:, None], n.shape)
        else:
            mask = known.astype(float)
            n, sums, squares = mask.T @ mask, centred.T @ mask, (centred**2).T @ mask
            products = centred.T @ centred
        n = np.maximum(n, 1)
        covariance = products - sums * sums.T / n
        variance = np.maximum(squares - sums**2 / n, 0)
        tiny = 1e-12 * np.maximum(squares, np.finfo(float).tiny)
        both = (variance > tiny) & (variance > tiny).T & (n >= 3)
        result = np.where(both, covariance / np.sqrt(variance * variance.T), np.nan)
    return np.clip(result, -1, 1)


def cluster_order(correlation: FloatArray) -> NDArray[np.intp]:
    """Return an order of the features that puts correlated ones side by side (average linkage of 1 − r).

    Features without any correlation come last.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    known = np.isfinite(np.diag(correlation))
    rows = np.flatnonzero(known)
    if len(rows) < 3:
        return np.concatenate([rows, np.flatnonzero(~known)])
    distance = 1 - np.nan_to_num(correlation[np.ix_(rows, rows)])
    np.fill_diagonal(distance, 0)
    order = leaves_list(linkage(squareform(distance, checks=False), "average"))
    return np.concatenate([rows[order], np.flatnonzero(~known)])


def correlation_triptych(real: FloatArray, generated: FloatArray, *, generated_title: str) -> Figure:
    """Draw real and generated correlations, their difference, and pair by pair one against the other.

    Parameters
    ----------
    real, generated : ndarray of float, shape (d, d)
        In the order to draw; NaN cells stay grey.
    generated_title : str
    """
    difference = generated - real
    apart = float(np.nanquantile(np.abs(difference), 0.995)) if np.isfinite(difference).any() else 1.0
    apart = max(0.05, np.ceil(apart * 20) / 20)
    upper = np.triu_indices(len(real), 1)
    with styled():
        figure = new_figure(2.95)
        panels = figure.subplots(2, 4, height_ratios=(1, 0.035))
        # Few colours compress: a page holds several images of a feature by feature each.
        colours = diverging().resampled(51).with_extremes(bad="#b9bec4")
        shown = (
            (real, 1.0, "Real"),
            (generated, 1.0, generated_title),
            (difference, apart, f"{generated_title} − real"),
        )
        for (matrix, end, name), axes, below in zip(shown, panels[0], panels[1], strict=False):
            image = axes.imshow(matrix, cmap=colours, vmin=-end, vmax=end, interpolation="none")
            axes.set_title(name)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            bar = figure.colorbar(image, cax=below, orientation="horizontal", ticks=[-end, 0, end])
            bar.ax.set_xticklabels([f"−{end:g}", "0", f"{end:g}"])
            bar.ax.tick_params(length=0, labelsize=8)
            bar.outline.set_visible(False)
        for axes in panels[0]:
            axes.set_anchor("S")
        panels[1, 3].axis("off")
        _pairs(panels[0, 3], real[upper], generated[upper])
    return figure


def _pairs(axes: Axes, real: FloatArray, generated: FloatArray) -> None:
    """Draw each pair's generated correlation against its real one; as a density where there are many."""
    both = np.isfinite(real) & np.isfinite(generated)
    real, generated = real[both], generated[both]
    values = np.concatenate([real, generated, [0.0]])
    low, high = max(-1.0, np.floor(values.min() * 5) / 5), min(1.0, np.ceil(values.max() * 5) / 5 + 1e-9)
    if len(real) > 2000:
        axes.hexbin(
            real,
            generated,
            gridsize=50,
            extent=(low, high, low, high),
            cmap="Greys",
            bins="log",
            mincnt=1,
            linewidths=0,
        )
    else:
        axes.plot(real, generated, "o", color=INK, ms=2.2, alpha=0.5, mew=0)
    axes.plot([low, high], [low, high], color="#d55e00", lw=0.9)
    axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
    axes.locator_params(nbins=4)
    axes.set_title("Pair by pair")
    axes.set_xlabel("real", labelpad=1)
    axes.set_ylabel("drawn", labelpad=1)
