"""Samplers against closed forms: for Gaussian data each is an affine recursion."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusion.gaussian import PATHS, GaussianData, gaussian_data, normal
from diffusion.recursions import RECURSIONS, ancestral, ddim
from nextscan.diffusion import DDIM, SAMPLERS, Ancestral, DPMSolverPP, Heun, InterpolatedAncestral, linear_betas, sample
from nextscan.errors import SettingError, TrainingError

every_sampler = pytest.mark.parametrize("name", SAMPLERS)
every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)

FIVE_STEPS = torch.tensor([1.0, 0.8, 0.55, 0.3, 0.1, 0.0], dtype=torch.float64)


def five_noises(shape: tuple[int, ...]) -> Tensor:
    return normal(5, *shape, seed=9)


def by_recursion(recursion, data: GaussianData, path, start: Tensor, levels: Tensor, noises: Tensor) -> Tensor:
    """Run a NumPy recursion with the optimal denoiser, here from the precisions of prior and likelihood."""
    a, s = (value.numpy() for value in path.signal_noise(levels))
    prior = np.linalg.inv(data.covariance.numpy())
    mean = data.mean.numpy()

    def denoise(x, t):
        precision = prior + (a[t] / s[t]) ** 2 * np.eye(len(prior))
        return (mean @ prior + a[t] / s[t] ** 2 * x) @ np.linalg.inv(precision)

    return torch.from_numpy(recursion(start.numpy(), denoise, a, s, lambda t: noises[t].numpy()))


@every_sampler
@every_path
def test_is_its_own_recursion(name, path):
    data = gaussian_data(4, prefix=(7,))
    start, noises = normal(7, 4), five_noises((7, 4))
    got = sample(data.denoiser(path), path, SAMPLERS[name], start=start, levels=FIVE_STEPS, noise=noises.__getitem__)
    wanted = by_recursion(RECURSIONS[name], data, path, start, FIVE_STEPS, noises)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)


@every_sampler
def test_has_the_declared_order(name):
    path, data = PATHS["linear log-SNR"], gaussian_data()
    start = data.marginal(*(float(value) for value in path.signal_noise(torch.ones((), dtype=torch.float64))))
    n_steps = np.array([32, 64, 128, 256])
    errors = [
        data.error(data.end_law(path, SAMPLERS[name], torch.linspace(1, 0, n + 1, dtype=torch.float64), start))
        for n in n_steps
    ]
    slope = np.polyfit(np.log(n_steps), np.log(errors), 1)[0]
    assert -slope == pytest.approx(SAMPLERS[name].order, abs=0.3)


@pytest.mark.parametrize("path", [PATHS["cosine"], PATHS["linear log-SNR"], PATHS["flow"]])
def test_heun_is_of_second_order_on_every_smooth_path(path):
    data = gaussian_data()
    start = data.marginal(*(float(value) for value in path.signal_noise(torch.ones((), dtype=torch.float64))))
    errors = [data.error(data.end_law(path, Heun(), path.sampling_levels(n), start)) for n in (32, 128)]
    assert math.log(errors[0] / errors[1]) / math.log(4) == pytest.approx(2, abs=0.3)


@every_sampler
@every_path
def test_reaches_the_moments_of_the_data(name, path):
    """From pure noise where the path ends there; from the true marginal where it does not."""
    data, sampler = gaussian_data(), SAMPLERS[name]
    end = data.marginal(*(float(value) for value in path.signal_noise(torch.ones((), dtype=torch.float64))))
    start = (torch.zeros(3, dtype=torch.float64), data.identity) if path.ends_at_noise else end
    few, many = (data.error(data.end_law(path, sampler, path.sampling_levels(n), start)) for n in (10, 100))
    assert many < min(few, 0.12 if sampler.order == 1 else 0.003)


@pytest.mark.parametrize(("variance", "tolerance"), [(0.5, 0.035), (1.0, 0.01), (1.3, 0.01)])
def test_twelve_steps_keep_the_spread_of_whitened_data(variance, tolerance):
    data, path = GaussianData(torch.zeros(1), variance * torch.eye(1, dtype=torch.float64)), PATHS["cosine, limited"]
    start = (torch.zeros(1, dtype=torch.float64), data.identity)
    _, covariance = data.end_law(path, SAMPLERS["dpm-solver++"], path.sampling_levels(12), start)
    assert math.sqrt(float(covariance) / variance) == pytest.approx(1, abs=tolerance)


def test_pure_noise_is_the_wrong_start_where_signal_remains():
    """The published schedule keeps a third of the signal's power at its last step, and is started from noise."""
    data = GaussianData(torch.full((2,), 2.0, dtype=torch.float64), 0.25 * torch.eye(2, dtype=torch.float64))
    noise = (torch.zeros(2, dtype=torch.float64), data.identity)
    mean, _ = data.end_law(PATHS["paper"], Ancestral(), PATHS["paper"].sampling_levels(100), noise)
    assert (mean < 1.85).all()
    mean, _ = data.end_law(PATHS["zero terminal"], Ancestral(), PATHS["zero terminal"].sampling_levels(100), noise)
    torch.testing.assert_close(mean, data.mean, rtol=0.01, atol=0)


@every_path
@pytest.mark.parametrize("v", [0.0, 0.3, 1.0])
def test_ancestral_variance_recursion(path, v):
    """Σ' = M Σ Mᵀ + variance I, with M the posterior's response to x, step by step."""
    data = gaussian_data()
    levels = path.sampling_levels(12)
    a, s = (value.tolist() for value in path.signal_noise(levels))
    covariance = np.eye(3)
    for t in range(12):
        gain = a[t] * data.covariance.numpy() @ np.linalg.inv(data.marginal(a[t], s[t])[1].numpy())
        if t == 11:
            covariance = gain @ covariance @ gain.T
            break
        snr_ratio = (a[t] / s[t]) ** 2 / (a[t + 1] / s[t + 1]) ** 2
        response = a[t] / a[t + 1] * (s[t + 1] / s[t]) ** 2 * np.eye(3) + (1 - snr_ratio) * a[t + 1] * gain
        variance = (1 - snr_ratio) * (s[t + 1] ** 2) ** (1 - v) * (s[t] ** 2) ** v
        covariance = response @ covariance @ response.T + variance * np.eye(3)
    start = (torch.zeros(3, dtype=torch.float64), data.identity)
    _, got = data.end_law(path, Ancestral(v), levels, start)
    np.testing.assert_allclose(got.numpy(), covariance, rtol=0, atol=1e-10)


@pytest.mark.parametrize("path", [PATHS["paper"], PATHS["cosine, limited"], PATHS["linear log-SNR"]])
def test_interpolated_ancestral_is_sadm(path):
    """SADM's q(z_s | z_t, x) in its own letters, with the variances s|t and t|s mixed by v."""
    levels = torch.tensor([0.9, 0.4, 0.2], dtype=torch.float64)
    (alpha_t, alpha_s, _), (sigma_t, sigma_s, _) = (value.tolist() for value in path.signal_noise(levels))
    lambda_t, lambda_s = (2 * math.log(a / s) for a, s in [(alpha_t, sigma_t), (alpha_s, sigma_s)])
    z_t, x, noise = normal(5, seed=1), normal(5, seed=2), normal(5, seed=3)
    decay, v = math.exp(lambda_t - lambda_s), 0.7
    mean = decay * (alpha_s / alpha_t) * z_t + (1 - decay) * alpha_s * x
    variance = ((1 - decay) * sigma_s**2) ** (1 - v) * ((1 - decay) * sigma_t**2) ** v
    got = sample(lambda *_: x, path, InterpolatedAncestral(v), start=z_t, levels=levels[:2], noise=lambda step: noise)
    torch.testing.assert_close(got, mean + math.sqrt(variance) * noise, rtol=0, atol=1e-12)


@every_path
@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_ddim_with_noise(path, eta):
    data = gaussian_data(4, prefix=(7,))
    start, noises = normal(7, 4), five_noises((7, 4))
    got = sample(data.denoiser(path), path, DDIM(eta), start=start, levels=FIVE_STEPS, noise=noises.__getitem__)
    wanted = by_recursion(lambda *rest: ddim(*rest, eta=eta), data, path, start, FIVE_STEPS, noises)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)
    if eta == 1:
        wanted = by_recursion(ancestral, data, path, start, FIVE_STEPS, noises)
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)


@dataclass(frozen=True)
class VarianceExploding:
    """``x = x0 + sigma noise`` with Karras et al.'s sigmas (2022, eq. 5), down to exactly 0."""

    def signal_noise(self, level: Tensor) -> tuple[Tensor, Tensor]:
        sigma = (0.05 ** (1 / 7) + level * (8 ** (1 / 7) - 0.05 ** (1 / 7))) ** 7
        return torch.ones_like(level), torch.where(level > 0, sigma, 0.0)


def test_heun_is_algorithm_1_of_karras():
    path, data = VarianceExploding(), gaussian_data(prefix=(4,))
    levels = torch.linspace(1, 0, 9, dtype=torch.float64)
    denoise, t = data.denoiser(path), path.signal_noise(levels)[1].tolist()
    x = start = 8 * normal(4, 3)
    for i in range(8):
        d = (x - denoise(x, levels[i])) / t[i]
        after = x + (t[i + 1] - t[i]) * d
        if t[i + 1] != 0:
            d_after = (after - denoise(after, levels[i + 1])) / t[i + 1]
            after = x + (t[i + 1] - t[i]) * (d / 2 + d_after / 2)
        x = after
    torch.testing.assert_close(sample(denoise, path, Heun(), start=start, levels=levels), x, rtol=0, atol=1e-10)


def test_heun_on_the_flow_is_heuns_method_in_level():
    path, data = PATHS["flow"], gaussian_data(prefix=(4,))
    denoise, levels = data.denoiser(path), torch.tensor([1.0, 0.6, 0.25], dtype=torch.float64)

    def velocity(x, level):
        return (x - denoise(x, level)) / level

    x = start = normal(4, 3)
    for now, after in itertools.pairwise(levels):
        slope = velocity(x, now)
        x = x + (after - now) * (slope + velocity(x + (after - now) * slope, after)) / 2
    torch.testing.assert_close(sample(denoise, path, Heun(), start=start, levels=levels), x, rtol=0, atol=1e-12)


def test_dpm_solver_falls_back_to_first_order_where_log_snr_is_infinite():
    """From pure noise the first two steps are DDIM's, the third is not."""
    path, data = PATHS["flow"], gaussian_data(prefix=(4,))
    start = normal(4, 3)
    two, three = ([1, 0.7, 0.4], [1, 0.7, 0.4, 0.2])

    def run(sampler, levels):
        return sample(data.denoiser(path), path, sampler, start=start, levels=torch.tensor(levels))

    torch.testing.assert_close(run(DPMSolverPP(), two), run(DDIM(), two), rtol=0, atol=1e-14)
    assert (run(DPMSolverPP(), three) - run(DDIM(), three)).abs().max() > 0.01


@every_sampler
def test_the_last_step_is_the_estimate_and_asks_for_no_noise(name):
    path, data = PATHS["paper"], gaussian_data(prefix=(4,))
    asked, seen = [], []

    def noise(step):
        asked.append(step)
        return torch.zeros(4, 3, dtype=torch.float64)

    end = sample(
        data.denoiser(path),
        path,
        SAMPLERS[name],
        start=normal(4, 3),
        levels=path.sampling_levels(6),
        noise=noise,
        callback=lambda step, x, x0_hat: seen.append(x0_hat),
    )
    assert torch.equal(end, seen[-1])
    assert asked == (list(range(5)) if isinstance(SAMPLERS[name], Ancestral) else [])


@every_sampler
@pytest.mark.parametrize("shape", [(12,), (2, 12), (3, 2, 12), (2, 1, 2, 3, 2)])
def test_rank_does_not_matter(name, shape):
    """An event of any rank, and any number of leading axes, give the numbers of the flat one."""
    path, data = PATHS["flow"], gaussian_data(12)
    flat = data.denoiser(path)
    start, noises = normal(*shape), five_noises(shape)

    def run(denoise, shape):
        return sample(
            denoise,
            path,
            SAMPLERS[name],
            start=start.reshape(shape),
            levels=FIVE_STEPS,
            noise=lambda step: noises[step].reshape(shape),
        )

    shaped = run(lambda x, level: flat(x.reshape(-1, 12), level).reshape(x.shape), shape)
    torch.testing.assert_close(shaped.reshape(-1, 12), run(flat, (-1, 12)), rtol=0, atol=1e-13)


@every_sampler
def test_examples_do_not_see_each_other_and_float32_is_close(name):
    path, data = PATHS["zero terminal"], gaussian_data()
    denoise, start, noises = data.denoiser(path), normal(6, 3), five_noises((6, 3))
    whole = sample(denoise, path, SAMPLERS[name], start=start, levels=FIVE_STEPS, noise=noises.__getitem__)
    part = sample(
        denoise,
        path,
        SAMPLERS[name],
        start=start[2:4],
        levels=FIVE_STEPS,
        noise=lambda step: noises[step, 2:4],
    )
    torch.testing.assert_close(part, whole[2:4], rtol=0, atol=1e-13)
    single = GaussianData(data.mean.float(), data.covariance.float())
    small = sample(
        single.denoiser(path),
        path,
        SAMPLERS[name],
        start=start.float(),
        levels=FIVE_STEPS,
        noise=lambda step: noises[step].float(),
    )
    assert small.dtype == torch.float32
    torch.testing.assert_close(small.double(), whole, rtol=0, atol=2e-5)


def test_the_driver_reports_each_step_and_leaves_the_start_alone():
    path = PATHS["flow"]
    start = torch.tensor([4.0, 8.0], dtype=torch.float64)
    kept, seen = start.clone(), []
    levels = torch.tensor([1.0, 0.5, 0.25])
    sample(
        lambda x, level: x * level,
        path,
        DDIM(),
        start=start,
        levels=levels,
        callback=lambda *report: seen.append(report),
    )
    assert torch.equal(start, kept)
    assert [step for step, _, _ in seen] == [0, 1]
    torch.testing.assert_close(seen[0][1:], (kept, kept))
    # x = 0.5 x0_hat + 0.5 N with N = x at level 1, so x stays; then x0_hat = x / 2
    torch.testing.assert_close(seen[1][1:], (kept, kept / 2))


def test_the_denoiser_sees_one_level_in_the_dtype_and_place_of_the_sample():
    levels = []
    path = linear_betas(steps=10)
    sample(
        lambda x, level: (levels.append(level), x)[1],
        path,
        DDIM(),
        start=torch.zeros(2, 3),
        levels=path.sampling_levels(10),
    )
    assert all(level.shape == () and level.dtype == torch.float32 for level in levels)
    torch.testing.assert_close(torch.stack(levels), torch.arange(10, 0, -1) / 10)


def test_a_sample_that_is_not_finite_names_its_step():
    path = linear_betas(steps=5)

    def denoise(x, level):
        return x / 0 if level < 0.7 else x

    with pytest.raises(TrainingError, match=r"after step 3 of 5, from level 0\.6: .*lower learning rate"):
        sample(denoise, path, DDIM(), start=torch.ones(2, 3), levels=path.sampling_levels(5))


@pytest.mark.parametrize(
    "levels",
    [[0.0, 1.0], [1.0], [1.0, 0.5, 0.5, 0.0], [1.2, 0.0], [0.5, -0.1], [[1.0, 0.0]], [1.0, math.nan]],
)
def test_refuses_levels_that_do_not_descend_within_bounds(levels):
    with pytest.raises(SettingError, match=r"descend within \[0, 1\].*sampling_levels"):
        sample(lambda x, level: x, PATHS["flow"], DDIM(), start=torch.ones(2), levels=torch.tensor(levels))


def test_refuses_to_go_without_noise():
    with pytest.raises(SettingError, match="pass noise="):
        sample(lambda x, level: x, PATHS["flow"], Ancestral(), start=torch.ones(2), levels=FIVE_STEPS)


@pytest.mark.parametrize("make", [lambda: Ancestral(1.5), lambda: InterpolatedAncestral(-0.1), lambda: DDIM(2)])
def test_refuses_settings_out_of_range(make):
    with pytest.raises(SettingError, match="between 0 and 1"):
        make()
