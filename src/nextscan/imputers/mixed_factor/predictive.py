"""A Gaussian predictive law per target, of low rank plus diagonal covariance: whitening and colouring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Predictive:
    """Laws N(mean, loadᵀ load + diag own) of targets, each of its own covariance.

    Attributes
    ----------
    mean : Tensor, shape (n, p)
    load : Tensor, shape (n, rank, p)
    own : Tensor, shape (n, p)
        Variances.
    """

    mean: Tensor
    load: Tensor
    own: Tensor

    def whiten(self, deviation: Tensor) -> Tensor:
        """Return C^(-1/2) deviation, shape (..., n, p): standard normal if the law holds."""
        return self._turning(-0.5)(deviation / self.own.sqrt())

    def colouring(self) -> Callable[[Tensor], Tensor]:
        """Return the map white -> C^(1/2) white of rows, shape (..., n, p), which undoes `whiten`."""
        turn, sd = self._turning(0.5), self.own.sqrt()
        return lambda white: turn(white) * sd

    def given(self, deviation: Tensor, seen: Tensor) -> Tensor:
        """Return the expected deviations of all cells given those marked `seen`, shape (n, p); others are not read."""
        weight = torch.where(seen, 1 / self.own, 0.0)
        inner = torch.eye(self.load.shape[1], dtype=self.load.dtype) + (self.load * weight[:, None]) @ self.load.mT
        scores = torch.linalg.solve(inner, (self.load @ (weight * deviation)[..., None])[..., 0])
        return torch.where(seen, deviation, (scores[:, None] @ self.load)[:, 0])

    def diagonal(self) -> Predictive:
        """Return the laws without covariance between features."""
        own = self.own + self.load.square().sum(dim=1)
        return replace(self, load=torch.zeros_like(self.load[:, :1]), own=own)

    def _turning(self, power: float) -> Callable[[Tensor], Tensor]:
        """Return the map by (I + VᵀV)^power, V = load D^(-1/2) and D = diag own: C^(1/2) = D^(1/2) (I + VᵀV)^(1/2).

        The root needs the eigenvectors of V Vᵀ only, which is rank x rank.
        """
        v = self.load / self.own.sqrt()[:, None]
        values, vectors = torch.linalg.eigh(v @ v.mT)
        values = values.clamp(min=1e-12)
        inner = vectors * (torch.expm1(power * torch.log1p(values)) / values)[:, None] @ vectors.mT
        return lambda rows: (
            rows + torch.einsum("nkp,...nk->...np", inner @ v, torch.einsum("nkp,...np->...nk", v, rows))
        )
