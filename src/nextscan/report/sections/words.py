"""What the words and scores mean, and how to cite."""

from __future__ import annotations

from markupsafe import Markup

from nextscan.report.methods import CARRY_FORWARD, COPY_SOURCE, ORACLE, REGRESSION, RELIABILITY
from nextscan.report.metric_catalogue import DRAW, MEAN, Metric, ordered
from nextscan.report.page import Block, Definitions, Fragment, Prose, Section
from nextscan.report.run_folder import OVERALL, Run

_TERMS = (
    (
        "Draw and predictive mean",
        "A draw is one possible follow-up; the predictive mean is the average of all of them (of images, some methods "
        "leave the noise of the source in it). Never compare the two: "
        "a calibrated draw correlates with the truth only up to R², its mean up to R, and a draw that has collapsed "
        "onto the mean looks better than it is. Proper scores (energy score, CRPS) are not fooled.",
    ),
    (
        "Carry forward",
        "The last scan taken as the next one; its draws add changes seen in training subjects. A method that does "
        "not beat it has learned nothing useful.",
    ),
    (
        "Copy of the source",
        "The source image taken as the follow-up; its draws add changes seen in training subjects. It is "
        "sharp and hardly wrong, as a head changes little, so likeness alone (SSIM, PSNR) proves nothing.",
    ),
    (
        "Per-feature regression",
        "Each feature’s follow-up regressed on its own first value, with resampled residuals.",
    ),
    (
        "Reliability shrinkage",
        "Each first visit shrunk towards its expected value by the measurement noise seen between visits. What a "
        "method gains over this row is information beyond reliability.",
    ),
    (
        "Reliability ceiling",
        "The share of a follow-up’s variance that is not measurement noise; no predictor explains more. It is "
        "estimated as one less half the variance of change over the variance of the follow-up: where people truly "
        "change apart, noise is less than that half and the ceiling higher.",
    ),
    (
        "False discovery rate",
        "Of the features called different, the share expected to be so by chance alone; held at 5% over all features "
        "of a run by the method of Benjamini and Hochberg (their q-value).",
    ),
    (
        "Oracle",
        "For simulated cohorts: draws from the very law the cohort was made with, so nothing can be better on average.",
    ),
    (
        "Fan",
        "The spread of the draws for one subject and feature, from the inner half to the outer 95%.",
    ),
    (
        "No clear difference",
        "The paired 95% interval of the difference (a bootstrap over subjects) holds zero; where scores per subject "
        "are not kept, the intervals of both scores overlap.",
    ),
)

_CITATIONS = """\
@software{nextscan,
  title   = {nextscan: impute the follow-up scan that was never taken},
  author  = {{The nextscan developers}},
  version = {VERSION}
}
"""

_SECONDGRAM = """\
@article{theodorou2025secondgram,
  title   = {SECONDGRAM: Self-conditioned diffusion with gradient manipulation for
             longitudinal MRI imputation},
  author  = {Theodorou, Brandon and Dadu, Anant and Nalls, Mike and Faghri, Faraz and Sun, Jimeng},
  journal = {Patterns},
  year    = {2025},
  doi     = {10.1016/j.patter.2025.101212}
}
"""


def glossary(run: Run) -> Section:
    """Return one sentence on every score of the run and on the words the page uses."""
    names = set(run.scores.loc[run.scores["group"] == OVERALL, "metric"])
    absent = {
        term
        for term, method in (
            ("Oracle", ORACLE),
            ("Carry forward", CARRY_FORWARD),
            ("Copy of the source", COPY_SOURCE),
            ("Per-feature regression", REGRESSION),
            ("Reliability shrinkage", RELIABILITY),
        )
        if method not in run.methods
    }
    terms = [(term, meaning) for term, meaning in _TERMS if term not in absent]
    scores = [(_term(entry), entry.meaning) for entry in ordered(names)]
    return Section("glossary", "Glossary", [Definitions(terms), Definitions(scores)])


def _term(entry: Metric) -> Markup:
    kind = {MEAN: ", mean", DRAW: ", draw"}.get(entry.group, "")
    return Markup("{}{} {}<br><code>{}</code>").format(entry.title, kind, entry.direction, entry.name)


def citing(run: Run) -> Section:
    """Return references for the software and for the methods in the run."""
    version = str(run.record.get("versions", {}).get("nextscan", ""))
    entries = _CITATIONS.replace("VERSION", version)
    blocks: list[Block] = [Prose(["Please cite the software with its version, and the paper of each method used."])]
    if any(method.startswith("secondgram") for method in run.methods):
        entries += "\n" + _SECONDGRAM
    fingerprint = run.cohort.get("fingerprint")
    if fingerprint:
        entries += f"\n% cohort fingerprint of this run: {fingerprint}\n"
    blocks.append(Fragment(Markup('<pre tabindex="0"><code>{}</code></pre>').format(entries.rstrip())))
    return Section("cite", "How to cite", blocks)
