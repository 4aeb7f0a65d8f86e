"""The unit of a time as people tell it in words: in the fields of a sidecar, or behind a number."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPELLINGS = {
    "years": ("year", "years", "yr", "yrs", "y", "yo", "annum", "annums", "a"),
    "months": ("month", "months", "mo", "mos", "mon", "mth", "mths", "mnth", "mnths", "m"),
    "weeks": ("week", "weeks", "wk", "wks", "w"),
    "days": ("day", "days", "d"),
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_LONG = "|".join(sorted((name for name in _UNITS if len(name) > 3), key=len, reverse=True))
_SAID = re.compile(
    rf"(?:\bin|\bunits?\W+|[(\[])\s*(?:(?:decimal|whole|full|completed?|rounded)\W+)*({_LONG})\b"
    rf"|[,:=]\s*({_LONG})\s*(?:$|[.;)\]])"
)
_NAMED = re.compile(rf"(?<!\d)(?<!\d[ \-])\b({_LONG})\b(?![\s\-]*(?:follow|ago|apart|after|later|before))")
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([a-z.]+)(?: old| of age)?", re.IGNORECASE)


def unit_named(text: str) -> str | None:
    """Return the unit that a field for units names; None where it names none, or several.

    >>> [unit_named(text) for text in ("month", "Mo.", "decimal years", "Y", "[d]", "months or years", "cm", "")]
    ['months', 'months', 'years', 'years', 'days', None, None, None]
    """
    words = re.findall(r"[a-z]+", text.lower().replace("y.o", "yo"))
    found = {_UNITS[word] for word in words if word in _UNITS and (len(words) == 1 or len(word) > 1)}
    return found.pop() if len(found) == 1 else None


def unit_described(text: str) -> str | None:
    """Return the unit that a sentence about a column tells; None where it tells none, or several.

    >>> unit_described("Age of the participant (in months)"), unit_described("participant's age, years")
    ('months', 'years')
    >>> unit_described("Age at the 2 years follow-up"), unit_described("Days are short, years are long")
    (None, None)
    """
    text = text.lower()
    for pattern in (_SAID, _NAMED):
        if found := {_UNITS[next(filter(None, match.groups()))] for match in pattern.finditer(text)}:
            return found.pop() if len(found) == 1 else None
    return None


def unit_told(column: Mapping[str, object]) -> tuple[str | None, str]:
    """Return the unit that the description of a column in a JSON sidecar tells, and a unit it names in vain.

    Told in ``Units``, else in a sentence: ``LongName``, ``Description``, ``Levels``.

    >>> unit_told({"Units": "mo"}), unit_told({"Description": "Age in weeks"}), unit_told({"units": "eons"})
    (('months', ''), ('weeks', ''), (None, 'eons'))
    """
    fields = {str(key).lower(): value for key, value in column.items()}
    given = " ".join(_texts(fields.get("units", fields.get("unit"))))
    if unit := unit_named(given):
        return unit, ""
    for field in ("longname", "description", "levels"):
        if unit := unit_described(". ".join(_texts(fields.get(field)))):
            return unit, ""
    return None, given


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def quantity(text: str) -> tuple[float, str] | None:
    """Return a number with its unit.

    >>> quantity("12 months"), quantity("065Y"), quantity("3.5 yrs old"), quantity("60-65"), quantity("7 T")
    ((12.0, 'months'), (65.0, 'years'), (3.5, 'years'), None, None)
    """
    match = _QUANTITY.fullmatch(text.strip())
    unit = unit_named(match[2]) if match else None
    return (float(match[1]), unit) if match and unit else None
