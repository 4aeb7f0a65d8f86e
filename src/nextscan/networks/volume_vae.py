"""A conditional variational autoencoder of volumes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nextscan.networks.volume_unet import VolumeUNet


class VolumeVAENetwork(nn.Module):
    """Encode how a volume differs from its source into a few numbers, and decode these beside the source.

    The decoder is a `VolumeUNet` that sees the source and, among its numbers, the code; it starts at 0.

    Parameters
    ----------
    latent : int
        Length of the code.
    n_numbers : int
        Numbers of the condition.
    channels, attention, n_residual, patch, groups, checkpointing
        Of the decoder. The encoder halves the resolution as often, with the same widths.
    """

    def __init__(
        self,
        *,
        latent: int,
        n_numbers: int,
        channels: Sequence[int] = (16, 32, 64),
        attention: Sequence[bool] = (False, False, False),
        n_residual: int = 1,
        patch: int = 2,
        groups: int = 8,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.decoder = VolumeUNet(
            channels=channels,
            attention=attention,
            n_residual=n_residual,
            n_sources=0,
            n_numbers=n_numbers + latent,
            patch=patch,
            groups=groups,
            checkpointing=checkpointing,
        )
        layers: list[nn.Module] = [nn.AvgPool3d(patch)] if patch > 1 else []
        n_in = 2
        for width in channels:
            layers += [nn.Conv3d(n_in, width, 3, stride=2, padding=1), nn.GroupNorm(groups, width), nn.SiLU()]
            n_in = width
        self.encoder = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(2), nn.Flatten())
        self.to_code = nn.Linear(8 * n_in + n_numbers, 2 * latent)
        self.log_noise = nn.Parameter(torch.zeros(1))

    def encode(self, change: Tensor, source: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the code, (B, latent) each, of changes (B, 1, X, Y, Z)."""
        seen = self.encoder(torch.cat([change, source], dim=1))
        mean, log_variance = self.to_code(torch.cat([seen, numbers], dim=1)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, code: Tensor, source: Tensor, numbers: Tensor) -> Tensor:
        """Return the change (B, 1, X, Y, Z) that a code (B, latent) stands for."""
        change: Tensor = self.decoder(source, torch.zeros_like(code[:, 0]), None, torch.cat([numbers, code], dim=1))
        return change

    def forward(
        self, change: Tensor, source: Tensor, numbers: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode a change, draw a code with noise (B, latent), decode it.

        Returns
        -------
        decoded : Tensor, shape (B, 1, X, Y, Z)
        mean, log_variance : Tensor, shape (B, latent)
            Of the code.
        log_noise : Tensor, shape (1,)
            Log spread of what the decoder leaves of a voxel.
        """
        mean, log_variance = self.encode(change, source, numbers)
        code = mean + (log_variance / 2).exp() * noise
        return self.decode(code, source, numbers), mean, log_variance, self.log_noise
