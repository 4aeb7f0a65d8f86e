"""A film as a few fields of one person, each with a curve over time: one pass of a network for all its images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nextscan.networks.sequence_conditioner import SequenceConditioner
from nextscan.networks.volume_conv import VolumeConvNet


class SequenceFields(nn.Module):
    """Map images seen, and times wanted, to the change expected from what is expected without learning.

    ``x(t) = sum_k w_k(t) x_k + unit * sum_m g_m(t) f_m``: weights of the images seen (given ones, and learned ones that
    add up to 0, so that brightness stays), and fields f_m that are the person's own, how it moves, times numbers g_m
    that time decides and the person. So the cost of a film hardly grows with its images. At first the fields are 0.

    Parameters
    ----------
    n_when : int
        Numbers of an image seen, relative to a time.
    n_wanted : int
        Numbers of a time wanted.
    n_summaries : int
        Volumes in which the images seen are summed up, at full resolution.
    n_fields : int
    attention : bool
        Whether a `SequenceConditioner` sees all images; without it only the summaries are seen.
    token, width, n_conditions
        Of the conditioner.
    channels, n_blocks
        Of the network that makes the fields, see `VolumeConvNet`.
    """

    def __init__(
        self,
        *,
        n_when: int,
        n_wanted: int,
        n_summaries: int,
        n_fields: int,
        attention: bool,
        token: Sequence[int],
        width: int,
        n_conditions: int,
        channels: Sequence[int],
        n_blocks: int,
    ) -> None:
        super().__init__()
        self.conditioner = (
            SequenceConditioner(n_time=n_when, n_target=1, patch=token, width=width, n_outputs=n_conditions)
            if attention
            else None
        )
        n_code = width if attention else 0
        self.fields = VolumeConvNet(
            n_inputs=n_summaries + n_conditions * attention,
            n_outputs=n_fields,
            n_numbers=n_code,
            channels=channels,
            n_blocks=n_blocks,
        )
        self.weighing = _perceptron(n_when + n_wanted, 32, 1, bias=False)  # a bias would cancel
        for parameter in self.weighing[-1].parameters():
            nn.init.zeros_(parameter)
        self.curves = _perceptron(n_wanted + 2 * n_when + n_code, 64, n_fields)

    def forward(
        self,
        frames: Tensor,
        mask: Tensor,
        when: Tensor,
        summaries: Tensor,
        weights: Tensor,
        relative: Tensor,
        around: Tensor,
        wanted: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return fields, and the weights of images and of fields at the times wanted.

        Parameters
        ----------
        frames : Tensor, shape (B, K, X, Y, Z)
        mask : Tensor of bool, shape (B, K)
            Whatever stands where it is false does not count.
        when : Tensor, shape (B, K, n_when)
            Of the images, relative to the first.
        summaries : Tensor, shape (B, n_summaries, K)
            Weights of the images.
        weights : Tensor, shape (B, T, K)
            Of the images in what is expected without learning.
        relative : Tensor, shape (B, T, K, n_when)
            Of the images, relative to each time.
        around : Tensor of int, shape (B, T, 2)
            The images next to each time, before and after.
        wanted : Tensor, shape (B, T, n_wanted)

        Returns
        -------
        Tensor, shape (B, n_fields, X, Y, Z)
        Tensor, shape (B, T, K)
        Tensor, shape (B, T, n_fields)
        """
        volumes = torch.einsum("bsk,bkxyz->bsxyz", summaries, frames)
        if self.conditioner is None:
            code = frames.new_zeros(len(frames), 0)
            fields = self.fields(volumes)
        else:
            volume, code = self.conditioner(frames, mask, when, frames.new_ones(len(frames), 1))
            fields = self.fields(torch.cat([volumes, volume], dim=1), code)
        n_times, n_frames = weights.shape[1:]
        shown = mask[:, None].to(weights.dtype)
        told = torch.cat([relative, wanted[:, :, None].expand(-1, -1, n_frames, -1)], dim=-1)
        learned = self.weighing(told)[..., 0] * shown
        learned = learned - shown * learned.sum(-1, keepdim=True) / shown.sum(-1, keepdim=True)
        next_to = torch.gather(relative, 2, around[..., None].expand(-1, -1, -1, relative.shape[-1])).flatten(2)
        known = code[:, None].expand(-1, n_times, -1)
        return fields, weights + learned, self.curves(torch.cat([wanted, next_to, known], dim=-1))


def _perceptron(n_in: int, width: int, n_out: int, *, bias: bool = True) -> nn.Sequential:
    hidden = [nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
    return nn.Sequential(*hidden, nn.Linear(width, n_out, bias=bias))
