"""SADM's network: a 3-D U-Net that denoises one image of a sequence, conditioned on all images seen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nextscan.networks.sequence_conditioner import SequenceConditioner
from nextscan.networks.volume_unet import VolumeUNet


class SequenceDenoiser(nn.Module):
    """Map a noisy image and its level to the prediction of a diffusion model, given a sequence.

    The conditioning volume of the transformer enters at full resolution, with the image that is expected and sums of
    the images seen; the level enters every block. At first the output is 0.

    Deviation: in the release the level joins only at the bottleneck, and so skip connections do not know it
    (`tests/networks/test_sequence_denoiser.py`).

    Parameters
    ----------
    n_when, n_wanted, n_summaries : int
        See `nextscan.networks.sequence_fields.SequenceFields`.
    attention : bool
        Whether the transformer conditions; without it, the sums and the expected image do.
    token, width, n_conditions
        Of the transformer.
    channels, unet_attention, n_residual, patch, checkpointing
        Of the U-Net, see `VolumeUNet`.
    """

    def __init__(
        self,
        *,
        n_when: int,
        n_wanted: int,
        n_summaries: int,
        attention: bool,
        token: Sequence[int],
        width: int,
        n_conditions: int,
        channels: Sequence[int],
        unet_attention: Sequence[bool],
        n_residual: int,
        patch: int,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.conditioner = (
            SequenceConditioner(n_time=n_when, n_target=n_wanted, patch=token, width=width, n_outputs=n_conditions)
            if attention
            else None
        )
        self.unet = VolumeUNet(
            channels=channels,
            attention=unet_attention,
            n_residual=n_residual,
            n_sources=1 + n_summaries + attention * n_conditions,
            n_numbers=n_wanted + 2 * n_when + attention * width,
            patch=patch,
            checkpointing=checkpointing,
        )

    def see(
        self,
        frames: Tensor,
        mask: Tensor,
        relative: Tensor,
        summaries: Tensor,
        around: Tensor,
        wanted: Tensor,
        expected: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return volumes and numbers that condition an image, the same at all levels.

        Parameters
        ----------
        frames : Tensor, shape (B, K, X, Y, Z)
        mask : Tensor of bool, shape (B, K)
        relative : Tensor, shape (B, K, n_when)
            Of the images, relative to the time wanted.
        summaries : Tensor, shape (B, n_summaries, K)
        around : Tensor of int, shape (B, 2)
        wanted : Tensor, shape (B, n_wanted)
        expected : Tensor, shape (B, 1, X, Y, Z)
        """
        shown = frames * mask[:, :, None, None, None]
        volumes = [expected, torch.einsum("bsk,bkxyz->bsxyz", summaries, shown)]
        index = around[..., None].expand(-1, -1, relative.shape[-1])
        numbers = [wanted, torch.gather(relative, 1, index).flatten(1)]
        if self.conditioner is not None:
            volume, code = self.conditioner(frames, mask, relative, wanted)
            volumes.append(volume)
            numbers.append(code)
        return torch.cat(volumes, dim=1), torch.cat(numbers, dim=1)

    def forward(
        self, x: Tensor, level: Tensor, *seen: Tensor, conditions: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Map x (B, 1, X, Y, Z) at level (B,) to a prediction of the same shape.

        Parameters
        ----------
        *seen : Tensor
            What `see` takes.
        conditions : (Tensor, Tensor), optional
            What `see` returned, in place of it.
        """
        volumes, numbers = self.see(*seen) if conditions is None else conditions
        output: Tensor = self.unet(x, level, volumes, numbers)
        return output
