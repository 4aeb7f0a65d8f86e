"""Who is better, on the same subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.errors import RunFolderError, SettingError
from nextscan.metrics import bootstrap_interval


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
