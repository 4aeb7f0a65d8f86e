"""Write the score tables of the README from the folders `nextscan evaluate` left.

    python benchmarks/readme_table.py RUN [RUN ...]

Each run becomes one Markdown table, best energy score first; figures are rounded, the best of a column
and what its 95 % interval covers are bold.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from nextscan.report.metric_catalogue import Metric, metric
from nextscan.report.run_folder import Run, read_run

README = Path(__file__).resolve().parents[1] / "README.md"
METRICS = (
    "energy_score",
    "crps",
    "rmse",
    "pearson_per_feature_of_mean",
    "change_correlation",
    "coverage_95",
    "sd_ratio",
)


def column(run: Run, score: Metric) -> list[str]:
    """Return one cell per method."""
    values = run.pooled(score.name).reindex(list(run.methods))
    badness = values["value"].map(score.badness).where(values.index != "oracle")
    best = values.loc[badness.idxmin()] if badness.notna().any() else None
    cells = []
    for method, row in values.iterrows():
        text = "–" if np.isnan(row["value"]) else f"{row['value']:.3f}"
        tied = best is not None and method != "oracle" and best["low"] <= row["value"] <= best["high"]
        cells.append(f"**{text}**" if tied or (best is not None and method == best.name) else text)
    return cells


def table(run: Run) -> str:
    """Return the Markdown table of one run, with a line that says what it was made from."""
    cohort, settings = run.cohort, run.record["settings"]
    scores = [metric(name) for name in METRICS]
    caption = (
        f"{cohort['name']}: {cohort['n_paired']:,} people with a follow-up of {cohort['n_subjects']:,}, "
        f"{cohort['n_features']} features; {settings['n_folds']} folds dealt {settings['repeats']} time(s), "
        f"{settings['draws']} draws"
    )
    lines = [
        "| | " + " | ".join(f"{score.title} {score.direction}" for score in scores) + " |",
        "|---|" + "--:|" * len(scores),
    ]
    for method, *cells in zip(run.methods, *(column(run, score) for score in scores), strict=True):
        lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    return f"{caption}\n\n" + "\n".join(lines)


def main(folders: list[str]) -> None:
    """Put the tables between the marks in the README."""
    tables = "\n\n".join(table(read_run(Path(folder))) for folder in folders)
    marks = r"(<!-- scores: .*? -->\n).*?(<!-- scores end -->)"
    README.write_text(
        re.sub(marks, lambda found: f"{found[1]}\n{tables}\n\n{found[2]}", README.read_text(), flags=re.S)
    )


if __name__ == "__main__":
    main(sys.argv[1:])
