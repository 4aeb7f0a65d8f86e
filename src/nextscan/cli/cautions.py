"""Say before long work what in a cohort may mislead it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nextscan.errors import CohortError, NextscanWarning, some

if TYPE_CHECKING:
    from nextscan.cohort import Cohort, Imputation, Targets
    from nextscan.imputers.estimator import Estimator


_LEAST_OF, _MOST_OF = 0.5, 1.5  # of the shortest and the longest gap in training: beyond, it is said


class Caution(NextscanWarning):
    """Something that distorts results unless the user does something about it."""


def caution(text: str) -> None:
    """Warn of something that distorts results."""
    warnings.warn(text, Caution, stacklevel=3)


def warn_of_data(cohort: Cohort, table: Path) -> None:
    """Warn of everything in a cohort that `nextscan describe` calls a warning, and stop at what it calls an error.

    A cohort that cannot be described is left to the work itself, whose error says more.

    Raises
    ------
    ImageError
        If an image cannot be used.
    CohortError
        If a finding is an error.
    """
    from nextscan.cohort.findings import refuse_errors
    from nextscan.describing.describe import describe
    from nextscan.describing.images.check import require_usable

    try:
        findings = describe(cohort).findings
    except CohortError:
        return
    require_usable(findings)
    told = set(cohort.findings)
    for finding in findings:
        if finding.level in ("error", "warning"):
            caution(f"{finding}; see nextscan describe {table}")
        elif finding.level == "note" and finding in told:
            warnings.warn(str(finding), NextscanWarning, stacklevel=2)
    refuse_errors(findings)


def tell_findings(cohort: Cohort) -> None:
    """Say what reading a table to impute brought up."""
    for finding in cohort.findings:
        if finding.level in ("error", "warning"):
            caution(str(finding))
        elif finding.level == "note":
            warnings.warn(str(finding), NextscanWarning, stacklevel=2)


def warn_of_time(imputer: Estimator, wanted: Targets, *, therefore: str) -> None:
    """Warn, where times are known, of a method that does not use time and so predicts the same at each."""
    if not imputer.uses_time and (wanted.gap > 0).any():
        caution(f"{imputer.name} does not use time: its prediction is the same at every time, so {therefore}")


def warn_of_reach(imputer: Estimator, wanted: Targets, time_unit: str = "years") -> None:
    """Warn of targets at times that no interval of training stands for."""
    gap = wanted.gap[(wanted.gap == wanted.gap) & (wanted.gap != 0)]
    seen = imputer.record_.get("gap_range")
    if not len(gap) or not imputer.uses_time:
        return
    if seen is None:
        caution(
            f"this {imputer.name} model was fitted without times: what it says of a time, and of change per year, is "
            "a guess; give years in the training table"
        )
        return
    low, high = seen
    beyond = (gap < _LEAST_OF * low) | (gap > _MOST_OF * high)
    if beyond.any():
        near, far = (f"{end:.3g}" for end in (gap[beyond].min(), gap[beyond].max()))
        span = near if near == far else f"{near} to {far}"
        caution(
            f"{int(beyond.sum()):,} of {len(wanted):,} targets are {span} {time_unit} "
            f"from the scan, training saw {low:.3g} to {high:.3g}: predictions and intervals there, conformal ones "
            "too, are extrapolations that nothing has tested"
        )


def telling_unlike(chunks: Iterable[Imputation]) -> Iterator[Imputation]:
    """Pass chunks on; behind the last, warn of subjects unlike those that change was learned from."""
    n_subjects = 0
    unlike: list[str] = []
    for chunk in chunks:
        subject = chunk.requested.subject
        n_subjects += len(set(subject.tolist()))
        unlike += dict.fromkeys(subject[chunk.unlike_training].tolist())
        yield chunk
    if unlike:
        caution(
            f"{len(unlike):,} of {n_subjects:,} imputed subjects lie farther out than 99% of those that change was "
            f"learned from, where 1% is chance: {some(unlike)}; look at their scans, what is imputed for them is an "
            "extrapolation (column unlike_training)"
        )
