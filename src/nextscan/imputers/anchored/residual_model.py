"""A fitted law of residuals: from what is known of a subject to draws of what the anchor leaves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray
from nextscan.imputers.anchored.residual_law import Spread, facing, n_located, spread_out
from nextscan.imputers.anchored.residual_training import Located, draw_shape
from nextscan.imputers.mixed_factor.imputer import MixedFactor
from nextscan.networks import LocationScale, Shape

Parameters = dict[str, NDArray[np.float32]]
_LABEL_SIZE = 0.3  # of a label with spread 1 beside the leading factor: functions bend less along labels


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What is known of a subject as inputs of a network, each as large as it matters.

    Factors are turned to the principal axes of their loadings and weighted by their strength, the leading one 1, and
    so are slope factors by what they do in a mean gap. Then labels, years over their mean, and whether the example
    is a visit paired with itself.

    Attributes
    ----------
    turn : ndarray of float, shape (rank, rank)
    mean_gap : float
    """

    turn: FloatArray
    mean_gap: float

    @classmethod
    def of(cls, model: MixedFactor) -> Self:
        """Turn the factors of a model."""
        mean_gap = max(float(model.gaps_.mean()), 1e-3)
        left, strength = _axes(model.model_.loading.numpy())
        left_slope, of_slope = _axes(model.model_.slope.numpy())
        k, r = len(model.model_.loading), len(model.model_.slope)
        turn = np.zeros((k + r, len(strength) + len(of_slope)))
        most = strength[0] if len(strength) else 1.0
        turn[:k, : len(strength)] = left * strength / most
        turn[k:, len(strength) :] = left_slope * of_slope * (mean_gap / model.span_) / most
        return cls(turn, mean_gap)

    def inputs(self, scores: Tensor, labels: FloatArray, gap: FloatArray, *, alone: bool = False) -> Tensor:
        """Return inputs, shape (n, rank + n_labels + 2); labels with spread 1."""
        reach = gap[:, None] / self.mean_gap
        rest = np.concatenate([_LABEL_SIZE * labels, _LABEL_SIZE * (reach - 1), np.full_like(reach, alone)], axis=1)
        return torch.cat([scores @ torch.from_numpy(self.turn), torch.from_numpy(rest)], dim=1).float()

    def reach(self, gap: FloatArray) -> Tensor:
        """Return how far a location goes, shape (n, 1): years over their mean."""
        return torch.from_numpy(gap[:, None] / self.mean_gap).float()


def _axes(loading: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return principal axes of factors, shape (k, rank), each with a positive sum, and their strengths."""
    left, strength, _ = np.linalg.svd(loading, full_matrices=False)
    return facing(left, axis=0), strength


@dataclass(frozen=True, eq=False)
class Known:
    """What the networks say of some targets."""

    located: Located | None
    condition: Tensor
    replicas: slice


@dataclass(frozen=True, eq=False)
class ResidualModel:
    """z = root (location + scale · s · inner root · shape), see `nextscan.imputers.anchored.residual_law`.

    Attributes
    ----------
    conditioning : Conditioning
    spread : Spread
        Of residuals; with a network, of normalised residuals, within `turned`.
    turned : Spread, optional
        The coordinates the network works in.
    location : dict of arrays, optional
        Parameters of `LocationScale`, one replica per fold.
    scale : ndarray of float, shape (n_folds, n_condition + 1, 2), optional
        Coefficients of the log sizes of leading and other coordinates, the constant last.
    shape : dict of arrays, optional
        Parameters of `Shape`.
    stable : ndarray of float, shape (p,)
        Share of each coordinate's variance that is not measurement noise: visits of a subject have it in common.
    """

    conditioning: Conditioning
    spread: Spread
    turned: Spread | None
    location: Parameters | None
    scale: FloatArray | None
    shape: Parameters | None
    stable: FloatArray

    @cached_property
    def networks(self) -> tuple[LocationScale | None, Shape | None]:
        """The networks, if there are any."""
        location, shape = None, None
        if self.location is not None:
            replicas, n_located, width = self.location["location.weight"].shape
            n_condition = self.location["first.weight"].shape[2]
            location = LocationScale(n_condition, n_located, generators=_generators(replicas), width=width)
            _fill(location, self.location)
        if self.shape is not None:
            replicas, n_values, width = self.shape["head.weight"].shape
            n_condition = self.shape["first.weight"].shape[2] - n_values - Shape.n_levels
            shape = Shape(n_values, n_condition, generators=_generators(replicas), width=width)
            _fill(shape, self.shape)
        return location, shape

    @torch.no_grad()
    def known(self, condition: Tensor, reach: Tensor, fold: int | None = None) -> Known:
        """Apply the networks: the mean of all replicas, or the one that never saw a fold."""
        network = self.networks[0]
        replicas = slice(None) if fold is None else slice(fold, fold + 1)
        if network is None and self.scale is None:
            return Known(None, condition, replicas)
        log_scale = self.log_scales(condition)
        if network is None:
            nowhere = torch.zeros(len(condition), n_located(len(self.stable)), dtype=torch.float64)
            return Known(Located(nowhere, log_scale[replicas].mean(dim=0).double()), condition, replicas)
        found = Located.of(network, condition.expand(len(network.log_size), -1, -1), reach, log_scale)
        means = (part[replicas].mean(dim=0).double() for part in (found.location, found.log_scale))
        return Known(Located(*means), condition, replicas)

    def log_scales(self, condition: Tensor) -> Tensor:
        """Return what the linear function says of log scales, shape (n_folds or 1, n, 2)."""
        if self.scale is None:
            return torch.zeros(1, len(condition), 2)
        coefficients = torch.from_numpy(self.scale).float()
        return condition @ coefficients[:, :-1] + coefficients[:, -1:]

    def turn(self) -> FloatArray:
        """Return the rotation of normals, shape (p, p), after which draws resemble those of any other model.

        Models are compared by draws from the same numbers, but coordinates of each are turned in its own way.
        """
        root = self.spread.root if self.turned is None else self.turned.root @ self.spread.root
        left, _, right = np.linalg.svd(root)
        turn: FloatArray = left @ right
        return turn

    def mean(self, known: Known) -> Tensor:
        """Return the expected residual, shape (n, p), whitened; 0 for the mean of a learned shape."""
        p = len(self.spread.root)
        nothing = torch.zeros(len(known.condition), p, dtype=torch.float64)
        return nothing if known.located is None else self._turn(self.turned, known.located.restore(nothing))

    @torch.no_grad()
    def draw(self, known: Known, normal: Tensor, sizes: FloatArray) -> Tensor:
        """Turn standard normal numbers, shape (draws, n, p), and sizes, shape (draws, n, 2), into residuals."""
        network = self.networks[1]
        if network is not None:
            m = network.head.weight.shape[1]
            condition = known.condition.expand(len(network.head.weight), -1, -1)
            shaped = [draw_shape(network, condition, part.float(), known.replicas) for part in normal[..., :m]]
            normal = torch.cat([torch.stack(shaped).double(), normal[..., m:]], dim=-1)
        z = self._turn(self.spread, torch.from_numpy(spread_out(sizes, normal.shape[-1])) * normal)
        return z if known.located is None else self._turn(self.turned, known.located.restore(z))

    def _turn(self, spread: Spread | None, rows: Tensor) -> Tensor:
        return rows if spread is None else rows @ torch.from_numpy(spread.root).T

    def state(self) -> dict[str, Any]:
        """Return what was learned, as nested dicts of arrays and numbers."""
        own = {name: getattr(self, name) for name in ("location", "scale", "shape", "stable")}
        turned = None if self.turned is None else self.turned.state()
        return {"conditioning": vars(self.conditioning), "spread": self.spread.state(), "turned": turned, **own}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the model from `state`."""
        turned = None if state["turned"] is None else Spread(**state["turned"])
        conditioning, spread = Conditioning(**state["conditioning"]), Spread(**state["spread"])
        return cls(**{**state, "conditioning": conditioning, "spread": spread, "turned": turned})


def _generators(replicas: int) -> list[torch.Generator]:
    return [torch.Generator() for _ in range(replicas)]


def _fill(network: torch.nn.Module, parameters: Parameters) -> None:
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in parameters.items()})
    network.requires_grad_(False)
