"""The page of an evaluation: a run folder becomes one HTML file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nextscan.atomic import write_text
from nextscan.report.methods import BASELINES, ORACLE, candidates, title
from nextscan.report.page import render_page
from nextscan.report.people import about_people
from nextscan.report.run_folder import Run, read_run
from nextscan.report.sections.calibration import calibration
from nextscan.report.sections.change import change
from nextscan.report.sections.cohort import cohort
from nextscan.report.sections.correlation import correlation
from nextscan.report.sections.films import films
from nextscan.report.sections.learning import learning
from nextscan.report.sections.record import record
from nextscan.report.sections.scores import scores
from nextscan.report.sections.trajectories import trajectories
from nextscan.report.sections.verdict import verdict
from nextscan.report.sections.volumes import volumes
from nextscan.report.sections.why import why
from nextscan.report.sections.words import citing, glossary
from nextscan.wording import count, listed

_SECTIONS = (
    verdict,
    cohort,
    volumes,
    films,
    scores,
    why,
    change,
    calibration,
    correlation,
    trajectories,
    learning,
    record,
    glossary,
    citing,
)


def write_report(run_folder: str | Path, *, individuals: bool = False) -> Path:
    """Write `report.html` into the folder of an evaluation.

    Parameters
    ----------
    run_folder : path
        As `nextscan.study.evaluate` leaves it. `run.json` and `scores.csv` are needed; where another
        file is missing, its section says so.
    individuals : bool
        Show values of single people, too: their trajectories, their points among others, their images. Without it the
        page of a cohort that is not simulated holds figures over groups only.

    Returns
    -------
    Path
        The page; it loads nothing from anywhere.

    Raises
    ------
    RunFolderError
        If the folder, `run.json` or `scores.csv` is missing, or any file is damaged.
    OutputError
        If the page cannot be written.
    """
    run = read_run(Path(run_folder))
    run = replace(run, individuals=individuals or run.simulated)
    path = run.folder / "report.html"
    write_text(path, evaluation_page(run))
    return path


def _summary(run: Run) -> str:
    ours = [title(method) for method in candidates(run.methods)]
    beside = "five baselines" if set(BASELINES) <= set(run.methods) else "baselines"
    limit = " and the best possible score" if ORACLE in run.methods else ""
    hidden = run.cohort.get("n_paired")
    task = (
        f"Real follow-ups of {count(hidden)} subjects were hidden and predicted"
        if hidden
        else "Real follow-ups were hidden and predicted"
    )
    return f"{task} by {listed(ours)}, beside {beside}{limit}." if ours else f"{task} by {beside}{limit}."


def evaluation_page(run: Run) -> str:
    """Return the page as HTML."""
    name = str(run.cohort.get("name") or run.folder.name)
    versions = run.record.get("versions", {})
    simulated = " simulated" if run.simulated else ""
    return render_page(
        f"How well is the missing visit imputed in {name}?",
        [made for section in _SECTIONS if (made := section(run)) is not None],
        kicker=f"Evaluation on a{simulated} cohort" if simulated else "Evaluation",
        summary=_summary(run),
        colophon=[
            f"Made by nextscan {versions.get('nextscan', '')} from the run finished {run.record.get('finished')}.",
            "This page is one file; it loads nothing from anywhere.",
            about_people(individuals=run.individuals, simulated=run.simulated),
        ],
    )
