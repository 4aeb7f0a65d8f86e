"""Fit the mixed-effects factor model: start from moments, then maximum a posteriori by L-BFGS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nextscan.arrays import FloatArray
from nextscan.imputers.mixed_factor.effects import MixedEffects
from nextscan.imputers.mixed_factor.visit_sums import Sums

_FLOOR = 1e-4  # of a feature's variance: what specific part and noise keep at least


@dataclass(frozen=True, eq=False)
class Prior:
    """Normal priors that matter where pairs are few; learned from moments of the pairs.

    Attributes
    ----------
    drift : Tensor, shape (q, p)
        Centre of the drift: its mean over features in the constant's row, else 0.
    drift_sd : Tensor, shape (q, 1)
    log_noise : float
        Centre of the log noise variances.
    log_noise_sd : float
    """

    drift: Tensor
    drift_sd: Tensor
    log_noise: float
    log_noise_sd: float

    def penalty(self, model: MixedEffects) -> Tensor:
        """Return minus the log density, without its constant."""
        drift = (model.drift - self.drift) / self.drift_sd
        noise = (model.noise.log() - self.log_noise) / self.log_noise_sd
        # Loadings are in units of the spread of features: standard normal is vague. Of a slope factor's
        # variance, half is expected to come from the stable factors together.
        return 0.5 * (
            drift.square().sum()
            + noise.square().sum()
            + model.loading.square().sum()
            + model.slope.square().sum()
            + model.coupling.square().sum() * len(model.loading)
            + model.level.square().sum() / 100
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """What pairs say before anything is fitted.

    Attributes
    ----------
    step : ndarray, shape (n_pairs, p)
        Follow-up less context visit, of consecutive visits; NaN where one is missing.
    change : ndarray, shape (n, p)
        Last less first visit of each paired subject; NaN where one is missing.
    gap : ndarray, shape (n,)
        Years between these.
    design : ndarray, shape (n, q)
        The constant first.
    """

    step: FloatArray

    change: FloatArray
    gap: FloatArray
    design: FloatArray

    def noise(self) -> FloatArray:
        """Return half the variance of each feature's steps; of features with fewer than two, that of the others."""
        enough = (~np.isnan(self.step)).sum(axis=0) >= 2
        noise = np.full(self.step.shape[1], 0.5)
        noise[enough] = np.maximum(np.nanvar(self.step[:, enough], axis=0, ddof=1) / 2, _FLOOR)
        noise[~enough] = np.median(noise[enough]) if enough.any() else 0.5
        return noise

    def prior(self) -> Prior:
        """Return priors whose spread is what scatters beyond sampling error."""
        from scipy.special import polygamma

        noise, n = self.noise(), len(self.step)
        log_noise = np.log(noise)
        by_chance = float(polygamma(1, max(n - 1, 1) / 2))
        scatter = max(float(log_noise.var(ddof=1)) - by_chance, 0.05**2) if len(noise) > 1 else 1.0
        predictors = self.gap[:, None] * self.design
        # One column at a time, as the columns are nearly uncorrelated: this is a prior, not a fit.
        square = (predictors**2).sum(axis=0) + 1e-12
        filled = np.nan_to_num(self.change)
        mean = (predictors[:, 0] @ filled / square[0]).mean()
        slopes = predictors.T @ (filled - mean * predictors[:, :1]) / square[:, None]
        beyond = (slopes**2).mean(axis=1) - (2 * noise).mean() / square
        beyond[0] += mean**2 / len(noise)  # few features do not tell their mean
        spread = np.sqrt(np.maximum(beyond, 1e-3 * (2 * noise).mean() / square))
        centre = np.zeros_like(slopes)
        centre[0] = mean
        return Prior(
            torch.from_numpy(centre),
            torch.from_numpy(spread[:, None]),
            float(log_noise.mean()),
            float(np.sqrt(scatter)),
        )

    def start(
        self, prior: Prior, covariance: FloatArray, level: FloatArray, n_factors: int, n_slopes: int
    ) -> MixedEffects:
        """Return starting values: principal factors of what is not noise, slopes from the change.

        Parameters
        ----------
        covariance : ndarray, shape (p, p)
            Of first visits given labels.
        level : ndarray, shape (q, p)
        """
        noise = np.minimum(self.noise(), 0.9 * covariance.diagonal())
        change = np.nan_to_num(self.change) / np.maximum(self.gap, 0.1)[:, None]
        change = change - change.mean(axis=0)
        slopes = change.T @ change / len(change) - 2 * np.diag(noise) / np.mean(np.maximum(self.gap, 0.1) ** 2)
        loading = _principal(covariance - np.diag(noise), n_factors)
        left = covariance.diagonal() - noise - (loading**2).sum(axis=0)
        return MixedEffects(
            level=torch.from_numpy(level),
            drift=prior.drift,
            loading=torch.from_numpy(loading),
            slope=torch.from_numpy(0.5 * _principal(slopes, n_slopes)),
            coupling=torch.zeros(n_slopes, n_factors, dtype=torch.float64),
            specific=torch.from_numpy(np.maximum(left, 0.02 * covariance.diagonal())),
            noise=torch.from_numpy(noise),
        )


def _principal(matrix: FloatArray, rank: int) -> FloatArray:
    """Return the leading eigenvectors, times the roots of their eigenvalues, shape (rank, p)."""
    values, vectors = np.linalg.eigh(matrix)
    chosen = np.argsort(values)[::-1][:rank]
    loading: FloatArray = (vectors[:, chosen] * np.sqrt(np.maximum(values[chosen], 1e-3))).T
    return np.ascontiguousarray(loading)


def maximise(start: MixedEffects, data: Sequence[Sums], prior: Prior, *, iterations: int = 150) -> MixedEffects:
    """Return the parameters that maximise the posterior density, found by L-BFGS from `start`.

    Cost of one evaluation: about 6 · rows · p · (k + r) operations, rows as left by `compressed`.
    """
    from scipy.optimize import minimize

    free = [
        *(getattr(start, name) for name in ("level", "drift", "loading", "slope", "coupling")),
        start.specific.clamp(min=_FLOOR).log(),
        start.noise.clamp(min=_FLOOR).log(),
    ]
    shapes = [part.shape for part in free]
    sizes = [part.numel() for part in free]
    n_subjects = sum(part.n_subjects for part in data)

    def model_at(flat: Tensor) -> MixedEffects:
        level, drift, loading, slope, coupling, specific, noise = (
            part.reshape(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)
        )
        variances = specific.exp() + _FLOOR, noise.exp() + _FLOOR
        return MixedEffects(level, drift, loading, slope, coupling, *variances)

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        flat = torch.from_numpy(x).requires_grad_()
        model = model_at(flat)
        likelihood = torch.stack([model.log_likelihood(part) for part in data]).sum()
        value = (prior.penalty(model) - likelihood) / n_subjects
        (gradient,) = torch.autograd.grad(value, flat)
        return float(value.detach()), gradient.numpy()

    found = minimize(
        loss,
        torch.cat([part.flatten() for part in free]).numpy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxcor": 15, "ftol": 1e-9, "gtol": 1e-7},
    )
    with torch.no_grad():
        return model_at(torch.from_numpy(found.x))
