"""A diffusion network for volumes, from its settings to draws; the estimators are thin around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
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
from nextscan.imputers.volumes.expected_change import Change, ExpectedChange, MeanProblem, unit_of
from nextscan.imputers.volumes.learning import Arrays, Machine, arrays_of, lesson, load_into
from nextscan.imputers.volumes.pairs import Volume, spread_by_brightness
from nextscan.imputers.volumes.rate_variation import Evidence, RateVariation
from nextscan.imputers.volumes.volume_diffusion_settings import VolumeDiffusionSettings
from nextscan.networks.volume_conv import VolumeConvNet
from nextscan.networks.volume_unet import VolumeUNet
from nextscan.randomness import subject_keys

Mean = Callable[[Condition], Change]

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
        Of the diffusion.
    mean_spread : ndarray of float32, shape (n_bins,)
        See `ExpectedChange`.
    mean_network : dict of name to ndarray
        Of the expected change; empty where nothing is learned of it.
    variation : RateVariation or None
        Of people's rates around those expected, where change grows with the years.
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
            mean_spread = taught.train.data.spread_by_brightness()
            spread, epochs, mean = mean_spread, None, None
            if settings.mean_channels:
                expected = ExpectedChange(settings, torch.from_numpy(mean_spread))

                def make_mean() -> tuple[VolumeConvNet, MeanProblem]:
                    return expected.network(conditions), MeanProblem(*both, expected, taught.spread)

                network = taught.teach("mean", make_mean)
                mean = partial(expected.said, network)
                spread = taught.first(lambda: unforeseen(mean, taught.validation))
                epochs = settings.draw_epochs
            process = make_process(settings, spread)

            def make() -> tuple[VolumeUNet, VolumeProblem]:
                around = None if mean is None else lambda given: mean(given).total
                network = make_network(settings, conditions, checkpointing=machine.checkpointing)
                return network, VolumeProblem(*both, process, taught.spread, around)

            drawing = taught.teach("draws", make, epochs=epochs)
            variation = None
            if mean is not None and settings.growing:
                variation = taught.first(lambda: _variation(process, drawing, mean, taught.validation))
            record = taught.record() | {"rate_variation": None if variation is None else asdict(variation)}
            mean_arrays = {} if mean is None else arrays_of(network)
        return cls(settings, conditions, spread, arrays_of(drawing), mean_spread, mean_arrays, variation), record

    def drawing(self, machine: Machine) -> Draw:
        """Return what draws volumes and, where the expected change was learned, predicts their mean.

        The mean is the source and what grows with the years: it keeps the noise of the source, so that at 0 years
        it *is* the source, and regions measured in both differ by change alone. Draws have noise of their own.
        """
        device, process = machine.torch_device(), make_process(self.settings, self.spread)
        network = load_into(make_network(self.settings, self.conditions), self.network, device)
        expected = ExpectedChange(self.settings, torch.from_numpy(self.mean_spread))
        mean_network = (
            load_into(expected.network(self.conditions), self.mean_network, device) if self.mean_network else None
        )

        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume | None]:
            condition = Condition.of(given, self.conditions, device)
            key, mean = int(subject_keys([given.subject])[0]), None
            with machine.autocast():
                if mean_network is not None:
                    change = expected.said(mean_network, condition)
                    moved = condition.source + (change.grown if self.settings.growing else change.total)
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


def unforeseen(mean: Mean, pairs: PairExamples) -> NDArray[np.float32]:
    """Return the spread of what is left of the change of pairs, see `spread_by_brightness`."""

    def left() -> Iterator[tuple[Volume, Volume]]:
        for i in range(len(pairs)):
            given, target = pairs.plain(i)
            rest = target - given.around(mean(given).total).middle
            yield given.source[0, 0].cpu().numpy(), rest[0, 0].cpu().numpy()

    return spread_by_brightness(left())


def _variation(process: VolumeProcess, network: Any, mean: Mean, held_out: PairExamples) -> RateVariation:
    """Learn from held-out pairs how people's rates spread, beyond how draws spread already."""
    real, drawn, subjects = [], [], []
    for i in range(min(len(held_out), _VARIATION_PAIRS)):
        given, target = held_out.plain(i)
        change = mean(given)
        given = given.around(change.total)
        growth, error, unit = (
            part[0, 0].cpu().numpy()
            for part in (change.grown, target - given.middle, unit_of(given.source, process.spread))
        )
        draws = process.draw(network, given, i, _VARIATION_DRAWS, _VARIATION_SEED).cpu().numpy()
        real.append(Evidence.of(growth, error, unit))
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
        concatenate=settings.condition == "channels",
        patch=settings.patch,
        checkpointing=checkpointing,
    )
