"""What the name of a column says about time: years since a visit, ages or dates, and the unit they are in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nextscan.reading.columns.vocabulary import TIME, UNITS, canonical

_UNIT_OF = {spelling: unit for unit, spellings in UNITS.items() for spelling in spellings}
_BARE = frozenset({"days", "weeks", "month", "months", "year", "years", "hours", "yrs", "mths"})
"""Units that name a time by themselves; the others need a word about time beside them."""
_START = frozenset({
    "bl", "baseline", "base", "first", "start", "study", "enroll", "enrol", "enrolled", "enrollment", "enrolment",
    "entry", "consent", "randomization", "randomisation", "intake", "inclusion", "screening", "initial", "t0",
})  # fmt: skip
_SINCE = frozenset({"since", "from", "after", "post"})
_VISIT = frozenset({
    "visit", "visits", "scan", "scans", "scanning", "mri", "mr", "session", "sessions", "exam", "examination",
    "imaging", "image", "acquisition", "acq", "assessment", "interview", "test", "testing",
})  # fmt: skip
_SPAN = frozenset({
    "time", "delay", "interval", "gap", "elapsed", "duration", "delta", "followup", "follow", "up", "fu", "diff",
    "difference", "between", "inter", "interscan", "intervisit", "dt", "lag",
})  # fmt: skip
# of the time between two visits, where nothing else can be meant: by itself, and beside another word or a unit
_GAPS = frozenset({"interval", "gap", "delay", "lag", "elapsed", "between", "interscan", "intervisit"})
_OF_GAPS = frozenset({"time", "int", "fu", "followup", "follow", "delta", "dt", "diff", "difference", "duration"})
_SMALL = frozenset({"in", "of", "the", "to", "at", "and", "n", "num", "number", "total", "t"})
_ABOUT_TIME = _START | _SINCE | _VISIT | _SPAN | _SMALL
_AGE = _VISIT | frozenset({
    "in", "of", "the", "at", "on", "when", "time", "subject", "participant", "patient", "current", "chronological",
    "decimal", "exact", "calculated", "demo", "old", "day",
})  # fmt: skip
_DATE = _VISIT | frozenset({"of", "the", "at", "study", "time", "brain", "collection", "event", "clinic", "clinical"})
_OF_SCANS = frozenset({"scan", "scans", "scanning", "mri", "mr", "imaging", "image", "acquisition", "acq"})
_AFTER_CONCEPTION = frozenset(
    {"pma", "ga", "postmenstrual", "menstrual", "gestational", "postconceptional", "conceptional"}
)
_DATES = frozenset({"date", "datetime", "dates"})

Meaning = tuple[str, str]
"""Kind and unit, as of `nextscan.reading.times.columns.TimeColumn`."""


def known_names(columns: Iterable[str]) -> list[tuple[str, Meaning]]:
    """Return the columns that tell a time by their names, the best first.

    Times since a visit come first, then dates, then age, then what is called time without a unit, then months of a
    plan (``M``) and times since anything else than a visit.

    >>> known_names(["age", "days_to_visit", "Left-Hippocampus"])
    [('days_to_visit', ('years', 'days')), ('age', ('age', 'years'))]
    """
    columns = list(columns)
    ranked = [(rank, i, (column, meaning)) for i, column in enumerate(columns) for rank, meaning in _ranked(column)]
    if any(rank[0] == _RANK["age"] and rank[1] <= _PMA for rank, *_ in ranked):
        ranked = [item for item in ranked if item[0] != (_RANK["age"], _PMA + 1)]
    found = [item for _, _, item in sorted(ranked)]
    if not _GESTATION.isdisjoint(map(canonical, columns)):
        found = [
            (name, (kind, "weeks") if canonical(name) == "scanage" else (kind, unit)) for name, (kind, unit) in found
        ]
    return found


_GESTATION = frozenset({"birthage", "gestationalage", "gaatbirth", "pmaatbirth", "birthga", "birthgestationalage"})
"""Beside these, ``scan_age`` is the age since conception, in weeks."""
_ORDER = {name: i for i, name in enumerate(TIME)}
_RANK = {"years": 0, "date": 2, "age": 3, "time": 4}
_PMA = 300
"""Order of the age since conception, behind those since birth."""


def _ranked(column: str) -> list[tuple[tuple[int, int], Meaning]]:
    name = canonical(column)
    if name in TIME:
        meaning = TIME[name]
        return [((_RANK[meaning[0]], _ORDER[name] + _behind(column, meaning[0])), meaning)]
    if name == "m":
        return [((5, 0), ("years", "months"))]
    words = words_of(column)
    units = [word for word in words if word in _UNIT_OF]
    rest = set(words) - set(units)
    if not rest and _BARE.isdisjoint(units):  # HR may be a heart rate, Wk what is drunk in one
        return []
    if is_after_conception(column):
        return [((3, _PMA + is_of_birth(column)), ("age", _UNIT_OF[units[-1]] if units else "weeks"))]
    if ("age" in rest and rest <= _AGE | {"age"}) or (units and rest == {"old"}):
        return [((3, 99 + _behind(column, "age")), ("age", _UNIT_OF[units[-1]] if units else "years"))]
    if not _DATES.isdisjoint(rest) and rest <= _DATE | _DATES:
        return [((2, 99 + _behind(column, "date")), ("date", "years"))]
    letters = all(len(unit) == 1 for unit in units)
    if units and not (letters and rest <= _SMALL):
        if rest <= _ABOUT_TIME:
            return [((1, int(units[0] != "years")), ("years", _UNIT_OF[units[0]]))]
        if not _SINCE.isdisjoint(rest) and not letters:
            return [((6, 0), ("years", _UNIT_OF[units[0]]))]
    spans = rest & {"time", "interval", "delay", "elapsed", "gap", "lag"}
    if (
        not units
        and spans
        and rest <= _ABOUT_TIME
        and rest & (_START | _SINCE | {"followup", "follow", "fu", "between"})
    ):
        return [((4, 98), ("time", "years"))]
    return []


def _behind(column: str, kind: str) -> int:
    """Return what puts dates and ages of visits to a clinic behind those of scans."""
    return 0 if kind in ("years", "time") or not _OF_SCANS.isdisjoint(words_of(column)) or _is_of_scan(column) else 150


def _is_of_scan(column: str) -> bool:
    name = canonical(column)
    return name.startswith(("scan", "mri", "mr", "acq", "studydate")) or name.endswith(("scan", "mri", "mr"))


def is_after_conception(column: str) -> bool:
    """Tell whether a name is that of an age since conception: at the scan, or at birth where nothing says which.

    >>> [is_after_conception(name) for name in ("PMA", "GA_weeks", "gestational age", "ga_at_birth", "age", "mega")]
    [True, True, True, False, False, False]
    """
    rest = {word for word in words_of(column) if word not in _UNIT_OF}
    return not rest.isdisjoint(_AFTER_CONCEPTION) and rest <= _AGE | _AFTER_CONCEPTION | {"age", "post"}


def is_of_birth(column: str) -> bool:
    """Tell whether an age since conception may be that at birth: ``GA``, which one has at birth and before."""
    words = set(words_of(column))
    return not words.isdisjoint({"ga", "gestational"}) and words.isdisjoint(_VISIT)


def gap_unit(column: str) -> str | None:
    """Return the unit of a column that tells the time between two visits by its name; empty if it names none.

    None where the name tells something else.

    >>> [gap_unit(name) for name in ("gap", "delta_t", "int_months", "interval_days", "followup_time", "fu_years")]
    ['', '', 'months', 'days', '', 'years']
    >>> [gap_unit(name) for name in ("followup", "delta", "time", "int", "disease_duration", "gap_junctions", "sex")]
    [None, None, None, None, None, None, None]
    """
    words = words_of(column)
    units = [word for word in words if word in _UNIT_OF]
    rest = set(words) - set(units)
    if (
        not rest <= _ABOUT_TIME | _OF_GAPS
        or rest <= _SMALL | {"duration"}
        or rest.isdisjoint(_GAPS | _OF_GAPS | _SINCE)
    ):
        return None
    if units:
        return _UNIT_OF[units[-1]] if len(units[-1]) > 1 or rest & _GAPS else None
    alone = rest & _GAPS or "dt" in rest
    beside = rest & {"time", "t"} and rest & (_OF_GAPS - {"time"})
    return "" if alone or beside else None


def words_of(column: str) -> list[str]:
    """Return the words of a column's name in lower case.

    >>> words_of("daysFromEnroll"), words_of("Age (months)"), words_of("MRI_Age")
    (['days', 'from', 'enroll'], ['age', 'months'], ['mri', 'age'])
    """
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", column)
    return re.findall(r"[a-z]+(?:0\b)?", split.lower())
