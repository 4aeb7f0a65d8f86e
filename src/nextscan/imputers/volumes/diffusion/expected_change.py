"""The change expected between two images of a person, and how it is learned: the mean of what is then drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nextscan.diffusion import expand
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.diffusion.settings import VolumeDiffusionSettings
from nextscan.imputers.volumes.examples import N_COINS, Condition, PairProblem, coins_of
from nextscan.networks.volume_conv import VolumeConvNet


class Change(NamedTuple):
    """Expected change, prepared scale.

    Attributes
    ----------
    still : Tensor, shape (B, 1, X, Y, Z)
        However short the interval: the noise of the source is not seen again.
    grown : Tensor, shape (B, 1, X, Y, Z)
        Due to the years that pass.
    """

    still: Tensor
    grown: Tensor

    @property
    def total(self) -> Tensor:
        """All of it, shape (B, 1, X, Y, Z)."""
        return self.still + self.grown


@dataclass(frozen=True, eq=False)
class ExpectedChange:
    """What goes into and comes out of the network of the mean.

    Attributes
    ----------
    settings : VolumeDiffusionSettings
    conditions : Conditions
    spread : Tensor, shape (n_bins,)
        Unit of its outputs, see `unit_of`: of the change between training pairs.
    """

    settings: VolumeDiffusionSettings
    conditions: Conditions
    spread: Tensor

    @property
    def growing(self) -> bool:
        """Whether what grows with the years is told apart from what does not.

        Pairs turned round in time tell it: without them, or without any known interval, f0 and f1 are one.
        """
        return self.settings.grows and self.settings.backward and self.conditions.timed

    def network(self) -> VolumeConvNet:
        """Return an untrained network; its parameters come from torch's global generator."""
        return VolumeConvNet(
            n_numbers=self.conditions.n_numbers - 2 * int(self.growing),
            n_outputs=1 + int(self.growing),
            channels=self.settings.mean_channels,
        )

    def of(self, network: Any, given: Condition) -> Change:
        """Return the change that the network expects: in units of the spread, ``f0 + reach f1``.

        Neither f0 nor f1 knows the interval, so that f0 cannot take the place of growth. Where it is unknown, reach
        is 1, its mean, and so is the change that of the mean interval.
        """
        growing, numbers = self.growing, given.numbers
        if growing:
            numbers = numbers[:, :-2]
        output = network(given.source, numbers if numbers.shape[1] else None).float()
        output = output * unit_of(given.source, self.spread)
        still = output[:, :1]
        return Change(still, expand(given.reach, still) * output[:, 1:] if growing else torch.zeros_like(still))

    @torch.no_grad()
    def said(self, network: Any, given: Condition) -> Change:
        """Return the change expected of a head, from both its mirror images where both were learned from."""
        change = self.of(network, given)
        if not self.settings.flip:
            return change
        mirrored = self.of(network, replace(given, source=given.source.flip(2)))
        still, grown = ((one + other.flip(2)) / 2 for one, other in zip(change, mirrored, strict=True))
        return Change(still, grown)


@dataclass(frozen=True, eq=False)
class MeanProblem(PairProblem):
    """Regression of change on source, interval and labels, see `nextscan.training.Problem`.

    Attributes
    ----------
    expected : ExpectedChange
    scale : float
        Root mean square of the change between training pairs: losses are in units of its square.
    """

    expected: ExpectedChange
    scale: float

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the squared error of the expected change of each pair, shape (1, B)."""
        chance = self.expected.settings
        if self.expected.growing:  # there is nothing to learn of unknown intervals
            chance = replace(chance, interval_dropout=0.0)
        given, target = self.train.batch(examples[0].tolist(), coins_of(generators, N_COINS), chance)
        return self._errors(network, given, target)[None]

    def judged(self, network: Any, given: Condition, target: Tensor, i: int) -> Tensor:
        """Return the squared error of a validation pair."""
        return self._errors(network, given, target)

    def _errors(self, network: Any, given: Condition, target: Tensor) -> Tensor:
        error = target - given.source - self.expected.of(network, given).total
        return (error / self.scale).square().flatten(1).mean(1)


def unit_of(source: Tensor, spread: Tensor) -> Tensor:
    """Return the spread at each voxel of the source, interpolated between the middles of bins of brightness.

    Parameters
    ----------
    source : Tensor
        In [-1, 1].
    spread : Tensor, shape (n_bins,)
        Bins share [-1, 1] out. In air hardly anything changes, at edges much does.
    """
    spread = spread.to(source.device)
    place = ((source + 1) * (len(spread) / 2) - 0.5).clamp(0, len(spread) - 1)
    below = place.floor().long().clamp(max=len(spread) - 2)
    return torch.lerp(spread[below], spread[below + 1], place - below)
