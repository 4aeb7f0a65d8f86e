"""How training went, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nextscan.report.figures.style import SOFT, Look, new_figure, quiet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def skipped_share(run: pd.DataFrame) -> pd.Series:
    """Return the share of an epoch's steps that were skipped, from the rows of one training run.

    `step` counts steps from the start and `skipped` those skipped within the epoch.
    """
    steps = run["step"].diff().fillna(run["step"])
    return run["skipped"] / steps.where(steps > 0)


def learning_curves(learning: pd.DataFrame, *, look: Look) -> Figure:
    """Draw validation score, training loss and skipped steps of one method.

    Parameters
    ----------
    learning : DataFrame
        Columns seed, repeat, fold, epoch, step, train_loss, validation_score, skipped; one thin line per
        run, the middle of the runs thick while at least half of them go on.
    look : Look
    """
    runs = [run.sort_values("epoch") for _, run in learning.groupby(["seed", "repeat", "fold"], sort=True)]
    with styled():
        figure = new_figure(2.6)
        panels = figure.subplots(1, 3)
        titles = ("Validation score (higher is better)", "Training loss", "Skipped steps, % of the epoch")
        series = (
            [run.set_index("epoch")["validation_score"] for run in runs],
            [run.set_index("epoch")["train_loss"] for run in runs],
            [100 * skipped_share(run).set_axis(run["epoch"]) for run in runs],
        )
        for axes, name, lines in zip(panels, titles, series, strict=True):
            for line in lines:
                axes.plot(line.index, line, color=look.colour, lw=0.7, alpha=0.35 if len(lines) > 1 else 1)
            if len(lines) > 1:
                table = pd.concat(lines, axis=1)
                middle = table[table.notna().sum(axis=1) >= len(lines) / 2].median(axis=1)
                axes.plot(middle.index, middle, color=look.colour, lw=1.9)
            axes.set_title(name, fontsize=8.5)
            axes.set_xlabel("epoch")
            axes.locator_params(axis="x", integer=True)
            quiet(axes)
        panels[2].set_ylim(bottom=0)
        if all(np.nan_to_num(line).max(initial=0) == 0 for line in series[2]):
            panels[2].set_ylim(0, 1)
            panels[2].text(0.5, 0.5, "none", transform=panels[2].transAxes, ha="center", color=SOFT)
    return figure
