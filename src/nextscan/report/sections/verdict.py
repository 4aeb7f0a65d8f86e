"""What the run says, in plain words, and the one score it rests on."""

from __future__ import annotations

from markupsafe import Markup

from nextscan.report.comparison import Difference, against, excess, leaders
from nextscan.report.figures.scores import score_intervals
from nextscan.report.figures.style import WIDTH, to_svg
from nextscan.report.methods import (
    CARRY_FORWARD,
    COPY_NEAREST,
    COPY_SOURCE,
    MEAN_CHANGE_IN_TIME,
    ORACLE,
    REGRESSION,
    RELIABILITY,
    SEGMENTER,
    VOLUME_MEAN_CHANGE,
    baselines,
    candidates,
    method_looks,
    part,
    title,
)
from nextscan.report.metric_catalogue import metric
from nextscan.report.page import Block, Cell, Column, Notice, Picture, Prose, Section, Table
from nextscan.report.run_folder import Run
from nextscan.report.sections.whether import VERBS
from nextscan.wording import NONE, capital, decimals, interval, listed, number, percent, signed_percent

REFERENCES = (
    CARRY_FORWARD, COPY_SOURCE, VOLUME_MEAN_CHANGE, COPY_NEAREST, MEAN_CHANGE_IN_TIME, REGRESSION, RELIABILITY
)  # fmt: skip


def headline(run: Run) -> str:
    """Say which method has the best energy score and who is tied with it."""
    energy = run.pooled("energy_score").drop(ORACLE, errors="ignore").dropna(subset="value")
    if energy.empty:
        return "No method has an energy score, so this run names no best method."
    best = energy.index[0]
    places = decimals(energy["value"])
    ends = interval(energy["low"][best], energy["high"][best], places)
    told = f"energy score {number(energy['value'][best], places)}" + (f", 95% interval {ends}" if ends else "")
    tied = [title(method) for method in energy.index if method in leaders(run, metric("energy_score")) - {best}]
    rest = f", with no clear difference from {listed(tied)}" if tied else ""
    return f"{capital(title(best))} predicts the missing visit best ({told}){rest}."


def sentences(run: Run) -> list[str]:
    """Say how each method that is no baseline fares, and how far from the best possible it is."""
    ours = candidates(run.methods)
    said = [line for method in ours if (line := _against_baselines(run, method))]
    failed = sorted({title(str(failure.get("method"))) for failure in run.record.get("failed", ())})
    if failed:
        said.append(f"{capital(listed(failed))} failed and is left out; the run record says why.")
    if not ours and not failed:
        said.append("Only baselines were evaluated; there is no method to hold against them.")
    over = excess(run)
    if over:
        named = [*ours, *(m for m in (REGRESSION, CARRY_FORWARD, COPY_SOURCE, COPY_NEAREST) if m in over)]
        parts = [
            f"{title(m)} by {percent(over[m].value)}{_ends(over[m])}" for m in run.methods if m in named and m in over
        ]
        said.append(
            f"The best possible energy score is known, as the cohort is simulated. Above it lie {listed(parts)}."
        )
    elif ORACLE not in run.methods:
        said.append("How good a prediction could possibly be is not known for real data.")
    return said


def _against_baselines(run: Run, method: str) -> str:
    said: dict[str, list[str]] = {outcome: [] for outcome in VERBS}
    for reference in (CARRY_FORWARD, COPY_SOURCE, VOLUME_MEAN_CHANGE, COPY_NEAREST, MEAN_CHANGE_IN_TIME, REGRESSION):
        difference = against(run, "energy_score", method, reference)
        if difference is not None and difference.outcome in VERBS:
            size = f"{percent(abs(difference.value))} {'lower' if difference.value < 0 else 'higher'}"
            said[difference.outcome].append(f"{title(reference)} (energy score {size})")
    parts = [
        Markup("<strong>{}</strong> {}").format(verb, listed(said[outcome]))
        for outcome, verb in VERBS.items()
        if said[outcome]
    ]
    return Markup("{} {}.").format(capital(title(method)), Markup(listed(parts))) if parts else ""


def _over(run: Run) -> str:
    """Say what the intervals of the pooled scores range over."""
    several = len(run.record.get("seeds", ())) > 1
    return "subjects (of methods with several training seeds: and over seeds)" if several else "subjects"


def _ends(difference: Difference) -> str:
    ends = interval(100 * difference.low, 100 * difference.high, 1)
    return f" ({ends})" if ends else ""


def verdict(run: Run) -> Section:
    """Return the section every reader reads."""
    blocks: list[Block] = [Notice(headline(run), "verdict"), Prose(sentences(run))]
    energy = run.pooled("energy_score").dropna(subset="value")
    rows = energy.drop(ORACLE, errors="ignore")
    if len(rows):
        limit = float(energy["value"][ORACLE]) if ORACLE in energy.index else None
        looks = method_looks(run.methods)
        told = [f"{title(m)} {number(float(rows['value'][m]))}" for m in rows.index]
        drawn = [
            score_intervals(
                [title(method) for method in rows.index],
                rows["value"],
                low=rows["low"],
                high=rows["high"],
                looks=[looks[method] for method in rows.index],
                label="energy score (lower is better)",
                limit=limit,
                limit_label="best possible",
                width=width,
            )
            for width in (WIDTH, 4.0)
        ]
        blocks.append(
            Picture(
                to_svg(drawn[0], "energy"),
                narrow=to_svg(drawn[1], "energy-narrow"),
                alt=f"Energy scores, lower is better: {', '.join(told)}."
                + (f" Best possible {number(limit)}." if limit is not None else ""),
                caption=(
                    f"Energy score of each method with its 95% interval over {_over(run)}. The intervals show how well "
                    "each score is known; whether two methods differ is told by the paired comparison below, which "
                    "takes out how hard each subject is to predict."
                    + " The dotted line is the oracle, which knows the law the cohort was drawn from."
                    * bool(limit)
                ),
            )
        )
    blocks.append(_pairs_table(run))
    return Section("verdict", "Verdict", blocks)


def _pairs_table(run: Run) -> Block:
    ranked = [method for method in run.methods if method not in (ORACLE, SEGMENTER)]
    foremost = [*ranked[:1], *baselines(ranked)[:1]]
    references = [m for m in dict.fromkeys((*foremost, *REFERENCES, ORACLE)) if m in run.methods]
    rows = []
    for method in ranked:
        row = [Cell(capital(title(method)), detail=part(method))]
        for reference in references:
            difference = against(run, "energy_score", method, reference) if method != reference else None
            row.append(_pair_cell(difference))
        rows.append(row)
    if all(cell.sort is None for row in rows for cell in row[1:]):
        return Notice(
            "Paired comparisons are missing: subject_scores.parquet is not in the run folder, or holds no energy "
            "score.",
            "missing",
        )
    columns = [Column("Method", numeric=False)]
    columns += [Column("Best possible" if m == ORACLE else capital(title(m)), direction="↓") for m in references]
    return Table(
        "Energy score relative to …",
        columns,
        rows,
        name="paired",
        note=(
            f"{_foremost(foremost)} Difference in mean energy score over the same subjects, in percent of the column’s "
            "method, with its 95% interval (paired, Student’s t). Bold: the interval lies below zero, the row beats "
            "the column."
            + (
                " The column for reliability shrinkage shows the gain beyond what measurement noise alone explains."
                if RELIABILITY in references
                else ""
            )
        ),
    )


def _foremost(methods: list[str]) -> str:
    names = [title(method) for method in methods]
    return (
        f"The best row, {names[0]}, and the best baseline, {names[-1]}, come first."
        if len(set(names)) > 1
        else f"The best row comes first{': a baseline' if part(methods[0]) == 'baseline' else ''}."
    )


def _pair_cell(difference: Difference | None) -> Cell:
    if difference is None or difference.outcome == "unknown":
        return Cell(NONE)
    return Cell(
        signed_percent(difference.value),
        sort=100 * difference.value,
        detail=interval(100 * difference.low, 100 * difference.high, 1),
        strong=difference.outcome == "lower",
    )
