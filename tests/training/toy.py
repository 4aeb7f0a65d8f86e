"""A regression whose noise, score and size suit tests of the loop; also run as a program that gets killed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nextscan.networks.layers import Linear
from nextscan.training import ClipAndSkip, TrainingResult, TrainingSettings, train


class Toy:
    """Fit y = x W with noise on x; validation is minus the error without noise."""

    n_examples = 50

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(7)
        self.x = torch.randn(self.n_examples, 4, generator=g, dtype=torch.float64)
        self.y = self.x @ torch.randn(4, 2, generator=g, dtype=torch.float64)

    def loss(self, network: nn.Module, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        noise = torch.stack([torch.randn(*examples.shape[1:], 4, generator=g, dtype=torch.float64) for g in generators])
        return (network(self.x[examples] + 0.1 * noise) - self.y[examples]).pow(2).mean(-1)

    def validation_score(self, network: nn.Module) -> Tensor:
        replicas = len(next(network.parameters()))
        return -(network(self.x.expand(replicas, -1, -1)) - self.y).pow(2).mean((1, 2)).detach()


def network(*seeds: int) -> nn.Sequential:
    first, second = Linear(4, 8, replicas=len(seeds)), Linear(8, 2, replicas=len(seeds))
    for layer in (first, second):
        layer.reset([torch.Generator().manual_seed(seed) for seed in seeds])
    return nn.Sequential(first, nn.Tanh(), second).double()


def run(seeds: Sequence[int], checkpoint: Path | None = None, **settings: object) -> TrainingResult:
    chosen = {
        "epochs": 10,
        "batch_size": 16,
        "learning_rate": 0.02,
        "policy": ClipAndSkip(),
        "checkpoint_seconds": 0.0,
    }
    return train(
        network(*seeds),
        Toy(),
        TrainingSettings(**{**chosen, **settings}),
        seeds=seeds,
        fingerprint="toy",
        checkpoint=checkpoint,
    )


if __name__ == "__main__":
    # toy.py CHECKPOINT EPOCHS AVERAGE: train on, tell each epoch's end, and let the test kill us at any moment
    def slow(row: object) -> None:
        print(row, flush=True)

    train(
        network(1, 2),
        Toy(),
        TrainingSettings(
            epochs=int(sys.argv[2]),
            batch_size=16,
            learning_rate=0.02,
            policy=ClipAndSkip(),
            average=0.9,
            checkpoint_seconds=0,
        ),
        seeds=[1, 2],
        fingerprint="toy",
        checkpoint=Path(sys.argv[1]),
        progress=slow,
    )
