"""What a diffusion network for volumes trains on, and how draws are made with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextscan.diffusion import (
    Denoiser,
    Path,
    Sampler,
    counter_normal,
    diffuse,
    expand,
    make_denoiser,
    sample,
    training_target,
)
from nextscan.imputers.volumes.examples import N_COINS, Condition, PairExamples, coins_of, noise_of
from nextscan.imputers.volumes.volume_diffusion_settings import VolumeDiffusionSettings

_VALIDATION_SEED = 20_250_101
_VALIDATION_LEVELS = (0.5,)
_VALIDATION_PAIRS = 64
_VOXELS_AT_ONCE = 2**22  # of draws made side by side


@dataclass(frozen=True, eq=False)
class VolumeProcess:
    """Path and sampler, and what goes into and comes out of the network.

    Attributes
    ----------
    spread : Tensor, shape (n_bins,)
        Unit of the residual: root mean square of the change between training pairs where the source is as
        bright as the bin, of those that share [-1, 1] out. In air hardly anything changes, at edges much does.
    """

    path: Path
    sampler: Sampler
    settings: VolumeDiffusionSettings
    spread: Tensor

    @property
    def around_mean(self) -> bool:
        """Whether below level 1 what is diffused is what the predictive mean leaves of the residual.

        Then draws lie around the mean from the first step of training on, and what the network has yet to learn
        of their shape does not move them off it.
        """
        return self.settings.target == "residual" and self.settings.mean_share > 0

    def unit(self, source: Tensor) -> Tensor:
        """Return the spread at each voxel of the source, interpolated between the middles of bins."""
        spread = self.spread.to(source.device)
        place = ((source + 1) * (len(spread) / 2) - 0.5).clamp(0, len(spread) - 1)
        below = place.floor().long().clamp(max=len(spread) - 2)
        return torch.lerp(spread[below], spread[below + 1], place - below)

    def data(self, target: Tensor, given: Condition) -> Tensor:
        """Return what is diffused: the follow-up, or the residual to `Condition.base` in units of its spread."""
        return (target - given.base) / self.unit(given.source) if self.settings.target == "residual" else target

    def volume(self, data: Tensor, given: Condition) -> Tensor:
        """Undo `data`; prepared volumes lie in [-1, 1], and so does what is predicted."""
        volume = given.base + self.unit(given.source) * data if self.settings.target == "residual" else data
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
        if self.settings.grows:
            output = output[:, :1] + expand(given.reach, output) * output[:, 1:]
        return output

    @torch.no_grad()
    def mean(self, network: Any, given: Condition) -> Tensor:
        """Return the predictive mean, shape (B, 1, X, Y, Z): the estimate of the data where only noise is left.

        There ``E[x0 | x]`` does not depend on x; it is what the squared error of training asks of the network.
        """
        return self.volume(self._at_end(network, given), given)

    @torch.no_grad()
    def growth(self, network: Any, given: Condition) -> Tensor:
        """Return what of the mean is due to the years that pass, shape (B, 1, X, Y, Z)."""
        still = replace(given, reach=torch.zeros_like(given.reach))
        grown, stood = (self._at_end(network, condition) for condition in (given, still))
        return given.base - given.source + self.unit(given.source) * (grown - stood)

    def _at_end(self, network: Any, given: Condition) -> Tensor:
        """Return the estimate at the end, of both mirror images where both were learned from."""
        estimate = self.estimate_at_end(network, given)
        if not self.settings.flip:
            return estimate
        mirrored = self.estimate_at_end(network, replace(given, source=given.source.flip(2)))
        return (estimate + mirrored.flip(2)) / 2

    @torch.no_grad()
    def estimate_at_end(self, network: Any, given: Condition) -> Tensor:
        """Return the network's estimate of the data where only noise is left."""
        end = torch.ones((), device=given.source.device)
        return self._denoiser(network, given)(torch.zeros_like(given.source), end)

    def _denoiser(self, network: Any, given: Condition) -> Denoiser:
        """Return what estimates the data of a condition, or of as many as there are."""

        def predict(x: Tensor, level: Tensor) -> Tensor:
            return self.predict(network, given, x, level.expand(len(x)))

        clamp = (-1.0, 1.0) if self.settings.clamp else None
        return make_denoiser(predict, self.path, self.settings.parameterisation, clamp)

    def _of_rest(self, denoise: Denoiser) -> Denoiser:
        """Return what estimates what the mean leaves of the data: nothing where only noise is left."""
        return lambda x, level: denoise(x, level) if level < 1 else torch.zeros_like(x)

    @torch.no_grad()
    def draw(self, network: Any, given: Condition, key: int, n_draws: int, seed: int) -> Tensor:
        """Draw volumes for one condition, shape (n_draws, X, Y, Z)."""
        shape, device = tuple(given.source.shape[1:]), given.source.device
        at_once = max(1, _VOXELS_AT_ONCE // given.source.numel())
        middle = self._at_end(network, given) if self.around_mean else 0.0
        parts = []
        for which in torch.arange(n_draws, device=device).split(at_once):
            several = given.repeat(len(which))
            denoise = self._denoiser(network, several)

            def noise(step: int, which: Tensor = which) -> Tensor:
                return counter_normal(torch.full_like(which, key), seed, which, step, shape)

            made = sample(
                self._of_rest(denoise) if self.around_mean else denoise,
                self.path,
                self.sampler,
                start=noise(-1),
                levels=self.path.sampling_levels(self.settings.sampling_steps),
                noise=noise,
            )
            parts.append(self.volume(middle + made, several)[:, 0])
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class VolumeProblem:
    """Diffusion of follow-up volumes, see `nextscan.training.Problem`.

    Attributes
    ----------
    train, validation : PairExamples
    process : VolumeProcess
    scale : float
        Root mean square of the change between training pairs: losses are in units of its square.
    """

    train: PairExamples
    validation: PairExamples
    process: VolumeProcess
    scale: float

    @property
    def n_examples(self) -> int:
        """Number of training pairs."""
        return len(self.train)

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the squared error of the prediction for each pair, shape (1, B)."""
        settings = self.process.settings
        coins = coins_of(generators, N_COINS + 2)
        given, target = self.train.batch(examples[0].tolist(), coins, settings)
        at_end, uniform = torch.from_numpy(coins[:, N_COINS:].astype(np.float32)).to(target.device).T
        level = torch.where(at_end < settings.mean_share, 1.0, self.process.path.training_levels(uniform))
        return self._errors(network, given, target, level, noise_of(generators, target))[None]

    def _errors(self, network: Any, given: Condition, target: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        """Return the squared error of each example, as of intensities: in their unit, edges weigh what they weigh."""
        process, kind = self.process, self.process.settings.parameterisation
        a, s = process.path.signal_noise(level)
        data = process.data(target, given)
        if process.around_mean and (below := level < 1).any():
            data[below] -= process.estimate_at_end(network, given.where(below))
        output = process.predict(network, given, diffuse(data, noise, a, s), level)
        error = (output - training_target(kind, data, noise, a, s)).square()
        if process.settings.target == "residual":
            error = error * (process.unit(given.source) / self.scale).square()
        return error.flatten(1).mean(1)

    @torch.no_grad()
    def validation_score(self, network: Any) -> Tensor:
        """Return minus the loss of validation pairs, with the same levels and noise each time, shape (1,).

        Level 1, where the mean is learned, counts as much as in training.
        """
        share = self.process.settings.mean_share
        levels = [1.0, *_VALIDATION_LEVELS] if share else [*_VALIDATION_LEVELS]
        rest = [(1 - share) / len(_VALIDATION_LEVELS)] * len(_VALIDATION_LEVELS)
        weights = torch.tensor([share, *rest] if share else rest, dtype=torch.float64)
        losses = []
        for i in range(min(len(self.validation), _VALIDATION_PAIRS)):
            given, target = self.validation.plain(i)
            n, shape = len(levels), tuple(target.shape[1:])
            noise = counter_normal(torch.full((n,), i), _VALIDATION_SEED, torch.arange(n), 0, shape)
            level = torch.tensor(levels, device=target.device)
            each = self._errors(network, given.repeat(n), target.expand(n, *shape), level, noise.to(target.device))
            losses.append(each.double().cpu() @ weights)
        return -torch.stack(losses).mean()[None]
