"""From a network to the one thing samplers know: noisy data and level in, estimate of the data out."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from nextscan.diffusion.objective import Predict
from nextscan.diffusion.parameterisation import Parameterisation, to_data
from nextscan.diffusion.paths import Path
from nextscan.errors import SettingError

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""``denoise(x, level) -> x0_hat``; the shape of `level` is a prefix of x's, and x0_hat has x's shape."""

Clamp = tuple[float, float] | None


def make_denoiser(predict: Predict, path: Path, kind: Parameterisation, clamp: Clamp = None) -> Denoiser:
    """Wrap a network that predicts `kind` so that it estimates the data.

    Parameters
    ----------
    predict : callable
        ``predict(x, level) -> output``.
    path : Path
        The path the network was trained on.
    kind : {"noise", "data", "velocity", "flow"}
    clamp : (low, high), optional
        Limits put on every estimate, and so on the samples.

    Raises
    ------
    SettingError
        If noise is predicted on a path that ends at noise: there the data cannot be read off.
    """
    if kind == "noise" and path.ends_at_noise:
        raise SettingError(
            "noise prediction fails on a path that ends at noise (zero terminal SNR): at level 1 no signal "
            "is left to divide by; predict velocity or data, or choose a path that keeps some signal"
        )

    def denoise(x: Tensor, level: Tensor) -> Tensor:
        a, s = path.signal_noise(level)
        return _clamped(to_data(kind, predict(x, level), x, a, s), clamp)

    return denoise


def guided(conditional: Denoiser, unconditional: Denoiser, weight: float, *, clamp: Clamp = None) -> Denoiser:
    """Guide a denoiser away from what it would say without its condition (Ho & Salimans 2022, eq. 6).

    ``(1 + weight) conditional - weight unconditional``; it is the same for estimates of the data as for
    those of the noise. Weight 0 leaves the conditional denoiser. Guidance leaves the limits that the two
    denoisers keep, so `clamp` sets them anew.
    """
    if weight == 0:
        return conditional

    def denoise(x: Tensor, level: Tensor) -> Tensor:
        return _clamped((1 + weight) * conditional(x, level) - weight * unconditional(x, level), clamp)

    return denoise


def _clamped(estimate: Tensor, clamp: Clamp) -> Tensor:
    return estimate if clamp is None else estimate.clamp(*clamp)
