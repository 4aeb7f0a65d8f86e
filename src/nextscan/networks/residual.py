"""Small networks for what an anchor leaves: where a residual lies, how wide it is, and what shape it has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nextscan.networks.layers import Linear, sinusoidal


class LocationScale(nn.Module):
    """Predict from a condition where a residual lies and how wide it is, in leading coordinates and in the others.

    The heads are zero at first: location 0, log scale 0.

    Parameters
    ----------
    n_condition : int
        Of inputs whose size is their importance: the first map's weights are standard normal at first, so
        that an input of small range bends the function little.
    n_located : int
        The leading coordinates, which have a location.
    width : int
    generators : sequence of torch.Generator
        One per replica.

    Attributes
    ----------
    log_size, log_spread : Parameter, shape (replicas, 2)
        Of leading and other coordinates: log scale at condition 0, and the log of how much log sizes vary.

    **Shape** ``(R, B, n_condition) -> (R, B, n_located), (R, B, 2)``
    """

    def __init__(
        self, n_condition: int, n_located: int, *, generators: Sequence[torch.Generator], width: int = 64
    ) -> None:
        super().__init__()
        replicas = len(generators)
        self.first = Linear(n_condition, width, replicas=replicas)
        self.second = Linear(width, width, replicas=replicas)
        self.location = Linear(width, n_located, replicas=replicas)
        self.scale = Linear(width, 2, replicas=replicas)
        self.log_spread = nn.Parameter(torch.full((replicas, 2), -2.0))
        self.log_size = nn.Parameter(torch.zeros(replicas, 2))
        for module in (self.first, self.second):
            module.reset(generators)
        with torch.no_grad():
            for replica, generator in enumerate(generators):
                self.first.weight[replica].normal_(generator=generator)
                self.first.bias[replica].uniform_(-1, 1, generator=generator)
            for head in (self.location, self.scale):
                head.weight.zero_()
                head.bias.zero_()

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and log scale."""
        hidden = functional.silu(self.second(functional.silu(self.first(condition))))
        return self.location(hidden), self.scale(hidden)


class Shape(nn.Module):
    """Predict velocity from a noisy residual, its level and a condition; exactly zero at first.

    For standard normal data the optimal velocity is zero at every level, so the untrained network is the
    exact denoiser of the Gaussian law.

    Parameters
    ----------
    n_values, n_condition, width : int
    generators : sequence of torch.Generator
        One per replica.

    **Shape** ``(R, B, n_values), (R, B), (R, B, n_condition) -> (R, B, n_values)``
    """

    n_levels = 16

    def __init__(
        self, n_values: int, n_condition: int, *, generators: Sequence[torch.Generator], width: int = 128
    ) -> None:
        super().__init__()
        replicas = len(generators)
        self.first = Linear(n_values + n_condition + self.n_levels, width, replicas=replicas)
        self.second = Linear(width, width, replicas=replicas)
        self.third = Linear(width, width, replicas=replicas)
        self.head = Linear(width, n_values, replicas=replicas)
        for module in (self.first, self.second, self.third):
            module.reset(generators)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Predict, each example at its own level."""
        at = sinusoidal(level.expand(x.shape[:2]), self.n_levels, scale=32.0)
        hidden = functional.silu(self.first(torch.cat([x, condition, at], dim=-1)))
        hidden = hidden + functional.silu(self.second(hidden))
        velocity: Tensor = self.head(hidden + functional.silu(self.third(hidden)))
        return velocity
