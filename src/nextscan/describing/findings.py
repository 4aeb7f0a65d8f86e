"""Findings, and what one check contributes: the values that descriptions are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

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
