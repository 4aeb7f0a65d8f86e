"""Columns without information of their own: missing, constant, equal to or made from others."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding, Level
from nextscan.describing.data import Observed
from nextscan.describing.part import Part
from nextscan.wording import counted, few, percentage

SAMPLE = 4000  # first visits from which correlations are computed
NEARLY = 0.999  # correlation from which two features say the same


def missingness(data: Observed) -> Part:
    """Count missing cells by feature, by order of visit and over all; draw a map of them."""
    n, n_features = data.values.shape
    gone = np.isnan(data.values)
    by_feature = gone.mean(axis=0) if n else np.zeros(n_features)
    by_visit = gone.mean(axis=1) if n_features else np.zeros(n)
    visits = [
        {"visit": order + 1, "visits": int(at.sum()), "missing": float(by_visit[at].mean())}
        for order in range(min(int(data.order.max(initial=-1)) + 1, 12))
        if (at := data.order == order).any()
    ]
    findings = []
    empty = by_feature == 1
    if empty.any():
        text = f"{_are(int(empty.sum()), 'missing everywhere')}: {few(data.names[empty])}; exclude"
        findings.append(Finding("warning", "all-missing", text, tuple(data.names[empty])))
    worst = np.flatnonzero((by_feature > 0.2) & ~empty)
    worst = worst[np.argsort(-by_feature[worst], kind="stable")]
    if len(worst):
        level: Level = "warning" if by_feature[worst[0]] > 0.5 else "note"
        named = [f"{data.names[i]} {percentage(by_feature[i])}" for i in worst]
        text = f"{_are(len(worst), 'missing in more than a fifth of visits')}: {few(named)}; exclude or repair"
        findings.append(Finding(level, "often-missing", text, tuple(data.names[worst])))
    thin = np.flatnonzero(by_visit - (empty.mean() if n_features else 0) > 0.5)
    if len(thin):
        text = (
            f"{counted(len(thin), 'visit')} with more than half of the features missing: "
            f"{data.visit_names(thin)}{_brackets(data.where(thin))}"
        )
        findings.append(Finding("note", "thin-visits", text, (), data.subject_names(thin)))
    if len(visits) > 1 and abs(visits[0]["missing"] - visits[1]["missing"]) > 0.1:
        text = (
            f"{percentage(visits[0]['missing'])} of cells are missing at first visits, "
            f"{percentage(visits[1]['missing'])} at second ones"
        )
        findings.append(Finding("note", "missing-by-visit", text))
    facts = {
        "missing": {
            "cells": int(gone.sum()),
            "share": float(gone.mean()) if gone.size else 0.0,
            "features": int((by_feature > 0).sum()),
            "visits": int((by_visit > 0).sum()),
        }
    }
    plots = {"missing_map": _map(gone)} if gone.any() else {}
    return Part(facts, tuple(findings), {"missing_by_visit": pd.DataFrame(visits)}, plots)


def _map(gone: BoolArray) -> FloatArray:
    """Average to at most 80 blocks of visits and 160 of features, both in the order of the table."""
    rows, columns = _edges(gone.shape[0], 80), _edges(gone.shape[1], 160)
    return _block_means(gone.astype(np.float32), rows, columns)


def _edges(n: int, most: int) -> IntArray:
    """Return where each of at most so many blocks of n begins."""
    return np.linspace(0, n, min(n, most) + 1).astype(np.intp)[:-1]


def _block_means(matrix: NDArray[np.floating], rows: IntArray, columns: IntArray) -> FloatArray:
    sums = np.add.reduceat(np.add.reduceat(matrix, rows, axis=0), columns, axis=1)
    sizes = np.outer(np.diff(rows, append=matrix.shape[0]), np.diff(columns, append=matrix.shape[1]))
    means: FloatArray = np.round(sums / sizes, 3)
    return means


def constants(data: Observed) -> Part:
    """Find features with one value only, or nearly so."""
    table = data.summary
    constant = (table["distinct"] == 1).to_numpy()
    nearly = (table["commonest"] > 0.95).to_numpy() & ~constant
    findings = []
    if constant.any():
        named = [f"{table['feature'][i]} = {table['median'][i]:g}" for i in np.flatnonzero(constant)]
        text = f"{_are(int(constant.sum()), 'constant')}: {few(named)}; scores on them say nothing"
        findings.append(Finding("note", "constant-features", text, tuple(data.names[constant])))
    if nearly.any():
        named = [f"{table['feature'][i]} = {table['median'][i]:g}" for i in np.flatnonzero(nearly)]
        text = f"{_are(int(nearly.sum()), 'the same in more than 95 % of visits')}: {few(named)}"
        findings.append(Finding("note", "nearly-constant-features", text, tuple(data.names[nearly])))
    return Part(findings=tuple(findings))


def duplicates(data: Observed, correlation: FloatArray) -> tuple[Part, BoolArray]:
    """Group features that are identical, the same but for scale and offset, or nearly so.

    Candidates correlate beyond 0.999 in `correlation`; they are then compared over all visits.
    Returned with a mark, shape (n_features,), on each that an earlier feature tells exactly: two of them would make a
    constant, and with it sums that are none.
    """
    pairs: dict[str, list[tuple[int, int]]] = {"identical": [], "rescaled": [], "nearly-identical": []}
    copies, told = np.zeros((2, len(data.names)), bool)
    for a, b in np.argwhere(np.triu(np.abs(np.nan_to_num(correlation)) > NEARLY, 1)):
        if not (copies[a] or copies[b]):
            kind = _likeness(data, a, b)
            pairs[kind].append((int(a), int(b)))
            copies[b] |= kind == "identical"
            told[b] |= kind in ("identical", "rescaled")
    said: dict[str, tuple[Level, str, str, str]] = {
        "identical": ("warning", " = ", "identical features", "keep one of each"),
        "rescaled": ("warning", " ∝ ", "features equal but for scale and offset", "keep one of each"),
        "nearly-identical": ("note", " ~ ", f"features correlated beyond {NEARLY}", "scores count them twice"),
    }
    findings = []
    for kind, (level, sign, what, remedy) in said.items():
        if groups := _components(pairs[kind]):
            named = [sign.join(data.names[group[:3]]) + _more(len(group) - 3) for group in groups]
            members = tuple(str(name) for group in groups for name in data.names[group])
            text = f"{counted(len(groups), 'group')} of {what}: {few(named)}; {remedy}"
            findings.append(Finding(level, f"{kind}-features", text, members))
    return Part(findings=tuple(findings)), told


def _likeness(data: Observed, a: np.intp, b: np.intp) -> str:
    x, y = data.values[:, a], data.values[:, b]
    both = ~(np.isnan(x) | np.isnan(y))
    if not both.any():
        return "nearly-identical"
    x, y = x[both], y[both]
    if np.array_equal(x, y):
        return "identical"
    slope, offset = np.polyfit(x, y, 1) if np.ptp(x) > 0 else (0.0, y[0])
    half_step = data.summary["half_step"].to_numpy()
    tolerance = 1.5 * (half_step[b] + abs(slope) * half_step[a]) + 1e-6 * np.ptp(y)
    return "rescaled" if np.abs(y - offset - slope * x).max() <= tolerance else "nearly-identical"


def _components(pairs: list[tuple[int, int]]) -> list[list[int]]:
    group: dict[int, set[int]] = {}
    for a, b in pairs:
        joined = group.get(a, {a}) | group.get(b, {b})
        group.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(members)): sorted(members) for members in group.values()}.values())


def correlations(data: Observed) -> FloatArray:
    """Correlate all features over (a sample of) first visits; pairs of cells missing are left out.

    Returns
    -------
    ndarray, shape (n_features, n_features)
        NaN where a feature does not vary.
    """
    values = data.values[data.sample(SAMPLE)]
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, values - np.nansum(values, axis=0) / count, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0))
    centred /= np.where(scale > 0, scale, np.nan)
    product = centred.T @ centred
    if not present.all():
        weight = present.astype(float)
        squares = np.nan_to_num(centred**2).T @ weight
        product /= np.sqrt(np.where(squares > 0, squares * squares.T, np.nan))
    clipped: FloatArray = np.clip(product, -1, 1)
    return clipped


def structure(data: Observed, correlation: FloatArray, most: int = 90) -> Part:
    """Summarise how features hang together: a small sorted matrix and how many dimensions there are."""
    known = np.flatnonzero(np.isfinite(np.diag(correlation)))
    matrix = np.nan_to_num(correlation[np.ix_(known, known)])
    if len(known) < 3:
        return Part()
    spectrum = np.clip(np.linalg.eigvalsh(matrix)[::-1], 0, None)
    share = np.cumsum(spectrum) / spectrum.sum()
    order = _clustered(matrix)
    edges = _edges(len(known), most)
    facts = {
        "structure": {
            "effective_dimensions": float(spectrum.sum() ** 2 / (spectrum**2).sum()),
            "components_for_half": int(np.searchsorted(share, 0.5)) + 1,
            "components_for_90": int(np.searchsorted(share, 0.9)) + 1,
            "mean_absolute_correlation": float(np.abs(matrix[np.triu_indices(len(known), 1)]).mean()),
        }
    }
    plots = {
        "correlation": {
            "matrix": _block_means(matrix[np.ix_(order, order)], edges, edges),
            "first": data.names[known[order[edges]]],
            "features": len(known),
            "explained": np.round(share[: min(len(share), 200)], 4),
        }
    }
    return Part(facts, plots=plots)


def _clustered(matrix: FloatArray) -> IntArray:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = np.clip(1 - matrix, 0, None)
    np.fill_diagonal(distance, 0)
    leaves: NDArray[np.int32] = leaves_list(linkage(squareform(distance, checks=False), method="average"))
    return leaves.astype(np.intp)


def _are(number: int, what: str) -> str:
    return f"{counted(number, 'feature')} {'is' if number == 1 else 'are'} {what}"


def _more(number: int) -> str:
    return f" and {number} more" if number > 0 else ""


def _brackets(text: str) -> str:
    return f" ({text})" if text else ""
