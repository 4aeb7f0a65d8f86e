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
BIRTH = ("dateofbirth", "birthdate", "dob", "birthdt", "birthday", "dateofbirthday", "ptdob")
"""Dates of birth; a year of birth joins no ages and dates."""

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
         "scandt", "mridt", "infodt"),
        ("date", "years")),
    **dict.fromkeys(
        ("age", "ageyears", "ageatscan", "ageatvisit", "agescan", "ageinyears", "agemri", "ageatmri", "ageyrs",
         "ageatmr", "scanage", "mriage", "agevisit", "visitage"), ("age", "years")),
    **dict.fromkeys(("agemonths", "ageinmonths", "interviewage", "agemo"), ("age", "months")),
    **dict.fromkeys(("agedays", "ageindays"), ("age", "days")),
    **dict.fromkeys(
        ("cycle", "cyclefraction", "fractionofcycle", "cardiaccycle", "cyclephase", "phasefraction", "beatfraction"),
        ("years", "cycle")),
    **dict.fromkeys(("triggertime", "triggertimems", "triggerdelay"), ("years", "ms")),
    "time": ("time", "years"),
}  # fmt: skip

FILMS = frozenset({
    "ed", "edframe", "frameed", "es", "esframe", "framees", "phase", "rr", "rrms", "rrinterval", "nominalinterval",
    "heartrate", "hr", "bpm",
})  # fmt: skip
"""Columns of a table of images that place frames in the beat."""
QUANTITIES = frozenset({
    "age", "ageatrecruitment", "ageatentry", "ageatbaseline", "ageatonset", "education", "gestationalage",
    "gestationalageatbirth", "gaatbirth", "birthga", "birthage", "gaweeks", "postmenstrualage", "pma",
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
# words of names, see `nextscan.reading.columns.roles`
SEX_WORDS = frozenset({"sex", "gender", "ptgender"})
SITE_WORDS = frozenset({
    "site", "scanner", "center", "centre", "manufacturer", "manufacturers", "vendor", "institution", "station",
    "magnet", "tesla", "protocol", "hospital", "coil", "fldstreng", "fieldstrength", "stationname", "modelname",
})  # fmt: skip
GROUP_WORDS = frozenset({
    "group", "grp", "diagnosis", "diag", "dx", "dxgroup", "dxbl", "dxcurren", "dxchange", "race", "ethnicity",
    "ethnic", "ptraccat", "ptethcat", "handedness", "hand", "pthand", "arm", "subtype", "phenotype", "genotype",
    "cohort", "treatment", "marital", "ptmarry", "smoking", "smoker", "qualifications", "nationality",
})  # fmt: skip
AMOUNT_WORDS = frozenset({"age", "ages", "educ", "education", "schooling", "pteducat", "edyears", "bmi"})
SCORES = frozenset({
    "mmse", "mmscore", "minimental", "moca", "ravlt", "cvlt", "hvlt", "adas", "cdrsb", "cdrsum", "cdrglobal",
    "cdglobal", "updrs", "edss", "panss", "phq9", "gad7", "madrs", "hdrs", "hamd", "ymrs", "bprs", "alsfrs", "uhdrs",
    "sdmt", "pasat", "nihss", "whodas", "ecog", "mpacc", "ldeltotal", "digitscor", "trabscor", "traascor", "npiq",
    "fsiq",
    "wasi", "wisc", "cbcl", "nihtb", "upsit", "rbdsq", "psqi", "hoehnyahr", "trailmaking", "fluidintelligence",
    "barthel", "msfc", "t25fw", "9hpt", "ksads", "gdtotal", "faqtotal", "npiscore",
    "np1rtot", "np1ptot", "np2ptot", "np3tot", "np4tot",
})  # fmt: skip
"""Tests and ratings of clinics: names that begin or end so are no imaging features."""
SHORT_SCORES = frozenset({
    "faq", "npi", "gds", "bdi", "cdr", "iq", "viq", "piq", "gaf", "cgi", "sans", "saps", "ess", "stai", "hads", "hama",
    "cesd", "tmt", "bnt", "avlt", "nhy", "wms", "wais", "pacc", "scopa", "ados", "srs", "mds",
})  # fmt: skip
"""Those that may be a part of other words: the whole name, or its first word."""
IMAGING = re.compile(
    r"vol|thick|area|(?<![a-z])[lr]h(?![a-z])|left|right|hippo|amygd|thalam|caudate|putamen|pallid|"
    r"accumb|ventric|cort(?:ex|ical)|gyr|sulc|lobe|matter|brain|cereb|(?<![a-z])(?:csf|wmh?|gm|fa|md|cc|icv|tiv|suvr)"
    r"(?![a-z])|etiv|intracran|insula|cingul|frontal|tempor|pariet|occip|entorh|fusiform|callos|hyperint|hypoint|"
    r"lesion|curv|atroph|cuneus|fascic|tract(?![a-z])|nucle(?:us|i)|[sd]mri|dti|chiasm|choroid|vessel|holes|supratent|(?<![a-z])gr[ae]y|white.?matter|parenchym|ejection|(?<![a-z])m[ml][23]?(?![a-z])",
    re.IGNORECASE,
)
"""Names that are those of regions, tissues and their measures."""
DOUBTFUL_WORDS = frozenset({
    "score", "scores", "scale", "subscale", "test", "questionnaire", "inventory", "dose", "duration", "onset", "income",
    "height", "weight", "systolic", "diastolic", "pulse", "alcohol", "drinks", "year", "years", "month", "months",
    "week", "weeks", "day", "days", "date", "time", "visit", "yob", "dob", "birth", "medication", "glucose",
    "cholesterol", "hba1c", "abeta", "tau", "ptau", "type", "status", "class", "ledd", "code", "stage", "grade",
    "rating",
})  # fmt: skip
"""Words of names that imaging features rarely have."""

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


def is_label_word(column: str) -> bool:
    """Tell whether a word of the name is one of labels rather than of imaging features."""
    return not _LABEL_WORDS.isdisjoint(re.split(r"[^a-z]+", column.lower()))


def is_identifier(column: str) -> bool:
    """Tell whether a column with this name numbers subjects, scans, sites or rows.

    >>> is_identifier("sitenum"), is_identifier("image_id"), is_identifier("Right-choroid")
    (True, True, False)
    """
    return canonical(column) in _ID_NAMES or bool(_ID_LIKE.search(column)) or column.startswith("column ")
