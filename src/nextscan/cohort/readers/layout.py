"""Where a table keeps what: enough to write it back completed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nextscan.cohort.readers.tables import Table
from nextscan.cohort.readers.times import TimeColumn


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
    """

    table: Table
    subject: str
    visit: str | None = None
    time: TimeColumn | None = None
    age: TimeColumn | None = None
    features: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WideLayout:
    """The columns of a wide UK-Biobank export, one row per subject.

    Attributes
    ----------
    table : Table
    subject : str
    features : mapping of feature to (field, array)
    column : callable
        Returns the column of (field, instance, array) in the convention of the export.
    """

    table: Table
    subject: str
    features: Mapping[str, tuple[int, int]]
    column: Callable[[int, int, int], str]
