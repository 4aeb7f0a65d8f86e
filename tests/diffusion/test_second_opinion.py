"""The schedulers of `diffusers`, which keep their tables in float32, as a second opinion."""

from __future__ import annotations

import pytest
import torch

from diffusion.gaussian import gaussian_data, normal
from nextscan.diffusion import DDIM, Ancestral, DPMSolverPP, linear_betas, sample

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PATH = linear_betas(steps=100, start=0.0015, end=0.02)
SETTINGS = {"num_train_timesteps": 100, "trained_betas": list(PATH.betas), "prediction_type": "sample"}
DATA = gaussian_data(4, prefix=(6,))
START, NOISES = normal(6, 4), normal(100, 6, 4, seed=5)


@pytest.fixture(scope="module", autouse=True)
def diffusers():
    """Return the package, whose import takes as long as that of torch."""
    return pytest.importorskip("diffusers")


def compare(scheduler, sampler, n_steps: int, step) -> None:
    """Run a scheduler on its own timesteps (step k is their k - 1), and our sampler on the same levels."""
    scheduler.set_timesteps(n_steps)
    denoise, x = DATA.denoiser(PATH), START
    for index, timestep in enumerate(scheduler.timesteps):
        estimate = denoise(x, (timestep.double() + 1) / 100)
        x = step(scheduler, estimate, timestep, x, index).prev_sample
    levels = torch.cat([(scheduler.timesteps.double() + 1) / 100, torch.zeros(1)])
    got = sample(denoise, PATH, sampler, start=START, levels=levels, noise=NOISES.__getitem__)
    torch.testing.assert_close(got, x, rtol=0, atol=1e-4)


def test_the_tables_agree(diffusers):
    theirs = diffusers.DDPMScheduler(**SETTINGS).alphas_cumprod
    a, _ = PATH.signal_noise(torch.arange(1, 101, dtype=torch.float64) / 100)
    torch.testing.assert_close(theirs.double(), a**2, rtol=0, atol=1e-6)


def test_the_zero_terminal_tables_agree():
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    from nextscan.diffusion import zero_terminal_snr

    theirs = rescale_zero_terminal_snr(torch.tensor(PATH.betas, dtype=torch.float64))
    ours = torch.tensor(zero_terminal_snr(PATH).betas, dtype=torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("variance", "v", "n_steps"),
    [("fixed_small", 0.0, 100), ("fixed_small", 0.0, 10), ("fixed_large", 1.0, 100)],
)
def test_ancestral(monkeypatch, diffusers, variance, v, n_steps):
    """Not with large variance in few steps: theirs is then noisy at the last step too, unless that is row 0."""
    from diffusers.schedulers import scheduling_ddpm

    scheduler = diffusers.DDPMScheduler(
        **SETTINGS, variance_type=variance, clip_sample=False, timestep_spacing="trailing"
    )

    def step(scheduler, estimate, timestep, x, index):
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, **__: NOISES[index])
        return scheduler.step(estimate, int(timestep), x)

    compare(scheduler, Ancestral(v), n_steps, step)


@pytest.mark.parametrize("eta", [0.0, 0.6])
@pytest.mark.parametrize("n_steps", [100, 20])
def test_ddim(diffusers, eta, n_steps):
    compare(
        diffusers.DDIMScheduler(**SETTINGS, clip_sample=False, timestep_spacing="trailing"),
        DDIM(eta),
        n_steps,
        lambda scheduler, estimate, timestep, x, index: scheduler.step(
            estimate, int(timestep), x, eta=eta, variance_noise=NOISES[index] if eta else None
        ),
    )


@pytest.mark.parametrize("n_steps", [8, 20, 100])
def test_dpm_solver_pp(diffusers, n_steps):
    compare(
        diffusers.DPMSolverMultistepScheduler(
            **SETTINGS,
            algorithm_type="dpmsolver++",
            solver_order=2,
            timestep_spacing="trailing",
            final_sigmas_type="zero",
        ),
        DPMSolverPP(),
        n_steps,
        lambda scheduler, estimate, timestep, x, index: scheduler.step(estimate, timestep, x),
    )
