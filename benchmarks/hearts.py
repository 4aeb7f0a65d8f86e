"""Compare SADM with every row beside it on simulated hearts, and say how much of the gap to the law it closes.

    python benchmarks/hearts.py --out hearts-bench                       # seeds 1 and 2, all three settings
    python benchmarks/hearts.py --out hearts-bench --seeds 1 --shown first --methods sadm --jobs 1

For each seed 60 hearts of 12 frames are simulated, and evaluated in 2 folds with the first frame shown, the first four,
and end-diastole with end-systole. Printed are scores pooled over seeds, the paired difference of SADM to each row with
its 95 % interval over subjects, and the share of the gap between the best simple row and the oracle that it closes. A
run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan import evaluate, read_cohort
from nextscan.imputers import SEQUENCE_BASELINES
from nextscan.metrics import bootstrap_interval
from nextscan.simulating import simulate_hearts

SCORES = ("volume_error", "ef_error", "nrmse_heart", "coverage_80", "ef_coverage_80", "energy_score")
GAPS = ("volume_error", "ef_error", "nrmse_heart")


def scored(out: Path, seed: int, shown: str, methods: list[str], jobs: int) -> pd.DataFrame:
    """Return the scores of subjects of one seed: subject, method, metric, value."""
    folder = out / f"hearts-{seed}"
    if not folder.is_dir():
        simulate_hearts(folder, n_subjects=60, n_frames=12, shape=(32, 32, 8), seed=seed)
    cohort = read_cohort(folder / "hearts.csv")
    run = evaluate(
        cohort,
        methods,
        out=out / f"{seed}-{shown.replace(':', '').replace(',', '-')}",
        n_folds=2,
        draws=10,
        shown=shown,
        n_jobs=jobs,
        progress=lambda event: print(f"\r{event.get('method', event.get('phase', ''))}".ljust(40), end="", flush=True),
    )
    scores = pd.read_parquet(run / "subject_scores.parquet")
    return scores.assign(subject=f"{seed}-" + scores["subject"].astype(str))


def told(scores: pd.DataFrame, first: str) -> None:
    """Print scores of all rows, and how the first compares with them."""
    table = scores.pivot_table(index="method", columns="metric", values="value")
    print("\n" + table.reindex(columns=[name for name in SCORES if name in table]).round(3).to_string())
    wide = scores.pivot_table(index="subject", columns=["metric", "method"], values="value")
    rows = [name for name in SEQUENCE_BASELINES if name in table.index]
    for metric in GAPS:
        own = wide[metric][first]
        for other in table.index.drop(first):
            if other not in wide[metric]:
                continue
            difference = (own - wide[metric][other]).dropna().to_numpy()
            low, high = bootstrap_interval(difference)
            print(f"{metric}: {first} less {other} {difference.mean():+.3f} ({low:+.3f} to {high:+.3f})")
        best = table.loc[rows, metric].min()
        if "oracle" in table.index:
            closed = (best - table.loc[first, metric]) / (best - table.loc["oracle", metric])
            print(f"{metric}: {closed:.0%} of the gap between the best simple row and the oracle")


def main() -> None:
    """Run, pool and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--shown", default="first;first:4;ED,ES")
    parser.add_argument("--methods", default="sadm,volume-diffusion,unet-gan,deformation")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    for shown in given.shown.split(";"):
        methods = [name for name in given.methods.split(",") if name != "deformation" or shown == "ED,ES"]
        parts = [scored(given.out, int(seed), shown, methods, given.jobs) for seed in given.seeds.split(",")]
        print(f"\n\nshown: {shown}, {np.unique(np.concatenate([part['subject'] for part in parts])).size} hearts")
        told(pd.concat(parts), methods[0])


if __name__ == "__main__":
    main()
