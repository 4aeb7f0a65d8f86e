"""Well-known fields of UK-Biobank exports, and the data dictionary that names the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nextscan.errors import CohortError, some
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import to_texts
from nextscan.reading.layouts.ukb.columns import bare_title, field_of

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
ADMINISTRATIVE = frozenset({12139, 12187, 12188})
"""How scanning went: says nothing of the brain."""
NOT_FEATURES = frozenset({DATE, SITE, AGE, *LABEL_FIELDS}) | ADMINISTRATIVE
NOT_KNOWN = ("Do not know", "Prefer not to answer")
"""What codes -1 and -3 say in exports with decoded values."""

FIRST_IMAGING = 2


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

    The dictionary of the Research Analysis Platform (``entity,name,type,title,units,...``) names columns
    (``p25005_i2``) in place of fields. Titles that several fields share get the field's number behind them.

    Raises
    ------
    CohortError
        If the columns are missing or a field's number is no number.
    """
    table = open_table(path)
    known = {canonical(name): name for name in table.columns}
    field = next((known[name] for name in ("fieldid", "id", "ukbfield") if name in known), None)
    title = next((known[name] for name in ("field", "title", "description", "name") if name in known), None)
    of_columns = field is None and {"name", "title"} <= set(known)
    if of_columns:
        field, title = known["name"], known["title"]
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
            if of_columns and (number is None or (found := field_of(number)) is None):
                continue  # another entity, or no field: eid
            number = str(found) if of_columns else number
            if number is None or not number.isdigit():
                raise CohortError(f"{table.cell(row + i, field)}: {number!r} is not a field's number")
            if texts[title][i] is not None:
                titles[int(number)] = bare_title(texts[title][i]) if of_columns else texts[title][i]
            if unit and texts[unit][i] is not None:
                units[int(number)] = texts[unit][i]
        row += batch.num_rows
    uses = Counter(titles.values())
    return Dictionary({key: f"{name} ({key})" if uses[name] > 1 else name for key, name in titles.items()}, units)
