"""Training of networks on pairs of images: data, machine, loop and record; the same for every method."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nextscan.cohort import Cohort, merge, split_validation
from nextscan.errors import TooFewPairsError
from nextscan.imputers.estimator import Progress
from nextscan.imputers.settings import torch_device
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.examples import PairExamples
from nextscan.imputers.volumes.learning_settings import LearningSettings, Machine, TrainingChoices
from nextscan.imputers.volumes.pairs import forward_pairs, images_only, prepared_pairs
from nextscan.preprocess.volumes import VolumePreparer
from nextscan.training import Problem, Processes, TrainingSettings, settings_document, together
from nextscan.training import train as run_training

_SHORTEST_EPOCH = 64  # examples: few pairs take as many steps as some

T = TypeVar("T")
Arrays = dict[str, NDArray[np.floating]]


@dataclass(eq=False)
class Teacher:
    """Trains networks one after the other, and remembers what happened.

    Attributes
    ----------
    settings : TrainingChoices
    machine : Machine
    here : Processes
    device : torch.device
    fingerprint : list
        Of the data and the settings, ready for JSON.
    seed : int
    checkpoint : Path or None
    progress : callable or None
    record : dict
        What was trained so far; curves are drawn of what is learned first.
    """

    settings: TrainingChoices
    machine: Machine
    here: Processes
    device: torch.device
    fingerprint: list[Any]
    seed: int
    checkpoint: Path | None
    progress: Progress | None
    record: dict[str, Any] = field(default_factory=dict)

    def teach(
        self, what: str, make: Callable[[], tuple[nn.Module, Problem]], *, epochs: int | None = None
    ) -> nn.Module:
        """Train a network; for which epoch is kept see `LearningSettings`.

        Under ``torchrun`` all processes train it together, see `nextscan.training.train`, and each gets the same.

        Parameters
        ----------
        what : str
            What the network is to learn: a name in progress, in the record and of the checkpoint.
        make : callable
            Returns the untrained network and its problem; the global generator of torch is seeded while it runs.
        epochs : int, optional
            Instead of those of the settings.
        """
        settings, machine = self.settings, self.machine
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network, problem = make()
        how = TrainingSettings(
            epochs=epochs or settings.epochs,
            batch_size=settings.batch_size,
            accumulate=machine.accumulate,
            examples_per_epoch=settings.examples_per_epoch or max(problem.n_examples, _SHORTEST_EPOCH),
            learning_rate=settings.learning_rate,
            warmup_steps=settings.warmup_steps,
            decay=settings.decay,
            weight_decay=settings.weight_decay,
            average=settings.average,
            patience=settings.patience,
            precision=machine.precision,
            checkpoint_seconds=0.0,  # an epoch of volumes is worth keeping
        )
        document = [*self.fingerprint, what, settings_document(how), self.seed]
        result = run_training(
            network.to(self.device),
            problem,
            how,
            seeds=[self.seed],
            replicas=False,
            fingerprint=hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest(),
            checkpoint=None if self.checkpoint is None else self.checkpoint / f"{what}.ckpt",
            progress=self.progress and _named(self.progress, what),
        )
        trained = {
            "parameters": sum(value.numel() for value in result.best.values()),
            "best_epoch": int(result.best_epoch[0]),
            "best_score": float(result.best_score[0]),
            "skipped_fraction": result.skipped_fraction(0),
            "learning": result.learning(0),
        }
        self.record |= {what: trained} if self.record else trained
        network.load_state_dict(result.best)
        return network.requires_grad_(False).eval()

    def told(self) -> dict[str, Any]:
        """Return settings, machine and what was trained so far, for `Estimator.record_`."""
        machine = self.machine.to_dict() | {"device": str(self.device)}
        return {"settings": self.settings.to_dict(), "machine": machine, **self.record}

    def first(self, make: Callable[[], T]) -> T:
        """Return to all processes what `make` returns to the first."""
        return self.here.first(make)


@dataclass(eq=False)
class Lesson:
    """Pairs of images to learn from, and what was trained on them so far; from `lesson`.

    Attributes
    ----------
    train, validation : PairExamples
    conditions : Conditions
    spread : float
        Root mean square of the change between training pairs, prepared scale.
    teacher : Teacher
    """

    train: PairExamples
    validation: PairExamples
    conditions: Conditions
    spread: float
    teacher: Teacher

    def record(self) -> dict[str, Any]:
        """Return what is to be known of the fit, for `Estimator.record_`."""
        return {
            "n_training_pairs": len(self.train),
            "n_validation_pairs": len(self.validation),
            "spread": self.spread,
            **self.teacher.told(),
        }


@contextmanager
def lesson(
    settings: LearningSettings,
    machine: Machine,
    preparer: VolumePreparer,
    train: Cohort,
    validation: Cohort | None,
    *,
    seed: int,
    checkpoint: Path | None,
    progress: Progress | None,
) -> Iterator[Lesson]:
    """Prepare the images of all pairs of a subject, and keep them while the context lasts.

    Parameters
    ----------
    settings, machine, preparer, train, validation
    seed, checkpoint, progress
        As in `Estimator.fit`.
    """
    train, validation = validation_pairs(train, validation, seed)
    if checkpoint is not None:
        checkpoint.mkdir(parents=True, exist_ok=True)
    matching = settings.match_brightness
    with together() as here, ExitStack() as kept:
        device = torch_device(machine.device, here)
        with here.agreed():
            learned_from, judged_by = (
                kept.enter_context(prepared_pairs(part, preparer, checkpoint, progress, match_brightness=matching))
                for part in (train, validation)
            )
        conditions = Conditions.fit(
            train, learned_from.pairs, interval=settings.interval, use_labels=settings.use_labels
        )
        yield Lesson(
            PairExamples(learned_from, conditions, device),
            PairExamples(judged_by, conditions, device),
            conditions,
            learned_from.spread(),
            Teacher(
                settings,
                machine,
                here,
                device,
                [settings.to_dict(), preparer.state(), *(part.fingerprint() for part in (train, validation))],
                seed,
                checkpoint,
                progress,
            ),
        )


def _named(progress: Progress, what: str) -> Progress:
    """Return a callable that says of every event what is learned."""
    return lambda event: progress({**event, "title": f"learning {what}"})


def arrays_of(network: nn.Module) -> Arrays:
    """Return the parameters of a network, by name."""
    return {name: value.cpu().numpy() for name, value in network.state_dict().items()}


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
