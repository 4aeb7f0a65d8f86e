"""Findings: what is worth knowing about a cohort before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from nextscan.errors import CohortError

Level = Literal["error", "warning", "note", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note", "info")


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a cohort.

    Attributes
    ----------
    level : {"error", "warning", "note", "info"}
        An *error* makes nonsense of whatever is learned: `fit` and `evaluate` stop, unless it is allowed by its code.
        A *warning* distorts results unless something is done; a *note* is worth knowing before modelling; *info*
        answers a question everybody has.
    code : str
        Stable name of the kind of finding.
    text : str
        What was found, in one line.
    columns, subjects : tuple of str
        Everything concerned, also where `text` names only a few.
    cure : str
        What to do about it, in one line; empty where `text` says it, or there is nothing to do.
    """

    level: Level
    code: str
    text: str
    columns: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    cure: str = ""

    def __post_init__(self) -> None:
        for part in ("columns", "subjects"):  # plain str, where arrays hold NumPy's
            object.__setattr__(self, part, tuple(map(str, getattr(self, part))))

    def __str__(self) -> str:
        return f"{self.text}; {self.cure}" if self.cure else self.text


def allowed(findings: Iterable[Finding], codes: Iterable[str]) -> tuple[Finding, ...]:
    """Return the findings with errors of these codes made warnings."""
    codes = set(codes)
    return tuple(
        replace(finding, level="warning") if finding.level == "error" and finding.code in codes else finding
        for finding in findings
    )


def refuse_errors(findings: Iterable[Finding]) -> None:
    """Raise an error for the first finding that is one, and say how to go on in spite of it.

    Raises
    ------
    CohortError
    """
    wrong = [finding for finding in findings if finding.level == "error"]
    if wrong:
        more = f" (and {len(wrong) - 1} more: see nextscan describe)" if len(wrong) > 1 else ""
        code = wrong[0].code
        anyway = f"to go on in spite of it: --allow {code}, or read_cohort(..., allow={code!r})"
        raise CohortError(f"{wrong[0]}{more}; {anyway}")
