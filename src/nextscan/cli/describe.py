"""`nextscan describe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscan.cli.options import Individuals, Overwrite, ReadOptions, Table, with_read_options
from nextscan.cli.outputs import check_file
from nextscan.cli.progress import show_progress


@with_read_options()
def describe(
    table: Table,
    reading: ReadOptions = ReadOptions(),
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Also write a page with plots, readable offline."),
    ] = None,
    write_schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Also write what was understood as a schema (TOML), to correct and give back with --schema.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    individuals: Individuals = False,
    overwrite: Overwrite = False,
) -> None:
    """Say what was understood of a table, and what in it may mislead a study.

    Prints the subjects, visits, gaps between visits and missing values; which columns were taken as
    subject, visit, time, labels and features; and findings: constant, duplicated or summing columns,
    features equal at both visits for everybody, duplicated subjects, scanner changes between visits,
    and how far an unpaired pool lies from the paired cohort. Read it before anything else.

    Of a cohort of images every file is read and checked: is it readable and finite, placed by its header,
    of plausible intensities; do a subject's visits lie on each other, is an image there twice. The page
    shows a few. If an image cannot be used, the last line says so and the exit code is 2.

        nextscan describe cohort.csv
        nextscan describe ukb.csv --dictionary fields.tsv --html cohort.html
        nextscan describe pairs.csv --unpaired others.csv --exclude eTIV
        nextscan describe study.csv --write-schema study.toml
        nextscan describe brains --suffix T1w --html brains.html
    """
    if html is not None:
        check_file(html, (".html",), inputs=reading.files(table), overwrite=overwrite)
    if write_schema is not None:
        check_file(write_schema, (".toml",), inputs=reading.files(table))
    from nextscan.describing.describe import describe as describe_cohort
    from nextscan.describing.images.check import require_usable

    cohort = reading.read(table)
    with show_progress() as progress:
        description = describe_cohort(cohort, progress=progress)
    if json:
        from json import dumps

        print(dumps(description.to_dict(), indent=1))
    else:
        print(description)
    if html is not None:
        from nextscan.report import write_description

        write_description(description.to_dict(), html, individuals=individuals, names=cohort.subjects)
        print(f"page: {html}")
    if write_schema is not None:
        from nextscan.reading.inferred import write_schema as write

        sources: dict[str, Path | None] = {"dictionary": reading.dictionary, "participants": reading.participants}
        exclude = reading.exclude or ()
        print(
            f"schema: {write(write_schema, table, reading.schema, exclude=exclude, suffix=reading.suffix, **sources)}"
        )
    require_usable(description.findings)
