"""The table of scores that `nextscan evaluate` prints."""

from __future__ import annotations

from pathlib import Path

# metric -> heading; the first decides the order of rows
_SHOWN = {
    "energy_score": "energy score ↓",
    "crps": "CRPS ↓",
    "rmse": "RMSE ↓",
    "pearson_per_feature_of_mean": "Pearson of mean ↑",
    "change_correlation": "change r ↑",
    "coverage_95": "coverage 95 %",
    "sd_ratio": "sd ratio → 1",
}


def print_scores(run: Path) -> None:
    """Print the pooled scores of a run folder, the best method first."""
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    scores = pd.read_csv(run / "scores.csv", dtype={"seed": str, "repeat": str, "fold": str})
    pooled = scores[(scores[["seed", "repeat", "fold"]] == "all").all(axis=1) & scores["metric"].isin(_SHOWN)]
    rows = pooled.pivot_table(index="method", columns="metric", values="value").sort_values("energy_score")
    metrics = [metric for metric in _SHOWN if metric in rows]
    table = Table("method", box=None, pad_edge=False)
    for metric in metrics:
        table.add_column(_SHOWN[metric], justify="right")
    for method, row in rows.iterrows():
        table.add_row(str(method), *("–" if pd.isna(row[metric]) else f"{row[metric]:.3f}" for metric in metrics))
    Console().print(table)
