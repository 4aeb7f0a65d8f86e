"""A factorised transformer that turns any number of images of a person into one conditioning volume."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nextscan.networks.layers import sinusoidal

_POSITION_SCALE = 100.0


class SequenceConditioner(nn.Module):
    """Map images seen, when they were, and the time wanted, to a volume and a code (SADM, section 3.1).

    Time and space are attended to one after the other. *Over time*, each patch of the wanted image asks the same patch
    of all images seen, which answer by how far they are from the wanted time; images that are not there are masked and
    cannot answer. *Over space*, the patches then attend to each other, and are brought back to voxels. The cost grows
    in proportion to the number of images.

    Deviation: the paper's temporal encoder lets all patches of all images attend to each other, and its time is a
    learned position in a sequence of fixed length. Here the target asks, so that the cost is not quadratic, and times
    are numbers, so that they may be any (`tests/networks/test_sequence_conditioner.py`).

    Parameters
    ----------
    n_time : int
        Numbers that say when an image was, relative to the wanted one.
    n_target : int
        Numbers beside the images: the wanted time, labels.
    patch : three int
        Voxels of a patch.
    width : int
        Of a token, a multiple of `n_heads`.
    n_temporal, n_spatial : int
        Layers over time, and over space. Without any over time the images that are there are averaged.
    n_heads : int
    n_outputs : int
        Channels of the conditioning volume.
    """

    def __init__(
        self,
        *,
        n_time: int,
        n_target: int,
        patch: Sequence[int] = (4, 4, 2),
        width: int = 64,
        n_temporal: int = 1,
        n_spatial: int = 2,
        n_heads: int = 4,
        n_outputs: int = 8,
    ) -> None:
        super().__init__()
        self.patch, self.width, self.n_outputs = tuple(patch), width, n_outputs
        self.embed = nn.Linear(math.prod(self.patch), width)
        self.when = nn.Sequential(nn.Linear(n_time, width), nn.SiLU(), nn.Linear(width, width))
        self.wanted = nn.Sequential(nn.Linear(n_target, width), nn.SiLU(), nn.Linear(width, width))
        self.temporal = nn.ModuleList(_Asking(width, n_heads) for _ in range(n_temporal))
        self.spatial = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, n_heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(n_spatial)
        )
        self.norm = nn.LayerNorm(width)
        self.decode = nn.Linear(width, n_outputs * math.prod(self.patch))

    def forward(self, frames: Tensor, mask: Tensor, when: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Attend over time, then over space.

        Parameters
        ----------
        frames : Tensor, shape (B, K, X, Y, Z)
            Whatever stands where the mask is false is not looked at.
        mask : Tensor of bool, shape (B, K)
            At least one is true.
        when : Tensor, shape (B, K, n_time)
        wanted : Tensor, shape (B, n_target)

        Returns
        -------
        Tensor, shape (B, n_outputs, X, Y, Z)
        Tensor, shape (B, width)
            What the patches say in common.
        """
        shape = frames.shape[2:]
        frames = torch.where(mask[:, :, None, None, None], frames, torch.zeros_like(frames))
        patches, cells = self._cut(frames)
        tokens = self.embed(patches) + self.when(when)[:, :, None]  # (B, K, P, D)
        place = self._positions(cells, tokens)
        share = mask.to(tokens.dtype) / mask.sum(1, keepdim=True)
        asked = torch.einsum("bk,bkpd->bpd", share, tokens) + self.wanted(wanted)[:, None] + place
        for layer in self.temporal:
            asked = layer(asked, tokens, mask)
        for layer in self.spatial:
            asked = layer(asked)
        asked = self.norm(asked)
        return self._join(self.decode(asked), cells, shape), asked.mean(1)

    def _cut(self, frames: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
        """Cut images into patches, shape (B, K, P, voxels); the last voxels are repeated to fill the last patch."""
        p, q, r = self.patch
        missing = [-n % size for n, size in zip(frames.shape[2:], self.patch, strict=True)]
        if any(missing):
            frames = functional.pad(frames, [n for side in reversed(missing) for n in (0, side)], mode="replicate")
        batch, n_frames, x, y, z = frames.shape
        a, b, c = x // p, y // q, z // r
        cut = frames.reshape(batch, n_frames, a, p, b, q, c, r).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return cut.reshape(batch, n_frames, a * b * c, p * q * r), (a, b, c)

    def _join(self, tokens: Tensor, cells: tuple[int, int, int], shape: Sequence[int]) -> Tensor:
        """Undo `_cut` for tokens (B, P, n_outputs * voxels), cut to `shape`."""
        (a, b, c), (p, q, r) = cells, self.patch
        parts = tokens.reshape(len(tokens), a, b, c, self.n_outputs, p, q, r).permute(0, 4, 1, 5, 2, 6, 3, 7)
        volume = parts.reshape(len(tokens), self.n_outputs, a * p, b * q, c * r)
        return volume[:, :, : shape[0], : shape[1], : shape[2]]

    def _positions(self, cells: tuple[int, int, int], like: Tensor) -> Tensor:
        """Return what says where each patch is, shape (P, D): no table, so that the grid may be any."""
        axes = [(torch.arange(n, device=like.device, dtype=like.dtype) + 0.5) / n for n in cells]
        each = self.width // 3
        widths = (each, each, self.width - 2 * each)
        parts = [
            sinusoidal(at, width, scale=_POSITION_SCALE)
            for at, width in zip(torch.meshgrid(*axes, indexing="ij"), widths, strict=True)
        ]
        return torch.cat(parts, dim=-1).reshape(-1, self.width)


class _Asking(nn.Module):
    """Tokens of the wanted image ask those of the images seen, patch by patch."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_asked, self.norm_seen = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, asked: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
        """Map asked (B, P, D), seen (B, K, P, D) and mask (B, K) to (B, P, D)."""
        query = self.query(self.norm_asked(asked)).unflatten(-1, (self.n_heads, -1))
        key, value = self.key_value(self.norm_seen(seen)).unflatten(-1, (2, self.n_heads, -1)).unbind(-3)
        weight = torch.einsum("bphe,bkphe->bphk", query, key) / math.sqrt(query.shape[-1])
        weight = weight.masked_fill(~mask[:, None, None], float("-inf")).softmax(-1)
        answer = torch.einsum("bphk,bkphe->bphe", weight, value).flatten(-2)
        asked = asked + self.out(answer)
        mixed: Tensor = asked + self.mix(self.norm(asked))
        return mixed
