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

        def hidden(match: re.Match[str]) -> str:
            before, word = match["before"] or "", match["word"]
            end = ""
            while word and word not in self._names and word[-1] in ".-":
                word, end = word[:-1], word[-1] + end
            if word not in self._names or (word.isdigit() and len(word) < _TELLING and not before):
                return match[0]
            return before + self._known.setdefault(word, f"person {len(self._known) + 1}") + end

        return re.sub(r"(?P<before>\bsubjects? )?(?P<word>[\w.+-]+)", hidden, text)


def about_people(*, individuals: bool, simulated: bool) -> str:
    """Return the line at the foot of a page that says what it holds of people."""
    if simulated:
        return "The people on this page are simulated."
    if individuals:
        return "This page holds values of single people under their names: keep it where the data are kept."
    return "This page holds no names and no values of single people, only figures over groups of them."
