"""Label columns: numbers or words, with the codings of a schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from nextscan.cohort.levels import level_key, same_levels, spellings
from nextscan.errors import SchemaError, some
from nextscan.reading.columns.roles import Role, role_of
from nextscan.reading.columns.vocabulary import LABELS, QUANTITIES, SITES, canonical
from nextscan.reading.formats.tables import Table, Texts, to_number
from nextscan.reading.schema import LabelSchema

_FEW_CODES = 10
_MOST_GROUPS = 12
_SMALL_CODE = 10.0
_OTHER_UNIT = 8.0
_OLDEST = 130.0

_NO_DATES = {"1900": "01", "1901": "01", "1902": "02", "1903": "03", "1909": "09", "2037": "07"}  # year: day, month
_NO_DATE = re.compile(
    "(?:"
    + "|".join(f"{year}[-/.]?{part}[-/.]?{part}|{part}[-/.]{part}[-/.]{year}" for year, part in _NO_DATES.items())
    + r")(?:[T ].*)?"
)

Kind = Literal["category", "number"]


def label_name(column: str) -> str:
    """Return the name of a label: ``sex``, well-known ones in lower case, others as the column says.

    >>> label_name("PTGENDER"), label_name("Field Strength"), label_name("WardName")
    ('sex', 'field_strength', 'WardName')
    """
    if role_of(column) == "sex":
        return "sex"
    return column.strip().lower().replace(" ", "_") if canonical(column) in LABELS else column


def label_values(
    texts: Texts,
    schema: LabelSchema,
    table: Table,
    column: str,
    *,
    name: str = "",
    codes: Mapping[str, str] | None = None,
) -> pd.Series:
    """Return a label as numbers if all its values are and it is no category, else as strings; NaN where missing.

    Parameters
    ----------
    texts : ndarray of str
    schema : LabelSchema
    table : Table
    column : str
    name : str
        Of the label, where it tells more than the column's name.
    codes : mapping, optional
        What some of the values mean, where the schema gives no codes.

    Raises
    ------
    SchemaError
        If the schema gives codes and a value is not among them, or says number and a value is none.
    """
    if schema.present:
        return pd.Series([float(text is not None and not is_no_date(text)) for text in texts])
    if schema.codes is not None:
        texts = _decoded(texts, schema.codes, table, column)
    elif codes:
        known = {level_key(key): value for key, value in codes.items()}
        texts = np.array([text and known.get(level_key(text), text) for text in texts], dtype=object)
    if schema.kind == "number":
        wrong = [row for row, text in enumerate(texts) if text is not None and to_number(text) is None]
        if wrong:
            raise SchemaError(
                f"{table.path}, {table.place(wrong[0])}, column {column}: expected a number, found "
                f'{texts[wrong[0]]!r}; correct the cell, list it as missing, or say kind = "category"'
            )
    coded = schema.codes is not None and not any(isinstance(value, str) for value in schema.codes.values())
    return as_label(texts, name if role_of(name) else column, schema.kind or ("number" if coded else None))


def _decoded(texts: Texts, codes: Mapping[str, str | float], table: Table, column: str) -> Texts:
    exact = {str(key): str(value) for key, value in codes.items()}
    loose = {level_key(key): str(value) for key, value in codes.items()}
    means = {text: exact.get(text, loose.get(level_key(text))) for text in dict.fromkeys(texts) if text is not None}
    if None in means.values():
        row, text = next((row, text) for row, text in enumerate(texts) if text is not None and means[text] is None)
        raise SchemaError(
            f"{table.cell(row, column)}: {text!r} is not among the "
            f"codes of the schema ({some(codes)}); add it to the codes, or list it as missing"
        )
    return np.array([text and means[text] for text in texts], dtype=object)


def is_no_date(text: str) -> bool:
    """Tell whether a date stands for something else, as UK Biobank writes it: no date known, before birth, to come.

    >>> is_no_date("1900-01-01"), is_no_date("07/07/2037"), is_no_date("1902-02-03")
    (True, True, False)
    """
    return _NO_DATE.fullmatch(text) is not None


def as_label(texts: Texts, name: str = "", kind: Kind | None = None) -> pd.Series:
    """Return texts as a label: numbers if all are numbers, else strings, each level spelled in one way.

    A column or label that is called like a site, a scanner, a sex, a diagnosis, a group or alike holds categories,
    whatever their digits, unless `kind` says otherwise.
    """
    known = [text for text in texts if text is not None]
    numeric = all(to_number(text) is not None for text in known)
    if kind is None:
        kind = "category" if not numeric or names_groups(role_of(name), known) else "number"
    if kind == "number":
        return pd.Series([np.nan if text is None else float(text) for text in texts], dtype=float)
    label = "sex" if role_of(name) == "sex" else name
    return unified(pd.Series(texts, dtype="str"), label)


def names_groups(role: Role, numbers: list[str]) -> bool:
    """Tell whether numbers of a column with this role are names: always of sites and sexes, of groups if few and whole.

    >>> names_groups("site", ["1.5", "3"]), names_groups("group", ["-80", "12.5"]), names_groups("amount", ["1"])
    (True, False, False)
    """
    if role in ("sex", "site"):
        return True
    levels = {float(text) for text in numbers} if role == "group" else set()
    return 0 < len(levels) <= _MOST_GROUPS and all(level.is_integer() for level in levels)


def unified(values: pd.Series, label: str = "") -> pd.Series:
    """Return texts with the levels that differ only by case or blanks (of sex also M and male) spelled in one way."""
    counts = values.value_counts()
    spelled = spellings({str(level): int(count) for level, count in counts.items()}, label)
    changed = {level: usual for level, usual in spelled.items() if level != usual}
    return values.replace(changed) if changed else values


def respelled(texts: Texts, values: pd.Series, codes: Mapping[str, str] | None = None) -> str:
    """Say what was read as one level, and what codes were taken to mean; nothing where texts are as they were."""
    if codes:
        return f"{', '.join(f'{code} = {word}' for code, word in codes.items())}, as its name or dictionary tells"
    if pd.api.types.is_numeric_dtype(values):
        return ""
    of: dict[str, set[str]] = {}
    for text, level in zip(texts, values, strict=True):
        if text is not None and isinstance(level, str):
            of.setdefault(level, set()).add(text)
    merged = [f"{', '.join(sorted(spelled))} as {level}" for level, spelled in of.items() if len(spelled) > 1]
    return f"read {some(merged)}" if merged else ""


def conflict(name: str, first: pd.Series, second: pd.Series) -> str:
    """Say how two files code the same label differently, or return nothing if they agree.

    Words against numbers disagree; so do different words (control/patient, HC/MDD) and different small whole
    numbers (0/1, 1/2), unless one file uses a part of the other's. Names of sites, studies and
    scanners are never codes, nor are quantities such as age; but quantities disagree where one file has small
    codes and the other only larger values, or where they lie apart as months and years do.

    >>> conflict("sex", pd.Series(["M", "F"]), pd.Series([0.0, 1.0]))
    'F/M against 0/1'
    >>> conflict("sex", pd.Series(["M", "F"]), pd.Series(["female"]))
    ''
    """
    left, right = first.dropna(), second.dropna()
    role = role_of(name)
    if not len(left) or not len(right) or canonical(name) in SITES or role == "site":
        return ""
    mine, theirs = sorted(set(left)), sorted(set(right))
    words = [not pd.api.types.is_numeric_dtype(part) for part in (left, right)]
    if canonical(name) in QUANTITIES or role == "amount":
        differ = not any(words) and _apart(name, left, right)
    else:
        label = "sex" if role == "sex" else name
        differ = _are_codes(mine) and _are_codes(theirs) and not _agree(mine, theirs, label)
    differ |= words[0] != words[1]
    return f"{_shown(mine)} against {_shown(theirs)}" if differ else ""


def _are_codes(values: list[object]) -> bool:
    whole = all(isinstance(value, str) or float(str(value)).is_integer() for value in values)
    return len(values) <= _FEW_CODES and whole


def _agree(mine: list[object], theirs: list[object], label: str) -> bool:
    both = {level_key(value, label) for value in (*mine, *theirs)}
    return same_levels(mine, theirs, label) or (label == "sex" and both <= {"male", "female"})


def _apart(name: str, left: pd.Series, right: pd.Series) -> bool:
    """Tell whether two files cannot hold the same quantity."""
    if canonical(name).startswith("age") and not canonical(name).endswith(("months", "days")):
        return bool((left.max() > _OLDEST) != (right.max() > _OLDEST))
    low, high = sorted((left, right), key=lambda values: float(values.max()))
    if not high.min() > low.max() > 0 or low.min() < 0:
        return False
    coded = low.max() < _SMALL_CODE and low.nunique() <= _FEW_CODES and bool((low == low.round()).all())
    return coded or float(high.median()) > _OTHER_UNIT * float(low.median())


def _shown(values: list[object]) -> str:
    texts = [value if isinstance(value, str) else f"{float(str(value)):g}" for value in values[:4]]
    return "/".join(texts) + ("/..." if len(values) > 4 else "")
