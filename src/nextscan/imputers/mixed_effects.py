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

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatArray = NDArray[np.float64]
_BLOCK = 4096  # subjects with gaps at a time: each has a precision matrix of its own
_FEW_VISITS, _FEW_SUBJECTS = 3, 64  # above that number of visits, fewer subjects are no group of their own


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over observed visits of subjects whose likelihood is computed together.

    Attributes
    ----------
    design : Tensor, shape (n, q)
    count, time, time2 : Tensor, shape (n, p), or (n, 1) where all features were seen at the same visits
        Visits, sum of their years, sum of squared years.
    value, time_value, square : Tensor, shape (n, p)
        Sums of x, of years times x, of x².
    n_subjects : int
        How many subjects the rows stand for: `compressed` rows are fewer.
    """

    design: Tensor
    count: Tensor
    time: Tensor
    time2: Tensor
    value: Tensor
    time_value: Tensor
    square: Tensor
    n_subjects: int

    @property
    def shared(self) -> bool:
        """Whether all subjects have the same visits at the same times, hence the same precision."""
        whole = self.count.shape[1] == 1
        return whole and all(bool((part == part[:1]).all()) for part in (self.count, self.time, self.time2))

    @property
    def visits(self) -> Tensor:
        """`count`, in a single row where features were seen at the same visits: their number is a group's own."""
        return self.count[:1] if self.count.shape[1] == 1 else self.count

    def select(self, rows: Tensor) -> Sums:
        """Return the sums of some subjects."""
        parts = {part.name: getattr(self, part.name)[rows] for part in fields(self) if part.name != "n_subjects"}
        return Sums(**parts, n_subjects=len(rows))

    @cached_property
    def products(self) -> Products:
        """Cross products over subjects, of features seen at the same visits."""
        level = torch.cat([self.count * self.design, self.time * self.design], dim=1)
        drift = torch.cat([self.time * self.design, self.time2 * self.design], dim=1)
        return Products(
            level=level,
            drift=drift,
            square=self.square.sum(dim=0),
            value_square=self.value.square().sum(dim=0),
            design_square=torch.cat([self.design.T @ level, self.design.T @ drift]),
            level_square=level.T @ level,
            design_value=torch.cat([self.design.T @ self.value, self.design.T @ self.time_value]),
            level_value=level.T @ self.value,
        )


@dataclass(frozen=True, eq=False)
class Products:
    """Cross products with which a likelihood needs no array of subjects by features of its own.

    With effects Θ = (level, drift) stacked, shape (2 q, p), the sums of what they leave are
    ``value - level @ Θ`` and ``time_value - drift @ Θ``.

    Attributes
    ----------
    level, drift : Tensor, shape (n, 2 q)
    square, value_square : Tensor, shape (p,)
        Σ square and Σ value² over subjects.
    design_square, level_square : Tensor, shape (2 q, 2 q)
        Of the squares of fitted values: summed over visits, and of sums over visits.
    design_value, level_value : Tensor, shape (2 q, p)
        The same with the data.
    """

    level: Tensor
    drift: Tensor
    square: Tensor
    value_square: Tensor
    design_square: Tensor
    level_square: Tensor
    design_value: Tensor
    level_value: Tensor


def sums(values: FloatArray, years: FloatArray, subject_of: NDArray[np.intp], design: FloatArray) -> Sums:
    """Sum over the visits of each subject.

    Parameters
    ----------
    values : ndarray, shape (n_visits, p)
        NaN where missing.
    years : ndarray, shape (n_visits,)
    subject_of : ndarray of int, shape (n_visits,)
        Position of each visit's subject in `design`: never decreasing, every subject at least once.
    design : ndarray, shape (n, q)
    """
    seen = ~np.isnan(values)
    filled = np.where(seen, values, 0.0)
    t = years[:, None]
    starts = np.flatnonzero(np.diff(subject_of, prepend=-1))

    def add(part: FloatArray) -> Tensor:
        return torch.from_numpy(np.add.reduceat(part, starts, axis=0))

    weights = seen.astype(np.float64)
    return Sums(
        design=torch.from_numpy(design),
        count=add(weights),
        time=add(weights * t),
        time2=add(weights * t**2),
        value=add(filled),
        time_value=add(filled * t),
        square=add(filled**2),
        n_subjects=len(design),
    )


def groups(whole: Sums) -> Iterator[tuple[Tensor, Sums]]:
    """Split subjects by what their precision costs: (rows, sums) by number of visits, then those with gaps.

    Numbers of visits that few subjects have go with the gaps: many small groups take longer.
    """
    several = whole.count.shape[1] > 1  # a single feature has no gaps
    uniform = torch.ones(len(whole.count), dtype=torch.bool)
    for weights in (whole.count, whole.time, whole.time2):
        uniform &= (weights == weights[:, :1]).all(dim=1)
    for count in whole.count[uniform, 0].unique().tolist():
        alike = uniform & (whole.count[:, 0] == count)
        if several and count > _FEW_VISITS and alike.sum() < _FEW_SUBJECTS:
            uniform &= ~alike
            continue
        rows = torch.nonzero(alike).flatten()
        part = whole.select(rows)
        yield rows, replace(part, count=part.count[:, :1], time=part.time[:, :1], time2=part.time2[:, :1])
    gappy = torch.nonzero(~uniform).flatten()
    for rows in gappy.split(_BLOCK) if len(gappy) else ():
        yield rows, whole.select(rows)


def compressed(part: Sums) -> Sums:
    """Replace many subjects with one visit at time 0 by at most p + q rows with the same cross products."""
    joint = torch.cat([part.value, part.design], dim=1)
    if not part.shared or part.count[0, 0] != 1 or part.time[0, 0] != 0 or len(joint) <= joint.shape[1]:
        return part
    value, design = torch.linalg.qr(joint, mode="r").R.split([part.value.shape[1], part.design.shape[1]], dim=1)
    few = part.select(torch.arange(len(value)))
    return replace(
        few,
        design=design,
        value=value,
        time_value=torch.zeros_like(value),
        square=value**2,
        n_subjects=part.n_subjects,
    )


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
        if part.count.shape[1] == 1:
            rows = slice(0, 1) if part.shared else slice(None)
            time, time2 = part.time[rows, :, None], part.time2[rows, :, None]
            stable = (part.visits * (self.loading / total) @ self.loading.T)[None]
            cross = ((self.slope / total) @ self.loading.T)[None]
            within = (self.slope / self.noise) @ self.slope.T
            shared = (self.slope * (self.specific / (self.noise * total))) @ self.slope.T
            slopes = time2 * within - time**2 * shared
        else:
            time = torch.ones_like(part.time[:, :1, None])
            weights = part.time2 / self.noise - self.specific * part.time**2 / (self.noise * total)
            stable = ((part.count / total) @ _products(self.loading, self.loading)).unflatten(1, (k, k))
            cross = ((part.time / total) @ _products(self.slope, self.loading)).unflatten(1, (r, k))
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
