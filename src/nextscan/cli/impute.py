"""`nextscan impute`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscan.cli.cautions import telling_unlike, warn_of_reach, warn_of_time
from nextscan.cli.options import Dictionary, Draws, Participants, Schema, Table, parse_years, read_table
from nextscan.cli.outputs import TABLE_SUFFIXES, check_file
from nextscan.cli.progress import Display, show_progress
from nextscan.errors import CohortError, SettingError

if TYPE_CHECKING:
    from nextscan.cohort import Cohort, Imputation, Targets
    from nextscan.imputers import Imputer


class Interval(StrEnum):
    """How intervals are made."""

    draws = "draws"
    conformal = "conformal"


_CHUNK_BYTES = 64 * 2**20  # of draws held at once


def impute(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", show_default=False, help="A folder that `nextscan fit` wrote.")
    ],
    table: Table,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", show_default=False, help="The completed table (.csv, .tsv or .parquet)."),
    ],
    draws: Draws = 40,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same draws.")] = 0,
    level: Annotated[float, typer.Option(metavar="P", help="Level of the interval columns.")] = 0.9,
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
            metavar="1,2,5",
            show_default=False,
            help="Impute these times after each subject's last scan, instead of the visits that are missing; "
            "`--at-years=-1,2` also a year before it, with a method that predicts backward (mixed-factor).",
        ),
    ] = None,
    save_draws: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Also write all draws: subject, visit, years, draw and the features, one row per draw.",
        ),
    ] = None,
    schema: Schema = None,
    dictionary: Dictionary = None,
    participants: Participants = None,
) -> None:
    """Complete a table: draw the follow-up scans that were never taken.

    Imputes every row that has a subject and a visit (or a time) but no features, and one more visit for
    each subject scanned once. The result is your table in your layout: observed cells are untouched,
    imputed rows are marked, and columns with the mean, an interval and the change per year are added.

    Time: where it is not given, draws average over the intervals seen in training, and age and change per
    year are left empty (use `--at-years 2.5` for a time).

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
    """
    from nextscan.cohort import targets
    from nextscan.cohort.imputation import check_calibration, interval_tail
    from nextscan.cohort.write import complete_table, saving_draws
    from nextscan.imputers import load

    conformal = interval is Interval.conformal
    if by is not None and not conformal:
        raise SettingError(f"--by {by} is for conformal intervals; add --interval conformal or leave it out")
    if not conformal:
        interval_tail(level, draws)
    years = None if at_years is None else parse_years(at_years, "--at-years")
    check_file(out, TABLE_SUFFIXES)
    if save_draws is not None:
        check_file(save_draws, TABLE_SUFFIXES)
    imputer = load(model)
    cohort = read_table(table, schema, dictionary=dictionary, participants=participants)
    wanted = targets(cohort, years)
    if not len(wanted):
        raise CohortError(
            f"{table}: every subject has a follow-up and no row asks for another visit; "
            "ask for times after the last scan, as in --at-years 2"
        )
    imputer.check_direction(cohort, wanted)
    if conformal:  # refuses before the work what cannot be kept
        calibration = check_calibration(imputer.calibration_, draws)
        calibration.factors(level, wanted.subject, cohort.labels_at(wanted.context), wanted.gap, by=by)
    if not imputer.uses_time:
        warn_of_time(imputer, wanted)
    warn_of_reach(imputer, wanted)
    with show_progress() as progress:
        imputed = _in_chunks(imputer, cohort, wanted, draws, seed=seed, at_years=years, progress=progress)
        if save_draws is not None:
            imputed = saving_draws(imputed, save_draws)
        complete_table(
            table,
            telling_unlike(imputed),
            out,
            schema=schema,
            dictionary=dictionary,
            participants=participants,
            level=level,
            annual=imputer.uses_time,
            interval=interval.value,
            by=by,
        )
    print(f"completed: {out} ({len(wanted):,} visits imputed by {imputer.name}, {draws} draws each)")
    if save_draws is not None:
        print(f"draws:     {save_draws}")
    _tell_time(imputer, wanted)


def _tell_time(imputer: Imputer, wanted: Targets) -> None:
    """Say what visits of unknown time stand for, if there are any."""
    unknown = sum(isnan(gap) for gap in wanted.gap.tolist())
    if not unknown:
        return
    visits = "" if unknown == len(wanted) else f" for {unknown:,} of {len(wanted):,} visits"
    mean = imputer.record_.get("mean_gap")
    seen = "" if mean is None else f", {mean:.1f} years on average"
    print(
        f"time:      not given{visits}; draws average over the intervals seen in training{seen} "
        "(use --at-years 2.5 for a time)"
    )


def _in_chunks(
    imputer: Imputer,
    cohort: Cohort,
    wanted: Targets,
    draws: int,
    *,
    seed: int,
    at_years: Sequence[float] | None,
    progress: Display,
) -> Iterator[Imputation]:
    """Impute a few subjects at a time: the draws of a whole biobank do not fit into memory.

    Draws depend on subject and seed only, so the size of the chunks does not change them.
    """
    import numpy as np

    subjects = np.unique(cohort.subject_of[wanted.context])
    size = max(1, _CHUNK_BYTES // (8 * draws * len(imputer.feature_names_)))
    began = time.monotonic()
    for start in range(0, len(subjects), size):
        part = cohort.select_subjects(subjects[start : start + size])
        yield imputer.impute(part, draws, seed=seed, at_years=at_years)
        done = min(start + size, len(subjects))
        left = (time.monotonic() - began) / done * (len(subjects) - done)
        phase = "imputing" if start else "estimate"
        progress({"phase": phase, "done": done, "total": len(subjects), "remaining_seconds": left})
