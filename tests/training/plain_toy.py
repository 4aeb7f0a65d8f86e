"""A small 3-D denoising problem for a network without a replica axis; also run as one of several processes.

``plain_toy.py OUT CASES`` trains by each entry of a JSON list of settings and writes what was found to
OUT-<rank>. An entry may also have "file", the checkpoint, and "broken", so that process 1 fails.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nextscan.errors import NextscanError
from nextscan.training import ClipAndSkip, TrainingResult, TrainingSettings, together, train


class Network(nn.Module):
    """Two convolutions, the inner block recomputed in the backward pass if asked."""

    def __init__(self, *, seed: int = 0, recompute: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.inner = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU())
            self.outer = nn.Conv3d(8, 1, 3, padding=1)
        self.recompute = recompute

    def forward(self, x: Tensor) -> Tensor:
        inner = self.inner
        hidden = checkpoint(inner, x, use_reentrant=False) if self.recompute and torch.is_grad_enabled() else inner(x)
        return self.outer(hidden)


class Volumes:
    """Take the noise off smooth volumes; noise is drawn per example, as the contract wants it."""

    n_examples = 21
    shape = (4, 6, 4)

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(7)
        rough = torch.randn(self.n_examples, 1, *self.shape, generator=g)
        self.x = nn.functional.avg_pool3d(rough, 3, stride=1, padding=1) * 3

    def _noisy(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return x + torch.stack([torch.randn(1, *self.shape, generator=g) for g in generators])

    def loss(self, network: nn.Module, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        x = self.x[examples[0]]
        assert len(generators) == len(x)
        return (network(self._noisy(x, generators)).float() - x).square().mean((1, 2, 3, 4))[None]

    def validation_score(self, network: nn.Module) -> Tensor:
        generators = [torch.Generator().manual_seed(i) for i in range(len(self.x))]
        return -(network(self._noisy(self.x, generators)).float() - self.x).square().mean()[None]


class Failing(Volumes):
    """One process cannot read an example of the second epoch."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank, self.calls = rank, 0

    def loss(self, network: nn.Module, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        self.calls += 1
        if self.rank == 1 and self.calls == 5:
            raise NextscanError("sub-03 ses-02: the image cannot be read")
        return super().loss(network, examples, generators)


def run(
    network: nn.Module | None = None, *, problem: Volumes | None = None, file: Path | None = None, **settings: object
) -> TrainingResult:
    chosen = {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "policy": ClipAndSkip(), "checkpoint_seconds": 0.0}
    return train(
        network or Network(),
        problem or Volumes(),
        TrainingSettings(**{**chosen, **settings}),
        seeds=[3],
        replicas=False,
        fingerprint="plain toy",
        checkpoint=file,
    )


def outcome(*, rank: int = 0, file: str | None = None, broken: bool = False, **settings: object) -> dict[str, object]:
    """Return what training finds, in plain types, or its error."""
    try:
        # Other processes begin elsewhere, and are to be brought to where the first one is.
        result = run(
            Network(seed=rank),
            problem=Failing(rank) if broken else Volumes(),
            file=None if file is None else Path(file),
            **settings,
        )
    except NextscanError as error:
        return {"error": str(error)}
    found = {key: [row[key][0] for row in result.history] for key in ("train_loss", "validation_score", "skipped")}
    return {**found, "best": result.best, "thresholds": result.thresholds.tolist()}


if __name__ == "__main__":
    with together() as here:
        torch.save([outcome(rank=here.rank, **case) for case in json.loads(sys.argv[2])], f"{sys.argv[1]}-{here.rank}")
    threads = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in threads if "gloo" in name], threads  # one that lives when Python ends may abort it
