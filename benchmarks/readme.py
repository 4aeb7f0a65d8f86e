"""Write the score tables and the picture of the README from the folders `nextscan evaluate` left.

    python benchmarks/readme.py RUN [RUN ...]

Each run becomes one Markdown table, best energy score first; figures are rounded, the best of a column
and what its 95 % interval covers are bold. Runs of features and of images have a place each, and a place
without a run stays as it is; the picture is from the first run of features.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from nextscan.report.figures.style import styled
from nextscan.report.figures.trajectories import trajectory_fans
from nextscan.report.methods import method_looks
from nextscan.report.metric_catalogue import Metric, metric
from nextscan.report.run_folder import Run, read_run
from nextscan.report.sections.trajectories import panels

README = Path(__file__).resolve().parents[1] / "README.md"
PICTURE = README.parent / "docs" / "trajectories.png"
METRICS = (
    "energy_score",
    "crps",
    "rmse",
    "pearson_per_feature_of_mean",
    "change_correlation",
    "coverage_95",
    "sd_ratio",
)
IMAGE_METRICS = (
    "energy_score",
    "roi_change_error",
    "roi_change_correlation",
    "coverage_80",
    "voxel_change_correlation",
    "ssim_mask",
    "voxel_coverage_80",
    "fid",
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


def above_the_oracle(run: Run) -> list[str]:
    """Return one cell per method: percent, and the ends of its interval."""
    found = run.pooled("excess_energy_score").reindex(list(run.methods)) * 100
    return [
        "–" if np.isnan(row["value"]) else f"{row['value']:.1f} % ({row['low']:.1f} to {row['high']:.1f})"
        for _, row in found.iterrows()
    ]


def table(run: Run) -> str:
    """Return the Markdown table of one run, with a line that says what it was made from."""
    cohort, settings = run.cohort, run.record["settings"]
    scores = [metric(name) for name in (IMAGE_METRICS if run.of_images else METRICS)]
    what = f"{cohort['n_visits']} images" if run.of_images else f"{cohort['n_features']} features"
    caption = (
        f"**{'Simulated' if cohort['simulated'] else 'Real'}**: {cohort['n_paired']:,} people with a follow-up of "
        f"{cohort['n_subjects']:,}, {what}; {settings['n_folds']} folds, "
        f"{settings['draws']} draws (`{re.sub(r'[^ ]*/', '', run.record['command'])}`)"
    )
    titles = [f"{score.title} {score.direction}" for score in scores]
    columns = [column(run, score) for score in scores]
    if cohort["simulated"] and not run.of_images:
        titles.insert(1, "Energy score above the best possible (95 %)")
        columns.insert(1, above_the_oracle(run))
    lines = ["| | " + " | ".join(titles) + " |", "|---|" + "--:|" * len(titles)]
    for method, *cells in zip(run.methods, *columns, strict=True):
        lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    return f"{caption}\n\n" + "\n".join(lines)


def picture(run: Run, method: str = "secondgram", rival: str = "carry-forward") -> None:
    """Draw two features of the chosen subjects: what was shown, what was drawn, what came true."""
    looks = method_looks(run.methods)
    figure = trajectory_fans(panels(run, method, rival)[:2], look=looks[method], rival_look=looks[rival])
    PICTURE.parent.mkdir(exist_ok=True)
    with styled():
        figure.savefig(PICTURE, dpi=130, metadata={"Software": None})


def main(folders: list[str]) -> None:
    """Draw the picture, and put the tables between the marks in the README."""
    runs = [read_run(Path(folder)) for folder in folders]
    features, images = ([run for run in runs if run.of_images == of_images] for of_images in (False, True))
    if features:
        picture(features[0])
    text = README.read_text()
    for mark, group in (("scores", features), ("image scores", images)):
        if group:
            text = between(text, mark, "\n\n".join(table(run) for run in group))
    README.write_text(text)


def between(text: str, mark: str, new: str) -> str:
    """Return a text with what stands between two marks replaced."""
    marks = rf"(<!-- {mark}: .*? -->\n).*?(<!-- {mark} end -->)"
    return re.sub(marks, lambda found: f"{found[1]}\n{new}\n\n{found[2]}", text, flags=re.S)


if __name__ == "__main__":
    main(sys.argv[1:])
