"""All scores of all methods, in tables by what they tell."""

from __future__ import annotations

import numpy as np

from nextscan.report.comparison import leaders
from nextscan.report.methods import part, title
from nextscan.report.metric_catalogue import Metric, groups, note, ordered
from nextscan.report.page import Block, Cell, Column, Section, Table
from nextscan.report.run_folder import OVERALL, Run
from nextscan.wording import NONE, capital, decimals, interval, number

_LEAD = (
    "Bold marks the best method of each column and those not clearly different from it. Arrows tell which way "
    "is better; – means the score is not defined for that method. Below each value stands its 95% interval. The "
    "oracle, where there is one, is no method and takes no part in the ranking. Click a heading to sort."
)


def scores(run: Run) -> Section:
    """Return the section of score tables."""
    names = set(run.scores.loc[run.scores["group"] == OVERALL, "metric"])
    shown = ordered(names)
    blocks: list[Block] = []
    for group in groups(of_images=run.of_images):
        metrics = [entry for entry in shown if entry.group == group]
        if metrics:
            blocks.append(score_table(run, group, metrics, name=f"scores-{group.split()[0].lower()}"))
    return Section("scores", "Scores", blocks, lead=_LEAD)


def score_table(run: Run, group: str, metrics: list[Metric], *, name: str) -> Table:
    """Return the table of some scores: a row per method that has one of them."""
    columns = [Column("Method", numeric=False)]
    columns += [Column(entry.title, direction=entry.direction, hint=entry.meaning) for entry in metrics]
    body: dict[str, list[Cell]] = {
        method: [Cell(capital(title(method)), detail=part(method))] for method in run.methods
    }
    for entry in metrics:
        pooled = run.pooled(entry.name)
        places = decimals(pooled["value"])
        best = leaders(run, entry)
        for method, row in body.items():
            value = float(pooled["value"].get(method, np.nan))
            if not np.isfinite(value):
                row.append(Cell(NONE))
                continue
            ends = interval(pooled["low"][method], pooled["high"][method], places)
            row.append(Cell(number(value, places), sort=value, detail=ends, strong=method in best))
    rows = [row for row in body.values() if any(cell.sort is not None for cell in row[1:])]
    return Table(group, columns, rows, note=note(group), name=name)
