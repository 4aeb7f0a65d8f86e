"""What a visit's name tells: whether it is the first, its number, or its time with a unit or as a date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from nextscan.reading.columns.vocabulary import PER_YEAR, UNITS
from nextscan.reading.times.dates import date_in

FIRST, BETWEEN, LAST = -1, 0, 1
"""Where a visit lies by words of its name."""

# in the order in which they happen; the first words also count inside a name, the others only at its ends
_EARLY_ANYWHERE = ("screening", "screen", "scrn", "scr", "baseline", "bl")
_EARLY_AT_ENDS = (
    "sc", "scmri", "enrollment", "enrolment", "intake", "entry", "initial", "init", "base", "pre", "before", "test",
)  # fmt: skip
_EARLY = (
    "screening", "screen", "scrn", "scr", "sc", "scmri", "enrollment", "enrolment", "intake", "entry", "baseline", "bl",
    "base", "initial", "init", "pre", "before", "test",
)  # fmt: skip
_LATE = ("post", "after", "retest", "final", "last", "exit", "end", "eot", "eos", "termination", "imputed")
_EARLIER = frozenset({"pre", "prior", "before", "preop"})
_ORDINALS = {
    word: number
    for number, words in enumerate(
        ("first|1st", "second|2nd", "third|3rd", "fourth|4th", "fifth|5th", "sixth|6th", "seventh|7th", "eighth|8th"), 1
    )
    for word in words.split("|")
}
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 1
    )
}
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8"}
# words beside a number that say no more than that it is one of the visits, and those that say it is a follow-up
_COUNTED = frozenset({
    "", "visit", "visits", "vis", "v", "ses", "sess", "session", "s", "t", "tp", "timepoint", "time", "point", "scan",
    "mri", "mr", "wave", "w", "exam", "event", "number", "no", "nr", "tag", "m", "d",
})  # fmt: skip
_FOLLOW = frozenset({"fu", "fup", "f", "follow", "up", "followup", "annual", "return"})

_UNIT_OF = {spelling: unit for unit, spellings in UNITS.items() for spelling in spellings}
_SPELLED = "|".join(sorted(_UNIT_OF, key=len, reverse=True))
_NUMBER = r"\d+(?:[.,]\d+)?"
_AFTER = "fu|fup|follow|post|pre|visit|scan|mri"
_NUMBER_UNIT = re.compile(rf"(?<![\d.,])(-?)({_NUMBER})[\s_\-]*({_SPELLED})(?:(?![a-z])|(?={_AFTER}))")
_UNIT_NUMBER = re.compile(rf"(?<![a-z])({_SPELLED})((?:[\s_]-)?)[\s_\-.+]*({_NUMBER})(?![\d.])")
_TIGHT = frozenset("hdw")
"""Letters that are units after a number only where no other letter leads to it (``cube3d``)."""
_ARM = re.compile(r"_arm_\d+[a-z]?$")
_PHASE = re.compile(r"(\d)_(sc|bl|init|m\d+)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-z]+")
_DOUBTFUL = frozenset({"m", "w", "d"})


@dataclass(frozen=True)
class VisitName:
    """What the name of a visit tells.

    Attributes
    ----------
    place : int
        `FIRST` for a baseline, `LAST` for a final visit, else `BETWEEN`.
    family : str
        What its order is told by; names of one family can be compared, as can first and last ones with all.
        ``time`` for numbers with a unit, ``date``, ``number …`` with what surrounds the number, ``word …`` for a name
        that tells nothing.
    years : float or None
        Since the first visit; of a date, since 1970. None where the name does not tell.
    numbers : tuple of float
        Order within a family, after `years`.
    rest : str
        Order among equal numbers.
    letter : str
        The unit, where it is but one letter before the number (``m12``): a measurement, a wave or a day in other
        studies.
    """

    place: int
    family: str
    years: float | None = None
    numbers: tuple[float, ...] = ()
    rest: str = ""
    letter: str = ""

    @property
    def key(self) -> tuple[int, str, float, tuple[float, ...], str]:
        """Sort names of one family."""
        before = self.years is not None and self.years < 0
        place = FIRST - 1 if before else self.place
        return place, self.family, self.years or 0.0, self.numbers, self.rest


def visit_names(names: list[str]) -> dict[str, VisitName]:
    """Read the names of a table's visits, each in the light of the others.

    A letter before a number is a unit (``m12``, ``w4``, ``d30``) unless the names look like a count: ``m1, m2``
    without a baseline are two measurements, ``w1, w2, w3`` are waves. Days and months of dates such as ``02/05/2014``
    are told apart by the other names; where they cannot be, the names tell no order.

    Examples
    --------
    >>> found = visit_names(["6 months", "2 years", "bl"])
    >>> {name: visit.years for name, visit in found.items()}
    {'6 months': 0.5, '2 years': 2.0, 'bl': 0.0}
    >>> [visit.years for visit in visit_names(["w1", "w2"]).values()]
    [None, None]
    """
    read = {name: _read(str(name)) for name in names}
    read = _without_counts(read)
    if any(visit.family.startswith("day or month") for visit in read.values()):
        read = _settled_dates(read)
    return _without_other_phases(read)


def ordered(names: Iterable[str]) -> list[str]:
    """Return the names of visits in the order they tell: first ones, by times, dates or numbers, last ones.

    >>> ordered(["postop", "m12", "m6", "bl"])
    ['bl', 'm6', 'm12', 'postop']
    """
    read = visit_names(list(names))
    return sorted(read, key=lambda name: read[name].key)


def _without_counts(read: dict[str, VisitName]) -> dict[str, VisitName]:
    """Take letters for units only where the numbers are no count of visits."""
    lettered = {letter: {v.numbers[0] for v in read.values() if v.letter == letter} for letter in _DOUBTFUL}
    starts = any(v.place == FIRST for v in read.values())
    units = {letter for letter, numbers in lettered.items() if numbers}
    spelled = any(v.family == "time" and v.years and not v.letter for v in read.values())
    counts = set()
    for letter in units:
        positive = sorted(lettered[letter] - {0.0})
        consecutive = positive == [float(i) for i in range(1, len(positive) + 1)]
        alone = not spelled and len(units) == 1
        begins = starts or (0.0 in lettered[letter] and letter != "w")
        if alone and ((consecutive and not (begins and positive)) or (letter == "w" and not starts and
                      (0.0 not in lettered[letter] or consecutive))):  # fmt: skip
            counts.add(letter)
    return {
        name: replace(v, family="number #", years=None, letter="") if v.letter in counts else v
        for name, v in read.items()
    }


def _settled_dates(read: dict[str, VisitName]) -> dict[str, VisitName]:
    """Decide for all dates of a table whether the day or the month comes first."""
    open_ones = {name: v for name, v in read.items() if v.family.startswith("day or month")}
    day_first = any(v.numbers[0] > 12 for v in open_ones.values())
    month_first = any(v.numbers[1] > 12 for v in open_ones.values())
    for name, visit in open_ones.items():
        a, b, year = (int(number) for number in visit.numbers)
        if day_first == month_first:
            read[name] = VisitName(BETWEEN, f"word {name}")
        else:
            day, month = (a, b) if day_first else (b, a)
            years = date_in(f"{year:04d}-{month:02d}-{day:02d}")
            read[name] = VisitName(BETWEEN, "date", years) if isinstance(years, float) else visit
    return read


def _without_other_phases(read: dict[str, VisitName]) -> dict[str, VisitName]:
    """Leave times out of names such as ``4_bl`` beside ``bl``: the baseline of a later phase is no baseline."""
    phases = {name: match[1] for name in read if (match := _PHASE.fullmatch(str(name).lower()))}
    if not phases or (len(phases) == len(read) and len(set(phases.values())) == 1):
        return read
    return {
        name: replace(v, place=BETWEEN, family=f"phase {phases[name]}", years=None, letter="") if name in phases else v
        for name, v in read.items()
    }


@lru_cache(maxsize=4096)
def _read(name: str) -> VisitName:
    text = _ARM.sub("", name.strip().lower()).removeprefix("ses-")
    text = re.sub(r"follow[\s_\-]+up", "followup", text)
    text = re.sub(r"half[\s_\-]*year", "6 months", re.sub(r"(\d)(?:st|nd|rd|th)(?![a-rt-z])", r"\1 ", text))
    text = re.sub(r"[a-z]+", lambda word: _NUMBERS.get(word[0], word[0]), text)
    phase = _PHASE.fullmatch(text)
    text = phase[2] if phase else text
    date = date_in(text)
    if isinstance(date, float):
        return VisitName(BETWEEN, "date", date)
    if date is not None:
        return VisitName(BETWEEN, "day or month first", None, tuple(map(float, date)))
    words = re.findall(r"[a-z]+", text)
    if words and _early(words[0]) and "+" not in text and words[0] not in _EARLIER:
        return _first(words[0], text)
    timed = _timed(text)
    if timed is not None:
        return timed
    early = [word for word in words if word in _EARLY_ANYWHERE]
    early += [words[i] for i in (0, -1) if words and _early(words[i])]
    if early:
        return _first(early[0], text)
    place = (
        LAST if words and any(word in _LATE or word.startswith("post") for word in (words[0], words[-1])) else BETWEEN
    )
    return _counted(text, place)


def _early(word: str) -> str:
    """Return the word of a first visit that a word is, or begins with as ``preop`` does."""
    known = (*_EARLY_ANYWHERE, *_EARLY_AT_ENDS)
    return word if word in known else "pre" if word.startswith("pre") else ""


def _first(word: str, text: str) -> VisitName:
    return VisitName(FIRST, "", 0.0, (float(_EARLY.index(_early(word))),), text)


def _timed(text: str) -> VisitName | None:
    """Return the time in a name: numbers with units, added up (``1y6m``)."""
    after = _UNIT_NUMBER.search(text)
    before = [match for match in _NUMBER_UNIT.finditer(text) if _is_bound(text, match)]
    if before and after and before[0].start() < after.start() < before[0].end() and before[0].start() > 0:
        before = []  # visit_2_year_1: the unit belongs to what follows
    if before:
        found = {match[3]: match for match in before}
        spans = [(match.start(), match.end()) for match in found.values()]
        parts = [(-1.0 if m[1] and not text[: m.start()].strip(" _") else 1.0, m[2], m[3]) for m in found.values()]
        letter = ""
    elif after:
        spans, letter = [after.span()], after[1] if len(after[1]) == 1 else ""
        parts = [(-1.0 if after[2] else 1.0, after[3], after[1])]
    else:
        return None
    rest = text
    for start, end in reversed(spans):
        rest = f"{rest[:start]} {rest[end:]}"
    sign = -1.0 if _EARLIER & set(re.findall(r"[a-z]+", rest)) else 1.0
    years = sum(sign * s * float(n.replace(",", ".")) / PER_YEAR[_UNIT_OF[unit]] for s, n, unit in parts)
    numbers = tuple(float(part) for part in re.findall(_NUMBER.replace(",", ""), rest))
    if letter:
        numbers = (float(parts[0][1].replace(",", ".")), *numbers)
    return VisitName(BETWEEN, "time", years, numbers, rest.strip(" _-"), letter if letter in _DOUBTFUL else "")


def _is_bound(text: str, match: re.Match[str]) -> bool:
    """Tell whether a number belongs to the unit after it rather than to a letter before it, as in ``cube3d``."""
    lead = re.search(r"[a-z]+$", text[: match.start()])
    known = lead is None or lead[0] in _COUNTED | _FOLLOW | _EARLIER | {"post"}
    return known if match[3] in _TIGHT else True


def _counted(text: str, place: int) -> VisitName:
    """Read a name by the numbers in it: comparable with others that differ in nothing but the numbers."""
    tokens = [_ORDINALS.get(token, token) for token in _TOKEN.findall(text)]
    tokens = [str(_ROMAN.get(str(token), token)) for token in tokens]
    if len(tokens) == 1 and tokens[0] in _FOLLOW:
        tokens.append("1")
    numbers = tuple(float(token) for token in tokens if token[0].isdigit())
    rest = tokens.pop() if len(tokens) > 1 and len(tokens[-1]) == 1 and tokens[-2][0].isdigit() else ""
    if not numbers:
        return VisitName(place, "" if place == LAST else f"word {text}", None, (), text)
    around = ["#" if token[0].isdigit() else "fu" if token in _FOLLOW else token for token in tokens]
    family = "".join(dict.fromkeys(token for token in around if token not in _COUNTED and token != "#"))
    many = "#" * sum(token[0].isdigit() for token in tokens)
    return VisitName(place, "" if place == LAST else f"number {family}{many}", None, numbers, rest)
