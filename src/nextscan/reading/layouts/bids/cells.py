"""Cells of BIDS tables that tell times: numbers in the unit of their column's name, and dates of one form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.formats.tables import to_number
from nextscan.reading.layouts.bids.sidecars import Columns
from nextscan.reading.layouts.bids.units import quantity, unit_named, unit_told
from nextscan.reading.times.columns import TimeColumn, time_column
from nextscan.reading.times.dates import ZONE, iso_date

Cells = list[str | None]

_CLOCK = re.compile(rf"\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d+)?)?{ZONE}")
_CAPPED = re.compile(
    r"(?:>=?|≥|over|above)\s*\d+(?:\.\d+)?|\d+(?:\.\d+)?\s*(?:\+|(?:or|and) (?:older|over|above|more))", re.IGNORECASE
)


@dataclass
class Plain:
    """Columns whose times have become plain, and what there is to say about it.

    Attributes
    ----------
    cells : mapping of column to list of str
        The columns that have changed, under the names they have now; None where missing.
    renamed : mapping of str to str
        Columns of words, by the names they had.
    notes : list of str
    findings : list of Finding
    """

    cells: dict[str, Cells] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def plain_times(
    columns: Mapping[str, Cells],
    said: Sequence[Columns],
    place: Callable[[int], str],
    *,
    source: str,
    missing: Collection[float | str] = (),
) -> Plain:
    """Return columns of times with numbers only, in the unit their names tell, and ISO 8601 dates of one form.

    Ages such as ``89+`` and the few words in a column of numbers become missing; a column of ranges (``60-65``) or
    words becomes a text label, called ``age_text``. Dates are the clock of the scanner: zones are left out.

    Parameters
    ----------
    columns : mapping of column to list of str
        Only those whose names tell times are looked at.
    said : sequence of Columns
        For each row, what its sidecars say about columns.
    place : callable
        Names a row.
    source : str
        The folder or table.
    missing : collection
        The codes of a schema.
    """
    plain = Plain()
    codes = {code for code in missing if isinstance(code, str)}
    numbers = {float(code) for code in missing if not isinstance(code, str)}
    for name, cells in columns.items():
        column = time_column([name])
        if column is None:
            continue
        known = [None if text is None or text in codes or to_number(text) in numbers else text for text in cells]
        if column.kind == "date":
            changed = _dates(name, known, place, source, plain)
        else:
            changed = _numbers(column, known, said, place, source, plain)
        if changed != list(cells):
            plain.cells[plain.renamed.get(name, name)] = changed
    return plain


def is_time(text: str) -> bool:
    """Tell whether a text is a number, with or without a unit, or a date.

    >>> [is_time(text) for text in ("61.5", "18 months", "2012-05-01T08:30Z", "04/05/2012", "89+", "16:40:00", "")]
    [True, True, True, True, False, False, False]
    """
    if to_number(text) is not None or quantity(text) is not None:
        return True
    return bool(re.search(r"\d", text)) and not (_CAPPED.fullmatch(text.strip()) or _CLOCK.fullmatch(text.strip()))


def _dates(name: str, cells: Cells, place: Callable[[int], str], source: str, plain: Plain) -> Cells:
    clocks = [i for i, text in enumerate(cells) if text is not None and _CLOCK.fullmatch(text.strip())]
    if clocks:
        plain.notes.append(
            f"{name}: {len(clocks)} cells hold a time of day without a date, taken as missing: {_shown(clocks, cells)}"
        )
    kept = _cleared(cells, clocks)
    words = [i for i, text in enumerate(kept) if text is not None and not re.search(r"\d", text)]
    kept = _without(name, kept, words, place, source, plain, "a date")
    if name in plain.renamed:
        return kept
    dates = [None if text is None else iso_date(text) for text in kept]
    timed = any(date is not None and date[1] for date in dates)
    result: Cells = []
    for text, date in zip(kept, dates, strict=True):
        result.append(text if date is None else f"{date[0]}T{date[1] or '00:00:00'}" if timed else date[0])
    return result


def _numbers(
    column: TimeColumn,
    cells: Cells,
    said: Sequence[Columns],
    place: Callable[[int], str],
    source: str,
    plain: Plain,
) -> Cells:
    name = column.column
    values = [None if text is None else to_number(text) for text in cells]
    with_unit = [
        quantity(text) if text is not None and value is None else None
        for text, value in zip(cells, values, strict=True)
    ]
    strange = [i for i, text in enumerate(cells) if text is not None and values[i] is None and with_unit[i] is None]
    capped = [i for i in strange if _CAPPED.fullmatch((cells[i] or "").strip())]
    if capped:
        who = f"{len(capped)} cells such as {cells[capped[0]]!r} ({place(capped[0])})"
        plain.notes.append(
            f"{name}: {who} tell no single {'age' if column.kind == 'age' else 'time'}, taken as missing"
        )
    kept: Cells = [None if i in set(capped) else text for i, text in enumerate(cells)]
    others = [i for i in strange if i not in set(capped)]
    kept = _without(name, kept, others, place, source, plain, "a number")
    if name in plain.renamed:
        return kept
    converted: Counter[tuple[str, str]] = Counter()
    unknown: Counter[str] = Counter()
    for i, text in enumerate(kept):
        if text is None:
            continue
        if (pair := with_unit[i]) is not None:
            number, unit, by = pair[0], pair[1], "their cells"
        else:
            number, by = float(values[i] or 0.0), "the sidecar"
            told, in_vain = unit_told(_about(said[i], name))
            unknown[in_vain] += bool(in_vain)
            unit = told or column.unit
        factor = column.per_year / TimeColumn(name, column.kind, unit).per_year
        if factor != 1.0:
            kept[i] = f"{number * factor:.12g}"
            converted[unit, by] += 1
        elif pair is not None:
            kept[i] = f"{number:.12g}"
    for (unit, by), count in converted.items():
        line = f"{name}: {count} cells in {unit}, by {by}"
        stated = unit_named(re.sub(r"([a-z])([A-Z])", r"\1 \2", name).replace("_", " "))
        if stated is not None and by == "the sidecar":
            text = f"{source}: {line}, though the column's name says {stated}; the sidecar is believed"
            cure = "correct Units in the sidecar, or rename the column"
            plain.findings.append(Finding("warning", "two-units", text, (name,), cure=cure))
        else:
            plain.notes.append(line)
    if vain := sorted(map(repr, filter(None, unknown))):
        plain.notes.append(f"{name}: {some(vain)} in the sidecar is no unit of time; read in {column.unit}")
    return kept


def _without(
    name: str, cells: Cells, strange: list[int], place: Callable[[int], str], source: str, plain: Plain, what: str
) -> Cells:
    """Leave out the few cells that hold something else; a column that holds little else becomes one of words."""
    known = sum(text is not None for text in cells)
    if not strange:
        return cells
    if 2 * len(strange) >= known:
        plain.renamed[name] = f"{name}_text"
        plain.notes.append(f"{name}: words or ranges, not {what} ({_shown(strange, cells)}): a text label {name}_text")
        return cells
    at = [f"{cells[i]!r} ({place(i)})" for i in strange]
    text = f"{source}, column {name}: {len(strange)} cells are not {what}, taken as missing: {some(at, 3)}"
    plain.findings.append(Finding("warning", "no-number", text, (name,), cure="correct the cells, or leave them empty"))
    return _cleared(cells, strange)


def _cleared(cells: Cells, rows: list[int]) -> Cells:
    gone = set(rows)
    return [None if i in gone else text for i, text in enumerate(cells)]


def _shown(rows: list[int], cells: Cells) -> str:
    return some(list(dict.fromkeys(cells[i] for i in rows)), 3)


def _about(said: Columns, name: str) -> Mapping[str, object]:
    if name in said:
        return said[name]
    return next((about for key, about in said.items() if key.lower() == name.lower()), {})
