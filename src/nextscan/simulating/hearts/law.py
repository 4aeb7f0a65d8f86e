"""The law by which simulated hearts beat, and what it says of frames that were not seen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.errors import CohortError, SettingError
from nextscan.randomness import bits, normal, subject_keys
from nextscan.simulating.hearts.beat import QUANTITIES, Beat
from nextscan.simulating.hearts.physiology import Physiology, covariates
from nextscan.simulating.hearts.posterior import MEASURED_SD, Seen, sample

_DRAWS = 0x6265617473  # keeps draws from the law apart from all others with the same seed
_MEASURED, _CLIMB, _ORDER = range(3)
_TICKS = 10**6  # of a cycle: times closer than that are one


@dataclass(frozen=True, eq=False)
class HeartLaw:
    """The people of a cohort of simulated hearts: their bodies, the traits of their hearts, and how groups differ.

    Attributes
    ----------
    seed : int
    shape, spacing : tuple of three
        Of the images; mm.
    n_frames : int
        Of a beat.
    subjects : ndarray of str, shape (n_subjects,)
    group : ndarray of int, shape (n_subjects,)
        Position in `GROUPS`.
    male : ndarray of bool, shape (n_subjects,)
    height, weight, heart_rate : ndarray of float, shape (n_subjects,)
        cm, kg, beats per minute.
    traits : ndarray of float, shape (n_subjects, n_traits)
        See `TRAITS`.
    form : ndarray of float, shape (n_subjects, N_FORM)
        Normal numbers that make what stands still: where the heart lies, and what is around it.
    physiology : Physiology
    """

    seed: int
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    n_frames: int
    subjects: np.ndarray[tuple[int], np.dtype[np.str_]]
    group: IntArray
    male: BoolArray
    height: FloatArray
    weight: FloatArray
    heart_rate: FloatArray
    traits: FloatArray
    form: FloatArray
    physiology: Physiology

    @property
    def times(self) -> FloatArray:
        """Times of the frames in shares of the cycle, shape (n_frames,)."""
        return np.arange(self.n_frames) / self.n_frames

    @cached_property
    def body_surface(self) -> FloatArray:
        """Body surface of each subject in m² (Mosteller 1987)."""
        return np.asarray(np.sqrt(self.height * self.weight / 3600))

    @cached_property
    def covariates(self) -> FloatArray:
        """What traits depend on, shape (n_subjects, n_covariates)."""
        return covariates(self.body_surface, self.male, self.heart_rate)

    def subject(self, name: str) -> int:
        """Return the position of a subject, named with or without ``sub-``.

        Raises
        ------
        CohortError
            If the law does not know it.
        """
        found = np.flatnonzero(np.char.replace(self.subjects, "sub-", "") == name.removeprefix("sub-"))
        if not len(found):
            raise CohortError(f"subject {name} is not of the simulated cohort this law is of; use the cohort's own law")
        return int(found[0])

    def canonical(self, subject: str) -> str:
        """Return the name of a subject on which chance depends, whatever it is called in the folder.

        Raises
        ------
        CohortError
            If the law does not know it.
        """
        return canonical(self.subject(subject))

    def beat(self, subject: str, times: ArrayLike | None = None) -> Beat:
        """Return the true beat of a subject, at the times of the frames or at others.

        Raises
        ------
        CohortError
            If the law does not know the subject.
        """
        i = self.subject(subject)
        return Beat.of(self.traits[i : i + 1], self.times if times is None else times)

    def measured(self, subject: str, times: ArrayLike) -> FloatArray:
        """Return what `predict` is told of a beat: the true quantities and an error of `MEASURED_SD`.

        Returns
        -------
        ndarray of float, shape (n_times, n_quantities)
            In the order of `QUANTITIES`; the same time gives the same error.
        """
        beat = self.beat(subject, times)
        ticks = np.round(np.mod(beat.times, 1) * _TICKS).astype(np.int64) % _TICKS
        keys = np.repeat(subject_keys([self.canonical(subject)]), len(ticks))
        error = normal(keys, _DRAWS, self.seed, _MEASURED, ticks, size=len(QUANTITIES))
        told: FloatArray = beat.stacked()[0] + MEASURED_SD * error
        return told

    def predict(self, subject: str, seen: ArrayLike, times: ArrayLike, *, know_group: bool = False) -> Prediction:
        """Return the law of the beat at some times, given frames that were seen.

        Known are the body, the heart rate, the traits that stand still, and at the times seen the volumes of both
        chambers and the length of the left one, with a small error of measurement (`measured`).

        Parameters
        ----------
        subject : str
        seen : array of float
            Times of the frames that were seen, in shares of the cycle.
        times : array of float
            Times to predict.
        know_group : bool
            Whether the group is known as well.

        Raises
        ------
        CohortError
            If the law does not know the subject.
        SettingError
            If a time is not finite or no frame was seen.
        """
        seen, times = np.atleast_1d(np.asarray(seen, float)), np.atleast_1d(np.asarray(times, float))
        if not len(seen) or not np.isfinite(seen).all() or not np.isfinite(times).all():
            raise SettingError(
                f"the law of simulated hearts predicts from frames seen at known times, got {seen.tolist()} to predict "
                f"{times.tolist()}; give times as shares of the cycle"
            )
        i = self.subject(subject)
        evidence = Seen(
            times=seen,
            measured=self.measured(subject, seen),
            still=self.traits[i],
            covariates=self.covariates[i],
            heart_rate=float(self.heart_rate[i]),
            group=int(self.group[i]) if know_group else None,
        )
        key = subject_keys([canonical(i)])
        people = sample(self.physiology, evidence, int(bits(key, _DRAWS, self.seed, _CLIMB)[0]) & (2**63 - 1))
        return Prediction(canonical(i), people, times)

    def state(self) -> dict[str, Any]:
        """Return everything as arrays, numbers and lists of strings, by name."""
        whole = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "physiology"}
        whole |= {f"physiology.{field.name}": getattr(self.physiology, field.name) for field in fields(Physiology)}
        lists = {"shape": list(self.shape), "spacing": list(self.spacing), "subjects": self.subjects.tolist()}
        return whole | lists

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the law whose `state` it is."""
        physiology = Physiology(**{field.name: state[f"physiology.{field.name}"] for field in fields(Physiology)})
        own = {field.name: state[field.name] for field in fields(cls) if field.name != "physiology"}
        own |= {"shape": tuple(map(int, own["shape"])), "spacing": tuple(map(float, own["spacing"]))}
        return cls(**{**own, "subjects": np.array(own["subjects"], dtype=str), "physiology": physiology})


def canonical(i: int) -> str:
    """Return the name of the subject at a position on which chance depends."""
    return f"sub-{i + 1:03d}"


@dataclass(frozen=True, eq=False)
class Prediction:
    """A law of beats: many equally likely hearts.

    Attributes
    ----------
    subject : str
    people : ndarray of float, shape (n_people, n_traits)
        Traits of hearts that beat as was seen.
    times : ndarray of float, shape (n_times,)
        Shares of the cycle.
    """

    subject: str
    people: FloatArray
    times: FloatArray

    @cached_property
    def beats(self) -> Beat:
        """The beats of all of them at the times to predict."""
        return Beat.of(self.people, self.times)

    @property
    def mean(self) -> FloatArray:
        """Expected quantities, shape (n_times, n_quantities), in the order of `QUANTITIES`."""
        expected: FloatArray = self.beats.stacked().mean(axis=0)
        return expected

    def draw(self, n_draws: int, *, seed: int = 0) -> Beat:
        """Draw whole beats, of which the quantities at the times to predict belong together.

        Draws are keyed by subject, seed and draw; none is repeated before all of `people` were drawn.
        """
        key = subject_keys([self.subject])
        order = np.argsort(bits(key, _DRAWS, seed, _ORDER, np.arange(len(self.people))), kind="stable")
        return Beat.of(self.people[np.resize(order, n_draws)], self.times)
