"""A few subjects, their features over time, and the fan that was predicted for them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nextscan.report.figures.style import to_svg
from nextscan.report.figures.trajectories import Fan, Trajectory, trajectory_fans
from nextscan.report.methods import baselines, candidates, method_looks, title
from nextscan.report.page import Block, Notice, Picture, Section
from nextscan.report.people import ASK
from nextscan.report.run_folder import Predictions, Run, featured
from nextscan.wording import capital, listed, percent

_LEAD = (
    "Filled points were shown to the methods, the open point is the visit that was hidden. The fan holds the "
    "draws; between visits it is drawn straight and claims nothing."
)
_SUBJECTS, _FEATURES = 4, 4


def trajectories(run: Run) -> Section:
    """Return the section of fans."""
    name, heading = "trajectories", "Trajectories"
    if not run.individuals:
        return Section(name, heading, [Notice(f"Trajectories are those of single people. {ASK}", "missing")])
    missing = [
        file for file, frame in (("fans.parquet", run.fans), ("predictions.parquet", run.predictions)) if frame is None
    ]
    if run.fans is None or run.predictions is None:
        text = f"Trajectories are missing: {listed(missing)} not in the run folder."
        return Section(name, heading, [Notice(text, "missing")], lead=_LEAD)
    methods = [method for method in featured(run) if method in set(run.fans["method"])]
    ours = candidates(methods) or methods[:1]
    simple = [method for method in baselines(run.methods) if method in set(run.fans["method"])]
    blocks: list[Block] = [_picture(run, method, next((m for m in simple if m != method), None)) for method in ours]
    empty = Notice("Trajectories are missing: fans.parquet is empty.", "missing")
    return Section(name, heading, blocks or [empty], lead=_LEAD)


def panels(run: Run, method: str, rival: str | None) -> list[list[Trajectory]]:
    """Return the panels of a method: a row per feature that changes most, a column per subject."""
    assert run.fans is not None
    assert run.predictions is not None
    there = set(run.fans.loc[run.fans["method"] == method, "feature"])
    names = run.predictions.feature_names
    features = [names[i] for i in run.predictions.most_changing(len(names)) if names[i] in there][:_FEATURES]
    fans = run.fans[run.fans["feature"].isin(features) & run.fans["method"].isin([method, rival])]
    fans = fans.astype({"subject": str, "visit": str})
    own, other = fans[fans["method"] == method], fans[fans["method"] == rival]
    targets = list(own[["subject", "visit"]].drop_duplicates().itertuples(index=False, name=None))[:_SUBJECTS]
    rows = []
    for feature in features:
        row = [_panel(run.predictions, own, other, subject, visit, feature) for subject, visit in targets]
        rows.append([panel for panel in row if panel is not None])
    width = min((len(row) for row in rows), default=0)
    return [row[:width] for row in rows] if width else []


def _picture(run: Run, method: str, rival: str | None) -> Block:
    rows = panels(run, method, rival)
    if not rows:
        return Notice(f"No chosen subject of {title(method)} has both visits measured.", "missing")
    assert run.fans is not None
    assert run.predictions is not None
    own = run.fans[run.fans["method"] == method]
    looks = method_looks(run.methods)
    outer = float(own["quantile"].max() - own["quantile"].min())
    timed = bool(np.isfinite(run.predictions.targets["years"]).all())
    figure = trajectory_fans(rows, look=looks[method], rival_look=looks[rival] if rival else None, timed=timed)
    beside = (
        f" The bar beside it is {title(rival)}: thick the middle 80%, thin the same outer interval." if rival else ""
    )
    return Picture(
        to_svg(figure, f"fans-{method}"),
        alt=f"Fans of {title(method)} for {len(rows[0])} subjects: {', '.join(row[0].feature for row in rows)}.",
        caption=(
            f"{capital(title(method))}: fans for the features that change most, out to the {percent(outer, 0)} "
            f"interval.{beside} Native units."
        ),
    )


def _panel(
    predictions: Predictions, own: pd.DataFrame, other: pd.DataFrame, subject: str, visit: str, feature: str
) -> Trajectory | None:
    targets = predictions.targets
    at = np.flatnonzero((targets["subject"] == subject) & (targets["visit"] == visit))
    shown = np.flatnonzero(predictions.history["subject"] == subject)
    if not len(at) or not len(shown):
        return None
    column = predictions.feature_names.index(feature)
    values = predictions.history_values[shown, column].astype(float)
    years = predictions.history["years"].to_numpy(float)[shown]
    true_years, true = float(targets["years"].iloc[at[0]]), float(predictions.truth[at[0], column])
    if not np.isfinite([*years, true_years]).all():  # unknown times: visits stand one apart
        years, true_years = np.arange(len(shown), dtype=float), float(len(shown))
    known = np.isfinite(values)
    if not known.any() or not np.isfinite(true):
        return None
    fan = _fan(own, subject, visit, feature, true_years)
    if fan is None:
        return None
    return Trajectory(
        subject=subject,
        feature=feature,
        shown_years=years[known],
        shown=values[known],
        true_years=true_years,
        true=true,
        fan=fan,
        rival=_fan(other, subject, visit, feature, true_years),
    )


def _fan(fans: pd.DataFrame, subject: str, visit: str, feature: str, true_years: float) -> Fan | None:
    rows = fans[(fans["subject"] == subject) & (fans["visit"] == visit) & (fans["feature"] == feature)]
    if rows.empty:
        return None
    table = rows.assign(years=rows["years"].fillna(true_years)).pivot_table(
        index="years", columns="quantile", values="value"
    )
    return Fan(
        table.columns.to_numpy(float),
        np.where(len(table) > 1, table.index, true_years).astype(float),
        table.to_numpy(),
    )
