"""Layers with a leading replica axis: R networks of the same shape side by side.

Shape language: ``(R, B, width)`` in, ``(R, B, width)`` out; replica r of the output depends only on
replica r of the input and of the parameters. With R = 1 the layers are the ordinary ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Module):
    """Apply an affine map per replica.

    Parameters
    ----------
    n_in, n_out : int
    replicas : int
    """

    def __init__(self, n_in: int, n_out: int, *, replicas: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(replicas, n_out, n_in))
        self.bias = nn.Parameter(torch.empty(replicas, n_out))

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draw weights and biases uniformly within ±1/√n_in, replica r from generator r."""
        bound = 1 / math.sqrt(self.weight.shape[2])
        with torch.no_grad():
            for weight, bias, generator in zip(self.weight, self.bias, generators, strict=True):
                weight.uniform_(-bound, bound, generator=generator)
                bias.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (R, B, n_in) to (R, B, n_out)."""
        if len(self.weight) == 1:  # one matrix product with the bias fused in, instead of a batch of one
            # squeeze, not [0]: its gradient is a view, where that of indexing is a zeroed copy
            return functional.linear(x.squeeze(0), self.weight.squeeze(0), self.bias.squeeze(0))[None]
        return torch.baddbmm(self.bias[:, None], x, self.weight.transpose(1, 2))


class LayerNorm(nn.Module):
    """Normalise the last axis, with a scale and shift per replica."""

    def __init__(self, width: int, *, replicas: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(replicas, width))
        self.bias = nn.Parameter(torch.zeros(replicas, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (R, B, width) to (R, B, width)."""
        width = x.shape[-1:]
        if len(self.weight) == 1:
            return functional.layer_norm(x, width, self.weight.squeeze(0), self.bias.squeeze(0))
        return functional.layer_norm(x, width) * self.weight[:, None] + self.bias[:, None]


class TokenAttention(nn.Module):
    """Let parts of a vector attend to each other: the width is cut into tokens.

    Parameters
    ----------
    width : int
        Divisible by `n_tokens`.
    n_tokens : int
    """

    def __init__(self, width: int, *, n_tokens: int = 8, replicas: int = 1) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.norm = LayerNorm(width, replicas=replicas)
        self.into = Linear(width, 3 * width, replicas=replicas)
        self.out = Linear(width, width, replicas=replicas)

    def forward(self, x: Tensor) -> Tensor:
        """Map (R, B, width) to (R, B, width), the input added back."""
        parts = self.into(self.norm(x)).unflatten(-1, (3, self.n_tokens, -1))
        query, key, value = parts.unbind(-3)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return x + self.out(mixed.flatten(-2))


def sinusoidal(level: Tensor, width: int, *, scale: float = 1.0) -> Tensor:
    """Encode levels by sines and cosines of geometrically falling frequency (Vaswani et al. 2017).

    Parameters
    ----------
    level : Tensor, any shape
        In [0, 1], that is the step divided by the number of steps.
    width : int
        Half of it sines, half cosines; an odd width ends with a zero.
    scale : float
        The highest frequency, in radians per unit of level.

    Returns
    -------
    Tensor, shape (*level.shape, width)
    """
    half = width // 2
    exponent = torch.arange(half, dtype=level.dtype, device=level.device) / max(half - 1, 1)
    angle = level[..., None] * (scale * torch.exp(-math.log(10_000.0) * exponent))
    return functional.pad(torch.cat([angle.sin(), angle.cos()], dim=-1), (0, width - 2 * half))


def padded_to(x: Tensor, multiple: int) -> Tensor:
    """Return volumes (B, C, X, Y, Z) with their last voxels again until all sides are multiples."""
    missing = [-n % multiple for n in x.shape[2:]]
    return (
        functional.pad(x, [n for side in reversed(missing) for n in (0, side)], mode="replicate") if any(missing) else x
    )
