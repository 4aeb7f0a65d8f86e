"""Score a fitted image model and the baselines on people that no setting was chosen with.

    nextscan simulate brains brains --subjects 40 --shape 32,40,32
    nextscan simulate brains many --subjects 100 --shape 32,40,32 --seed 3
    nextscan fit brains --out model
    python benchmarks/volume_unseen.py brains many model

The baselines are fitted on the first cohort, as the model was. Prints regional scores of predictive means, and the
paired difference to the mean change with its 95 % interval over subjects.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from nextscan import load, read_cohort
from nextscan.cohort import hide
from nextscan.imputers import make_imputer
from nextscan.metrics import bootstrap_interval
from nextscan.study.plan import SEGMENTER
from nextscan.study.volumes.regions import measure_regions
from nextscan.study.volumes.scoring import regional_scores


def main(learned: str, unseen: str, model: str) -> None:
    """Measure and print."""
    train, test = read_cohort(learned), read_cohort(unseen)
    with tempfile.TemporaryDirectory() as folder:
        of_train, of_test = (measure_regions(each, SEGMENTER, Path(folder)) for each in (train, test))
    of_test = replace(of_test, slope=of_train.calibrated(of_train.as_features(train)).slope)
    task, known = hide(test), hide(of_test.as_features(test))
    baselines = [make_imputer(name).fit(train) for name in ("volume-mean-change", "copy-source")]
    scores = {}
    for method in (load(model), *baselines):
        said = [
            of_test.predicted(volume.mean, volume.affine, source=volume.source, context=context)
            for volume, context in zip(method.impute(task.shown, 1, seed=2), known.context, strict=True)
        ]
        scores[method.name] = regional_scores(known.truth, np.array(said), known.context)
        print(method.name, *(f"{name} {np.nanmean(values):.3f}" for name, values in scores[method.name].items()))
    first = next(iter(scores))
    for name in ("roi_change_error", "roi_change_correlation"):
        difference = scores[first][name] - scores["volume-mean-change"][name]
        low, high = bootstrap_interval(difference)
        print(f"{name}, {first} less mean change: {difference.mean():.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main(*sys.argv[1:4])
