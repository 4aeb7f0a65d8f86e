"""The law by which simulated brains age, and what it says of a visit that was not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np

from nextscan.arrays import FloatArray, IntArray
from nextscan.errors import CohortError, SettingError
from nextscan.randomness import normal, subject_keys

SIZES = ("ventricles", "left_hippocampus", "right_hippocampus", "cortex", "white_matter")
"""The state: log sizes, 0 where typical of a healthy person of 70. Of tubes the size is the cross-section, of the
cortex its thickness, of white matter its volume to first order."""
DIAGNOSES = ("CN", "MCI", "AD")
COVARIATES = ("constant", "decades past 70", "MCI", "AD")

# columns: ventricles, hippocampi, cortex, white matter
_LEVEL = {  # log size at the first visit
    "constant": (0.0, 0.0, 0.0, 0.0),
    "decades past 70": (0.25, -0.06, -0.03, -0.02),
    "MCI": (0.18, -0.12, -0.05, -0.01),
    "AD": (0.38, -0.26, -0.12, -0.03),
}
_SPREAD = (0.28, 0.11, 0.05, 0.02)
_RATE = {  # per year
    "constant": (0.034, -0.012, -0.005, -0.0022),
    "decades past 70": (0.007, -0.004, -0.002, -0.0012),
    "MCI": (0.014, -0.010, -0.0035, -0.002),
    "AD": (0.030, -0.020, -0.0080, -0.004),
}
# rows: what changes; columns: present log sizes. Who has lost more loses faster.
_COUPLING = ((0.035, -0.060, 0.0, 0.0), (-0.012, 0.050, 0.0, 0.0), (-0.006, 0.0, 0.060, 0.0), (-0.004, 0.0, 0.0, 0.04))
_INDIVIDUAL = (0.028, 0.015, 0.0070, 0.0031)  # sd of a person's own rate
_WOBBLE = (0.023, 0.013, 0.0060, 0.0027)  # sd of what a year adds at random
_LOSS = np.array([1.0, -1.0, -1.0, -1.0, -1.0])
_TWINS, _TOGETHER = 0.8, 0.4  # correlation of the hippocampi, and of losses elsewhere

_DRAWS = 0x627261696E73  # keeps draws from the law apart from all others with the same seed
_OWN, _PATH = range(2)


@dataclass(frozen=True, eq=False)
class Ageing:
    """Linear change of a state in continuous time: ds = (coupling·s + rate·covariates + u) dt + dW.

    The person's own rate u is normal and stays for life; W is Brownian. So the state after any interval is
    normal given the state before it, and its law over two intervals is that over their sum.

    Attributes
    ----------
    level : ndarray of float, shape (n_covariates, n_sizes)
        Expected state at the first visit.
    level_covariance : ndarray of float, shape (n_sizes, n_sizes)
    rate : ndarray of float, shape (n_covariates, n_sizes)
        Per year.
    coupling, individual, wobble : ndarray of float, shape (n_sizes, n_sizes)
        Effect of the present state; covariance of u; covariance of what W gains in a year.
    """

    level: FloatArray
    level_covariance: FloatArray
    rate: FloatArray
    coupling: FloatArray
    individual: FloatArray
    wobble: FloatArray

    @classmethod
    def usual(cls) -> Ageing:
        """Return the ageing of the people `simulate_brains` makes."""
        twice = [0, 1, 1, 2, 3]
        level, rate = (np.array([table[name] for name in COVARIATES])[:, twice] for table in (_LEVEL, _RATE))
        coupling = np.array(_COUPLING)[twice][:, twice]
        coupling[0, 1:3] /= 2  # one value for both hippocampi together
        coupling[1, 2] = coupling[2, 1] = 0.0
        covariances = []
        for spread in (_SPREAD, _INDIVIDUAL, _WOBBLE):
            correlation = np.full((5, 5), _TOGETHER) * np.outer(_LOSS, _LOSS)
            correlation[1, 2] = correlation[2, 1] = _TWINS
            np.fill_diagonal(correlation, 1.0)
            sd = np.array(spread)[twice]
            covariances.append(correlation * np.outer(sd, sd))
        return cls(level, covariances[0], rate, coupling, covariances[1], covariances[2])

    def over(self, gap: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return what an interval does: state' = keep·s + give·u + push·covariates + noise.

        Covariates are those at its start; age goes on in between. Closed form by the exponential of a block
        matrix (Van Loan 1978).

        Returns
        -------
        keep, give : ndarray of float, shape (n_sizes, n_sizes)
        push : ndarray of float, shape (n_sizes, n_covariates)
        noise : ndarray of float, shape (n_sizes, n_sizes)
            Covariance.
        """
        from scipy.linalg import expm

        n, m = len(self.coupling), len(self.rate)
        whole = np.zeros((2 * n + m, 2 * n + m))
        whole[:n, :n], whole[:n, n : 2 * n], whole[:n, 2 * n :] = self.coupling, np.eye(n), self.rate.T
        whole[2 * n + 1, 2 * n] = 0.1  # decades per year
        after = expm(whole * gap)
        pair = np.block([[-self.coupling, self.wobble], [np.zeros((n, n)), self.coupling.T]])
        both = expm(pair * gap)
        keep = after[:n, :n]
        noise = both[n:, n:].T @ both[:n, n:]
        return keep, after[:n, n : 2 * n], after[:n, 2 * n :], (noise + noise.T) / 2


@dataclass(frozen=True, eq=False)
class BrainLaw:
    """The people of a cohort of simulated brains: their shapes, their true states, and how they age.

    Attributes
    ----------
    seed : int
    shape : tuple of int
        Of the images.
    subjects : ndarray of str, shape (n_subjects,)
    diagnosis : ndarray of int, shape (n_subjects,)
        Position in `DIAGNOSES`.
    male : ndarray of bool, shape (n_subjects,)
    head_size : ndarray of float, shape (n_subjects,)
        Linear; 1 is typical.
    form : ndarray of float, shape (n_subjects, N_SHAPE)
        Normal numbers that make a person's shape.
    subject_of : ndarray of int, shape (n_visits,)
    visits : ndarray of str, shape (n_visits,)
    age : ndarray of float, shape (n_visits,)
        Years.
    states : ndarray of float, shape (n_visits, n_sizes)
        True log sizes, see `SIZES`.
    ageing : Ageing
    """

    seed: int
    shape: tuple[int, int, int]
    subjects: np.ndarray[tuple[int], np.dtype[np.str_]]
    diagnosis: IntArray
    male: np.ndarray[tuple[int], np.dtype[np.bool_]]
    head_size: FloatArray
    form: FloatArray
    subject_of: IntArray
    visits: np.ndarray[tuple[int], np.dtype[np.str_]]
    age: FloatArray
    states: FloatArray
    ageing: Ageing

    def subject(self, name: str) -> int:
        """Return the position of a subject, named with or without ``sub-``.

        Raises
        ------
        CohortError
            If the law does not know it.
        """
        found = np.flatnonzero(self.subjects == f"sub-{name.removeprefix('sub-')}")
        if not len(found):
            raise CohortError(f"subject {name} is not of the simulated cohort this law is of; use the cohort's own law")
        return int(found[0])

    def row(self, name: str, visit: str) -> int:
        """Return the position of a visit, named with or without ``ses-``.

        Raises
        ------
        CohortError
            If the law does not know it.
        """
        subject = self.subject(name)
        found = np.flatnonzero((self.subject_of == subject) & (self.visits == f"ses-{visit.removeprefix('ses-')}"))
        if not len(found):
            raise CohortError(
                f"subject {name}: visit {visit} is not of the simulated cohort this law is of; use the cohort's own law"
            )
        return int(found[0])

    def predict(self, subject: str, seen: Sequence[str], gap: float) -> Prediction:
        """Return the law of the state some years after the last of the visits seen.

        Parameters
        ----------
        subject : str
        seen : sequence of str
            Visits whose true states are known, in order of time; of the earlier ones the subject's own rate
            is learned.
        gap : float
            Years, not negative.

        Raises
        ------
        CohortError
            If subject or visit are unknown.
        SettingError
            If the gap is negative or no visit was seen.
        """
        if not gap >= 0 or not len(seen):
            raise SettingError(
                f"the law of simulated brains predicts forward from a visit that was seen, got a gap of {gap:g} years "
                f"and {len(seen)} visits"
            )
        rows = [self.row(subject, visit) for visit in seen]
        own, uncertainty = np.zeros(len(SIZES)), self.ageing.individual
        for before, after in pairwise(rows):
            keep, give, push, noise = self.ageing.over(self.age[after] - self.age[before])
            expected = keep @ self.states[before] + give @ own + push @ self.covariates(before)
            gain = np.linalg.solve(give @ uncertainty @ give.T + noise, give @ uncertainty).T
            own = own + gain @ (self.states[after] - expected)
            uncertainty = uncertainty - gain @ give @ uncertainty
        keep, give, push, noise = self.ageing.over(gap)
        mean = keep @ self.states[rows[-1]] + give @ own + push @ self.covariates(rows[-1])
        return Prediction(mean, give @ _root(uncertainty), _root(noise))

    def state(self) -> dict[str, Any]:
        """Return everything as arrays, numbers and lists of strings, by name."""
        whole = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "ageing"}
        whole |= {f"ageing.{field.name}": getattr(self.ageing, field.name) for field in fields(Ageing)}
        return whole | {"shape": list(self.shape), "subjects": self.subjects.tolist(), "visits": self.visits.tolist()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the law whose `state` it is."""
        ageing = Ageing(**{field.name: state[f"ageing.{field.name}"] for field in fields(Ageing)})
        own = {field.name: state[field.name] for field in fields(cls) if field.name != "ageing"}
        x, y, z = (int(n) for n in own["shape"])
        names = {name: np.array(own[name], dtype=str) for name in ("subjects", "visits")}
        return cls(**{**own, **names, "shape": (x, y, z), "ageing": ageing})

    def covariates(self, row: int) -> FloatArray:
        """Return what rates depend on at a visit, in the order of `COVARIATES`."""
        return covariates(self.age[row], int(self.diagnosis[self.subject_of[row]]))


@dataclass(frozen=True, eq=False)
class Prediction:
    """A normal law of a state: the part of the person's own rate, which lasts, and the part of chance.

    Attributes
    ----------
    mean : ndarray of float, shape (n_sizes,)
    lasting, passing : ndarray of float, shape (n_sizes, n_sizes)
        Roots of the covariances of the two parts.
    """

    mean: FloatArray
    lasting: FloatArray
    passing: FloatArray

    def cubature(self) -> FloatArray:
        """Return states whose average of a function is nearly its expected value, shape (2 n_sizes, n_sizes).

        Exact for polynomials up to the third degree (Arasaratnam & Haykin 2009).
        """
        steps = np.sqrt(len(self.mean)) * _root(self.covariance).T
        states: FloatArray = self.mean + np.concatenate([steps, -steps])
        return states

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the state, shape (n_sizes, n_sizes)."""
        total: FloatArray = self.lasting @ self.lasting.T + self.passing @ self.passing.T
        return total

    def draw(self, subject: str, n_draws: int, *, seed: int = 0) -> FloatArray:
        """Draw states, shape (n_draws, n_sizes).

        Draws are keyed by subject, seed and draw, so that those for several times make smooth courses, each
        time with its own exact law.
        """
        keys = np.repeat(subject_keys([subject]), n_draws)
        number = np.arange(n_draws)
        own, path = (normal(keys, _DRAWS, seed, part, number, size=len(self.mean)) for part in (_OWN, _PATH))
        drawn: FloatArray = self.mean + own @ self.lasting.T + path @ self.passing.T
        return drawn


def covariates(age: float, diagnosis: int) -> FloatArray:
    """Return what sizes and rates depend on, in the order of `COVARIATES`."""
    return np.array([1.0, (age - 70) / 10, float(diagnosis == 1), float(diagnosis == 2)])


def _root(covariance: FloatArray) -> FloatArray:
    """Return a square root of a covariance that may have lost rank, as at a gap of 0."""
    values, vectors = np.linalg.eigh(covariance)
    root: FloatArray = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return root
