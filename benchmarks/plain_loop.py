"""The loop to beat: what a straightforward research script does per batch and per epoch.

A list of per-subject tensor triples, shuffled by NumPy; batches allocated as zeros and filled subject by
subject, each deciding how it is paired; gradient norms read back one parameter at a time; after each
epoch ancestral sampling of all validation pairs and one SciPy correlation per feature over lists.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import pearsonr
from torch import Tensor

from nextscan.networks import FeatureUNet

STEPS = 100
BETA = torch.linspace(0.0015, 0.02, STEPS)
KEPT = torch.cumprod(1 - BETA, 0)


@dataclass
class PlainLoop:
    """Train a network on (first, follow-up or None, labels) triples.

    Parameters
    ----------
    subjects, validation : list of (Tensor, Tensor or None, Tensor)
    network : FeatureUNet
        With one replica.
    """

    subjects: list[tuple[Tensor, Tensor | None, Tensor]]
    validation: list[tuple[Tensor, Tensor, Tensor]]
    network: FeatureUNet
    batch_size: int = 256
    clip: float = 0.3
    skip: float = 1.8
    seed: int = 0

    def __post_init__(self) -> None:
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.shuffle = np.random.default_rng(self.seed)
        torch.manual_seed(self.seed)

    def predict(self, x: Tensor, step: Tensor, first: Tensor, labels: Tensor) -> Tensor:
        """Predict the noise, embedding the condition anew."""
        condition = torch.cat([first, labels], dim=-1)[None]
        return self.network(x[None], ((step + 1) / STEPS)[None], condition)[0]

    def batch(self, chosen: list[tuple[Tensor, Tensor | None, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        """Fill a batch subject by subject."""
        n, d, n_labels = len(chosen), len(chosen[0][0]), len(chosen[0][2])
        target, first, labels = torch.zeros(n, d), torch.zeros(n, d), torch.zeros(n, n_labels)
        for i, (x1, x2, y) in enumerate(chosen):
            labels[i] = y
            if x2 is not None:
                target[i], first[i] = x2, x1
            else:
                target[i] = x1
                first[i] = x1
                if torch.rand(1).item() < 0.5:
                    first[i] = KEPT[5].sqrt() * x1 + (1 - KEPT[5]).sqrt() * torch.randn(d)
        return target, first, labels

    def train_epoch(self) -> float:
        """Make one pass over the subjects; return the mean loss."""
        self.shuffle.shuffle(self.subjects)
        losses = []
        for start in range(0, len(self.subjects), self.batch_size):
            target, first, labels = self.batch(self.subjects[start : start + self.batch_size])
            step = torch.randint(0, STEPS, (len(target),))
            noise = torch.randn_like(target)
            kept = KEPT[step][:, None]
            x = kept.sqrt() * target + (1 - kept).sqrt() * noise
            loss = torch.nn.functional.mse_loss(self.predict(x, step, first, labels), noise)
            self.optimiser.zero_grad()
            loss.backward()
            total = 0.0
            for parameter in self.network.parameters():
                total += parameter.grad.data.norm(2).item() ** 2
            norm = total**0.5
            if norm <= self.skip:
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
                self.optimiser.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    @torch.no_grad()
    def sample(self, first: Tensor, labels: Tensor) -> Tensor:
        """Sample follow-ups in 99 ancestral steps."""
        x = torch.randn_like(first)
        for step in range(STEPS - 1, 0, -1):
            alpha, kept = 1 - BETA[step], KEPT[step]
            noise = self.predict(x, torch.full((len(x),), step), first, labels)
            x = (x - (1 - alpha) / (1 - kept).sqrt() * noise) / alpha.sqrt()
            if step > 1:
                x = x + BETA[step].sqrt() * torch.randn_like(x)
        return x.clamp(-1, 1)

    def validate(self) -> float:
        """Return the mean per-feature correlation of generated validation follow-ups."""
        made: list[list[float]] = []
        real: list[list[float]] = []
        for start in range(0, len(self.validation), self.batch_size):
            part = self.validation[start : start + self.batch_size]
            out = self.sample(torch.stack([s[0] for s in part]), torch.stack([s[2] for s in part]))
            made += out.tolist()
            real += [s[1].tolist() for s in part]
        n_features = len(made[0])
        return float(np.mean([pearsonr([m[j] for m in made], [r[j] for r in real])[0] for j in range(n_features)]))

    def epoch(self) -> tuple[float, float, float]:
        """Train and validate once; return seconds of both and the validation correlation."""
        started = time.perf_counter()
        self.train_epoch()
        trained = time.perf_counter()
        score = self.validate()
        return trained - started, time.perf_counter() - trained, score
