"""Scans of FreeSurfer's longitudinal tables (``long.qdec.table.dat``): ``fsid`` and ``fsid-base``."""

from __future__ import annotations

import re

import numpy as np

from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.formats.tables import Texts


def is_qdec(subject: str, visit: str | None) -> bool:
    """Tell whether columns of subject and visit are those of a longitudinal table of FreeSurfer."""
    return canonical(subject) == "fsidbase" and visit is not None and canonical(visit) == "fsid"


def people_of(bases: Texts) -> Texts:
    """Return the people whose templates are given: their names without ``_base`` or ``_template``.

    >>> people_of(np.array(["P00", "P01_base"], dtype=object)).tolist()
    ['P00', 'P01']
    """
    return np.array([base and re.sub(r"[_.\-](?:base|template|long)$", "", base) for base in bases], dtype=object)


def visits_of(scans: Texts, people: Texts) -> Texts:
    """Return the visits in names of scans: what follows the name of the person.

    >>> visits_of(np.array(["P00_MR1", "P00_MR2.long.P00"], dtype=object), np.array(["P00", "P00"])).tolist()
    ['MR1', 'MR2']
    """
    own = [scan and re.sub(r"\.long\..+$", "", scan) for scan in scans]
    left = [
        name and (name.removeprefix(person or "").lstrip("_.-") or name)
        for name, person in zip(own, people, strict=True)
    ]
    return np.array(left, dtype=object)
