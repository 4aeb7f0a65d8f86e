"""Describe a cohort, or the table that it is read from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextscan.cohort.cohort import Cohort

if TYPE_CHECKING:
    from pandas import DataFrame

    from nextscan.describing.description import Description


def describe(
    cohort: Cohort | str | Path | DataFrame, *, pool: Iterable[str] | None = None, progress: Any = None
) -> Description:
    """Say what a cohort holds and what in it may mislead; see `nextscan.describing.describe.describe`.

    Parameters
    ----------
    cohort : Cohort, path or DataFrame
        What is no cohort is read as by `nextscan.read_cohort`, without a schema but the one beside a file.
    pool : iterable of str, optional
        Names of subjects to compare with the paired ones.
    progress : callable, optional

    Returns
    -------
    Description

    Raises
    ------
    CohortError, SchemaError
        If a table cannot be understood, or the cohort holds no visit with features or images.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"subject": ["A", "A"], "age": [60, 62.5], "hippocampus": [3800.0, 3700.0]})
    >>> describe(table).facts["visits"]["per_subject"]
    {2: 1}
    """
    from nextscan.describing.describe import describe as describe_cohort

    if not isinstance(cohort, Cohort):
        from nextscan.reading import read_cohort

        cohort = read_cohort(cohort)
    return describe_cohort(cohort, pool=pool, progress=progress)
