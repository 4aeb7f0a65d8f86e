"""Gaussian data, for which all of diffusion is known in closed form, and the paths to try it on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nextscan.diffusion import (
    ContinuousPath,
    Denoiser,
    Path,
    RectifiedFlow,
    Sampler,
    linear_betas,
    sample,
    zero_terminal_snr,
)

PATHS: dict[str, Path] = {
    "paper": linear_betas(),
    "zero terminal": zero_terminal_snr(linear_betas()),
    "cosine": ContinuousPath(log_snr_max=math.inf, log_snr_min=-math.inf),
    "cosine, limited": ContinuousPath(),
    "linear log-SNR": ContinuousPath("linear", log_snr_max=12, log_snr_min=-12),
    "flow": RectifiedFlow(),
}


@dataclass(frozen=True, eq=False)
class GaussianData:
    """``x0 ~ N(mean, covariance)``; the mean (..., d) may differ between examples."""

    mean: Tensor
    covariance: Tensor

    @property
    def identity(self) -> Tensor:
        return torch.eye(len(self.covariance), dtype=self.covariance.dtype)

    def marginal(self, a: float, s: float) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of ``a x0 + s noise``."""
        return a * self.mean, a**2 * self.covariance + s**2 * self.identity

    def denoiser(self, path: Path) -> Denoiser:
        """Return the exact E[x0 | x]: linear regression of x0 on x."""

        def denoise(x: Tensor, level: Tensor) -> Tensor:
            a, s = (float(value) for value in path.signal_noise(level))
            mean, covariance = self.marginal(a, s)
            return self.mean + (x - mean) @ torch.linalg.solve(covariance, a * self.covariance)

        return denoise

    def end_law(self, path: Path, sampler: Sampler, levels: Tensor, start: tuple[Tensor, Tensor]):
        """Return the exact mean and covariance of what a sampler makes of a Gaussian start.

        Every sampler is affine in its start and in the noise of each step, so one run on their basis
        vectors, side by side as a batch, shows the whole distribution. Needs one mean for all.
        """
        mean, covariance = start
        d, n_steps = len(mean), len(levels) - 1
        basis = mean.repeat(1 + d * n_steps, 1)
        basis[1 : 1 + d] += torch.linalg.cholesky(covariance).T

        def noise(step: int) -> Tensor:
            unit = torch.zeros_like(basis)
            unit[1 + d * (step + 1) : 1 + d * (step + 2)] = self.identity
            return unit

        end = sample(self.denoiser(path), path, sampler, start=basis, levels=levels, noise=noise)
        response = end[1:] - end[0]
        return end[0], response.T @ response

    def error(self, law: tuple[Tensor, Tensor]) -> float:
        """Return the distance of a mean and covariance from the data's, relative to the data's size."""
        wrong = (law[0] - self.mean).square().sum() + (law[1] - self.covariance).square().sum()
        return float((wrong / (self.mean.square().sum() + self.covariance.square().sum())).sqrt())


def gaussian_data(n_features: int = 3, prefix: tuple[int, ...] = (), seed: int = 0) -> GaussianData:
    """Make up a full covariance, and means of shape (*prefix, n_features)."""
    generator = np.random.default_rng(seed)
    loading = generator.normal(scale=0.6, size=(n_features, n_features))
    covariance = loading @ loading.T + 0.05 * np.eye(n_features)
    mean = generator.normal(size=(*prefix, n_features))
    return GaussianData(torch.from_numpy(mean), torch.from_numpy(covariance))


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers in float64."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))
