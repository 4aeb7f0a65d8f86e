"""A U-Net as the generator of a conditional adversarial network, from the last image shown to the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nextscan.imputers.volumes.learned import LearnedVolumeImputer

if TYPE_CHECKING:
    from nextscan.imputers.sequences.unet_gan.trained import TrainedGAN, UNetGANSettings


@dataclass(eq=False, repr=False, kw_only=True)
class UNetGAN(LearnedVolumeImputer):
    """Impute images by a U-Net that a critic of patches judges: the adversarial baseline of SADM.

    It sees one image, the last one shown, and the times: no others. As of pix2pix (Isola et al. 2017, arXiv
    1611.07004) the loss is the absolute error and what the critic says; it learns from all pairs of images of a
    person, in both directions. Draws differ by the noise that the generator is given, which it is free to ignore and
    mostly does: they are far too alike. The mean is that of the draws.

    Deviation: the paper says no more of it than "a UNet-based GAN model", and that it maps the first image of a beat to
    the one at the end of systole. Here the time of the target is among its inputs, so that one model makes all images;
    what is generated is the change from the source, in units of its spread, so that the untrained model predicts the
    source; generator and critic take each step at once, with one optimiser.

    Parameters
    ----------
    adversarial : float, optional
        What the critic counts for beside the absolute error; 0: a plain U-Net.
    channels, patch, epochs, examples_per_epoch, batch_size, learning_rate, patience
        See `nextscan.imputers.sequences.unet_gan.trained.UNetGANSettings`; None for its own.
    shape, spacing, cache, device, precision, accumulate, checkpointing
        As in `VolumeDiffusion`.
    """

    name: ClassVar[str] = "unet-gan"
    uses_time: ClassVar[bool] = True
    predicts_backward: ClassVar[bool] = True

    adversarial: float | None = None
    channels: tuple[int, ...] | None = None
    patch: int | None = None
    epochs: int | None = None
    examples_per_epoch: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    patience: int | None = None

    @property
    def settings(self) -> UNetGANSettings:
        """The settings in full."""
        from nextscan.imputers.sequences.unet_gan.trained import UNetGANSettings

        return UNetGANSettings().changed(self.get_params())

    @staticmethod
    def _kind() -> type[TrainedGAN]:
        from nextscan.imputers.sequences.unet_gan.trained import TrainedGAN

        return TrainedGAN
