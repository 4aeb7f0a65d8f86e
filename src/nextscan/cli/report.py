"""`nextscan report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscan.cli.options import Individuals


def report(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", show_default=False, help="A folder that `nextscan evaluate --out` wrote."),
    ],
    individuals: Individuals = False,
    films: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Also write the films that the run kept, as animated PNG images, into a new folder.",
        ),
    ] = None,
) -> None:
    """Write the report page of an evaluation again, from the files in its folder.

    `nextscan evaluate` writes it already; use this after copying a run or updating nextscan. The page is
    one file without links to a network: mail it, or attach it to a submission.

        nextscan report study
    """
    from nextscan.report import write_report

    print(f"report: {write_report(run, individuals=individuals)}")
    if films is not None:
        from nextscan.report.films.animation import write_animations

        print(f"films: {len(write_animations(run, films, individuals=individuals))} in {films}")
