"""Conditional variational autoencoder of follow-up volumes (Kingma & Welling 2014; Sohn et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nextscan.imputers.volumes.learned import LearnedVolumeImputer

if TYPE_CHECKING:
    from nextscan.imputers.volumes.vae.trained import TrainedVAE, VolumeVAESettings


@dataclass(eq=False, repr=False, kw_only=True)
class VolumeVAE(LearnedVolumeImputer):
    """Impute follow-up volumes by decoding normal codes beside the source volume.

    A baseline of arXiv 2411.05860, which says no more of it than its name. Here the change from the source
    is encoded and decoded, in units of its spread, so that the untrained model predicts the source;
    what the decoder leaves of a voxel is independent normal noise whose size is learned. The mean is that
    of the decoded draws, without this noise.

    Parameters
    ----------
    latent : int, optional
        Length of the code.
    channels, patch, epochs, examples_per_epoch, batch_size, learning_rate, patience
        See `nextscan.imputers.volumes.vae.trained.VolumeVAESettings`; None for its own.
    shape, spacing, cache, device, precision, accumulate, checkpointing
        As in `VolumeDiffusion`.
    """

    name: ClassVar[str] = "volume-vae"
    uses_time: ClassVar[bool] = True
    predicts_backward: ClassVar[bool] = True

    latent: int | None = None
    channels: tuple[int, ...] | None = None
    patch: int | None = None
    epochs: int | None = None
    examples_per_epoch: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    patience: int | None = None

    @property
    def settings(self) -> VolumeVAESettings:
        """The settings in full."""
        from nextscan.imputers.volumes.vae.trained import VolumeVAESettings

        return VolumeVAESettings().changed(self.get_params())

    @staticmethod
    def _kind() -> type[TrainedVAE]:
        from nextscan.imputers.volumes.vae.trained import TrainedVAE

        return TrainedVAE
