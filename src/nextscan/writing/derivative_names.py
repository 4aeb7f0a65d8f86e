"""Names of imputed images in a BIDS derivative."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from nextscan.errors import CohortError, NextscanWarning, some
from nextscan.images.names import CONTRASTS, FILM

_AT = re.compile(r"imputed([+-])(\d.*)")


def session_label(visit: str, time_unit: str = "years") -> str:
    """Return a visit's name as a BIDS label: letters and digits only.

    >>> [session_label(visit) for visit in ("ses-02", "imputed", "imputed+2", "imputed+0.5", "imputed-1")]
    ['02', 'imputed', 'imputed2y', 'imputed0p5y', 'imputedminus1y']
    >>> session_label("frame-07", "cycle"), session_label("imputed+0.35", "cycle")  # frames of a film are sessions
    ('frame07', 'imputed0p35c')
    """
    if match := _AT.fullmatch(visit):
        sign, number = match.groups()
        number = number.replace(".", "p").replace("-", "minus").replace("+", "")
        return f"imputed{'minus' if sign == '-' else ''}{number}{_letters(time_unit)[:1]}"
    return _letters(visit.removeprefix("ses-"))


def subject_label(subject: str) -> str:
    """Return a subject's name as a BIDS label.

    >>> subject_label("sub-01"), subject_label("site_A-007")
    ('01', 'siteA007')
    """
    return _letters(subject.removeprefix("sub-"))


def _letters(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)


def check_labels(names: Iterable[str], labels: Iterable[str], what: str) -> None:
    """Refuse names that BIDS cannot tell apart.

    Raises
    ------
    CohortError
    """
    whose: dict[str, str] = {}
    for name, label in zip(names, labels, strict=True):
        if not label:
            raise CohortError(f"{what} {name!r} has no letter or digit, which a BIDS name needs; rename it")
        if whose.setdefault(label, name) != name:
            raise CohortError(
                f"{what}s {whose[label]!r} and {name!r} would both be called {label}, as BIDS names hold letters and "
                "digits only; rename one"
            )


def warn_of_suffixes(suffixes: Iterable[str]) -> None:
    """Warn of images whose contrast their names do not tell, as BIDS tools will not know the names of results."""
    if unknown := sorted(set(suffixes) - CONTRASTS - {FILM}):
        warnings.warn(
            f"the names of images do not end in a contrast BIDS knows ({some(sorted(CONTRASTS))}) but in "
            f"{some(unknown)}: imputed images are named alike, and BIDS tools may pass over them; rename the images "
            "to have T1w or the like at the end",
            NextscanWarning,
            stacklevel=3,
        )
