"""The table of scores that `nextscan evaluate` prints."""

from __future__ import annotations

from pathlib import Path

_SHOWN = {
    "energy_score": "energy score",
    "crps": "CRPS",
    "rmse": "RMSE",
    "pearson_per_feature_of_mean": "r mean",
    "change_correlation": "r change",
    "coverage_95": "in 95 %",
    "sd_ratio": "sd ratio",
}
"""What the table shows, in few words; the first decides the order of rows."""

_WHOLE = ("seed", "repeat", "fold", "group")


def print_scores(run: Path) -> None:
    """Print the pooled scores of a run folder, the best method first."""
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from nextscan.report.metric_catalogue import metric

    scores = pd.read_csv(run / "scores.csv", dtype=dict.fromkeys(_WHOLE, str))
    pooled = scores[(scores[list(_WHOLE)] == "all").all(axis=1) & scores["metric"].isin(_SHOWN)]
    rows = pooled.pivot(index="method", columns="metric", values="value").sort_values("energy_score")
    shown = [name for name in _SHOWN if name in rows]
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in shown:
        table.add_column(f"{_SHOWN[name]} {metric(name).direction}", justify="right")
    for method, values in rows[shown].iterrows():
        table.add_row(str(method), *("–" if pd.isna(value) else f"{value:.3f}" for value in values))
    Console().print(table)
