"""`nextscan impute` for images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nextscan.cli.cautions import tell_findings, warn_of_reach, warn_of_time
from nextscan.cli.impute_tables import nobody, tell_time
from nextscan.cli.options import ReadOptions
from nextscan.cli.outputs import TABLE_SUFFIXES, check_file, check_folder
from nextscan.cli.progress import show_progress
from nextscan.errors import CohortError, SettingError

if TYPE_CHECKING:
    from nextscan.cohort import Cohort, Targets
    from nextscan.cohort.known import MissingLabels
    from nextscan.imputers.volumes.base import VolumeImputer
    from nextscan.imputers.volumes.kinds import OtherKinds
    from nextscan.report.volumes.examples import VolumeExample
    from nextscan.writing.derivative import Written

_DRAWS = 10  # a mean and a spread; intervals need more


def impute_images(
    imputer: VolumeImputer,
    model: Path,
    table: Path,
    out: Path,
    *,
    draws: int | None,
    seed: int,
    level: float | None,
    at_years: Sequence[float] | None,
    save_draws: Path | None,
    html: Path | None,
    reading: ReadOptions,
    missing_labels: MissingLabels,
    individuals: bool,
    overwrite: bool,
) -> None:
    """Write the images that are missing and say where they are; the arguments are those of the command."""
    from nextscan.cohort.imputation import interval_tail
    from nextscan.imputers.volumes.kinds import OTHER_KIND
    from nextscan.writing.derivative import write_derivative

    draws = _DRAWS if draws is None else draws
    if level is not None:
        interval_tail(level, draws)
    for option, path in (("--out", out), ("--save-draws", save_draws)):
        if path is not None and path.suffix.lower() in TABLE_SUFFIXES:
            raise SettingError(f"{option} {path}: this model imputes images, which are written into a folder; name one")
        if path is not None:
            check_folder(path)
    if html is not None:
        check_file(html, (".html",), inputs=reading.files(table), overwrite=overwrite)
    cohort = reading.read(table, imputer)
    if html is not None and not (individuals or cohort.law):
        raise SettingError(
            f"--html {html}: the page shows images of single people, so it is made only with --individuals; keep it "
            "where the data are kept"
        )
    tell_findings(cohort)
    others: OtherKinds = "warn" if OTHER_KIND in (reading.allow or ()) else "refuse"
    imputation = imputer.impute(
        cohort, draws, seed=seed, at_years=at_years, missing_labels=missing_labels, other_kinds=others
    )
    wanted = imputation.requested
    if not len(wanted):
        raise CohortError(nobody(table))
    warn_of_time(imputer, wanted, therefore="change per year must not be read from it")
    warn_of_reach(imputer, wanted, cohort.time_unit)
    with show_progress() as progress:
        written = write_derivative(
            imputation,
            cohort,
            out,
            save_draws=False if save_draws is None else save_draws,
            level=level,
            provenance={"model": fingerprint(model)},
            progress=progress,
        )
    kept = f", {written.kept:,} of them were there already" if written.kept else ""
    print(f"imputed: {written.folder} ({len(wanted):,} visits by {imputer.name}, {draws} draws each{kept})")
    if written.draws_folder is not None:
        print(f"draws:   {written.draws_folder}")
    if html is not None:
        from nextscan.report.people import about_people
        from nextscan.report.volumes.page import write_volume_page

        write_volume_page(
            html,
            _examples(imputer.name, cohort, wanted, written),
            method=imputer.name,
            name=cohort.name,
            n_subjects=len(set(wanted.subject.tolist())),
            colophon=[
                f"From {written.folder}: {draws} draws each, seed {seed}, model {fingerprint(model)}.",
                about_people(individuals=True, simulated=bool(cohort.law)),
            ],
        )
        print(f"page:    {html}")
    tell_time(imputer.record_, wanted)


def _examples(method: str, cohort: Cohort, wanted: Targets, written: Written) -> list[VolumeExample]:
    """Read back what was written of the first subjects: for each, the visits that start from the same image."""
    import numpy as np

    from nextscan.images.files import read_image
    from nextscan.report.volumes.examples import PredictedSeries, VolumeExample
    from nextscan.report.volumes.page import LIMIT

    examples = []
    for subject in list(dict.fromkeys(wanted.subject.tolist()))[:LIMIT]:
        own = np.flatnonzero(wanted.subject == subject)
        own = own[wanted.context[own] == wanted.context[own[0]]]
        own = own[np.argsort(wanted.gap[own], kind="stable")]
        source = read_image(cohort.files_of("volume")[wanted.context[own[0]]])
        series = PredictedSeries(
            wanted.gap[own],
            np.stack([read_image(written.means[i]).data for i in own]),
            [read_image(written.sds[i], allow_constant=True).data if written.sds else None for i in own],
        )
        visit = str(wanted.visit[own[0]]) if len(own) == 1 else ""
        examples.append(
            VolumeExample(subject, source.affine, source.data, {method: series}, visit, unit=cohort.time_unit)
        )
    return examples


def fingerprint(model: Path) -> str:
    """Return what tells a fitted model from any other: a hash of its description, which holds that of its arrays."""
    return hashlib.sha256((model / "model.json").read_bytes()).hexdigest()[:16]
