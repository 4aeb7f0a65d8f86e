"""Training of networks on pairs of images: data, machine, loop and record; the same for every method."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nextscan.cohort import Cohort, merge, split_validation
from nextscan.errors import SettingError, TooFewPairsError
from nextscan.imputers.estimator import Progress
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.examples import PairExamples
from nextscan.imputers.volumes.learning_settings import LearningSettings
from nextscan.imputers.volumes.pairs import forward_pairs, images_only, prepared_pairs
from nextscan.preprocess.volumes import VolumePreparer
from nextscan.training import Problem, Processes, TrainingSettings, settings_document, together
from nextscan.training import train as run_training

_SHORTEST_EPOCH = 64  # examples: few pairs take as many steps as some

T = TypeVar("T")
Arrays = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Machine:
    """How to compute, which changes results by rounding only.

    Attributes
    ----------
    device : "auto" or a torch device
        "auto" takes a GPU if there is one, under ``torchrun`` one for each process.
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

    def torch_device(self, here: Processes | None = None) -> torch.device:
        """Return the device on which a process computes.

        Raises
        ------
        SettingError
            If it cannot be used.
        """
        if self.device == "auto":
            return (here or Processes()).device()
        try:
            return torch.empty(0, device=self.device).device
        except (RuntimeError, AssertionError) as error:
            raise SettingError(f"device {self.device!r} cannot be used here; try device='auto'") from error

    def autocast(self) -> torch.autocast:
        """Return the context in which a network predicts."""
        return torch.autocast(self.torch_device().type, torch.bfloat16, enabled=self.precision == "bfloat16")


@dataclass(frozen=True, eq=False)
class Task:
    """What a method makes its network and its problem of.

    Attributes
    ----------
    train, validation : PairExamples
    conditions : Conditions
    spread : float
        Root mean square of the change between training pairs, prepared scale.
    """

    train: PairExamples
    validation: PairExamples
    conditions: Conditions
    spread: float


def learn(
    settings: LearningSettings,
    machine: Machine,
    preparer: VolumePreparer,
    train: Cohort,
    validation: Cohort | None,
    *,
    make: Callable[[Task], tuple[nn.Module, Problem]],
    seed: int,
    checkpoint: Path | None,
    progress: Progress | None,
    finish: Callable[[nn.Module, Task], T] | None = None,
) -> tuple[Arrays, Task, dict[str, Any], T | None]:
    """Train a network on all pairs of images of a subject; for which epoch is kept see `LearningSettings`.

    Under ``torchrun`` all processes train it together, see `nextscan.training.train`, and each returns the same.

    Parameters
    ----------
    settings, machine, preparer, train, validation
    make : callable
        ``make(task)`` -> untrained network and problem. The global generator of torch is seeded while it runs.
    seed, checkpoint, progress
        As in `Estimator.fit`.
    finish : callable, optional
        ``finish(network, task)`` with the trained network, while the images are there.

    Returns
    -------
    arrays : dict of name to ndarray
        The network's parameters.
    task : Task
        What they were learned from; its images are gone.
    record : dict
        For `Estimator.record_`.
    finished
        What `finish` returned.
    """
    train, validation = validation_pairs(train, validation, seed)
    n_pairs = len(forward_pairs(train))
    how = TrainingSettings(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        accumulate=machine.accumulate,
        examples_per_epoch=settings.examples_per_epoch or max(n_pairs, _SHORTEST_EPOCH),
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        decay=settings.decay,
        weight_decay=settings.weight_decay,
        average=settings.average,
        patience=settings.patience,
        precision=machine.precision,
        checkpoint_seconds=0.0,  # an epoch of volumes is worth keeping
    )
    if checkpoint is not None:
        checkpoint.mkdir(parents=True, exist_ok=True)
    matching = settings.match_brightness
    with together() as here, ExitStack() as kept:
        device = machine.torch_device(here)
        with here.agreed():
            learned_from, judged_by = (
                kept.enter_context(prepared_pairs(part, preparer, checkpoint, progress, match_brightness=matching))
                for part in (train, validation)
            )
        conditions = Conditions.fit(
            train, learned_from.pairs, interval=settings.interval, use_labels=settings.use_labels
        )
        if settings.mean_change:
            reach = conditions.reach(learned_from.pairs.gap)
            expected = learned_from.expected_change(reach, mirrored=settings.flip)
            conditions = replace(conditions, expected=expected)
        task = Task(
            PairExamples(learned_from, conditions, device),
            PairExamples(judged_by, conditions, device),
            conditions,
            learned_from.spread(),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network, problem = make(task)
        cohorts = [part.fingerprint() for part in (train, validation)]
        document = [settings.to_dict(), settings_document(how), preparer.state(), cohorts, seed]
        result = run_training(
            network.to(device),
            problem,
            how,
            seeds=[seed],
            replicas=False,
            fingerprint=hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest(),
            checkpoint=None if checkpoint is None else checkpoint / "training.ckpt",
            progress=progress,
        )
        arrays: Arrays = {name: value.cpu().numpy() for name, value in result.best.items()}
        finished = None if finish is None else here.first(lambda: finish(load_into(network, arrays, device), task))
    record = {
        "n_training_pairs": len(learned_from),
        "n_validation_pairs": len(judged_by),
        "spread": task.spread,
        "parameters": sum(value.size for value in arrays.values()),
        "best_epoch": int(result.best_epoch[0]),
        "best_score": float(result.best_score[0]),
        "skipped_fraction": result.skipped_fraction(0),
        "learning": result.learning(0),
        "settings": settings.to_dict(),
        "machine": asdict(machine) | {"device": str(device)},
    }
    return arrays, task, record, finished


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


def load_into(network: nn.Module, arrays: Arrays, device: torch.device) -> nn.Module:
    """Return the network with learned parameters, ready to predict."""
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    return network.to(device).requires_grad_(False).eval()
