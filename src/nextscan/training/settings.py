"""How to train: sizes of steps and epochs, learning rate, precision, and when to stop."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from nextscan.errors import SettingError
from nextscan.training.gradient_policy import GradientPolicy, Plain

Precision = Literal["float32", "bfloat16"]
Decay = Literal["constant", "cosine", "linear"]


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the same settings mean the same steps on any number of processes.

    Attributes
    ----------
    epochs : int
        At most this many passes over the data.
    batch_size : int
        Examples whose loss is computed at once, hence held in memory at once.
    accumulate : int
        Batches in one step of the optimiser, which sees the mean gradient of all their
        ``accumulate * batch_size`` examples. Several processes share these examples out.
    examples_per_epoch : int, optional
        Length of an epoch, if not all examples once: fewer cut each shuffle short, more repeat it. An
        epoch is what is validated, so it should take minutes, not hours.
    learning_rate : float
        The highest of training.
    warmup_steps : int
        The learning rate climbs to its height in equal parts over this many steps.
    decay : {"constant", "cosine", "linear"}
        How it falls to 0 from there to the end of the last epoch, if at all.
    weight_decay : float
        Of matrices; see `ReplicaAdam`.
    precision : {"float32", "bfloat16"}
        Of the products and convolutions inside the loss and the validation score (`torch.autocast`).
        Parameters, gradients, their average and the optimiser stay as they are. On a CPU without
        instructions for bfloat16 it saves memory and loses time.
    patience : int, optional
        Stop a replica after this many epochs without a better validation score, and keep the best epoch.
        Without it all epochs are made and the last is kept: of few validation examples the score is too
        noisy to choose by.
    average : float, optional
        Decay of an exponential moving average of the parameters, which is then validated and kept.
    policy : GradientPolicy
    checkpoint_seconds : float
        Write a checkpoint after an epoch once this much time has gone by since the last.
    """

    epochs: int = 300
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    patience: int | None = 50
    average: float | None = None
    policy: GradientPolicy = field(default_factory=Plain)
    checkpoint_seconds: float = 30.0
    accumulate: int = 1
    examples_per_epoch: int | None = None
    warmup_steps: int = 0
    decay: Decay = "constant"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "accumulate", "examples_per_epoch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"{name} must be at least 1, got {value}")
        if not self.learning_rate > 0:
            raise SettingError(f"learning_rate must be positive, got {self.learning_rate:g}")
        if self.warmup_steps < 0:
            raise SettingError(f"warmup_steps must not be negative, got {self.warmup_steps}")
        if self.average is not None and not 0 <= self.average < 1:
            raise SettingError(f"average must be in [0, 1), got {self.average:g}")
        for name, choices in (("decay", get_args(Decay)), ("precision", get_args(Precision))):
            if getattr(self, name) not in choices:
                raise SettingError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")

    @property
    def examples_per_step(self) -> int:
        """Number of examples whose mean gradient makes one step."""
        return self.accumulate * self.batch_size

    def rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of step 0, 1, ... of `n_steps` in all.

        >>> settings = TrainingSettings(learning_rate=1.0, warmup_steps=2, decay="linear")
        >>> [settings.rate(step, 6) for step in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.decay == "constant":
            return self.learning_rate
        done = (step - self.warmup_steps) / max(1, n_steps - self.warmup_steps)
        return self.learning_rate * (1 - done if self.decay == "linear" else (1 + math.cos(math.pi * done)) / 2)


def settings_document(settings: TrainingSettings) -> dict[str, Any]:
    """Return settings as plain values, for run records and fingerprints."""
    document = asdict(settings)
    document["policy"] = {"kind": type(settings.policy).__name__, **document["policy"]}
    return document
