"""Columns that are exact sums of others, such as left + right = total."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.describing.data import Observed
from nextscan.describing.part import Part
from nextscan.wording import counted, few

_PROBES = 12  # visits a sum must hold in, but for one, before it is looked at everywhere
_HOLDS = 0.95  # share of visits in which a reported sum must hold
_MOST_PARTS = 60
_EXACT = 1e-11  # eigenvalue of the correlation matrix below which columns are linearly dependent
_FLOAT32 = 3e-7  # relative error of sums in tables once stored in single precision


@dataclass(frozen=True)
class Sum:
    """`parent` = sum of `weights` x `parts`, in a share `holds` of the visits where all are present."""

    parent: int
    parts: tuple[int, ...]
    weights: tuple[float, ...]
    holds: float
    broken: tuple[int, ...]


def sums(data: Observed, copies: BoolArray) -> Part:
    """Find features that are exactly, within rounding, a sum of others.

    `copies`, shape (n_features,), marks features left out because they repeat another one. Names
    play no part. Two searches:

    1. *Pairs*, with any number of visits: in one visit every a + b is looked up among the sorted
       values, d²/2 searches for d features; what fits is tried in eleven further visits. Three
       visits start this, so that a gap or a broken value in one hides nothing.
    2. *Larger sums*, where there are more visits without gaps than features: the null space of the
       correlation matrix holds every exact linear relation. Solved for the features with the largest
       values (reduced row echelon form), each relation reads: this feature = weighted sum of features
       that are no sums themselves, so nested totals appear as sums of their leaves.

    A part must vary by more than the rounding error of the sum. What was found is checked in every
    visit; a sum is reported if it holds in 95 % of them, and the visits where it does not are named.
    A near-exact relation (supratentorial volume with and without ventricles, counted in voxels here
    and from surfaces there) is no sum.
    """
    table = data.summary
    varied = ((table["distinct"] > 2) & (table["commonest"] < 0.9)).to_numpy()
    columns = np.flatnonzero(varied & ~copies)
    if len(data.rows) < _PROBES or len(columns) < 3:
        return Part()
    found = _pair_sums(data, columns)
    leaves = np.setdiff1d(columns, [each.parent for each in found])
    found += _larger_sums(data, leaves)
    if not found:
        return Part(facts={"sums": []})
    found.sort(key=lambda each: (len(each.parts), each.parent))
    return Part({"sums": [_as_fact(data, each) for each in found]}, _findings(data, found))


def _findings(data: Observed, found: list[Sum]) -> tuple[Finding, ...]:
    members = dict.fromkeys(str(data.names[i]) for each in found for i in (each.parent, *each.parts))
    formulas = few(_formula(data, each) for each in found)
    text = (
        f"{counted(len(found), 'exact sum')} among the features: {formulas}; "
        "imputed values need not add up, and scores count them twice"
    )
    result = [Finding("note", "summing-features", text, tuple(members))]
    broken = [each for each in found if each.broken]
    if broken:
        rows = np.unique([row for each in broken for row in each.broken])
        text = (
            f"{counted(len(broken), 'sum')} that {'holds' if len(broken) == 1 else 'hold'} elsewhere fail in "
            f"{counted(len(rows), 'visit')}: {data.visit_names(rows)}; "
            f"{few(_formula(data, each) for each in broken)}; a corrupted value?"
        )
        names = tuple(str(data.names[each.parent]) for each in broken)
        result.append(Finding("warning", "broken-sums", text, names, data.subject_names(rows)))
    return tuple(result)


def _formula(data: Observed, each: Sum) -> str:
    terms = [
        (" − " if weight < 0 else " + ") + ("" if abs(weight) == 1 else f"{abs(weight):g} × ") + data.names[part]
        for weight, part in zip(each.weights, each.parts, strict=True)
    ]
    shown = terms if len(terms) <= 4 else [*terms[:2], f" + … {len(terms) - 3} more …", terms[-1]]
    return f"{data.names[each.parent]} = " + "".join(shown).removeprefix(" + ")


def _as_fact(data: Observed, each: Sum) -> dict[str, object]:
    return {
        "parent": data.names[each.parent],
        "parts": data.names[list(each.parts)],
        "weights": each.weights,
        "holds": each.holds,
    }


def _pair_sums(data: Observed, columns: IntArray, tries: int = 3) -> list[Sum]:
    gaps = np.isnan(data.values[:, columns]).sum(axis=1)
    fullest = np.argsort(gaps, kind="stable")[: max(_PROBES, len(gaps) // 10)]
    probes = fullest[np.linspace(0, len(fullest) - 1, _PROBES).astype(np.intp)]
    values = data.values[np.ix_(probes, columns)]
    half_step, sd = (data.summary[name].to_numpy()[columns] for name in ("half_step", "sd"))
    floats = _FLOAT32 * np.nanmax(np.abs(values), axis=0, initial=0.0)
    candidates = [_matches(row, half_step, floats, sd) for row in values[:tries]]
    a, b, c = np.unique(np.concatenate(candidates, axis=1), axis=1)
    misses, known = np.zeros(len(c), np.intp), np.zeros(len(c), np.intp)
    for row in values:
        error = np.abs(row[a] + row[b] - row[c])
        misses += error > half_step[a] + half_step[b] + half_step[c] + floats[c]
        known += ~np.isnan(error)
        stay = misses <= 1
        a, b, c, misses, known = (part[stay] for part in (a, b, c, misses, known))
    stay = known >= _PROBES // 2
    checked = (
        _checked(data, int(columns[whole]), np.sort(columns[[part, other]]), np.ones(2))
        for part, other, whole in zip(a[stay], b[stay], c[stay], strict=True)
    )
    return [each for each in checked if each is not None]


def _matches(row: FloatArray, half_step: FloatArray, floats: FloatArray, sd: FloatArray) -> IntArray:
    """Return (part, other part, whole), shape (3, n), that fit in one visit."""
    here = np.flatnonzero(~np.isnan(row))
    here = here[np.argsort(row[here])]
    left, right = (here[part] for part in np.triu_indices(len(here), 1))
    total, slack = row[left] + row[right], half_step[left] + half_step[right]
    least = np.minimum(sd[left], sd[right])
    found = []
    for step in np.unique(half_step[here]):  # few: one per number of decimals
        wholes = here[half_step[here] == step]
        window = slack + step + floats[wholes].max()
        big = np.flatnonzero(least > 2 * (slack + step))
        low = np.searchsorted(row[wholes], total[big] - window[big])
        count = np.searchsorted(row[wholes], total[big] + window[big]) - low
        which = np.repeat(big, count)
        place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
        a, b, c = left[which], right[which], wholes[place]
        apart = (a != c) & (b != c) & (least[which] > 2 * floats[c])
        found.append(np.stack([np.minimum(a, b), np.maximum(a, b), c])[:, apart])
    return np.concatenate(found, axis=1)


def _checked(data: Observed, parent: int, parts: IntArray, weights: FloatArray) -> Sum | None:
    """Check a sum in every visit."""
    values, half_step = data.values, data.summary["half_step"].to_numpy()
    total = values[:, parts] @ weights
    error = np.abs(values[:, parent] - total)
    known = ~np.isnan(error)
    size = np.abs(values[known][:, parent]).max(initial=0.0)
    tolerance = half_step[parent] + np.abs(weights) @ half_step[parts] + _FLOAT32 * size
    broken = np.flatnonzero(known & (error > tolerance))
    holds = 1 - len(broken) / max(known.sum(), 1)
    if holds < _HOLDS or known.sum() < _PROBES:
        return None
    return Sum(parent, tuple(map(int, parts)), tuple(map(float, weights)), float(holds), tuple(map(int, broken)))


def _larger_sums(data: Observed, columns: IntArray, tries: int = 3) -> list[Sum]:
    gaps = np.isnan(data.values[:, columns])
    columns = columns[gaps.mean(axis=0) < 0.2]
    rows = np.flatnonzero(~np.isnan(data.values[:, columns]).any(axis=1))
    size = len(columns) + 64
    if len(rows) < size or len(columns) < 4:
        return []
    found: dict[int, Sum] = {}
    for start in range(tries):
        sample = rows[np.linspace(start, len(rows) - tries + start, size).astype(np.intp)] if len(rows) > size else rows
        for parent, parts, weights in _relations(data.values[np.ix_(sample, columns)]):
            each = _checked(data, int(columns[parent]), columns[parts], weights)
            if each is not None:
                found.setdefault(each.parent, each)
    return list(found.values())


def _relations(values: FloatArray) -> list[tuple[int, IntArray, FloatArray]]:
    """Solve the exact linear relations among columns for the columns with the largest values."""
    mean, sd = values.mean(axis=0), values.std(axis=0)
    standard = (values - mean) / np.where(sd > 0, sd, 1)
    eigenvalues, vectors = np.linalg.eigh(standard.T @ standard / len(values))
    null = vectors[:, eigenvalues < _EXACT].T.copy()
    if not 0 < len(null) <= values.shape[1] // 2:
        return []
    parents: list[int] = []
    for column in np.argsort(-np.abs(mean)):
        row = len(parents)
        if row == len(null):
            break
        pivot = row + int(np.argmax(np.abs(null[row:, column])))
        if abs(null[pivot, column]) < 1e-2:
            continue
        null[[row, pivot]] = null[[pivot, row]]
        null[row] /= null[row, column]
        others = np.arange(len(null)) != row
        null[others] -= np.outer(null[others, column], null[row])
        parents.append(int(column))
    relations = []
    for parent, row in zip(parents, null, strict=False):
        parts = np.flatnonzero((np.abs(row) > 1e-3) & (np.arange(len(row)) != parent))
        weights = np.round(-row[parts] * sd[parent] / sd[parts], 3)
        if 2 <= len(parts) <= _MOST_PARTS:
            relations.append((parent, parts, weights))
    return relations
