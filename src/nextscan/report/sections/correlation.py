"""Whether imputed people's features go together as real people's do."""

from __future__ import annotations

import numpy as np

from nextscan.report.figures.correlation import cluster_order, correlation_triptych, correlations
from nextscan.report.figures.style import to_svg
from nextscan.report.methods import title
from nextscan.report.page import Block, Notice, Picture, Section
from nextscan.report.run_folder import Run, featured
from nextscan.wording import capital, count, number, percent

_LEAD = (
    "Correlations between features over the test subjects’ follow-ups: real, imputed, and the difference. Draws "
    "are compared, one per subject: means vary too little and would be correlated too strongly."
)


def correlation(run: Run) -> Section:
    """Return the section of correlation triptychs."""
    if run.predictions is None:
        blocks: list[Block] = [
            Notice("Correlations are missing: predictions.parquet is not in the run folder.", "missing")
        ]
        return Section("correlations", "Correlations", blocks, lead=_LEAD)
    real = correlations(run.predictions.truth)
    order = cluster_order(real)
    order = order[np.isfinite(np.diag(real)[order])]
    if len(order) < 2:
        return Section(
            "correlations",
            "Correlations",
            [Notice("Fewer than two features vary, so none correlate.", "missing")],
        )
    real = real[np.ix_(order, order)]
    blocks = [picture for method in featured(run) if (picture := _triptych(run, method, real, order))]
    if not blocks:
        blocks = [Notice("Correlations are missing: predictions.parquet holds no draws.", "missing")]
    return Section("correlations", "Correlations", blocks, lead=_LEAD)


def _triptych(run: Run, method: str, real: np.ndarray, order: np.ndarray) -> Picture | None:
    assert run.predictions is not None
    draw = run.predictions.of("draw", method)
    if draw is None:
        return None
    generated = correlations(draw[:, order])
    difference = (generated - real)[np.triu_indices(len(order), 1)]
    difference = np.abs(difference[np.isfinite(difference)])
    if not len(difference):
        return None
    mean, large = float(difference.mean()), float((difference > 0.2).mean())
    told = f"mean absolute difference {number(mean)}; {percent(large)} of the pairs differ by more than 0.2"
    return Picture(
        to_svg(
            correlation_triptych(real, generated, generated_title="Drawn"),
            f"correlation-{method}",
            smooth=len(order) > 200,
        ),
        alt=f"Correlation matrices of {count(len(order))} features, real and drawn by {title(method)}: {told}.",
        caption=(
            f"{capital(title(method))}, {count(len(order))} features in the order of a clustering of the real "
            f"correlations: {told}. Orange is positive, blue negative, darker is stronger. Right: every pair of "
            "features as a point, which also tells the sign without colour; the nearer to the line, the better."
        ),
    )
