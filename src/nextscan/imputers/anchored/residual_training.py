"""What the networks of a residual train on: replica r learns from all folds but r and is judged by fold r."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.diffusion import SAMPLERS, ContinuousPath, make_denoiser, objective, sample
from nextscan.imputers.anchored.residual_law import spread_out
from nextscan.networks import LocationScale, Shape

PATH = ContinuousPath("cosine", log_snr_min=-math.inf)
_NODES = 7  # of the Gauss-Hermite rule over log sizes
_LEVELS = 8  # at which a shape is validated
_SAMPLING_STEPS = 12


@dataclass(frozen=True, eq=False)
class Located:
    """Where residuals lie and how wide they are, in turned whitened coordinates.

    Attributes
    ----------
    location : Tensor, shape (..., n, n_located)
        Of the leading coordinates.
    log_scale : Tensor, shape (..., n, 2)
        Of the leading coordinates and of the others.
    """

    location: Tensor
    log_scale: Tensor

    @classmethod
    def of(cls, network: LocationScale, condition: Tensor, reach: Tensor, log_scale: Tensor) -> Located:
        """Add a network to `log_scale`; a location grows with `reach`, shape (..., n, 1): years over their mean."""
        location, scale = network(condition)
        return cls(location * reach, log_scale + network.log_size[:, None] + scale)

    def scales(self, p: int) -> Tensor:
        """Return the scale of each coordinate, shape (..., n, p)."""
        return torch.from_numpy(spread_out(self.log_scale.exp().numpy(), p))

    def normalise(self, e: Tensor) -> Tensor:
        """Return residuals, shape (..., n, p), less their location, by their scale."""
        m = self.location.shape[-1]
        return torch.cat([e[..., :m] - self.location, e[..., m:]], dim=-1) / self.scales(e.shape[-1])

    def restore(self, u: Tensor) -> Tensor:
        """Undo `normalise`."""
        e = u * self.scales(u.shape[-1])
        m = self.location.shape[-1]
        return torch.cat([e[..., :m] + self.location, e[..., m:]], dim=-1)


@dataclass(frozen=True, eq=False)
class LocationProblem:
    """Likelihood of location and scale, see `nextscan.training.Problem`.

    The law is a Gaussian whose size is lognormal given the condition. The denoiser that is exact for it at every
    level has an expected loss, weighted by the rate of log-SNR, that integrates to this negative log likelihood
    (Kingma et al. 2021, eq. 17; Guo, Shamai & Verdú 2005): so this much of the diffusion is trained without
    sampling levels and noise.

    Attributes
    ----------
    leading : Tensor, shape (n, n_located)
        Residuals that get a location.
    others_square : Tensor, shape (n,)
        Sum of squares of the others.
    n_coordinates : int
    condition : Tensor, shape (n, n_condition)
    reach : Tensor, shape (n, 1)
    log_scale : Tensor, shape (replicas, n, 2)
        What is known of scales already.
    fold : Tensor of int, shape (n,)
        -1 for examples that judge nobody.
    """

    leading: Tensor
    others_square: Tensor
    n_coordinates: int
    condition: Tensor
    reach: Tensor
    log_scale: Tensor
    fold: Tensor

    @property
    def n_examples(self) -> int:
        """Number of examples in an epoch."""
        return len(self.leading)

    def loss(self, network: LocationScale, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the negative log likelihood per coordinate, 0 for examples a replica is judged by, shape (R, B)."""
        replica = torch.arange(len(examples))[:, None]
        return self._negative_log_likelihood(network, examples) * (self.fold[examples] != replica)

    @torch.no_grad()
    def validation_score(self, network: LocationScale) -> Tensor:
        """Return the log likelihood of each replica's own fold, shape (R,)."""
        replicas = len(network.log_size)
        everybody = torch.arange(self.n_examples).expand(replicas, -1)
        own = (self.fold == torch.arange(replicas)[:, None]).to(self.leading.dtype)
        return -(self._negative_log_likelihood(network, everybody) * own).sum(dim=1) / own.sum(dim=1)

    def _negative_log_likelihood(self, network: LocationScale, examples: Tensor) -> Tensor:
        replica = torch.arange(len(examples))[:, None]
        known = self.log_scale[replica, examples]
        found = Located.of(network, self.condition[examples], self.reach[examples], known)
        p, m = self.n_coordinates, self.leading.shape[1]
        leading = (self.leading[examples] - found.location).square().sum(dim=-1)
        squares = torch.stack([leading, self.others_square[examples]], dim=-1)
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        size = network.log_spread.exp()[..., None] * torch.as_tensor(nodes, dtype=self.leading.dtype)
        log_scale = found.log_scale[..., None] + size[:, None]  # (R, B, 2, nodes)
        count = torch.tensor([m, p - m], dtype=self.leading.dtype)[:, None]
        log_density = -(count * log_scale + 0.5 * squares[..., None] * (-2 * log_scale).exp()).sum(dim=-2)
        log_weights = torch.as_tensor(np.log(weights / weights.sum()), dtype=self.leading.dtype)
        return -torch.logsumexp(log_density + log_weights, dim=-1) / p


@dataclass(frozen=True, eq=False)
class ShapeProblem:
    """Velocity prediction for the shape of the leading coordinates, see `nextscan.training.Problem`.

    Attributes
    ----------
    v : Tensor, shape (n, n_located)
        Normalised residuals.
    condition : Tensor, shape (n, n_condition)
    fold : Tensor of int, shape (n,)
    """

    v: Tensor
    condition: Tensor
    fold: Tensor

    @property
    def n_examples(self) -> int:
        """Number of examples in an epoch."""
        return len(self.v)

    def loss(self, network: Shape, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the squared error of the velocity, 0 for examples a replica is judged by, shape (R, B)."""
        shape = examples.shape
        level = torch.stack([torch.rand(shape[1], generator=g) for g in generators])
        noise = torch.stack([torch.randn(*shape[1:], self.v.shape[1], generator=g) for g in generators])
        error = self._error(network, examples, level, noise)
        return error * (self.fold[examples] != torch.arange(len(examples))[:, None])

    @torch.no_grad()
    def validation_score(self, network: Shape) -> Tensor:
        """Return minus the error on each replica's own fold, at fixed levels and noise, shape (R,)."""
        replicas = len(network.head.weight)
        own = (self.fold == torch.arange(replicas)[:, None]).to(self.v.dtype)
        everybody = torch.arange(self.n_examples).expand(replicas, -1)
        generator = torch.Generator().manual_seed(0)
        total = torch.zeros(replicas)
        for i in range(_LEVELS):
            level = torch.full(everybody.shape, (i + 0.5) / _LEVELS)
            noise = torch.randn(self.v.shape, generator=generator).expand(replicas, -1, -1)
            error = self._error(network, everybody, level, noise)
            total += (error * own).sum(dim=1) / own.sum(dim=1) / _LEVELS
        return -total

    def _error(self, network: Shape, examples: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        condition = self.condition[examples]
        return objective(lambda x, at: network(x, at, condition), PATH, "velocity", self.v[examples], level, noise)


def draw_shape(network: Shape, condition: Tensor, start: Tensor, replicas: slice) -> Tensor:
    """Turn standard normal numbers into shapes by the probability flow of the mean velocity of some replicas.

    Parameters
    ----------
    condition : Tensor, shape (R, n, n_condition)
    start : Tensor, shape (n, n_located)
    """

    def velocity(x: Tensor, level: Tensor) -> Tensor:
        n = len(condition)
        return network(x.expand(n, -1, -1), level.expand(n, len(x)), condition)[replicas].mean(dim=0)

    return sample(
        make_denoiser(velocity, PATH, "velocity"),
        PATH,
        SAMPLERS["dpm-solver++"],
        start=start,
        levels=PATH.sampling_levels(_SAMPLING_STEPS),
    )


def to_numpy(values: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Return parameters as arrays."""
    return {name: value.detach().cpu().numpy() for name, value in values.items()}
