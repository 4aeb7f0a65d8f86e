"""Targets by their definitions, and the way back from a perfect output."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion.gaussian import PATHS, normal
from nextscan.diffusion import diffuse, to_data, to_noise, training_target
from nextscan.errors import SettingError

KINDS = ("noise", "data", "velocity", "flow")


def test_targets_by_definition():
    x0, noise = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, -10.0]])
    a, s = torch.tensor([0.8]), torch.tensor([0.6])
    assert training_target("noise", x0, noise, a, s) is noise
    assert training_target("data", x0, noise, a, s) is x0
    torch.testing.assert_close(training_target("velocity", x0, noise, a, s), torch.tensor([[7.4, -9.2]]))
    torch.testing.assert_close(training_target("flow", x0, noise, a, s), torch.tensor([[9.0, -12.0]]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4), (5, 1, 3, 2, 2)])
def test_a_perfect_output_gives_back_data_and_noise(kind, path, shape):
    level = torch.tensor([0.05, 0.3, 0.5, 0.9, 0.97], dtype=torch.float64).expand(shape[: shape.index(5) + 1])
    a, s = path.signal_noise(level)
    x0, noise = normal(*shape, seed=1), normal(*shape, seed=2)
    x = diffuse(x0, noise, a, s)
    output = training_target(kind, x0, noise, a, s)
    torch.testing.assert_close(to_data(kind, output, x, a, s), x0, rtol=0, atol=1e-10)
    torch.testing.assert_close(to_noise(kind, output, x, a, s), noise, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["data", "velocity", "flow"])
def test_all_but_noise_prediction_are_regular_at_pure_noise(kind):
    x0, noise = normal(3, 2, seed=1), normal(3, 2, seed=2)
    output = training_target(kind, x0, noise, 0.0, 1.0)
    torch.testing.assert_close(to_data(kind, output, noise, 0.0, 1.0), x0)
    torch.testing.assert_close(to_noise(kind, output, noise, 0.0, 1.0), noise)


@pytest.mark.parametrize("kind", ["noise", "velocity", "flow"])
def test_all_but_data_prediction_are_regular_at_the_data(kind):
    x0, noise = normal(3, 2, seed=1), normal(3, 2, seed=2)
    output = training_target(kind, x0, noise, 1.0, 0.0)
    torch.testing.assert_close(to_data(kind, output, x0, 1.0, 0.0), x0)
    torch.testing.assert_close(to_noise(kind, output, x0, 1.0, 0.0), noise)


@pytest.mark.parametrize(("kind", "path", "speed"), [("velocity", "cosine", math.pi / 2), ("flow", "flow", 1.0)])
def test_velocities_are_derivatives_along_the_path(kind, path, speed):
    """d x / d angle on the variance-preserving circle; d x / d level on the straight path."""
    x0, noise, step = normal(4, seed=1), normal(4, seed=2), 1e-6
    level = torch.tensor(0.37, dtype=torch.float64)
    ahead = diffuse(x0, noise, *PATHS[path].signal_noise(level + step))
    behind = diffuse(x0, noise, *PATHS[path].signal_noise(level - step))
    target = training_target(kind, x0, noise, *PATHS[path].signal_noise(level))
    torch.testing.assert_close(target * speed, (ahead - behind) / (2 * step), rtol=0, atol=1e-8)


def test_an_unknown_kind_is_named():
    x = torch.zeros(1)
    for call in (
        lambda: training_target("score", x, x, 0.5, 0.5),
        lambda: to_data("score", x, x, 0.5, 0.5),
        lambda: to_noise("score", x, x, 0.5, 0.5),
    ):
        with pytest.raises(SettingError, match="'score'; choose noise, data, velocity or flow"):
            call()
