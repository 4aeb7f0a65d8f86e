"""A conditional variational autoencoder of change, from its settings to draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from nextscan.arrays import Volume
from nextscan.diffusion import counter_normal
from nextscan.imputers.settings import at_least, torch_device
from nextscan.imputers.volumes.base import Draw, Given
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.examples import N_COINS, Condition, PairProblem, coins_of
from nextscan.imputers.volumes.learning import Arrays, arrays_of, lesson, load_into
from nextscan.imputers.volumes.learning_settings import LearningSettings, Machine
from nextscan.networks.volume_vae import VolumeVAENetwork
from nextscan.randomness import subject_keys

_VALIDATION_SEED = 20_250_102
_VOXELS_AT_ONCE = 2**22


@dataclass(frozen=True)
class VolumeVAESettings(LearningSettings):
    """Choices of the autoencoder beside those of `LearningSettings`.

    Attributes
    ----------
    latent : int
        Length of the code.
    channels, patch
        Of the decoder, a `nextscan.networks.volume_unet.VolumeUNet`, and of the encoder.
    """

    latent: int = 8
    channels: tuple[int, ...] = (16, 32, 64)
    patch: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, latent=self.latent, patch=self.patch)


@dataclass(frozen=True, eq=False)
class VAEProblem(PairProblem):
    """Evidence lower bound of follow-up volumes given their sources, see `nextscan.training.Problem`.

    Attributes
    ----------
    settings : VolumeVAESettings
    spread : float
        Unit of change.
    """

    settings: VolumeVAESettings
    spread: float

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return minus the bound per voxel for each pair, shape (1, B)."""
        given, target = self.train.batch(examples[0].tolist(), coins_of(generators, N_COINS), self.settings)
        noise = torch.stack([torch.randn(self.settings.latent, generator=g, device=g.device) for g in generators])
        return self._bound(network, given, target, noise.to(target.device))[None]

    def _bound(self, network: Any, given: Condition, target: Tensor, noise: Tensor) -> Tensor:
        """Return ``-log p(change | code) + KL(code || N(0, 1))`` over the number of voxels, shape (B,)."""
        change = (target - given.source) / self.spread
        decoded, mean, log_variance, log_noise = network(change, given.source, given.numbers, noise)
        error = (change - decoded.float()).square().flatten(1).mean(1)
        misfit = error / (2 * (2 * log_noise).exp()) + log_noise + math.log(math.tau) / 2
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).float().sum(1) / 2
        return misfit + divergence / change[0].numel()

    def judged(self, network: Any, given: Condition, target: Tensor, i: int) -> Tensor:
        """Return minus the bound of a validation pair, always with the same noise."""
        noise = counter_normal(torch.tensor([i]), _VALIDATION_SEED, 0, 0, (self.settings.latent,))
        return self._bound(network, given, target, noise.to(target.device))


@dataclass(frozen=True, eq=False)
class TrainedVAE:
    """What training learned.

    Attributes
    ----------
    settings : VolumeVAESettings
    conditions : Conditions
    spread : float
        Unit of change, prepared scale.
    network : dict of name to ndarray
    """

    settings: VolumeVAESettings
    conditions: Conditions
    spread: float
    network: Arrays

    @classmethod
    def fit(cls, settings: VolumeVAESettings, machine: Machine, **given: Any) -> tuple[Self, dict[str, Any]]:
        """Train; return what was learned and what is to be recorded of it. For the rest see `lesson`."""
        with lesson(settings, machine, **given) as taught:

            def make() -> tuple[VolumeVAENetwork, VAEProblem]:
                network = _network(settings, taught.conditions, checkpointing=machine.checkpointing)
                return network, VAEProblem(taught.train, taught.validation, settings, taught.spread)

            network = arrays_of(taught.teacher.teach("change", make))
            return cls(settings, taught.conditions, taught.spread, network), taught.record()

    def drawing(self, machine: Machine) -> Draw:
        """Return what draws volumes: codes from N(0, 1), decoded, and noise of what the decoder leaves."""
        device = torch_device(machine.device)
        network = _network(self.settings, self.conditions)
        load_into(network, self.network, device)
        noise = self.spread * float(network.log_noise.exp())

        @torch.no_grad()
        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume]:
            condition = Condition.of(given, self.conditions, device)
            shape = given.source.shape
            key = int(subject_keys([given.subject])[0])
            decoded, fresh = [], []
            for which in torch.arange(n_draws).split(max(1, _VOXELS_AT_ONCE // given.source.size)):
                several, keys = condition.repeat(len(which)), torch.full_like(which, key)
                code = counter_normal(keys, seed, which, 0, (self.settings.latent,)).to(device)
                with machine.autocast():
                    change = network.decode(code, several.source, several.numbers)
                decoded.append((several.source + self.spread * change.float())[:, 0].cpu())
                fresh.append(counter_normal(keys, seed, which, 1, shape))
            likely = torch.cat(decoded)
            draws = (likely + noise * torch.cat(fresh)).clamp(-1, 1)
            return draws.numpy(), likely.mean(0).clamp(-1, 1).numpy()

        return draw

    def state(self) -> dict[str, Any]:
        """Return what was learned; settings are saved with the estimator's parameters."""
        return {"conditions": self.conditions.state(), "spread": self.spread, "network": self.network}

    @classmethod
    def from_state(cls, settings: VolumeVAESettings, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        return cls(settings, Conditions.from_state(state["conditions"]), state["spread"], state["network"])


def _network(settings: VolumeVAESettings, conditions: Conditions, *, checkpointing: bool = False) -> VolumeVAENetwork:
    return VolumeVAENetwork(
        latent=settings.latent,
        n_numbers=conditions.n_numbers,
        channels=settings.channels,
        attention=(False,) * len(settings.channels),
        patch=settings.patch,
        checkpointing=checkpointing,
    )
