"""The training objective: a loss per example."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from nextscan.diffusion.parameterisation import Parameterisation, training_target
from nextscan.diffusion.paths import Path, diffuse

Predict = Callable[[Tensor, Tensor], Tensor]
"""A network: ``predict(x, level) -> output``, with whatever it is conditioned on already bound."""


def objective(predict: Predict, path: Path, kind: Parameterisation, x0: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """Return the squared error of the prediction, averaged over the event (Ho et al. 2020, eq. 14).

    Parameters
    ----------
    predict : callable
        ``predict(x, level) -> output`` of x's shape.
    path : Path
    kind : {"noise", "data", "velocity", "flow"}
        What the network predicts.
    x0, noise : (*prefix, *event) tensors
        Data, and standard normal noise of the same shape.
    level : (*prefix) tensor
        One level per example, e.g. ``(batch,)`` or ``(replicas, batch)``; see `Path.training_levels`.

    Returns
    -------
    (*prefix) tensor

    Raises
    ------
    SettingError
        If the shape of `level` does not begin the shape of `x0`.
    """
    a, s = path.signal_noise(level)
    output = predict(diffuse(x0, noise, a, s), level)
    error = output - training_target(kind, x0, noise, a, s)
    return error.square().reshape(*level.shape, -1).mean(-1)
