"""`nextscan evaluate`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nextscan.cli.cautions import warn_of_data
from nextscan.cli.options import Draws, Individuals, Jobs, ReadOptions, Table, parse_numbers, with_read_options
from nextscan.cli.outputs import check_folder
from nextscan.cli.progress import show_progress
from nextscan.cli.scores import print_scores


@with_read_options()
def evaluate(
    table: Table,
    out: Annotated[Path, typer.Option(metavar="RUN", show_default=False, help="The folder to write.")],
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            show_default="anchored,mixed-factor; of images volume-diffusion",
            help="What to compare: anchored, mixed-factor, secondgram, secondgram-paper, secondgram-released; of "
            "images volume-diffusion, volume-vae, med-ddpm. The baselines (carry-forward, mean-change, "
            "feature-regression, ridge, reliability; copy-source, volume-mean-change; of films copy-nearest and "
            "others) and, for simulated cohorts, the oracle are always there.",
        ),
    ] = None,
    folds: Annotated[int, typer.Option(metavar="N", help="Parts; the subjects of each are the test set once.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", help="How often the folds are dealt anew.")] = 1,
    seeds: Annotated[
        str, typer.Option(metavar="1-5,8", help="Training seeds of methods that have chance in them.")
    ] = "1",
    draws: Draws = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the folds, the draws and the intervals.")] = 0,
    reading: ReadOptions = ReadOptions(),
    save_draws: Annotated[
        bool, typer.Option("--save-draws", help="Keep all draws, one Parquet file a method.")
    ] = False,
    segmenter: Annotated[
        str,
        typer.Option(
            metavar="MODULE:FUNCTION",
            show_default=False,
            help="Of images: measures regional volumes in place of the built-in segmenter; takes an image and its "
            "affine, returns mm³ by region (a call of SynthSeg, say). Of films the built-in one is learned from label "
            "maps.",
        ),
    ] = "",
    extractor: Annotated[
        str,
        typer.Option(
            metavar="MODULE:FUNCTION",
            show_default=False,
            help="Of images: describes an image by a short vector, for the Fréchet distance.",
        ),
    ] = "",
    shown: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            show_default="all visits but the last",
            help="Which visits of test subjects are shown: first:4, random:0.5, or names such as ED,ES. All other "
            "frames of films are predicted; of other cohorts it is still the last visit.",
        ),
    ] = None,
    individuals: Individuals = False,
    jobs: Jobs = 1,
) -> None:
    """Hide real follow-up scans, predict them, and score every method with the baselines beside it.

    Folds are cut by subject, and everything is learned on training subjects, so no test scan leaks.
    The baselines are never optional: a method that does not beat carrying the last scan forward should
    not be used, and the report says so.

    What `nextscan describe` warns of is said first, on stderr.

    Finished parts are kept: after an interruption the same command goes on where it stopped.

        nextscan evaluate cohort.csv --out study
        nextscan evaluate cohort.csv --methods anchored,secondgram --seeds 1-5 --out study
        nextscan evaluate pairs.csv --unpaired others.csv --exclude eTIV --out study

        nextscan evaluate brains --methods volume-diffusion,volume-vae --folds 2 --out study
        nextscan evaluate hearts --shown first:4 --methods volume-diffusion --folds 2 --out study

    Of a cohort of images (a BIDS folder, or a table with paths) the images are imputed and compared, and
    their regional volumes scored like features. Of films, such as beating hearts, all frames that --shown leaves out
    are predicted, and the curve of volumes is scored.

    Read first `energy_score` and `crps` (lower is better; they reward both a good centre and an honest
    spread), then `coverage_95` (0.95 is right) and `sd_ratio` (1 is right).
    """
    training_seeds = parse_numbers(seeds, "--seeds")
    check_folder(out)
    from nextscan.report import write_report
    from nextscan.study import evaluate as evaluate_methods

    cohort = reading.read(table)
    warn_of_data(cohort, table)
    if methods is None:
        methods = "volume-diffusion" if cohort.has_volume.any() and not cohort.n_features else "anchored,mixed-factor"
    names = [name.strip() for name in methods.split(",") if name.strip()]
    with show_progress() as progress:
        run = evaluate_methods(
            cohort,
            names,
            n_folds=folds,
            repeats=repeats,
            seeds=training_seeds,
            draws=draws,
            seed=seed,
            out=out,
            save_draws=save_draws,
            segmenter=segmenter,
            extractor=extractor,
            shown=shown,
            progress=progress,
            n_jobs=jobs,
            command=shlex.join(["nextscan", *sys.argv[1:]]),
        )
    print_scores(run)
    print(f"scores: {run / 'scores.csv'}")
    print(f"report: {write_report(run, individuals=individuals)}")
