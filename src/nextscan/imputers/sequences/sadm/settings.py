"""The settings of SADM: what the paper says, and a sound choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nextscan.errors import SettingError
from nextscan.imputers.settings import at_least
from nextscan.imputers.volumes.learning_settings import TrainingChoices

_GROUPS = 8  # of channels that the U-Net normalises together


@dataclass(frozen=True)
class SADMSettings(TrainingChoices):
    """Every choice in SADM, beside those of `TrainingChoices`.

    Attributes
    ----------
    attention : bool
        Whether the factorised transformer conditions. Without it only the images nearest in time are seen.
    diffusion : bool
        Whether images are diffused. Without it there is the expected image, and what people differ by from it.
    time : bool
        Whether the networks know when images were. Without, only which comes before which.
    expected : bool
        Whether the expected image is learned by regression first, and what it leaves is diffused. Paper: no, the image
        itself is diffused.
    n_networks : int
        Of the expected image: each is learned without one part of the people, who then show what it leaves of people
        it has not seen; predictions are their mean.
    base : "best", "nearest" or "linear"
        What networks start from: a copy of the nearest image, linear in time, or whichever errs less in training.
    given : "any" or "published"
        Which frames are given in training, see `nextscan.imputers.sequences.sadm.films.given_frames`.
    autoregressive : bool
        Whether images between the last one given and the one wanted are made first and then given as well. Paper: yes.
    n_fields : int
        Fields of which a person's expected film is made, and along which it may depart from what is expected.
    use_labels : bool
        Whether labels of people are conditions. Paper: no. A diagnosis may come from the very frames to impute.
    interval_dropout : float
        Share of training examples whose conditions are hidden, for guidance. Released: 0.1.
    guidance : float
        Weight of guidance, see `nextscan.diffusion.guided`. Released: 0.2.
    schedule : "cosine" or "log-snr"
        Of the continuous path; cosine ends at noise (zero terminal SNR). The paper's is continuous in log-SNR.
    parameterisation : "velocity", "data" or "noise"
        Paper: noise, which on a path that ends at noise is singular.
    sampler, sampling_steps
        Paper: ancestral with interpolated variance.
    v : float
        Of the variance of that sampler: ``(sd_{s|t}²)^(1-v) (sd_{t|s}²)^v``, 0 is the least noise.
    token : three int, or None
        Voxels of a patch of the transformer; None: so many that there are at most 256 patches.
    width, n_conditions : int
        Of tokens of the transformer, and channels of the volume it makes.
    mean_channels, n_blocks
        Of the network of the expected image, see `nextscan.networks.volume_conv.VolumeConvNet`.
    channels, unet_attention, n_residual, patch
        Of the U-Net, see `nextscan.networks.VolumeUNet`.
    draw_share : float
        Length of the training of the diffusion around an expected image, as a share of `epochs`.
    flip : bool
    shift : int
        Chance in training: mirrored along the first axis, moved by up to so many voxels. Paper: none.
    """

    epochs: int = 20
    examples_per_epoch: int | None = 240
    batch_size: int = 8
    learning_rate: float = 3e-3
    average: float | None = 0.99
    attention: bool = True
    diffusion: bool = True
    time: bool = True
    expected: bool = True
    n_networks: int = 4
    base: Literal["best", "nearest", "linear"] = "best"
    given: Literal["any", "published"] = "any"
    autoregressive: bool = False
    n_fields: int = 8
    use_labels: bool = False
    interval_dropout: float = 0.1
    guidance: float = 0.0
    schedule: Literal["cosine", "log-snr"] = "cosine"
    parameterisation: Literal["velocity", "data", "noise"] = "velocity"
    sampler: str = "dpm-solver++"
    sampling_steps: int = 5
    v: float = 0.0
    token: tuple[int, int, int] | None = None
    width: int = 48
    n_conditions: int = 4
    mean_channels: tuple[int, ...] = (8, 32)
    n_blocks: int = 3
    channels: tuple[int, ...] = (16, 32, 64)
    unet_attention: tuple[bool, ...] = (False, False, False)
    n_residual: int = 1
    patch: int = 2
    draw_share: float = 0.3
    flip: bool = False
    shift: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, sampling_steps=self.sampling_steps, n_networks=self.n_networks, patch=self.patch)
        if not self.expected and not self.diffusion:
            raise SettingError("nothing would be learned: set expected=True or diffusion=True")
        if self.expected and self.n_networks < 2:
            raise SettingError("n_networks must be at least 2: what one leaves is seen in people of another")
        if not 0 <= self.interval_dropout < 1 or not 0 < self.draw_share <= 1 or not 0 <= self.v <= 1:
            raise SettingError(
                "interval_dropout must be in [0, 1), draw_share in (0, 1] and v in [0, 1], got "
                f"{self.interval_dropout:g}, {self.draw_share:g} and {self.v:g}"
            )
        if self.parameterisation == "noise" and self.schedule == "cosine":
            raise SettingError(
                "noise cannot be predicted on a path that ends at noise: set parameterisation='velocity' or "
                "schedule='log-snr'"
            )
        if self.guidance and not self.interval_dropout:
            raise SettingError("guidance needs training examples without conditions: set interval_dropout above 0")
        if len(self.channels) != len(self.unet_attention) or any(n < 1 or n % _GROUPS for n in self.channels):
            raise SettingError(
                f"channels must be multiples of {_GROUPS}, with one choice of unet_attention each, got "
                f"channels={self.channels} and unet_attention={self.unet_attention}"
            )

    @property
    def draw_epochs(self) -> int:
        """Epochs in which the diffusion around an expected image is trained."""
        return max(1, round(self.epochs * self.draw_share))


PRESETS: dict[str, SADMSettings] = {
    "default": SADMSettings(),
    "paper": SADMSettings(
        epochs=300,
        examples_per_epoch=None,
        batch_size=3,
        learning_rate=1e-4,
        warmup_steps=0,
        weight_decay=0.0,
        average=None,
        expected=False,
        given="published",
        autoregressive=True,
        guidance=0.2,
        schedule="log-snr",
        parameterisation="noise",
        sampler="ancestral-interpolated",
        sampling_steps=100,
        v=0.3,
        n_residual=2,
        channels=(16, 32, 64),
        patch=1,
        shift=0,
        draw_share=1.0,
    ),
}
