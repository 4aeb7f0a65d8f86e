"""Which columns of a table with one row per subject hold the same measure at several visits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort.known import Names
from nextscan.errors import SchemaError, some
from nextscan.reading.columns.roles import is_label
from nextscan.reading.columns.vocabulary import SUBJECT, TIME, canonical, find, is_identifier
from nextscan.reading.formats.tables import Table, numbers_or_missing
from nextscan.reading.schema import TableSchema, fits, nearest
from nextscan.reading.times.visit_names import ordered

_WORDS = (
    "baseline|base|bl|screening|scr|initial|pre|before|entry|first|second|third|fourth|"
    "follow[-_. ]?up|fup|fu|post|after|final|last|retest"
)
_COUNTED = (
    "timepoint|time|tp|t|visit|vis|v|wave|w|session|sess|ses|scan|mri|year|yr|y|month|mon|mo|m|week|wk|day|d|"
    "follow[-_. ]?up|fup|fu|phase|assessment|round"
)
_UNIT = "months?|mon|mo|m|years?|yrs?|y|weeks?|wks?|w|days?|d"
_TOKEN = rf"(?:{_WORDS}|(?:{_COUNTED})[-_. ]?\d{{1,3}}|\d{{1,3}}(?:{_UNIT})|(?:19|20)\d\d)"
_GAP = r"[-_.:| ]+"
_SUFFIX = re.compile(rf"(?P<stem>.+?)(?P<gap>{_GAP}\(?|\s*[(\[])(?P<visit>{_TOKEN})(?P<end>[)\]]?)", re.IGNORECASE)
_PREFIX = re.compile(rf"(?P<visit>{_TOKEN})(?P<gap>{_GAP})(?P<stem>.+)", re.IGNORECASE)
_POINT = re.compile(r"(?P<stem>.*[A-Za-z].*?)(?P<gap>\.)(?P<visit>\d{1,2})(?P<end>)")
_NUMBER = re.compile(r"(?P<stem>.*[A-Za-z].*?)(?P<gap>_)(?P<visit>\d{1,2})(?P<end>)")
_MERGED = re.compile(r"(?P<stem>.+?)(?P<gap>[._])(?P<visit>x|y)(?P<end>)")
_JOINING = re.compile(r"(?<=.)[-_. ](?:at|of|on|in)$", re.IGNORECASE)
_CONTRAST_OR_AREA = re.compile(r"[tv]\d", re.IGNORECASE)
_NO_MEASURE = frozenset({
    "lh", "rh", "left", "right", "l", "r", "area", "thickness", "volume", "vol", "meancurv", "curv", "mean", "sd", "n",
})  # fmt: skip
_MOST, _LONGEST = 0.5, 20
_ENOUGH_PEOPLE, _ALIKE, _SCALE = 20, 0.3, 2.0


@dataclass(frozen=True)
class Pairs:
    """Columns of one measure at several visits.

    Attributes
    ----------
    subject : str
    visits : tuple of str
        In order.
    columns : mapping of (stem, visit) to column
    form : str
        How columns are called: ``*`` stands for the stem, ``@`` for the visit.
    """

    subject: str
    visits: tuple[str, ...]
    columns: Mapping[tuple[str, str], str]
    form: str

    @property
    def stems(self) -> list[str]:
        """What is measured, in the order of the table."""
        return list(dict.fromkeys(stem for stem, _ in self.columns))

    @property
    def timed(self) -> bool:
        """Tell whether a date, an age or a time is given for each of several visits."""
        return any(len(visits) > 1 and is_moment(stem) for stem, visits in _by_stem(self.columns).items())


def is_moment(stem: str) -> bool:
    """Tell whether a stem is called as times, ages and dates are."""
    return canonical(stem) in TIME


def find_pairs(
    table: Table, schema: TableSchema, *, schema_path: str = "schema", like: Names | None = None
) -> Pairs | None:
    """Return the pairs of a table with one row per subject, or None if there are none.

    They are recognised where most columns come in pairs whose names end (or start) in usual names of visits:
    ``_t1`` and ``_t2``, ``_bl`` and ``_m12``, ``_2014`` and ``_2018``. Without ages or dates of the visits, both
    columns of a pair must also be of one scale, and go along with each other, as a measure taken twice does. The
    schema's `wide` overrules all of this; columns that are features of `like` are no pairs.

    Raises
    ------
    SchemaError
        If the schema names columns of visits that are not there.
    """
    columns = list(table.own_columns)
    subject = schema.subject or find(columns, SUBJECT)
    if schema.wide is not None:
        return _as_told(table, subject, schema.wide, schema_path) if schema.wide else None
    if subject is None or schema.visit is not None or schema.scan_name is not None:
        return None
    rest = [name for name in columns if name != subject and not _excluded(name, schema)]
    for pattern in (_SUFFIX, _PREFIX, _POINT, _NUMBER):
        pairs = _pairs(subject, rest, pattern)
        known = set() if like is None else {*like.feature_names, *like.labels}
        if pairs is None or _named(schema, pairs, known) or (pattern is _NUMBER and not pairs.timed):
            continue
        if _is_plausible(table, pairs, pattern):
            return pairs
    return None


def possible_pairs(table: Table, subject: str) -> Pairs | None:
    """Return pairs that may be visits, or something else: ``hippo_1`` and ``hippo_2``, ``hippo.x`` and ``hippo.y``."""
    rest = [name for name in table.own_columns if name != subject]
    for pattern in (_NUMBER, _MERGED):
        pairs = _pairs(subject, rest, pattern)
        if pairs is None or len(pairs.stems) < 2 or _has_third(pairs, rest) or not _is_wide(table, pairs):
            continue
        if len(pairs.visits) == 2 and _go_together(table, pairs):
            return pairs
    return None


def _excluded(name: str, schema: TableSchema) -> bool:
    return any(fits(pattern, name) for pattern in schema.exclude)


def _as_told(table: Table, subject: str | None, forms: tuple[str, ...], schema_path: str) -> Pairs:
    columns: dict[tuple[str, str], str] = {}
    visits: list[str] = []
    for form in forms:
        start, end = form.split("*")
        visits.append(form.replace("*", "").strip("-_.:| ()[]") or form)
        found = [
            name for name in table.own_columns
            if name.startswith(start) and name.endswith(end) and len(name) >= len(form) and name != subject
        ]  # fmt: skip
        if not found:
            raise SchemaError(
                f"{schema_path}, wide: {table.path} has no column like {form}; "
                f"{nearest(form.replace('*', ''), table.own_columns)}it has {some(table.own_columns)}"
            )
        columns |= {(name[len(start) : len(name) - len(end)], visits[-1]): name for name in found}
    if subject is None:
        raise SchemaError(f'{schema_path}, wide: {table.path} has no subject column; name it: subject = "..."')
    return Pairs(subject, tuple(visits), columns, forms[-1].replace(visits[-1], "@"))


def _pairs(subject: str, names: Iterable[str], pattern: re.Pattern[str]) -> Pairs | None:
    """Return the columns that share their stems with others, at the visits that most stems have."""
    names = list(names)
    parsed = {name: match for name in names if (match := pattern.fullmatch(name))}
    if len(parsed) < 2:
        return None
    at = {name: (_JOINING.sub("", match["stem"]), _bare(match["visit"])) for name, match in parsed.items()}
    tokens = _by_stem(at.values())
    counts = Counter(frozenset(visits) for visits in tokens.values() if 1 < len(visits) <= _LONGEST)
    if not counts:
        return None
    usual = max(counts, key=lambda visits: (counts[visits], len(visits)))
    kept = {name: key for name, key in at.items() if key[1] in usual and tokens[key[0]] <= usual}
    if len(set(kept.values())) < len(kept):
        return None  # two ways to write one name
    stems = {stem for stem, _ in kept.values()}
    repeated = [stem for stem in stems if len(tokens[stem]) > 1]
    others = [name for name in names if name not in kept and not is_label(name) and not is_identifier(name)]
    measures = [stem for stem in repeated if not is_moment(stem) and not is_label(stem)]
    if not measures or len(kept) < _MOST * (len(kept) + len(others)):
        return None
    visits = tuple(ordered(dict.fromkeys(visit for _, visit in kept.values())))
    last = next(parsed[name] for name, (_, visit) in kept.items() if visit == visits[-1])
    form = f"@{last['gap']}*" if pattern is _PREFIX else f"*{last['gap']}@{last['end']}"
    return Pairs(subject, visits, {key: name for name, key in kept.items()}, form)


def _bare(visit: str) -> str:
    return re.sub(r"[-_. ]", "", visit.lower())


def _by_stem(keys: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for stem, visit in keys:
        found.setdefault(stem, set()).add(visit)
    return found


def _named(schema: TableSchema, pairs: Pairs, known: set[str]) -> bool:
    """Tell whether the schema, or what is known of the columns, gives one of the pairs a role of its own."""
    told = {*known, *(schema.features or ()), schema.time.column if schema.time else None}
    told |= {label.column or name for name, label in (schema.labels or {}).items()}
    return not told.isdisjoint(pairs.columns.values())


def _is_plausible(table: Table, pairs: Pairs, pattern: re.Pattern[str]) -> bool:
    words = [set(re.findall(r"[a-z]+", stem.lower())) for stem in pairs.stems]
    places = all(parts <= _NO_MEASURE for parts in words)
    if places and not pairs.timed and all(_CONTRAST_OR_AREA.fullmatch(visit) for visit in pairs.visits):
        return False  # lh_V1, lh_V2: areas
    if pattern in (_POINT, _NUMBER) and (len(pairs.stems) < 2 or len(pairs.visits) > 9):
        return False  # component.1 to component.50
    return _is_wide(table, pairs) and (pairs.timed or _go_together(table, pairs))


def _is_wide(table: Table, pairs: Pairs) -> bool:
    """Tell whether every subject has one row."""
    seen: set[object] = set()
    for batch in table.batches([pairs.subject]):
        names = [name for name in batch.column(0).to_pylist() if name is not None]
        if len(seen | set(names)) < len(seen) + len(names):
            return False
        seen.update(names)
    return True


def _has_third(pairs: Pairs, names: list[str]) -> bool:
    """Tell whether stems have more parts than two: coordinates x, y, z."""
    return any(f"{name[:-1]}{third}" in names for name in pairs.columns.values() for third in "zZ")


def _go_together(table: Table, pairs: Pairs) -> bool:
    """Tell whether the first two visits look like one measure taken twice, as far as the first rows tell."""
    batch = next(table.batches(list(pairs.columns.values())), None)
    if batch is None:
        return False
    alike, scales = [], []
    for stem in pairs.stems:
        at = [pairs.columns[stem, visit] for visit in pairs.visits if (stem, visit) in pairs.columns]
        if len(at) < 2 or is_moment(stem):
            continue
        first, second = (numbers_or_missing(batch.column(name)) for name in at[:2])
        both = np.isfinite(first) & np.isfinite(second)
        if both.sum() < 2:
            continue
        scales.append(_same_scale(first[both], second[both]))
        if both.sum() >= _ENOUGH_PEOPLE and first[both].std() > 0 and second[both].std() > 0:
            alike.append(float(np.corrcoef(first[both], second[both])[0, 1]))
    return (not scales or float(np.mean(scales)) > _MOST) and (not alike or float(np.median(alike)) > _ALIKE)


def _same_scale(first: FloatArray, second: FloatArray) -> bool:
    sizes = [float(np.median(np.abs(values))) for values in (first, second)]
    return max(sizes) <= _SCALE * min(sizes) or max(sizes) < _SCALE * float(np.std(np.concatenate([first, second])))
