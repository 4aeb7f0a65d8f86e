"""Levels of categories: which spellings are one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SEXES = (("m", "f"), ("male", "female"), ("man", "woman"), ("boy", "girl"), ("males", "females"), ("men", "women"))
_SEX_OF = {word: ("male", "female")[i] for pair in _SEXES for i, word in enumerate(pair)}
_SEX_LABELS = frozenset({"sex", "gender"})
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def level_key(level: object, label: str = "") -> str:
    """Return what two spellings of one level share.

    Case and blanks do not count, nor do the point and the leading zeros of a whole number.
    Of a label called sex or gender, ``M`` and ``male`` are one level as well.

    >>> level_key("11025.0"), level_key("007"), level_key(" Siemens  Prisma"), level_key("F", "sex")
    ('11025', '7', 'siemens prisma', 'female')
    """
    text = " ".join(str(level).casefold().split())
    text = match[1] if (match := _WHOLE.fullmatch(text)) else text
    text = (text.lstrip("0") or "0") if text.isdigit() else text
    return _SEX_OF.get(text, text) if label.casefold() in _SEX_LABELS else text


def is_sex(level: object) -> bool:
    """Tell whether a text names a sex.

    >>> is_sex("Female"), is_sex("1")
    (True, False)
    """
    return level_key(level) in _SEX_OF


def spellings(counts: Mapping[str, int], label: str = "") -> dict[str, str]:
    """Return the spelling to use for each text of a label: of those that are one level, the most frequent.

    The two sexes are spelled alike: ``Male`` and ``F`` become ``Male`` and ``Female`` where ``Male`` is more frequent.

    >>> spellings({"F": 20, "f": 1, "Female": 3, "m": 9}, "sex")
    {'F': 'F', 'f': 'F', 'Female': 'F', 'm': 'M'}
    """
    usual: dict[str, str] = {}
    for level in sorted(counts, key=lambda level: -counts[level]):
        usual.setdefault(level_key(level, label), _plain(level))
    if label.casefold() in _SEX_LABELS:
        usual |= _paired(max(counts, key=lambda level: counts[level], default=""))
    return {level: usual[level_key(level, label)] for level in counts}


def same_levels(mine: Iterable[object], theirs: Iterable[object], label: str = "") -> bool:
    """Tell whether one of two sets of levels is a part of the other, however they are spelled."""
    one, other = ({level_key(level, label) for level in levels} for levels in (mine, theirs))
    return one <= other or other <= one


def _plain(level: str) -> str:
    return match[1] if (match := _WHOLE.fullmatch(level)) else " ".join(level.split())


def _paired(model: str) -> dict[str, str]:
    """Spell both sexes as a text does; empty where it is no word for a sex."""
    pair = next((pair for pair in _SEXES if model.casefold() in pair), None)
    if pair is None:
        return {}
    style = str.upper if model.isupper() else str.title if model.istitle() else str.lower
    return {"male": style(pair[0]), "female": style(pair[1])}
