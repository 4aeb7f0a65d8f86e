"""Figures of a cohort before anything is learned from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.report.figures.style import FAINT, LOOKS, SOFT, diverging, new_figure, quiet, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAIN, OTHER = LOOKS[0].colour, LOOKS[1].colour
_NAMED = 20  # features that all have their names written
_LEAST = 10  # subjects whose ages make a curve


def visits_overview(
    per_subject: Mapping[str, int],
    gap: Mapping[str, Any] | None,
    ages: Mapping[str, Any] | None,
    time_unit: str,
) -> Figure:
    """Draw visits per subject, gaps between visits, and each subject's ages at the visits.

    Parameters
    ----------
    per_subject : mapping of number of visits to subjects
    gap : mapping with ``edges`` and ``counts`` of a histogram, optional
    ages : mapping with ``subject``, ``age`` and ``paired``, one entry per visit, optional
    time_unit : str
    """
    shares = [0.8, *([1.2] if gap else []), *([1.3] if ages else [])]
    with styled():
        figure = new_figure(2.7)
        panels = iter(np.atleast_1d(figure.subplots(1, len(shares), width_ratios=shares)))
        _per_subject(next(panels), per_subject)
        if gap:
            axes = next(panels)
            _histogram(axes, gap)
            axes.set(title="Gap between visits", xlabel=time_unit, ylabel="pairs")
            quiet(axes)
        if ages:
            _ages(next(panels), ages)
    return figure


def _per_subject(axes: Axes, per_subject: Mapping[str, int]) -> None:
    visits, counts = [int(visits) for visits in per_subject], list(per_subject.values())
    bars = axes.bar(visits, counts, width=0.62, color=MAIN)
    axes.set(
        title="Subjects by visits",
        xlabel="visits",
        xlim=(min(visits) - 0.8, max(*visits, min(visits) + 1) + 0.8),
    )
    axes.margins(y=0.12)
    axes.tick_params(length=0)
    if len(visits) > 8:
        quiet(axes)
        return
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=8, color=SOFT)
    axes.set(xticks=visits, yticks=[])
    axes.spines["left"].set_visible(False)


def _histogram(axes: Axes, histogram: Mapping[str, Any]) -> None:
    axes.stairs(histogram["counts"], histogram["edges"], fill=True, color=MAIN)
    axes.set_ylim(bottom=0)


def _ages(axes: Axes, ages: Mapping[str, Any]) -> None:
    """Draw the ages of those with one visit as a distribution, of the others as a line per subject."""
    subject, age = np.asarray(ages["subject"]), np.array(ages["age"], float)
    paired = np.asarray(ages["paired"], bool)
    keep = np.isfinite(age)
    subject, age, paired = subject[keep], age[keep], paired[keep]
    single = np.sort(age[~paired])
    if len(single) >= _LEAST or paired.sum() == 0:
        axes.plot(single, _ranks(len(single)), color=OTHER, lw=1.6, label="one visit")
    names, place = np.unique(subject[paired], return_inverse=True)
    if len(names):
        youngest, oldest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
        np.minimum.at(youngest, place, age[paired])
        np.maximum.at(oldest, place, age[paired])
        order = np.argsort(youngest, kind="stable")
        axes.hlines(_ranks(len(names)), youngest[order], oldest[order], color=MAIN, lw=0.9, label="two or more")
        axes.scatter(youngest[order], _ranks(len(names)), s=3, color=MAIN, linewidths=0)
    axes.set(title="Age at the visits", xlabel="age, years", ylabel="subjects, youngest first", ylim=(0, 1))
    axes.set_yticks([0, 0.5, 1], ["0", "½", "all"])
    axes.legend(loc="lower right", handlelength=1.4)
    quiet(axes, grid="x")


def _ranks(n: int) -> FloatArray:
    return (np.arange(n) + 0.5) / n


def label_grid(labels: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw each label's distribution: a histogram of numbers, bars of categories."""
    columns = 4
    rows = -(-len(labels) // columns)
    with styled():
        figure = new_figure(1.75 * rows)
        panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axes, (name, label) in zip(panels, labels.items(), strict=False):
            if "edges" in label:
                _histogram(axes, label)
                axes.set_yticks([])
                axes.spines["left"].set_visible(False)
            else:
                _categories(axes, label)
            axes.set_title(name if len(name) < 26 else name[:24] + "…")
            axes.tick_params(length=0)
        for axes in panels[len(labels) :]:
            axes.set_axis_off()
    return figure


def _categories(axes: Axes, label: Mapping[str, Any]) -> None:
    levels, counts = [str(level) for level in label["levels"]][:6], list(label["counts"])[:6]
    rest = sum(label["counts"][6:]) + label["others"]
    extra = [("others", rest), ("missing", label["missing"])]
    levels += [name for name, count in extra if count]
    shown = len(counts)
    counts += [count for _, count in extra if count]
    shades = [MAIN] * shown + ["#b3b9c0"] * (len(counts) - shown)
    bars = axes.barh(range(len(levels)), counts, height=0.66, color=shades)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=7.5, color=SOFT)
    axes.set_yticks(range(len(levels)), [level if len(level) < 18 else level[:16] + "…" for level in levels])
    axes.tick_params(labelsize=7.5)
    axes.set(xticks=[], ylim=(max(len(levels), 3) - 0.4, -0.6))
    axes.margins(x=0.22)
    axes.spines[["left", "bottom"]].set_visible(False)


def missing_map(shares: FloatArray, n_visits: int, n_features: int) -> Figure:
    """Draw where cells are missing: visits downwards, features to the right, darker where more are.

    Parameters
    ----------
    shares : ndarray, shape (blocks of visits, blocks of features)
        Share of missing cells in each block, in the order of the table.
    """
    with styled():
        figure = new_figure(3.0)
        axes = figure.subplots()
        end = max(float(shares.max()), 0.01)
        image = axes.imshow(shares, cmap="Greys", vmin=0, vmax=end, aspect="auto", extent=(0, n_features, n_visits, 0))
        axes.set(xlabel="features, in the order of the table", ylabel="visits")
        axes.spines[:].set_visible(True)
        bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.015, format=lambda value, _: f"{100 * value:.3g}%")
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0)
    return figure


def repeatability_ranks(names: Sequence[str], r: FloatArray, change_sd: FloatArray) -> Figure:
    """Draw the features ranked by test–retest correlation, and how much they change for that."""
    order = np.argsort(-r, kind="stable")
    r, change_sd = r[order], change_sd[order]
    names = [names[i] for i in order]
    with styled():
        figure = new_figure(3.0)
        ranked, against = figure.subplots(1, 2, width_ratios=(1.75, 1))
        low = float(np.floor(10 * r.min() - 0.5) / 10)
        size = 14 if len(r) < 300 else 6
        rank = np.arange(len(r)) + 1
        if len(r) <= 60:
            ranked.vlines(rank, low, r, color="#cfd6de", lw=2)
        ranked.scatter(rank, r, s=size, color=MAIN, linewidths=0, zorder=3)
        ranked.set(title="Features by test–retest correlation", xlabel="rank", ylabel="r", ylim=(low, 1.02))
        ranked.set_xlim(0, len(r) + 1)
        if len(r) <= _NAMED:
            ranked.set_xticks(rank, [_short(name, 20) for name in names], rotation=35, ha="right", fontsize=7.5)
            ranked.set_xlabel("")
        for step, i in enumerate(range(len(r) - 1, len(r) - 4, -1) if len(r) > _NAMED else ()):
            ranked.annotate(
                _short(names[i]),
                (rank[i], r[i]),
                xytext=(0.86, 0.08 + 0.08 * step),
                textcoords="axes fraction",
                ha="right",
                va="center",
                fontsize=7.5,
                color=SOFT,
                arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.5, "shrinkB": 2},
            )
        quiet(ranked)
        against.scatter(r, change_sd, s=size, color=MAIN, linewidths=0, alpha=0.75)
        line = np.linspace(max(low, 0), 1, 200)
        against.plot(
            line,
            np.sqrt(2 * (1 - line)),
            color=OTHER,
            lw=1.1,
            ls=(0, (5, 2)),
            label="equal spread at both visits",
        )
        against.legend(loc="lower left")
        against.set(title="Spread of change", xlabel="r", ylabel="sd of change / sd of subjects", xlim=(low, 1.02))
        against.set_ylim(0, max(0.5, min(float(np.nanmax(change_sd)) * 1.1, 4.0)))
        quiet(against, grid="both")
    return figure


def _short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-most // 2 + 1 :]}"


def pool_shift(
    names: Sequence[str],
    difference: FloatArray,
    adjusted: FloatArray,
    ratio: FloatArray,
    *,
    adjusted_label: str,
) -> Figure:
    """Draw how far the pool's features lie from the paired cohort's, before and after adjustment.

    Parameters
    ----------
    names : sequence of str
    difference, adjusted : ndarray, shape (n_features,)
        Pool minus paired, in sd of the paired; NaN where unknown.
    ratio : ndarray, shape (n_features,)
        Variance of the pool over that of the paired.
    adjusted_label : str
    """
    order = np.argsort(-np.abs(difference), kind="stable")[:16][::-1]
    with styled():
        figure = new_figure(3.6)
        top, cloud = figure.subplots(1, 2, width_ratios=(1.25, 1))
        height = np.arange(len(order))
        top.axvline(0, color=FAINT, lw=0.8)
        top.hlines(
            height,
            np.minimum(difference[order], 0),
            np.maximum(difference[order], 0),
            color="#cfd6de",
            lw=2.2,
        )
        top.scatter(difference[order], height, s=26, color=MAIN, zorder=3, linewidths=0, label="as measured")
        if np.isfinite(adjusted).any():
            top.scatter(
                adjusted[order], height, s=24, facecolor="white", edgecolor=OTHER, linewidths=1.3, marker="D", zorder=4,
                label=adjusted_label,
            )  # fmt: skip
        top.set_yticks(height, [_short(names[i]) for i in order])
        top.tick_params(axis="y", labelsize=7.5)
        top.set(title="Largest shifts of the pool", xlabel="difference of means, sd of the paired cohort")
        reach = max(0.5, 1.08 * float(np.nanmax(np.abs([difference[order], np.nan_to_num(adjusted[order])]))))
        top.set_xlim(-reach, reach)
        top.legend(loc="best", handletextpad=0.2)
        quiet(top, grid="x")
        known = np.isfinite(difference) & (ratio > 0)
        cloud.axhline(1, color=FAINT, lw=0.8)
        cloud.axvline(0, color=FAINT, lw=0.8)
        cloud.scatter(difference[known], ratio[known], s=12, color=MAIN, alpha=0.7, linewidths=0)
        cloud.set_yscale("log", base=2)
        cloud.set(xlim=(-reach, reach), ylim=(min(0.5, 0.9 * ratio[known].min()), max(2, 1.1 * ratio[known].max())))
        cloud.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        cloud.set(title="All features", xlabel="difference of means, sd", ylabel="variance, pool / paired")
        quiet(cloud, grid="both")
    return figure


def feature_structure(matrix: FloatArray, explained: FloatArray, n_features: int) -> Figure:
    """Draw the correlations of features, grouped, and the variance that components explain."""
    with styled():
        figure = new_figure(3.3)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
        image = left.imshow(matrix, cmap=diverging(), vmin=-1, vmax=1, extent=(0, n_features, n_features, 0))
        left.set(title="Correlations, alike side by side", xlabel="features", xticks=[], yticks=[])
        left.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=left, fraction=0.05, pad=0.03, ticks=[-1, 0, 1])
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0)
        components = np.arange(1, len(explained) + 1)
        right.plot(components, 100 * explained, color=MAIN)
        for share in (0.5, 0.9):
            reached = np.flatnonzero(explained >= share)
            if len(reached):
                x = components[reached[0]]
                right.plot([x, x], [0, 100 * share], color=FAINT, lw=0.8, ls=(0, (3, 2)))
                text = f"{100 * share:.0f}%: {x}"
                right.annotate(text, (x, 100 * share), (5, -11), textcoords="offset points", fontsize=8)
        right.set(title="Variance explained", xlabel="principal components", ylabel="%", ylim=(0, 102))
        right.set_xlim(0, len(explained))
        quiet(right)
    return figure
