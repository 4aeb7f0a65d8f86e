"""Names of people and of sessions: which are one but for how they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from nextscan.arrays import IntArray

_PREFIX = re.compile(r"(?:sub|subj|subject|participant|ses|sess|session)(?:[-_ ]+|(?=\d))(?=.)")
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
