"""Names of people and of sessions: which are one but for how they are written, and which are nobody's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import some
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.formats.tables import Texts

_PREFIX = re.compile(r"(?:sub|subj|subject|participant|ses|sess|session)(?:[-_ ]+|(?=\d))(?=.)")
_PLAIN = r"[1-9]\d*|[A-Za-z]+[1-9]\d*"  # cannot be written otherwise, but for case
_TOKENS = re.compile(r"\d+|[^\W\d_]+|[\W_]+")


def folded(name: str) -> str:
    """Return what a name says whatever its padding, case, separators and usual prefix.

    A separator between two numbers, or two words, stays: site 1 person 11 is not site 11 person 1.

    >>> folded("sub-01"), folded(" 1"), folded("1.0"), folded("S_03"), folded("s3"), folded("ses-M06")
    ('1', '1', '1', 's3', 's3', 'm6')
    >>> folded("1_11") == folded("11_1"), folded("A_001") == folded("B_001")
    (False, False)
    """
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    text = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    tokens = _TOKENS.findall(text)
    kept = []
    for i, token in enumerate(tokens):
        if token[0].isdecimal():
            kept.append(token.lstrip("0") or "0")
        elif token[0].isalpha():
            kept.append(token)
        elif not 0 < i < len(tokens) - 1 or tokens[i - 1][0].isdecimal() == tokens[i + 1][0].isdecimal():
            kept.append("_")
    return "".join(kept)


def match_names(wanted: Sequence[str], known: Sequence[str]) -> IntArray:
    """Find names of one table or folder in another: the same name, else the only one that is the same `folded`.

    Parameters
    ----------
    wanted, known : sequence of str
        Each name of `known` once; names of `wanted` may repeat.

    Returns
    -------
    ndarray of int
        Position in `known` of each of `wanted`; -1 where there is none, or where another name could be meant as well.

    Examples
    --------
    >>> match_names(["ses-1", "ses-2", "x"], ["ses-01", "ses-02", "ses-03"]).tolist()
    [0, 1, -1]
    >>> match_names(["1", "01"], ["001"]).tolist()
    [-1, -1]
    """
    names = list(dict.fromkeys(wanted))
    at = pd.Index(list(known), dtype=object).get_indexer(pd.Index(names, dtype=object))
    left, free = np.flatnonzero(at < 0), np.setdiff1d(np.arange(len(known)), at)
    if len(left) and len(free):
        mine, theirs = _keys(names[i] for i in left), _keys(known[i] for i in free)
        alone = ~mine.duplicated(keep=False) & ~mine.isin(_keys(names[i] for i in np.flatnonzero(at >= 0)))
        single = ~theirs.duplicated(keep=False)
        found = pd.Index(theirs[single]).get_indexer(mine)
        at[left] = np.where(alone & (found >= 0), free[single][found] if single.any() else -1, -1)
    result: IntArray = at[pd.Index(names, dtype=object).get_indexer(pd.Index(list(wanted), dtype=object))]
    return result


def _keys(names: Iterable[str]) -> pd.Series[str]:
    return pd.Series([folded(name) for name in names], dtype=object)


def variants(names: Iterable[str]) -> list[list[str]]:
    """Group names that are equal but for padding, case, prefix and separators before numbers.

    >>> variants(["1", "2", "001", "S2", "s02", "10", "A_001", "B_001"])
    [['1', '001'], ['S2', 's02']]
    """
    listed = list(names)
    series = pd.Series(listed, dtype="str")
    plain = series.str.fullmatch(_PLAIN)
    if plain.all() and not series.str.casefold().duplicated().any():
        return []
    keys: dict[str, list[str]] = {}
    for name in listed:
        keys.setdefault(folded(name), []).append(name)
    return [group for group in keys.values() if len(group) > 1 and _alike(group)]


def _alike(names: list[str]) -> bool:
    """Tell whether names are one in several writings, not identifiers of one length that happen to fold alike."""
    bare = {name.strip().casefold() for name in names}
    return len(bare) == 1 or len({len(name) for name in bare}) > 1


def matched(names: Texts) -> Texts:
    """Return names with those of one person, if written in several ways, as they are written first.

    >>> matched(np.array(["S02", "s02", "1", None, "001"], dtype=object)).tolist()
    ['S02', 'S02', '1', None, '1']
    """
    first = {name: group[0] for group in variants(pd.Series(names).dropna().unique()) for name in group}
    return np.array([first.get(name, name) for name in names], dtype=object)


def taken_as_one(groups: Sequence[Sequence[str]]) -> str:
    """Say which names are one person's."""
    return f"taken as one person: {listed(groups)}"


def listed(groups: Sequence[Sequence[str]]) -> str:
    """Name a few groups of names."""
    return some((" = ".join(map(repr, group)) for group in groups), 4)


def nobody(names: Texts, column: str) -> BoolArray:
    """Mark names that are no person's.

    An eid that is empty, 0 or negative is that of a participant who left UK Biobank; in another column of whole
    numbers, so is a negative one among positive ones.

    >>> nobody(np.array(["1000001", "-2", None, "0"], dtype=object), "eid").tolist()
    [False, True, True, True]
    >>> nobody(np.array(["0", "1", "-9"], dtype=object), "subject").tolist()
    [False, False, True]
    """
    series = pd.Series(names, dtype="str")
    if canonical(column) == "eid":
        gone = series.isna() | series.str.fullmatch(r"\s*(?:-\d+|-?0+)(?:\.0*)?\s*").fillna(False).astype(bool)
    else:
        whole = series.dropna().str.fullmatch(r"-?\d+(?:\.0*)?").all()
        gone = series.str.startswith("-").fillna(False).astype(bool) & whole
    result: BoolArray = gone.to_numpy(bool)
    return np.zeros(len(names), bool) if result.all() else result


def about_nobody(names: Texts, gone: BoolArray, column: str, where: str) -> list[Finding]:
    """Tell which rows were left out as nobody's."""
    if not gone.any():
        return []
    who = list(dict.fromkeys("empty" if name is None else str(name) for name in names[gone]))
    text = f"{where}: {int(gone.sum())} rows left out whose {column} is {some(who, 3)}"
    if canonical(column) == "eid":
        return [Finding("note", "no-person", text, (column,), cure="participants who left the study")]
    return [Finding("warning", "no-person", text, (column,), cure="a code for a missing name? give them their names")]
