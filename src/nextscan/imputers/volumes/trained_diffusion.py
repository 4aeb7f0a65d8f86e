"""A diffusion network for volumes, from its settings to draws; the estimators are thin around it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nextscan.diffusion import SAMPLERS, ContinuousPath, linear_betas
from nextscan.diffusion import Path as NoisePath
from nextscan.errors import SettingError
from nextscan.imputers.volumes.base import Draw, Given
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.diffusion_problem import VolumeProblem, VolumeProcess
from nextscan.imputers.volumes.examples import Condition, PairExamples
from nextscan.imputers.volumes.learning import Arrays, Machine, Task, learn, load_into
from nextscan.imputers.volumes.pairs import Volume
from nextscan.imputers.volumes.rate_variation import Evidence, RateVariation
from nextscan.imputers.volumes.volume_diffusion_settings import VolumeDiffusionSettings
from nextscan.networks.volume_unet import VolumeUNet
from nextscan.randomness import subject_keys

_VARIATION_PAIRS, _VARIATION_DRAWS = 128, 8  # few pairs have many draws, so that these add no doubt
_VARIATION_SEED = 20_250_103


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
    variation : RateVariation or None
        Of people's rates around those expected, where change grows with the years.
    """

    settings: VolumeDiffusionSettings
    conditions: Conditions
    spread: NDArray[np.float32]
    network: Arrays
    variation: RateVariation | None = None

    @classmethod
    def fit(cls, settings: VolumeDiffusionSettings, machine: Machine, **given: Any) -> tuple[Self, dict[str, Any]]:
        """Train; return what was learned and what is to be recorded of it. For the rest see `learn`."""
        spread = np.ones(2, np.float32)

        def make(task: Task) -> tuple[VolumeUNet, VolumeProblem]:
            nonlocal spread
            spread = task.train.data.spread_by_brightness()
            network = make_network(settings, task.conditions, checkpointing=machine.checkpointing)
            return network, VolumeProblem(task.train, task.validation, make_process(settings, spread), task.spread)

        make_process(settings, spread)  # refuses a wrong sampler before the images are read

        def finish(network: Any, task: Task) -> RateVariation:
            return _variation(network, make_process(settings, spread), task.validation)

        knows_mean = settings.grows and settings.mean_share > 0 and settings.target == "residual"
        network, task, record, variation = learn(
            settings, machine, make=make, finish=finish if knows_mean else None, **given
        )
        record["rate_variation"] = None if variation is None else asdict(variation)
        return cls(settings, task.conditions, spread, network, variation), record

    def drawing(self, machine: Machine) -> Draw:
        """Return what draws volumes and, where level 1 was trained, predicts their mean."""
        device, process = machine.torch_device(), make_process(self.settings, self.spread)
        network = load_into(make_network(self.settings, self.conditions), self.network, device)

        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume | None]:
            condition = Condition.of(given, self.conditions, device)
            with machine.autocast():
                key = int(subject_keys([given.subject])[0])
                draws = process.draw(network, condition, key, n_draws, seed).cpu().numpy()
                if self.variation is not None:
                    factors = self.variation.factors(given.source.shape, given.subject, n_draws, seed)
                    draws += factors * process.growth(network, condition)[0, 0].cpu().numpy()
                    draws.clip(-1, 1, out=draws)
                mean = process.mean(network, condition)[0, 0].cpu().numpy() if self.settings.mean_share else None
            return draws, mean

        return draw

    def state(self) -> dict[str, Any]:
        """Return what was learned; settings are saved with the estimator's parameters."""
        return {
            "conditions": self.conditions.state(),
            "spread": self.spread,
            "network": self.network,
            "variation": None if self.variation is None else asdict(self.variation),
        }

    @classmethod
    def from_state(cls, settings: VolumeDiffusionSettings, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        variation = None if state["variation"] is None else RateVariation(**state["variation"])
        return cls(settings, Conditions.from_state(state["conditions"]), state["spread"], state["network"], variation)


def _variation(network: Any, process: VolumeProcess, held_out: PairExamples) -> RateVariation:
    """Learn from held-out pairs how people's rates spread, beyond how draws spread already."""
    real, drawn, subjects = [], [], []
    for i in range(min(len(held_out), _VARIATION_PAIRS)):
        given, target = held_out.plain(i)
        growth, mean, unit = (
            part[0, 0].cpu().numpy()
            for part in (process.growth(network, given), process.mean(network, given), process.unit(given.source))
        )
        draws = process.draw(network, given, i, _VARIATION_DRAWS, _VARIATION_SEED).cpu().numpy()
        real.append(Evidence.of(growth, target[0, 0].cpu().numpy() - mean, unit))
        drawn += Evidence.among_draws(growth, draws, unit)
        cohort = held_out.data.cohort
        subjects.append(str(cohort.subject_names(held_out.data.pairs.context[i : i + 1])[0]))
    of_draws = np.repeat(subjects, _VARIATION_DRAWS).tolist()
    return RateVariation.fit(real, subjects).less(RateVariation.fit(drawn, of_draws, worth=0.0))


def make_process(settings: VolumeDiffusionSettings, spread: NDArray[np.float32]) -> VolumeProcess:
    """Return path and sampler of the settings.

    Raises
    ------
    SettingError
        If there is no such sampler.
    """
    if settings.sampler not in SAMPLERS:
        raise SettingError(f"sampler must be one of {', '.join(SAMPLERS)}, got {settings.sampler!r}")
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
        n_outputs=2 if settings.grows else 1,
        concatenate=settings.condition == "channels",
        patch=settings.patch,
        checkpointing=checkpointing,
    )
