"""Where a table keeps what: enough to write it back completed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nextscan.reading.formats.tables import Table
from nextscan.reading.times.columns import TimeColumn


@dataclass(frozen=True)
class Layout:
    """The columns of a long table, one row per visit.

    Attributes
    ----------
    table : Table
    subject : str
    visit : str or None
    time : TimeColumn or None
    age : TimeColumn or None
        The column of age, where it is not the time.
    features : mapping of feature to column
    labels : mapping of label to column
    scans : sequence of (name, span or None)
        By row of the table, where names of the subject column hold visits: the name, and where in it the visit stands.
    """

    table: Table
    subject: str
    visit: str | None = None
    time: TimeColumn | None = None
    age: TimeColumn | None = None
    features: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    scans: Sequence[tuple[str, tuple[int, int] | None]] = ()

    @property
    def feature_columns(self) -> set[str]:
        """Columns that hold features."""
        return set(self.features.values())

    def scan_named(self, row: int, visit: str) -> str:
        """Return the name of a row's scan with another visit."""
        name, span = self.scans[row]
        if span is None:
            return f"{name}_{visit}"
        session = "ses-" if name[slice(*span)].startswith("ses-") and not visit.startswith("ses-") else ""
        return name[: span[0]] + session + visit + name[span[1] :]


@dataclass(frozen=True)
class WideLayout:
    """The columns of a wide UK-Biobank export, one row per subject.

    Attributes
    ----------
    table : Table
    subject : str
    features : mapping of feature to (field, array)
    instances : tuple of int
    labels : mapping of label to column
    column : callable
        Returns the column of (field, instance, array) in the convention of the export.
    visit : None
        Visits are in the names of columns.
    """

    table: Table
    subject: str
    features: Mapping[str, tuple[int, int]]
    instances: tuple[int, ...]
    labels: Mapping[str, str]
    column: Callable[[int, int, int], str]
    visit: None = None

    @property
    def feature_columns(self) -> set[str]:
        """Columns that hold features."""
        known = (self.column(f, i, a) for f, a in self.features.values() for i in self.instances)
        return set(known) & set(self.table.columns)


@dataclass(frozen=True)
class VisitsLayout:
    """The columns of a table with one row per subject, whose names tell the visit.

    Attributes
    ----------
    table : Table
    subject : str
    features : mapping of feature to stem
        The stem is what the names of its columns have in common.
    visits : tuple of str
        In order.
    columns : mapping of (stem, visit) to column
    form : str
        How columns are called: ``*`` stands for the stem, ``@`` for the visit.
    labels : mapping of label to column
        To the stem of what each visit has.
    time, age : TimeColumn or None
        Of the stem; `age` where it is not the time.
    visit : None
        Visits are in the names of columns.
    """

    table: Table
    subject: str
    features: Mapping[str, str]
    visits: tuple[str, ...]
    columns: Mapping[tuple[str, str], str]
    form: str
    labels: Mapping[str, str]
    time: TimeColumn | None = None
    age: TimeColumn | None = None
    visit: None = None

    def column(self, stem: str, visit: str) -> str:
        """Return the column of a stem at a visit; a new one is called as the others are."""
        return self.columns.get((stem, visit)) or self.form.replace("@", visit).replace("*", stem)

    @property
    def forms(self) -> list[str]:
        """How the columns of each visit are called; nothing if some are called otherwise."""
        as_usual = all(
            column == self.form.replace("@", visit).replace("*", stem) for (stem, visit), column in self.columns.items()
        )
        return [self.form.replace("@", visit) for visit in self.visits] if as_usual else []

    @property
    def feature_columns(self) -> set[str]:
        """Columns that hold features."""
        stems = set(self.features.values())
        return {column for (stem, _), column in self.columns.items() if stem in stems}
