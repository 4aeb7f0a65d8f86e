"""Impute 0 to 5 years from first scans of phantoms: whether ventricles grow with time, and 0 years is the scan.

    nextscan simulate brains brains --subjects 40 --shape 32,40,32 --seed 1
    nextscan simulate brains others --subjects 40 --shape 32,40,32 --seed 2
    nextscan fit brains --out model
    python benchmarks/volume_times.py others model

Of each predictive mean the ventricles are measured (`nextscan.metrics.segment`). At 0 years it is compared with the
scan it starts from, in units of the noise of that scan, which phantoms tell: 0 is a copy, 1 is as far as the scan is
from the truth, and so as far as taking away all of its noise goes. Prints a Markdown table and, as its last line, JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nextscan import load, read_cohort
from nextscan.cohort import Cohort
from nextscan.images.files import read_image
from nextscan.imputers.volumes.base import VolumeImputer
from nextscan.metrics import segment

YEARS = (0.0, 0.5, 1.0, 2.0, 5.0)
FloatArray = NDArray[np.float64]


def first_scans(cohort: Cohort) -> Cohort:
    """Return the first visit of each subject."""
    return cohort.select_visits(np.diff(cohort.subject_of, prepend=-1) != 0)


def ventricles_over_time(model: VolumeImputer, scans: Cohort, years: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Return ventricles over those of the scan, shape (n_subjects, n_years), and the distance from it at 0 years.

    The distance, shape (n_subjects,), is the root mean square difference in units of that of scan and noise-free
    image; NaN where there is no such image.
    """
    grown, distance = np.full((scans.n_subjects, len(years)), np.nan), np.full(scans.n_subjects, np.nan)
    rows = {str(name): row for row, name in enumerate(scans.subject_names(np.arange(scans.n_visits)))}
    for predicted in model.impute(scans, 1, at_years=list(years)):
        row = rows[predicted.subject]
        scan = read_image(predicted.source)
        before, after = (segment(image, scan.affine)["ventricles"] for image in (scan.data, predicted.mean))
        grown[row, list(years).index(predicted.gap)] = after / before
        if predicted.gap == 0 and (clean := scans.files_of("noise_free")[row]):
            noise = rms(scan.data - read_image(clean).data)
            distance[row] = rms(predicted.mean - scan.data) / noise
    return grown, distance


def rms(values: NDArray[np.float32]) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def main() -> None:
    """Print how ventricles grow and how far 0 years is from the scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path, help="a folder that `nextscan simulate brains` wrote")
    parser.add_argument("model", type=Path, help="a folder that `nextscan fit` wrote")
    arguments = parser.parse_args()
    model = load(arguments.model)
    grown, distance = ventricles_over_time(model, first_scans(read_cohort(arguments.cohort)), YEARS)
    steps = np.diff(grown, axis=1)
    print(f"`{model.name}`, {len(grown)} subjects: ventricles against those of the scan\n")
    print("| years | mean change | standard deviation | larger than at the time before |\n|--:|--:|--:|--:|")
    for i, years in enumerate(YEARS):
        larger = f"{100 * (steps[:, i - 1] > 0).mean():.0f} %" if i else "–"
        mean, sd = 100 * (grown[:, i].mean() - 1), 100 * grown[:, i].std(ddof=1)
        print(f"| {years:g} | {mean:+.2f} % | {sd:.2f} % | {larger} |")
    out = {
        "method": model.name,
        "subjects": len(grown),
        "share_growing_at_every_step": float((steps > 0).all(axis=1).mean()),
        "share_never_turning": float(((steps > 0).all(axis=1) | (steps < 0).all(axis=1)).mean()),
        "mean_relative_change": dict(zip(map(str, YEARS), (grown.mean(axis=0) - 1).round(5).tolist(), strict=True)),
        "distance_at_0_years_in_noise": {"mean": float(distance.mean()), "largest": float(distance.max())},
    }
    print(f"\n{json.dumps(out)}")


if __name__ == "__main__":
    main()
