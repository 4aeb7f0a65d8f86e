"""What a network predicts, and how the data and the noise are read off its output."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from nextscan.diffusion.paths import expand
from nextscan.errors import SettingError

Parameterisation = Literal["noise", "data", "velocity", "flow"]
"""A network's output as a linear combination of ``x0`` and ``noise``:

===========  ==================  =============================================
noise        ``noise``           Ho et al. 2020; singular where ``a = 0``
data         ``x0``
velocity     ``a noise - s x0``  Salimans & Ho 2022, sec. 4
flow         ``noise - x0``      Liu et al. 2023; d x / d level of `RectifiedFlow`
===========  ==================  =============================================
"""

Coefficient = Tensor | float


def training_target(kind: Parameterisation, x0: Tensor, noise: Tensor, a: Coefficient, s: Coefficient) -> Tensor:
    """Return what the network should predict.

    Parameters
    ----------
    kind : {"noise", "data", "velocity", "flow"}
    x0, noise : (*prefix, *event) tensors
    a, s : float, or (*prefix) tensors
        Signal and noise of the path at each example's level.

    Raises
    ------
    SettingError
        If the kind is unknown.
    """
    if kind == "noise":
        return noise
    if kind == "data":
        return x0
    of_data, of_noise = _combination(kind, expand(a, x0), expand(s, x0))
    return of_noise * noise + of_data * x0


def to_data(kind: Parameterisation, output: Tensor, x: Tensor, a: Coefficient, s: Coefficient) -> Tensor:
    """Return the estimate of ``x0`` that the network's output for the noisy `x` implies.

    Solves ``x = a x0 + s noise`` and ``output = p x0 + q noise`` (`Parameterisation`) for ``x0``.
    """
    if kind == "data":
        return output
    a, s = expand(a, x), expand(s, x)
    of_data, of_noise = _combination(kind, a, s)
    return (of_noise * x - s * output) / (of_noise * a - of_data * s)


def to_noise(kind: Parameterisation, output: Tensor, x: Tensor, a: Coefficient, s: Coefficient) -> Tensor:
    """Return the estimate of the noise that the network's output for the noisy `x` implies.

    Infinite or undefined at level 0 for data prediction: there `x` holds no noise to read.
    """
    if kind == "noise":
        return output
    a, s = expand(a, x), expand(s, x)
    of_data, of_noise = _combination(kind, a, s)
    return (a * output - of_data * x) / (of_noise * a - of_data * s)


def _combination(kind: Parameterisation, a: Coefficient, s: Coefficient) -> tuple[Coefficient, Coefficient]:
    """Return the weights of ``x0`` and ``noise`` in the network's output."""
    if kind == "noise":
        return 0.0, 1.0
    if kind == "data":
        return 1.0, 0.0
    if kind == "velocity":
        return -s, a
    if kind == "flow":
        return -1.0, 1.0
    raise SettingError(f"unknown parameterisation {kind!r}; choose noise, data, velocity or flow")
