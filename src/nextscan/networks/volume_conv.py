"""A small convolutional network on volumes that keeps full resolution, conditioned on numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from nextscan.errors import SettingError
from nextscan.networks.layers import padded_to


class VolumeConvNet(nn.Module):
    """Map a volume and numbers to output volumes on the same grid.

    Few channels at full resolution find where tissue ends, to a fraction of a voxel; residual blocks at the lowest
    one see the surroundings, and there the numbers are added. The last convolution starts at zero: at first the
    output is exactly 0. With two resolutions 12 voxels to each side are seen, with each further one about twice as
    many, and of the whole volume what group norm takes of it.

    Parameters
    ----------
    n_numbers : int
        Numbers beside the volume, such as labels; 0 without.
    n_outputs : int
    n_inputs : int
        Channels of the volume.
    channels : sequence of int
        Widths from full to lowest resolution; each step halves the resolution. The last is a multiple of `groups`.
    n_blocks : int
        Residual blocks at the lowest resolution.
    groups : int
        Of group norm.
    """

    def __init__(
        self,
        *,
        n_numbers: int = 0,
        n_outputs: int = 1,
        n_inputs: int = 1,
        channels: Sequence[int] = (8, 32),
        n_blocks: int = 4,
        groups: int = 4,
    ) -> None:
        super().__init__()
        if not channels or channels[-1] % groups:
            raise SettingError(f"the last of the channels must be a multiple of {groups}, got {tuple(channels)}")
        self.multiple = 2 ** (len(channels) - 1)
        low = channels[-1]
        steps = list(pairwise(channels))
        self.first = nn.Conv3d(n_inputs, channels[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.norms = nn.ModuleList(nn.GroupNorm(groups, low) for _ in range(n_blocks))
        self.blocks = nn.ModuleList(nn.Conv3d(low, low, 3, padding=1) for _ in range(n_blocks))
        if n_numbers:
            self.numbers = nn.Sequential(nn.Linear(n_numbers, 64), nn.SiLU(), nn.Linear(64, n_blocks * low))
        # what comes up is twice as wide as what went down, but for the lowest resolution
        widths = [*(2 * fine for fine, _ in steps[1:]), low]
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(width, fine, 2, stride=2) for width, (fine, _) in zip(widths, steps, strict=False)
        )
        self.merge = nn.ModuleList(nn.Conv3d(2 * fine, 2 * fine, 3, padding=1) for fine, _ in steps)
        self.out = nn.Conv3d(2 * channels[0] if steps else low, n_outputs, 3, padding=1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, volume: Tensor, numbers: Tensor | None = None) -> Tensor:
        """Map volumes (B, n_inputs, X, Y, Z) and numbers (B, n_numbers).

        Returns
        -------
        Tensor, shape (B, n_outputs, X, Y, Z)
        """
        x, y, z = volume.shape[2:]
        into = padded_to(volume, self.multiple).contiguous(memory_format=torch.channels_last_3d)  # a fifth less time
        h = functional.silu(self.first(into))
        kept = []
        for down in self.down:
            kept.append(h)
            h = down(h)
        added = None if numbers is None else self.numbers(numbers).unflatten(1, (len(self.blocks), -1))
        for i, (norm, block) in enumerate(zip(self.norms, self.blocks, strict=True)):
            change = block(norm(h))
            h = h + functional.silu(change if added is None else change + added[:, i, :, None, None, None])
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            h = functional.silu(merge(torch.cat([up(h), kept.pop()], dim=1)))
        out: Tensor = self.out(h)
        return out[:, :, :x, :y, :z]
