"""Why and whether: how much of each feature can be predicted, what is more than shrinkage, and what follows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nextscan.report.figures.style import to_svg
from nextscan.report.figures.why import explained_variance, gain_per_feature
from nextscan.report.methods import ORACLE, RELIABILITY, candidates, part, title, titled_looks
from nextscan.report.page import Block, Cell, Column, Picture, Prose, Section, Table
from nextscan.report.run_folder import Run
from nextscan.report.sections.whether import MIXED_FACTOR, closed_form, whether
from nextscan.wording import NONE, capital, count, interval, percent, signed_percent

ANCHORED = "anchored"
RATE = 0.05
"""False discovery rate."""

_ENDS = 8
_LEAD = (
    "How much of each feature’s follow-up can be predicted at all, which predictions of change hold more than "
    "shrinkage, and whether to use the method. Intervals are a 95% bootstrap over subjects; the fitted models are "
    "taken as they are."
)


def why(run: Run) -> Section | None:
    """Return the section, or None for runs without comparisons of single features."""
    ceiling = run.of_features("reliability_ceiling")
    if ceiling is None or not np.isfinite(ceiling["value"]).any():
        return None
    blocks: list[Block] = []
    if told := whether(run):
        blocks.append(Prose(told))
    blocks += _limits(run, ceiling)
    blocks += _beyond(run)
    return Section("why", "Why and whether", blocks, lead=_LEAD)


def _limits(run: Run, ceiling: pd.DataFrame) -> list[Block]:
    """Show the ceiling, what the anchor explains of it, and what is added."""
    anchor = MIXED_FACTOR if MIXED_FACTOR in run.methods else next(iter(closed_form(run)), "")
    explained = run.of_features("r2", anchor)
    if explained is None:
        return []
    best = run.of_features("r2", ORACLE)
    method, added = _added(run, anchor)
    known = np.isfinite(ceiling["value"]) & np.isfinite(explained["value"].reindex(ceiling.index))
    order = list(ceiling.index[known][np.argsort(-ceiling["value"][known].to_numpy(), kind="stable")])
    shown = {title(anchor): explained}
    if best is not None:
        shown[title(ORACLE)] = best
    looks = titled_looks(run.methods)
    figure = explained_variance(
        order,
        ceiling.loc[order],
        {name: table.loc[order] for name, table in shown.items()},
        looks=looks,
        added=added.loc[order] if added is not None else None,
        added_label=f"added by\n{title(method)}, %",
        added_look=looks.get(title(method), looks[title(anchor)]),
    )
    middles = ", ".join(f"{name} {percent(float(t['value'].median()), 0)}" for name, t in shown.items())
    below = (
        f" Below: what {title(method)} explains more than {title(anchor)}, paired over subjects."
        if added is not None
        else ""
    )
    return [
        Prose([_told(ceiling.loc[order], shown, anchor), *_added_told(run, anchor, method, added)]),
        Picture(
            to_svg(figure, "ceiling"),
            alt=(
                "Share of variance of each feature’s follow-up. Ceiling "
                f"{percent(float(ceiling['value'].median()), 0)} in the median; explained: {middles}. "
                "Numbers in the table below."
            ),
            caption=(
                "Features by their ceiling, with 95% bands: the share of the follow-up’s variance that is not noise "
                "(one less half the variance of change over that of the follow-up, if both visits are equally noisy; a "
                "cautious estimate, as true change counts as noise). Marks: what the held-out predictive mean "
                f"explains.{below}"
            ),
        ),
        _left_table(run, order, anchor, method if added is not None else ""),
    ]


def _told(ceiling: pd.DataFrame, shown: dict[str, pd.DataFrame], anchor: str) -> str:
    low, middle, high = np.quantile(ceiling["value"], [0.25, 0.5, 0.75])
    parts = [
        f"Measurement noise leaves about {percent(middle, 0)} of the variance of a follow-up to be predicted (median "
        f"over {count(len(ceiling))} features; half of them between {percent(low, 0)} and {percent(high, 0)}). "
        f"{capital(title(anchor))} explains {percent(float(shown[title(anchor)]['value'].median()), 0)}."
    ]
    if title(ORACLE) in shown:
        parts.append(
            f"The oracle, the most that can be known from the visits shown, explains "
            f"{percent(float(shown[title(ORACLE)]['value'].median()), 0)}: only what lies between these two can be "
            "gained."
        )
    else:
        parts.append(
            "Reaching the ceiling would take everybody’s true value at the follow-up, which one noisy visit does not "
            "tell: what is left is an upper limit of what a better method could gain, unless people truly change apart."
        )
    return " ".join(parts)


def _added(run: Run, anchor: str) -> tuple[str, pd.DataFrame | None]:
    """Return the method that adds to the anchor, the anchored one first, and its gain in explained variance."""
    for method in dict.fromkeys((ANCHORED, *candidates(run.methods))):
        gain = run.of_features("r2_gain", method, anchor)
        if gain is not None:
            return method, gain
    return "", None


def _added_told(run: Run, anchor: str, method: str, added: pd.DataFrame | None) -> list[str]:
    if added is None:
        if ANCHORED in run.methods:
            return [f"What the diffusion adds to {title(anchor)} is not known: that row is not in this run."]
        return []
    better, worse = _found(added)
    gain = added["value"]
    mean, low, high = (signed_percent(float(v)) for v in (gain.mean(), gain.quantile(0.025), gain.quantile(0.975)))
    told = (
        f"{capital(title(method))} adds {mean} of the variance to what {title(anchor)} explains (mean over features; "
        f"in the middle 95% of them {low} to {high}); "
        f"{_counted(better, worse, len(added))}."
    )
    crps = run.of_features("crps_gain", method, anchor)
    if crps is not None:
        told += f" By CRPS, which also judges the spread: {_counted(*_found(crps), len(crps))}."
    return [told]


def _left_table(run: Run, order: list[str], anchor: str, method: str) -> Table:
    """List the features with most and with least left to predict."""
    wanted = {
        "Ceiling": run.of_features("reliability_ceiling"),
        "Best possible": run.of_features("r2", ORACLE),
        capital(title(anchor)): run.of_features("r2", anchor),
        "Left to predict": run.of_features("r2_left", anchor),
        "Left to the best possible": _negative(run.of_features("r2_gain", anchor, ORACLE)),
        f"Added by {title(method)}": run.of_features("r2_gain", method, anchor) if method else None,
    }
    tables: dict[str, pd.DataFrame] = {name: table for name, table in wanted.items() if table is not None}
    by = "Left to the best possible" if "Left to the best possible" in tables else "Left to predict"
    left = tables[by]["value"].reindex(order)
    ranked = list(left.sort_values(ascending=False, kind="stable", na_position="last").index)
    some = ranked if len(ranked) <= 2 * _ENDS else ranked[:_ENDS] + ranked[-_ENDS:]
    columns = [Column("Feature", numeric=False), *(Column(name) for name in tables)]
    rows = [[Cell(name), *(_share(table.loc[name]) for table in tables.values())] for name in some]
    what = "All features" if len(some) == len(ranked) else f"The {_ENDS} features with most and the {_ENDS} with least"
    return Table(
        f"{what} left to predict",
        columns,
        rows,
        note=(
            "Shares of the follow-up’s variance, in percent. Left to predict: ceiling less what the held-out mean of "
            f"{title(anchor)} explains. All features stand in feature_differences.csv."
        ),
        name="left",
    )


def _beyond(run: Run) -> list[Block]:
    """Show whose predicted change holds more than shrinkage."""
    ours = [ANCHORED, *candidates(run.methods), *run.methods]
    method = next((m for m in ours if m != ORACLE and _gain(run, m) is not None), "")
    gain = _gain(run, method)
    if gain is None:
        return []
    gain = gain[np.isfinite(gain["value"])]
    order = list(gain.sort_values("value", ascending=False, kind="stable").index)
    name = title(method)
    better, worse = _found(gain)
    figure = gain_per_feature(
        order, gain.loc[order], rate=RATE, label=f"less squared error than {title(RELIABILITY)}, %"
    )
    paragraph = (
        "Shrinking a noisy first visit towards what is expected already “predicts” change, because extreme values fall "
        f"back; so a predicted change counts only as far as it beats the {title(RELIABILITY)} row. "
        f"{_honest(name, better, worse, len(gain))}"
    )
    return [
        Prose([paragraph]),
        Picture(
            to_svg(figure, "beyond"),
            alt=f"Gain of {name} over {title(RELIABILITY)} in squared error, feature by feature: "
            f"{_counted(better, worse, len(gain))}.",
            caption=(
                f"How much smaller the squared error of {name}’s predicted follow-up (and so of its predicted change) "
                f"is than that of {title(RELIABILITY)}, in percent, paired over subjects, with 95% intervals of each "
                "feature by itself. Looking at many features finds some by chance: beyond chance means a false "
                f"discovery rate of {percent(RATE, 0)} over all features (Benjamini–Hochberg)."
            ),
        ),
        *_beyond_table(run),
    ]


def _honest(name: str, better: int, worse: int, n: int) -> str:
    """Return the one sentence to remember."""
    rest = "treat predicted change as shrinkage"
    if better == n:
        return f"The change of all {count(n)} features is predicted better by {name} than reliability alone would."
    if not better:
        ending = f", and that of {count(worse)} worse" if worse else ""
        return (
            f"Of {count(n)} features, the change of none is predicted better by {name} than reliability alone would"
            f"{ending}: {rest}."
        )
    ending = f" ({count(worse)} of them are predicted worse)" if worse else ""
    return (
        f"Of {count(n)} features, the change of {count(better)} is predicted better by {name} than reliability alone "
        f"would; for the others{ending}, {rest}."
    )


def _beyond_table(run: Run) -> list[Block]:
    columns = [Column("Method", numeric=False)]
    columns += [
        Column(f"{kind}, {word}") for kind in ("Squared error", "CRPS") for word in ("median gain", "better", "worse")
    ]
    rows = []
    for method in run.methods:
        row = [Cell(capital(title(method)), detail=part(method))]
        for metric in ("squared_error_gain", "crps_gain"):
            table = run.of_features(metric, method, RELIABILITY)
            if table is None:
                row += [Cell(NONE)] * 3
                continue
            middle = float(table["value"].median())
            row.append(Cell(signed_percent(middle), sort=middle) if np.isfinite(middle) else Cell(NONE))
            row += [Cell(count(n), sort=float(n)) for n in _found(table)]
        if any(cell.sort is not None for cell in row[1:]):
            rows.append(row)
    return [
        Table(
            f"Features whose change is predicted better or worse than by {title(RELIABILITY)}",
            columns,
            rows,
            note=(
                f"Numbers of features at a false discovery rate of {percent(RATE, 0)} (Benjamini–Hochberg over the "
                "features of each column and row); the gain is the share of the error taken away, median over features."
            ),
            name="beyond",
        )
    ]


def _gain(run: Run, method: str) -> pd.DataFrame | None:
    gain = run.of_features("squared_error_gain", method, RELIABILITY)
    return gain if gain is not None and np.isfinite(gain["value"]).any() else None


def _found(table: pd.DataFrame) -> tuple[int, int]:
    """Count the features that are better and worse beyond chance."""
    found = table["q"] <= RATE
    return int((found & (table["value"] > 0)).sum()), int((found & (table["value"] < 0)).sum())


def _counted(better: int, worse: int, n: int) -> str:
    return f"of {count(n)} features {count(better)} better and {count(worse)} worse beyond chance"


def _negative(table: pd.DataFrame | None) -> pd.DataFrame | None:
    if table is None:
        return None
    return table.assign(value=-table["value"], low=-table["high"], high=-table["low"])


def _share(row: pd.Series) -> Cell:
    value, low, high = (100 * float(row[key]) for key in ("value", "low", "high"))
    if not np.isfinite(value):
        return Cell(NONE)
    return Cell(percent(value / 100), sort=value, detail=interval(low, high, 1))
