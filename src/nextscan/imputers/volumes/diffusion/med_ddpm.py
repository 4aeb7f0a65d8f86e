"""Med-DDPM: diffusion of volumes with the condition as channels (Dorjsembe et al. 2024, arXiv 2305.18453)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nextscan.imputers.volumes.diffusion.settings import MED_DDPM, VolumeDiffusionSettings
from nextscan.imputers.volumes.learned import LearnedVolumeImputer

if TYPE_CHECKING:
    from nextscan.imputers.volumes.diffusion.trained import TrainedDiffusion


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

    def __init__(
        self,
        *,
        channels: tuple[int, ...] | None = None,
        attention: tuple[bool, ...] | None = None,
        n_residual: int | None = None,
        patch: int | None = None,
        sampling_steps: int | None = None,
        epochs: int | None = None,
        examples_per_epoch: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        shape: tuple[int, int, int] | None = None,
        spacing: tuple[float, float, float] | None = None,
        cache: str | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        accumulate: int = 1,
        checkpointing: bool = False,
    ) -> None:
        self._store(locals())
        self.shape, self.spacing, self.cache = shape, spacing, cache

    @property
    def settings(self) -> VolumeDiffusionSettings:
        """The settings in full."""
        return MED_DDPM.changed(self._given())

    @staticmethod
    def _kind() -> type[TrainedDiffusion]:
        from nextscan.imputers.volumes.diffusion.trained import TrainedDiffusion

        return TrainedDiffusion
