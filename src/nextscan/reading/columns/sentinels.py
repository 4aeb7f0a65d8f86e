"""Usual codes for missing values that stand apart from the values of a label or feature."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray
from nextscan.cohort.findings import Finding
from nextscan.reading.columns.roles import Role, role_of
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.formats.tables import to_number
from nextscan.reading.times.dates import DAYS_PER_YEAR
from nextscan.wording import counted, few

_BELOW = (-1.0, -4.0, -8.0, -9.0, -77.0, -88.0, -99.0, -777.0, -888.0, -999.0, -7777.0, -8888.0, -9999.0, -99999.0)
_ABOVE = (77.0, 88.0, 98.0, 99.0, 777.0, 888.0, 998.0, 999.0, 7777.0, 8888.0, 9999.0, 99999.0)
_AN_AGE = 130.0
_LARGE = 777.0
_ENOUGH = 20
"""Values from which a gap between them and a code is no chance."""
_DIFFERENCES = re.compile(r"change|delta|diff|slope|resid|deviation|z[_ -]?score|(?<![a-z])z(?![a-z])", re.IGNORECASE)
_WORDS = frozenset({".", "?", "-", "--", "missing", "#null!", "not available", "not recorded", "no data"})


@dataclass(frozen=True)
class Codes:
    """Codes that a column holds, the number of cells that do, and the range of its other values."""

    column: str
    codes: tuple[float | str, ...]
    cells: int
    others: str

    def __str__(self) -> str:
        shown = " and ".join(_plain(code) for code in self.codes)
        return f"{self.column} is {shown} in {counted(self.cells, 'row')}, otherwise {self.others}"


def codes_in(rows: VisitRows) -> list[Finding]:
    """Find codes for missing values in labels and features: usual ones that stand apart from all other values.

    Negative values are codes only of what is otherwise never negative, large ones only far above everything else;
    so changes, z-scores, temperatures, an age of 88 and a volume of 999 among its like are none.
    """
    if rows.period is not None:  # frames repeat what is known of a person
        rows = rows.take(~pd.Series(rows.subjects).duplicated().to_numpy())
    labels = [found for name in rows.labels if (found := _in_label(str(name), rows.labels[name]))]
    features = _in_features(rows)
    suspected = {found.column for found in (*labels, *features)}
    findings = []
    for what, held in (("labels", labels), ("features", features)):
        if held:
            told = "; ".join(str(found) for found in held[:6]) + (f"; and {len(held) - 6} more" * (len(held) > 6))
            text = f"{rows.source}: codes for missing values among {what}? {told}"
            findings.append(
                Finding(
                    "warning",
                    "missing-codes",
                    text,
                    tuple(found.column for found in held),
                    cure=_cure(rows, held, suspected),
                )
            )
    return findings


def _cure(rows: VisitRows, held: Sequence[Codes], columns: set[str]) -> str:
    codes = list(dict.fromkeys(code for found in held for code in found.codes))
    values = {code: _value_of(rows, code, columns) for code in codes}
    if not any(values.values()):
        return f"if so, say it in a schema: missing = [{', '.join(_written(code) for code in codes)}]"
    originals = {"age": rows.time_column} if rows.time_kind == "age" else {}
    originals |= dict(rows.label_columns)
    columns_of = {str(originals.get(found.column, found.column)): found.codes for found in held}
    told = [f"{_key(name)} = [{', '.join(map(_written, codes))}]" for name, codes in columns_of.items()]
    return f"if so, say it at the top of a schema: missing_in = {{ {', '.join(told)} }}"


def _value_of(rows: VisitRows, code: float | str, columns: set[str]) -> str:
    """Return another column that holds the code, as a value of its own; or nothing."""
    if isinstance(code, str):
        return ""
    hit = (rows.features == code).any(axis=0) if rows.features.shape[1] else np.zeros(0, bool)
    others = [rows.feature_names[i] for i in np.flatnonzero(hit) if rows.feature_names[i] not in columns]
    numbers = rows.labels.select_dtypes("number")
    others += [str(name) for name in numbers if str(name) not in columns and (numbers[name] == code).any()]
    of_time = rows.time[:, None] * np.array([1.0, 12.0, DAYS_PER_YEAR / 7, DAYS_PER_YEAR])
    own_time = rows.time_kind == "date" or (rows.time_kind == "age" and "age" in columns)
    others += ["times"] if not own_time and (np.abs(of_time - code) < 0.02).any() else []
    return others[0] if others else ""


def _in_label(name: str, values: pd.Series) -> Codes | None:
    known = values.dropna()
    role = role_of(name)
    if not len(known):
        return None
    if pd.api.types.is_numeric_dtype(values):
        numbers = known.to_numpy(float)
        codes = isolated_codes(
            numbers, is_age=_is_age(name), positive=role in ("amount", "score") and not _signed(name)
        )
        return _found(name, codes, numbers) if codes else None
    levels = known.value_counts()
    found: list[float | str] = [str(level) for level in levels.index if str(level).casefold() in _WORDS]
    numeric = {str(level): number for level in levels.index if (number := to_number(level)) is not None}
    others = [str(level) for level in levels.index if str(level) not in found and str(level) not in numeric]
    codes = _among_groups(sorted(numeric.values()), role) if not others else _beside_words(list(numeric.values()), role)
    found += codes
    if not found or len(found) == len(levels):
        return None
    spelled = {str(code) for code in found} | {text for text, number in numeric.items() if number in codes}
    cells = int(levels[[str(level) in spelled for level in levels.index]].sum())
    rest = [str(level) for level in levels.index if str(level) not in spelled]
    return Codes(name, tuple(found), cells, few(rest))


def _among_groups(levels: list[float], role: Role) -> list[float]:
    """Return the codes among names of groups that are all numbers."""
    others = [level for level in levels if level not in _BELOW]
    if not others or min(others) < 0:
        return []
    below = [level for level in levels if level < 0 and not (level == -1 and set(others) <= {0.0, 1.0})]
    if role == "sex" and set(others) in ({0.0, 1.0, 9.0}, {1.0, 2.0, 9.0}):
        return [*below, 9.0]
    others = [level for level in others if level not in _ABOVE]
    if role == "site" or len(others) < 2:
        return below
    above = [level for level in levels if level in _ABOVE and level - max(others) > 2 * (max(others) - min(others))]
    return below + above


def _beside_words(numbers: list[float], role: Role) -> list[float]:
    codes = [number for number in numbers if number in _BELOW or (number in _ABOVE and role != "site")]
    return codes if len(codes) == len(numbers) else []


def _in_features(rows: VisitRows) -> list[Codes]:
    if not rows.features.size:
        return []
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(rows.features, axis=0), np.fmax.reduce(rows.features, axis=0)
    suspected: BoolArray = np.isin(low, _BELOW) | np.isin(high, _ABOVE)
    found = []
    for i in np.flatnonzero(suspected):
        values = rows.features[:, i]
        values = values[~np.isnan(values)]
        if codes := isolated_codes(values, is_measure=True):
            found.append(_found(rows.feature_names[i], codes, values))
    return found


def _found(name: str, codes: list[float], values: FloatArray) -> Codes:
    coded = np.isin(values, codes)
    rest = values[~coded]
    return Codes(name, tuple(codes), int(coded.sum()), f"{rest.min():g} to {rest.max():g}")


def _signed(name: str) -> bool:
    return bool(_DIFFERENCES.search(name))


def _plain(code: float | str) -> str:
    return repr(code) if isinstance(code, str) else f"{code:g}"


def _written(code: float | str) -> str:
    return json.dumps(code, ensure_ascii=False) if isinstance(code, str) else f"{code:.0f}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _is_age(name: str) -> bool:
    return canonical(name).startswith("age") and not re.search(r"(months?|days|mo)$", canonical(name))


def isolated_codes(
    values: FloatArray, *, is_age: bool = False, is_measure: bool = False, positive: bool = False
) -> list[float]:
    """Return the usual codes for "missing" among numbers that stand apart from all the others.

    Parameters
    ----------
    values : ndarray
        Without NaN.
    is_age : bool
        99 may be a value.
    is_measure : bool
        Of images: rare high values are outliers rather than codes.
    positive : bool
        Known to be never negative, as years of education are.

    >>> isolated_codes(np.array([12.0, 16.0, -9.0])), isolated_codes(np.array([-1.0, 0.0, 1.0]))
    ([-9.0], [])
    >>> isolated_codes(np.array([61.0, 74.0, 999.0])), isolated_codes(np.array([61.0, 74.0, 99.0]), is_age=True)
    ([999.0], [])
    """
    levels, counts = np.unique(values, return_counts=True)
    usual = np.isin(levels, (*_BELOW, *_ABOVE))
    if not usual.any():
        return []
    body: FloatArray = levels[~np.isin(levels, _BELOW)]
    body_above: FloatArray = body[~np.isin(body, _ABOVE)]
    body = body_above if len(body_above) > 1 else body
    if len(body) < 2:
        return []
    n = int(counts[np.isin(levels, body)].sum())
    often = dict(zip(levels.tolist(), counts.tolist(), strict=True))
    below = [
        code
        for code in levels[np.isin(levels, _BELOW)].tolist()
        if _is_below(code, body, n, often[code], positive=positive)
    ]
    least = 1 if not is_measure else 2
    above = [
        code
        for code in levels[np.isin(levels, _ABOVE)].tolist()
        if not (is_age and code < _AN_AGE)
        and (often[code] >= least or code >= _LARGE)
        and _is_above(code, body, n, often[code])
    ]
    return below + above


def _is_below(code: float, body: FloatArray, n: int, count: int, *, positive: bool) -> bool:
    low, high = float(body[0]), float(body[-1])
    gap, extent = low - code, high - low
    if low < 0:  # real negative values
        fractions = bool((body != np.round(body)).any())
        return (code < -50 and gap > 2 * extent) or (code < -50 and fractions and gap > 3 and n >= _ENOUGH)
    if code == -1:
        apart = low >= 3 and gap > 0.9 * extent
        return apart or (positive and n >= _ENOUGH and len(body) > 3 and count > 1)
    step = float(np.diff(body[: len(body) // 2 + 1]).max())
    return gap > 0.9 * extent or (n >= _ENOUGH and (gap > 3 * step or (positive and count > 1)))


def _is_above(code: float, body: FloatArray, n: int, count: int) -> bool:
    low, high = float(body[0]), float(body[-1])
    gap, extent = code - high, high - low
    if gap <= 0:
        return False
    if gap > 2 * extent and gap > 0.5 * abs(high):
        return True
    upper = body[len(body) // 2 :]
    step = float(np.diff(upper).max()) if len(upper) > 1 else extent
    return n >= _ENOUGH and count > 2 and len(body) >= 5 and gap > 5 * step and gap > 0.3 * extent
