"""Which visits of a sequence are shown to a method, in words: ``first:4``, ``ED,ES``, ``random:0.5``."""

from __future__ import annotations

import re

import numpy as np

from nextscan.arrays import BoolArray
from nextscan.cohort.cohort import Cohort
from nextscan.errors import SettingError, some
from nextscan.randomness import subject_keys

_RULE = re.compile(r"(first|random)(?::([0-9.]+))?")


def shown_visits(cohort: Cohort, rule: str, *, seed: int = 0) -> BoolArray:
    """Tell which observed visits a rule shows, shape (n_visits,); the others are for `nextscan.cohort.hide`.

    Parameters
    ----------
    cohort : Cohort
    rule : str
        ``first`` or ``first:N``: the first N of each subject. ``random`` or ``random:P``: the first, and of the others
        each with probability P (half of them, if it is not said), by the subject's name and the seed. Otherwise names
        of visits, or values of a label of visits, separated by commas: ``frame-01,frame-06`` or ``ED,ES``.
    seed : int

    Raises
    ------
    SettingError
        If the rule is none of these.

    >>> beat = Cohort("toy", np.array(["a"]), np.zeros(4, int), np.array(list("1234")), np.arange(4) / 4,
    ...     np.ones((4, 1)), ("edv",))
    >>> shown_visits(beat, "first:2").tolist(), shown_visits(beat, "1,3").tolist()
    ([True, True, False, False], [True, False, True, False])
    """
    observed = ~cohort.is_request
    match = _RULE.fullmatch(rule.strip())
    if match is None:
        return observed & _named(cohort, [name.strip() for name in rule.split(",") if name.strip()], rule)
    place = cohort.observed_before
    kind, number = match[1], match[2]
    if kind == "first":
        if number is not None and not (number.isdigit() and int(number)):
            raise SettingError(f"first:{number} is no number of visits; write first:2 for the first two")
        return np.asarray(observed & (place < int(number or 1)))
    share = 0.5 if number is None else _share(number)
    chance = np.empty(cohort.n_visits)
    for i, key in enumerate(subject_keys(cohort.subjects.tolist())):
        rows = cohort.subject_of == i
        chance[rows] = np.random.default_rng([int(key) % 2**63, seed]).random(np.count_nonzero(rows))
    return np.asarray(observed & ((place == 0) | (chance < share)))


def _share(number: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise SettingError(f"random:{number} is no share of visits to show; write random:0.5 for half of them")
    return share


def _named(cohort: Cohort, names: list[str], rule: str) -> BoolArray:
    """Tell which visits have one of the names, or a label with such a value."""
    found = np.isin(cohort.visits, names)
    there = set(cohort.visits[found].tolist())
    for column in cohort.visit_labels.columns:
        texts = cohort.visit_labels[column].astype(str).to_numpy()
        of_label = np.isin(texts, names)
        found |= of_label
        there |= set(texts[of_label].tolist())
    if not names or (missing := sorted(set(names) - there)):
        wrong = some(missing) if names else "nothing"
        raise SettingError(
            f"{rule!r} shows {wrong}, which no visit of {cohort.source or cohort.name} is called; write first:N, "
            f"random:P, or names of visits such as {some(dict.fromkeys(cohort.visits.tolist()))}"
        )
    return np.asarray(found)
