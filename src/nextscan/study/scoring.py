"""Score one imputation of one fold: every metric, per subject and per feature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nextscan import metrics
from nextscan.arrays import FloatArray
from nextscan.cohort import Imputation, Task
from nextscan.study.units import Units, Values

LEVELS = np.round(np.arange(1, 20) / 20, 2)
"""Levels of the calibration curve."""

DISTRIBUTION: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "frechet_distance": metrics.frechet_distance,
    "mean_correlation": metrics.mean_correlation,
    "covariate_correlation_gap": metrics.covariate_correlation_gap,
}
"""Scores of one whole completed data set: the first draw of every subject, on the published scale."""

_SIMILARITY = {
    "pearson_per_subject": metrics.pearson_per_subject,
    "euclidean": metrics.euclidean,
    "cosine_distance": metrics.cosine_distance,
}
_SUBJECTS_AT_ONCE = 32  # keeps all draws of a part in the processor's cache


@dataclass(frozen=True, eq=False)
class FoldScores:
    """All scores of one method on the test subjects of one fold.

    Attributes
    ----------
    by_subject : dict of metric to ndarray, shape (n_subjects,)
        The mean over subjects is the score: the subject's own score, or its pseudo-value where a score
        belongs to a group (see `nextscan.metrics.across_subjects`). NaN where there is none.
    covered : ndarray, shape (n_subjects, n_levels)
        Share of a subject's features inside the central interval of each of `LEVELS`.
    by_feature : dict of metric to ndarray, shape (n_features,)
    crps : ndarray of float32, shape (n_subjects, n_features)
        Behind its averages, for paired comparisons of single features; empty where it is not kept.
    against_training : dict of metric to float
        Distribution scores of this fold's draws against the training subjects' real follow-ups.
    """

    by_subject: dict[str, FloatArray]
    covered: FloatArray
    by_feature: dict[str, FloatArray]
    crps: NDArray[np.float32]
    against_training: dict[str, float]


def score_fold(task: Task, imputation: Imputation, units: Units, training_follow_ups: FloatArray) -> FoldScores:
    """Score an imputation against what was hidden.

    Parameters
    ----------
    task : Task
    imputation : Imputation
        Of `task.shown`; native units.
    units : Units
    training_follow_ups : ndarray, shape (n_training_pairs, n_features)
        Native units.
    """
    truth, draws, mean = task.truth, imputation.draws, imputation.mean()
    parts = [_score_part(truth[part], draws[:, part], mean[part], units) for part in _parts(len(truth))]
    by_subject = {name: np.concatenate([scores[name] for scores, _, _ in parts]) for name in parts[0][0]}
    covered = np.concatenate([shares for _, shares, _ in parts])
    crps = np.concatenate([scores for _, _, scores in parts])
    grouped = {
        # Correlations and ratios of one feature are the same in every unit.
        "pearson_per_feature": metrics.pearson_per_feature(truth, draws),
        "pearson_per_feature_of_mean": metrics.pearson_per_feature(truth, mean[None]),
        "sd_ratio": metrics.sd_ratio(truth, draws),
        "change_correlation": metrics.change_correlation(truth, mean, task.context),
        "rmse": metrics.rmse(units.spread(truth), units.spread(mean)),
    }
    drawn = units.published(draws[0])
    training = units.published(training_follow_ups)
    several = min(len(training), len(drawn)) > 1  # one subject has no distribution
    return FoldScores(
        by_subject=by_subject | {name: score.per_subject for name, score in grouped.items()},
        covered=covered,
        by_feature={name: score.per_feature for name, score in grouped.items()}
        | {"crps": metrics.known_mean(crps, axis=0)},
        crps=crps.astype(np.float32),
        against_training={
            f"{name}_train": score(training, drawn) if several else float("nan") for name, score in DISTRIBUTION.items()
        },
    )


def _parts(n: int) -> Iterator[slice]:
    for start in range(0, n, _SUBJECTS_AT_ONCE):
        yield slice(start, start + _SUBJECTS_AT_ONCE)


def _score_part(
    truth: FloatArray, draws: Values, mean: FloatArray, units: Units
) -> tuple[dict[str, FloatArray], FloatArray, FloatArray]:
    """Return scores per subject, shares covered per level, and the CRPS per subject and feature."""
    scores: dict[str, FloatArray] = {}
    real, drawn, centre = (units.published(values) for values in (truth, draws, mean))
    for name, score in _SIMILARITY.items():
        scores[name] = score(real, drawn)
        scores[f"{name}_of_mean"] = score(real, centre[None])
    real, drawn = units.spread(truth), units.spread(draws)
    crps = metrics.crps(real, drawn)
    scores["crps"] = metrics.known_mean(crps, axis=1)
    scores["energy_score"] = metrics.energy_score(real, drawn)
    central = metrics.central_level(real, drawn)
    highest = metrics.highest_level(len(draws))
    covered = np.full((len(truth), len(LEVELS)), np.nan)
    for i, level in enumerate(LEVELS[highest >= LEVELS]):
        covered[:, i] = metrics.known_mean(metrics.covered(central, level), axis=1)
    for name, level in (("coverage_80", 0.8), ("coverage_95", 0.95)):
        scores[name] = covered[:, int(np.searchsorted(LEVELS, level))]
    return scores, covered, crps
