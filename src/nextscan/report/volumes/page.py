"""A small page beside imputed images: pictures and a viewer for a few subjects, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nextscan.atomic import write_text
from nextscan.errors import OutputError
from nextscan.report.methods import title
from nextscan.report.page import Block, Notice, Section, render_page
from nextscan.report.sections.volumes import planes
from nextscan.report.volumes.examples import VolumeExample
from nextscan.report.volumes.viewer import BUDGET, viewer
from nextscan.wording import count

LIMIT = 3  # subjects on the page


def write_volume_page(
    path: str | Path,
    examples: Sequence[VolumeExample],
    *,
    method: str,
    name: str = "",
    n_subjects: int | None = None,
    colophon: Sequence[str] = (),
    budget: int = BUDGET,
) -> Path:
    """Write a page that shows imputed images: slices, spread, predicted change, and a viewer over time.

    Parameters
    ----------
    path : path
        The HTML file; it loads nothing from anywhere.
    examples : sequence of VolumeExample
        The first three with a prediction of `method` are shown; `real` is left out where none is known.
    method : str
        The key in `VolumeExample.predicted`.
    name : str
        Of the cohort, for the heading.
    n_subjects : int, optional
        Of how many subjects images were imputed in all.
    colophon : sequence of str
        Lines at the foot: provenance.
    budget : int
        Characters the packed images may take; the page is NiiVue's 2.3 MB larger.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If there is no example of the method, or the file cannot be written.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from nextscan.report.volumes.examples import PredictedSeries
    >>> ball = np.float32(np.hypot.reduce(np.indices((12, 12, 12)) - 5.5, axis=0) < 4)
    >>> series = PredictedSeries(np.array([1.0, 2.0]), np.stack([0.9 * ball, 0.8 * ball]), [None, None])
    >>> example = VolumeExample("sub-01", np.eye(4), ball, {"volume-diffusion": series})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_volume_page(folder + "/imputed.html", [example], method="volume-diffusion")
    ...     "viewer" in page.read_text()
    True
    """
    shown = [example for example in examples if method in example.predicted][:LIMIT]
    if not shown:
        raise OutputError(f"{path}: there is no image imputed by {method} to show; give one example at least")
    blocks: list[Block] = [
        Notice(
            "These images were computed, not measured. Look at the uncertainty beside them, and take no diagnosis "
            "from them.",
            "warning",
        )
    ]
    browser = viewer(shown, method, name=title(method), budget=budget)
    assert browser is not None
    blocks.append(browser)
    sections = [Section("look", "The images", blocks)]
    for k, example in enumerate(shown):
        sections.append(Section(f"subject-{k}", example.subject, [planes(example, method, name=f"planes-{k}")]))
    n = len(shown)
    told = f"{n} of {count(n_subjects)}" if n_subjects is not None and n_subjects > n else str(n)
    subjects = "subject" if told == "1" else "subjects"
    page = render_page(
        f"Imputed images of {name}" if name else "Imputed images",
        sections,
        kicker="Imputation",
        summary=f"What {title(method)} imputed for {told} {subjects}, beside the image each starts from.",
        colophon=[*colophon, "This page is one file; it loads nothing from anywhere. The viewer is NiiVue (BSD-2)."],
    )
    write_text(path, page)
    return Path(path)
