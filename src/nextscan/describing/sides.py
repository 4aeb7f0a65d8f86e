"""Left and right exchanged at a visit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from nextscan.arrays import IntArray
from nextscan.cohort.findings import Finding
from nextscan.describing.data import Observed
from nextscan.describing.neighbours import Pairs, mad, median, wrong_scan
from nextscan.errors import some

_LEAST_SIDES = 3  # regions with a left and a right
_MOST = 20.0  # robust sd: one region does not decide
_SURE = 20.0  # logarithm of how much better exchanged sides explain a pair than sides as they are
_MANY = 0.03  # share of pairs: more are of a site's making, not of a scan's
_SIDES = (
    (re.compile(r"^(?:Left|L)([-_. ])", re.IGNORECASE), r"Right\1", r"R\1"),
    (re.compile(r"(?<![A-Za-z])lh(?![A-Za-z])|^lh", re.IGNORECASE), "rh", "rh"),
    (re.compile(r"(?<![A-Za-z])left(?![A-Za-z])", re.IGNORECASE), "right", "right"),
    (re.compile(r"(?<=[-_. ])L$", re.IGNORECASE), "R", "R"),
)


def _sides(names: Iterable[str]) -> list[tuple[int, int]]:
    """Return features that are the left and the right of the same."""
    at = {name.casefold(): i for i, name in enumerate(names)}
    found = []
    for name, i in at.items():
        for pattern, *others in _SIDES:
            right = next((at[new] for other in others if (new := pattern.sub(other, name).casefold()) in at), None)
            if pattern.search(name) and right is not None and right != i:
                found.append((i, right))
                break
    return found


def swapped(data: Observed, pairs: Pairs) -> IntArray:
    """Return scans whose left and right are exchanged: differences of the sides turned round against the neighbours.

    Differences between sides are a person's own, and those of different regions agree between visits (their cosine,
    each in units of its change between visits, is near 1); exchanged sides make it as negative.
    """
    sides = _sides(data.names)
    if len(sides) < _LEAST_SIDES:
        return np.zeros(0, np.intp)
    product, one_size, two_size = (np.zeros(len(pairs)) for _ in range(3))
    for left, right in sides:
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = data.values[:, left] + data.values[:, right]
            own = (data.values[:, left] - data.values[:, right]) / sums
        one, two = own[pairs.before], own[pairs.after]
        change = (two - one)[:, None]
        scale = float(mad(change - median(change))[0])
        known = np.isfinite(one) & np.isfinite(two)
        if not scale > 0:
            continue
        one, two = (np.where(known, np.clip(part / scale, -_MOST, _MOST), 0.0) for part in (one, two))
        product += one * two
        one_size += one**2
        two_size += two**2
    size = np.sqrt(one_size * two_size)
    cosine = np.divide(product, size, out=np.zeros(len(pairs)), where=size > 0)
    usual = np.median(cosine)
    spread = max(float(np.median(np.abs(cosine - usual))) / 0.6745, 0.01)
    turned = (usual > 0.5) & (cosine < -0.5 * usual) & (cosine < usual - 8 * spread)
    turned &= -product > _SURE + np.log(len(pairs))
    out = set(np.flatnonzero(turned).tolist())
    if len(out) > max(3, _MANY * len(pairs)):
        return np.zeros(0, np.intp)
    return np.unique([wrong_scan(pairs, pair, out, {})[0] for pair in sorted(out)]).astype(np.intp)


def told(data: Observed, scans: IntArray) -> Iterator[Finding]:
    """Name the scans whose sides are exchanged."""
    if len(scans):
        names = [f"{data.cohort.subjects[data.subject[i]]} (visit {data.cohort.visits[data.rows[i]]})" for i in scans]
        text = f"left and right are exchanged at {some(names)}: differences between the sides are turned round"
        cure = "check the orientation of the scan; exchange the columns back, or leave the row out"
        yield Finding("warning", "swapped-sides", text, (), data.subject_names(scans), cure)
