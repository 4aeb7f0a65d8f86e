"""Label columns: numbers or words, with the codings of a schema."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nextscan.errors import SchemaError, some
from nextscan.reading.columns.tables import Table, Texts, to_number
from nextscan.reading.columns.vocabulary import LABELS, QUANTITIES, SITES, canonical
from nextscan.reading.schema import LabelSchema

_FEW_CODES = 10
_SEX_CODINGS = ({"m", "f"}, {"male", "female"}, {"man", "woman"}, {"boy", "girl"})


def label_name(column: str) -> str:
    """Return the name of a label: well-known ones in lower case, others as the column says."""
    return column.strip().lower().replace(" ", "_") if canonical(column) in LABELS else column


def label_values(texts: Texts, schema: LabelSchema, table: Table, column: str) -> pd.Series:
    """Return a label as numbers if all its values are, else as strings; NaN where missing.

    Raises
    ------
    SchemaError
        If the schema gives codes and a value is not among them.
    """
    if schema.present:
        return pd.Series([float(text is not None) for text in texts])
    if schema.codes is None:
        return as_label(texts)
    codes = {_code(key): value for key, value in schema.codes.items()}
    unknown = {row: text for row, text in enumerate(texts) if text is not None and _code(text) not in codes}
    if unknown:
        row, text = next(iter(unknown.items()))
        raise SchemaError(
            f"{table.cell(row, column)}: {text!r} is not among the "
            f"codes of the schema ({some(schema.codes)}); add it to the codes, or list it as missing"
        )
    coded = np.array([None if text is None else str(codes[_code(text)]) for text in texts], dtype=object)
    return as_label(coded)


def _code(text: str) -> str:
    number = to_number(text)
    return text if number is None else f"{number:g}"


def as_label(texts: Texts) -> pd.Series:
    """Return texts as a label: numbers if all are numbers, else strings."""
    known = [text for text in texts if text is not None]
    if all(to_number(text) is not None for text in known):
        return pd.Series([np.nan if text is None else float(text) for text in texts], dtype=float)
    return pd.Series(texts, dtype="str")


def conflict(name: str, first: pd.Series, second: pd.Series) -> str:
    """Say how two files code the same label differently, or return nothing if they agree.

    Words against numbers disagree; so do different words (M/F, male/female) and different small whole
    numbers (0/1, 1/2), unless one file uses a part of the other's. Names of sites, studies and
    scanners are never codes, nor are quantities such as age.

    >>> conflict("sex", pd.Series(["M", "F"]), pd.Series([0.0, 1.0]))
    'F/M against 0/1'
    >>> conflict("sex", pd.Series(["M", "F"]), pd.Series(["F"]))
    ''
    """
    left, right = first.dropna(), second.dropna()
    if not len(left) or not len(right) or canonical(name) in SITES:
        return ""
    mine, theirs = sorted(set(left)), sorted(set(right))
    words = [not pd.api.types.is_numeric_dtype(part) for part in (left, right)]
    codes = canonical(name) not in QUANTITIES and _are_codes(mine) and _are_codes(theirs)
    differ = words[0] != words[1] or (codes and not _agree(mine, theirs))
    return f"{_shown(mine)} against {_shown(theirs)}" if differ else ""


def _are_codes(values: list[object]) -> bool:
    whole = all(isinstance(value, str) or float(str(value)).is_integer() for value in values)
    return len(values) <= _FEW_CODES and whole


def _agree(mine: list[object], theirs: list[object]) -> bool:
    together = {str(value) for value in (*mine, *theirs)}
    if set(mine) <= set(theirs) or set(theirs) <= set(mine):
        return True
    as_sex = {value.lower() for value in together}
    same_case = len(as_sex) == len(together)
    return same_case and any(as_sex <= coding for coding in _SEX_CODINGS)


def _shown(values: list[object]) -> str:
    texts = [value if isinstance(value, str) else f"{float(str(value)):g}" for value in values[:4]]
    return "/".join(texts) + ("/..." if len(values) > 4 else "")
