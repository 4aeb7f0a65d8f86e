"""The column names people use, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable

SUBJECT = (
    "participantid", "subjectid", "subid", "subjid", "subject", "sub", "subj", "participant", "srcsubjectid",
    "ptid", "rid", "eid", "patientid", "patient", "fsidbase", "fsid", "recordid", "patno", "naccid", "oasisid", "id",
    "subjectkey",
)  # fmt: skip
VISIT = (
    "sessionid", "session", "visit", "visitid", "visitname", "visitnumber", "visitnum", "visitno", "viscode",
    "viscode2", "timepoint", "tp", "wave", "eventname", "redcapeventname", "event", "eventid", "naccvnum", "instance",
    "ses", "fsid",
)  # fmt: skip

UNITS = {
    "hours": ("h", "hr", "hrs", "hour", "hours"),
    "days": ("d", "day", "days"),
    "weeks": ("w", "wk", "wks", "week", "weeks"),
    "months": ("m", "mo", "mos", "mon", "mth", "mths", "mnth", "mnths", "month", "months"),
    "years": ("y", "yr", "yrs", "year", "years"),
}
"""How units of time are written, in lower case."""
PER_YEAR = {"hours": 24 * 365.25, "days": 365.25, "weeks": 365.25 / 7, "months": 12.0, "years": 1.0}

# name -> (kind, unit); the first that a table has gives the time
TIME = {
    **dict.fromkeys(
        ("years", "yearssincebaseline", "yearsfrombaseline", "yearssincefirstvisit", "timeyears", "yearsbl",
         "followupyears", "yearssincefirst", "intervalyears", "deltayears"), ("years", "years")),
    **dict.fromkeys(
        ("months", "monthssincebaseline", "monthsfrombaseline", "timemonths", "monthsbl", "month", "intervalmonths"),
        ("years", "months")),
    **dict.fromkeys(
        ("days", "dayssincebaseline", "daysfrombaseline", "timedays", "mrdelay", "intervaldays", "naccdays"),
        ("years", "days")),
    **dict.fromkeys(
        ("date", "scandate", "examdate", "visitdate", "sessiondate", "acqdate", "acqtime", "mridate", "mrdate",
         "dateofscan", "datescan", "acquisitiondate", "studydate", "scandatetime", "acqdatetime", "visitdt", "examdt",
         "scandt", "mridt"),
        ("date", "years")),
    **dict.fromkeys(
        ("age", "ageyears", "ageatscan", "ageatvisit", "agescan", "ageinyears", "agemri", "ageatmri", "ageyrs",
         "ageatmr", "scanage", "mriage", "agevisit", "visitage"), ("age", "years")),
    **dict.fromkeys(("agemonths", "ageinmonths", "interviewage", "agemo"), ("age", "months")),
    **dict.fromkeys(("agedays", "ageindays"), ("age", "days")),
    "time": ("time", "years"),
}  # fmt: skip

QUANTITIES = frozenset({
    "age", "ageatrecruitment", "ageatentry", "ageatbaseline", "ageatonset", "education",
    "educationyears", "yearsofeducation", "educ", "edyears", "bmi", "iq", "fsiq", "income",
    "townsend", "townsendindex", "height", "weight", "ses",
})  # fmt: skip
SITES = frozenset({
    "site", "scanner", "center", "centre", "study", "dataset", "cohort", "institution", "scannerid", "siteid",
    "manufacturer", "model", "scannermodel", "batch", "protocol",
})  # fmt: skip
LABELS = QUANTITIES | SITES | frozenset({
    "sex", "gender", "group", "diagnosis", "dx", "dxgroup", "dxbl", "handedness", "hand", "ethnicity", "race",
    "educationcategory", "qualifications", "fieldstrength", "apoe", "apoe4", "medication", "smoking",
    "mortality", "death", "stroke", "dementia", "parkinsonism", "parkinson", "epilepsy", "migraine",
})  # fmt: skip
_LABEL_WORDS = frozenset({"townsend", "prs", "polygenic", "diagnosis", "disorder", "disease", "mortality", "sclerosis"})
_ID_LIKE = re.compile(r"(?:^|[_\-. ])(?:id|uid|num|nr|idx)$", re.IGNORECASE)
_ID_NAMES = frozenset({"sitenum", "siteno", "imageid", "scanid", "imageuid", "index", "row", "unnamed0", "run"})


def canonical(name: str) -> str:
    """Return a column name in lower case with letters and digits only.

    >>> canonical("Subject ID")
    'subjectid'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find(columns: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the column that has the first of the known names a table has."""
    known: dict[str, str] = {}
    for column in columns:
        known.setdefault(canonical(column), column)
    return next((known[name] for name in names if name in known), None)


def is_label(column: str) -> bool:
    """Tell whether a column with this name is usually a label rather than an imaging feature."""
    words = re.split(r"[^a-z]+", column.lower())
    return canonical(column) in LABELS or not _LABEL_WORDS.isdisjoint(words)


def is_identifier(column: str) -> bool:
    """Tell whether a column with this name numbers subjects, scans, sites or rows.

    >>> is_identifier("sitenum"), is_identifier("image_id"), is_identifier("Right-choroid")
    (True, True, False)
    """
    return canonical(column) in _ID_NAMES or bool(_ID_LIKE.search(column)) or column.startswith("column ")
