"""Whether the stated uncertainty is honest, overall and for groups of people."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nextscan.report.figures.calibration import Coverage, calibration_curve, coverage_by_group
from nextscan.report.figures.style import to_svg
from nextscan.report.methods import title, titled_looks
from nextscan.report.metric_catalogue import Metric, metric
from nextscan.report.page import Block, Cell, Column, Notice, Picture, Prose, Section, Table
from nextscan.report.run_folder import OVERALL, Run, featured
from nextscan.wording import NONE, capital, count, interval, listed, number, percent


def calibration(run: Run) -> Section:
    """Return the section on intervals and what they hold."""
    blocks: list[Block] = []
    looks = titled_looks(run.methods)
    if run.calibration is None or run.calibration.empty:
        blocks.append(Notice("The calibration curve is missing: calibration.csv is not in the run folder.", "missing"))
    else:
        curves = {
            title(method): rows
            for method in run.methods
            if len(rows := run.calibration[run.calibration["method"] == method])
        }
        worst = {name: float((c["coverage"] - c["level"]).abs().max()) for name, c in curves.items()}
        told = ", ".join(f"{name} at most {percent(gap)} off" for name, gap in worst.items())
        blocks.append(
            Picture(
                to_svg(
                    calibration_curve(curves, looks=looks, strong=[title(method) for method in featured(run)]),
                    "calibration",
                ),
                alt=f"Share of real values inside central intervals against their level: {told}.",
                caption=(
                    "Left: how many real follow-up values lie inside the central interval of the draws, against the "
                    "interval’s level; honest uncertainty follows the diagonal. Right: the same, less the level. "
                    "Strong lines with 95% intervals are the methods under test and the best baseline."
                ),
            )
        )
    blocks += _groups(run)
    lead = "An 80% interval should hold the real value in 80 of 100 cases, for everybody and in every group."
    return Section("calibration", "Calibration", blocks, lead=lead)


def _groups(run: Run) -> list[Block]:
    covered = run.scores[run.scores["metric"].str.startswith("coverage_") & (run.scores["group"] != OVERALL)]
    if covered.empty:
        return [Prose(["Coverage by group is not shown: no group of people in this run is large enough to judge it."])]
    blocks: list[Block] = []
    groups = list(dict.fromkeys(covered["group"]))
    looks = titled_looks(run.methods)
    shown = [method for method in featured(run) if method in set(covered["method"])]
    entries = [metric(name) for name in sorted(set(covered["metric"]))]
    if shown and len(groups) <= 16:
        drawn = [_panel(covered, entry, groups, shown) for entry in entries]
        blocks.append(
            Picture(
                to_svg(coverage_by_group(groups, drawn, looks=looks), "groups"),
                alt=(
                    f"{listed([entry.title for entry in entries])} by group, for {listed([title(m) for m in shown])}; "
                    "numbers in the tables below."
                ),
                caption=(
                    f"{listed([entry.title for entry in entries])} by group of people, with 95% intervals over "
                    "subjects; the dotted lines are what was promised. Groups of fewer than 100 are not shown."
                ),
            )
        )
    for entry in entries:
        values = covered[covered["metric"] == entry.name].set_index(["group", "method"])
        columns = [Column("Group", numeric=False), Column("Subjects")]
        columns += [Column(capital(title(method))) for method in run.methods]
        body = []
        for group in groups:
            n = values["n"].xs(group, level="group").max() if group in values.index else np.nan
            row = [Cell(group), Cell(count(n) if np.isfinite(n) else NONE, sort=float(n))]
            for method in run.methods:
                if (group, method) in values.index:
                    value, low, high = (float(values[key][group, method]) for key in ("value", "low", "high"))
                    row.append(Cell(number(value, 3), sort=value, detail=interval(low, high, 3)))
                else:
                    row.append(Cell(NONE))
            body.append(row)
        blocks.append(Table(f"{entry.title} by group ({entry.direction})", columns, body, name=f"group-{entry.name}"))
    return blocks


def _panel(covered: pd.DataFrame, entry: Metric, groups: list[str], methods: list[str]) -> Coverage:
    """Return the coverage of one level, arrays in the order of the groups."""
    rows = covered[covered["metric"] == entry.name].set_index(["method", "group"])
    value, low, high = (
        {title(m): rows[part].reindex([(m, g) for g in groups]).to_numpy(float) for m in methods}
        for part in ("value", "low", "high")
    )
    return Coverage(entry.target, value, low, high)
