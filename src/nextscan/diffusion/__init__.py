"""Mathematics of diffusion for tensors of any rank: paths, parameterisations, objectives, samplers."""

from nextscan.diffusion.denoiser import Denoiser, guided, make_denoiser
from nextscan.diffusion.noise import counter_normal
from nextscan.diffusion.objective import Predict, objective
from nextscan.diffusion.parameterisation import Parameterisation, to_data, to_noise, training_target
from nextscan.diffusion.paths import (
    ContinuousPath,
    DiscretePath,
    Path,
    RectifiedFlow,
    diffuse,
    expand,
    linear_betas,
    zero_terminal_snr,
)
from nextscan.diffusion.samplers import (
    DDIM,
    SAMPLERS,
    Ancestral,
    DPMSolverPP,
    Heun,
    InterpolatedAncestral,
    Sampler,
    Step,
    sample,
)

__all__ = [
    "DDIM",
    "SAMPLERS",
    "Ancestral",
    "ContinuousPath",
    "DPMSolverPP",
    "Denoiser",
    "DiscretePath",
    "Heun",
    "InterpolatedAncestral",
    "Parameterisation",
    "Path",
    "Predict",
    "RectifiedFlow",
    "Sampler",
    "Step",
    "counter_normal",
    "diffuse",
    "expand",
    "guided",
    "linear_betas",
    "make_denoiser",
    "objective",
    "sample",
    "to_data",
    "to_noise",
    "training_target",
    "zero_terminal_snr",
]
