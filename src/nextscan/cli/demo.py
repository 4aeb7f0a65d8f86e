"""`nextscan demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscan.cli.describe import describe
from nextscan.cli.evaluate import evaluate
from nextscan.cli.fit import fit
from nextscan.cli.impute import impute
from nextscan.cli.options import Jobs
from nextscan.cli.outputs import check_folder
from nextscan.cli.simulate import simulate


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where its files go.")] = Path("demo"),
    jobs: Jobs = 1,
) -> None:
    """Show the main job on a simulated cohort, in a few minutes.

    Simulates 1,000 people of whom 300 have a follow-up scan, describes the table, compares anchored
    SECONDGRAM with the published method, the baselines and the best possible score, fits it, imputes the
    follow-ups nobody took, and writes a report. Each step is printed as the command you would type
    yourself.

        nextscan demo
        nextscan demo --out tour --jobs 2
    """
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    cohort, page, study, model = out / "cohort.parquet", out / "cohort.html", out / "study", out / "model"
    completed, draws = out / "completed.csv", out / "draws.parquet"

    _step(f"nextscan simulate --subjects 1000 --features 40 --pairs 300 --out {cohort}")
    simulate(cohort, subjects=1000, features=40, pairs=300)
    _step(f"nextscan describe {cohort} --html {page}")
    describe(cohort, html=page)
    _step(f"nextscan evaluate {cohort} --methods anchored,mixed-factor,secondgram --folds 2 --out {study}")
    evaluate(cohort, study, methods="anchored,mixed-factor,secondgram", folds=2, jobs=jobs)
    _step(f"nextscan fit {cohort} --out {model}")
    fit(cohort, model)
    _step(f"nextscan impute {model} {cohort} --draws 40 --out {completed} --save-draws {draws}")
    impute(model, cohort, completed, draws=40, save_draws=draws)

    print("\nWhat there is to look at:")
    for path, what in {
        study / "report.html": "every method against the baselines and the best possible score",
        page: "what is in the cohort",
        completed: "the table, completed: means, intervals, yearly change",
        draws: "all draws, for multiple imputation",
    }.items():
        print(f"  {path}  {what}")


def _step(command: str) -> None:
    print(f"\n$ {command}", flush=True)
