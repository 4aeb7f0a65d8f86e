"""Pairs of images as batches for a network: conditions and targets, with what chance does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import Volume
from nextscan.imputers.volumes.base import Given
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.learning_settings import LearningSettings
from nextscan.imputers.volumes.pairs import PreparedPairs

_VALIDATION_PAIRS = 64
N_COINS = 6
"""Uniform numbers that an example takes: to turn it round in time, to hide its interval, to mirror it, to shift it."""


@dataclass(frozen=True, eq=False)
class Condition:
    """What a batch of predictions is conditioned on.

    Attributes
    ----------
    source : Tensor, shape (B, 1, X, Y, Z)
        Prepared scale.
    numbers : Tensor, shape (B, n_numbers)
    reach : Tensor, shape (B,)
        See `Conditions.reach`.
    expected : Tensor, shape (B, 1, X, Y, Z), or None
        Change that is expected, if something is known of it.
    """

    source: Tensor
    numbers: Tensor
    reach: Tensor
    expected: Tensor | None = None

    @property
    def middle(self) -> Tensor:
        """What residuals are counted from, shape (B, 1, X, Y, Z): the source and the change that is expected."""
        return self.source if self.expected is None else self.source + self.expected

    def around(self, expected: Tensor) -> Condition:
        """Return the conditions with a change that is expected."""
        return replace(self, expected=expected)

    @classmethod
    def of(cls, given: Given, conditions: Conditions, device: torch.device) -> Condition:
        """Return the condition of one prediction, B = 1."""
        gap = np.array([given.gap])
        return cls(
            torch.from_numpy(np.array(given.source, np.float32))[None, None].to(device),
            torch.from_numpy(conditions.numbers(conditions.encode(given.labels), gap)).to(device),
            torch.from_numpy(conditions.reach(gap)).to(device),
        )

    def repeat(self, n: int) -> Condition:
        """Return a single condition n times."""
        one = {name: part for name, part in vars(self).items() if part is not None}
        return replace(self, **{name: part.expand(n, *part.shape[1:]) for name, part in one.items()})


@dataclass(frozen=True, eq=False)
class PairExamples:
    """Pairs of images to learn from or to judge by.

    Attributes
    ----------
    data : PreparedPairs
    conditions : Conditions
    device : torch.device
    """

    data: PreparedPairs
    conditions: Conditions
    device: torch.device

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def _labels(self) -> NDArray[np.float64]:
        """Encoded labels of all visits, shape (n_visits, n_labels)."""
        cohort = self.data.cohort
        return self.conditions.encode(cohort.labels_at(np.arange(cohort.n_visits)))

    def batch(
        self, examples: Sequence[int], coins: NDArray[np.float64], chance: LearningSettings
    ) -> tuple[Condition, Tensor]:
        """Return conditions and targets (B, 1, X, Y, Z) of pairs.

        Parameters
        ----------
        examples : sequence of int, length B
        coins : ndarray of float, shape (B, N_COINS)
            Uniform in [0, 1).
        chance : LearningSettings
            What may happen to a pair.
        """
        pairs = self.data.pairs
        known = pairs.gap[examples] > 0
        backward = known & (coins[:, 0] < 0.5) & chance.backward
        hidden = ~backward & (coins[:, 1] < chance.interval_dropout) & (chance.interval == "reach")
        gap = np.where(hidden, np.nan, np.where(backward, -1, 1) * pairs.gap[examples])
        volumes = [self.data.both(int(i), backward=bool(turned)) for i, turned in zip(examples, backward, strict=True)]
        if chance.flip:
            volumes = [
                (source[::-1], target[::-1]) if coin < 0.5 else (source, target)
                for (source, target), coin in zip(volumes, coins[:, 2], strict=True)
            ]
        volumes = [
            (shifted(source, coin, chance.shift), shifted(target, coin, chance.shift))
            for (source, target), coin in zip(volumes, coins[:, 3:N_COINS], strict=True)
        ]
        rows = np.where(backward, pairs.target[examples], pairs.context[examples])
        given = self._condition([source for source, _ in volumes], rows, gap)
        return given, self._stacked([target for _, target in volumes])

    def plain(self, i: int) -> tuple[Condition, Tensor]:
        """Return condition and target of pair i as it is, B = 1."""
        source, target = self.data.both(i)
        pairs = self.data.pairs
        return self._condition([source], pairs.context[i : i + 1], pairs.gap[i : i + 1]), self._stacked([target])

    def _condition(self, sources: Sequence[Volume], rows: NDArray[np.intp], gap: NDArray[np.float64]) -> Condition:
        return Condition(
            self._stacked(sources),
            torch.from_numpy(self.conditions.numbers(self._labels[rows], gap)).to(self.device),
            torch.from_numpy(self.conditions.reach(gap)).to(self.device),
        )

    def _stacked(self, volumes: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.stack(volumes)[:, None]).to(self.device)


@dataclass(frozen=True, eq=False)
class PairProblem:
    """What problems on pairs of images have in common, see `nextscan.training.Problem`.

    Attributes
    ----------
    train, validation : PairExamples
    """

    train: PairExamples
    validation: PairExamples

    @property
    def n_examples(self) -> int:
        """Number of training pairs."""
        return len(self.train)

    def judged(self, network: Any, given: Condition, target: Tensor, i: int) -> Tensor:
        """Return the loss of validation pair i as it is, shape (1,), with the same chance each time."""
        raise NotImplementedError

    @torch.no_grad()
    def validation_score(self, network: Any) -> Tensor:
        """Return minus the loss of validation pairs, shape (1,)."""
        judged = range(min(len(self.validation), _VALIDATION_PAIRS))
        losses = [self.judged(network, *self.validation.plain(i), i).double().cpu() for i in judged]
        return -torch.cat(losses).mean()[None]


def shifted(volume: Volume, coins: NDArray[np.float64], most: int) -> Volume:
    """Move a volume by up to so many voxels along each axis, with its outermost voxels again where it is left."""
    starts = (coins * (2 * most + 1)).astype(np.intp)
    cut = tuple(slice(start, start + n) for start, n in zip(starts, volume.shape, strict=True))
    return np.pad(volume, most, mode="edge")[cut] if most else volume


def coins_of(generators: Sequence[torch.Generator], n: int) -> NDArray[np.float64]:
    """Return n uniform numbers from the generator of each example, shape (B, n)."""
    drawn: NDArray[np.float64] = np.array(
        [torch.rand(n, generator=g, device=g.device, dtype=torch.float64).tolist() for g in generators]
    )
    return drawn


def noise_of(generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
    """Return standard normal noise in the shape of `like` (B, ...), each example's from its own generator."""
    return torch.stack([torch.randn(like.shape[1:], generator=g, device=g.device) for g in generators]).to(like.device)
