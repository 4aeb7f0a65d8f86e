"""Who is better, on the same subjects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.errors import RunFolderError, SettingError
from nextscan.metrics import bootstrap_interval, percentile_interval, resampled_means
from nextscan.study.plan import ALL_BASELINES, ORACLES

COLUMNS = ("metric", "method", "role", "against", "difference", "low", "high", "n")

_HIGHER = {
    "pearson_per_feature", "pearson_per_feature_of_mean", "pearson_per_subject", "pearson_per_subject_of_mean",
    "change_correlation", "ssim", "ssim_mask", "psnr", "psnr_mask", "voxel_change_correlation", "direction_auroc",
    "roi_change_correlation", "ssim_heart", "psnr_heart", "dice_cavity", "ef_correlation",
}  # fmt: skip
_TARGETS = {
    "coverage_80": 0.8, "coverage_95": 0.95, "sd_ratio": 1.0, "voxel_coverage_80": 0.8, "ef_coverage_80": 0.8,
    "ef_bias": 0.0, "roughness_ratio": 1.0,
}  # fmt: skip


def against_best(
    subjects: Mapping[str, Mapping[str, FloatArray]], *, kinds: Mapping[str, str] | None = None, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``differences.csv``: every method against the best row and the best baseline.

    For each score, `difference` is the method's less that of `against`, over the subjects who have one by
    all methods; of scores with a target (coverage, spread ratio) it is the difference of their distances to
    it. `low` and `high` are the ends of the paired 95 % bootstrap interval over subjects; a method whose
    interval holds 0 is as good as `against`. `role` is "best" or "best baseline"; the oracle is no method
    and is neither.

    Parameters
    ----------
    subjects : mapping of method to mapping of metric to ndarray, shape (n_subjects,)
        Each subject's score, the same subjects in the same order for all methods.
    kinds : mapping of method to registry name, optional
        Which rows are baselines or the oracle; by default those called so.
    seed : int
        Of the bootstrap.
    """
    kinds = {method: (kinds or {}).get(method, method) for method in subjects}
    for metric in dict.fromkeys(name for scores in subjects.values() for name in scores):
        scored = {m: s[metric] for m, s in subjects.items() if metric in s and not np.isnan(s[metric]).all()}
        table = np.column_stack(list(scored.values())) if scored else np.zeros((0, 0))
        table = table[~np.isnan(table).any(axis=1)]
        if not len(table):
            continue
        means = dict(zip(scored, np.vstack([table.mean(axis=0), resampled_means(table, seed=seed)]).T, strict=True))
        if metric in _TARGETS:
            means = {method: np.abs(values - _TARGETS[metric]) for method, values in means.items()}
        sign = -1 if metric in _HIGHER else 1
        methods = [method for method in means if kinds[method] not in ORACLES]
        baselines = [method for method in methods if kinds[method] in ALL_BASELINES]
        for role, among in (("best", methods), ("best baseline", baselines)):
            if not among:
                continue
            against = min(among, key=lambda method: sign * means[method][0])
            apart = np.column_stack([values - means[against] for values in means.values()])
            low, high = percentile_interval(apart[1:])
            for method, *numbers in zip(means, apart[0], low, high, strict=True):
                row = (metric, method, role, against, *map(float, numbers), len(table))
                yield dict(zip(COLUMNS, row, strict=True))


def paired_differences(scores: str | Path | pd.DataFrame, metric: str, *, reference: str) -> pd.DataFrame:
    """Return how much each method's score differs from a reference method's, over the same subjects.

    Scores of a subject are averaged over repeats and seeds first; the interval is a bootstrap over
    subjects. A method whose interval holds zero ties with the reference. The gain in
    ``change_correlation`` over the ``reliability`` row is the *information beyond reliability*: what a
    method knows about change that shrinking a noisy first visit does not tell.

    Parameters
    ----------
    scores : path or DataFrame
        A run folder, or its `subject_scores.parquet` as a table.
    metric : str
    reference : str
        A method.

    Returns
    -------
    DataFrame
        Columns method, difference, low, high, n; missing where a method has no such score.

    Raises
    ------
    RunFolderError
        If the folder holds no subject scores.
    SettingError
        If the metric or the reference is not among them.
    """
    table = scores if isinstance(scores, pd.DataFrame) else _read(Path(scores))
    table = table[table["metric"] == metric]
    methods = list(dict.fromkeys(table["method"]))
    if reference not in methods:
        raise SettingError(
            f"no scores of {reference} by {metric} for each subject; there are {', '.join(methods) or 'none at all'}"
        )
    values = table.groupby(["subject", "visit", "method"])["value"].mean().unstack("method")
    rows = []
    for method in methods:
        difference = (values[method] - values[reference]).dropna().to_numpy(np.float64)
        known = bool(len(difference))
        low, high = bootstrap_interval(difference) if known else (np.nan, np.nan)
        value = difference.mean() if known else np.nan
        rows.append({"method": method, "difference": value, "low": low, "high": high, "n": len(difference)})
    return pd.DataFrame(rows)


def _read(folder: Path) -> pd.DataFrame:
    path = folder / "subject_scores.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: cannot be read; give the folder of a finished evaluation") from error
