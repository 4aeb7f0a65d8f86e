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

_SHOWN_OF_IMAGES = {
    "energy_score": "energy",
    "roi_change_error": "change %",
    "roi_change_correlation": "r change",
    "voxel_change_correlation": "r voxels",
    "ssim_mask": "SSIM",
    "voxel_coverage_80": "in 80 %",
    "fid": "FID",
}

_SHOWN_OF_FILMS = {
    "energy_score": "energy",
    "volume_error": "mL",
    "ef_error": "EF",
    "ef_coverage_80": "EF 80 %",
    "curve_change_error": "change",
    "ssim_heart": "SSIM",
}

_WHOLE = ("seed", "repeat", "fold", "group")


def print_scores(run: Path) -> None:
    """Print the pooled scores of a run folder, the best method first."""
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from nextscan.report.metric_catalogue import metric

    scores = pd.read_csv(run / "scores.csv", dtype=dict.fromkeys(_WHOLE, str))
    metrics = set(scores["metric"])
    known = _SHOWN_OF_FILMS if "volume_error" in metrics else _SHOWN_OF_IMAGES if "ssim" in metrics else _SHOWN
    pooled = scores[(scores[list(_WHOLE)] == "all").all(axis=1) & scores["metric"].isin(known)]
    rows = pooled.pivot(index="method", columns="metric", values="value").sort_values("energy_score")
    shown = [name for name in known if name in rows]
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in shown:
        table.add_column(f"{known[name]} {metric(name).direction}", justify="right")
    for method, values in rows[shown].iterrows():
        table.add_row(str(method), *("–" if pd.isna(value) else f"{value:.3f}" for value in values))
    Console().print(table)
