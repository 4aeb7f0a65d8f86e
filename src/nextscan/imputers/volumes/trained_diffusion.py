"""A diffusion network for volumes, from its settings to draws; the estimators are thin around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nextscan.cohort import Cohort, merge, split_validation
from nextscan.diffusion import SAMPLERS, ContinuousPath, linear_betas
from nextscan.diffusion import Path as NoisePath
from nextscan.errors import SettingError, TooFewPairsError
from nextscan.imputers.estimator import Progress
from nextscan.imputers.volumes.base import Draw, Given
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.diffusion_problem import Condition, VolumeProblem, VolumeProcess
from nextscan.imputers.volumes.pairs import PreparedPairs, Volume, forward_pairs, images_only, prepared_pairs
from nextscan.imputers.volumes.volume_diffusion_settings import VolumeDiffusionSettings
from nextscan.networks.volume_unet import VolumeUNet
from nextscan.preprocess.volumes import VolumePreparer
from nextscan.randomness import subject_keys
from nextscan.training import TrainingSettings, settings_document
from nextscan.training import train as run_training


@dataclass(frozen=True)
class Machine:
    """How to compute, which changes results by rounding only.

    Attributes
    ----------
    device : "auto" or a torch device
        "auto" takes a GPU if there is one.
    precision : "float32" or "bfloat16"
    accumulate : int
        Batches in one step of the optimiser.
    checkpointing : bool
        Compute activations again for gradients instead of keeping them.
    """

    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1
    checkpointing: bool = False

    def torch_device(self) -> torch.device:
        """Return the device.

        Raises
        ------
        SettingError
            If it cannot be used.
        """
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            return torch.empty(0, device=self.device).device
        except (RuntimeError, AssertionError) as error:
            raise SettingError(f"device {self.device!r} cannot be used here; try device='auto'") from error


@dataclass(frozen=True, eq=False)
class TrainedDiffusion:
    """What training learned.

    Attributes
    ----------
    settings : VolumeDiffusionSettings
    conditions : Conditions
    spread : float
        See `VolumeProcess`.
    network : dict of name to ndarray
    """

    settings: VolumeDiffusionSettings
    conditions: Conditions
    spread: float
    network: dict[str, NDArray[np.floating]]

    @classmethod
    def fit(
        cls,
        settings: VolumeDiffusionSettings,
        machine: Machine,
        preparer: VolumePreparer,
        train: Cohort,
        validation: Cohort | None,
        *,
        seed: int,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> tuple[Self, dict[str, Any]]:
        """Train, and return what was learned and what is to be recorded of it."""
        train, validation = validation_pairs(train, validation, seed)
        device = machine.torch_device()
        with (
            prepared_pairs(train, preparer, checkpoint, progress) as learned_from,
            prepared_pairs(validation, preparer, checkpoint, progress) as judged_by,
        ):
            conditions = Conditions.fit(
                train, learned_from.pairs, interval=settings.interval, use_labels=settings.use_labels
            )
            spread = _spread(learned_from) if settings.target == "residual" else 1.0
            blank = cls(settings, conditions, spread, {})
            problem = VolumeProblem(learned_from, judged_by, conditions, blank.process(), device)
            how = TrainingSettings(
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                accumulate=machine.accumulate,
                examples_per_epoch=settings.examples_per_epoch,
                learning_rate=settings.learning_rate,
                decay=settings.decay,
                weight_decay=settings.weight_decay,
                average=settings.average,
                patience=settings.patience,
                precision=machine.precision,
            )
            if checkpoint is not None:
                checkpoint.mkdir(parents=True, exist_ok=True)
            result = run_training(
                blank.make_network(seed, checkpointing=machine.checkpointing).to(device),
                problem,
                how,
                seeds=[seed],
                replicas=False,
                fingerprint=_fingerprint(settings, how, preparer, [train, validation], seed),
                checkpoint=None if checkpoint is None else checkpoint / "training.ckpt",
                progress=progress,
            )
        network = {name: value.cpu().numpy() for name, value in result.best.items()}
        record = {
            "n_training_pairs": len(learned_from),
            "n_validation_pairs": len(judged_by),
            "spread": spread,
            "parameters": sum(value.size for value in network.values()),
            "best_epoch": int(result.best_epoch[0]),
            "best_score": float(result.best_score[0]),
            "skipped_fraction": result.skipped_fraction(0),
            "learning": result.learning(0),
            "settings": settings.to_dict(),
            "machine": asdict(machine) | {"device": str(device)},
        }
        return cls(settings, conditions, spread, network), record

    def process(self) -> VolumeProcess:
        """Return path and sampler of the settings."""
        settings = self.settings
        if settings.sampler not in SAMPLERS:
            raise SettingError(f"sampler must be one of {', '.join(SAMPLERS)}, got {settings.sampler!r}")
        paths: dict[str, NoisePath] = {
            "linear": linear_betas(steps=settings.steps, start=1e-4, end=0.02),
            "cosine": ContinuousPath("cosine", log_snr_min=-np.inf),
        }
        return VolumeProcess(paths[settings.schedule], SAMPLERS[settings.sampler], settings, self.spread)

    def make_network(self, seed: int, *, checkpointing: bool = False) -> VolumeUNet:
        """Return an untrained network, the same for the same seed."""
        settings = self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return VolumeUNet(
                channels=settings.channels,
                attention=settings.attention,
                n_residual=settings.n_residual,
                n_sources=int(settings.use_source),
                n_numbers=self.conditions.n_numbers,
                n_outputs=2 if settings.interval == "reach" else 1,
                concatenate=settings.condition == "channels",
                patch=settings.patch,
                checkpointing=checkpointing,
            )

    def drawing(self, machine: Machine) -> Draw:
        """Return what draws volumes and, where level 1 was trained, predicts their mean."""
        device, process = machine.torch_device(), self.process()
        network = self.make_network(0)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in self.network.items()})
        network.to(device).requires_grad_(False).eval()

        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume | None]:
            gap = np.array([given.gap])
            condition = Condition(
                torch.from_numpy(np.array(given.source, np.float32))[None, None].to(device),
                torch.from_numpy(self.conditions.numbers(self.conditions.encode(given.labels), gap)).to(device),
                torch.from_numpy(self.conditions.reach(gap)).to(device),
            )
            key = int(subject_keys([given.subject])[0])
            with torch.autocast(device.type, torch.bfloat16, enabled=machine.precision == "bfloat16"):
                draws = process.draw(network, condition, key, n_draws, seed).cpu().numpy()
                mean = process.mean(network, condition)[0, 0].cpu().numpy() if self.settings.mean_share else None
            return draws, mean

        return draw

    def state(self) -> dict[str, Any]:
        """Return what was learned; settings are saved with the estimator's parameters."""
        return {"conditions": self.conditions.state(), "spread": self.spread, "network": self.network}

    @classmethod
    def from_state(cls, settings: VolumeDiffusionSettings, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        return cls(settings, Conditions.from_state(state["conditions"]), state["spread"], state["network"])


def validation_pairs(train: Cohort, validation: Cohort | None, seed: int) -> tuple[Cohort, Cohort]:
    """Make sure that there is a pair to choose the epoch by, from training subjects if need be.

    Raises
    ------
    TooFewPairsError
        If fewer than two subjects have pairs.
    """
    train = images_only(train)
    validation = None if validation is None else images_only(validation)
    if validation is not None and len(forward_pairs(validation)) and len(forward_pairs(train)):
        return train, validation
    together = merge(train, validation)
    n_paired = int(together.is_paired.sum())
    if n_paired < 2:
        raise TooFewPairsError(
            f"{together.source or together.name}: only {n_paired} subject has two images or more; at least 2 are "
            "needed, to train on one and choose by the other"
        )
    return split_validation(together, fraction=max(0.1, 1.0 / n_paired), seed=seed)


def _spread(data: PreparedPairs) -> float:
    """Return the root mean square of the change between training pairs; 1 if nothing ever changes."""
    return (
        float(np.sqrt(np.mean([np.mean(np.square(data.change(i), dtype=np.float64)) for i in range(len(data))]))) or 1.0
    )


def _fingerprint(
    settings: VolumeDiffusionSettings,
    how: TrainingSettings,
    preparer: VolumePreparer,
    cohorts: Sequence[Cohort],
    seed: int,
) -> str:
    document = [
        settings.to_dict(),
        settings_document(how),
        preparer.state(),
        [cohort.fingerprint() for cohort in cohorts],
        seed,
    ]
    return hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest()
