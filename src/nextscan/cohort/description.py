"""What `describe` found: facts, findings and tables, as values, text or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from nextscan.errors import some

Level = Literal["warning", "note", "info"]
LEVELS: tuple[Level, ...] = ("warning", "note", "info")


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a cohort.

    Attributes
    ----------
    level : {"warning", "note", "info"}
        A *warning* distorts results unless something is done; a *note* is worth knowing before
        modelling; *info* answers a question everybody has.
    code : str
        Stable name of the kind of finding.
    text : str
        What was found, and what to do about it.
    columns, subjects : tuple of str
        Everything concerned, also where `text` names only a few.
    """

    level: Level
    code: str
    text: str
    columns: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part in ("columns", "subjects"):  # plain str, where arrays hold NumPy's
            object.__setattr__(self, part, tuple(map(str, getattr(self, part))))


@dataclass(frozen=True, eq=False)
class Part:
    """What one check contributes to a `Description`."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    plots: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Description:
    """What was understood of a cohort, and what in it may mislead a study.

    Attributes
    ----------
    name, source : str
    notes : tuple of str
        How the reader understood the source.
    facts : mapping
        Counts and summaries by topic: ``subjects``, ``gap``, ``missing``, ``repeat``, ``pool``, ...
    findings : tuple of Finding
        Warnings first.
    tables : mapping of str to DataFrame
        ``features``, ``labels``, ``repeatability``, ``shift``, ... one row per feature, label or visit.
    plots : mapping
        Compact data of the figures that the tables do not hold.
    """

    name: str
    source: str
    notes: tuple[str, ...]
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]
    tables: Mapping[str, pd.DataFrame]
    plots: Mapping[str, Any]

    def of(self, code: str) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(finding for finding in self.findings if finding.code == code)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values; numbers have six digits, missing ones are None."""
        return {
            "name": self.name,
            "source": self.source,
            "notes": list(self.notes),
            "facts": _plain(self.facts),
            "findings": [_plain(vars(finding)) for finding in self.findings],
            "tables": {
                name: {"columns": list(table), "rows": _plain(table.to_numpy(object))}
                for name, table in self.tables.items()
            },
            "plots": _plain(self.plots),
        }

    def __str__(self) -> str:
        from nextscan.cohort.describe_text import render

        return render(self)


def assemble(name: str, source: str, notes: Iterable[str], parts: Iterable[Part]) -> Description:
    """Put the parts together; findings are ordered by level, then as they came."""
    parts = list(parts)
    findings = [finding for part in parts for finding in part.findings]
    return Description(
        name=name,
        source=source,
        notes=tuple(notes),
        facts={key: value for part in parts for key, value in part.facts.items()},
        findings=tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level))),
        tables={key: table for part in parts for key, table in part.tables.items()},
        plots={key: value for part in parts for key, value in part.plots.items()},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value if isinstance(value, (str, bool, int)) or value is None else str(value)


def counted(number: int, thing: str, things: str = "") -> str:
    """Say how many.

    >>> counted(1, "feature"), counted(41706, "visit")
    ('1 feature', '41,706 visits')
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def percent(value: float) -> str:
    """Say a share in percent, without rounding something to nothing.

    >>> percent(0.00001), percent(0.0175), percent(0.5)
    ('< 0.01 %', '1.8 %', '50 %')
    """
    places = 0 if value >= 0.095 or value == 0 else 1 if value >= 0.01 else 2
    return "< 0.01 %" if 0 < value < 1e-4 else f"{100 * value:.{places}f} %"


def signed(value: float) -> str:
    """Say a number with its sign.

    >>> signed(-0.52), signed(1.234)
    ('−0.5', '+1.2')
    """
    return f"{value:+.1f}".replace("-", "−")


def few(names: Iterable[object], *, room: int = 130) -> str:
    """Name as many items as fit into so many characters, at least one, at most five; count the rest.

    >>> few(["lh_CortexVol", "rh_CortexVol", "CortexVol"], room=25)
    'lh_CortexVol and 2 more'
    """
    listed = [str(name) for name in names]
    ends = np.cumsum([len(name) + 2 for name in listed])
    return some(listed, max(1, min(5, int((ends <= room + 2).sum()))))
