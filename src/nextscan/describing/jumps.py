"""Scans that do not fit the others of the same person: failed segmentations, other units, another person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.describing import sides
from nextscan.describing.data import Observed
from nextscan.describing.neighbours import Pairs, mad, median, neighbours, quantile, wrong_scan
from nextscan.describing.part import Part
from nextscan.wording import counted, few, number

_LEAST_PAIRS = 5  # fewer say nothing about how much people change
_BLOCK = 64  # features at a time
_FALSE_ALARMS = 0.01  # expected in the table, were all changes of everybody's kind
_LEAST_SIZE = 1.0  # a jump is at least this many sd between people
_LEAST_SCALE = 0.02  # of the sd between people: less change than that is none
_NO_CHANGE = 1e-6  # of a feature's scale: rounding
_GROUP = 10  # pairs from the same visit to the same, from which on they have a change of their own
_PER_GAP = 30  # pairs of like gap from which on they have a scale of their own
_SHARED = 0.03  # share of pairs that change alike: an upgrade, not a person's jump
_ALIKE = 0.25  # spread of such changes, as a share of their size
_MOST, _HEAD = 0.75, 0.7  # a quarter of features changed like nobody's, half by 0.7 sd between people: another head
_SAMPLE = 4000  # pairs from which the tail is taken
_TAIL, _FAR_TAIL = 0.02, 0.002  # share of changes beyond the quantiles that tell the tail
_MANY_FEATURES, _ENOUGH_FAR = 50, 50  # features and far changes from which on the far tail tells, not a known law
_SET_ASIDE = 0.02  # share of pairs that may be wrong, and are then not asked for the tail
_PRIOR, _USUAL_FREEDOM = 20, 5.0  # changes in the tail that outweigh the degrees of freedom known beforehand
# changes are differences of two errors: nearer to a normal law in the middle, which makes their degrees of freedom look
# one and a half times as many there as they are in the tail
_OF_DIFFERENCES = 1.5
_ENOUGH_FEATURES = 8  # to speak of most
_WORST = 5  # scans that are named


@dataclass(frozen=True)
class _Jump:
    pair: int
    feature: int
    size: float
    z: float


def jumps(data: Observed) -> Part:
    """Find scans whose features are far from those of the same person at the neighbouring visits.

    Changes between neighbouring visits are compared with everybody's: of logarithms where a feature is positive, after
    the median of changes between visits of the same names, in units of a robust sd of pairs with a like gap. How far
    out is too far follows from the tail of all changes (`_Tail`), for one false alarm in a hundred tables of this size;
    and a jump is at least as large as the sd between people. What many change by the same amount is an upgrade.
    Besides, visits that are far from each other in most features (`_Heads`), and sides that are exchanged
    (`sides.swapped`), are found.
    """
    pairs = neighbours(data)
    if len(pairs) < _LEAST_PAIRS:
        return Part()
    found, others = _far_changes(data, pairs)
    exchanged = sides.swapped(data, pairs)
    findings = [*_told(data, pairs, found, others, exchanged), *sides.told(data, exchanged)]
    return Part(findings=tuple(findings))


def _far_changes(data: Observed, pairs: Pairs) -> tuple[list[_Jump], IntArray]:
    """Return jumps of single features, and pairs of visits that are far from each other in most features."""
    found: list[_Jump] = []
    columns = np.flatnonzero(data.informative)
    limit = _FALSE_ALARMS / max(1, len(pairs) * len(columns))
    blocks = [columns[start : start + _BLOCK] for start in range(0, len(columns), _BLOCK)]
    tail, heads, largest = _Tail(len(pairs)), _Heads(), list[FloatArray]()
    for block in blocks:
        change, z, spread = _standardised(data, pairs, block)
        tail.add(z)
        largest.append(np.fmax.reduce(np.abs(z), axis=0))
        heads.add(z, change / np.where(spread > 0, spread, np.nan))
    bound = tail.bound(limit)
    for block, unit, most in zip(blocks, tail.units, largest, strict=True):
        block, unit = block[most > bound * unit], unit[most > bound * unit]
        change, z, spread = _standardised(data, pairs, block)
        out = (np.abs(z) > bound * unit) & (np.abs(change) > _LEAST_SIZE * spread)
        for column in np.flatnonzero(out.any(axis=0)):
            rows = np.flatnonzero(out[:, column])
            if not _alike(change[rows, column], int((~np.isnan(z[:, column])).sum())):
                feature = int(block[column])
                found += [_Jump(int(row), feature, change[row, column], z[row, column]) for row in rows]
    return found, heads.others()


def _standardised(data: Observed, pairs: Pairs, columns: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return changes beyond everybody's, the same in robust sd, and the sd between people."""
    table = data.summary.iloc[columns]
    before, after = (data.values[np.ix_(rows, columns)] for rows in (pairs.before, pairs.after))
    log = (table["minimum"] > 0).to_numpy() & _grows_with_size(before, after)
    low, high = (table[name].to_numpy(float, copy=True) for name in ("q25", "q75"))
    for part in (before, after, low, high):
        np.log(part, out=part, where=log & ~np.isnan(part))
    change = after - before
    spread = (high - low) / 1.349
    centre = np.tile(median(change), (len(pairs), 1))
    sizes = np.bincount(pairs.group)
    if len(sizes) > 1:
        for group in np.flatnonzero(sizes >= _GROUP):
            rows = pairs.group == group
            own = median(change[rows])
            centre[rows] = np.where(np.isnan(own), centre[rows], own)
    change = change - centre
    scale = np.tile(mad(change), (len(pairs), 1))
    for rows in _like_gaps(pairs.gap):
        scale[rows] = np.fmax(mad(change[rows]), 0.5 * scale[rows])
    scale = np.fmax(scale, _LEAST_SCALE * spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(scale > 0, change / scale, np.nan)
    return change, z, spread


def _grows_with_size(before: FloatArray, after: FloatArray) -> BoolArray:
    """Tell in which features change is rather a share of the value than the same for small and large ones."""
    few = slice(None, None, max(1, len(before) // _SAMPLE))
    before, after = before[few], after[few]
    level, change = before + after, np.abs(after - before - median(after - before))
    above = level > median(level)
    small, large = (median(np.where(part, change, np.nan)) for part in (~above, above))
    low, high = (median(np.where(part, level, np.nan)) for part in (~above, above))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(~(large / small < np.sqrt(high / low)))


def _like_gaps(gap: FloatArray) -> Iterator[IntArray]:
    """Yield pairs by length of the gap, where gaps differ and pairs are many."""
    known = np.flatnonzero(~np.isnan(gap))
    parts = min(4, len(known) // _PER_GAP)
    if parts > 1:
        edges = np.quantile(gap[known], np.linspace(0, 1, parts + 1)[1:-1])
        part = np.searchsorted(edges, gap[known], side="right")
        yield from (known[part == i] for i in np.unique(part) if (part == i).sum() >= _PER_GAP // 2)


class _Tail:
    """How far everybody's changes reach, over all features together: by the law of their tail.

    Changes are measured in a unit of their feature: robust sd, or more where its outer twentieth is farther out than
    that of a normal law. The farthest of them do not count, lest what is looked for hides itself. Nor do values that
    did not change, and features that do not change within most people, for these say nothing about how far a change
    reaches; and features that change by less than the least scale count in units of their own spread.
    """

    def __init__(self, n_pairs: int) -> None:
        self.units: list[FloatArray] = []
        self._rows = np.unique(np.linspace(0, n_pairs - 1, min(n_pairs, _SAMPLE)).astype(np.intp))
        self._outer = min(0.95, 1 - 3 / n_pairs)
        self._cells: list[FloatArray] = []

    def add(self, z: FloatArray) -> None:
        """Take over the changes of a block of features."""
        size = np.abs(z)
        usable = (~np.isnan(size)).sum(axis=0) >= _LEAST_PAIRS
        unit, own = np.full(z.shape[1], np.nan), np.full(z.shape[1], np.nan)
        if usable.any():
            reach = quantile(size[self._rows][:, usable], self._outer, axis=0) / ndtri(0.5 + self._outer / 2)
            unit[usable] = np.maximum(1.0, reach)
            own[usable] = np.maximum(np.minimum(1.0, mad(z[:, usable])), reach)
        self.units.append(unit)
        changing = mad(z) > _NO_CHANGE
        cells = np.where(size > _NO_CHANGE, size, np.nan)[self._rows][:, changing]
        self._cells.append((cells / own[changing]).astype(np.float32))

    def bound(self, limit: float) -> float:
        """Return what a change exceeds with this probability."""
        cells = np.concatenate(self._cells, axis=1)
        self._cells = []
        farthest = np.argsort(-np.nan_to_num(cells).max(axis=1, initial=0), kind="stable")
        known = np.sort(cells[~np.isnan(cells)]).astype(float)
        if len(known) < 2 * _LEAST_PAIRS:
            return np.inf
        if cells.shape[1] < _MANY_FEATURES or len(known) * _FAR_TAIL < _ENOUGH_FAR:
            return _beyond_few(known, limit)
        known = cells[farthest[int(_SET_ASIDE * len(cells)) :]]
        return _beyond_many(np.sort(known[~np.isnan(known)]).astype(float), limit)


def _beyond_few(ordered: FloatArray, limit: float) -> float:
    """Return what is exceeded with probability `limit`, by the t-distribution of the same median and outer quantile."""
    share = _TAIL + 3 / len(ordered)  # beyond it, few may be wrong
    middle, outer = np.quantile(ordered, (0.5, 1 - share))
    inverse = np.linspace(0.01, 1, 100)  # of the degrees of freedom
    ratios = stdtrit(1 / inverse, 1 - share / 2) / stdtrit(1 / inverse, 0.75)
    weight = share * len(ordered)
    found = _OF_DIFFERENCES * float(np.interp(outer / max(middle, 1e-9), ratios, inverse))
    freedom = (weight + _PRIOR) / (weight * found + _PRIOR / _USUAL_FREEDOM)
    return float(middle * stdtrit(freedom, 1 - limit / 2) / stdtrit(freedom, 0.75))


def _beyond_many(ordered: FloatArray, limit: float) -> float:
    """Return what is exceeded with probability `limit`, by the Pareto law through three far quantiles."""
    ratio = (_TAIL / _FAR_TAIL) ** 0.5
    inner, middle, outer = np.quantile(ordered, 1 - np.array([_TAIL, _TAIL / ratio, _FAR_TAIL]))
    shape = np.log(max(outer - middle, 1e-9) / max(middle - inner, 1e-9)) / np.log(ratio)
    weight = _FAR_TAIL * ratio * len(ordered)
    shape = float(np.clip((weight * shape + _PRIOR / _USUAL_FREEDOM) / (weight + _PRIOR), 0.05, 0.8))
    reach: float = (outer - middle) / (1 - ratio**-shape) * ((_FAR_TAIL / limit) ** shape - 1)
    return float(outer) + reach


def _alike(changes: FloatArray, n_pairs: int) -> bool:
    """Tell whether many pairs change alike: an upgrade, another version."""
    if len(changes) < max(4, _SHARED * n_pairs):
        return False
    middle = float(np.median(changes))
    return float(np.median(np.abs(changes - middle))) < _ALIKE * abs(middle)


class _Heads:
    """Pairs of visits that differ as visits of two people do.

    A quarter of their features changed by more than anybody's (robust z of the logarithm of that quartile, for one
    false alarm in a hundred tables), and half of them by 0.7 sd between people beyond what all changed by; two people
    differ by 0.95 sd in half of the features.
    """

    def __init__(self) -> None:
        self._z: list[FloatArray] = []
        self._size: list[FloatArray] = []

    def add(self, z: FloatArray, size: FloatArray) -> None:
        """Take over a block of features."""
        self._z.append(np.abs(z).astype(np.float32))
        self._size.append(size.astype(np.float32))

    def others(self) -> IntArray:
        """Return the pairs."""
        z, size = (np.concatenate(parts, axis=1) for parts in (self._z, self._size))
        self._z, self._size = [], []
        enough = np.flatnonzero((~np.isnan(z)).sum(axis=1) >= _ENOUGH_FEATURES)
        if len(enough) < _LEAST_PAIRS:
            return np.zeros(0, np.intp)
        quarter = np.log(quantile(z[enough], _MOST, axis=1) + 1e-3)
        middle = np.median(quarter)
        spread = max(float(np.median(np.abs(quarter - middle))) / 0.6745, 0.05)
        far = (quarter - middle) / spread > -ndtri(_FALSE_ALARMS / len(enough))
        far = np.flatnonzero(far)
        own = size[enough[far]] - median(size[enough[far]], axis=1)[:, None]
        out = enough[far[median(np.abs(own), axis=1) > _HEAD]]
        return out if len(out) < max(4, 2 * _SHARED * len(enough)) else np.zeros(0, np.intp)


def _told(data: Observed, pairs: Pairs, found: list[_Jump], others: IntArray, exchanged: IntArray) -> Iterator[Finding]:
    scans: dict[int, list[_Jump]] = {}
    back: set[int] = set()
    out = {jump.pair for jump in found} | set(others.tolist())
    of_pair: dict[int, list[_Jump]] = {}
    for jump in found:
        of_pair.setdefault(jump.pair, []).append(jump)
    heads = set()
    signs = {pair: {jump.feature: float(np.sign(jump.size)) for jump in seen} for pair, seen in of_pair.items()}
    for pair in sorted(out):
        scan, returns = wrong_scan(pairs, pair, out, signs)
        if scan in exchanged:
            continue
        scans.setdefault(scan, []).extend(of_pair.get(pair, ()))
        back |= {scan} if returns else set()
        heads |= {scan} if pair in others else set()
    if not scans:
        return
    order = sorted(scans, key=lambda scan: -max((abs(jump.z) for jump in scans[scan]), default=0.0))
    texts = []
    for scan in order[:_WORST]:
        texts.append(_sentence(data, pairs, scan, scans[scan], again=scan in back, head=scan in heads))
    more = f"; and {len(order) - _WORST} more scans" if len(order) > _WORST else ""
    columns = tuple(dict.fromkeys(data.names[jump.feature] for scan in order for jump in scans[scan]))
    text = (
        f"{counted(len(order), 'scan')} {'does' if len(order) == 1 else 'do'} not fit the others of the same person: "
        f"{'; '.join(texts)}{more}"
    )
    cure = "look at the scan, its segmentation and whose it is; write what is wrong as empty, or leave the row out"
    yield Finding("warning", "jump", text, columns, data.subject_names(np.array(order)), cure)


def _sentence(data: Observed, pairs: Pairs, scan: int, found: list[_Jump], *, again: bool, head: bool) -> str:
    by_feature: dict[int, _Jump] = {}
    for jump in sorted(found, key=lambda jump: -abs(jump.z)):
        by_feature.setdefault(jump.feature, jump)
    sizes = [f"{data.names[feature]} {_size(data, pairs, jump, scan)}" for feature, jump in by_feature.items()]
    told = ["far in most features, another person's?"] if head else []
    told += [few(sizes, room=110)] if sizes else []
    who = f"{data.cohort.subjects[data.subject[scan]]} (visit {data.cohort.visits[data.rows[scan]]})"
    return f"{who}: {', '.join(told)}{', against both neighbours' if again else ''}"


def _size(data: Observed, pairs: Pairs, jump: _Jump, scan: int) -> str:
    after = int(pairs.after[jump.pair]) == scan
    here, there = (pairs.after, pairs.before) if after else (pairs.before, pairs.after)
    value, other = (float(data.values[rows[jump.pair], jump.feature]) for rows in (here, there))
    if value > 0 and other > 0 and 0.2 < value / other < 5:
        return f"{100 * (value / other - 1):+.0f} %".replace("-", "−")
    return f"{number(value)} instead of {number(other)}"
