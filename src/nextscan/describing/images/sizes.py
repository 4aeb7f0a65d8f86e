"""Whether the heads of a subject are of one size, as those of adults are, and which visit is off where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.cohort.cohort import Cohort
from nextscan.cohort.findings import Finding
from nextscan.describing.images.alignment import Fit
from nextscan.describing.images.findings import Seen, about

_APART = 0.04  # of a head's length in any direction; real visits of adults differ by 0.012, ageing phantoms by 0.017
_BENT = (0.07, 0.8, 0.15)  # of one direction against another in a head that grows, and more with growth of the two
# and of all: fetuses have up to 0.16
_ADULT = 18.0  # years
_SMALL = 140.0  # mm, of the longest side: so small a head grows, of whatever age
_DIRECTIONS = ("left to right", "back to front", "bottom to top")


def sizes(cohort: Cohort, fits: Sequence[Fit]) -> Iterator[Finding]:
    """Say which visits show a head of another size than the subject's others.

    Heads of adults keep their size, so that a difference is one of headers. Heads of children grow, and none
    shrinks: of those only what cannot be growth is a warning. Whose head may grow is told by ages; where these are
    unknown, by its size, or as most subjects of the cohort grow.
    """
    by_subject: dict[str, list[Fit]] = {}
    for fit in fits:
        if not np.isnan(fit.agreement.stretch).any():
            by_subject.setdefault(fit.second.subject, []).append(fit)
    measured = {subject: _measured(own) for subject, own in by_subject.items()}
    grown = [np.log(lengths[-1] / lengths[0]).mean() for _, lengths in measured.values()]
    all_grow = len(grown) > 2 and float(np.median(grown)) > _APART / 2
    wrong: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    for subject, (seen, lengths) in measured.items():
        if _may_grow(cohort, seen, all_grow):
            told, odd = wrong, _not_growth(lengths)
            if not odd:
                told, odd = other, _unlike(lengths)
        else:
            told, odd = wrong, _unlike(lengths)
        told += [(subject, f"{seen[i].where} ({_compared(ratio)})") for i, ratio in odd.items()]
    if wrong:
        text = (
            "visits with a head of another size than the subject's others, which no growth explains: {}; check the "
            "voxel sizes in their headers"
        )
        yield about(wrong, "warning", "wrong-size", text)
    if other:
        text = (
            "visits with a head of another size than the subject's others, of people that may grow: {}; growth or "
            "wrong voxels"
        )
        yield about(other, "note", "size-differs", text)


def _measured(fits: Sequence[Fit]) -> tuple[list[Seen], FloatArray]:
    """Return images in order of time and their heads' lengths, that they are compared with having 1, shape (n, 3)."""
    found: dict[int, tuple[Seen, Sequence[float]]] = {fits[0].first.row: (fits[0].first, (1.0, 1.0, 1.0))}
    found |= {fit.second.row: (fit.second, fit.agreement.stretch) for fit in fits}
    rows = sorted(found)
    return [found[row][0] for row in rows], np.array([found[row][1] for row in rows])


def _may_grow(cohort: Cohort, seen: Sequence[Seen], all_grow: bool) -> bool:
    rows = [image.row for image in seen]
    ages = cohort.visit_labels["age"].iloc[rows] if "age" in cohort.visit_labels else pd.Series(dtype=float)
    if pd.api.types.is_numeric_dtype(ages) and ages.notna().any():
        return bool(ages.min() < _ADULT)
    return all_grow or all(0 < max(map(abs, image.head)) < _SMALL for image in seen)


def _unlike(lengths: FloatArray) -> Mapping[int, FloatArray]:
    """Return which heads differ from the size that most have, the first of these counting, and by what factors."""
    logs = np.log(lengths)
    apart = np.abs(logs[:, None] - logs).max(axis=2) > _APART
    usual = int(apart.sum(axis=1).argmin())
    return {int(i): lengths[i] / lengths[usual] for i in np.flatnonzero(apart[usual])}


def _not_growth(lengths: FloatArray) -> Mapping[int, FloatArray]:
    """Return which heads are larger than later ones, or longer in one direction alone, and by what factors."""
    logs = np.log(lengths)
    size = logs.mean(axis=1)
    shape = logs - size[:, None]
    later = np.arange(len(size))
    shrunk = (size[:, None] - size > _APART) & (later[:, None] < later)
    growth = np.abs(size[:, None] - size)
    bent = np.ptp(shape[:, None] - shape, axis=2) > _BENT[0] + _BENT[1] * growth + _BENT[2] * growth.max()
    against = shrunk | shrunk.T | bent
    odd = {}
    far = np.abs(size - np.median(size))
    while against.any():
        worst = max(later.tolist(), key=lambda i: (against[i].sum(), round(far[i], 3), i))  # of two the later
        near = np.flatnonzero(~against[worst] & (later != worst)) if len(size) > 2 else np.array([], int)
        others = near if len(near) else np.flatnonzero(later != worst)
        odd[worst] = lengths[worst] / lengths[others[np.abs(others - worst).argmin()]]
        against[worst] = against[:, worst] = False
    return dict(sorted(odd.items()))


def _compared(ratio: FloatArray) -> str:
    """Say how much longer a head is in which direction.

    >>> _compared(np.array([1.08, 1.08, 1.09])), _compared(np.array([1.0, 0.99, 1.2]))
    ('1.08 times', '1.20 times from bottom to top')
    """
    off = np.abs(np.log(ratio)) > _APART / 2
    size = float(np.exp(np.log(ratio[off] if off.any() else ratio).mean()))
    if off.all() and np.ptp(np.log(ratio)) < _APART:
        return f"{size:.2f} times"
    named = [
        f"{value:.2f} times from {direction}" for value, direction, is_off in zip(ratio, _DIRECTIONS, off, strict=True)
        if is_off
    ]  # fmt: skip
    return ", ".join(named)
