"""A U-Net on volumes with attention, conditioned on another volume and on numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nextscan.errors import SettingError
from nextscan.networks.layers import padded_to, sinusoidal

_LEVEL_SCALE = 1000.0  # levels run from 0 to 1, the steps of the published models to 1000


class VolumeUNet(nn.Module):
    """Map a noisy volume, its level and conditions to an output volume.

    The blocks are those of MONAI's `DiffusionModelUNet` (residual blocks with group norm, self-attention
    where asked for), whose last convolution starts at zero: at first the output is exactly 0. Conditions
    enter *by addition* (arXiv 2411.05860, "aggregate these conditions through addition operation"): the
    convolution of the source volume is added to that of the noisy one, the encoding of the numbers to that
    of the level. Or, as in Med-DDPM, the source enters as further channels, and the numbers as channels
    that are the same everywhere.

    Parameters
    ----------
    channels : sequence of int
        Widths from full to lowest resolution, each a multiple of `groups`; each step halves the resolution.
    attention : sequence of bool
        Where a block is followed by self-attention; its cost grows with the square of the voxels there.
    n_residual : int
        Residual blocks per resolution.
    n_sources : int
        Channels of the source volume; 0 without one.
    n_numbers : int
        Numbers beside the level, such as the interval and labels; 0 without.
    n_outputs : int
    concatenate : bool
        Conditions as channels instead of by addition.
    patch : int
        Blocks of ``patch³`` voxels become channels before the network and voxels again behind it, which
        takes about ``patch³`` times less memory and time at the same widths.
    groups : int
        Of group norm.
    checkpointing : bool
        Forget what blocks computed and compute it again for gradients: less memory, a third more time.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (32, 64, 128),
        attention: Sequence[bool] = (False, False, True),
        n_residual: int = 1,
        n_sources: int = 1,
        n_numbers: int = 0,
        n_outputs: int = 1,
        concatenate: bool = False,
        patch: int = 1,
        groups: int = 8,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if len(channels) != len(attention) or any(width % groups for width in channels):
            raise SettingError(
                f"channels must be multiples of {groups}, with one choice of attention each, got {channels=} and "
                f"{attention=}"
            )
        self.patch, self.concatenate, self.checkpointing = patch, concatenate, checkpointing
        self.multiple = patch * 2 ** (len(channels) - 1)
        self.n_numbers, self.n_sources = n_numbers, n_sources
        width, voxels = channels[0], patch**3
        extra = n_sources + n_numbers if concatenate else 0
        self.blocks = _monai_unet(
            in_channels=(1 + extra) * voxels,
            out_channels=n_outputs * voxels,
            channels=tuple(channels),
            attention_levels=tuple(attention),
            num_res_blocks=n_residual,
            norm_num_groups=groups,
            num_head_channels=tuple(min(32, channel) for channel in channels),
        )
        if n_sources and not concatenate:
            self.source = nn.Conv3d(n_sources * voxels, width, 3, padding=1)
        if n_numbers and not concatenate:
            self.numbers = nn.Sequential(nn.Linear(n_numbers, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))

    def forward(self, x: Tensor, level: Tensor, source: Tensor | None = None, numbers: Tensor | None = None) -> Tensor:
        """Map x (B, 1, X, Y, Z), level (B,), source (B, n_sources, X, Y, Z), numbers (B, n_numbers).

        Returns
        -------
        Tensor, shape (B, n_outputs, X, Y, Z)
        """
        shape = x.shape[2:]
        into = [x]
        if self.concatenate and source is not None:
            into.append(source)
        if self.concatenate and numbers is not None:
            into.append(numbers[:, :, None, None, None].expand(*numbers.shape, *shape))
        width = self.blocks.block_out_channels[0]
        embedding = self.blocks.time_embed(sinusoidal(level, width, scale=_LEVEL_SCALE).to(x.dtype))
        h = self.blocks.conv_in(self._fold(torch.cat(into, dim=1)))
        if not self.concatenate:
            if source is not None:
                h = h + self.source(self._fold(source))
            if numbers is not None:
                embedding = embedding + self.numbers(numbers)
        return self._unfold(self._through_blocks(h, embedding), shape)

    def _through_blocks(self, h: Tensor, embedding: Tensor) -> Tensor:
        kept = [h]
        for block in self.blocks.down_blocks:
            h, more = self._run(block, h, embedding)
            kept += more
        h = self._run(self.blocks.middle_block, h, embedding)
        for block in self.blocks.up_blocks:
            n = len(block.resnets)
            kept, skips = kept[:-n], kept[-n:]
            h = self._run(block, h, skips, embedding)
        out: Tensor = self.blocks.out(h)
        return out

    def _run(self, block: nn.Module, *inputs: Any) -> Any:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    def _fold(self, x: Tensor) -> Tensor:
        """Pad to whole patches at every resolution and turn each patch into channels."""
        x = padded_to(x, self.multiple)
        if self.patch == 1:
            return x
        p = self.patch
        batch, channels, *sides = x.shape
        x = x.reshape(batch, channels, *(n for side in sides for n in (side // p, p)))
        return x.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)

    def _unfold(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Undo `_fold`, cut to `shape`."""
        p = self.patch
        if p > 1:
            x = x.unflatten(1, (-1, p, p, p)).permute(0, 1, 5, 2, 6, 3, 7, 4)
            batch, channels, a, _, b, _, c, _ = x.shape
            x = x.reshape(batch, channels, a * p, b * p, c * p)
        return x[:, :, : shape[0], : shape[1], : shape[2]]


def _monai_unet(**settings: Any) -> Any:
    """Return MONAI's network, of which only the blocks are used."""
    try:
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
    except ImportError as error:
        raise SettingError(f"networks for volumes need MONAI and einops ({error}); install nextscan[volumes]") from None
    return DiffusionModelUNet(spatial_dims=3, use_flash_attention=True, **settings)
