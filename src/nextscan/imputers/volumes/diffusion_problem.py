"""What a diffusion network for volumes trains on, and how draws are made with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextscan.diffusion import Path, Sampler, counter_normal, expand, make_denoiser, objective, sample
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.pairs import PreparedPairs
from nextscan.imputers.volumes.volume_diffusion_settings import VolumeDiffusionSettings
from nextscan.randomness import subject_keys

_VALIDATION_SEED = 20_250_101
_VALIDATION_LEVELS = (0.25, 0.5, 0.75)
_VALIDATION_PAIRS = 64
_VOXELS_AT_ONCE = 2**22  # of draws made side by side


@dataclass(frozen=True, eq=False)
class Condition:
    """What a batch of predictions is conditioned on.

    Attributes
    ----------
    source : Tensor, shape (B, 1, X, Y, Z)
        Prepared scale.
    numbers : Tensor, shape (B, n_numbers)
    reach : Tensor, shape (B,)
    """

    source: Tensor
    numbers: Tensor
    reach: Tensor

    def repeat(self, n: int) -> Condition:
        """Return a single condition n times."""
        return Condition(*(part.expand(n, *part.shape[1:]) for part in (self.source, self.numbers, self.reach)))


@dataclass(frozen=True, eq=False)
class VolumeProcess:
    """Path, sampler and network input and output of the settings.

    Attributes
    ----------
    spread : float
        Root mean square of the residuals of training pairs; 1 where the follow-up itself is diffused.
    """

    path: Path
    sampler: Sampler
    settings: VolumeDiffusionSettings
    spread: float

    def data(self, target: Tensor, source: Tensor) -> Tensor:
        """Return what is diffused: the follow-up, or the residual to the source in units of its spread."""
        return (target - source) / self.spread if self.settings.target == "residual" else target

    def volume(self, data: Tensor, source: Tensor) -> Tensor:
        """Undo `data`; prepared volumes lie in [-1, 1], and so does what is predicted."""
        volume = source + self.spread * data if self.settings.target == "residual" else data
        return volume.clamp(-1, 1)

    def predict(self, network: Any, given: Condition, x: Tensor, level: Tensor) -> Tensor:
        """Return the network's output for noisy data x (B, 1, X, Y, Z) at level (B,).

        On a path that ends at noise the network sees ``a x``, the best guess of white data: at level 1 that
        is 0, not noise it had to learn to ignore. Where change grows with time the output is ``f0 + reach f1``.
        """
        source = given.source if self.settings.use_source else None
        numbers = given.numbers if given.numbers.shape[1] else None
        if self.path.ends_at_noise:
            x = expand(self.path.signal_noise(level)[0], x) * x
        output: Tensor = network(x, level, source, numbers).float()
        if self.settings.interval == "reach":
            output = output[:, :1] + expand(given.reach, output) * output[:, 1:]
        return output

    @torch.no_grad()
    def mean(self, network: Any, given: Condition) -> Tensor:
        """Return the predictive mean, shape (B, 1, X, Y, Z): the estimate of the data where only noise is left."""
        level = torch.ones(len(given.source), device=given.source.device)
        denoise = make_denoiser(partial(self.predict, network, given), self.path, self.settings.parameterisation)
        return self.volume(denoise(torch.zeros_like(given.source), level), given.source)

    @torch.no_grad()
    def draw(self, network: Any, given: Condition, key: int, n_draws: int, seed: int) -> Tensor:
        """Draw volumes for one condition, shape (n_draws, X, Y, Z)."""
        shape, device = tuple(given.source.shape[1:]), given.source.device
        at_once = max(1, _VOXELS_AT_ONCE // given.source.numel())
        parts = []
        for start in range(0, n_draws, at_once):
            which = torch.arange(start, min(start + at_once, n_draws), device=device)
            keys, several = torch.full_like(which, key), given.repeat(len(which))

            def predict(x: Tensor, level: Tensor, several: Condition = several) -> Tensor:
                return self.predict(network, several, x, level.expand(len(x)))

            def noise(step: int, keys: Tensor = keys, which: Tensor = which) -> Tensor:
                return counter_normal(keys, seed, which, step + 1, shape)

            clamp = (-1.0, 1.0) if self.settings.clamp else None
            made = sample(
                make_denoiser(predict, self.path, self.settings.parameterisation, clamp),
                self.path,
                self.sampler,
                start=counter_normal(keys, seed, which, 0, shape),
                levels=self.path.sampling_levels(self.settings.sampling_steps),
                noise=noise,
            )
            parts.append(self.volume(made, several.source)[:, 0])
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class VolumeProblem:
    """Diffusion of follow-up volumes, see `nextscan.training.Problem`.

    Attributes
    ----------
    train, validation : PreparedPairs
    conditions : Conditions
    process : VolumeProcess
    device : torch.device
    """

    train: PreparedPairs
    validation: PreparedPairs
    conditions: Conditions
    process: VolumeProcess
    device: torch.device

    @property
    def n_examples(self) -> int:
        """Number of training pairs."""
        return len(self.train)

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the squared error of the prediction for each pair, shape (1, B)."""
        settings, path = self.process.settings, self.process.path
        # One generator per example, and always as many numbers from it: an example is what it is in any batch.
        coins = torch.stack([torch.rand(5, generator=g, device=g.device) for g in generators]).tolist()
        batch = [self._example(int(i), coin) for i, coin in zip(examples[0], coins, strict=True)]
        source, target, numbers, reach = (
            torch.from_numpy(np.stack([part[k] for part in batch])).to(self.device) for k in range(4)
        )
        given = Condition(source, numbers, reach)
        data = self.process.data(target, source)
        noise = torch.stack([torch.randn(data.shape[1:], generator=g, device=g.device) for g in generators])
        uniform = torch.tensor([coin[4] for coin in coins], device=self.device)
        at_end = torch.tensor([coin[3] for coin in coins], device=self.device) < settings.mean_share
        level = torch.where(at_end, 1.0, path.training_levels(uniform))
        return objective(
            partial(self.process.predict, network, given),
            path,
            settings.parameterisation,
            data,
            level,
            noise.to(self.device),
        )[None]

    def _example(self, i: int, coin: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return source, target, numbers and reach of a pair: turned round, mirrored, its time hidden, by chance."""
        settings, pairs = self.process.settings, self.train.pairs
        rows, gap = (int(pairs.context[i]), int(pairs.target[i])), float(pairs.gap[i])
        if settings.backward and gap > 0 and coin[0] < 0.5:
            rows, gap = rows[::-1], -gap
        elif coin[1] < settings.interval_dropout:
            gap = np.nan
        source, target = (self.train.volumes[row].data for row in rows)
        if settings.flip and coin[2] < 0.5:
            source, target = source[::-1], target[::-1]
        years = np.array([gap])
        numbers = self.conditions.numbers(self.labels[rows[0]][None], years)[0]
        return source[None], target[None], numbers, self.conditions.reach(years)[0]

    @cached_property
    def labels(self) -> np.ndarray:
        """Encoded labels of all training visits, shape (n_visits, n_labels)."""
        cohort = self.train.cohort
        return self.conditions.encode(cohort.labels_at(np.arange(cohort.n_visits)))

    @torch.no_grad()
    def validation_score(self, network: Any) -> Tensor:
        """Return minus the loss of validation pairs, with the same levels and noise each time, shape (1,).

        The loss at level 1, where the mean is learned, counts as much as in training.
        """
        settings, path = self.process.settings, self.process.path
        chosen = np.arange(len(self.validation))[:_VALIDATION_PAIRS]
        levels = torch.tensor([1.0, *_VALIDATION_LEVELS] if settings.mean_share else _VALIDATION_LEVELS)
        weights = torch.full((len(levels),), 1.0 / len(levels))
        if settings.mean_share:
            weights = torch.full((len(levels),), (1 - settings.mean_share) / len(_VALIDATION_LEVELS))
            weights[0] = settings.mean_share
        total = 0.0
        for i in chosen:
            row, gap = self.validation.pairs.context[i : i + 1], self.validation.pairs.gap[i : i + 1]
            labels = self.conditions.encode(self.validation.cohort.labels_at(row))
            source, target = (
                torch.from_numpy(np.array(volume))[None, None].to(self.device)
                for volume in (self.validation.source(i), self.validation.target(i))
            )
            numbers, reach = self.conditions.numbers(labels, gap), self.conditions.reach(gap)
            given = Condition(
                source, torch.from_numpy(numbers).to(self.device), torch.from_numpy(reach).to(self.device)
            ).repeat(len(levels))
            data = self.process.data(target, source)[0].expand(len(levels), *source.shape[1:])
            key = torch.from_numpy(subject_keys([str(self.validation.cohort.subjects[0])]))
            noise = counter_normal(
                key.expand(len(levels)), _VALIDATION_SEED, torch.arange(len(levels)), int(i), tuple(source.shape[1:])
            )
            loss = objective(
                partial(self.process.predict, network, given),
                path,
                settings.parameterisation,
                data,
                levels.to(self.device),
                noise.to(self.device),
            )
            total += float(loss.cpu() @ weights)
        return torch.tensor([-total / len(chosen)], dtype=torch.float64)
