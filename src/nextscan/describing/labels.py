"""Labels: what they are, and where they contradict each other or the clock."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort.findings import Finding
from nextscan.describing.data import Observed, is_of_beats
from nextscan.describing.part import Part
from nextscan.describing.visits import histogram
from nextscan.errors import some
from nextscan.wording import counted, percentage

SITE = re.compile(
    r"(^|[^a-z])(site|scanner|cent(er|re)|manufacturer|vendor|magnet|field.?strength|tesla|software|coil|station|"
    r"protocol|sequence)",
    re.IGNORECASE,
)
FIXED = re.compile(r"(^|[^a-z])(sex|gender|handedness|race|ethnic|birth|genotype|apoe)", re.IGNORECASE)
_AGE_SLACK = 0.25  # years; a whole year more where ages are whole numbers


def is_number(values: pd.Series) -> bool:
    """Tell an age, and a numeric label with more than five values or fractions, from a category."""
    if not pd.api.types.is_numeric_dtype(values):
        return False
    known = values.dropna()
    return values.name == "age" or known.nunique() > 5 or bool((known != known.round()).any())


def level_name(level: object) -> str:
    """Name a category; whole numbers stored as floats lose their point.

    >>> level_name(1.0), level_name("F")
    ('1', 'F')
    """
    return f"{level:g}" if isinstance(level, float) else str(level)


def labels(data: Observed) -> Part:
    """Summarise every label and check it against itself, the visits and the clock."""
    cohort = data.cohort
    seen = cohort.visit_labels.iloc[data.rows].reset_index(drop=True)
    rows, findings = [], []
    plots: dict[str, object] = {}
    beats = is_of_beats(cohort)  # labels of frames, such as their phase, are meant to change and to lack
    for belongs, frame in (("subject", cohort.labels), ("visit", seen)):
        for name in frame:
            rows.append(_row(str(name), belongs, frame[name]))
            findings += [] if beats and belongs == "visit" else _coding(str(name), frame[name])
            plots[str(name)] = _distribution(frame[name])
    for name in [] if beats else seen:
        findings += _changes(data, str(name), seen[name])
    if not beats and "age" in seen and pd.api.types.is_numeric_dtype(seen["age"]):
        findings += _age(data, seen["age"].to_numpy(float))
    columns = ["label", "of", "type", "missing", "levels", "mean", "sd", "minimum", "maximum"]
    return Part({}, tuple(findings), {"labels": pd.DataFrame(rows, columns=columns)}, {"labels": plots})


def _row(name: str, belongs: str, values: pd.Series) -> dict[str, object]:
    row: dict[str, object] = {"label": name, "of": belongs, "missing": int(values.isna().sum())}
    if is_number(values):
        known = values.dropna().astype(float)
        return row | {
            "type": "number",
            "levels": "",
            "mean": known.mean(),
            "sd": known.std(),
            "minimum": known.min(),
            "maximum": known.max(),
        }
    counts = values.value_counts()
    named = [f"{level_name(level)} ({count:,})" for level, count in counts.items()]
    return row | {"type": "category", "levels": some(named, 4) if named else "none"}


def _distribution(values: pd.Series, most: int = 12) -> dict[str, object]:
    if is_number(values):
        known = values.dropna().to_numpy(float)
        known = known[np.isfinite(known)]
        counts, edges = histogram(known, 30)
        return {"edges": edges, "counts": counts, "missing": int(values.isna().sum())}
    tally = values.value_counts()
    return {
        "levels": [level_name(level) for level in tally.index[:most]],
        "counts": tally.to_numpy()[:most],
        "others": int(tally.iloc[most:].sum()),
        "missing": int(values.isna().sum()),
    }


def _coding(name: str, values: pd.Series) -> list[Finding]:
    known = values.dropna()
    if len(known) == 0:
        return [Finding("note", "empty-label", f"label {name} has no value; it is of no use", (name,))]
    findings = []
    share = 1 - len(known) / len(values)
    if share > 0.2:
        findings.append(
            Finding("note", "label-missing", f"label {name} is missing in {percentage(share)} of rows", (name,))
        )
    levels = known.unique()
    if not pd.api.types.is_numeric_dtype(values):
        numbers = [level for level in levels if re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", str(level))]
        if 0 < len(numbers) < len(levels) <= 20:
            text = f"label {name} mixes words and numbers: {some(levels, 6)}; map the codings in the schema"
            findings.append(Finding("warning", "label-coding", text, (name,)))
        if len(levels) > max(20, 0.5 * len(known)) and not SITE.search(name):
            text = f"label {name} has {len(levels):,} different texts: a name rather than a category? exclude it"
            findings.append(Finding("note", "label-identifier", text, (name,)))
    return findings


def _changes(data: Observed, name: str, values: pd.Series) -> list[Finding]:
    """Find categories that change between consecutive observed visits of a subject."""
    if is_number(values) and not SITE.search(name):
        return []
    now = values.to_numpy(object)
    follows = np.flatnonzero(data.order > 0)
    known = follows[~(pd.isna(now[follows]) | pd.isna(now[follows - 1]))]
    moved = known[now[known] != now[known - 1]]
    if not len(moved):
        return []
    subjects = data.subject_names(moved)
    steps = pd.Series(
        [f"{level_name(a)} → {level_name(b)}" for a, b in zip(now[moved - 1], now[moved], strict=True)]
    ).value_counts()
    what = some([f"{step} ({n:,})" for step, n in steps.items()], 3)
    of = counted(len(np.unique(data.subject[known])), "subject")
    if FIXED.search(name):
        text = f"{name} changes between visits in {len(subjects):,} of {of}: {what}; {some(subjects)}; correct"
        return [Finding("warning", "label-conflict", text, (name,), subjects)]
    if SITE.search(name):
        text = (
            f"{name} changes between visits in {len(subjects):,} of {of}: {what}; "
            "their change is scanner and ageing together"
        )
        return [Finding("warning", "site-change", text, (name,), subjects)]
    text = f"{name} changes between visits in {len(subjects):,} of {of}: {what}"
    return [Finding("info", "label-change", text, (name,), subjects)]


def _age(data: Observed, age: FloatArray) -> list[Finding]:
    findings = []
    odd = np.flatnonzero((age < 0) | (age > 120))
    if len(odd) and not any(finding.code == "impossible-age" for finding in data.cohort.findings):
        text = f"age lies outside 0–120 in {counted(len(odd), 'visit')}: {data.visit_names(odd)}; in years?"
        findings.append(Finding("warning", "age-range", text, ("age",), data.subject_names(odd)))
    follows = np.flatnonzero(data.order > 0)
    older = age[follows] - age[follows - 1]
    back = follows[older < 0]
    if len(back):
        text = f"age decreases in {counted(len(back), 'pair')} of visits: {data.visit_names(back)}"
        findings.append(Finding("warning", "age-decreases", text, ("age",), data.subject_names(back)))
    years = data.cohort.years[data.rows]
    slack = _AGE_SLACK + (1.0 if np.array_equal(age, np.round(age), equal_nan=True) else 0.0)
    passed = years[follows] - years[follows - 1]
    wrong: NDArray[np.intp] = follows[(np.abs(older - passed) > slack) & (older >= 0)]
    if data.cohort.time_unit != "years" or not len(wrong):
        return findings
    if unit := _unit_of_age(older, passed):
        text = f"age grows as if it were in {unit}, time in years: {data.visit_names(wrong)}"
        cure = f"if it is, call the column age_{unit}, which is converted"
        findings.append(Finding("warning", "age-unit", text, ("age",), data.subject_names(wrong), cure))
        return findings
    text = (
        f"age and time disagree by more than {slack:g} years in {counted(len(wrong), 'pair')} of visits: "
        f"{data.visit_names(wrong)}"
    )
    findings.append(Finding("warning", "age-against-time", text, ("age",), data.subject_names(wrong)))
    return findings


def _unit_of_age(older: FloatArray, passed: FloatArray) -> str:
    """Return the unit that makes age grow as fast as time between nearly all visits; empty if it does so in years."""
    usable = (passed > 0.2) & (older > 0)
    ratio = older[usable] / passed[usable]
    units = {"months": 12.0, "weeks": 365.25 / 7, "days": 365.25}
    return next((unit for unit, n in units.items() if len(ratio) and np.mean(np.abs(ratio / n - 1) < 0.1) > 0.9), "")
