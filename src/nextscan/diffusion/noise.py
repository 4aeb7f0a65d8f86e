"""Normal noise as a function of names and counters, made for a whole batch in one call."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nextscan.randomness import bits, mix

_GOLDEN = -0x61C8864680B583EB  # 2^64 / golden ratio as a signed number: the increment of SplitMix64
_BLOCK = 1 << 17  # hashes made at a time on a CPU: what its cache holds


def counter_normal(
    keys: Tensor,
    seed: int,
    draw: int | Tensor,
    step: int,
    event_shape: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return standard normal numbers that depend on nothing but their own key and counters.

    Each (key, seed, draw, step) starts a SplitMix64 sequence (Steele, Lea & Flood 2014), and each of its
    64-bit numbers becomes two normals (Box & Muller 1958). So the noise of one example is the same to the
    last bit in whatever batch, and at whatever place, it is made. Radii come from 31 bits: no number lies
    beyond 6.66 standard deviations, where a true normal is once in 4e10.

    Parameters
    ----------
    keys : (batch,) int64 tensor
        See `nextscan.randomness.subject_keys`. The noise is made on its device.
    seed, step : int
    draw : int or (batch,) int64 tensor
    event_shape : tuple of int
    dtype : torch.dtype
        float32 or float64. Both give the same numbers, up to the rounding of float32.

    Returns
    -------
    (batch, *event_shape) tensor

    >>> keys = torch.tensor([4, 8, 15])
    >>> batch = counter_normal(keys, 7, 0, 1, (2, 3))
    >>> torch.equal(counter_normal(keys[1:2], 7, 0, 1, (2, 3))[0], batch[1])
    True
    """
    size = math.prod(event_shape)
    half = (size + 1) // 2
    start = bits(keys, seed, draw, step)
    counter = torch.arange(half, device=keys.device) * _GOLDEN
    normal = torch.empty(len(keys), 2, half, device=keys.device, dtype=dtype)
    block = max(1, _BLOCK // max(1, half)) if keys.device.type == "cpu" else max(1, len(keys))
    for rows, starts in zip(torch.split(normal, block), torch.split(start, block), strict=True):
        hashed = mix(starts[:, None] + counter)
        angle = hashed.to(dtype).mul_(math.tau * 2.0**-64)  # the high bits decide
        radius = hashed.to(torch.int32).to(dtype).add_(0.5).abs_().mul_(2.0**-31).log_().mul_(-2).sqrt_()
        torch.mul(torch.cos(angle), radius, out=rows[:, 0])
        torch.mul(angle.sin_(), radius, out=rows[:, 1])
    return normal.flatten(1)[:, :size].reshape(len(keys), *event_shape)
