"""A multivariate mixed-effects factor model of visits: its likelihood and its predictive law, in closed form.

For subject i with design row z (1, labels) at `years` t since the first visit, feature j:

    x_tj = z·level_j + t (z·drift_j) + f·loading_j + t (g·slope_j) + u_j + e_tj

with stable factors f ~ N(0, I), slope factors g ~ N(coupling f, I), so that where people are tells how fast they
change, a specific stable part u_j ~ N(0, specific_j) and
measurement noise e_tj ~ N(0, noise_j) at each visit (Laird & Ware 1982, Biometrics 38(4), with factors). Given
f and g, the visits of one feature have covariance specific·11ᵀ + noise·I, whose inverse is known; factors and
slopes enter by the Woodbury identity. So a subject matters only through counts and sums over its observed
visits, whatever their number, times and gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextscan.arrays import FloatArray
from nextscan.imputers.mixed_factor.predictive import Predictive
from nextscan.imputers.mixed_factor.visit_sums import Sums


@dataclass(frozen=True, eq=False)
class Root:
    """Block Cholesky factor of precisions of stable factors and slopes.

    It is ``[[first, 0], [coupled + time · across, second]]``.

    Attributes
    ----------
    first : Tensor, shape (n or 1, k, k)
    across, coupled : Tensor, shape (n or 1, r, k)
    second : Tensor, shape (n or 1, r, r)
    time : Tensor, shape (n or 1, 1)
        Sum of years, where subjects differ in it only; else 1.
    """

    first: Tensor
    across: Tensor
    coupled: Tensor
    second: Tensor
    time: Tensor

    def log_determinant(self) -> Tensor:
        """Return the mean log determinant of the precisions, shape ()."""
        first, second = (part.diagonal(dim1=-2, dim2=-1).log().sum() / len(part) for part in (self.first, self.second))
        return 2 * (first + second)

    def forward(self, score: Tensor) -> Tensor:
        """Solve root · y = score for each row, shape (n, k + r)."""
        stable, slope = score.split([self.first.shape[1], self.second.shape[1]], dim=1)
        stable = _solve(self.first, stable, upper=False)
        known = _times(stable, self.coupled.mT) + self.time * _times(stable, self.across.mT)
        slope = _solve(self.second, slope - known, upper=False)
        return torch.cat([stable, slope], dim=1)

    def forward_columns(self, load: Tensor) -> Tensor:
        """Solve root · y = load for each row's matrix, shape (n, k + r, p)."""
        stable, slope = load.split([self.first.shape[1], self.second.shape[1]], dim=1)
        stable = torch.linalg.solve_triangular(self.first, stable, upper=False)
        slope = slope - (self.coupled + self.time[..., None] * self.across) @ stable
        return torch.cat([stable, torch.linalg.solve_triangular(self.second, slope, upper=False)], dim=1)

    def backward(self, whitened: Tensor) -> Tensor:
        """Solve rootᵀ · y = whitened for each row, shape (n, k + r)."""
        stable, slope = whitened.split([self.first.shape[1], self.second.shape[1]], dim=1)
        slope = _solve(self.second.mT, slope, upper=True)
        known = _times(slope, self.coupled) + _times(self.time * slope, self.across)
        stable = _solve(self.first.mT, stable - known, upper=True)
        return torch.cat([stable, slope], dim=1)


@dataclass(frozen=True, eq=False)
class MixedEffects:
    """The parameters, in units of the spread of features.

    Attributes
    ----------
    level, drift : Tensor, shape (q, p)
    loading : Tensor, shape (k, p)
    slope : Tensor, shape (r, p)
    coupling : Tensor, shape (r, k)
        Expected slope factors are ``coupling`` times the stable factors.
    specific, noise : Tensor, shape (p,)
        Variances.
    """

    level: Tensor
    drift: Tensor
    loading: Tensor
    slope: Tensor
    coupling: Tensor
    specific: Tensor
    noise: Tensor

    @property
    def rank(self) -> int:
        """Number of factors, stable and slopes."""
        return len(self.loading) + len(self.slope)

    def log_likelihood(self, part: Sums) -> Tensor:
        """Return the log likelihood of a block, without its constant, shape ()."""
        total = self.noise + part.visits * self.specific
        carried = self.specific / (self.noise * total)
        root = self.root(part)
        if part.count.shape[1] == 1:
            known = part.products
            effects = torch.cat([self.level, self.drift])
            square = known.square - (effects * (2 * known.design_value - known.design_square @ effects)).sum(dim=0)
            value = known.value_square - (effects * (2 * known.level_value - known.level_square @ effects)).sum(dim=0)
            quadratic = square / self.noise - value * carried[0]
            solved = root.forward(self._scores_of_products(part, effects, total, carried))
        else:
            around = self.residual_sums(part)
            quadratic = around.square / self.noise - around.value**2 * carried
            solved = root.forward(self.scores(part, around))
        n_rows = part.n_subjects / len(part.value)
        log_noise = ((part.visits - 1) * self.noise.log() + total.log()).sum() * len(part.value) / len(total)
        log_factor = root.log_determinant() * len(part.value)
        return -0.5 * (n_rows * (log_noise + log_factor) + quadratic.sum() - solved.square().sum())

    def residual_sums(self, part: Sums) -> Sums:
        """Return the sums of what level and drift leave."""
        level, drift = part.design @ self.level, part.design @ self.drift
        return replace(
            part,
            value=part.value - part.count * level - part.time * drift,
            time_value=part.time_value - part.time * level - part.time2 * drift,
            square=part.square
            - 2 * (level * part.value + drift * part.time_value)
            + part.count * level**2
            + 2 * part.time * level * drift
            + part.time2 * drift**2,
        )

    def scores(self, part: Sums, around: Sums) -> Tensor:
        """Return loadingᵀ C⁻¹ residuals of stable and slope factors, shape (n, k + r)."""
        total = self.noise + part.visits * self.specific
        stable = around.value / total
        slope = (around.time_value - part.time * self.specific * stable) / self.noise
        return torch.cat([stable @ self.loading.T, slope @ self.slope.T], dim=1)

    def _scores_of_products(self, part: Sums, effects: Tensor, total: Tensor, carried: Tensor) -> Tensor:
        """Return `scores` of features seen at the same visits, by products of matrices only."""
        known = part.products
        weights = torch.cat([self.loading / total, self.slope * carried])
        of_value = part.value @ weights.T - known.level @ (effects @ weights.T)
        stable, carried_slope = of_value.split([len(self.loading), len(self.slope)], dim=1)
        of_time = (self.slope / self.noise).T
        slope = part.time_value @ of_time - known.drift @ (effects @ of_time)
        return torch.cat([stable, slope - part.time * carried_slope], dim=1)

    def root(self, part: Sums) -> Root:
        """Return the block Cholesky factor of the posterior precision of the factors.

        Where a block's subjects have the same number of visits, that of the stable factors is common to
        them, and only slopes, of small rank, have a factor per subject.
        """
        k, r = len(self.loading), len(self.slope)
        total = self.noise + part.visits * self.specific
        rows = slice(0, 1) if part.shared else slice(None)
        if part.count.shape[1] == 1:
            time, time2 = part.time[rows, :, None], part.time2[rows, :, None]
            stable = (part.visits * (self.loading / total) @ self.loading.T)[None]
            cross = ((self.slope / total) @ self.loading.T)[None]
            within = (self.slope / self.noise) @ self.slope.T
            shared = (self.slope * (self.specific / (self.noise * total))) @ self.slope.T
            slopes = time2 * within - time**2 * shared
        else:
            time = torch.ones_like(part.time[rows, :1, None])
            weights = part.time2[rows] / self.noise - self.specific * part.time[rows] ** 2 / (self.noise * total)
            stable = ((part.count[rows] / total) @ _products(self.loading, self.loading)).unflatten(1, (k, k))
            cross = ((part.time[rows] / total) @ _products(self.slope, self.loading)).unflatten(1, (r, k))
            slopes = (weights @ _products(self.slope, self.slope)).unflatten(1, (r, r))
        # The prior precision is [[I + couplingᵀ coupling, -couplingᵀ], [-coupling, I]], of determinant 1.
        prior = torch.eye(k, dtype=stable.dtype) + self.coupling.mT @ self.coupling
        first = torch.linalg.cholesky(stable + prior)
        across = torch.linalg.solve_triangular(first, cross.mT, upper=False).mT
        coupled = torch.linalg.solve_triangular(first, -self.coupling.mT, upper=False).mT
        mixed = across @ coupled.mT
        within = slopes + torch.eye(r, dtype=slopes.dtype) - coupled @ coupled.mT
        within = within - time * (mixed + mixed.mT) - time**2 * (across @ across.mT)
        return Root(first, across, coupled, torch.linalg.cholesky(within), time[:, 0])

    def posterior(self, part: Sums) -> Posterior:
        """Condition on the observed visits of each subject; a block of any kind but compressed."""
        around, root = self.residual_sums(part), self.root(part)
        total = self.noise + part.visits * self.specific
        carried = self.specific / total
        return Posterior(
            at_start=part.design @ self.level + carried * around.value,
            per_year=part.design @ self.drift,
            root=root,
            whitened=root.forward(self.scores(part, around)),
            kept=1 - carried * part.visits,
            kept_time=carried * part.time,
            own_sd=(self.specific * self.noise / total).sqrt(),
        )

    def visit(self, known: Posterior, scores: Tensor, rows: Tensor, years: Tensor) -> Tensor:
        """Return visits without measurement noise and own deviations, shape (n_rows, p).

        Parameters
        ----------
        known : Posterior
        scores : Tensor, shape (n, k + r)
            Factors of each subject: their posterior mean, or a draw.
        rows : Tensor of int, shape (n_rows,)
            Subject of each visit.
        years : Tensor, shape (n_rows,)
        """
        t = years[:, None]
        stable, slope = scores.split([len(self.loading), len(self.slope)], dim=1)
        fixed = known.at_start + known.kept * (stable @ self.loading) - known.kept_time * (slope @ self.slope)
        return fixed[rows] + t * (known.per_year + slope @ self.slope)[rows]

    def predictive(self, known: Posterior, rows: Tensor, years: Tensor) -> Predictive:
        """Return the laws of visits, measurement noise included; arguments as for `visit`."""

        def of(part: Tensor) -> Tensor:
            return part.expand(len(known.whitened), *part.shape[1:])[rows]

        scores = known.root.backward(known.whitened)
        kept_time = (years[:, None] - of(known.kept_time))[:, None]
        load = torch.cat([of(known.kept)[:, None] * self.loading, kept_time * self.slope], dim=1)
        root = Root(*(of(part) for part in vars(known.root).values()))
        return Predictive(
            mean=self.visit(known, scores, rows, years),
            load=root.forward_columns(load),
            own=of(known.own_sd) ** 2 + self.noise,
        )

    def state(self) -> dict[str, FloatArray]:
        """Return the parameters as arrays."""
        return {name: value.numpy() for name, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> MixedEffects:
        """Rebuild the parameters from `state`."""
        return cls(**{name: torch.from_numpy(np.array(value, np.float64)) for name, value in state.items()})


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is known of each subject after its observed visits; see `MixedEffects.posterior`.

    Attributes
    ----------
    at_start, per_year : Tensor, shape (n, p)
        A later visit is expected at ``at_start + years · per_year``, plus the load of the factors at that time.
    root : Root
        Of the factors' posterior precision.
    whitened : Tensor, shape (n, k + r)
        ``root.backward(whitened)`` is their posterior mean; with standard normal noise added, a draw.
    kept, kept_time : Tensor, shape (n or 1, p)
        The load of stable factors is ``kept · loading``, of slope factors ``(years - kept_time) · slope``.
    own_sd : Tensor, shape (n or 1, p)
        Standard deviation of the specific part, given the factors.
    """

    at_start: Tensor
    per_year: Tensor
    root: Root
    whitened: Tensor
    kept: Tensor
    kept_time: Tensor
    own_sd: Tensor

    @property
    def n_scores(self) -> int:
        """Number of factors, stable and slopes."""
        return self.whitened.shape[1]


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of every row of a with every row of b, shape (p, len(a) · len(b))."""
    return (a[:, None] * b[None]).flatten(0, 1).T


def _times(rows: Tensor, matrix: Tensor) -> Tensor:
    """Multiply each row, shape (n, a), by its matrix, shape (n or 1, a, b)."""
    return rows @ matrix[0] if len(matrix) == 1 else (rows[:, None] @ matrix)[:, 0]


def _solve(triangle: Tensor, rows: Tensor, *, upper: bool) -> Tensor:
    """Solve a triangular system per row, shape (n, w); one triangle may serve all."""
    if len(triangle) == 1:
        return torch.linalg.solve_triangular(triangle[0], rows.T, upper=upper).T
    return torch.linalg.solve_triangular(triangle, rows[..., None], upper=upper)[..., 0]
