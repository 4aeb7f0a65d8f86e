"""Who may be seen on a page: names of people are hidden, and what a page says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

ASK = "Pages hold no values of single people unless they are asked for with --individuals."
_TELLING = 4  # digits: a shorter number stands for itself far more often than for a person


class Pseudonyms:
    """Names of people in sentences, replaced one for one: ``person 1`` is the first that is named.

    Parameters
    ----------
    names : iterable of str
        Of everybody in the cohort. A name of few digits is replaced only behind the word subject, as any other number
        may be one.

    >>> hide = Pseudonyms(["sub-17", "sub-1", "3"])
    >>> hide("subject sub-17 (and sub-1, sub-17) has 3 visits, subject 3 one")
    'subject person 1 (and person 2, person 1) has 3 visits, subject person 3 one'
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(map(str, names))
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Return a text without names."""
        if not self._names:
            return text

        return re.sub(r"(?P<before>\bsubjects? )?(?P<word>[\w.+-]+)", self._hidden, text)

    def _hidden(self, match: re.Match[str]) -> str:
        """Replace names in a word: the word itself, or what stands between its signs, as in the names of files."""
        before, word = match["before"] or "", match["word"]
        ends = [sign.start() for sign in re.finditer(r"[_.+-]|$", word)]
        made, start = before, 0
        while start < len(word):
            end = next((end for end in reversed(ends) if end > start and self._is_name(word, start, end, before)), 0)
            if end:
                made += self._known.setdefault(word[start:end], f"person {len(self._known) + 1}")
            else:
                end = min(next(end for end in ends if end >= start) + 1, len(word))
                made += word[start:end]
            start = end
        return made

    def _is_name(self, word: str, start: int, end: int, before: str) -> bool:
        part = word[start:end]
        if part not in self._names:
            return False
        return not (part.isdigit() and len(part) < _TELLING) or (bool(before) and word.rstrip(".") == part)


def about_people(*, individuals: bool, simulated: bool) -> str:
    """Return the line at the foot of a page that says what it holds of people."""
    if simulated:
        return "The people on this page are simulated."
    if individuals:
        return "This page holds values of single people under their names: keep it where the data are kept."
    return "This page holds no names and no values of single people, only figures over groups of them."
