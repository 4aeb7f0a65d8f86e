"""What a diffusion network for volumes trains on, and how draws are made with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextscan.diffusion import Path, Sampler, counter_normal, diffuse, expand, make_denoiser, sample, training_target
from nextscan.imputers.volumes.diffusion.expected_change import unit_of
from nextscan.imputers.volumes.diffusion.settings import VolumeDiffusionSettings
from nextscan.imputers.volumes.examples import N_COINS, Condition, PairProblem, coins_of, noise_of

_VALIDATION_SEED = 20_250_101
_VALIDATION_LEVEL = 0.5
_VOXELS_AT_ONCE = 2**22  # of draws made side by side


@dataclass(frozen=True, eq=False)
class VolumeProcess:
    """Path and sampler, and what goes into and comes out of the network.

    Attributes
    ----------
    spread : Tensor, shape (n_bins,)
        Unit of the residual, see `unit_of`: of what the expected change leaves of that between pairs, of training
        while the network learns, of held-out people for draws; without it of the change between training pairs.
    """

    path: Path
    sampler: Sampler
    settings: VolumeDiffusionSettings
    spread: Tensor

    def data(self, target: Tensor, given: Condition) -> Tensor:
        """Return what is diffused: the follow-up, or its residual to what is expected, in units of its spread."""
        if self.settings.target == "follow-up":
            return target
        return (target - given.middle) / unit_of(given.source, self.spread)

    def volume(self, data: Tensor, given: Condition) -> Tensor:
        """Undo `data`; prepared volumes lie in [-1, 1], and so does what is predicted."""
        if self.settings.target == "residual":
            data = given.middle + unit_of(given.source, self.spread) * data
        return data.clamp(-1, 1)

    def predict(self, network: Any, given: Condition, x: Tensor, level: Tensor) -> Tensor:
        """Return the network's output for noisy data x (B, 1, X, Y, Z) at level (B,).

        On a path that ends at noise the network sees ``a x``, the best guess of white data: at level 1 that
        is 0, not noise it had to learn to ignore.
        """
        source = given.source if self.settings.use_source else None
        numbers = given.numbers if given.numbers.shape[1] else None
        if self.path.ends_at_noise:
            x = expand(self.path.signal_noise(level)[0], x) * x
        output: Tensor = network(x, level, source, numbers).float()
        return output

    @torch.no_grad()
    def draw(self, network: Any, given: Condition, key: int, n_draws: int, seed: int) -> Tensor:
        """Draw volumes for one condition, shape (n_draws, X, Y, Z)."""
        shape, device = tuple(given.source.shape[1:]), given.source.device
        at_once = max(1, _VOXELS_AT_ONCE // given.source.numel())
        clamp = (-1.0, 1.0) if self.settings.clamp else None
        parts = []
        for which in torch.arange(n_draws, device=device).split(at_once):
            several = given.repeat(len(which))

            def predict(x: Tensor, level: Tensor, several: Condition = several) -> Tensor:
                return self.predict(network, several, x, level.expand(len(x)))

            def noise(step: int, which: Tensor = which) -> Tensor:
                return counter_normal(torch.full_like(which, key), seed, which, step, shape)

            made = sample(
                make_denoiser(predict, self.path, self.settings.parameterisation, clamp),
                self.path,
                self.sampler,
                start=noise(-1),
                levels=self.path.sampling_levels(self.settings.sampling_steps),
                noise=noise,
            )
            parts.append(self.volume(made, several)[:, 0])
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class VolumeProblem(PairProblem):
    """Diffusion of follow-up volumes, see `nextscan.training.Problem`.

    Attributes
    ----------
    process : VolumeProcess
    scale : float
        Root mean square of the change between training pairs: losses are in units of its square.
    expected : callable, optional
        Returns the expected change of conditions: then what is diffused lies around it.
    """

    process: VolumeProcess
    scale: float
    expected: Callable[[Condition], Tensor] | None = None

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the squared error of the prediction for each pair, shape (1, B)."""
        coins = coins_of(generators, N_COINS + 1)
        given, target = self.train.batch(examples[0].tolist(), coins, self.process.settings)
        uniform = torch.from_numpy(coins[:, N_COINS].astype(np.float32)).to(target.device)
        level = self.process.path.training_levels(uniform)
        return self._errors(network, given, target, level, noise_of(generators, target))[None]

    def _errors(self, network: Any, given: Condition, target: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        """Return the squared error of each example, as of intensities: in their unit, edges weigh what they weigh."""
        process, kind = self.process, self.process.settings.parameterisation
        if self.expected is not None:
            given = given.around(self.expected(given))
        a, s = process.path.signal_noise(level)
        data = process.data(target, given)
        output = process.predict(network, given, diffuse(data, noise, a, s), level)
        error = (output - training_target(kind, data, noise, a, s)).square()
        if process.settings.target == "residual":
            error = error * (unit_of(given.source, process.spread) / self.scale).square()
        return error.flatten(1).mean(1)

    def judged(self, network: Any, given: Condition, target: Tensor, i: int) -> Tensor:
        """Return the squared error of a validation pair, always at the same level and with the same noise."""
        noise = counter_normal(torch.tensor([i]), _VALIDATION_SEED, 0, 0, tuple(target.shape[1:]))
        level = torch.full((1,), _VALIDATION_LEVEL, device=target.device)
        return self._errors(network, given, target, level, noise.to(target.device))
