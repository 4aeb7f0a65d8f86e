"""Visits, the gaps between them, and what repeats: copied scans, carried-forward features, reliability."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.cohort.task import pairs
from nextscan.cohort.ties import improbable_ties
from nextscan.describing.data import Observed, is_of_beats
from nextscan.describing.part import Part
from nextscan.errors import some
from nextscan.wording import counted, few

FEW_PAIRS = 30
_LEAST_PAIRS = 10  # fewer pairs say nothing about repeatability
_LONG_GAP = 5  # mean years between visits that few studies have
_MOST_LEVELS = 30  # of what is counted or graded once for a person
_HEAD = re.compile(r"intra.?cran|icv|tiv(?![a-z])|(?<![a-z])head|skull", re.IGNORECASE)
_CHUNK = 4096  # visits hashed at a time


def visits(data: Observed) -> Part:
    """Count subjects, visits and requests; summarise the gaps between consecutive observed visits."""
    cohort = data.cohort
    observed = cohort.observed_visits
    every, how_many = np.unique(observed, return_counts=True)
    asked = cohort.is_request
    gap = pairs(cohort).gap
    known = gap[~np.isnan(gap)]
    beats = is_of_beats(cohort)
    unit = cohort.time_unit
    findings = []
    what = "image" if cohort.has_volume.any() else "feature"
    if not data.cohort.is_paired.any():
        text = f"nobody has two visits with {what}s: nothing to learn change from, nothing to score on"
        findings.append(Finding("warning", "no-pairs", text))
    elif (n_paired := int(cohort.is_paired.sum())) < FEW_PAIRS:
        many = counted(n_paired, "film") if beats else f"{counted(n_paired, 'subject')} with a follow-up"
        text = f"only {many}: scores will be uncertain"
        findings.append(Finding("warning", "few-pairs", text))
    if (observed == 0).any():
        names = cohort.subjects[observed == 0]
        text = f"{counted(len(names), 'subject')} without any {what} at any visit: {few(names)}; drop them"
        findings.append(Finding("warning", "no-features", text, (), tuple(map(str, names))))
    if asked.any():
        text = f"{counted(int(asked.sum()), 'visit')} without {what}s: these are taken as requests to impute"
        findings.append(Finding("info", "requests", text))
    if len(gap) > len(known):
        text = f"the gap is unknown for {len(gap) - len(known):,} of {counted(len(gap), 'pair')} of visits"
        findings.append(Finding("note", "unknown-gaps", text + "; methods that use time will guess there"))
    if len(known) and any("time has no unit" in note for note in cohort.notes):
        in_threes = bool((known > 0).any() and (known % 3 == 0).all())  # as months of a plan are
        if known.mean() > _LONG_GAP or in_threes:
            text = f"time has no unit; gaps of {known.mean():.1f} read as years; give the unit in a schema"
            findings.append(Finding("warning", "time-unit", text))
    if (known == 0).any() and not beats:
        text = f"{counted(int((known == 0).sum()), 'pair')} of visits at the same time"
        findings.append(Finding("note", "zero-gaps", text + ": repeated scans of one day?"))
    n_unknown = len(gap) - len(known)
    if beats:
        known = known[:0]  # from frame to frame: the films tell it
    facts = {
        "beats": beats,
        "subjects": {
            "all": cohort.n_subjects,
            "paired": int(cohort.is_paired.sum()),
            "single": int((observed == 1).sum()),
            "pool": int(data.in_pool.sum()),
        },
        "visits": {
            "all": cohort.n_visits,
            "observed": len(data.rows),
            "requests": int(asked.sum()),
            "per_subject": {int(n): int(count) for n, count in zip(every, how_many, strict=True)},
        },
        "features": cohort.n_features,
        "gap": {**spread(known), "known": len(known), "unknown": n_unknown, "unit": unit},
    }
    counts, edges = histogram(known, 40)
    plots = {"gap": {"edges": edges, "counts": counts}} if len(known) else {}
    return Part(facts, tuple(findings), plots=plots)


def histogram(values: FloatArray, most: int) -> tuple[IntArray, FloatArray]:
    """Count values in at most so many bins; values that are equal but for rounding lie in one place."""
    if len(values) and np.ptp(values) <= 1e-9 * np.abs(values).max():
        values = np.full(len(values), values[0])
    counts, edges = np.histogram(values, min(most, max(5, int(np.sqrt(len(values))))))
    return counts.astype(np.intp), edges


def spread(values: FloatArray) -> dict[str, float]:
    """Return mean, sd, minimum, median, maximum; nothing for no values."""
    if not len(values):
        return {}
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "minimum": float(values.min()),
        "median": float(np.median(values)),
        "maximum": float(values.max()),
    }


def repeated_rows(data: Observed) -> Part:
    """Find visits with exactly the same features, within a subject and between, where chance cannot explain it."""
    known = np.arange(len(data.rows))
    key = _hashes(data.values, known)
    unlikely_within, unlikely_between = improbable_ties(data.values, key, data.subject, np.ones(len(known), bool))
    order = known[np.argsort(key, kind="stable")]
    key = np.sort(key, kind="stable")
    twins = np.flatnonzero(key[1:] == key[:-1])
    left, right = order[twins], order[twins + 1]
    same = np.array(
        [np.array_equal(data.values[a], data.values[b], equal_nan=True) for a, b in zip(left, right, strict=True)],
        bool,
    )
    left, right = left[same], right[same]
    within = data.subject[left] == data.subject[right]
    told = np.where(within, unlikely_within[left], unlikely_between[left])
    left, right, within = left[told], right[told], within[told]
    findings = []
    if within.any():
        rows = left[within]
        text = (
            f"{counted(len(np.unique(data.subject[rows])), 'subject')} with the same features at two visits: "
            f"{some(data.subject_names(rows))}; the scan was entered twice, drop the copy"
        )
        findings.append(Finding("warning", "copied-visits", text, (), data.subject_names(rows)))
    if (~within).any():
        a, b = left[~within], right[~within]
        named = [
            f"{data.cohort.subjects[data.subject[i]]} = {data.cohort.subjects[data.subject[j]]}"
            for i, j in zip(a, b, strict=True)
        ]
        both = np.concatenate([a, b])
        text = (
            f"{counted(len(a), 'pair')} of different subjects with identical features: {few(named)}; "
            "one scan under two names leaks from training to test, drop one"
        )
        findings.append(Finding("warning", "identical-subjects", text, (), data.subject_names(both)))
    return Part(findings=tuple(findings))


def _hashes(values: FloatArray, rows: IntArray) -> NDArray[np.int64]:
    odd = np.random.default_rng(0).integers(-(2**62), 2**62, values.shape[1], dtype=np.int64) * 2 + 1
    result = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), _CHUNK):
        part = values[rows[start : start + _CHUNK]]
        bits = np.where(np.isnan(part), np.inf, part + 0.0).view(np.int64)  # + 0.0 turns -0.0 into 0.0
        result[start : start + _CHUNK] = ((bits ^ (bits >> 29)) * odd).sum(axis=1)
    return result


def repeatability(data: Observed) -> Part:
    """Compare the first two observed visits of every paired subject, feature by feature.

    The table ``repeatability`` holds, per feature: ``r``, the correlation of the two visits across
    subjects; ``change_sd``, the sd of the change over the sd between subjects at the first visit;
    ``change``, the mean change in the same unit; ``equal``, the share of pairs with exactly equal
    values; ``pairs``. With pure measurement noise and no real change, r is the reliability and
    ``change_sd`` = sqrt(2 (1 − r)).
    """
    first, second = data.pairs
    x, y = data.values[first], data.values[second]
    copied = np.all((x == y) | np.isnan(x) | np.isnan(y), axis=1)
    x, y = x[~copied], y[~copied]
    both = ~(np.isnan(x) | np.isnan(y))
    n = both.sum(axis=0)
    x, y = np.where(both, x, np.nan), np.where(both, y, np.nan)
    enough = n >= _LEAST_PAIRS
    if not enough.any():
        return Part()
    count = np.maximum(n, 2)
    dx, dy, change = (_centred(part, count) for part in (x, y, y - x))
    sx, sy, sc = (np.sqrt((part**2).sum(axis=0) / (count - 1)) for part in (dx, dy, change))
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (dx * dy).sum(axis=0) / (count - 1) / (sx * sy)
        table = pd.DataFrame(
            {
                "feature": data.names,
                "r": np.where(enough & (sx * sy > 0), r, np.nan),
                "change_sd": np.where(enough & (sx > 0), sc / sx, np.nan),
                "change": np.where(enough & (sx > 0), np.nansum(y - x, axis=0) / count / sx, np.nan),
                "equal": np.where(enough, ((x == y) & both).sum(axis=0) / count, np.nan),
                "pairs": n,
            }
        )
    varied = enough & data.informative
    return Part(
        {"repeat": _repeat_fact(table.loc[varied])},
        (*_equal_findings(data, table, varied), *_unreliable(data, table, varied)),
        {"repeatability": table},
    )


def _centred(values: FloatArray, count: NDArray[np.intp]) -> FloatArray:
    centred: FloatArray = np.nan_to_num(values - np.nansum(values, axis=0) / count)
    return centred


def _repeat_fact(table: pd.DataFrame) -> dict[str, float]:
    kept = table[table["equal"] < 1]
    if kept["r"].notna().sum() == 0:
        return {}
    low, median, high = kept["r"].quantile([0.05, 0.5, 0.95])
    return {
        "pairs": int(kept["pairs"].max()),
        "median_r": float(median),
        "r_05": float(low),
        "r_95": float(high),
        "median_change_sd": float(kept["change_sd"].median()),
    }


def _equal_findings(data: Observed, table: pd.DataFrame, varied: NDArray[np.bool_]) -> list[Finding]:
    equal = table["equal"].to_numpy()
    always = varied & (equal == 1)
    often = varied & (equal > 0.5) & ~always & (data.summary["distinct"] > 20).to_numpy()
    findings = []
    if always.any():
        heads = always & np.array([bool(_HEAD.search(name)) for name in data.names])
        traits = always & ~heads & np.array([_is_trait(data, i) for i in range(len(always))])
        for which, why in (
            (heads, "made equal by the processing (as intracranial volume is in a longitudinal stream)"),
            (traits, "few whole numbers, of the person rather than of the scan"),
            (always & ~heads & ~traits, "carried forward, or no measures of the scan"),
        ):
            if which.any():
                names = data.names[which]
                text = f"{counted(int(which.sum()), 'feature')} equal at both visits for everybody: {few(names)}; {why}"
                cure = "exclude from scoring, or list as labels in a schema what is no measure"
                findings.append(Finding("warning", "equal-at-both-visits", text, tuple(names), cure=cure))
    if often.any():
        names = data.names[often]
        text = (
            f"{counted(int(often.sum()), 'feature')} equal at both visits for more than half of the pairs: "
            f"{few(names)}; carried forward?"
        )
        findings.append(Finding("note", "often-equal", text, tuple(names)))
    return findings


def _is_trait(data: Observed, feature: int) -> bool:
    """Tell whether a feature has few levels, all whole numbers: years of education, stages, alleles."""
    if data.summary["distinct"].iloc[feature] > _MOST_LEVELS:
        return False
    values = data.values[:, feature]
    known = values[~np.isnan(values)]
    return bool((known == np.round(known)).all())


def _unreliable(data: Observed, table: pd.DataFrame, varied: NDArray[np.bool_]) -> list[Finding]:
    low = np.flatnonzero(varied & (table["r"].to_numpy() < 0.5))
    if not len(low):
        return []
    low = low[np.argsort(table["r"].to_numpy()[low], kind="stable")]
    named = [f"{data.names[i]} {table['r'][i]:.2f}" for i in low]
    text = f"{counted(len(low), 'feature')} with test–retest correlation below 0.5: {few(named)}"
    return [Finding("note", "unreliable-features", text, tuple(data.names[low]))]
