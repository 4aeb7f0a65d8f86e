"""Denoisers: the network's output becomes an estimate of the data; guidance combines two."""

from __future__ import annotations

import pytest
import torch

from diffusion.gaussian import PATHS, gaussian_data, normal
from nextscan.diffusion import DDIM, ContinuousPath, diffuse, guided, make_denoiser, sample, training_target
from nextscan.errors import SettingError

LEVELS = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)


@pytest.mark.parametrize("kind", ["noise", "data", "velocity", "flow"])
@pytest.mark.parametrize("name", PATHS)
def test_gives_the_data_or_names_the_singularity(kind, name):
    path = PATHS[name]
    x0, noise = normal(3, 2, seed=1), normal(3, 2, seed=2)
    a, s = path.signal_noise(LEVELS)
    output = training_target(kind, x0, noise, a, s)
    if kind == "noise" and name in ("zero terminal", "cosine", "flow"):
        with pytest.raises(SettingError, match=r"zero terminal SNR.*predict velocity or data"):
            make_denoiser(lambda x, level: output, path, kind)
        return
    denoise = make_denoiser(lambda x, level: output, path, kind)
    torch.testing.assert_close(denoise(diffuse(x0, noise, a, s), LEVELS), x0, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["noise", "data", "velocity", "flow"])
def test_all_kinds_sample_alike(kind):
    """Four networks that know the same draw the same, down to the last step."""
    path, data = ContinuousPath(log_snr_max=10, log_snr_min=-6), gaussian_data()
    optimal = data.denoiser(path)

    def predict(x, level):
        a, s = path.signal_noise(level)
        x0 = optimal(x, level)
        return training_target(kind, x0, (x - a * x0) / s, a, s)

    start, levels = normal(5, 3), path.sampling_levels(8)
    got = sample(make_denoiser(predict, path, kind), path, DDIM(), start=start, levels=levels)
    wanted = sample(optimal, path, DDIM(), start=start, levels=levels)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)


def test_clamps_the_estimate():
    output = torch.tensor([-3.0, 0.5, 3.0])
    denoise = make_denoiser(lambda x, level: output, PATHS["flow"], "data", clamp=(-1, 2))
    assert denoise(torch.zeros(3), torch.ones(())).tolist() == [-1, 0.5, 2]


def test_guidance_moves_away_from_the_unconditional_estimate():
    def conditional(x, level):
        return x + 1

    def unconditional(x, level):
        return x - 1 + level

    x, level = torch.tensor([0.0, 10.0]), torch.tensor(0.5)
    assert guided(conditional, unconditional, 0.2)(x, level).tolist() == pytest.approx([1.3, 11.3])
    assert guided(conditional, unconditional, 2.0, clamp=(-5, 5))(x, level).tolist() == [4, 5]


def test_guidance_of_weight_0_never_asks_the_unconditional_denoiser():
    def conditional(x, level):
        return x

    assert guided(conditional, lambda x, level: 1 / 0, 0) is conditional


def test_guidance_of_the_data_is_guidance_of_the_noise():
    """(1 + w) eps_c - w eps_u, as Ho & Salimans write it, gives the same estimate of the data."""
    path, weight = PATHS["paper"], 0.7
    x, eps_c, eps_u = normal(3, 2, seed=1), normal(3, 2, seed=2), normal(3, 2, seed=3)
    in_noise = make_denoiser(lambda x, level: (1 + weight) * eps_c - weight * eps_u, path, "noise")
    in_data = guided(
        make_denoiser(lambda x, level: eps_c, path, "noise"),
        make_denoiser(lambda x, level: eps_u, path, "noise"),
        weight,
    )
    torch.testing.assert_close(in_data(x, LEVELS), in_noise(x, LEVELS), rtol=0, atol=1e-12)
