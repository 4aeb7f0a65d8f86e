"""Who was studied, and what was understood about the table."""

from __future__ import annotations

import numpy as np

from nextscan.report.figures.change import gap_histogram
from nextscan.report.figures.style import to_svg
from nextscan.report.page import Block, Fact, Facts, Fold, Notice, Picture, Prose, Section
from nextscan.report.run_folder import Run
from nextscan.wording import count, number


def cohort(run: Run) -> Section:
    """Return the section on subjects, visits, gaps and features."""
    told = run.cohort
    facts = [
        Fact(label, count(told[key]), remark)
        for key, label, remark in (
            ("n_subjects", "Subjects", ""),
            ("n_paired", "With a follow-up", "their last visit is hidden and predicted in turn"),
            ("n_visits", "Visits", ""),
            ("n_features", "Features", ""),
        )
        if key in told
    ]
    blocks: list[Block] = []
    if run.predictions is None:
        blocks += [
            Facts(facts),
            Notice("Gaps between visits: predictions.parquet is not in the run folder.", "missing"),
        ]
    else:
        targets = run.predictions.targets
        gaps = targets["gap"].to_numpy(float)
        known = gaps[np.isfinite(gaps)]
        if len(targets) != told.get("n_paired"):
            facts.append(Fact("Predicted visits", count(len(targets))))
        if len(known):
            low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
            spread = f"middle half {number(low)} to {number(high)}"
            facts.append(Fact("Median gap, years", number(middle), spread))
        blocks.append(Facts(facts))
        blocks += _gaps(known, len(gaps))
    notes = [str(note) for note in told.get("notes", ())]
    if notes and run.individuals:  # they may name people
        blocks.append(Fold(f"How the table was understood ({len(notes)} notes)", [Prose(notes)]))
    return Section("cohort", "Cohort", blocks, lead=_lead(run))


def _lead(run: Run) -> str:
    told = run.cohort
    name, source = str(told.get("name", "")), str(told.get("source", ""))
    return f"{name}, read from {source}." if source and source != name else f"{name}."


def _gaps(known: np.ndarray, n: int) -> list[Block]:
    if not len(known):
        return [Notice("The time between visits is not known for anybody.", "missing")]
    unknown = n - len(known)
    if np.ptp(known) < 1e-9:
        return [Prose([f"Every follow-up was {number(float(known[0]))} years after the visit it is predicted from."])]
    return [
        Picture(
            to_svg(gap_histogram(known), "gaps"),
            alt=f"Histogram of years from context to follow-up, from {number(known.min())} to {number(known.max())}.",
            caption="Time from the visit a prediction starts from to the real follow-up"
            + (f"; unknown for {count(unknown)}." if unknown else "."),
            wide=False,
        )
    ]
