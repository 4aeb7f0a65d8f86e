"""`nextscan simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nextscan.cli.outputs import TABLE_SUFFIXES, check_file
from nextscan.cli.progress import show_progress


def simulate(
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", show_default=False, help="The table to write (.parquet, .csv or .tsv)."),
    ],
    subjects: Annotated[int, typer.Option(metavar="N", help="People in the cohort.")] = 41_706,
    features: Annotated[int, typer.Option(metavar="N", help="Imaging features per visit.")] = 769,
    pairs: Annotated[int, typer.Option(metavar="N", help="People with a follow-up scan.")] = 4_997,
    world: Annotated[
        Literal["linear", "hard"],
        typer.Option(
            metavar="linear|hard",
            help="`linear`: Gaussian ageing. `hard`: non-linear, heavy-tailed change of unequal spread.",
        ),
    ] = "linear",
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same people.")] = 0,
) -> None:
    """Make a UK-Biobank-like cohort whose true law is known.

    The law is written beside the table. With it `nextscan evaluate` adds the `oracle` row, the best
    score anybody could reach, so you see how far a method is from the limit and not only from another.

        nextscan simulate --out cohort.parquet
        nextscan simulate --subjects 2000 --features 100 --pairs 300 --world hard --out small.csv
    """
    from nextscan.cohort.simulate import simulate as simulate_cohort

    check_file(out, TABLE_SUFFIXES)
    with show_progress() as progress:
        simulate_cohort(
            out,
            n_subjects=subjects,
            n_features=features,
            n_pairs=pairs,
            world=world,
            seed=seed,
            progress=progress,
        )
    print(f"cohort: {out} ({subjects:,} people, {pairs:,} with a follow-up, {features:,} features)")
