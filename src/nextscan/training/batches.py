"""Which examples make a step, and the randomness that belongs to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nextscan.errors import SettingError, TrainingError
from nextscan.randomness import bits
from nextscan.training.processes import Processes
from nextscan.training.settings import TrainingSettings


class Batch(NamedTuple):
    """Examples whose loss is computed at once.

    Attributes
    ----------
    examples : Tensor of int, shape (R, B)
    generators : list of Generator
        One per replica; without a replica axis one per example.
    share : float
        Weight of the mean loss of this batch in its step; 1 where the batch is the whole step.
    """

    examples: Tensor
    generators: Sequence[torch.Generator]
    share: float


class Batches:
    """The steps of each epoch: shuffles and noise are functions of seed and epoch and nothing else.

    Without a replica axis the noise of an example has a generator of its own, named by its place in
    the epoch: a step is then the same however it is cut into batches and shared among processes.
    """

    def __init__(
        self,
        n_examples: int,
        settings: TrainingSettings,
        *,
        seeds: Sequence[int],
        replicas: bool,
        device: torch.device,
        processes: Processes,
    ) -> None:
        if not n_examples:
            raise TrainingError("there is no example to train on")
        if settings.examples_per_step < processes.size:
            raise SettingError(
                f"a step of {settings.examples_per_step} examples cannot be shared among {processes.size} "
                f"processes: raise batch_size or accumulate, or start fewer processes"
            )
        self.n_examples, self.settings, self.processes = n_examples, settings, processes
        self.seeds, self.replicas, self.device = list(seeds), replicas, device
        self.length = settings.examples_per_epoch or n_examples
        self.n_steps = -(-self.length // settings.examples_per_step)

    def epoch(self, epoch: int, *, purpose: int) -> Iterator[list[Batch]]:
        """Yield the batches of each step of an epoch; another purpose has other shuffles and noise."""
        keys = [int(bits(np.array([seed], np.int64), epoch, purpose)[0]) for seed in self.seeds]
        if self.replicas:
            generators = [_generator(key, self.device) for key in keys]
            for step in self._order(generators).split(self.settings.examples_per_step, dim=1):
                parts = step.split(self.settings.batch_size, dim=1)
                yield [Batch(part, generators, part.shape[1] / step.shape[1]) for part in parts]
            return
        order = self._order([_generator(keys[0], torch.device("cpu"))])[0]
        for places in torch.arange(self.length).split(self.settings.examples_per_step):
            yield [self._batch(order, part, keys[0], share) for part, share in self._mine(places)]

    def _order(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Return example indices in the order of an epoch, shape (R, length)."""
        shuffles = -(-self.length // self.n_examples)
        order = [
            torch.cat([torch.randperm(self.n_examples, generator=g, device=g.device) for _ in range(shuffles)])
            for g in generators
        ]
        return torch.stack(order)[:, : self.length]

    def _mine(self, places: Tensor) -> list[tuple[Tensor, float]]:
        """Return this process' batches of a step, as places in the epoch, with their shares.

        Reduced gradients are means over processes, hence the factor. A process for which a last, short
        step has no example takes the first one at share 0, as every process takes part in a reduction.
        """
        mine = places.tensor_split(self.processes.size)[self.processes.rank]
        if not len(mine):
            return [(places[:1], 0.0)]
        parts = mine.split(self.settings.batch_size)
        return [(part, len(part) * self.processes.size / len(places)) for part in parts]

    def _batch(self, order: Tensor, places: Tensor, key: int, share: float) -> Batch:
        own = bits(np.full(len(places), key, np.int64), places.numpy())
        return Batch(order[places][None], [_generator(int(k), self.device) for k in own], share)


def _generator(key: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(key & (2**63 - 1))
