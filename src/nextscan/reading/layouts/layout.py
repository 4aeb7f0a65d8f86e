"""Where a table keeps what: enough to write it back completed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nextscan.reading.columns.times import TimeColumn


class Source(Protocol):
    """Something that yields batches of columns: a file, or a table in memory."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def delimiter(self) -> str:
        """Of a text table; empty for a typed one."""

    def batches(self, columns: Sequence[str] | None = None, *, verbatim: bool = False) -> Iterator[Any]:
        """Yield record batches of all or some columns."""


@dataclass(frozen=True)
class Layout:
    """The columns of a long table, one row per visit.

    Attributes
    ----------
    table : Source
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

    table: Source
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
    table : Source
    subject : str
    features : mapping of feature to (field, array)
    instances : tuple of int
    labels : mapping of label to column
    column : callable
        Returns the column of (field, instance, array) in the convention of the export.
    visit : None
        Visits are in the names of columns.
    """

    table: Source
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
