"""The objective: its value per example, and what minimises it."""

from __future__ import annotations

import pytest
import torch

from diffusion.gaussian import PATHS, gaussian_data, normal
from nextscan.diffusion import diffuse, linear_betas, objective, training_target
from nextscan.errors import SettingError


def test_is_the_mean_square_over_the_event():
    path = linear_betas(steps=4, start=0.1, end=0.4)
    level = torch.tensor([0.25, 1.0])
    x0, noise = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, -1.0], [0.5, 2.0]])
    loss = objective(lambda x, level: torch.zeros_like(x), path, "noise", x0, level, noise)
    torch.testing.assert_close(loss, torch.tensor([1.0, (0.25 + 4) / 2]))


@pytest.mark.parametrize("kind", ["noise", "data", "velocity", "flow"])
@pytest.mark.parametrize("prefix", [(), (3,), (2, 3)])
@pytest.mark.parametrize("event", [(4,), (1, 2, 3, 2)])
def test_the_network_sees_the_noisy_data_and_the_loss_is_per_example(kind, prefix, event):
    path = PATHS["flow"]
    x0, noise = normal(*prefix, *event, seed=1), normal(*prefix, *event, seed=2)
    level = torch.from_numpy(normal(*prefix, seed=3).abs().clamp(0.1, 0.9).numpy().copy())

    def off_by_two(x, got):
        assert torch.equal(got, level)
        a, s = path.signal_noise(level)
        torch.testing.assert_close(x, diffuse(x0, noise, a, s))
        return training_target(kind, x0, noise, a, s) + 2

    loss = objective(off_by_two, path, kind, x0, level, noise)
    torch.testing.assert_close(loss, torch.full(prefix, 4.0, dtype=torch.float64))


def test_the_optimal_denoiser_minimises_it():
    """Among shrinkages of x, the loss of data prediction is least at the regression of x0 on x."""
    data, path, level = gaussian_data(1), PATHS["cosine"], torch.full((4000,), 0.4, dtype=torch.float64)
    a, s = (value[0].item() for value in path.signal_noise(level))
    variance = data.covariance.item()
    x0, noise = variance**0.5 * normal(4000, 1, seed=1), normal(4000, 1, seed=2)
    shrink = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    objective(lambda x, level: shrink * x, path, "data", x0, level, noise).mean().backward()
    # loss = c - 2 b shrink + e shrink²; its slope at 0 is -2 b with b = E[x0 x]
    assert shrink.grad is not None
    assert -shrink.grad.item() / 2 == pytest.approx(a * variance, rel=0.05)

    def loss(factor):
        return objective(lambda x, level: factor * x, path, "data", x0, level, noise).mean().item()

    best = a * variance / (a**2 * variance + s**2)
    assert loss(best) < min(loss(0.9 * best), loss(1.1 * best))
    assert loss(best) == pytest.approx(variance * s**2 / (a**2 * variance + s**2), rel=0.05)


def test_refuses_levels_that_are_not_one_per_example():
    with pytest.raises(SettingError, match="one level per example"):
        objective(lambda x, level: x, PATHS["flow"], "flow", torch.zeros(4, 2), torch.zeros(2), torch.zeros(4, 2))
