"""A conditional adversarial network of change, from its settings to draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray, Volume
from nextscan.cohort import Cohort
from nextscan.diffusion import counter_normal
from nextscan.imputers.settings import at_least, torch_device
from nextscan.imputers.volumes.base import Draw, Given
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.examples import N_COINS, Condition, PairExamples, PairProblem, coins_of, noise_of
from nextscan.imputers.volumes.learning import Arrays, arrays_of, lesson, load_into
from nextscan.imputers.volumes.learning_settings import LearningSettings, Machine
from nextscan.networks.volume_gan import VolumeGANNetwork
from nextscan.preprocess.volumes import VolumePreparer
from nextscan.randomness import subject_keys

_VALIDATION_SEED = 20_261_128
_VOXELS_AT_ONCE = 2**22
_WAVES = 2  # of the time on a circle


@dataclass(frozen=True)
class UNetGANSettings(LearningSettings):
    """Choices of the adversarial network beside those of `LearningSettings`.

    Attributes
    ----------
    adversarial : float
        What the critic counts for beside the absolute error.
    channels, patch
        Of the generator, a `nextscan.networks.volume_unet.VolumeUNet`; the critic has the same widths.
    """

    adversarial: float = 0.01
    channels: tuple[int, ...] = (16, 32, 64)
    patch: int = 2
    flip: bool = False
    interval_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, adversarial=self.adversarial)
        at_least(1, patch=self.patch)


def phases(times: FloatArray, period: float | None) -> NDArray[np.float32]:
    """Return where on a circle times are, as sines and cosines, shape (n, 4); none on a line, 0 where unknown."""
    if period is None:
        return np.zeros((len(times), 0), np.float32)
    angle = 2 * np.pi * times[:, None] / period * np.arange(1, _WAVES + 1)
    return np.nan_to_num(np.concatenate([np.sin(angle), np.cos(angle)], axis=1)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class GANProblem(PairProblem):
    """The absolute error of generated changes and what a critic says, see `nextscan.training.Problem`.

    Attributes
    ----------
    settings : UNetGANSettings
    spread : float
        Unit of change.
    period : float or None
        Where time is a circle.
    """

    settings: UNetGANSettings
    spread: float
    period: float | None

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each pair, shape (1, B): the generator's and the critic's, who share no parameter."""
        chosen, coins = examples[0].tolist(), coins_of(generators, N_COINS)
        given, target = self.train.batch(chosen, coins, self.settings)
        pairs = self.train.data.pairs
        turned = (pairs.gap[chosen] > 0) & (coins[:, 0] < 0.5) & self.settings.backward
        rows = np.where(turned, pairs.context[chosen], pairs.target[chosen])
        given = timed(given, self.train.data.cohort.years[rows], self.period)
        change = (target - given.source) / self.spread
        generated, fooling, telling = network(noise_of(generators, change), given.source, given.numbers, change)
        error = (generated - change).float().abs().flatten(1).mean(1)
        return (error + self.settings.adversarial * fooling + telling)[None]

    def judged(self, network: Any, given: Condition, target: Tensor, i: int) -> Tensor:
        """Return the absolute error of a validation pair, always with the same noise."""
        data = self.validation.data
        given = timed(given, data.cohort.years[data.pairs.target[i : i + 1]], self.period)
        noise = counter_normal(torch.tensor([i]), _VALIDATION_SEED, 0, 0, target.shape[1:]).to(target.device)
        change = (target - given.source) / self.spread
        generated: Tensor = network(noise, given.source, given.numbers, change)[0]
        return (generated - change).float().abs().flatten(1).mean(1)


def timed(given: Condition, times: FloatArray, period: float | None) -> Condition:
    """Return the condition with the times of its targets among its numbers, where time is a circle."""
    added = torch.from_numpy(phases(times, period)).to(given.numbers.device)
    return replace(given, numbers=torch.cat([given.numbers, added], dim=1))


@dataclass(frozen=True, eq=False)
class TrainedGAN:
    """What training learned.

    Attributes
    ----------
    settings : UNetGANSettings
    conditions : Conditions
    period : float or None
        Where time is a circle.
    spread : float
        Unit of change, prepared scale.
    network : dict of name to ndarray
        Of the generator; nobody needs the critic any more.
    """

    settings: UNetGANSettings
    conditions: Conditions
    period: float | None
    spread: float
    network: Arrays

    @classmethod
    def fit(
        cls, settings: UNetGANSettings, machine: Machine, *, preparer: VolumePreparer, train: Cohort, **given: Any
    ) -> tuple[Self, dict[str, Any]]:
        """Train; return what was learned and what is to be recorded of it. For the rest see `lesson`."""
        period = train.period
        if period is not None:
            settings = replace(settings, match_brightness=False)
        with lesson(settings, machine, preparer, train, **given) as taught:
            if period is not None:
                taught.train, taught.validation = (_in_one_scale(part) for part in (taught.train, taught.validation))
                taught.spread = taught.train.data.spread()

            def make() -> tuple[VolumeGANNetwork, GANProblem]:
                network = _network(settings, taught.conditions, period, checkpointing=machine.checkpointing)
                return network, GANProblem(taught.train, taught.validation, settings, taught.spread, period)

            network = taught.teacher.teach("change", make)
            learned = arrays_of(network.get_submodule("generator"))
            return cls(settings, taught.conditions, period, taught.spread, learned), taught.record()

    def drawing(self, machine: Machine) -> Draw:
        """Return what draws volumes: changes generated from normal noise."""
        device = torch_device(machine.device)
        network = _network(self.settings, self.conditions, self.period)
        load_into(network.generator, self.network, device)

        @torch.no_grad()
        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume]:
            condition = timed(Condition.of(given, self.conditions, device), np.array([given.time]), self.period)
            key = int(subject_keys([given.subject])[0])
            made = []
            for which in torch.arange(n_draws).split(max(1, _VOXELS_AT_ONCE // given.source.size)):
                several = condition.repeat(len(which))
                keys = torch.full_like(which, key)
                noise = counter_normal(keys, seed, which, 0, (1, *given.source.shape)).to(device)
                with machine.autocast():
                    change = network.generate(noise, several.source, several.numbers)
                made.append((several.source + self.spread * change.float())[:, 0].cpu())
            draws = torch.cat(made).clamp(-1, 1)
            return draws.numpy(), draws.mean(0).numpy()

        return draw

    def state(self) -> dict[str, Any]:
        """Return what was learned; settings are saved with the estimator's parameters."""
        return {
            "conditions": self.conditions.state(),
            "period": self.period,
            "spread": self.spread,
            "network": self.network,
        }

    @classmethod
    def from_state(cls, settings: UNetGANSettings, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        return cls(settings, **{**state, "conditions": Conditions.from_state(state["conditions"])})


def _in_one_scale(examples: PairExamples) -> PairExamples:
    """Return pairs of which both images have the intensity scale of the one to start from."""
    data = examples.data
    weights = np.zeros((len(data), 20))  # no factor between them
    return replace(examples, data=replace(data, brighter=weights))


def _network(
    settings: UNetGANSettings, conditions: Conditions, period: float | None, *, checkpointing: bool = False
) -> VolumeGANNetwork:
    return VolumeGANNetwork(
        n_numbers=conditions.n_numbers + phases(np.zeros(1), period).shape[1],
        channels=settings.channels,
        attention=(False,) * len(settings.channels),
        patch=settings.patch,
        checkpointing=checkpointing,
    )
