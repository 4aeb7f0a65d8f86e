"""Time-conditioned diffusion of follow-up volumes (arXiv 2411.05860), and a sound default.

The method, in the paper's order ("Conditional Diffusion Model for Longitudinal Medical Image Generation"):

1. *Forward process.* ``x_t = √ᾱ_t x0 + √(1 - ᾱ_t) ε`` with T = 1000 and β linear from 1e-4 to 0.02
   (`nextscan.diffusion.linear_betas`); x0 is the target volume, scaled to [-1, 1].
2. *Condition.* "We refine the reverse diffusion module by injecting source image S and the time interval Δ
   into ε_θ, along with the current estimate x_t and timestep t": the convolution of S is added to that of x_t,
   the encoding of Δ to that of t (`nextscan.networks.volume_unet.VolumeUNet`).
3. *Network.* "The aggregated information is then fed into attention-based UNet model to estimate the added noise."
4. *Training.* ε-prediction (`nextscan.diffusion.objective`), Adam, 1e-3, batch 1, 300,000 steps.
5. *Sampling.* Ancestral, all T steps.

``preset="paper"`` is this. Its ablations are switches: ``use_source=False`` (no source), ``interval="unseen"`` (no
interval), both (unconditional). The paper scores below copying the source image, for reasons that can be told:
all of the anatomy has to be made anew from noise, and the forward process never quite ends at it. The default
has two parts, trained one after the other:

- *The expected change* (`nextscan.imputers.volumes.diffusion.expected_change`), by regression. A small network at full
  resolution sees source and labels, and says ``f0 + r f1``, r being the years over their mean: f1 is what grows with
  time, f0 what does not depend on it, the noise of the source, which is not seen again. Untrained both are 0. The
  predicted mean is the source and ``r f1``: a copy at 0 years, and with the source's own noise, so that what regions
  measured in both differ by is change. One evaluation makes it.
- *What it leaves* of the follow-up is diffused, in units of its spread in held-out pairs, predicting velocity on a
  path that ends at noise: then the network's output 0, which is what it starts with, is exactly right for white
  residuals. 10 steps make draws, whose noise is their own, around ``source + f0 + r f1``. The change of each draw is
  multiplied by a smooth random factor as wide as held-out pairs say that people's own rates vary
  (`nextscan.imputers.volumes.diffusion.rate_variation`): few pairs do not teach diffusion that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from nextscan.imputers.settings import resolve
from nextscan.imputers.volumes.conditions import Interval
from nextscan.imputers.volumes.diffusion.settings import PRESETS, Condition, Schedule, Target, VolumeDiffusionSettings
from nextscan.imputers.volumes.learned import LearnedVolumeImputer

if TYPE_CHECKING:
    from nextscan.imputers.volumes.diffusion.trained import TrainedDiffusion


@dataclass(eq=False, repr=False, kw_only=True)
class VolumeDiffusion(LearnedVolumeImputer):
    """Impute follow-up volumes by diffusion conditioned on the source volume and the interval.

    Parameters
    ----------
    preset : "default" or "paper"
        Where the other settings come from when they are None;
        `nextscan.imputers.volumes.diffusion.settings.VolumeDiffusionSettings` documents each.
    shape, spacing, cache
        Of the grid volumes are brought to, see `nextscan.preprocess.volumes.VolumePreparer`.
    device, precision, accumulate, checkpointing
        How to compute, see `nextscan.imputers.volumes.learning_settings.Machine`.
    """

    name: ClassVar[str] = "volume-diffusion"
    minimum_pairs: ClassVar[int] = 2

    preset: Literal["default", "paper"] = "default"
    target: Target | None = None
    schedule: Schedule | None = None
    steps: int | None = None
    parameterisation: Literal["noise", "data", "velocity"] | None = None
    sampler: str | None = None
    sampling_steps: int | None = None
    condition: Condition | None = None
    use_source: bool | None = None
    interval: Interval | None = None
    use_labels: bool | None = None
    mean_channels: tuple[int, ...] | None = None
    grows: bool | None = None
    draw_share: float | None = None
    match_brightness: bool | None = None
    flip: bool | None = None
    shift: int | None = None
    backward: bool | None = None
    channels: tuple[int, ...] | None = None
    attention: tuple[bool, ...] | None = None
    n_residual: int | None = None
    patch: int | None = None
    epochs: int | None = None
    examples_per_epoch: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    warmup_steps: int | None = None
    weight_decay: float | None = None
    average: float | None = None
    patience: int | None = None

    @property
    def settings(self) -> VolumeDiffusionSettings:
        """The settings in full: the preset with the changes given to the constructor."""
        return resolve(PRESETS, self.preset, self.get_params())

    @property
    def uses_time(self) -> bool:  # type: ignore[override]
        """Whether the time of the target changes the prediction."""
        return self.settings.interval != "unseen"

    @property
    def needs_time(self) -> bool:  # type: ignore[override]
        """Whether the interval must be known: the paper's encoding has no place for an unknown one."""
        return self.settings.interval == "encoded"

    @property
    def predicts_backward(self) -> bool:  # type: ignore[override]
        """Whether pairs were turned round in time, so that images before the first one can be imputed."""
        return self.settings.backward

    @staticmethod
    def _kind() -> type[TrainedDiffusion]:
        from nextscan.imputers.volumes.diffusion.trained import TrainedDiffusion

        return TrainedDiffusion
