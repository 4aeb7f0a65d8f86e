"""Say before long work what in a cohort may mislead it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nextscan.errors import CohortError, NextscanWarning

if TYPE_CHECKING:
    from nextscan.cohort import Cohort, Targets
    from nextscan.imputers import Imputer


class Caution(NextscanWarning):
    """Something that distorts results unless the user does something about it."""


def warn_of_data(cohort: Cohort, table: Path) -> None:
    """Warn of everything in a cohort that `nextscan describe` calls a warning.

    A cohort that cannot be described is left to the work itself, whose error says more.
    """
    from nextscan.cohort.describe import describe

    try:
        findings = describe(cohort).findings
    except CohortError:
        return
    for finding in findings:
        if finding.level == "warning":
            warnings.warn(f"{finding.text}; see nextscan describe {table}", Caution, stacklevel=2)


def warn_of_time(imputer: Imputer, wanted: Targets) -> None:
    """Warn, where times are known, that a method which does not use time predicts the same at each."""
    if (wanted.gap > 0).any():
        warnings.warn(
            f"{imputer.name} does not use time: its prediction is the same at every time, so yearly change "
            "must not be read from it; the __annual_percent columns are left empty",
            Caution,
            stacklevel=2,
        )
