"""`nextscan impute` for tables of features."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextscan.cli.cautions import tell_findings, telling_unlike, warn_of_reach, warn_of_time
from nextscan.cli.options import ReadOptions
from nextscan.cli.outputs import TABLE_SUFFIXES, check_file
from nextscan.cli.progress import show_progress
from nextscan.errors import CohortError, SettingError

if TYPE_CHECKING:
    from nextscan.arrays import Progress
    from nextscan.cohort import Cohort, Imputation, Targets
    from nextscan.cohort.known import MissingLabels
    from nextscan.imputers import Imputer

_CHUNK_BYTES = 64 * 2**20  # of draws held at once
_DRAWS, _LEVEL = 40, 0.9


def impute_table(
    imputer: Imputer,
    table: Path,
    out: Path,
    *,
    draws: int | None,
    seed: int,
    level: float | None,
    conformal: bool,
    by: str | None,
    at_years: Sequence[float] | None,
    save_draws: Path | None,
    reading: ReadOptions,
    missing_labels: MissingLabels,
    overwrite: bool,
) -> None:
    """Complete a table and say where it is; the arguments are those of the command."""
    from nextscan.cohort import targets
    from nextscan.cohort.imputation import check_calibration, interval_tail
    from nextscan.writing.tables import complete_table, saving_draws

    draws = _DRAWS if draws is None else draws
    level = _LEVEL if level is None else level
    if not conformal:
        interval_tail(level, draws)
    if save_draws is not None and out.resolve() == save_draws.resolve():
        raise SettingError(
            f"--save-draws {save_draws}: is the place of --out as well; give the draws a file of their own"
        )
    for path in (out, save_draws):
        if path is not None:
            check_file(path, TABLE_SUFFIXES, inputs=reading.files(table), overwrite=overwrite)
    cohort = imputer.known.applied(reading.read(table, imputer))
    cohort = cohort.select_features([name for name in imputer.feature_names_ if name in cohort.feature_names])
    tell_findings(cohort)
    wanted = targets(cohort, at_years)
    if not len(wanted):
        raise CohortError(nobody(table))
    imputer.check_direction(cohort, wanted)
    imputer.known.check_labels(cohort, wanted, missing_labels)
    if conformal:  # refuses before the work what cannot be kept
        calibration = check_calibration(imputer.calibration_, draws)
        calibration.factors(level, wanted.subject, cohort.labels_at(wanted.context), wanted.gap, by=by)
    empty = "yearly change must not be read from it; the __annual_percent columns are left empty"
    warn_of_time(imputer, wanted, therefore=empty)
    warn_of_reach(imputer, wanted)
    with show_progress() as progress:
        imputed = _in_chunks(imputer, cohort, wanted, draws, seed=seed, at_years=at_years, progress=progress)
        if save_draws is not None:
            imputed = saving_draws(imputed, save_draws)
        complete_table(
            table,
            telling_unlike(imputed),
            out,
            schema=reading.schema,
            dictionary=reading.dictionary,
            participants=reading.participants,
            like=imputer,
            level=level,
            annual=imputer.uses_time,
            interval="conformal" if conformal else "draws",
            by=by,
        )
    print(f"completed: {out} ({len(wanted):,} visits imputed by {imputer.name}, {draws} draws each)")
    if save_draws is not None:
        print(f"draws:     {save_draws}")
    tell_time(imputer.record_, wanted)


def nobody(table: Path) -> str:
    """Return what to say where no visit is missing."""
    return (
        f"{table}: every subject has a follow-up and no row asks for another visit; "
        "ask for times after the last scan, as in --at-years 2"
    )


def tell_time(record: Mapping[str, Any], wanted: Targets) -> None:
    """Say what visits of unknown time stand for, if there are any."""
    unknown = sum(isnan(gap) for gap in wanted.gap.tolist())
    if not unknown:
        return
    visits = "" if unknown == len(wanted) else f" for {unknown:,} of {len(wanted):,} visits"
    mean = record.get("mean_gap")
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
    progress: Progress,
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
        yield imputer.impute(part, draws, seed=seed, at_years=at_years, missing_labels="ignore")
        done = min(start + size, len(subjects))
        left = (time.monotonic() - began) / done * (len(subjects) - done)
        phase = "imputing" if start else "estimate"
        progress({"phase": phase, "done": done, "total": len(subjects), "remaining_seconds": left})
