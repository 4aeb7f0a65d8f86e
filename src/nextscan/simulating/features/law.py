"""The law a simulated cohort is drawn from, and what it says of visits that were not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort.cohort import Cohort
from nextscan.cohort.task import Targets
from nextscan.errors import CohortError, SettingError, some
from nextscan.randomness import bits, normal, subject_keys, uniform
from nextscan.simulating.features.labels import labels_at_first_visit
from nextscan.simulating.features.posterior import StatePosterior, condition

_BLOCK = 256  # subjects conditioned at once; only memory depends on it
_FACTORS, _SPECIFIC, _NOISE, _TAIL, _GAP = range(5)
_ORACLE = 0x6F7261636C65  # keeps these draws apart from all others with the same seed


@dataclass(frozen=True, eq=False)
class Law:
    """A world: how labels, hidden state, years and chance make features.

    In units of ``scale`` around ``centre``, for subject i with standardised labels y, stable factors f
    and slope factors g (standard normal), specific parts s and `years` since the first visit:

    - first visit: ``level·y + loading·f + s + noise``;
    - later visits: the same, plus ``years (drift + drift_effect·y + slope·g + pathways(f, y))``, and
      noise times ``spread(f, y)``, of which a share ``tail_share`` is ``tail_scale`` times as wide.

    ``pathways = Σ_r (Φ(gate_r) − gate_shift) payload_r pattern_r``, where the gate is linear in f and y, the
    payload in f; ``spread`` lies between its two ends by ``Φ`` of a function linear in f and y. Both are
    absent in a linear world. As they begin after the first visit, the state given first visits is
    Gaussian in every world.

    Attributes
    ----------
    world : str
    seed : int
    feature_names : tuple of str
    standard : dict of label to (centre, scale)
        The labels of the equations; a column is (label - centre) / scale.
    gap_mean, gap_sd : float
        Of the gamma law of the time between visits, years.
    centre, scale : ndarray of float, shape (n_features,)
    level, drift_effect : ndarray of float, shape (n_labels, n_features)
    drift : ndarray of float, shape (n_features,)
    loading : ndarray of float, shape (n_stable, n_features)
    slope : ndarray of float, shape (n_slopes, n_features)
    specific_variance, noise_variance : ndarray of float, shape (n_features,)
    gate : ndarray of float, shape (n_pathways, 1 + n_stable + n_labels)
        Constant first.
    payload : ndarray of float, shape (n_pathways, 1 + n_stable)
        Constant first.
    pattern : ndarray of float, shape (n_pathways, n_features)
    gate_shift : float
    spread : ndarray of float, shape (1 + n_stable + n_labels,)
    spread_ends : ndarray of float, shape (2,)
    tail_share, tail_scale : float
    """

    world: str
    seed: int
    feature_names: tuple[str, ...]
    standard: dict[str, tuple[float, float]]
    gap_mean: float
    gap_sd: float
    centre: FloatArray
    scale: FloatArray
    level: FloatArray
    drift_effect: FloatArray
    drift: FloatArray
    loading: FloatArray
    slope: FloatArray
    specific_variance: FloatArray
    noise_variance: FloatArray
    gate: FloatArray
    payload: FloatArray
    pattern: FloatArray
    gate_shift: float
    spread: FloatArray
    spread_ends: FloatArray
    tail_share: float
    tail_scale: float

    @property
    def is_linear(self) -> bool:
        """Tell whether later visits, too, are linear and Gaussian in the state."""
        return not len(self.pattern) and bool((self.spread_ends == 1).all()) and self.tail_share == 0

    # -- the equations, in units of scale ---------------------------------------------------------------

    def stable(self, labels: FloatArray, factors: FloatArray) -> FloatArray:
        """Return the expected first visit without the specific part, shape (n, n_features)."""
        value: FloatArray = labels @ self.level + factors @ self.loading
        return value

    def yearly_change(self, labels: FloatArray, factors: FloatArray, slopes: FloatArray) -> FloatArray:
        """Return the change per year given the state, shape (n, n_features)."""
        gates = ndtr(_affine(np.concatenate([factors, labels], axis=1), self.gate)) - self.gate_shift
        pathways = gates * _affine(factors, self.payload)
        change: FloatArray = self.drift + labels @ self.drift_effect + slopes @ self.slope + pathways @ self.pattern
        return change

    def noise_scale(self, labels: FloatArray, factors: FloatArray, uniform: FloatArray) -> FloatArray:
        """Return by how much a later visit is noisier than a first one, shape (n, 1)."""
        low, high = self.spread_ends
        share = ndtr(_affine(np.concatenate([factors, labels], axis=1), self.spread[None]))
        tail = np.where(uniform < self.tail_share, self.tail_scale, 1.0)
        scale: FloatArray = (low + (high - low) * share) * tail[:, None]
        return scale

    def gaps(self, uniform: FloatArray) -> FloatArray:
        """Return times between visits, in years, from uniform numbers of the same shape."""
        shape = (self.gap_mean / self.gap_sd) ** 2
        years: FloatArray = gammaincinv(shape, uniform) * self.gap_mean / shape
        return years

    # -- what it says of unseen visits ------------------------------------------------------------------

    def mean(self, cohort: Cohort, wanted: Targets) -> FloatArray:
        """Return the expected value of each target given the observed visits, labels and years.

        Where a target's time is unknown, the mean over the law of the time between visits.

        Returns
        -------
        ndarray of float, shape (n_targets, n_features)
            Native units.

        Raises
        ------
        CohortError
            If a label the law needs is missing, or the time of a visit after the first.
        SettingError
            If the world is not linear and more than the first visit was seen.
        """
        result = np.empty((len(wanted), len(self.feature_names)))
        for rows, subject, labels, state in self._blocks(cohort, wanted):
            years = self._years(cohort, wanted, rows, self.gap_mean)
            n_stable = len(self.loading)
            factors, slopes = state.mean[:, :n_stable], state.mean[:, n_stable:]
            spread = state.covariance[:, :n_stable, :n_stable]
            # E[Φ(a) b] of jointly normal a and b, by Stein's lemma
            of_gate, of_payload = self.gate[:, 1 : 1 + n_stable], self.payload[:, 1:]
            wide = np.sqrt(1 + np.einsum("ri,nij,rj->nr", of_gate, spread, of_gate))
            shared = np.einsum("ri,nij,rj->nr", of_gate, spread, of_payload)
            at = _affine(np.concatenate([factors, labels], axis=1), self.gate) / wide
            density = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
            pathways = (ndtr(at) - self.gate_shift) * _affine(factors, self.payload) + shared / wide * density
            change = self.drift + labels @ self.drift_effect + slopes @ self.slope + pathways @ self.pattern
            value = self.stable(labels, factors) + self._specific(state, state.mean)
            result[rows] = self.centre + self.scale * (value[subject] + years[:, None] * change[subject])
        return result

    def draw(self, cohort: Cohort, wanted: Targets, n_draws: int, *, seed: int = 0) -> NDArray[np.float32]:
        """Draw targets from their law given the observed visits, labels and years.

        Draws of several targets of a subject share the state, so that a draw is a trajectory. Noise is
        keyed by subject, visit, seed and draw: neither order nor company matter.

        Returns
        -------
        ndarray of float32, shape (n_draws, n_targets, n_features)
            Native units.

        Raises
        ------
        CohortError, SettingError
            As `mean`.
        """
        result = np.empty((n_draws, len(wanted), len(self.feature_names)), np.float32)
        n_stable = len(self.loading)
        for rows, subject, labels, state in self._blocks(cohort, wanted):
            keys = subject_keys(wanted.subject[rows])
            own = keys[np.unique(subject, return_index=True)[1]]
            visit = bits(keys, subject_keys(wanted.visit[rows]))
            root = np.linalg.cholesky(state.covariance)
            for draw in range(n_draws):
                at = (_ORACLE, seed, draw)
                factors = state.mean + (root @ normal(own, *at, _FACTORS, size=root.shape[1])[:, :, None])[:, :, 0]
                stable, slopes = factors[:, :n_stable], factors[:, n_stable:]
                specific = self._specific(state, factors)
                specific += np.sqrt(state.specific_variance) * normal(own, *at, _SPECIFIC, size=specific.shape[1])
                value = self.stable(labels, stable) + specific
                change = self.yearly_change(labels, stable, slopes)
                gap = self.gaps(uniform(visit, *at, _GAP))
                years = self._years(cohort, wanted, rows, gap)
                noise = self.noise_scale(labels[subject], stable[subject], uniform(visit, *at, _TAIL))
                noise = noise * np.sqrt(self.noise_variance) * normal(visit, *at, _NOISE, size=specific.shape[1])
                value = value[subject] + years[:, None] * change[subject] + noise
                result[draw, rows] = self.centre + self.scale * value
        return result

    def covariance(self, cohort: Cohort, wanted: Targets) -> FloatArray:
        """Return the covariance of each target given what was seen, in a linear world.

        Returns
        -------
        ndarray of float, shape (n_targets, n_features, n_features)
            Native units squared; large, so ask for few targets.

        Raises
        ------
        SettingError
            If the world is not linear or a target's time is unknown.
        """
        if not self.is_linear or np.isnan(wanted.years).any():
            raise SettingError(f"the covariance is known in a linear world at known times, not in {self.world} here")
        result = np.empty((len(wanted), len(self.feature_names), len(self.feature_names)))
        for rows, subject, _, state in self._blocks(cohort, wanted):
            years = wanted.years[rows][:, None, None]
            keep = np.concatenate(
                [
                    self.loading * (1 - state.by_stable[subject])[:, None],
                    self.slope * (years - state.by_slope[subject][:, None]),
                ],
                axis=1,
            )
            covariance = np.broadcast_to(state.covariance, (len(state.mean), *state.covariance.shape[1:]))[subject]
            own = state.specific_variance[subject] + self.noise_variance
            result[rows] = keep.swapaxes(1, 2) @ covariance @ keep + own[:, None] * np.eye(own.shape[1])
        return result * self.scale[:, None] * self.scale

    def _specific(self, state: StatePosterior, factors: FloatArray) -> FloatArray:
        n_stable = len(self.loading)
        explained = state.by_stable * (factors[:, :n_stable] @ self.loading)
        return state.specific_mean - explained - state.by_slope * (factors[:, n_stable:] @ self.slope)

    def _years(self, cohort: Cohort, wanted: Targets, rows: IntArray, gap: FloatArray | float) -> FloatArray:
        """Return the targets' years, with a gap after the context visit where they are unknown."""
        from_context = np.nan_to_num(cohort.years[wanted.context[rows]], nan=0.0) + gap
        return np.where(np.isnan(wanted.years[rows]), from_context, wanted.years[rows])

    def _blocks(
        self, cohort: Cohort, wanted: Targets
    ) -> Iterator[tuple[IntArray, IntArray, FloatArray, StatePosterior]]:
        """Yield, block by block, targets, their subjects within the block, labels and states of these."""
        if cohort.feature_names != self.feature_names:
            raise SettingError(f"{cohort.source or cohort.name}: features differ from those of the law; use Law.select")
        seen = ~cohort.is_request
        of = cohort.subject_of[wanted.context]
        subjects = np.unique(of)
        for start in range(0, len(subjects), _BLOCK):
            block = subjects[start : start + _BLOCK]
            visits = np.flatnonzero(seen & np.isin(cohort.subject_of, block))
            starts = np.flatnonzero(np.diff(cohort.subject_of[visits], prepend=-1))
            years = self._observed_years(cohort, visits, starts)
            labels = labels_at_first_visit(cohort, visits[starts], self.standard)
            position = np.searchsorted(block, cohort.subject_of[visits])
            drift = self.drift + labels @ self.drift_effect
            expected = (labels @ self.level)[position] + years[:, None] * drift[position]
            residual = (cohort.features[visits] - self.centre) / self.scale - expected
            state = condition(
                residual,
                years,
                starts,
                loading=self.loading,
                slope=self.slope,
                specific_variance=self.specific_variance,
                noise_variance=self.noise_variance,
            )
            rows = np.flatnonzero(np.isin(of, block))
            yield rows, np.searchsorted(block, of[rows]), labels, state

    def _observed_years(self, cohort: Cohort, visits: IntArray, starts: IntArray) -> FloatArray:
        """Return the years of observed visits; a subject's only visit without a time counts as the first."""
        years = cohort.years[visits].copy()
        alone = np.diff(starts, append=len(visits)) == 1
        years[starts[alone & np.isnan(years[starts])]] = 0.0
        where = cohort.source or cohort.name
        for row in visits[np.isnan(years)][:1]:
            name = cohort.subjects[cohort.subject_of[row]]
            raise CohortError(
                f"{where}: subject {name}, visit {cohort.visits[row]}: years is missing; the law needs the time of "
                "every visit it sees"
            )
        for row in visits[years != 0][:1] if not self.is_linear else []:
            name = cohort.subjects[cohort.subject_of[row]]
            raise SettingError(
                f"{where}: subject {name} was seen {years[visits == row][0]:g} years after the first visit; the law "
                f"of a {self.world} world is exact from first visits only: hide the later ones"
            )
        return years

    # -- keeping it -------------------------------------------------------------------------------------

    def select(self, names: Sequence[str]) -> Self:
        """Return the law of some of the features, in this order: just as exact.

        Raises
        ------
        SettingError
            If the law has no such feature.
        """
        position = {name: i for i, name in enumerate(self.feature_names)}
        unknown = [name for name in names if name not in position]
        if unknown:
            raise SettingError(f"the law of this {self.world} world has no feature {some(unknown)}")
        columns = [position[name] for name in names]
        per_feature = {
            "centre", "scale", "level", "drift_effect", "drift", "loading", "slope", "specific_variance",
            "noise_variance", "pattern",
        }  # fmt: skip
        parts: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[..., columns]) for name in per_feature}
        return replace(self, feature_names=tuple(names), **parts)

    def state(self) -> dict[str, Any]:
        """Return the law as arrays, numbers and names."""
        return {
            **{part.name: getattr(self, part.name) for part in fields(self)},
            "feature_names": list(self.feature_names),
            "standard": {name: list(pair) for name, pair in self.standard.items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make the law that `state` came from."""
        standard = {name: (float(centre), float(scale)) for name, (centre, scale) in state["standard"].items()}
        return cls(**{**state, "feature_names": tuple(state["feature_names"]), "standard": standard})


def _affine(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return constant + values · weights with the constant first in `weights`, shape (n, len(weights))."""
    result: FloatArray = weights[:, 0] + values @ weights[:, 1:].T
    return result
