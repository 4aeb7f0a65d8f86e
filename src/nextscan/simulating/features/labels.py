"""The fourteen labels of simulated cohorts, and the numbers a law makes of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort.cohort import Cohort
from nextscan.errors import CohortError

# share of people with the condition, and how strongly age, male sex and polygenic scores (AD, PD) raise its liability
_CONDITIONS: dict[str, tuple[float, tuple[float, float, float, float]]] = {
    "stroke": (0.020, (0.35, 0.12, 0.0, 0.0)),
    "dementia": (0.0045, (0.50, 0.0, 0.35, 0.0)),
    "parkinsonism": (107 / 41706, (0.35, 0.15, 0.0, 0.30)),
    "sleep_disorder": (0.030, (0.05, 0.25, 0.0, 0.0)),
    "multiple_sclerosis": (0.0040, (0.0, -0.25, 0.0, 0.0)),
    "epilepsy": (0.0110, (0.05, 0.0, 0.0, 0.0)),
    "migraine": (0.0450, (-0.10, -0.30, 0.0, 0.0)),
    "other_movement_disorder": (0.0060, (0.25, 0.0, 0.0, 0.10)),
    "mortality": (0.0150, (0.45, 0.15, 0.05, 0.0)),
}
_MALE = 0.47
_AGE, _TOWNSEND = (64.0, 7.7), (-1.9, 2.7)  # mean and spread

# centre and scale of each label in a law's equations; conditions count as 0 or 1 less their share
STANDARD: dict[str, tuple[float, float]] = {
    "age": _AGE,
    "sex": (_MALE, float(np.sqrt(_MALE * (1 - _MALE)))),
    "townsend_index": _TOWNSEND,
    "ad_polygenic_score": (0.0, 1.0),
    "pd_polygenic_score": (0.0, 1.0),
    **{name: (share, 1.0) for name, (share, _) in _CONDITIONS.items()},
}
NORMALS = 4 + len(_CONDITIONS)


def draw_labels(normals: FloatArray, uniform: FloatArray) -> dict[str, NDArray[np.generic]]:
    """Turn random numbers into labels at the first visit.

    Parameters
    ----------
    normals : ndarray of float, shape (n, NORMALS)
    uniform : ndarray of float, shape (n,)

    Returns
    -------
    dict of ndarray, each of shape (n,)
        In the order of `STANDARD`. Age in years; sex 1 for male and conditions 1 for present.
    """
    age, townsend, alzheimer, parkinson = normals[:, :4].T
    male = uniform < _MALE
    drawn: dict[str, NDArray[np.generic]] = {
        "age": np.round(np.clip(_AGE[0] + _AGE[1] * age, 45, 83), 1),
        "sex": male.astype(np.int64),
        "townsend_index": np.round(np.clip(_TOWNSEND[0] + _TOWNSEND[1] * townsend, -6.3, 10), 2),
        "ad_polygenic_score": np.round(alzheimer, 4),
        "pd_polygenic_score": np.round(parkinson, 4),
    }
    risks = np.stack([age, (male - _MALE) / STANDARD["sex"][1], alzheimer, parkinson], axis=1)
    for (name, (share, weights)), own in zip(_CONDITIONS.items(), normals[:, 4:].T, strict=True):
        weight = np.array(weights)
        liability = risks @ weight + np.sqrt(1 - weight @ weight) * own
        drawn[name] = (liability > ndtri(1 - share)).astype(np.int64)
    return drawn


def standardised(labels: Mapping[str, NDArray[np.generic]], standard: Mapping[str, tuple[float, float]]) -> FloatArray:
    """Return the labels as columns of a law's equations, shape (n, n_labels)."""
    columns = [(np.asarray(labels[name], np.float64) - centre) / scale for name, (centre, scale) in standard.items()]
    return np.stack(columns, axis=1)


def labels_at_first_visit(cohort: Cohort, rows: IntArray, standard: Mapping[str, tuple[float, float]]) -> FloatArray:
    """Return what the law needs to know of subjects, from one visit of each.

    Parameters
    ----------
    cohort : Cohort
    rows : ndarray of int, shape (n,)
    standard : mapping of label to its centre and scale
        `age` is the age at the first visit: the visit's age less its `years`.

    Raises
    ------
    CohortError
        If a label is missing for somebody: a law cannot be exact without it.
    """
    table = cohort.labels_at(rows)
    needs = "the law of a simulated cohort needs every label it was drawn with; restore it"
    where = cohort.source or cohort.name
    columns: dict[str, NDArray[np.generic]] = {}
    for name in standard:
        if name not in table:
            raise CohortError(f"{where}: has no label {name}; {needs}")
        column = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
        if np.isnan(column).any():
            row = rows[np.flatnonzero(np.isnan(column))[0]]
            subject = cohort.subjects[cohort.subject_of[row]]
            raise CohortError(
                f"{where}: subject {subject}, visit {cohort.visits[row]}: label {name} is missing or no number; {needs}"
            )
        columns[name] = column
    columns["age"] = columns["age"] - np.nan_to_num(cohort.years[rows], nan=0.0)
    return standardised(columns, standard)
