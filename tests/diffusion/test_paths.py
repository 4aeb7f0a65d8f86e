"""Paths: values at their ends, at grid levels and between, and the levels they are trained and sampled at."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffusion.gaussian import PATHS
from nextscan.diffusion import (
    ContinuousPath,
    DiscretePath,
    RectifiedFlow,
    diffuse,
    expand,
    linear_betas,
    zero_terminal_snr,
)
from nextscan.errors import SettingError

every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def levels(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@every_path
def test_level_0_is_the_data_exactly(path):
    for dtype in (torch.float32, torch.float64):
        a, s = path.signal_noise(torch.zeros(2, dtype=dtype))
        assert a.tolist() == [1, 1]
        assert s.tolist() == [0, 0]
        assert a.dtype == s.dtype == dtype


@every_path
def test_ends_at_noise_means_exactly(path):
    for dtype in (torch.float32, torch.float64):
        a, s = path.signal_noise(torch.ones((), dtype=dtype))
        assert path.ends_at_noise == (a == 0)
        assert 0.8 < s <= 1


@every_path
def test_signal_to_noise_falls_with_level(path):
    a, s = path.signal_noise(torch.linspace(0, 1, 997, dtype=torch.float64))
    assert (torch.atan2(s, a).diff() > 0).all()


@pytest.mark.parametrize("name", [name for name in PATHS if name != "flow"])
def test_variance_is_preserved_between_grid_levels_too(name):
    a, s = PATHS[name].signal_noise(torch.linspace(0, 1, 997, dtype=torch.float64))
    torch.testing.assert_close(a**2 + s**2, torch.ones_like(a), rtol=0, atol=1e-14)


@every_path
def test_coefficients_have_the_shape_of_the_levels(path):
    grid = torch.linspace(0, 1, 6, dtype=torch.float64)
    flat, shaped = path.signal_noise(grid), path.signal_noise(grid.reshape(2, 3, 1))
    for one, other in zip(flat, shaped, strict=True):
        assert torch.equal(one.reshape(2, 3, 1), other)


def test_the_published_schedule_keeps_a_third_of_the_signal():
    """The product of 1 - beta is 0.339 after the last of the 100 steps: far from noise."""
    betas = [0.0015 + k * (0.02 - 0.0015) / 99 for k in range(100)]
    kept = math.prod(1 - beta for beta in betas)
    assert kept == pytest.approx(0.339, abs=5e-4)
    a, s = linear_betas().signal_noise(levels(1))
    assert a.item() ** 2 == pytest.approx(kept, rel=1e-12)
    assert s.item() ** 2 == pytest.approx(1 - kept, rel=1e-12)


def test_discrete_levels_are_rows_of_the_table():
    path = DiscretePath((0.1, 0.2, 0.5))
    a, s = path.signal_noise(levels(0, 1, 2, 3) / 3)
    torch.testing.assert_close(a**2, levels(1, 0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.5), rtol=0, atol=1e-15)
    torch.testing.assert_close(s**2, levels(0, 0.1, 0.28, 0.64), rtol=0, atol=1e-15)


def test_between_levels_the_chord_is_scaled_to_length_one():
    path = DiscretePath((0.36, 1.0))  # (1, 0), (0.8, 0.6), (0, 1)
    a, s = path.signal_noise(levels(0.75))
    assert s.item() / a.item() == pytest.approx(0.8 / 0.4)
    a, s = path.signal_noise(levels(0.25))
    assert s.item() / a.item() == pytest.approx(0.3 / 0.9)


@pytest.mark.parametrize("steps", [2, 100, 1000])
def test_zero_terminal_snr(steps):
    """Lin et al. 2024, algorithm 1: the first root of alpha-bar stays, the last is 0, linear between."""
    path = linear_betas(steps=steps, start=1e-3, end=0.02)
    mended = zero_terminal_snr(path)
    before = np.cumprod(1 - np.array(path.betas)) ** 0.5
    wanted = (before - before[-1]) * before[0] / (before[0] - before[-1])
    after, noise = mended.signal_noise(torch.arange(1, steps + 1, dtype=torch.float64) / steps)
    np.testing.assert_allclose(after.numpy(), wanted, rtol=0, atol=1e-12)
    assert after[-1] == 0
    assert noise[-1] == 1
    assert mended.ends_at_noise
    assert not path.ends_at_noise
    assert mended.betas[-1] == 1
    assert mended.betas[0] == pytest.approx(path.betas[0], rel=1e-9)


def test_discrete_training_levels_are_all_rows_but_the_data_equally_often():
    path = linear_betas(steps=5)
    drawn = path.training_levels(torch.arange(1000, dtype=torch.float64) / 1000)
    values, counts = drawn.unique(return_counts=True)
    assert values.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert counts.tolist() == [200] * 5
    almost_one = torch.tensor([1 - 2**-24], dtype=torch.float32)
    assert path.training_levels(almost_one).item() == 1


@pytest.mark.parametrize("path", [ContinuousPath(), RectifiedFlow()])
def test_continuous_training_levels_are_uniform(path):
    uniform = torch.rand(5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(path.training_levels(uniform), uniform)


def test_sampling_levels_of_a_table_are_squares():
    path = linear_betas()
    assert (100 * path.sampling_levels(10)).round().tolist() == [100, 81, 64, 49, 36, 25, 16, 9, 4, 1, 0]
    assert torch.equal(path.sampling_levels(100), torch.arange(100, -1, -1) / levels(100))
    assert path.sampling_levels(1).tolist() == [1, 0]


def test_sampling_levels_of_a_table_are_distinct_rows():
    for steps in (1, 7, 100):
        path = linear_betas(steps=steps)
        for n_steps in range(1, steps + 1):
            row = path.sampling_levels(n_steps) * steps
            assert len(row) == n_steps + 1
            assert (row[0], row[-1]) == (steps, 0)
            assert (row.diff() < -0.5).all()
            torch.testing.assert_close(row, row.round(), rtol=0, atol=1e-12)


def test_sampling_levels_between_continuous_ends():
    quadratic = RectifiedFlow().sampling_levels(4)
    torch.testing.assert_close(quadratic, levels(1, 9 / 16, 1 / 4, 1 / 16, 0))
    torch.testing.assert_close(ContinuousPath().sampling_levels(4), 1 - (1 - quadratic) ** 1.5)


def test_cosine_without_limits_is_a_quarter_turn():
    path, level = PATHS["cosine"], torch.linspace(0, 1, 9, dtype=torch.float64)
    a, s = path.signal_noise(level)
    torch.testing.assert_close(a, torch.cos(level * math.pi / 2), rtol=0, atol=1e-15)
    torch.testing.assert_close(s, torch.sin(level * math.pi / 2), rtol=0, atol=1e-15)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_log_snr_runs_between_its_limits(schedule):
    path = ContinuousPath(schedule, log_snr_max=9, log_snr_min=-15)
    a, s = path.signal_noise(levels(1e-12, 0.5, 1))
    log_snr = 2 * (a / s).log()
    middle = (
        -3
        if schedule == "linear"
        else -2 * math.log(math.tan((math.atan(math.exp(-9 / 2)) + math.atan(math.exp(15 / 2))) / 2))
    )
    torch.testing.assert_close(log_snr, levels(9, middle, -15), rtol=0, atol=1e-8)


def test_rectified_flow_is_straight():
    a, s = RectifiedFlow().signal_noise(levels(0, 0.25, 1))
    assert a.tolist() == [1, 0.75, 0]
    assert s.tolist() == [0, 0.25, 1]


def test_diffuse_takes_a_level_per_example():
    x0, noise = torch.ones(2, 1, 3), torch.full((2, 1, 3), 10.0)
    x = diffuse(x0, noise, torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.5]))
    assert x.tolist() == [[[1, 1, 1]], [[7, 7, 7]]]
    assert diffuse(x0, noise, 2.0, 1.0).unique().tolist() == [12]


def test_expand_refuses_what_is_not_a_prefix():
    with pytest.raises(SettingError, match=r"\(3,\) do not match examples of shape \(2, 3\)"):
        expand(torch.zeros(3), torch.zeros(2, 3))
    with pytest.raises(SettingError, match="one level per example"):
        expand(torch.zeros(2, 3, 1), torch.zeros(2, 3))


def test_paths_are_values():
    assert linear_betas() == linear_betas(steps=100, start=0.0015, end=0.02)
    assert DiscretePath([0.1, 0.2]) == DiscretePath((0.1, 0.2))
    assert hash(zero_terminal_snr(linear_betas())) == hash(zero_terminal_snr(linear_betas()))
    assert linear_betas() != linear_betas(steps=99)
    assert repr(linear_betas()) == "DiscretePath(100 betas from 0.0015 to 0.02)"


def test_a_table_first_used_in_inference_mode_serves_training():
    path, weight = DiscretePath((0.123, 0.456)), torch.ones((), requires_grad=True)
    with torch.inference_mode():
        path.signal_noise(torch.ones(1))
    a, _ = path.signal_noise(torch.ones(1))
    (a * weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(math.sqrt(0.877 * 0.544))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiscretePath(()), "betas must lie between 0 and 1"),
        (lambda: DiscretePath((0.1, 1.1)), "betas must lie between 0 and 1"),
        (lambda: DiscretePath((1.0, 0.5)), "betas must lie between 0 and 1"),
        (lambda: DiscretePath((0.0, 0.5)), "betas must lie between 0 and 1"),
        (lambda: DiscretePath((0.1, math.nan)), "betas must lie between 0 and 1"),
        (lambda: ContinuousPath("square"), "choose 'cosine' or 'linear'"),
        (lambda: ContinuousPath(log_snr_max=-5, log_snr_min=5), "log_snr_max must be above"),
        (lambda: ContinuousPath("linear", log_snr_min=-math.inf), "finite limits"),
        (lambda: linear_betas().sampling_levels(101), "ask for fewer steps"),
        (lambda: linear_betas().sampling_levels(0), "at least one step"),
        (lambda: RectifiedFlow().sampling_levels(0), "at least one step"),
    ],
)
def test_refuses_settings_that_make_no_path(make, message):
    with pytest.raises(SettingError, match=message):
        make()
