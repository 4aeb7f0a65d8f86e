"""A diffusion network for volumes, from its settings to draws; the estimators are thin around it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nextscan.arrays import Volume
from nextscan.diffusion import SAMPLERS, ContinuousPath, linear_betas
from nextscan.diffusion import Path as NoisePath
from nextscan.imputers.settings import one_of, torch_device
from nextscan.imputers.volumes.base import Draw, Given
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.diffusion.expected_change import ExpectedChange, MeanProblem
from nextscan.imputers.volumes.diffusion.held_out import calibrated, spread_left
from nextscan.imputers.volumes.diffusion.problem import VolumeProblem, VolumeProcess
from nextscan.imputers.volumes.diffusion.rate_variation import RateVariation
from nextscan.imputers.volumes.diffusion.settings import VolumeDiffusionSettings
from nextscan.imputers.volumes.examples import Condition
from nextscan.imputers.volumes.learning import Arrays, arrays_of, lesson, load_into
from nextscan.imputers.volumes.learning_settings import Machine
from nextscan.networks.volume_unet import VolumeUNet
from nextscan.randomness import subject_keys


@dataclass(frozen=True, eq=False)
class TrainedDiffusion:
    """What training learned.

    Attributes
    ----------
    settings : VolumeDiffusionSettings
    conditions : Conditions
    spread : ndarray of float32, shape (n_bins,)
        See `VolumeProcess`.
    network : dict of name to ndarray
        Of the diffusion.
    mean_spread : ndarray of float32, shape (n_bins,)
        See `ExpectedChange`.
    mean_network : dict of name to ndarray
        Of the expected change; empty where nothing is learned of it.
    variation : RateVariation or None
        Of people's rates around those expected.
    """

    settings: VolumeDiffusionSettings
    conditions: Conditions
    spread: NDArray[np.float32]
    network: Arrays
    mean_spread: NDArray[np.float32]
    mean_network: Arrays
    variation: RateVariation | None = None

    @classmethod
    def fit(cls, settings: VolumeDiffusionSettings, machine: Machine, **given: Any) -> tuple[Self, dict[str, Any]]:
        """Train; return what was learned and what is to be recorded of it. For the rest see `lesson`.

        The mean goes first; what it leaves of the change is then diffused.
        """
        make_process(settings, np.ones(2, np.float32))  # refuses a wrong sampler before the images are read
        with lesson(settings, machine, **given) as taught:
            conditions, both = taught.conditions, (taught.train, taught.validation)
            mean_spread = spread = taught.train.data.spread_by_brightness()
            mean_network, mean, epochs, variation = {}, None, None, None
            if settings.mean_channels:
                expected = ExpectedChange(settings, conditions, torch.from_numpy(mean_spread))
                network = taught.teacher.teach(
                    "mean", lambda: (expected.network(), MeanProblem(*both, expected, taught.spread))
                )
                mean, mean_network = partial(expected.said, network), arrays_of(network)
                spread = taught.teacher.first(lambda: spread_left(mean, taught.train))
                epochs = settings.draw_epochs
            process = make_process(settings, spread)

            def make() -> tuple[VolumeUNet, VolumeProblem]:
                around = None if mean is None else lambda given: mean(given).total
                network = make_network(settings, conditions, checkpointing=machine.checkpointing)
                return network, VolumeProblem(*both, process, taught.spread, around)

            drawing = taught.teacher.teach("draws", make, epochs=epochs)
            if mean is not None:
                spread, variation = taught.teacher.first(lambda: calibrated(process, drawing, mean, taught.validation))
            record = taught.record() | {"rate_variation": None if variation is None else asdict(variation)}
        return cls(settings, conditions, spread, arrays_of(drawing), mean_spread, mean_network, variation), record

    def drawing(self, machine: Machine) -> Draw:
        """Return what draws volumes and, where the expected change was learned, predicts their mean.

        Where change grows with the years, the mean is the source and what grows: it keeps the noise of the source,
        so that at 0 years it *is* the source, and regions measured in both differ by change alone. Draws have noise of
        their own, and so their mean has less.
        """
        device, process = torch_device(machine.device), make_process(self.settings, self.spread)
        network = load_into(make_network(self.settings, self.conditions), self.network, device)
        expected = ExpectedChange(self.settings, self.conditions, torch.from_numpy(self.mean_spread))
        mean_network = load_into(expected.network(), self.mean_network, device) if self.mean_network else None

        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume | None]:
            condition = Condition.of(given, self.conditions, device)
            key, mean = int(subject_keys([given.subject])[0]), None
            with machine.autocast():
                if mean_network is not None:
                    change = expected.said(mean_network, condition)
                    moved = condition.source + (change.grown if expected.growing else change.total)
                    mean = moved.clamp(-1, 1)[0, 0].cpu().numpy()
                    condition = condition.around(change.total)
                draws = process.draw(network, condition, key, n_draws, seed).cpu().numpy()
            if self.variation is not None:
                factors = self.variation.factors(given.source.shape, given.subject, n_draws, seed)
                draws += factors * change.grown[0, 0].cpu().numpy()
                draws.clip(-1, 1, out=draws)
            return draws, mean

        return draw

    def state(self) -> dict[str, Any]:
        """Return what was learned; settings are saved with the estimator's parameters."""
        own = {name: getattr(self, name) for name in ("spread", "network", "mean_spread", "mean_network")}
        variation = None if self.variation is None else asdict(self.variation)
        return {"conditions": self.conditions.state(), "variation": variation, **own}

    @classmethod
    def from_state(cls, settings: VolumeDiffusionSettings, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        variation = None if state["variation"] is None else RateVariation(**state["variation"])
        return cls(
            settings, **{**state, "conditions": Conditions.from_state(state["conditions"]), "variation": variation}
        )


def make_process(settings: VolumeDiffusionSettings, spread: NDArray[np.float32]) -> VolumeProcess:
    """Return path and sampler of the settings.

    Raises
    ------
    SettingError
        If there is no such sampler.
    """
    one_of(SAMPLERS, sampler=settings.sampler)
    paths: dict[str, NoisePath] = {
        "linear": linear_betas(steps=settings.steps, start=1e-4, end=0.02),
        "cosine": ContinuousPath("cosine", log_snr_min=-np.inf),
    }
    return VolumeProcess(paths[settings.schedule], SAMPLERS[settings.sampler], settings, torch.from_numpy(spread))


def make_network(
    settings: VolumeDiffusionSettings, conditions: Conditions, *, checkpointing: bool = False
) -> VolumeUNet:
    """Return an untrained network; its parameters come from torch's global generator."""
    return VolumeUNet(
        channels=settings.channels,
        attention=settings.attention,
        n_residual=settings.n_residual,
        n_sources=int(settings.use_source),
        n_numbers=conditions.n_numbers,
        concatenate=settings.condition == "channels",
        patch=settings.patch,
        checkpointing=checkpointing,
    )
