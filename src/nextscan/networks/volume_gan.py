"""A conditional generative adversarial network of volumes: a U-Net, and a critic of patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nextscan.networks.volume_unet import VolumeUNet


class PatchCritic(nn.Module):
    """Score patches of volumes (Isola et al. 2017, arXiv 1611.07004): 1 for real, 0 for generated.

    Parameters
    ----------
    n_inputs : int
        Channels.
    channels : sequence of int
        Each step halves the resolution; multiples of `groups`.
    groups : int
        Of group norm, which depends on no other example, unlike the batch norm of the paper.
    """

    def __init__(self, n_inputs: int, *, channels: Sequence[int] = (16, 32, 64), groups: int = 8) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, width in enumerate(channels):
            layers.append(nn.Conv3d(n_inputs, width, 3, stride=2, padding=1))
            layers += [nn.GroupNorm(groups, width)] if i else []  # the first sees how bright patches are
            layers.append(nn.LeakyReLU(0.2))
            n_inputs = width
        self.layers = nn.Sequential(*layers, nn.Conv3d(n_inputs, 1, 3, padding=1))

    def forward(self, volumes: Tensor) -> Tensor:
        """Map volumes (B, n_inputs, X, Y, Z) to scores of overlapping patches (B, 1, x, y, z)."""
        scores: Tensor = self.layers(volumes)
        return scores


class VolumeGANNetwork(nn.Module):
    """Generate how a volume differs from its source, beside a critic who tells what was generated.

    Parameters
    ----------
    n_numbers : int
        Numbers of the condition.
    channels, attention, patch, groups, checkpointing
        Of the generator, a `VolumeUNet`, which starts at 0. The critic has the same widths.
    """

    def __init__(
        self,
        *,
        n_numbers: int,
        channels: Sequence[int] = (16, 32, 64),
        attention: Sequence[bool] = (False, False, False),
        patch: int = 2,
        groups: int = 8,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.generator = VolumeUNet(
            channels=channels,
            attention=attention,
            n_numbers=n_numbers,
            patch=patch,
            groups=groups,
            checkpointing=checkpointing,
        )
        self.critic = PatchCritic(2 + n_numbers, channels=channels, groups=groups)

    def generate(self, noise: Tensor, source: Tensor, numbers: Tensor) -> Tensor:
        """Return a change (B, 1, X, Y, Z) that noise of that shape stands for."""
        change: Tensor = self.generator(noise, torch.zeros_like(noise[:, 0, 0, 0, 0]), source, numbers)
        return change

    def forward(self, noise: Tensor, source: Tensor, numbers: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Generate a change, and let the critic judge it and the real one.

        Returns
        -------
        generated : Tensor, shape (B, 1, X, Y, Z)
        fooling : Tensor, shape (B,)
            What the generator is to make small, for which the critic stands still: least squares (Mao et al. 2017,
            arXiv 1611.04076), as the next.
        telling : Tensor, shape (B,)
            What the critic is to make small, for which the generator stands still.
        """
        generated = self.generate(noise, source, numbers)
        beside = torch.cat([source, numbers[:, :, None, None, None].expand(*numbers.shape, *source.shape[2:])], dim=1)
        fixed = {name: value.detach() for name, value in self.critic.named_parameters()}
        fooled = functional_call(self.critic, fixed, (torch.cat([generated, beside], dim=1),))
        real, fake = (self.critic(torch.cat([seen, beside], dim=1)) for seen in (change, generated.detach()))
        telling = ((real - 1).square() + fake.square()) / 2
        return generated, (fooled - 1).square().flatten(1).mean(1), telling.flatten(1).mean(1)
