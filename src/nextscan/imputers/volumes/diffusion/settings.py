"""The settings of diffusion on volumes: what the paper says, Med-DDPM's condition, and a sound choice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from nextscan.errors import SettingError
from nextscan.imputers.settings import at_least
from nextscan.imputers.volumes.learning_settings import LearningSettings

Target = Literal["follow-up", "residual"]
Schedule = Literal["linear", "cosine"]
Condition = Literal["add", "channels"]

# Of channels that a network normalises together: that of the expected change, and that of the diffusion, which is made
# only once the first is trained.
_MEAN_GROUPS, _GROUPS = 4, 8


@dataclass(frozen=True)
class VolumeDiffusionSettings(LearningSettings):
    """Every choice in a diffusion model of follow-up volumes, beside those of `LearningSettings`.

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
    mean_channels : tuple of int
        Widths of a network of its own for the expected change (`nextscan.networks.volume_conv.VolumeConvNet`): what
        it leaves of the residual is diffused. Empty for none; paper: none.
    grows : bool
        Whether the expected change is ``f0 + r f1``, r being the years over their training mean and f0, f1 two
        outputs of its network: change grows with time, and at 0 years there is none. Pairs turned round in time tell
        f0 from f1: without `backward` the expected change is one output. Paper: no.
    draw_share : float
        Length of the training of the diffusion around an expected change, as a share of `epochs`.
    clamp : bool
        Clamp every estimate of the volume to [-1, 1]. Prepared volumes are clipped there.
    channels, attention, n_residual, patch
        Of `nextscan.networks.VolumeUNet`; the paper says no more than "attention-based UNet".
    """

    batch_size: int = 4
    learning_rate: float = 2e-3
    target: Target = "residual"
    schedule: Schedule = "cosine"
    steps: int = 1000
    parameterisation: Literal["noise", "data", "velocity"] = "velocity"
    sampler: str = "dpm-solver++"
    sampling_steps: int = 10
    condition: Condition = "add"
    use_source: bool = True
    mean_channels: tuple[int, ...] = (8, 32)
    grows: bool = True
    draw_share: float = 0.15
    clamp: bool = False
    channels: tuple[int, ...] = (16, 32, 64)
    attention: tuple[bool, ...] = (False, False, True)
    n_residual: int = 1
    patch: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, steps=self.steps, sampling_steps=self.sampling_steps, n_residual=self.n_residual, patch=self.patch)
        if not 0 < self.draw_share <= 1:
            raise SettingError(f"draw_share must be in (0, 1], got {self.draw_share:g}")
        if not self.use_source and self.target == "residual":
            raise SettingError("without the source only the follow-up can be predicted: set target='follow-up'")
        if self.mean_channels and self.target != "residual":
            raise SettingError("the expected change is added to the source: set target='residual' or mean_channels=()")
        if self.mean_channels and (min(self.mean_channels) < 1 or self.mean_channels[-1] % _MEAN_GROUPS):
            raise SettingError(
                f"mean_channels must be positive, the last a multiple of {_MEAN_GROUPS}; got {self.mean_channels}"
            )
        if len(self.channels) != len(self.attention) or any(width < 1 or width % _GROUPS for width in self.channels):
            raise SettingError(
                f"channels must be multiples of {_GROUPS}, with one choice of attention each, got "
                f"channels={self.channels} and attention={self.attention}"
            )
        if self.parameterisation == "noise" and self.schedule == "cosine":
            raise SettingError(
                "noise cannot be predicted on a path that ends at noise: set parameterisation='velocity' or "
                "schedule='linear'"
            )
        if self.schedule == "linear" and self.sampling_steps > self.steps:
            raise SettingError(f"sampling_steps {self.sampling_steps} exceeds the {self.steps} steps of the schedule")

    @property
    def draw_epochs(self) -> int:
        """Epochs in which the diffusion around an expected change is trained."""
        return max(1, round(self.epochs * self.draw_share))


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
    mean_channels=(),
    grows=False,
    match_brightness=False,
    flip=False,
    shift=0,
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
    warmup_steps=0,
    decay="constant",
    weight_decay=0.0,
    average=None,
)

PRESETS: dict[str, VolumeDiffusionSettings] = {"default": VolumeDiffusionSettings(), "paper": _PAPER}

MED_DDPM = replace(
    PRESETS["default"],
    target="follow-up",
    condition="channels",
    mean_channels=(),
    grows=False,
    backward=False,
    use_labels=False,
    sampling_steps=20,
    batch_size=2,
    learning_rate=3e-4,
)
