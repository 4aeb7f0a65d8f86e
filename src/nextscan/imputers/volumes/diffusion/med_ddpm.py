"""Med-DDPM: diffusion of volumes with the condition as channels (Dorjsembe et al. 2024, arXiv 2305.18453)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nextscan.imputers.volumes.diffusion.imputer import VolumeDiffusion
from nextscan.imputers.volumes.diffusion.settings import MED_DDPM, VolumeDiffusionSettings
from nextscan.imputers.volumes.learned import LearnedVolumeImputer


@dataclass(eq=False, repr=False, kw_only=True)
class MedDDPM(LearnedVolumeImputer):
    """Impute follow-up volumes by diffusion that sees source volume and interval as further channels.

    A baseline of arXiv 2411.05860. The follow-up itself is diffused; its anatomy has to be made anew from
    noise, guided by the channels.

    Deviation: Med-DDPM's condition is a label map; here it is the source volume and the interval. Its noise
    prediction over 250 steps with an absolute error is replaced by this package's own schedule and loss: the row
    tells what it costs to make all of the follow-up's anatomy from noise, guided by channels, where the default
    diffuses what an expected change leaves. Covered by
    ``test_med_ddpm_differs_from_the_default_by_condition_and_target``.

    Parameters
    ----------
    channels, attention, n_residual, patch, sampling_steps
    epochs, examples_per_epoch, batch_size, learning_rate, patience
        See `nextscan.imputers.volumes.diffusion.settings.VolumeDiffusionSettings`; None for its own.
    shape, spacing, cache, device, precision, accumulate, checkpointing
        As in `VolumeDiffusion`.
    """

    name: ClassVar[str] = "med-ddpm"
    uses_time: ClassVar[bool] = True

    channels: tuple[int, ...] | None = None
    attention: tuple[bool, ...] | None = None
    n_residual: int | None = None
    patch: int | None = None
    sampling_steps: int | None = None
    epochs: int | None = None
    examples_per_epoch: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    patience: int | None = None

    @property
    def settings(self) -> VolumeDiffusionSettings:
        """The settings in full."""
        return MED_DDPM.changed(self.get_params())

    _kind = staticmethod(VolumeDiffusion._kind)
