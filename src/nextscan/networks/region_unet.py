"""A small U-Net that tells regions in images of thick slices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from nextscan.errors import SettingError
from nextscan.networks.layers import padded_to


class RegionUNet(nn.Module):
    """Map an image to a number per voxel and region.

    At full resolution convolutions stay within slices, which are thicker than voxels are wide and cost least that way;
    below it they see all three axes. The first halving keeps the slices. Each convolution is followed by group norm.
    Beside the image the network is told where in the image a voxel lies.

    Parameters
    ----------
    n_outputs : int
    channels : sequence of int
        Widths from full to lowest resolution, multiples of `groups`; each step halves the resolution.
    groups : int
        Of group norm.
    """

    def __init__(self, *, n_outputs: int, channels: Sequence[int] = (8, 16, 24), groups: int = 4) -> None:
        super().__init__()
        if len(channels) < 2 or any(width % groups for width in channels):
            raise SettingError(f"channels must be two or more multiples of {groups}, got {tuple(channels)}")
        self.multiple = 2 ** (len(channels) - 1)
        self.first = _block(4, channels[0], groups, flat=True)
        self.steps = [(2, 2, 1), *[(2, 2, 2)] * (len(channels) - 2)]
        self.down = nn.ModuleList(
            nn.Sequential(_block(fine, coarse, groups), _block(coarse, coarse, groups))
            for fine, coarse in pairwise(channels)
        )
        self.up = nn.ModuleList(
            _block(fine + coarse, fine, groups, flat=True) for fine, coarse in reversed(list(pairwise(channels)))
        )
        self.out = nn.Conv3d(channels[0], n_outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map images (B, 1, X, Y, Z).

        Returns
        -------
        Tensor, shape (B, n_outputs, X, Y, Z)
        """
        x, y, z = image.shape[2:]
        into = padded_to(image, self.multiple)
        ramps = [torch.linspace(-1, 1, n, dtype=into.dtype, device=into.device) for n in into.shape[2:]]
        places = torch.stack(torch.meshgrid(*ramps, indexing="ij")).expand(len(into), -1, -1, -1, -1)
        h = self.first(torch.cat([into, places], dim=1).contiguous(memory_format=torch.channels_last_3d))
        kept = []
        for step, down in zip(self.steps, self.down, strict=True):
            kept.append(h)
            h = down(functional.avg_pool3d(h, step))
        for step, up in zip(reversed(self.steps), self.up, strict=True):
            finer = functional.interpolate(h, scale_factor=tuple(map(float, step)), mode="nearest")
            h = up(torch.cat([finer, kept.pop()], dim=1))
        out: Tensor = self.out(h)
        return out[:, :, :x, :y, :z]


def _block(n_in: int, n_out: int, groups: int, *, flat: bool = False) -> nn.Sequential:
    size, edge = ((3, 3, 1), (1, 1, 0)) if flat else ((3, 3, 3), (1, 1, 1))
    return nn.Sequential(nn.Conv3d(n_in, n_out, size, padding=edge), nn.GroupNorm(groups, n_out), nn.SiLU())
