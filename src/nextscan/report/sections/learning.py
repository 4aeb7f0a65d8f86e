"""How the methods that train by gradient steps learned."""

from __future__ import annotations

from nextscan.report.figures.learning import learning_curves, skipped_share
from nextscan.report.figures.style import to_svg
from nextscan.report.methods import method_looks, title
from nextscan.report.page import Block, Notice, Picture, Prose, Section
from nextscan.report.run_folder import Run
from nextscan.wording import capital, count, percent

_LEAD = "One thin line per fold and seed; the thick line is their median."


def learning(run: Run) -> Section:
    """Return the section of learning curves."""
    if run.learning is None or run.learning.empty:
        trained = any("learning" in job.get("record", {}) for job in run.record.get("jobs", ()))
        text = "Learning curves are missing: learning.csv is not in the run folder."
        blocks: list[Block] = [Notice(text, "missing")]
        if not trained and run.learning is not None:
            blocks = [Prose(["No method of this run trains step by step."])]
        return Section("learning", "Learning curves", blocks)
    looks = method_looks(run.methods)
    blocks = []
    for method in [m for m in run.methods if m in set(run.learning["method"])]:
        rows = run.learning[run.learning["method"] == method]
        runs = [part for _, part in rows.groupby(["seed", "repeat", "fold"])]
        skipped = sum(part["skipped"].sum() for part in runs) / max(1, sum(part["step"].max() for part in runs))
        worst = max(float(skipped_share(part.sort_values("epoch")).max()) for part in runs)
        epochs = sorted({int(part["epoch"].max()) for part in runs})
        span = count(epochs[0]) if len(epochs) == 1 else f"{count(epochs[0])} to {count(epochs[-1])}"
        told = f"{count(len(runs))} training runs of {span} epochs; "
        if skipped:
            told += f"{percent(skipped)} of all steps were skipped because their gradient was too large, "
            told += f"at worst {percent(worst)} of an epoch"
        else:
            told += "no step was skipped"
        blocks.append(
            Picture(
                to_svg(learning_curves(rows, look=looks[method]), f"learning-{method}"),
                alt=f"Validation score, training loss and skipped steps of {title(method)} by epoch: {told}.",
                caption=f"{capital(title(method))}: {told}.",
            )
        )
    return Section("learning", "Learning curves", blocks, lead=_LEAD)
