"""The people of a simulated cohort of hearts: who they are, and the traits of their hearts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.randomness import bits, normal, subject_keys, uniform
from nextscan.simulating.hearts.form import N_FORM
from nextscan.simulating.hearts.law import HeartLaw, canonical
from nextscan.simulating.hearts.physiology import CUT, GROUPS, Physiology, covariates, heart_rates

_PEOPLE = 0x686561727473  # keeps these draws apart from all others with the same seed
_GROUP, _SEX, _BODY, _TRAITS, _FORM = range(5)
_GOLDEN = 0.6180339887498949

_HEIGHT = {True: (176.0, 7.0), False: (163.0, 6.5)}  # cm, by being male
_BODY_MASS = (26.0, 0.13)  # kg/m2, and spread of its log


def draw_people(
    n_subjects: int,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    *,
    n_frames: int,
    shares: FloatArray,
    seed: int,
    prefix: str = "sub-",
) -> HeartLaw:
    """Draw people and their hearts.

    What a person is depends on the seed, the shares and the person's number, not on how many others there are. Groups
    come in turn as evenly as their shares allow (a Kronecker sequence), so that small cohorts have all of them.

    Parameters
    ----------
    n_subjects : int
    shape : tuple of int
        Of the images; people do not depend on it, nor on spacing, frames and prefix.
    spacing : tuple of float
        mm.
    n_frames : int
    shares : ndarray of float, shape (n_groups,)
        Of the groups; they sum to 1.
    seed : int
    prefix : str
        Of the names of people.
    """
    numbers = range(1, n_subjects + 1)
    keys = subject_keys([canonical(i) for i in range(n_subjects)])
    at = (_PEOPLE, seed)
    first = float(uniform(subject_keys(["groups"]), *at, _GROUP)[0])
    turn = np.mod(first + _GOLDEN * np.arange(n_subjects), 1.0)
    group = np.searchsorted(np.cumsum(shares)[:-1], turn, side="right").astype(np.intp)
    male = uniform(keys, *at, _SEX) < 0.5
    tall, heavy, fast = cut_normal(keys, *at, _BODY, size=3).T
    middle, spread = np.where(male[:, None], _HEIGHT[True], _HEIGHT[False]).T
    height = np.round(middle + spread * tall)
    weight = np.round(_BODY_MASS[0] * np.exp(_BODY_MASS[1] * heavy) * (height / 100) ** 2)
    heart_rate = np.round(heart_rates(group, fast))

    physiology = Physiology.usual(shares)
    before = covariates(np.sqrt(height * weight / 3600), male, heart_rate) @ physiology.effect  # Mosteller 1987
    z = cut_normal(keys, *at, _TRAITS, size=physiology.mean.shape[1])
    traits = physiology.mean[group] + before + np.einsum("nij,nj->ni", physiology.scaled[group], z)
    return HeartLaw(
        seed=seed,
        shape=shape,
        spacing=spacing,
        n_frames=n_frames,
        subjects=np.array([f"{prefix}{number:03d}" for number in numbers]),
        group=group,
        male=male,
        height=height,
        weight=weight,
        heart_rate=heart_rate,
        traits=traits,
        form=normal(keys, *at, _FORM, size=N_FORM),
        physiology=physiology,
    )


def shares_of(groups: Mapping[str, float] | None) -> FloatArray:
    """Return the shares of all groups, in the order of `GROUPS`; equal ones unless they are given."""
    given = np.array([1.0 if groups is None else groups.get(name, 0.0) for name in GROUPS])
    shares: FloatArray = given / given.sum()
    return shares


def cut_normal(keys: np.ndarray[tuple[int], np.dtype[np.int64]], *counters: int, size: int) -> FloatArray:
    """Return standard normal numbers that are cut at ±`CUT`, shape (n, size)."""
    from scipy.special import ndtr, ndtri

    outside = ndtr(-CUT)
    shares = uniform(bits(keys, *counters)[:, None], np.arange(size))
    numbers: FloatArray = ndtri(outside + (1 - 2 * outside) * shares)
    return numbers
