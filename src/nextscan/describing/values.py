"""Cells that cannot be true: infinite, zero-filled, negative, in another unit; and extreme ones."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding, Level
from nextscan.describing.data import Observed, sorted_blocks
from nextscan.describing.part import Part
from nextscan.wording import counted, few, percentage

RARE = re.compile(
    r"lesion|hyp(?:o|er)intens|count|number|holes|cyst|bleed|infarct|lacun|plaque|calcif|tumou?r|vessel|5th|void|"
    r"(?<![a-z])(?:wmh|wml|cmb|pvs)|perivasc|enhanc|haemorr|hemorr|edema|oedema|necro|defect|artefact|artifact",
    re.IGNORECASE,
)
"""Names of what many people have none of: there, 0 is a measurement."""
_AVERAGES = re.compile(r"(?<![a-z])(?:mean|average|avg|median)(?![a-z])", re.IGNORECASE)
_NEVER_ZERO = re.compile(r"thick|area|intracranial|etiv|(?<![a-z])[et]?icv|(?<![a-z])tiv", re.IGNORECASE)
POSITIVE = re.compile(r"vol|thick|area(?!_?ratio)|intracranial|etiv|\bmm[23]?\b|\bml\b|\bcm[23]?\b", re.IGNORECASE)
TIGHT = 0.3  # the 1 % quantile of a feature whose body stays away from zero, as a share of its median
UNIT_GAP = 5.0  # neighbouring values of one feature never differ by more than this factor
UNIT_RATIO = 8.0  # the smallest factor that can be a unit: inches to centimetres are 2.5, mm to cm 10
EXTREME_CELL = 8.0  # robust standard deviations
OUTLYING_CELL, OUTLYING_SHARE = 5.0, 0.1


def impossible_cells(data: Observed) -> tuple[Part, BoolArray]:
    """Find values that cannot be measurements; return what was found and where, shape (n, n_features).

    - *infinite* values;
    - *zero-filled*: exact zeros in a feature whose other values are all positive and stay away from
      zero (1 % quantile above 0.3 of the median), as where a table of another software version was
      joined and its gaps were filled (nine tenths of zeros and more are taken for a rare structure, as are
      lesions, counts and alike by their names; where the name says neither and the feature is alone with its
      zeros, they may be measurements, and stay);
    - *negative* values of volumes, thicknesses and areas (told by name or unit), or in a feature
      that is otherwise positive and stays away from zero, if they are fewer than a fifth;
    - *units*: a positive feature falls apart into two groups with an empty stretch between them (a
      factor of five) and medians at least a factor of eight apart.
    """
    infinite = np.isinf(data.cohort.features[data.rows])
    findings = []
    if infinite.any():
        findings.append(
            _cells_finding(data, infinite, "infinite-values", "hold infinite values", "write them as empty")
        )
    zero, unsure = _zero_filled(data)
    if unsure.any():
        text = "are exactly 0 in some visits and far from 0 in all others: gaps, or measurements?"
        findings.append(_cells_finding(data, unsure, "zeros", text, "if gaps, write them as empty cells", level="note"))
    if zero.any():
        text = "are exactly 0 though all other values stay far from 0: gaps filled with zeros"
        findings.append(_cells_finding(data, zero, "zero-filled", text, "write them as empty cells, or exclude"))
    negative = _negative(data)
    coded = np.isin(data.names, [name for f in data.cohort.findings if f.code == "missing-codes" for name in f.columns])
    if (negative & ~coded).any():
        text, cure = (
            "hold negative values, impossible for a volume, thickness or area",
            "correct or write them as empty",
        )
        findings.append(_cells_finding(data, negative & ~coded, "negative-values", text, cure))
    other_unit, unit_findings = _units(data.without(zero | negative), ~coded)
    return Part(findings=(*findings, *unit_findings)), infinite | zero | negative | other_unit


def _cells_finding(
    data: Observed, cells: BoolArray, code: str, what: str, remedy: str, *, level: Level = "warning"
) -> Finding:
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    names = data.names[columns]
    place = data.where(rows)
    place = place or (f"e.g. {data.visit_names(rows)}" if len(rows) < len(data.rows) else "everybody")
    verb = what if len(columns) > 1 else re.sub("^are", "is", re.sub("^hold", "holds", what))
    text = (
        f"{counted(len(columns), 'feature')} {verb}, in {counted(len(rows), 'visit')} ({place}): {few(names)}; {remedy}"
    )
    return Finding(level, code, text, tuple(names), data.subject_names(rows))


def _zero_filled(data: Observed) -> tuple[BoolArray, BoolArray]:
    """Mark zeros that are gaps, and those that may be."""
    table = data.summary
    result = np.zeros(data.values.shape, bool)
    some_zero = (table["zeros"] > 0) & (table["zeros"] < 0.9 * len(data.rows)) & (table["minimum"] == 0)
    for column in np.flatnonzero(some_zero & (table["distinct"] > 11)):
        values = data.values[:, column]
        others = values[values > 0]
        if len(others) >= 20 and np.quantile(others, 0.01) > TIGHT * np.median(others):
            result[:, column] = values == 0
    rare = np.array([bool(RARE.search(name)) and not _AVERAGES.search(name) for name in data.names], bool)
    result[:, rare] = False
    unsure = np.zeros(data.values.shape, bool)
    together = (result & (result.sum(axis=1) > 1)[:, None]).sum(axis=0) > 0.5 * result.sum(axis=0)
    for column in np.flatnonzero(result.any(axis=0) & ~together):
        zero = np.flatnonzero(result[:, column])
        name = data.names[column]
        never = (
            _NEVER_ZERO.search(name)
            or _AVERAGES.search(name)
            or (POSITIVE.search(name) and len(zero) < 0.3 * len(data.rows))
        )
        unsure[zero, column] = not never and not data.where(zero)
    return result & ~unsure, unsure


def _negative(data: Observed) -> BoolArray:
    table = data.summary
    units = data.cohort.units
    named = np.array([bool(POSITIVE.search(name) or POSITIVE.search(units.get(name, ""))) for name in data.names], bool)
    result = np.zeros(data.values.shape, bool)
    for column in np.flatnonzero(table["minimum"] < 0):
        values = data.values[:, column]
        others = values[values > 0]
        below = values < 0
        if len(others) < 4 * below.sum():
            continue
        away = len(others) >= 20 and np.quantile(others, 0.01) > TIGHT * np.median(others)
        if named[column] or away:
            result[:, column] = below
    return result


def _units(data: Observed, told: BoolArray) -> tuple[BoolArray, list[Finding]]:
    """Split positive features at their widest empty stretch on the log scale; tell of those to be told."""
    apart = np.zeros(data.values.shape, bool)
    far = np.zeros(data.values.shape, bool)
    ratio = np.ones(data.values.shape[1])
    eligible = (data.summary["minimum"] > 0).to_numpy(copy=True)
    table = data.summary
    wide = np.flatnonzero((table["minimum"] > 0) & (table["maximum"] > UNIT_RATIO * table["minimum"]))
    for block, ordered, count in sorted_blocks(data.values, wide):
        for i in np.flatnonzero(count >= 20):
            column = block[i]
            values = ordered[i, : count[i]]
            cut = int(np.argmax(values[1:] / values[:-1])) + 1
            small, large = values[:cut], values[cut:]
            body = small if len(small) >= len(large) else large
            quartiles = np.quantile(body, (0.01, 0.25, 0.5, 0.75, 0.99))
            eligible[column] = quartiles[4] < 20 * quartiles[0]
            ratio[column] = np.median(large) / np.median(small)
            if not eligible[column] or large[0] < UNIT_GAP * small[-1] or ratio[column] < UNIT_RATIO:
                continue
            own = data.values[:, column]
            apart[:, column] = own <= small[-1] if body is large else own >= large[0]
            edge = small[-1] if body is large else large[0]
            scale = max(quartiles[3] - quartiles[1], 1e-12) / 1.349
            far[:, column] = apart[:, column] & (abs(edge - quartiles[2]) > EXTREME_CELL * scale)
    # One low value of a feature with a wide spread may be a tail; many at once in a visit may not.
    together = apart.sum(axis=1) >= max(3, 0.2 * eligible.sum())
    apart &= far | together[:, None]
    apart[apart.sum(axis=1) > 0.5 * eligible.sum()] |= eligible  # the rest of such a visit is no better
    return apart, _unit_findings(data, apart & told, ratio)


def _unit_findings(data: Observed, apart: BoolArray, ratio: FloatArray) -> list[Finding]:
    groups: dict[bytes, list[int]] = {}
    for column in np.flatnonzero(apart.any(axis=0)):
        groups.setdefault(np.packbits(apart[:, column]).tobytes(), []).append(int(column))
    findings = []
    for columns in sorted(groups.values(), key=len, reverse=True)[:5]:
        rows = np.flatnonzero(apart[:, columns[0]])
        body = np.nanmedian(data.values[~apart[:, columns[0]], columns[0]])
        side = "larger" if np.nanmedian(data.values[rows, columns[0]]) > body else "smaller"
        low, high = ratio[columns].min(), ratio[columns].max()
        factor = f"about {_short(low)}" + (f" to {_short(high)}" if high > 1.5 * low else "")
        names = data.names[columns]
        place = data.where(rows)
        text = (
            f"{counted(len(rows), 'visit')} ({place or data.visit_names(rows)}) "
            f"{'hold' if len(rows) > 1 else 'holds'} values {factor} times {side} than the others in "
            f"{counted(len(columns), 'feature')}: {few(names)}; other units?"
        )
        findings.append(Finding("warning", "unit-jump", text, tuple(names), data.subject_names(rows)))
    return findings


def _short(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}"


def extreme_values(data: Observed) -> Part:
    """Count cells far out and visits with many of them.

    The robust z-score of a cell is its distance from the feature's median in units of the distance
    to the quartile on its side (over 0.6745), so that skewed features are judged by their own tail.
    It is taken on the log scale where that makes the quartiles of a positive feature more even.
    """
    centre, lower, upper, log = _robust_scale(data.summary)
    usable = np.flatnonzero(np.isfinite(centre) & (data.summary["distinct"] > 20))
    n = len(data.rows)
    far_out = np.zeros(n, np.intp)
    present = np.zeros(n, np.intp)
    worst = np.zeros(n)
    worst_feature = np.zeros(n, np.intp)
    extreme = np.zeros(data.values.shape[1], np.intp)
    for start in range(0, n, 4096):
        chunk = slice(start, start + 4096)
        values = data.values[chunk][:, usable]
        np.log(values, out=values, where=log[usable])
        z = values - centre[usable]
        z = np.abs(z) / np.where(z < 0, lower[usable], upper[usable])
        present[chunk] = (~np.isnan(z)).sum(axis=1)
        z = np.nan_to_num(z)
        far_out[chunk] = (z > OUTLYING_CELL).sum(axis=1)
        extreme[usable] += (z > EXTREME_CELL).sum(axis=0)
        if len(usable):
            worst_feature[chunk] = usable[z.argmax(axis=1)]
            worst[chunk] = z.max(axis=1)
    share = far_out / np.maximum(present, 1)
    outlying = np.flatnonzero((share > OUTLYING_SHARE) & (far_out >= 3))
    outlying = outlying[np.argsort(-share[outlying], kind="stable")]
    shown = np.argsort(-np.where(share > OUTLYING_SHARE, 1e6 * share, worst), kind="stable")[:50]
    shown = shown[(worst[shown] > EXTREME_CELL) | np.isin(shown, outlying)]
    table = pd.DataFrame(
        {
            "subject": data.cohort.subjects[data.subject[shown]],
            "visit": data.cohort.visits[data.rows[shown]],
            "outlying": far_out[shown],
            "share": share[shown],
            "worst_z": worst[shown],
            "worst_feature": data.names[worst_feature[shown]],
        }
    )
    findings = _extreme_findings(data, outlying, share, extreme, worst)
    facts = {"extreme": {"cells": int(extreme.sum()), "visits": len(outlying), "limit": EXTREME_CELL}}
    return Part(facts, findings, {"outliers": table})


def _extreme_findings(
    data: Observed, outlying: IntArray, share: FloatArray, extreme: IntArray, worst: FloatArray
) -> tuple[Finding, ...]:
    findings = []
    if len(outlying):
        text = (
            f"{counted(len(outlying), 'visit')} far out (beyond {OUTLYING_CELL:g} robust sd) in more than "
            f"{percentage(OUTLYING_SHARE)} of features, up to {percentage(share[outlying[0]])}: "
            f"{data.visit_names(outlying)}; look at these scans and their segmentation"
        )
        findings.append(Finding("note", "outlying-visits", text, (), data.subject_names(outlying)))
    if extreme.any():
        order = np.argsort(-extreme, kind="stable")
        columns = order[extreme[order] > 0]
        rows = np.argsort(-worst, kind="stable")[: int((worst > EXTREME_CELL).sum())]
        text = (
            f"{counted(int(extreme.sum()), 'cell')} beyond {EXTREME_CELL:g} robust sd, in "
            f"{counted(len(rows), 'visit')} and {counted(len(columns), 'feature')}: most in "
            f"{few(data.names[columns])}; farthest out {data.visit_names(rows)}"
        )
        findings.append(Finding("note", "extreme-cells", text, tuple(data.names[columns]), data.subject_names(rows)))
    return tuple(findings)


def _robust_scale(table: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    low, middle, high = (table[name].to_numpy(float) for name in ("q25", "median", "q75"))
    positive = table["minimum"].to_numpy() > 0
    safe = [np.where(positive, part, 1.0) for part in (low, middle, high)]
    log_low, log_middle, log_high = (np.log(part) for part in safe)
    log = positive & (
        np.abs(log_high + log_low - 2 * log_middle) * (high - low)
        < np.abs(high + low - 2 * middle) * (log_high - log_low)
    )
    centre = np.where(log, log_middle, middle)
    spread = np.where(log, log_high - log_low, high - low) / 1.349
    lower = np.where(log, log_middle - log_low, middle - low) / 0.6745
    upper = np.where(log, log_high - log_middle, high - middle) / 0.6745
    spread[spread == 0] = np.nan  # more than half of the values equal: no robust scale
    centre[np.isnan(spread)] = np.nan
    return centre, np.maximum(lower, 0.5 * spread), np.maximum(upper, 0.5 * spread), log
