"""Predicted against real change, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from nextscan.report.explorer import explorer
from nextscan.report.figures.change import LEAST, change_in_groups, change_scatter
from nextscan.report.figures.style import Look, to_svg
from nextscan.report.methods import title, titled_looks
from nextscan.report.metric_catalogue import metric
from nextscan.report.page import Block, Cell, Column, Notice, Picture, Section, Table, number_cell
from nextscan.report.people import ASK
from nextscan.report.run_folder import Predictions, Run, featured
from nextscan.wording import count, decimals, listed

_LEAD = (
    "Change is the follow-up less the visit it is predicted from. Measurement noise moves every real point and "
    "cannot be predicted, so the cloud of even the best possible mean is flatter than the diagonal."
)
_PANELS, _POINTS = 4, 500
_PER_FEATURE = {"rmse": "RMSE", "change_correlation": "Change corr."}


def change(run: Run) -> Section:
    """Return the section on change: most changing features, any feature on request, all in a table."""
    name, heading = "change", "Predicted and real change"
    if run.predictions is None:
        text = "Predicted change cannot be shown: predictions.parquet is not in the run folder."
        return Section(name, heading, [Notice(text, "missing")], lead=_LEAD)
    blocks: list[Block] = [_most_changing(run, run.predictions)]
    if run.individuals and (block := explorer(run, run.predictions)):
        blocks.append(block)
    blocks.append(_table(run, run.predictions))
    return Section(name, heading, blocks, lead=_LEAD)


def _most_changing(run: Run, predictions: Predictions) -> Block:
    columns = predictions.most_changing(_PANELS)
    methods = [method for method in featured(run, limit=2) if predictions.of("mean", method) is not None]
    if not columns or not methods:
        return Notice("No feature changes, or no method has a predictive mean: there is nothing to draw.", "missing")
    rows = np.arange(len(predictions.targets))
    if run.individuals and len(rows) > _POINTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, _POINTS, replace=False))
    names = [predictions.feature_names[column] for column in columns]
    looks = titled_looks(run.methods)
    predicted = {}
    for method in methods:
        mean = predictions.of("mean", method)
        assert mean is not None
        predicted[title(method)] = (mean - predictions.context)[rows][:, columns]
    real = predictions.real_change[rows][:, columns]
    if not run.individuals:
        return _in_groups(real, predicted, names, looks)
    figure = change_scatter(real, predicted, features=names, looks=looks)
    some = (
        "" if len(rows) == len(predictions.targets) else f" {count(len(rows))} subjects, chosen at random, are drawn."
    )
    return Picture(
        to_svg(figure, "change"),
        alt=f"Predicted against real change of {listed(names)}, for {listed(list(predicted))}.",
        caption=(
            "The features with the most consistent change (mean change over its standard deviation): change of the "
            f"predictive mean against real change, native units. The diagonal is a perfect prediction.{some}"
        ),
    )


def _in_groups(
    real: NDArray[np.float32], predicted: dict[str, NDArray[np.float32]], names: list[str], looks: Mapping[str, Look]
) -> Block:
    """Draw the means of people whose predicted change is alike, where single ones may not be seen."""
    if len(real) < 2 * LEAST:
        return Notice(f"Fewer than {2 * LEAST} people were predicted: too few to show groups of them. {ASK}", "missing")
    return Picture(
        to_svg(change_in_groups(real, predicted, features=names, looks=looks), "change"),
        alt=f"Mean real change of people of alike predicted change: {listed(names)}, for {listed(list(predicted))}.",
        caption=(
            "The features with the most consistent change (mean change over its standard deviation): people sorted by "
            f"their predicted change, in at most ten groups of at least {LEAST}; the mean of the real change of each "
            "with its 95 % interval, against that of the predicted, native units. On the diagonal predictions are "
            "right on average."
        ),
    )


def _table(run: Run, predictions: Predictions) -> Block:
    shown = featured(run, limit=2)
    scores = _per_feature(run)
    real, names = predictions.real_change, predictions.feature_names
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(real)
        mean = np.where(known, real, 0).sum(axis=0, dtype=float) / np.maximum(known.sum(axis=0), 1)
    mean[~known.any(axis=0)] = np.nan
    in_sd = predictions.mean_change_in_sd
    columns = [
        Column("Feature", numeric=False),
        Column("Mean change", hint="Real follow-up less context, native units"),
        Column("in SD", hint="In standard deviations of the visit predicted from"),
    ]
    wanted = [
        (metric(name), method)
        for name in _PER_FEATURE
        for method in shown
        if scores is not None and (name, method) in scores.columns
    ]
    for entry, method in wanted:
        columns.append(
            Column(f"{_PER_FEATURE[entry.name]}, {title(method)}", direction=entry.direction, hint=entry.meaning)
        )
    places = {pair: decimals(scores[pair[0].name, pair[1]]) for pair in wanted} if scores is not None else {}
    rows = []
    for i, name in enumerate(names):
        link = name if not run.individuals else Markup('<a href="#explorer" data-feature="{}">{}</a>').format(i, name)
        row = [Cell(link, sort=name), number_cell(mean[i]), number_cell(in_sd[i], 2)]
        for entry, method in wanted:
            assert scores is not None
            row.append(number_cell(scores[entry.name, method].get(name, np.nan), places[entry, method]))
        rows.append(row)
    note = "Choose a feature to see it above." if run.individuals else ""
    if scores is None:
        note += " " * bool(note) + "Scores per feature are missing: feature_scores.csv is not in the run folder."
    return Table(
        f"All {count(len(names))} features",
        columns,
        rows,
        note=note,
        filterable=True,
        shown=15,
        name="features",
    )


def _per_feature(run: Run) -> pd.DataFrame | None:
    if run.feature_scores is None or run.feature_scores.empty:
        return None
    return run.feature_scores.pivot_table(
        index="feature", columns=["metric", "method"], values="value", aggfunc="mean", dropna=False
    )
