"""The people of a simulated cohort of brains: who they are, when they come, and their true states."""

from __future__ import annotations

import numpy as np

from nextscan.randomness import normal, subject_keys, uniform
from nextscan.simulating.brains.anatomy import N_SHAPE
from nextscan.simulating.brains.law import SIZES, Ageing, BrainLaw, covariates

_PEOPLE = 0x70656F706C65  # keeps these draws apart from all others with the same seed
_AGE, _DIAGNOSIS, _SEX, _HEAD, _FORM, _FIRST, _RATE, _GAP, _CHANCE = range(9)

_SHARES = (0.40, 0.35, 0.25)  # of the diagnoses
_AGES, _YOUNGEST, _OLDEST = (73.0, 7.0), 55.0, 88.0  # mean and spread at the first visit
_GAPS = (0.5, 4.0)  # years between visits
_VISITS = (3, 2, 4, 2, 1, 3, 2)  # in turn, so that small cohorts, too, have every kind of subject
_HEAD_OF_MEN, _HEAD_SPREAD = 0.02, 0.015  # of the linear size, for and against


def draw_people(n_subjects: int, shape: tuple[int, int, int], *, seed: int) -> BrainLaw:
    """Draw people, their visits and their true states.

    What happens to a person depends on the seed and the person's number, not on how many others there are.

    Parameters
    ----------
    n_subjects : int
    shape : tuple of int
        Of the images; people do not depend on it.
    seed : int
    """
    names = np.array([f"sub-{number:03d}" for number in range(1, n_subjects + 1)])
    keys = subject_keys(names)
    at = (_PEOPLE, seed)
    diagnosis = np.searchsorted(np.cumsum(_SHARES[:-1]), uniform(keys, *at, _DIAGNOSIS), side="right")
    male = uniform(keys, *at, _SEX) < 0.5
    first_age = np.clip(_AGES[0] + _AGES[1] * normal(keys, *at, _AGE, size=1)[:, 0], _YOUNGEST, _OLDEST)
    head = np.where(male, _HEAD_OF_MEN, -_HEAD_OF_MEN) + _HEAD_SPREAD * normal(keys, *at, _HEAD, size=1)[:, 0]
    n_visits = np.resize(_VISITS, n_subjects)
    subject_of = np.repeat(np.arange(n_subjects), n_visits)
    number = np.arange(len(subject_of)) - np.repeat(np.cumsum(n_visits) - n_visits, n_visits)

    gap = np.round(_GAPS[0] + (_GAPS[1] - _GAPS[0]) * uniform(keys[subject_of], *at, _GAP, number), 2)
    ageing = Ageing.usual()
    first, own = (normal(keys, *at, part, size=len(SIZES)) for part in (_FIRST, _RATE))
    chance = normal(keys[subject_of], *at, _CHANCE, number, size=len(SIZES))
    age, states = np.empty(len(gap)), np.empty((len(gap), len(SIZES)))
    roots = [np.linalg.cholesky(part) for part in (ageing.level_covariance, ageing.individual)]
    for row, (subject, is_later) in enumerate(zip(subject_of, number > 0, strict=True)):
        if not is_later:
            age[row] = np.round(first_age[subject], 2)
            states[row] = covariates(age[row], diagnosis[subject]) @ ageing.level + roots[0] @ first[subject]
            continue
        age[row] = np.round(age[row - 1] + gap[row], 2)
        keep, give, push, noise = ageing.over(age[row] - age[row - 1])
        before = covariates(age[row - 1], diagnosis[subject])
        rate = roots[1] @ own[subject]
        states[row] = keep @ states[row - 1] + give @ rate + push @ before + np.linalg.cholesky(noise) @ chance[row]
    return BrainLaw(
        seed=seed,
        shape=shape,
        subjects=names,
        diagnosis=diagnosis.astype(np.intp),
        male=male,
        head_size=np.exp(head),
        form=normal(keys, *at, _FORM, size=N_SHAPE),
        subject_of=subject_of.astype(np.intp),
        visits=np.array([f"ses-{i + 1:02d}" for i in number]),
        age=age,
        states=states,
        ageing=ageing,
    )
