"""How a table writes numbers: decimal commas, thousands separators, percent signs, units behind the number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nextscan.errors import some

_SPACES = "\u00a0\u202f\u2009 "
_THOUSANDS = {",": ",", ".": r"\.", " ": f"[{_SPACES}]", "'": "['\u2019]"}
_UNITS = {
    "mm3": ("mm3", "mm^3", "mm\u00b3", "cmm"),
    "mm2": ("mm2", "mm^2", "mm\u00b2"),
    "mm": ("mm",),
    "cm3": ("cm3", "cm^3", "cm\u00b3", "ccm", "cc"),
    "cm2": ("cm2", "cm^2", "cm\u00b2"),
    "cm": ("cm",),
    "ml": ("ml", "mL"),
    "ul": ("ul", "uL", "\u00b5l", "\u00b5L", "\u03bcl", "\u03bcL"),
    "um": ("um", "\u00b5m", "\u03bcm"),
    "1/mm": ("1/mm", "mm-1", "mm^-1"),
    "mm2/s": ("mm2/s", "mm^2/s", "mm\u00b2/s"),
    "ms": ("ms",),
    "Hz": ("Hz",),
    "HU": ("HU",),
    "%": ("%",),
}
_UNIT_OF = {spelled: unit for unit, spellings in _UNITS.items() for spelled in spellings}
_UNIT = "|".join(re.escape(spelled) for spelled in sorted(_UNIT_OF, key=len, reverse=True))
_BEHIND = rf"[{_SPACES}]*(?:{_UNIT})$"
_LIST = r"^\d+(?:\s*,\s*\d+){2,}$"
_POINTED = r"\."
_JUMP = 100
_GROUPED = {sign: rf"^[+\-\x{{2212}}]?[1-9]\d{{0,2}}(?:{_THOUSANDS[sign]}\d{{3}})+$" for sign in _THOUSANDS}


@dataclass(frozen=True)
class NumberForm:
    """How the cells of a column write numbers.

    Attributes
    ----------
    decimal : str
        ``.`` or ``,``.
    thousands : str
        What stands between groups of three digits; empty where nothing does.
    unit : str
        What stands behind each number, as ``mm3`` or ``%``.
    behind : str
        The same, as the cells write it.

    >>> form = NumberForm(",", ".", "mm3", " mm3")
    >>> form.plain(pa.array(["3.900,5 mm3", "unknown"])).to_pylist(), form.write(pa.array(["3870.25"])).to_pylist()
    (['3900.5', 'unknown'], ['3870,25 mm3'])
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    behind: str = ""

    @property
    def pattern(self) -> str:
        """Regular expression of a whole number in this form, without its unit."""
        grouped = "" if not self.thousands else rf"[1-9]\d{{0,2}}(?:{_THOUSANDS[self.thousands]}\d{{3}})+|"
        point = re.escape(self.decimal)
        return rf"^[+\-\x{{2212}}]?(?:(?:{grouped}\d+)(?:{point}\d*)?|{point}\d+)(?:[eE][+\-]?\d+)?$"

    def plain(self, cells: Any) -> Any:
        """Return cells with the numbers of this form as a computer writes them; other cells stay."""
        if self.decimal == "," and not self.unit and not pc.any(pc.match_substring(cells, ".")).as_py():
            quick = pc.replace_substring(cells, ",", ".")  # no cell needs a closer look if all are numbers now
            if _is_plain(quick):
                return quick
        texts = pc.utf8_trim_whitespace(cells)
        bare = pc.replace_substring_regex(texts, _BEHIND, "") if self.unit else texts
        fits = pc.match_substring_regex(bare, self.pattern)
        if self.thousands:
            bare = pc.replace_substring_regex(bare, _THOUSANDS[self.thousands], "")
        if self.decimal != ".":
            bare = pc.replace_substring(bare, self.decimal, ".")
        return pc.if_else(fits, pc.replace_substring(bare, "\u2212", "-"), cells)

    def write(self, plain: Any) -> Any:
        """Return plain numbers as the column writes them, without separators of thousands."""
        cells = plain if self.decimal == "." else pc.replace_substring(plain, ".", self.decimal)
        return pc.binary_join_element_wise(cells, self.behind, "") if self.behind else cells

    @property
    def meaning(self) -> str:
        """What is unusual about the form, in words."""
        parts = [
            "decimal commas" if self.decimal == "," else "",
            f"thousands separated by {_name(self.thousands)}" if self.thousands else "",
            "percent signs" if self.unit == "%" else f"the unit {self.unit}" if self.unit else "",
        ]
        return " and ".join(part for part in parts if part)


PLAIN = NumberForm()
_ALTERNATIVES = tuple(NumberForm(decimal, sign) for decimal in ".," for sign in ("", *_THOUSANDS) if sign != decimal)
_ANY = "|".join(f"(?:{form.pattern})" for form in _ALTERNATIVES)


@dataclass(frozen=True)
class Forms:
    """How the columns of a table write numbers.

    Attributes
    ----------
    of : mapping of column to NumberForm
        Columns that do not write plain numbers.
    unclear : mapping of column to text
        Why the numbers of a column cannot be read, and what would help: for whoever wants to read them.
    usual : NumberForm
        Of every other column of text.
    words : tuple of str
        Columns whose cells may list codes, and are left as they are.
    """

    of: Mapping[str, NumberForm] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)
    usual: NumberForm = PLAIN
    words: tuple[str, ...] = ()

    def __getitem__(self, column: str) -> NumberForm:
        return self.of.get(column, self.usual)

    def without(self, names: Iterable[str]) -> Forms:
        """Return the forms with some columns read to the letter."""
        names = set(names)
        kept = {column: form for column, form in self.of.items() if column not in names}
        unclear = {column: text for column, text in self.unclear.items() if column not in names}
        return replace(self, of=kept | dict.fromkeys(names, PLAIN) if self.usual != PLAIN else kept, unclear=unclear)

    @property
    def notes(self) -> list[str]:
        """What was understood, form by form."""
        columns: dict[str, list[str]] = {}
        for column, form in self.of.items():
            if form.meaning:
                columns.setdefault(form.meaning, []).append(column)
        notes = [f"numbers with {meaning} in {some(names, 3)}" for meaning, names in columns.items()]
        if self.words:
            notes.append(
                f"texts such as 1,2 in {some(self.words, 3)} are read as words: other columns have decimal points"
            )
        return notes


PLAIN_FORMS = Forms()


def number_forms(columns: Mapping[str, Any], decimal: str | None = None, thousands: str | None = None) -> Forms:
    """Find out how columns of text write numbers.

    A cell such as ``2,513`` may be 2.513 or 2513; other cells of the column tell (``2,51``, ``1,234,567``), else
    other columns of the table (``3,2``, ``0.48``). Where neither does, or a column has both kinds, it is unclear.

    Parameters
    ----------
    columns : mapping of name to Arrow array of strings
        Null where missing; as much of the table as is at hand.
    decimal, thousands : str, optional
        What is known of the table.
    """
    if thousands in (",", "."):
        decimal = "," if thousands == "." else "."
    odd = {name: column for name, cells in columns.items() if (column := _Column(cells)).is_odd}
    if not odd and decimal != ",":
        return PLAIN_FORMS
    points = decimal == "." or any(column.has_points for column in odd.values())
    points = points or any(_has_points(cells) for name, cells in columns.items() if name not in odd)
    codes = [name for name, column in odd.items() if points and decimal is None and column.may_be_codes]
    commas = decimal == "," or any(column.has_commas for name, column in odd.items() if name not in codes)
    usual = NumberForm(",", "." if thousands is None else thousands) if commas and not points else PLAIN
    of, unclear = {}, {}
    for name, column in odd.items():
        if name in codes:
            continue
        try:
            of[name] = column.form(points=points, commas=commas, decimal=decimal, thousands=thousands)
        except ValueError as problem:
            if not column.is_mostly_plain:  # else whoever reads it finds the few other cells, and names their lines
                unclear[name] = str(problem)
    if usual != PLAIN:
        for name, cells in columns.items():
            if name not in odd and _all(cells, _GROUPED["."], where=_POINTED):
                of[name] = usual
    return Forms(of, unclear, usual, tuple(codes))


class _Column:
    """The distinct cells of a column, and the forms they may have."""

    def __init__(self, cells: Any) -> None:
        self._cells = cells

    @cached_property
    def _texts(self) -> Any:
        texts = pc.unique(pc.utf8_trim_whitespace(self._cells)).drop_null()
        return texts.filter(pc.not_equal(texts, ""))

    @cached_property
    def is_odd(self) -> bool:
        """Tell whether most cells are numbers, and some in another form than a computer's."""
        if self._cells.null_count == len(self._cells) or _is_plain(self._cells) or self._has_lists:
            return False
        numbers = pc.match_substring_regex(self._bare, _ANY)
        odd = pc.and_(numbers, pc.invert(pc.match_substring_regex(self._texts, PLAIN.pattern)))
        return 2 * _count(numbers) > len(self._texts) and bool(pc.any(odd).as_py())

    @property
    def _has_lists(self) -> bool:
        """Tell whether cells list several numbers, as ``1,2,5``."""
        lists = self._texts.filter(pc.match_substring_regex(self._texts, _LIST))
        return len(lists) > 0 and not _all(lists, _GROUPED[","])

    @cached_property
    def _bare(self) -> Any:
        return pc.replace_substring_regex(self._texts, _BEHIND, "")

    @cached_property
    def _numeric(self) -> Any:
        return self._bare.filter(pc.match_substring_regex(self._bare, _ANY))

    @cached_property
    def _fitting(self) -> list[NumberForm]:
        return [form for form in _ALTERNATIVES if _all(self._numeric, form.pattern)]

    @property
    def has_commas(self) -> bool:
        """Tell whether commas can be nothing but decimal commas."""
        return {form.decimal for form in self._fitting} == {","}

    @property
    def has_points(self) -> bool:
        """Tell whether points can be nothing but decimal points."""
        return {form.decimal for form in self._fitting} == {"."} and _any(self._numeric, "[.,]")

    @property
    def may_be_both(self) -> bool:
        """Tell whether both signs are possible, and the numbers differ."""
        return len({form.decimal for form in self._fitting}) == 2 and _any(self._numeric, "[.,]")

    @property
    def may_be_codes(self) -> bool:
        """Tell whether the cells may list small codes, as ``1,2`` does."""
        return _all(self._texts, r"^\d(?:,\d)?$")

    def form(self, *, points: bool, commas: bool, decimal: str | None, thousands: str | None) -> NumberForm:
        """Return the form of all cells.

        Raises
        ------
        ValueError
            If there is none, or it cannot be told which.
        """
        unit, behind = self._unit()
        fitting = [
            form
            for form in self._fitting
            if decimal in (None, form.decimal) and (thousands is None or form.thousands in ("", thousands))
        ]
        examples = self._examples
        if not fitting:
            how = "write them in one way" if decimal is None else "write them as the schema says"
            raise ValueError(f"numbers are written in several ways ({examples}); {how}")
        if len({form.decimal for form in fitting}) == 2:
            if points == commas and _any(self._numeric, "[.,]"):
                raise ValueError(
                    f"{examples} may have decimal commas or separators of thousands; say which in a schema: "
                    'decimal = "," or decimal = "."'
                )
            fitting = [form for form in fitting if form.decimal == ("," if commas and not points else ".")]
        chosen = replace(fitting[0], unit=unit, behind=behind)
        if self._jumps(chosen):
            raise ValueError(f"numbers are written in several ways ({examples}); write them in one way")
        return chosen

    @property
    def is_mostly_plain(self) -> bool:
        """Tell whether most cells are plain numbers."""
        return 2 * _count(pc.match_substring_regex(self._texts, PLAIN.pattern)) > len(self._texts)

    @property
    def _examples(self) -> str:
        """Return a cell of each kind."""
        kinds = (
            self._texts.filter(pc.match_substring_regex(self._texts, sign)) for sign in (",", _POINTED, "[ '\u2019]")
        )
        return some(dict.fromkeys(repr(cells[0].as_py()) for cells in kinds if len(cells)))

    def _jumps(self, form: NumberForm) -> bool:
        """Tell whether numbers with separated thousands are of quite another size than the others: of another form."""
        if form.thousands not in (",", "."):
            return False
        grouped = pc.match_substring_regex(self._numeric, _GROUPED[form.thousands])
        others = self._numeric.filter(pc.invert(grouped))
        both = _any(others, _THOUSANDS[form.thousands])
        sizes = [
            np.abs(form.plain(cells).cast(pa.float64()).to_numpy(zero_copy_only=False))
            for cells in (self._numeric.filter(grouped), others)
        ]
        if both or not all(map(len, sizes)):
            return False
        return bool(np.median(sizes[0]) > _JUMP * np.median(sizes[1]))

    def _unit(self) -> tuple[str, str]:
        found = pc.extract_regex(self._texts, rf"\d[.,]?(?P<behind>[{_SPACES}]*(?:{_UNIT}))$").drop_null()
        spelled = [part["behind"] for part in found.to_pylist()]
        if not spelled:
            return "", ""
        units = {_UNIT_OF[text.strip(_SPACES)] for text in spelled}
        bare = self._texts.filter(pc.match_substring_regex(self._texts, _ANY))
        if len(units) > 1 or (len(bare) and not _all(bare, r"^[+\-]?0(?:[.,]0*)?$")):
            others = "" if len(units) > 1 else f", others ({some(bare.to_pylist(), 2)}) none"
            raise ValueError(f"cells have the unit {' and '.join(sorted(units))}{others}; write all in one unit")
        return units.pop(), max(set(spelled), key=spelled.count)


def _is_plain(cells: Any) -> bool:
    try:
        pc.utf8_trim_whitespace(cells).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _has_points(cells: Any) -> bool:
    """Tell whether a column of plain numbers has points that separate no thousands."""
    return _is_plain(cells) and _any(cells, _POINTED) and not _all(cells, _GROUPED["."], where=_POINTED)


def _count(marks: Any) -> int:
    return int(pc.sum(marks).as_py() or 0)


def _any(cells: Any, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())


def _all(cells: Any, pattern: str, *, where: str = "") -> bool:
    """Tell whether all cells (that contain something) fit a pattern, and there are some."""
    if where:
        cells = cells.filter(pc.match_substring_regex(cells, where))
    return bool(len(cells) and pc.all(pc.match_substring_regex(cells, pattern)).as_py())


def _name(sign: str) -> str:
    return {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}[sign]
