"""Tabulate what training and sampling on volumes cost: shape × memory × time for each memory-saving switch.

    python benchmarks/volume_training.py                                       the default network at 32 × 40 × 32
    python benchmarks/volume_training.py --preset mean                         the network of its expected change
    python benchmarks/volume_training.py --preset paper --shape 128,160,128    the paper's, where there is a GPU
    python benchmarks/volume_training.py --preset paper --shape 128,160,128 --estimate     ... and where there is none

Every row is a process of its own, as the peak of memory is that of a process. On a GPU it is
`torch.cuda.max_memory_allocated`, on the CPU the growth of the resident memory beyond that of the
imported libraries. ``--estimate`` computes no voxel: it counts the tensors that one step would hold, on any
machine, without the workspaces of the GPU's convolutions. Prints a table and, as its last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nextscan.diffusion import SAMPLERS, ContinuousPath, linear_betas, make_denoiser, sample
from nextscan.imputers.volumes.diffusion.settings import PRESETS
from nextscan.networks.volume_conv import VolumeConvNet
from nextscan.networks.volume_unet import VolumeUNet
from nextscan.training import TrainingSettings, train

# name -> checkpointing, precision, whether 2×2×2 voxels become channels
SWITCHES: dict[str, tuple[bool, str, bool]] = {
    "none": (False, "float32", False),
    "checkpointing": (True, "float32", False),
    "bfloat16": (False, "bfloat16", False),
    "checkpointing, bfloat16": (True, "bfloat16", False),
    "patches": (False, "float32", True),
    "checkpointing, bfloat16, patches": (True, "bfloat16", True),
}
SAMPLING = ((1000, "ancestral"), (50, "ddim"), (10, "dpm-solver++"))
MEBIBYTE = 2.0**20


class RandomVolumes:
    """Squared error of the network on volumes of noise: the cost of training without its data."""

    def __init__(self, shape: Sequence[int], n_examples: int, device: torch.device) -> None:
        self.shape, self.n_examples, self.device = tuple(shape), n_examples, device

    def loss(self, network: nn.Module, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each example, shape (1, B)."""
        x, source, target = (
            torch.stack([torch.randn(1, *self.shape, generator=g, device=self.device) for g in generators])
            for _ in range(3)
        )
        return squared_error(network, x, source, target)[None]

    def validation_score(self, network: nn.Module) -> Tensor:
        """Score nothing."""
        return torch.zeros(1)


def squared_error(network: nn.Module, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each example, shape (B,)."""
    level = torch.full((len(x),), 0.5, device=x.device)
    return (network(x, level, source).float() - target).square().mean((1, 2, 3, 4))


class Mean(nn.Module):
    """The network of the expected change, called like that of the diffusion."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.change = VolumeConvNet(channels=channels)

    def forward(self, x: Tensor, level: Tensor, source: Tensor) -> Tensor:
        """Map a source (B, 1, X, Y, Z), whatever the rest."""
        change: Tensor = self.change(source)
        return change


def make_network(preset: str, *, checkpointing: bool, patches: bool) -> nn.Module:
    """Return the preset's network, conditioned on the source alone."""
    if preset == "mean":
        return Mean(PRESETS["default"].mean_channels)
    settings = PRESETS[preset]
    return VolumeUNet(
        channels=settings.channels,
        attention=settings.attention,
        n_residual=settings.n_residual,
        patch=2 if patches else 1,
        checkpointing=checkpointing,
    )


def estimate(network: nn.Module, shape: Sequence[int], batch: int, precision: str) -> dict[str, float]:
    """Return the peak of the tensors that one step of training holds, in MiB."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    n_parameters = sum(p.numel() for p in network.parameters())
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for module in network.modules():
            for name, parameter in list(module._parameters.items()):
                if parameter is not None:
                    module._parameters[name] = nn.Parameter(mode.from_tensor(parameter.detach()))
        tracker = MemTracker()
        tracker.track_external(network)
        with tracker:
            x, source, target = (torch.randn(batch, 1, *shape) for _ in range(3))
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                loss = squared_error(network, x, source, target).mean()
            loss.backward()
        peak = tracker.get_tracker_snapshot("peak")
    held = sum(sizes["Total"] for sizes in peak.values())
    # beside parameters and gradients the loop keeps two moments, the average and the best parameters
    return {"peak_mib": (held + 4 * 4 * n_parameters) / MEBIBYTE}


def measure(network: nn.Module, shape: Sequence[int], batch: int, precision: str, steps: int) -> dict[str, float]:
    """Train for one epoch of `steps` steps; return its peak memory in MiB and seconds per step."""
    device = next(network.parameters()).device
    before = resident()
    settings = TrainingSettings(epochs=1, batch_size=batch, average=0.999, precision=precision)
    problem = RandomVolumes(shape, steps * batch, device)
    history = train(network, problem, settings, seeds=[0], replicas=False).history
    peak = torch.cuda.max_memory_allocated(device) / MEBIBYTE if device.type == "cuda" else resident() - before
    return {"peak_mib": peak, "seconds_per_step": history[0]["seconds"] / steps}


@torch.no_grad()
def sampling_seconds(network: nn.Module, shape: Sequence[int], precision: str, n_steps: int, sampler: str) -> float:
    """Return the seconds of one draw of one volume."""
    device = next(network.parameters()).device
    ancestral = sampler == "ancestral"
    path = linear_betas(steps=1000, start=1e-4, end=0.02) if ancestral else ContinuousPath("cosine")
    generator = torch.Generator(device).manual_seed(0)

    def noise(step: int) -> Tensor:
        return torch.randn(1, 1, *shape, generator=generator, device=device)

    source = noise(0)

    def predict(x: Tensor, level: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return network(x, level.expand(len(x)), source).float()

    predict(source, torch.ones((), device=device))  # the first call also chooses kernels
    started = time.perf_counter()
    denoise = make_denoiser(predict, path, "noise" if ancestral else "velocity", (-1.0, 1.0))
    made = sample(denoise, path, SAMPLERS[sampler], start=noise(1), levels=path.sampling_levels(n_steps), noise=noise)
    float(made.sum())  # waits for the device
    return time.perf_counter() - started


def resident() -> float:
    """Return the highest resident memory of this process so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEBIBYTE


def row(cell: dict[str, Any]) -> dict[str, Any]:
    """Measure one row of the table in this process."""
    checkpointing, precision, patches = SWITCHES[cell["switches"]]
    torch.manual_seed(0)
    network = make_network(cell["preset"], checkpointing=checkpointing, patches=patches)
    found: dict[str, Any] = {"parameters": sum(p.numel() for p in network.parameters())}
    if cell["estimate"]:
        return found | estimate(network, cell["shape"], cell["batch"], precision)
    network.to(cell["device"])
    found |= measure(network, cell["shape"], cell["batch"], precision, cell["steps"])
    for n_steps, sampler in SAMPLING:
        if n_steps <= cell["sampling"]:
            found[f"sample_{n_steps}"] = sampling_seconds(network, cell["shape"], precision, n_steps, sampler)
    return found


def in_own_process(cell: dict[str, Any]) -> dict[str, Any]:
    """Return a row, or what went wrong with it; memory that runs out ends a row, not the table."""
    command = [sys.executable, __file__, "--cell", json.dumps(cell)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"ended with status {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def shown(found: dict[str, Any]) -> str:
    """Return a row's cells, as Markdown."""
    if "error" in found:
        return f"{found['error'][:80]} | | | | |"
    seconds = [found.get(key) for key in ("seconds_per_step", *(f"sample_{n}" for n, _ in SAMPLING))]
    cells = [f"{found['parameters'] / 1e6:.2f} M", f"{found['peak_mib'] / 1024:.2f}"]
    return " | ".join(cells + ["–" if value is None else f"{value:.3g}" for value in seconds])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=[*sorted(PRESETS), "mean"], default="default")
    parser.add_argument("--shape", action="append", help="such as 32,40,32; may be given several times")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3, help="training steps to time")
    parser.add_argument("--sampling", type=int, default=50, help="time draws of at most this many steps")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--switches", action="append", choices=list(SWITCHES), help="rows to make; all without")
    parser.add_argument("--estimate", action="store_true", help="count memory instead of measuring")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        print(json.dumps(row(json.loads(given.cell))))
        return
    rows = []
    print(f"preset {given.preset}, batch {given.batch}, {'estimate' if given.estimate else given.device}\n")
    draws = " | ".join(f"s per volume, {n} steps" for n, _ in SAMPLING)
    print(f"| shape | switches | parameters | peak GiB | s per training step | {draws} |\n|{'---|' * 8}")
    for shape in given.shape or ["32,40,32"]:
        sides = [int(side) for side in shape.split(",")]
        for switches in given.switches or SWITCHES:
            cell = {"preset": given.preset, "shape": sides, "batch": given.batch, "switches": switches}
            cell |= {"steps": given.steps, "sampling": given.sampling, "device": given.device}
            found = in_own_process(cell | {"estimate": given.estimate})
            rows.append(cell | found)
            print(f"| {'×'.join(map(str, sides))} | {switches} | {shown(found)} |", flush=True)
    print("\n" + json.dumps(rows))


if __name__ == "__main__":
    main()
