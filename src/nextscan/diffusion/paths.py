"""Noise paths ``x = a(level) x0 + s(level) noise``, from the data at level 0 to most noise at level 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import torch
from torch import Tensor

from nextscan.errors import SettingError


class Path(Protocol):
    """What objectives, denoisers and samplers ask of a path.

    Level 0 is the data itself: there ``(a, s)`` is exactly ``(1, 0)``. The ratio ``a / s`` falls with level.
    """

    @property
    def ends_at_noise(self) -> bool:
        """Whether ``a`` is exactly 0 at level 1: nothing of the data is left to predict noise from."""
        ...

    def signal_noise(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``a`` and ``s`` in the shape and dtype of `level`."""
        ...

    def training_levels(self, uniform: Tensor) -> Tensor:
        """Map uniform numbers in [0, 1) to the levels the path is trained on."""
        ...

    def sampling_levels(self, n_steps: int) -> Tensor:
        """Return ``n_steps + 1`` levels descending from 1 to 0, in float64.

        Their spacing shrinks towards the data, as ``(i / n_steps)²`` (Song et al. 2021, appendix D.2): the
        last step lands on an estimate, so what varies less than the noise at its start is lost.
        """
        ...


def expand(coefficient: Tensor | float, like: Tensor) -> Tensor | float:
    """Append axes to a coefficient whose shape is a prefix of `like`'s, so that the two broadcast.

    >>> expand(torch.zeros(2), torch.zeros(2, 3, 4)).shape
    torch.Size([2, 1, 1])
    """
    if not isinstance(coefficient, Tensor):
        return coefficient
    if coefficient.shape != like.shape[: coefficient.ndim]:
        raise SettingError(
            f"levels of shape {tuple(coefficient.shape)} do not match examples of shape {tuple(like.shape)}; "
            "give one level per example"
        )
    return coefficient.reshape(coefficient.shape + (1,) * (like.ndim - coefficient.ndim))


def diffuse(x0: Tensor, noise: Tensor, a: Tensor | float, s: Tensor | float) -> Tensor:
    """Return the noisy ``x = a x0 + s noise``; `a` and `s` have the shape of the levels."""
    return expand(a, x0) * x0 + expand(s, x0) * noise


@dataclass(frozen=True)
class DiscretePath:
    """Variance-preserving path of a denoising diffusion model with T steps (Ho et al. 2020, eq. 4).

    Level ``k / T`` is step ``k`` of the table: ``a² = ∏ (1 - beta)`` over the first ``k`` betas, and
    ``s² = 1 - a²``. Models are trained, and by default sampled, at these levels only. Between them
    ``(a, s)`` follows the chord of the two neighbours, scaled back to ``a² + s² = 1``: unlike log-SNR this
    is finite at both ends, where log-SNR is not.

    Parameters
    ----------
    betas : sequence of T floats
        In (0, 1); the last may be 1, and then the path ends at noise.

    Raises
    ------
    SettingError
        If a beta is outside its range.

    >>> linear_betas(steps=100).signal_noise(torch.tensor([0.0, 1.0]))[0] ** 2
    tensor([1.0000, 0.3388])
    """

    betas: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(float(beta) for beta in self.betas))
        if not self.betas or not all(0 < beta < 1 for beta in self.betas[:-1]) or not 0 < self.betas[-1] <= 1:
            raise SettingError("betas must lie between 0 and 1 (the last may be 1); change the noise schedule")

    def __repr__(self) -> str:
        return f"DiscretePath({len(self.betas)} betas from {self.betas[0]:.4g} to {self.betas[-1]:.4g})"

    @property
    def ends_at_noise(self) -> bool:
        """Whether the last beta is 1."""
        return self.betas[-1] == 1

    def signal_noise(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``a`` and ``s`` in the shape and dtype of `level`."""
        signal, noise = _tables(self.betas, level.device, level.dtype)
        position = level * len(self.betas)
        below = position.floor().clamp(0, len(self.betas) - 1)
        weight = position - below
        below = below.long()
        a = torch.lerp(signal[below], signal[below + 1], weight)
        s = torch.lerp(noise[below], noise[below + 1], weight)
        length = torch.hypot(a, s)
        return a / length, s / length

    def training_levels(self, uniform: Tensor) -> Tensor:
        """Return ``k / T`` with ``k`` uniform on 1..T."""
        n_steps = len(self.betas)
        return (uniform * n_steps + 1).floor().clamp(max=n_steps) / n_steps

    def sampling_levels(self, n_steps: int) -> Tensor:
        """Return `n_steps` steps of the table, ever closer towards the data as `Path` says, and 0.

        Raises
        ------
        SettingError
            If the table has fewer steps.
        """
        if n_steps > len(self.betas):
            raise SettingError(f"a path of {len(self.betas)} steps cannot be sampled in {n_steps}; ask for fewer steps")
        step = len(self.betas) * _quadratic_levels(n_steps)
        return torch.maximum(step.round(), torch.arange(n_steps, -1, -1)) / len(self.betas)


@lru_cache(maxsize=32)
def _tables(betas: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return ``a`` and ``s`` at steps 0..T, computed in float64 (a pure value, kept per device and dtype)."""
    kept = torch.cumprod(1 - torch.tensor([0.0, *betas], dtype=torch.float64), dim=0)
    return kept.sqrt().to(device, dtype), (1 - kept).sqrt().to(device, dtype)


def linear_betas(*, steps: int = 100, start: float = 0.0015, end: float = 0.02) -> DiscretePath:
    """Return the path whose betas rise linearly; the defaults are SECONDGRAM's.

    With these defaults ``a²`` is still about 0.34 at level 1: sampling that starts from pure noise starts
    in the wrong place. `zero_terminal_snr` mends that.
    """
    return DiscretePath(tuple(torch.linspace(start, end, steps, dtype=torch.float64).tolist()))


def zero_terminal_snr(path: DiscretePath) -> DiscretePath:
    """Rescale a path so that it ends at noise and its first step stays (Lin et al. 2024, algorithm 1)."""
    signal, _ = _tables(path.betas, torch.device("cpu"), torch.float64)
    shifted = (signal[1:] - signal[-1]) * (signal[1] / (signal[1] - signal[-1]))
    kept = torch.cat([signal[:1], shifted]) ** 2
    return DiscretePath(tuple((1 - kept[1:] / kept[:-1]).tolist()))


@dataclass(frozen=True)
class ContinuousPath:
    """Variance-preserving path given by ``log(a² / s²)``, its log-SNR (Kingma et al. 2021).

    ``"cosine"`` moves the angle ``atan(s / a)`` linearly with level (Nichol & Dhariwal 2021), ``"linear"``
    the log-SNR itself. For level > 0 log-SNR runs from `log_snr_max` down to `log_snr_min`. At level 0
    itself ``(a, s)`` is (1, 0), so that samplers end on the estimate of the data and not on data with a
    trace of noise (as the reference code of Ho & Salimans 2022 does).

    Parameters
    ----------
    schedule : {"cosine", "linear"}
    log_snr_max, log_snr_min : float
        May be infinite for the cosine; the path ends at noise if `log_snr_min` is. Noise prediction needs
        it finite, and at level 1 its error in x0 is that in the noise times ``exp(-log_snr_min / 2)``.

    Raises
    ------
    SettingError
        If the limits do not descend, or are infinite with ``"linear"``.
    """

    schedule: Literal["cosine", "linear"] = "cosine"
    log_snr_max: float = 20.0
    log_snr_min: float = -20.0

    def __post_init__(self) -> None:
        if self.schedule not in ("cosine", "linear"):
            raise SettingError(f"unknown noise schedule {self.schedule!r}; choose 'cosine' or 'linear'")
        if not self.log_snr_max > self.log_snr_min:
            raise SettingError("log_snr_max must be above log_snr_min; change the noise schedule")
        if self.schedule == "linear" and math.isinf(self.log_snr_max - self.log_snr_min):
            raise SettingError("a log-SNR that is linear in level needs finite limits; set them or choose 'cosine'")

    @property
    def ends_at_noise(self) -> bool:
        """Whether log-SNR falls without limit."""
        return self.log_snr_min == -math.inf

    def signal_noise(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``a`` and ``s`` in the shape and dtype of `level`."""
        if self.schedule == "cosine":
            # the sine of the complement, not the cosine of the angle: exactly 0 at the noise end
            first, last = (math.atan(math.exp(snr / 2)) for snr in (self.log_snr_max, self.log_snr_min))
            a = torch.sin(last + (first - last) * (1 - level))
            first, last = (math.atan(math.exp(-snr / 2)) for snr in (self.log_snr_max, self.log_snr_min))
            s = torch.sin(first + (last - first) * level)
        else:
            log_snr = self.log_snr_max + (self.log_snr_min - self.log_snr_max) * level
            a, s = log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()
        at_data = level == 0
        return a.masked_fill(at_data, 1), s.masked_fill(at_data, 0)

    def training_levels(self, uniform: Tensor) -> Tensor:
        """Return the numbers as they are: every level is trained."""
        return uniform

    def sampling_levels(self, n_steps: int) -> Tensor:
        """Return levels ``1 - (1 - (i / n_steps)²)^1.5``, close together at both ends.

        At the noise end multistep samplers begin with steps of first order, which shrink a unit Gaussian by
        the cosine of the angle each goes: 12 quadratic steps lose 4 % of its spread, these 0.4 %.
        """
        return 1 - (1 - _quadratic_levels(n_steps)) ** 1.5


@dataclass(frozen=True)
class RectifiedFlow:
    """Straight path ``x = (1 - level) x0 + level noise`` (Liu et al. 2023); it ends at noise."""

    @property
    def ends_at_noise(self) -> bool:
        """Always true."""
        return True

    def signal_noise(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``1 - level`` and `level`."""
        return 1 - level, level

    def training_levels(self, uniform: Tensor) -> Tensor:
        """Return the numbers as they are: every level is trained."""
        return uniform

    def sampling_levels(self, n_steps: int) -> Tensor:
        """Return quadratically spaced levels."""
        return _quadratic_levels(n_steps)


def _quadratic_levels(n_steps: int) -> Tensor:
    if n_steps < 1:
        raise SettingError(f"sampling needs at least one step, not {n_steps}")
    return torch.linspace(1, 0, n_steps + 1, dtype=torch.float64) ** 2
