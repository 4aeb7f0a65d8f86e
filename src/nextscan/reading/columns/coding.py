"""What codes of sex mean, where the name of a column or the dictionary beside its table tells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nextscan.cohort.levels import is_sex, level_key
from nextscan.reading.columns.roles import is_one_sex, role_of, words_of
from nextscan.reading.formats.tables import Table, Texts

_WORD = r"(?:females?|males?|woman|man|women|men|girl|boy|f|m)"
_CODE_FIRST = re.compile(rf"(?<![a-z0-9.])(\d)\s*[=:\-_]?\s*({_WORD})(?![a-z])")
_WORD_FIRST = re.compile(rf"(?<![a-z])({_WORD})\s*[=:\-_]?\s*(\d)(?![0-9.])")


def sex_codes(table: Table, column: str, texts: Texts) -> dict[str, str]:
    """Return what the digits of a column of sex mean; empty where nothing tells.

    The name may tell, as in ``sex (1=male, 2=female)``, ``gender_m1f2`` or ``is_female``; else the ``Levels`` of a
    JSON dictionary beside the table, as ``participants.json`` is.
    """
    if role_of(column) != "sex" or any(is_sex(text) for text in set(texts) - {None}):
        return {}
    codes = codes_in_name(column) or _in_dictionary(table, column)
    return codes if any(level_key(text) in codes for text in set(texts) - {None}) else {}


def codes_in_name(column: str) -> dict[str, str]:
    """Return the codes that the name of a column of sex gives.

    >>> codes_in_name("Sex (1=male, 2=female)"), codes_in_name("gender_m1f2"), codes_in_name("Female")
    ({'1': 'male', '2': 'female'}, {'1': 'male', '2': 'female'}, {'1': 'female', '0': 'male'})
    """
    if is_one_sex(column):
        one = "female" if "female" in words_of(column) else "male"
        return {"1": one, "0": {"female": "male", "male": "female"}[one]}
    low = column.lower()
    found = [(code, word) for code, word in _CODE_FIRST.findall(low)]
    if len(found) != 2:
        found = [(code, word) for word, code in _WORD_FIRST.findall(low)]
    codes = {code: level_key(word, "sex") for code, word in found}
    return codes if len(codes) == 2 and set(codes.values()) == {"male", "female"} else {}


def _in_dictionary(table: Table, column: str) -> dict[str, str]:
    path = table.path.with_suffix(".json")
    try:
        known: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError):
        return {}  # whether it is a dictionary at all is not this column's affair
    entry = known.get(column) if isinstance(known, Mapping) else None
    levels = entry.get("Levels") if isinstance(entry, Mapping) else None
    if not isinstance(levels, Mapping):
        return {}
    told = {
        level_key(code): str(said.get("Description", "") if isinstance(said, Mapping) else said)
        for code, said in levels.items()
    }
    sexes = {code: level_key(word, "sex") for code, word in told.items() if is_sex(word)}
    return sexes if set(sexes.values()) == {"male", "female"} and all(code.isdigit() for code in sexes) else {}
