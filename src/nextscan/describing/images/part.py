"""What images a cohort holds: their grids, a row for each, and what a few of them look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import Progress
from nextscan.cohort.cohort import ROLES, Cohort
from nextscan.describing.images.check import inspect_images
from nextscan.describing.images.findings import Seen, spaced_text
from nextscan.describing.part import Part
from nextscan.images.names import parse

_GRID = ["kind", "shape", "spacing", "orientation", "type"]


def images(cohort: Cohort, *, progress: Progress | None = None) -> Part:
    """Look at every image of a cohort.

    The table ``images`` has a row per usable image: subject, visit, kind (of its name), shape, spacing, orientation,
    type of its numbers, their range, and overlap and correlation with the subject's first image at low resolution. The
    table ``grids`` counts what they share. The plot ``thumbnails`` holds three planes of a few images.
    """
    seen = inspect_images(cohort, progress=progress, thumbnails=True)
    table = pd.DataFrame(
        [_row(cohort, each) for each in seen.images],
        columns=["subject", "visit", *_GRID, "low", "high", "overlap", "correlation"],
    )
    grids = table.groupby(_GRID, sort=False, as_index=False).size().rename(columns={"size": "images"})
    grids = grids.sort_values("images", ascending=False, kind="stable", ignore_index=True)
    fit = table["correlation"].dropna()
    facts = {
        "count": int(cohort.has_volume.sum()),
        "unusable": seen.unusable,
        "grids": len(grids),
        "roles": {role: int(np.count_nonzero(cohort.files_of(role) != "")) for role in ROLES if role in cohort.files},
        "correlation": {"lowest": float(fit.min()), "median": float(fit.median())} if len(fit) else {},
    }
    return Part(
        {"images": facts},
        tuple(seen.findings),
        {"images": table, "grids": grids},
        {"thumbnails": seen.thumbnails},
    )


def _row(cohort: Cohort, seen: Seen) -> dict[str, object]:
    header, fit = seen.header, seen.agreement
    name = parse(Path(header.path))
    return {
        "subject": seen.subject,
        "visit": str(cohort.visits[seen.row]),
        "kind": name.kind if name and "sub" in name.entities else "volume",
        "shape": "×".join(map(str, header.shape)),
        "spacing": spaced_text(header.spacing),
        "orientation": header.orientation,
        "type": header.dtype,
        "low": seen.values.low,
        "high": seen.values.high,
        "overlap": fit.overlap if fit else np.nan,
        "correlation": fit.correlation if fit else np.nan,
    }
