"""What the name of a column says it holds: a sex, a site, a group, an amount, a clinical score, or a measure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from nextscan.reading.columns.vocabulary import (
    AMOUNT_WORDS,
    DOUBTFUL_WORDS,
    GROUP_WORDS,
    IMAGING,
    LABELS,
    QUANTITIES,
    SCORES,
    SEX_WORDS,
    SHORT_SCORES,
    SITE_WORDS,
    SITES,
    canonical,
    is_identifier,
    is_label_word,
)

Role = Literal["sex", "site", "group", "amount", "score", ""]

_FILLING = frozenset({
    "demo", "pt", "subject", "subj", "participant", "patient", "mri", "mr", "scan", "image", "imaging", "acq", "info",
    "study", "research", "data", "bl", "baseline", "base", "entry", "at", "of", "the", "in", "is", "self", "reported",
    "code", "coded", "name", "sub", "cat", "category", "type", "status", "label", "visit", "birth", "biological",
    "clinical", "current", "change", "first", "last", "final", "recruitment", "enrolment", "enrollment", "follow", "up",
    "followup", "m", "f", "male", "female", "v", "l", "p", "x", "y", "yrs", "years", "year", "level", "total", "cohort",
    "disease",
})  # fmt: skip
_OF_SITES = frozenset({
    "id", "model", "serial", "device", "software", "version", "number", "field", "strength", "magnetic", "location",
    "manufacturer", "manufacturers", "abcd", "t",
})  # fmt: skip
_FIELDS = frozenset({"field", "b0", "magneticfield", "mrifield", "scannerfield"})
_OF_AMOUNTS = frozenset({
    "diagnosis", "onset", "death", "diag", "dx", "symptom", "symptoms", "menopause", "months", "days", "weeks", "mo",
    "gestational", "maternal", "paternal", "mother", "father", "exam", "session", "assessment", "test", "interview",
})  # fmt: skip
_BEFORE_SCORES = frozenset({"total", "score", "raw", "scaled", "sum", "bl", "baseline", "clinical", "cog", "np", "nih"})
_ORDINALS = re.compile(r"\d+|num|nr|no|idx")
_BASELINE = re.compile(
    r"(?P<of>.+?)[_.\- ](?:bl|baseline|base)|(?:bl|baseline|base)[_.\- ](?P<after>.+)", re.IGNORECASE
)

_CHANGES = frozenset({
    "change", "changes", "delta", "diff", "difference", "slope", "slopes", "annualised", "annualized", "pbvc",
})  # fmt: skip
_RATES = frozenset({"atrophy", "annual", "yearly", "change", "growth", "loss", "decline", "shrinkage", "progression"})
_BESIDE_CHANGES = frozenset({
    "pct", "percent", "percentage", "perc", "abs", "absolute", "rel", "relative", "rate", "score", "value", "raw",
    "from", "since", "to", "in", "of", "per", "bl", "baseline", "first", "last", "followup", "fu", "year", "years",
    "yr", "yrs", "y", "annual", "yearly", "total", "mean", "avg", "mm", "ml", "cm", "t", "m", "v", "visit",
})  # fmt: skip
_NO_CHANGES = frozenset({"age", "time", "date", "left", "right", "lr", "asymmetry", "laterality", "diffusivity"})
_TIMES = frozenset({
    "day", "days", "week", "weeks", "month", "months", "mo", "year", "years", "yr", "yrs", "hours", "visit", "scan",
})  # fmt: skip
_DIFFUSION = frozenset({"mean", "axial", "radial", "ax", "rad", "fa", "md", "ad", "rd", "dti", "dwi", "tensor"})


def words_of(column: str) -> list[str]:
    """Return the words of a name in lower case.

    >>> words_of("EcogPtMem"), words_of("ADAS11_bl"), words_of("M/F")
    (['ecog', 'pt', 'mem'], ['adas', '11', 'bl'], ['m', 'f'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", column)]


def role_of(column: str) -> Role:
    """Return what a column of this name usually holds; empty for measures of images, and where the name is silent.

    >>> [role_of(name) for name in ("PTGENDER", "M/F", "site_id_l", "PTEDUCAT", "CDR-SB", "lh_bankssts_area")]
    ['sex', 'sex', 'site', 'amount', 'score', '']
    """
    name = canonical(column)
    words = [word for word in words_of(column) if not _ORDINALS.fullmatch(word)]
    telling = {word for word in words if word not in _FILLING}
    if name in ("mf", "fm") or (telling and telling <= SEX_WORDS) or is_one_sex(column):
        return "sex"
    if (
        name in SITES
        or name in _FIELDS
        or name.endswith(("fieldstrength", "manufacturer", "serialnumber", "softwareversion", "siteid"))
    ):
        return "site"
    if telling <= SITE_WORDS | _OF_SITES and (telling & SITE_WORDS or telling >= {"field", "strength"}):
        return "site"
    if _is_group(name, telling, words):
        return "group"
    if name in QUANTITIES or (telling & AMOUNT_WORDS and telling <= AMOUNT_WORDS | _OF_AMOUNTS):
        return "amount"
    if IMAGING.search(column):
        return ""
    if any(name.startswith(score) or name.endswith(score) for score in SCORES):
        return "score"
    first = next((i for i, word in enumerate(words) if word not in _BEFORE_SCORES), 0)
    return "score" if words and words[first] in SHORT_SCORES else ""


def _is_group(name: str, telling: set[str], words: list[str]) -> bool:
    if name.startswith("apoe"):
        return name in ("apoe", "apoegenotype", "apoestatus")  # others count alleles
    if telling and telling <= AMOUNT_WORDS and not {"category", "cat"}.isdisjoint(words):
        return True
    if not telling.isdisjoint({"age", "ages"}):
        return telling <= {"age", "ages", "group", "grp"} and len(telling) > 1
    return bool(telling & GROUP_WORDS) and telling <= GROUP_WORDS | AMOUNT_WORDS


def is_one_sex(column: str) -> bool:
    """Tell whether a name asks for one sex: 1 for ``female`` means that she is.

    >>> is_one_sex("is_male"), is_one_sex("Male"), is_one_sex("male_thickness")
    (True, True, False)
    """
    words = set(words_of(column)) - {"is", "sex", "gender"}
    return words in ({"male"}, {"female"})


def is_label(column: str) -> bool:
    """Tell whether a column of this name is usually a label; numbers of sites are none, scores are sorted later."""
    role = role_of(column)
    return (
        is_label_word(column)
        or canonical(column) in LABELS
        or (role in ("sex", "site", "group", "amount") and not _numbers_it(column, role))
    )


def _numbers_it(column: str, role: Role) -> bool:
    return is_identifier(column) and not (role == "site" and words_of(column)[-1] == "id")


def baseline_of(column: str, columns: Collection[str]) -> str | None:
    """Return the column whose value at the first visit a name says it repeats; None if it says nothing of the kind.

    Where there is no such column, what it would be called.

    >>> baseline_of("Hippocampus_bl", ["Hippocampus"]), baseline_of("baseline.eTIV", []), baseline_of("CC_base", ["cc"])
    ('Hippocampus', 'eTIV', 'cc')
    """
    match = _BASELINE.fullmatch(column)
    if match is None:
        return None
    of = match["of"] or match["after"]
    return next((name for name in columns if canonical(name) == canonical(of) and name != column), of)


def is_change(column: str) -> bool:
    """Tell whether a name is that of a change between visits, by a word it begins or ends with.

    Times, differences between the sides of a brain and diffusion are none.

    >>> [is_change(name) for name in ("hip_pct_change", "delta_hip", "annual_change", "atrophy_rate", "HipSlope")]
    [True, True, True, True, True]
    >>> [is_change(name) for name in ("exchange", "heart_rate", "rate", "delta_years", "lh_difference_of_means")]
    [False, False, False, False, False]
    """
    words = [word for word in words_of(column) if not word.isdigit()]
    if not _NO_CHANGES.isdisjoint(words):
        return False
    if "rate" in words and not _RATES.isdisjoint(words):
        return True
    at = [i for i, word in enumerate(words) if word in _CHANGES]
    if not at or (set(words) <= _CHANGES | _TIMES and not set(words) <= _CHANGES):
        return False
    before, after = words[: at[0]], words[at[-1] + 1 :]
    if words[at[0]] == "diff" and ((before and before[-1] in _DIFFUSION) or (after and after[0] in _DIFFUSION)):
        return bool(before) and before[-1] not in ("mean", "axial", "radial", "ax", "rad") and not after
    return _BESIDE_CHANGES.issuperset(before) or _BESIDE_CHANGES.issuperset(after)


def is_imaging(column: str) -> bool:
    """Tell whether a name is that of a region, a tissue or a measure of images."""
    return bool(IMAGING.search(column))


def doubtful_word(column: str) -> str:
    """Return the word of a name that imaging features rarely have, or nothing.

    >>> doubtful_word("sleep_score"), doubtful_word("left_score_volume"), doubtful_word("lambda2")
    ('score', '', '')
    """
    if is_imaging(column):
        return ""
    return next((word for word in words_of(column) if word in DOUBTFUL_WORDS), "")
