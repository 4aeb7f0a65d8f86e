"""Which columns of a UK-Biobank export hold which field, instance and array, however they are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nextscan.reading.columns.vocabulary import canonical

NameColumn = Callable[[int, int, int], str]
"""Names the column of field, instance and array."""

_CONVENTIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?P<field>\d+)-(?P<instance>\d+)\.(?P<array>\d+)"), "{0}-{1}.{2}"),
    (re.compile(r"f\.(?P<field>\d+)\.(?P<instance>\d+)\.(?P<array>\d+)"), "f.{0}.{1}.{2}"),
    (re.compile(r"X(?P<field>\d+)\.(?P<instance>\d+)\.(?P<array>\d+)"), "X{0}.{1}.{2}"),
    (re.compile(r"(?:participant\.)?p(?P<field>\d+)(?:_i(?P<instance>\d+))?(?:_a(?P<array>\d+))?"), "p{0}_i{1}"),
    (re.compile(r"(?:n|s|ts|cn)_(?P<field>\d+)_(?P<instance>\d+)_(?P<array>\d+)"), "n_{0}_{1}_{2}"),
    (re.compile(r"(?P<title>.+)_f(?P<field>\d+)_(?P<instance>\d+)_(?P<array>\d+)"), "f{0}_{1}_{2}"),
)
_TITLED = re.compile(
    r"(?P<title>.+?)(?:[\s|._]+instance[\s._]*(?P<instance>\d+))?(?:[\s|._]+array[\s._]*(?P<array>\d+))?", re.IGNORECASE
)
_INSTANCE = re.compile(r"(instance[\s._]*)\d+", re.IGNORECASE)
UNNUMBERED = 10_000_000
"""Fields whose number is not known are counted from here."""
_TITLES = {
    "Date of attending assessment centre": 53,
    "UK Biobank assessment centre": 54,
    "Age when attended assessment centre": 21003,
    "Age at recruitment": 21022,
    "Sex": 31,
    "Townsend deprivation index at recruitment": 189,
    "Handedness (chirality/laterality)": 1707,
    "Qualifications": 6138,
    "Smoking status": 20116,
    "Ethnic background": 21000,
    "Body mass index (BMI)": 21001,
    "Standard PRS for alzheimer's disease (AD)": 26206,
    "Standard PRS for parkinson's disease (PD)": 26260,
    "Brain MRI measurement completed": 12188,
    "Brain MRI measuring method": 12187,
    "Believed safe to perform brain MRI scan": 12139,
}
"""Fields that have a meaning here, where columns are called by titles (UK Biobank Showcase)."""
_SUBJECTS = ("eid", "feid", "neid", "participanteid", "participantid")


@dataclass(frozen=True, order=True)
class FieldColumn:
    """A column of an export: field, instance, array; a field without instances has instance 0."""

    field: int
    instance: int
    array: int
    column: str


@dataclass(frozen=True)
class ExportColumns:
    """The columns of an export that hold fields.

    Attributes
    ----------
    found : list of FieldColumn
    name : callable
        Names columns, those to come in the same convention.
    titles : mapping of field to title
        Where columns tell them.
    """

    found: list[FieldColumn]
    name: NameColumn
    titles: Mapping[int, str] = field(default_factory=dict)


def export_columns(columns: Sequence[str], numbers: Mapping[str, int] | None = None) -> ExportColumns:
    """Find the columns that hold fields.

    The conventions are ``25005-2.0``, ``f.25005.2.0`` (and ``X25005.2.0``, as R makes of it), ``p25005_i2`` with
    arrays as ``p25005_i2_a0``, ``n_25005_2_0`` (Stata), ``volume_of_grey_matter_f25005_2_0`` (ukbtools), and titles:
    ``Volume of grey matter | Instance 2``.

    Parameters
    ----------
    columns : sequence of str
    numbers : mapping of title to field, optional
        What a data dictionary tells.

    >>> export = export_columns(["eid", "p31", "p25005_i2", "p25756_i2_a1"])
    >>> export.found[1]
    FieldColumn(field=25005, instance=2, array=0, column='p25005_i2')
    >>> export.name(25005, 3, 0), export.name(25756, 3, 1)
    ('p25005_i3', 'p25756_i3_a1')
    >>> export = export_columns(["Participant ID", "Sex", "Volume of grey matter | Instance 2"])
    >>> export.found[0], export.titles[export.found[1].field]
    (FieldColumn(field=31, instance=0, array=0, column='Sex'), 'Volume of grey matter')
    """
    best: list[tuple[str, re.Match[str]]] = []
    form = _CONVENTIONS[0][1]
    for pattern, convention in _CONVENTIONS:
        matches = [(name, match) for name in columns if (match := pattern.fullmatch(name))]
        if len(matches) > len(best):
            best, form = matches, convention
    titled = _titled(columns, numbers or {})
    if len(titled.found) > len(best):
        return titled
    found = [
        FieldColumn(int(match["field"]), int(match["instance"] or 0), int(match["array"] or 0), name)
        for name, match in best
    ]
    titles = {int(match["field"]): match["title"] for _, match in best if "title" in match.groupdict()}
    known = {(part.field, part.instance, part.array): part.column for part in found}
    arrays = {part.field for part in found if re.search(r"_a\d+$", part.column)}
    prefix = "participant." if any(part.column.startswith("participant.") for part in found) else ""

    def name(field: int, instance: int, array: int) -> str:
        made = prefix + form.format(field, instance, array)
        made = f"{titles[field]}_{made}" if field in titles else made
        return known.get((field, instance, array), f"{made}_a{array}" if field in arrays else made)

    return ExportColumns(found, name, titles)


def _titled(columns: Sequence[str], numbers: Mapping[str, int]) -> ExportColumns:
    """Find fields by their titles: some column must name an instance."""
    if not any(_INSTANCE.search(name) for name in columns):
        return ExportColumns([], lambda field, instance, array: "")
    known = {canonical(title): field for title, field in {**numbers, **_TITLES}.items()}
    of: dict[str, int] = {}
    found, titles = [], {}
    for name in columns:
        match = _TITLED.fullmatch(name)
        if match is None or canonical(name) in _SUBJECTS:
            continue
        title = match["title"]
        if match["instance"] is None and match["array"] is None and canonical(title) not in known:
            continue
        field = of.setdefault(canonical(title), known.get(canonical(title), UNNUMBERED + len(of)))
        titles[field] = title
        found.append(FieldColumn(field, int(match["instance"] or 0), int(match["array"] or 0), name))
    at = {(part.field, part.instance, part.array): part.column for part in found}
    like = {(part.field, part.array): part.column for part in found if _INSTANCE.search(part.column)}

    def name_column(field: int, instance: int, array: int) -> str:
        example = like.get((field, array))
        made = f"{titles.get(field, field)} | Instance {instance}" + (f" | Array {array}" if array else "")
        made = _INSTANCE.sub(rf"\g<1>{instance}", example) if example else made
        return at.get((field, instance, array), made)

    return ExportColumns(found, name_column, titles)


def field_of(name: str) -> int | None:
    """Return the field that a column's name tells, as in ``p25005_i2``, or None."""
    match = next((match for pattern, _ in _CONVENTIONS if (match := pattern.fullmatch(name))), None)
    return None if match is None else int(match["field"])


def bare_title(title: str) -> str:
    """Return a title without instance and array.

    >>> bare_title("Volume of grey matter | Instance 2")
    'Volume of grey matter'
    """
    match = _TITLED.fullmatch(title)
    return match["title"].rstrip(" |") if match else title


def is_ukb(columns: Sequence[str]) -> bool:
    """Tell whether a table is a wide export: an eid, and mostly columns that hold fields."""
    if subject_column(columns) is None:
        return False
    found = export_columns(columns).found
    return 2 * len(found) >= len(columns) - 1 and len(found) > 0


def subject_column(columns: Iterable[str]) -> str | None:
    """Return the column of participants' numbers."""
    known = {canonical(name): name for name in columns}
    return next((known[name] for name in _SUBJECTS if name in known), None)
