"""Labels that look into the future: what people became, told at their first visit."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from nextscan.arrays import IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.columns.roles import is_change, role_of, words_of
from nextscan.reading.columns.visits import VisitRows

_LEVELS = re.compile(
    r"(?<![a-z])(?:(?:non|un)?[-_ ]?convert(?:ed|ers?)|(?:non[-_ ]?)?progressors?|(?:non[-_ ]?)?decliners?|[ps]mci|"
    r"mci[-_ ]?(?:c|nc|p|stable|progressive)|mci[-_ ]s|(?:stable|progressive)[-_ ]mci|"
    r"(?:cn|nc|nl|hc|normal|mci|scd|smc)(?:\s*(?:->|→|>)\s*|[-_ ]to[-_ ])(?:mci|ad|dementia|scd|smc))(?![a-z])",
    re.IGNORECASE,
)
"""Names of groups that are known only after later visits."""
_WORDS = frozenset({
    "convert", "converted", "converter", "converters", "conversion", "progressor", "progressed", "decliner", "future",
    "eventual", "eventually", "endpoint", "prognosis",
})  # fmt: skip
_LAST = frozenset({"last", "final", "latest", "end", "followup", "fu", "future", "conversion"})
_FOLLOW_UP = re.compile(r"(?:^|[_.\- ])(?:m\d{2,3}|fu\d*|followup|follow[_.\- ]?up|last|final|end)$", re.IGNORECASE)


def future_labels(
    rows: VisitRows, of_subject: pd.DataFrame, of_visit: pd.DataFrame, position: IntArray
) -> list[Finding]:
    """Warn of labels of subjects that later visits decide: a model would know at the first visit what became of them.

    Told by the label's name (``DX_last``, ``converter``, ``hip_change``), by its levels (``Converted``, ``pMCI``), or
    by its values: what a label of visits says at everyone's last visit, and not at the first.

    Parameters
    ----------
    rows : VisitRows
        For messages.
    of_subject, of_visit : DataFrame
        Labels by subject, and by visit.
    position : ndarray of int
        The subject of each visit.
    """
    if len(np.unique(position)) == len(position):
        return []
    last = _at_last(of_visit, position)
    findings = []
    for name in of_subject:
        values = of_subject[name]
        why = _by_name(str(name)) or _by_levels(values) or _by_values(values, of_visit, last, position)
        if why:
            line = f"{rows.source}: label {name} looks into the future: {why}"
            column = rows.label_columns.get(str(name), name)
            cure = f'leave it out, in a schema with exclude = ["{column}"], or give what was known at each visit'
            findings.append(Finding("warning", "future-label", line, (str(name),), cure=cure))
    return findings


def _by_name(name: str) -> str:
    if is_change(name):
        return "its name is that of a change between visits"
    words = set(words_of(name))
    grouped = role_of(name) == "group" or bool(words & {"dx", "diagnosis", "diag", "group", "status"})
    told = words & _WORDS or (grouped and (words & _LAST or _FOLLOW_UP.search(name)))
    return "its name speaks of what came later" if told else ""


def _by_levels(values: pd.Series) -> str:
    if pd.api.types.is_numeric_dtype(values):
        return ""
    counts = values.value_counts()
    late = [f"{level} ({count:,})" for level, count in counts.items() if _LEVELS.search(str(level))]
    return f"{some(late, 3)} is known only after later visits" if late else ""


def _at_last(of_visit: pd.DataFrame, position: IntArray) -> pd.DataFrame:
    return of_visit.groupby(position, sort=True).last() if of_visit.shape[1] else of_visit


def _by_values(values: pd.Series, of_visit: pd.DataFrame, last: pd.DataFrame, position: IntArray) -> str:
    for name in of_visit:
        first = of_visit.groupby(position, sort=True)[name].first()
        if pd.api.types.is_numeric_dtype(first) != pd.api.types.is_numeric_dtype(values) or str(name) == "age":
            continue
        end, label = last[name].to_numpy(object), values.to_numpy(object)
        begin = first.to_numpy(object)
        known = ~(pd.isna(end) | pd.isna(label) | pd.isna(begin))
        moved = known & (begin != end)
        if moved.sum() > 1 and bool(np.all(label[known] == end[known])):
            return f"it is what {name} says at everyone's last visit"
    return ""
