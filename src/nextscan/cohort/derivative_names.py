"""Names of imputed images in a BIDS derivative."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from nextscan.cohort.readers.bids_names import parse
from nextscan.errors import CohortError, NextscanWarning, some

_AT = re.compile(r"imputed([+-])(\d.*)")
_CONTRASTS = {
    name.lower(): suffix
    for suffix, names in {
        "T1w": ("T1", "T1w", "MPRAGE"),
        "T2w": ("T2", "T2w"),
        "PDw": ("PD", "PDw"),
        "FLAIR": ("FLAIR",),
        "T2starw": ("T2star", "T2starw"),
        "UNIT1": ("UNIT1",),
        "inplaneT1": ("inplaneT1",),
        "inplaneT2": ("inplaneT2",),
        "angio": ("angio",),
        "T1map": ("T1map",),
        "T2map": ("T2map",),
        "MTRmap": ("MTRmap",),
    }.items()
    for name in names
}
CONTRASTS = frozenset(_CONTRASTS.values())
"""BIDS suffixes that `image_name` recognises."""
_REPLACED = ("sub", "ses", "desc")


def session_label(visit: str, time_unit: str = "years") -> str:
    """Return a visit's name as a BIDS label: letters and digits only.

    >>> [session_label(visit) for visit in ("ses-02", "imputed", "imputed+2", "imputed+0.5", "imputed-1")]
    ['02', 'imputed', 'imputed2y', 'imputed0p5y', 'imputedminus1y']
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


def image_name(source: str) -> tuple[str, str]:
    """Return what the name of an image says of its kind: entities such as ``acq-3d_``, and the BIDS suffix.

    >>> image_name("sub-01_ses-2_acq-3d_run-1_desc-preproc_T1w.nii.gz"), image_name("patient01/study1_T2W.nii.gz")
    (('acq-3d_run-1_', 'T1w'), ('', 'T2w'))
    """
    file = parse(Path(source))
    if file is not None:
        kept = [f"{key}-{value}_" for key, value in file.entities.items() if key not in _REPLACED]
        return "".join(kept), _CONTRASTS.get(file.suffix.lower(), file.suffix)
    stem = re.sub(r"\.nii(\.gz)?$", "", Path(source).name)
    last = _letters(re.split(r"[_\-. ]", stem)[-1]) or "image"
    return "", _CONTRASTS.get(last.lower(), last)


def warn_of_suffixes(suffixes: Iterable[str]) -> None:
    """Warn of images whose contrast their names do not tell, as BIDS tools will not know the names of results."""
    if unknown := sorted(set(suffixes) - CONTRASTS):
        warnings.warn(
            f"the names of images do not end in a contrast BIDS knows ({some(sorted(CONTRASTS))}) but in "
            f"{some(unknown)}: imputed images are named alike, and BIDS tools may pass over them; rename the images "
            "to have T1w or the like at the end",
            NextscanWarning,
            stacklevel=3,
        )
