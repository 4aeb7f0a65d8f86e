"""Columns and well-known fields of UK-Biobank exports, and the data dictionary that names the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nextscan.errors import CohortError, some
from nextscan.reading.columns.opening import open_table
from nextscan.reading.columns.tables import to_texts
from nextscan.reading.columns.vocabulary import canonical

DATE, SITE, AGE, AGE_AT_RECRUITMENT = 53, 54, 21003, 21022
LABEL_FIELDS = {
    31: "sex",
    AGE_AT_RECRUITMENT: "age_at_recruitment",
    189: "townsend",
    1707: "handedness",
    6138: "qualifications",
    20116: "smoking",
    21000: "ethnicity",
    21001: "bmi",
    26206: "alzheimers_prs",
    26260: "parkinsons_prs",
}
"""Labels that are taken from instance 0 without a schema. Field numbers: UK Biobank Showcase."""
CODES = {31: {"0": "Female", "1": "Male"}}
"""What codes of labels mean in every export; those of decoded exports stay as they are."""
MAY_BE_NEGATIVE = frozenset({189, 26206, 26260})
NOT_FEATURES = frozenset({DATE, SITE, AGE, *LABEL_FIELDS})
NOT_KNOWN = ("Do not know", "Prefer not to answer")
"""What codes -1 and -3 say in exports with decoded values."""

FIRST_IMAGING = 2

NameColumn = Callable[[int, int, int], str]
"""Names the column of field, instance and array."""


@dataclass(frozen=True, order=True)
class FieldColumn:
    """A column of an export: field, instance, array; a field without instances has instance 0."""

    field: int
    instance: int
    array: int
    column: str


_CONVENTIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(\d+)-(\d+)\.(\d+)"), "{0}-{1}.{2}"),
    (re.compile(r"f\.(\d+)\.(\d+)\.(\d+)"), "f.{0}.{1}.{2}"),
    (re.compile(r"X(\d+)\.(\d+)\.(\d+)"), "X{0}.{1}.{2}"),
    (re.compile(r"(?:participant\.)?p(\d+)(?:_i(\d+))?(?:_a(\d+))?"), "p{0}_i{1}"),
)


def field_columns(columns: Sequence[str]) -> tuple[list[FieldColumn], NameColumn]:
    """Return the columns that hold fields, and a function that names new ones in the same convention.

    The conventions are ``25005-2.0``, ``f.25005.2.0`` (and ``X25005.2.0``, as R makes of it) and
    ``p25005_i2`` with arrays as ``p25005_i2_a0``.

    >>> found, name = field_columns(["eid", "p31", "p25005_i2", "p25756_i2_a1"])
    >>> found[1]
    FieldColumn(field=25005, instance=2, array=0, column='p25005_i2')
    >>> name(25005, 3, 0), name(25756, 3, 1)
    ('p25005_i3', 'p25756_i3_a1')
    """
    best: list[FieldColumn] = []
    form = _CONVENTIONS[0][1]
    for pattern, convention in _CONVENTIONS:
        matches = [(name, match) for name in columns if (match := pattern.fullmatch(name))]
        if len(matches) > len(best):
            best = [FieldColumn(*_numbers(match), name) for name, match in matches]
            form = convention
    known = {(part.field, part.instance, part.array): part.column for part in best}
    arrays = {part.field for part in best if re.search(r"_a\d+$", part.column)}
    prefix = "participant." if any(part.column.startswith("participant.") for part in best) else ""

    def name(field: int, instance: int, array: int) -> str:
        made = prefix + form.format(field, instance, array)
        return known.get((field, instance, array), f"{made}_a{array}" if field in arrays else made)

    return best, name


def _numbers(match: re.Match[str]) -> tuple[int, int, int]:
    field, instance, array = (int(part or 0) for part in match.groups())
    return field, instance, array


def is_ukb(columns: Sequence[str]) -> bool:
    """Tell whether a table is a wide export: an eid, and mostly columns named after fields."""
    found, _ = field_columns(columns)
    return subject_column(columns) is not None and 2 * len(found) >= len(columns) - 1 and len(found) > 0


def subject_column(columns: Sequence[str]) -> str | None:
    """Return the column of participants' numbers."""
    return next(
        (name for name in columns if name.lower().removeprefix("participant.") in ("eid", "f.eid", "n_eid")),
        None,
    )


@dataclass(frozen=True)
class Dictionary:
    """Names and units of fields, from the user's own data dictionary."""

    titles: Mapping[int, str]
    units: Mapping[int, str]

    def name(self, field: int, array: int) -> str:
        """Return the name of a feature: its title, or the field's number; arrays after the first are marked."""
        return self.titles.get(field, str(field)) + (f"_a{array}" if array else "")

    def of(self, features: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return what it says of some features, ready for JSON."""
        names = {re.sub(r"_a\d+$", "", name) for name in features}
        titles = {str(field): title for field, title in self.titles.items() if title in names}
        units = {str(field): unit for field, unit in self.units.items() if str(field) in titles or str(field) in names}
        return {name: part for name, part in (("titles", titles), ("units", units)) if part}


def read_dictionary(path: Path) -> Dictionary:
    """Read a data dictionary: columns FieldID (or field_id), Field (or title) and, if present, Units.

    Titles that several fields share get the field's number behind them.

    Raises
    ------
    CohortError
        If the columns are missing or a field's number is no number.
    """
    table = open_table(path)
    known = {canonical(name): name for name in table.columns}
    field = next((known[name] for name in ("fieldid", "id", "ukbfield") if name in known), None)
    title = next((known[name] for name in ("field", "title", "description", "name") if name in known), None)
    unit = next((known[name] for name in ("units", "unit") if name in known), None)
    if field is None or title is None:
        raise CohortError(
            f"{path}: not a data dictionary; expected columns FieldID and Field (and Units), found "
            f"{some(table.columns)}"
        )
    titles: dict[int, str] = {}
    units: dict[int, str] = {}
    row = 0
    for batch in table.batches([name for name in (field, title, unit) if name]):
        texts = {name: to_texts(batch.column(name)) for name in batch.schema.names}
        for i, number in enumerate(texts[field]):
            if number is None or not number.isdigit():
                raise CohortError(f"{table.cell(row + i, field)}: {number!r} is not a field's number")
            if texts[title][i] is not None:
                titles[int(number)] = texts[title][i]
            if unit and texts[unit][i] is not None:
                units[int(number)] = texts[unit][i]
        row += batch.num_rows
    uses = Counter(titles.values())
    return Dictionary({key: f"{name} ({key})" if uses[name] > 1 else name for key, name in titles.items()}, units)
