"""Names of scans that hold the subject and the visit, as in ``sub-01_ses-2`` or ``OAS2_0001_MR1``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray
from nextscan.cohort.findings import Finding
from nextscan.errors import SchemaError, some
from nextscan.reading.formats.tables import Texts

_TAIL = r"(?P<entities>(?:_[A-Za-z]+-[A-Za-z0-9+]+)*(?:_[A-Za-z]\w*?)?)(?:\.nii(?:\.gz)?|\.mgz)?"
_SESSION = re.compile(rf"(?P<subject>.+?)[_.](?P<visit>ses-[A-Za-z0-9]+|tp-?[0-9]+){_TAIL}")
_LONG = re.compile(r"(?P<scan>.+)\.long\.(?P<base>.+)")
_DAY = r"(?:19|20)\d\d(?P<dash>[-.]?)(?:0[1-9]|1[0-2])(?P=dash)(?:0[1-9]|[12]\d|3[01])"
_NUMBERED = (
    "timepoint|time|tp|visit|vis|wave|session|sess|ses|scan|years?|yr|months?|mon|mo|weeks?|wk|days?|"
    "followup|follow-up|fu|bl|mr|m|v|w|y|d"
)
_ALONE = "bl|baseline|followup|follow-up|fu|screening|scmri|sc|init|initial|pre|post|retest|rescan"
_CONVENTIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # ADNI
        rf"(?P<subject>\d{{3}}_S_\d{{4,5}})[_.\-](?P<visit>{_ALONE}|[myv]\d+|{_DAY})(?P<entities>)(?:[_.\- ].*)?",
        r"(?P<subject>OAS3\d{4})_[A-Za-z]\w*?_(?P<visit>d\d{4})(?P<entities>)",  # OASIS-3
        r"(?P<subject>[1-9]\d{6})_2\d{4}_(?P<visit>[2-9])_(?P<entities>\d)",  # UK Biobank: field, instance, array
        rf"(?P<subject>.+?)[_.\- ](?P<visit>{_DAY})(?P<entities>(?:[T_]?\d{{4,6}})?)",
        rf"(?P<subject>.+?)[_.\- ](?P<visit>(?:{_NUMBERED})[-_]?\d{{1,4}}|{_ALONE})(?:_MR)?(?P<entities>)",
    )
)
_OPEN = re.compile(r"(?P<subject>.+?)(?P<mark>[_.\- ][A-Za-z]?)(?P<visit>\d{1,2})")
_MOST_VISITS = 15  # of a person; stems with more scans are sites or groups
_FEW_STEMS = 2


@dataclass(frozen=True)
class ScanNames:
    """What the names of scans say.

    Attributes
    ----------
    subjects : ndarray of str
    visits : ndarray of str
        Empty where a name tells none.
    spans : list of (int, int) or None
        Where the visit stands in the name.
    keep : ndarray of bool
        Scans that are no templates.
    notes : tuple of str
    findings : tuple of Finding
    """

    subjects: Texts
    visits: Texts
    spans: list[tuple[int, int] | None]
    keep: BoolArray
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def has_visits(self) -> bool:
        """Tell whether any name holds a visit."""
        return bool(np.any(self.visits != ""))


def scan_names(
    names: Texts, pattern: str | None = None, *, where: str, schema_path: str = "schema", strict: bool = True
) -> ScanNames:
    """Split names of scans into subject and visit.

    Longitudinal scans of FreeSurfer (``x.long.base``), BIDS sessions and time points (``_tp2``) are always split. Other
    conventions (ADNI, OASIS, UK Biobank's bulk files, words such as ``_visit2`` and ``_baseline``, dates) are split
    where names do not repeat and what is before the visit does: else nothing tells that it names a person. Of people
    with a longitudinal scan only those are kept.

    Parameters
    ----------
    names : ndarray of str
        None where missing.
    pattern : str, optional
        Regular expression with the group ``subject``, and ``visit``, for whole names; replaces the conventions.
    where : str
        The file, for messages.
    schema_path : str
    strict : bool
        Every name must fit the pattern; else names that do not are those of people.

    Raises
    ------
    SchemaError
        If a name does not fit the pattern.
    """
    if pattern is not None:
        return _by_pattern(names, re.compile(pattern), f"{schema_path}, scan_name", strict)
    own = [name or "" for name in names]
    series = pd.Series(own, dtype="str")
    nothing = ScanNames(names, np.full(len(names), "", dtype=object), [None] * len(own), np.ones(len(names), bool))
    if not series.str.contains(r"[_.\- ]", regex=True).any():
        return nothing
    longitudinal = [_LONG.fullmatch(name) for name in own]
    bare = [match["scan"] if match else name for name, match in zip(own, longitudinal, strict=True)]
    matches = [_SESSION.fullmatch(name) for name in bare]
    if not series[series != ""].duplicated().any():
        matches = _with_conventions(bare, matches, longitudinal)
    if not any(matches) and not any(longitudinal):
        return nothing
    subjects, visits = list(bare), [""] * len(bare)
    for i, (match, long) in enumerate(zip(matches, longitudinal, strict=True)):
        if match:
            subjects[i], visits[i] = match["subject"], match["visit"]
        elif long:
            subjects[i] = _stem(long["base"])
            visits[i] = long["scan"].removeprefix(subjects[i]).lstrip("_.-") or long["scan"]
    keep, notes = _kept(own, longitudinal, subjects)
    if pd.DataFrame({"subject": subjects, "visit": visits})[keep].duplicated().any():  # runs of a session
        visits = [visit + (match["entities"] if match else "") for visit, match in zip(visits, matches, strict=True)]
    named = np.flatnonzero(keep & np.array([visit != "" for visit in visits]))
    if len(named):
        i = int(named[0])
        notes.insert(0, f"names of scans hold the visit: {own[i]} is visit {visits[i]} of subject {subjects[i]}")
    return ScanNames(
        np.array([name and subject for name, subject in zip(names, subjects, strict=True)], dtype=object),
        np.array(visits, dtype=object),
        [match.span("visit") if match else None for match in matches],
        keep,
        tuple(notes),
        _half_named(subjects, visits, keep, where),
    )


def open_scan_names(names: Sequence[str]) -> str | None:
    """Return the pattern that would split names such as ``1000_2``, where they look like visits of people.

    They do if numbers up to 99 end the names, few of them, behind more stems that repeat.

    >>> open_scan_names(["1000_1", "1000_2", "1001_1", "1001_2"])
    '(?P<subject>.+)_(?P<visit>\\\\d+)'
    >>> open_scan_names(["1_1", "1_2", "1_3", "2_1", "2_2", "2_3"]) is None  # two sites with three people
    True
    """
    matches = [_OPEN.fullmatch(name) for name in names]
    found = pd.DataFrame([match.groupdict() for match in matches if match], columns=["subject", "mark", "visit"])
    if len(found) < len(matches) or len(set(names)) < len(matches) or found["mark"].nunique() != 1:
        return None
    scans = found["subject"].value_counts()
    if (scans > 1).sum() < _FEW_STEMS or scans.max() > _MOST_VISITS or found["visit"].nunique() > len(scans):
        return None
    return rf"(?P<subject>.+){re.escape(found['mark'].iloc[0])}(?P<visit>\d+)"


def _by_pattern(names: Texts, pattern: re.Pattern[str], key: str, strict: bool) -> ScanNames:
    matches = [pattern.fullmatch(name) if name else None for name in names]
    misfits = [name for name, match in zip(names, matches, strict=True) if name and match is None]
    if misfits and strict:
        raise SchemaError(f"{key}: {len(misfits)} names do not fit {pattern.pattern!r}: {some(misfits, 3)}")
    has_visit = "visit" in pattern.groupindex
    visits = [(match["visit"] or "") if match and has_visit else "" for match in matches]
    spans = [match.span("visit") if match and visit else None for match, visit in zip(matches, visits, strict=True)]
    return ScanNames(
        np.array([match["subject"] if match else name for name, match in zip(names, matches, strict=True)], object),
        np.array(visits, dtype=object),
        spans,
        np.ones(len(names), bool),
    )


def _with_conventions(
    names: list[str], matches: list[re.Match[str] | None], longitudinal: list[re.Match[str] | None]
) -> list[re.Match[str] | None]:
    """Add matches of the other conventions, if what they take for subjects repeats."""
    more = list(matches)
    for i, name in enumerate(names):
        if more[i] is None:
            more[i] = next((found for pattern in _CONVENTIONS if (found := pattern.fullmatch(name))), None)
    added = [match for match, known in zip(more, matches, strict=True) if match and not known]
    if not added:
        return matches
    if any(longitudinal):
        return more
    scans = pd.Series([match["subject"] if match else name for match, name in zip(more, names, strict=True)])
    counts = scans.value_counts()
    stems = counts[[match["subject"] for match in added]]
    return more if (stems > 1).any() and stems.max() <= _MOST_VISITS else matches


def _half_named(subjects: list[str], visits: list[str], keep: BoolArray, where: str) -> tuple[Finding, ...]:
    """Find people some of whose scans are named without a visit."""
    frame = pd.DataFrame({"subject": subjects, "bare": [visit == "" for visit in visits]})[keep]
    share = frame.groupby("subject", sort=False)["bare"].mean()
    who = tuple(str(name) for name in share.index[(share > 0) & (share < 1)])
    if not who:
        return ()
    text = f"{where}: {some(who, 3)} {'has' if len(who) == 1 else 'have'} a scan named without a visit, and others with"
    cure = "taken as a visit before the others; name it as they are, or remove it if it is a template"
    return (Finding("warning", "half-named-scans", text, subjects=who, cure=cure),)


def _stem(base: str) -> str:
    return re.sub(r"[_.\-](?:base|template|long)$", "", base)


def _kept(
    scans: list[str], longitudinal: list[re.Match[str] | None], subjects: list[str]
) -> tuple[BoolArray, list[str]]:
    """Mark longitudinal scans, and scans of people who have none; the others are templates or earlier runs."""
    if not any(longitudinal):
        return np.ones(len(scans), bool), []
    bases = {match["base"] for match in longitudinal if match}
    known = {subject for subject, match in zip(subjects, longitudinal, strict=True) if match}
    known |= bases | {_stem(base) for base in bases} | {match["scan"] for match in longitudinal if match}
    is_long = np.array([match is not None for match in longitudinal])
    cross = np.array([_person_among(scan, subject, known) for scan, subject in zip(scans, subjects, strict=True)])
    cross = ~is_long & ~cross
    left = np.flatnonzero(~is_long & ~cross)
    notes = []
    if len(left):
        names = some([scans[i] for i in left], 3)
        notes.append(f"{len(left)} scans are not of the longitudinal stream and left out: {names}")
    if cross.any():
        names = some([scans[i] for i in np.flatnonzero(cross)], 3)
        notes.append(
            f"{int(cross.sum())} scans of people without a longitudinal scan are kept, from the cross-sectional "
            f"stream: {names}"
        )
    return is_long | cross, notes


def _person_among(scan: str, subject: str, known: set[str]) -> bool:
    """Tell whether a scan belongs to someone known: by subject, or by a name cut at any of its separators."""
    cuts = [scan[: part.start()] for part in re.finditer(r"[_.\-]", scan)]
    return not known.isdisjoint({scan, subject, _stem(scan), *cuts})
