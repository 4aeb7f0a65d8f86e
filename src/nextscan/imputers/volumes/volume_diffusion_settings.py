"""The settings of diffusion on volumes: what the paper says, Med-DDPM's condition, and a sound choice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from nextscan.errors import SettingError
from nextscan.imputers.volumes.conditions import Interval

Target = Literal["follow-up", "residual"]
Schedule = Literal["linear", "cosine"]
Condition = Literal["add", "channels"]


@dataclass(frozen=True)
class VolumeDiffusionSettings:
    """Every choice in a diffusion model of follow-up volumes.

    Attributes
    ----------
    target : "follow-up" or "residual"
        What is diffused. Paper: the follow-up volume. Ours: follow-up minus source in units of its spread,
        so that the untrained network *is* the source with the noise of a second scan.
    schedule : "linear" or "cosine"
        Paper: β linear from 1e-4 to 0.02 over `steps`. Ours ends at noise (zero terminal SNR).
    steps : int
        Of the linear schedule; paper: 1000.
    parameterisation : "noise", "data" or "velocity"
        Paper: noise. Ours: velocity. With it, on a path with a² + s² = 1, the output 0 is the exact
        denoiser of white residuals of unit variance, and level 1 is well defined.
    sampler, sampling_steps
        Paper: ancestral, over all steps.
    condition : "add" or "channels"
        How source and interval enter; paper: by addition; Med-DDPM: as channels.
    use_source : bool
        Whether the network sees the source. Without it only the follow-up can be the target.
    interval : "none", "encoded" or "reach"
        Paper: encoded by sines and cosines, and always known. Ours: years over their training mean, r; the
        output is ``f0 + r f1`` with two outputs f0 and f1 of the network, so that change grows with time
        from nothing at 0 years; `interval_dropout` of the pairs hide it, so that it may be unknown.
    use_labels : bool
        Whether labels (age, sex, diagnosis) are further encodings. Paper: no.
    interval_dropout : float
    mean_share : float
        Share of examples trained at level 1, where a path that ends at noise leaves the network nothing
        but the conditions: its estimate there is the predictive mean, in one evaluation.
    flip : bool
        Mirror pairs left to right at random. Paper: no.
    backward : bool
        Turn pairs round in time at random, with their interval negative: what is the same in both
        directions (noise of the source) is told from what changes. Paper: no.
    clamp : bool
        Clamp every estimate of the volume to [-1, 1]. Prepared volumes are clipped there.
    channels, attention, n_residual, patch
        Of `nextscan.networks.VolumeUNet`.
    epochs, examples_per_epoch, batch_size, learning_rate, weight_decay
        Paper: 300,000 steps of Adam with batch 1 and 1e-3.
    average : float or None
        Decay of a moving average of the weights. Paper: none.
    patience : int
        Stop after this many epochs without a better validation loss; the best epoch is kept.
    """

    target: Target = "residual"
    schedule: Schedule = "cosine"
    steps: int = 1000
    parameterisation: Literal["noise", "data", "velocity"] = "velocity"
    sampler: str = "dpm-solver++"
    sampling_steps: int = 10
    condition: Condition = "add"
    use_source: bool = True
    interval: Interval = "reach"
    use_labels: bool = True
    interval_dropout: float = 0.1
    mean_share: float = 0.5
    flip: bool = True
    backward: bool = True
    clamp: bool = False
    channels: tuple[int, ...] = (16, 32, 64)
    attention: tuple[bool, ...] = (False, False, True)
    n_residual: int = 1
    patch: int = 2
    epochs: int = 60
    examples_per_epoch: int | None = None
    batch_size: int = 4
    learning_rate: float = 1e-3
    decay: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = 1e-2
    average: float | None = 0.99
    patience: int = 15

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for spec in fields(self):
            allowed = get_args(hints[spec.name])
            value = getattr(self, spec.name)
            if allowed and all(isinstance(choice, str) for choice in allowed) and value not in allowed:
                raise SettingError(f"{spec.name} must be one of {', '.join(allowed)}, got {value!r}")
        for name in ("steps", "sampling_steps", "n_residual", "patch"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("interval_dropout", "mean_share"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} must be in [0, 1), got {getattr(self, name):g}")
        if not self.use_source and self.target == "residual":
            raise SettingError("without the source only the follow-up can be predicted: set target='follow-up'")
        if self.mean_share and self.schedule != "cosine":
            raise SettingError("the mean is learned at level 1 of a path that ends at noise: set schedule='cosine'")
        if self.backward and self.interval != "reach":
            raise SettingError("pairs turned round in time need their interval: set interval='reach' or backward=False")
        if self.schedule == "linear" and self.sampling_steps > self.steps:
            raise SettingError(f"sampling_steps {self.sampling_steps} exceeds the {self.steps} steps of the schedule")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON knows them."""
        return asdict(self) | {"channels": list(self.channels), "attention": list(self.attention)}


_PAPER = VolumeDiffusionSettings(
    target="follow-up",
    schedule="linear",
    steps=1000,
    parameterisation="noise",
    sampler="ancestral",
    sampling_steps=1000,
    condition="add",
    interval="encoded",
    use_labels=False,
    interval_dropout=0.0,
    mean_share=0.0,
    flip=False,
    backward=False,
    clamp=True,
    channels=(32, 64, 128, 256),
    attention=(False, False, False, True),
    n_residual=2,
    patch=1,
    epochs=300,
    examples_per_epoch=1000,
    batch_size=1,
    learning_rate=1e-3,
    decay="constant",
    weight_decay=0.0,
    average=None,
    patience=300,
)

PRESETS: dict[str, VolumeDiffusionSettings] = {"default": VolumeDiffusionSettings(), "paper": _PAPER}

MED_DDPM = replace(
    _PAPER,
    schedule="cosine",
    parameterisation="velocity",
    sampling_steps=50,
    sampler="dpm-solver++",
    condition="channels",
)


def resolve(preset: str, changes: dict[str, Any]) -> VolumeDiffusionSettings:
    """Return the preset with the given changes; None means "as in the preset".

    Raises
    ------
    SettingError
        If the preset is unknown or a value is not allowed.
    """
    if preset not in PRESETS:
        raise SettingError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(PRESETS[preset], **given)
