"""`nextscan impute`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nextscan.cli.options import Draws, Individuals, Overwrite, ReadOptions, Table, parse_years, with_read_options
from nextscan.errors import SettingError


class Interval(StrEnum):
    """How intervals are made."""

    draws = "draws"
    conformal = "conformal"


@with_read_options(but=("unpaired", "exclude"))
def impute(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", show_default=False, help="A folder that `nextscan fit` wrote.")
    ],
    table: Table,
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            show_default=False,
            help="The completed table (.csv, .tsv or .parquet); for images a folder, in which derivatives/nextscan is "
            "made: it may be the BIDS folder itself.",
        ),
    ],
    draws: Draws = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same draws.")] = 0,
    level: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            show_default="0.9; of images none",
            help="Level of the interval columns; for images, write the ends of each voxel's interval, too.",
        ),
    ] = None,
    interval: Annotated[
        Interval,
        typer.Option(
            help="Intervals from the spread of draws, or conformal: as wide as errors on held-out pairs demand, "
            "from a model fitted with `--conformal`.",
        ),
    ] = Interval.draws,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            show_default=False,
            help="A label such as sex or age, or gap, the years since the last scan: conformal intervals keep "
            "their level in each of its groups (of numbers, in each third).",
        ),
    ] = None,
    at_years: Annotated[
        str | None,
        typer.Option(
            "--at-years",
            "--at",
            metavar="1,2,5",
            show_default=False,
            help="Impute these times after each subject's last scan, instead of the visits that are missing; "
            "`--at-years=-1,2` also a year before it, with a method that predicts backward (mixed-factor). Of films "
            "`--at 0.35,0.5`: places in the beat, 0 to 1 from end-diastole.",
        ),
    ] = None,
    save_draws: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            show_default=False,
            help="Also write all draws: a table of subject, visit, years, draw and the features, one row per draw; for "
            "images a folder, which may be that of --out.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Of images: also write a page that shows a few, readable offline.",
        ),
    ] = None,
    reading: ReadOptions = ReadOptions(),
    allow_missing_labels: Annotated[
        bool,
        typer.Option(
            "--allow-missing-labels",
            help="Impute everybody as the average of training where a label the model was fitted with is not there.",
        ),
    ] = False,
    individuals: Individuals = False,
    overwrite: Overwrite = False,
) -> None:
    """Complete a cohort: draw the follow-up scans that were never taken.

    Imputes every row that has a subject and a visit (or a time) but no features, and one more visit for
    each subject scanned once. The result is your table in your layout: observed cells are untouched,
    imputed rows are marked, and columns with the mean, an interval and the change per year are added. Of
    images it is a BIDS derivative, each visit in the grid and the intensity scale of the scan it starts from:
    desc-imputed (the mean) and desc-sd; the same command goes on where it was stopped.

    Time: where it is not given, draws average over the intervals seen in training, and age and change per
    year are left empty (use `--at-years 2.5` for a time).

    The table is read by the names of the model, with the schema, dictionary and suffix its own was read with. A label
    of the model that is not there is an error, one that some people lack a warning: they are imputed as the average.

    Change per year is a prediction that shrinks towards the average, not a measured rate of atrophy; a
    method that does not use time predicts the same at every time, and its change per year is left empty.

    **One draw is not enough.** The mean is smoother than any real brain and one draw is one guess among
    many: a test computed on either claims more than you know. Save all draws, run the analysis once per
    draw and pool (multiple imputation): that carries the uncertainty about each person, given the model.
    It does not carry that of the model: with few pairs, standard errors of group means are far too small.
    For group statistics repeat fit and impute on bootstrap samples of the paired subjects, too, and pool
    over all. Put every variable of the analysis into the labels; the effect of any other is diluted.

        nextscan impute model cohort.csv --out completed.csv
        nextscan impute model cohort.csv --at-years 1,2,5 --out forecast.csv
        nextscan impute model cohort.csv --interval conformal --by sex --out completed.csv
        nextscan impute model cohort.csv --out completed.parquet --save-draws draws.parquet
        nextscan impute model brains --at-years 1,2,5 --draws 20 --out brains --html brains.html
        nextscan impute model hearts --at 0.35 --out imputed
    """
    from nextscan.imputers import kind_of, load

    conformal = interval is Interval.conformal
    if by is not None and not conformal:
        raise SettingError(f"--by {by} is for conformal intervals; add --interval conformal or leave it out")
    years = None if at_years is None else parse_years(at_years, "--at-years")
    asked: dict[str, Any] = {"draws": draws, "seed": seed, "level": level, "at_years": years}
    asked |= {"save_draws": save_draws, "reading": reading, "overwrite": overwrite}
    asked |= {"missing_labels": "warn" if allow_missing_labels else "refuse"}
    imputer = load(model)
    if kind_of(imputer.name) == "volumes":
        from nextscan.cli.impute_images import impute_images

        if conformal:
            raise SettingError("--interval conformal is for tables; intervals of images come from draws: leave it out")
        if reading.dictionary is not None:
            raise SettingError("--dictionary is for UK-Biobank tables, and this model imputes images: leave it out")
        impute_images(imputer, model, table, out, **asked, html=html, individuals=individuals)
        return
    from nextscan.cli.impute_tables import impute_table

    if reading.suffix is not None:
        raise SettingError(f"--suffix {reading.suffix} is for images, and this model imputes tables: leave it out")
    if html is not None:
        raise SettingError(f"--html {html} is for images, and this model imputes tables: leave it out")
    impute_table(imputer, table, out, **asked, conformal=conformal, by=by)
