"""Measure imputing at full size, and what few sampling steps cost in quality.

    python benchmarks/impute_speed.py                    41,706 people, 769 features, 20 draws: about 15 minutes
    python benchmarks/impute_speed.py --subjects 3000 --pairs 600      a quick look

Fits `secondgram` on the training folds, scores the test fold with growing numbers of sampling steps, then
runs `nextscan impute` on the whole table in a process of its own. Prints JSON at the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nextscan import Secondgram, read_cohort
from nextscan.cohort import folds, hide, pairs
from nextscan.metrics import energy_score
from nextscan.simulating import simulate


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=41_706)
    parser.add_argument("--features", type=int, default=769)
    parser.add_argument("--pairs", type=int, default=4_997)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--draws", type=int, default=20)
    chosen = parser.parse_args()
    out: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "cohort.parquet"
        simulate(table, n_subjects=chosen.subjects, n_features=chosen.features, n_pairs=chosen.pairs)
        split = next(iter(folds(read_cohort(table), 5)))
        started = time.perf_counter()
        model = Secondgram(epochs=chosen.epochs, unpaired="ignore").fit(split.train, split.validation, seed=1)
        out["fit_seconds"] = time.perf_counter() - started
        out["best_epoch"] = model.record_["best_epoch"]
        task = hide(split.test)
        first = split.train.features[pairs(split.train).context]
        centre, unit = np.nanmean(first, axis=0), np.nanstd(first, axis=0)
        steps_of: dict[int, dict[str, float]] = {}
        for steps in (4, 6, 8, 12, 20, 100):
            model.set_params(sampling_steps=steps)
            started = time.perf_counter()
            draws = model.impute(task.shown, chosen.draws, seed=1).draws
            seconds = time.perf_counter() - started
            score = float(energy_score((task.truth - centre) / unit, (draws - centre) / unit).mean())
            steps_of[steps] = {"seconds": seconds, "energy_score": score}
            print(steps, steps_of[steps], flush=True)
        for row in steps_of.values():
            row["over_100_steps"] = row["energy_score"] / steps_of[100]["energy_score"] - 1
        out |= {"test_subjects": len(task.targets), "sampling_steps": steps_of}
        model.set_params(sampling_steps=None).save(folder / "model")
        del split, task, model
        command = f"nextscan impute model {table.name} --draws {chosen.draws} --out completed.parquet"
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "nextscan.cli.main", *command.split()[1:]], cwd=folder, check=True)
        out |= {
            "command": command,
            "impute_seconds": time.perf_counter() - started,
            "impute_peak_gigabytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
            "completed_megabytes": (folder / "completed.parquet").stat().st_size / 2**20,
        }
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
