"""Choices that every network for volumes takes: what it is conditioned on, how it is trained, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nextscan.errors import SettingError
from nextscan.imputers.settings import Settings, torch_device
from nextscan.imputers.volumes.conditions import Interval

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TrainingChoices(Settings):
    """How long and how fast a network is trained.

    Attributes
    ----------
    epochs, examples_per_epoch, batch_size, learning_rate, decay, weight_decay
        Paper: 300,000 steps of Adam with batch 1 and 1e-3. Ours: an epoch is every example once, at least 64.
    warmup_steps : int
        Steps over which the learning rate climbs to its height. Paper: none.
    average : float or None
        Decay of a moving average of the weights. Paper: none.
    patience : int or None
        Stop after this many epochs without a better validation loss, and keep the best one; None: make all
        epochs and keep the last. Paper: none. With a handful of validation pairs, whose loss is mostly noise,
        stopping picked networks that had hardly begun to learn.
    """

    epochs: int = 50
    examples_per_epoch: int | None = None
    batch_size: int = 2
    learning_rate: float = 3e-4
    warmup_steps: int = 50
    decay: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = 1e-2
    average: float | None = 0.995
    patience: int | None = None


@dataclass(frozen=True)
class LearningSettings(TrainingChoices):
    """Conditions and chance, beside `TrainingChoices`.

    Attributes
    ----------
    interval : "unseen", "encoded" or "reach"
        Paper: encoded by sines and cosines, and always known. Ours: years over their training mean, and
        whether they are known.
    use_labels : bool
        Whether labels (age, sex, diagnosis) are further encodings. Paper: no.
    interval_dropout : float
        Share of pairs whose interval is hidden, so that it may be unknown.
    match_brightness : bool
        Whether the later image is first made as bright as the source, see
        `nextscan.imputers.volumes.brightness`: what two scanners, or one on two days, make of a tissue is no
        change to learn, and the prediction is in the brightness of the source. Paper: no.
    flip : bool
        Mirror pairs left to right at random. Paper: no.
    shift : int
        Move both images of a pair by up to so many voxels along each axis at random. A network of few pairs
        learns people by heart otherwise. Paper: no.
    backward : bool
        Turn pairs round in time at random, with their interval negative: what is the same in both
        directions (noise of the source) is told from what changes. Paper: no.
    """

    interval: Interval = "reach"
    use_labels: bool = True
    interval_dropout: float = 0.1
    match_brightness: bool = True
    flip: bool = True
    shift: int = 2
    backward: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.interval_dropout < 1:
            raise SettingError(f"interval_dropout must be in [0, 1), got {self.interval_dropout:g}")
        if self.shift < 0:
            raise SettingError(f"shift must not be negative, got {self.shift}")
        if self.backward and self.interval != "reach":
            raise SettingError("pairs turned round in time need their interval: set interval='reach' or backward=False")


@dataclass(frozen=True)
class Machine(Settings):
    """How to compute, which changes results by rounding only.

    Attributes
    ----------
    device : "auto" or a torch device
        "auto" takes a GPU if there is one, under ``torchrun`` one for each process.
    precision : "float32" or "bfloat16"
    accumulate : int
        Batches in one step of the optimiser.
    checkpointing : bool
        Compute activations again for gradients instead of keeping them: less memory, a third more time.
    """

    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1
    checkpointing: bool = False

    def autocast(self) -> torch.autocast:
        """Return the context in which a network predicts."""
        import torch

        return torch.autocast(torch_device(self.device).type, torch.bfloat16, enabled=self.precision == "bfloat16")
