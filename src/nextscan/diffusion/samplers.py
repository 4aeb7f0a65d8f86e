"""Samplers: how to step from one level to the next, and the one driver that does it.

Notation in formulas: ``x_t`` is the sample now, ``x_s`` the next one; ``a`` and ``s`` with these indices are
the path's signal and noise there; ``D`` is the denoiser's estimate of the data at ``x_t``, and
``N = (x_t - a_t D) / s_t`` that of the noise. Nothing is divided by ``a_t``, so every sampler may start on a
path's noise end.

The last step, onto level 0, is the same for all: it lands on ``D``, without noise and to first order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from nextscan.diffusion.denoiser import Denoiser
from nextscan.diffusion.paths import Path
from nextscan.errors import SettingError, TrainingError

Noise = Callable[[int], Tensor]
"""``noise(step)`` -> standard normal noise in the shape of the sample, e.g. from `counter_normal`."""


@dataclass(frozen=True, eq=False)
class Step:
    """What a sampler knows about the step it takes, from t to s.

    Attributes
    ----------
    a, s, next_a, next_s : float
        The path at t and at s; ``s`` and ``next_s`` are above 0.
    last : (a, s, estimate) or None
        The path, and the estimate of the data, one step before; none at the first step.
    next_level : tensor of shape ()
    denoise : callable
        For samplers that evaluate it at s as well.
    noise : callable
        ``noise()`` -> standard normal noise for this step.
    """

    a: float
    s: float
    next_a: float
    next_s: float
    last: tuple[float, float, Tensor] | None
    next_level: Tensor
    denoise: Denoiser
    noise: Callable[[], Tensor]

    @property
    def snr_ratio(self) -> float:
        """Signal-to-noise ratio at t over that at s, in [0, 1): the ``exp(λ_t - λ_s)`` of SADM."""
        return (self.a * self.next_s / (self.next_a * self.s)) ** 2


class Sampler(Protocol):
    """A rule for one step; it knows neither the path nor the network."""

    order: ClassVar[int]
    """Order of accuracy in the number of steps (of the distribution, where steps are random)."""

    def step(self, x: Tensor, estimate: Tensor, at: Step) -> Tensor:
        """Return the next sample, given this one and the estimate of the data ``D`` made from it."""
        ...


@torch.no_grad()
def sample(
    denoise: Denoiser,
    path: Path,
    sampler: Sampler,
    *,
    start: Tensor,
    levels: Tensor,
    noise: Noise | None = None,
    callback: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Run a sampler down a path's levels.

    Parameters
    ----------
    denoise : callable
        ``denoise(x, level) -> x0_hat``. All examples share one level: it is a tensor of shape (), a prefix of
        any shape, in start's dtype (float32 at least) and on its device.
    path : Path
    sampler : Sampler
    start : tensor of any shape
        The sample at ``levels[0]``; standard normal if the path ends at noise. Not changed.
    levels : (n_steps + 1,) tensor
        Descending; see `Path.sampling_levels`.
    noise : callable, optional
        ``noise(step)`` -> standard normal noise like `start`. Only stochastic samplers ask, and never for a
        last step onto level 0.
    callback : callable, optional
        ``callback(step, x, x0_hat)``, called before each step is taken.

    Returns
    -------
    tensor like `start`
        The sample at ``levels[-1]``.

    Raises
    ------
    SettingError
        If levels do not descend within [0, 1], or a stochastic sampler has no noise.
    TrainingError
        If the sample is not finite; the step is named.
    """
    exact = _checked_levels(levels)
    signals, noises = (coefficient.tolist() for coefficient in path.signal_noise(exact))
    grid = exact.to(start.device, torch.promote_types(start.dtype, torch.float32))
    x, last = start, None
    totals = []
    for index in range(len(exact) - 1):
        estimate = denoise(x, grid[index])
        if callback is not None:
            callback(index, x, estimate)
        a, s, next_a, next_s = signals[index], noises[index], signals[index + 1], noises[index + 1]
        if next_s == 0:
            x = estimate
        else:
            draw = partial(noise or _no_noise, index)
            x = sampler.step(x, estimate, Step(a, s, next_a, next_s, last, grid[index + 1], denoise, draw))
        last = (a, s, estimate)
        totals.append(x.sum(dtype=grid.dtype))
    _check_finite(torch.stack(totals), exact)
    return x


def _no_noise(step: int) -> Tensor:
    raise SettingError("this sampler draws noise at every step: pass noise=, or choose a deterministic sampler")


def _checked_levels(levels: Tensor) -> Tensor:
    """Return the levels in float64 on the CPU, where the coefficients are computed once."""
    exact = levels.to("cpu", torch.float64)
    if exact.ndim != 1 or len(exact) < 2 or not bool((exact.diff() < 0).all()) or exact[0] > 1 or exact[-1] < 0:
        raise SettingError(
            "sampling levels must be two or more numbers that descend within [0, 1]; use the path's sampling_levels"
        )
    return exact


def _check_finite(totals: Tensor, levels: Tensor) -> None:
    """Name the first step with a non-finite sum; looked at once, so that devices need not wait."""
    failed = (~totals.isfinite()).nonzero()
    if len(failed):
        step = int(failed[0])
        raise TrainingError(
            f"the sample is not finite after step {step + 1} of {len(totals)}, from level "
            f"{float(levels[step]):.3g}: the network has diverged; train it with a lower learning rate, "
            "or clamp its estimates"
        )


@dataclass(frozen=True)
class Ancestral:
    """Ancestral sampling, on any levels (Ho et al. 2020, algorithm 2; SADM and Ho & Salimans 2022, eqs. 3-4).

    ``x_s ~ N(r (a_s / a_t) x_t + (1 - r) a_s D, (1 - r) (s_s²)^(1-v) (s_t²)^v)`` with
    ``r = (a_t s_s)² / (a_s s_t)²``: the mean of the posterior q(x_s | x_t, x0 = D).

    Parameters
    ----------
    v : float in [0, 1]
        0: the variance of the posterior. 1: that of the transition q(x_t | x_s), called "fixed large"
        elsewhere. Between: their geometric interpolation.
    """

    order: ClassVar[int] = 1
    v: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.v <= 1:
            raise SettingError(f"the variance interpolation v must lie between 0 and 1, not at {self.v}")

    def step(self, x: Tensor, estimate: Tensor, at: Step) -> Tensor:
        """Draw the next sample."""
        keep = at.a * at.next_s**2 / (at.next_a * at.s**2)
        sd = math.sqrt(1 - at.snr_ratio) * at.next_s ** (1 - self.v) * at.s**self.v
        return _affine(x, keep, estimate, at.next_a - keep * at.a).add_(at.noise(), alpha=sd)


@dataclass(frozen=True)
class InterpolatedAncestral(Ancestral):
    """SADM's sampler: `Ancestral` with a variance between the two of the process.

    Parameters
    ----------
    v : float in [0, 1]
        The default is Ho & Salimans' value for small images.
    """

    v: float = 0.3


@dataclass(frozen=True)
class DDIM:
    """Denoising diffusion implicit model (Song et al. 2021, eq. 12), on any levels and any path.

    ``x_s = a_s D + sqrt(s_s² - σ²) N + σ noise`` with ``σ = eta s_s sqrt(1 - r)`` and r as in `Ancestral`.

    Parameters
    ----------
    eta : float in [0, 1]
        0 is deterministic: Euler's method for the probability-flow ODE. 1 is `Ancestral`.
    """

    order: ClassVar[int] = 1
    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise SettingError(f"DDIM's eta must lie between 0 and 1, not at {self.eta}")

    def step(self, x: Tensor, estimate: Tensor, at: Step) -> Tensor:
        """Move along the estimated noise."""
        fresh = self.eta**2 * (1 - at.snr_ratio)
        keep = at.next_s * math.sqrt(1 - fresh) / at.s
        moved = _affine(x, keep, estimate, at.next_a - keep * at.a)
        return moved.add_(at.noise(), alpha=at.next_s * math.sqrt(fresh)) if self.eta else moved


@dataclass(frozen=True)
class DPMSolverPP:
    """DPM-Solver++(2M) in data prediction (Lu et al. 2022b, algorithm 2).

    ``x_s = (s_s / s_t) x_t + (a_s - a_t s_s / s_t) D̃``, where ``D̃ = D + w (D - D_last)`` extrapolates half
    a step ahead in ``λ = log(a / s)``: ``w = (λ_s - λ_t) / (2 (λ_t - λ_last))``. The first step has no last
    estimate and uses D, and so does, with ``w = 0``, the second if the first began at pure noise, infinitely
    far away in λ. Of second order on levels evenly spread in λ; where λ is infinite at an end, the steps
    next to it do not shrink in λ and the error falls as ``log(n) / n²``.
    """

    order: ClassVar[int] = 2

    def step(self, x: Tensor, estimate: Tensor, at: Step) -> Tensor:
        """Move with the extrapolated estimate."""
        keep = at.next_s / at.s
        give = at.next_a - at.a * keep
        if at.last is None or at.last[0] == 0:
            return _affine(x, keep, estimate, give)
        last_a, last_s, last_estimate = at.last
        here = math.log(at.a / at.s)
        weight = (math.log(at.next_a / at.next_s) - here) / (2 * (here - math.log(last_a / last_s)))
        return _affine(x, keep, estimate, give * (1 + weight)).add_(last_estimate, alpha=-give * weight)


@dataclass(frozen=True)
class Heun:
    """Heun's method on the probability-flow ODE, written as ``dx = D da + N ds`` (two evaluations a step).

    Neither derivatives of the path nor its parametrisation enter, so it is well defined at both ends of
    every path; on a path with constant ``a`` it is algorithm 1 of Karras et al. 2022, on `RectifiedFlow`
    Heun's method in level. The trapezoidal rule uses the estimates at t and, after a DDIM step, at s.
    """

    order: ClassVar[int] = 2

    def step(self, x: Tensor, estimate: Tensor, at: Step) -> Tensor:
        """Predict with Euler's method, then correct."""
        keep = at.next_s / at.s
        ahead = _affine(x, keep, estimate, at.next_a - keep * at.a)
        corrected = at.denoise(ahead, at.next_level)
        half_da, half_ds = (at.next_a - at.a) / 2, (at.next_s - at.s) / 2
        moved = _affine(x, 1 + half_ds / at.s, estimate, half_da - half_ds * at.a / at.s)
        moved.add_(ahead, alpha=half_ds / at.next_s)
        return moved.add_(corrected, alpha=half_da - half_ds * at.next_a / at.next_s)


def _affine(x: Tensor, keep: float, estimate: Tensor, give: float) -> Tensor:
    return (x * keep).add_(estimate, alpha=give)


SAMPLERS: MappingProxyType[str, Sampler] = MappingProxyType(
    {
        "ancestral": Ancestral(),
        "ancestral-interpolated": InterpolatedAncestral(),
        "ddim": DDIM(),
        "dpm-solver++": DPMSolverPP(),
        "heun": Heun(),
    }
)
"""The samplers by the name used in settings, each with its defaults."""
