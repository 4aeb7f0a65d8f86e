"""Memory that training on volumes takes: told before it begins, and in one line when it runs out."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nextscan.errors import NotEnoughMemoryError, is_out_of_memory

_GIB = 2.0**30
_BASE = 0.125  # GiB of what does not grow with the grid
# floats kept for gradients, fitted to the measured table of the README ("Speed") and to grids up to 128 × 160 × 128
_WHOLE = 38.5  # of each voxel: volumes, noise, and what the loss keeps
_EACH, _EACH_RESIDUAL = 22.3, 11.6  # of each voxel and channel of a U-Net, and with each residual block
_FINE, _COARSE = 9.0, 17.0  # of each voxel and channel of the expected change, above and at its lowest resolution
_BFLOAT16, _CHECKPOINTING = 0.59, 0.82
_PER_PARAMETER = 24  # bytes: gradient, two moments, average, best
ERROR = "a quarter"
"""How far the estimate may be off at grids of 64 × 80 × 64 to 128 × 160 × 128 on a CPU: it was by up to 10 % of what
was measured with `benchmarks/volume_training.py`. On smaller grids, and on a GPU, it may be more."""
_ENOUGH = 0.85  # share of the free memory that a suggestion may take


@dataclass(frozen=True)
class Footprint:
    """What the memory of a training step depends on.

    Attributes
    ----------
    shape : three int
        Of the grid.
    batch_size : int
    channels, n_residual, patch
        Of the U-Net.
    mean_channels : tuple of int
        Of the network of the expected change; empty for none.
    bfloat16, checkpointing : bool
    """

    shape: tuple[int, int, int]
    batch_size: int
    channels: tuple[int, ...]
    n_residual: int = 1
    patch: int = 1
    mean_channels: tuple[int, ...] = ()
    bfloat16: bool = False
    checkpointing: bool = False

    @classmethod
    def of(cls, settings: Any, machine: Any, shape: Sequence[int]) -> Footprint:
        """Take what settings and machine say of it; a setting they lack is at its default."""
        names = ("batch_size", "channels", "n_residual", "patch", "mean_channels")
        said = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
        x, y, z = shape
        return cls(
            shape=(x, y, z), bfloat16=machine.precision == "bfloat16", checkpointing=machine.checkpointing, **said
        )

    @property
    def gib(self) -> float:
        """Peak memory of a training step in GiB, beside that of the libraries: a closed form, see `ERROR`.

        Networks are trained one after the other, so the larger one counts. What is kept for gradients grows with the
        channels at each resolution, which has an eighth of the voxels of the one above.
        """
        units = sum(width / 8**level for level, width in enumerate(self.channels))
        unet = units * (_EACH + _EACH_RESIDUAL * self.n_residual) / self.patch**3
        unet *= _CHECKPOINTING if self.checkpointing else 1.0
        *fine, coarse = self.mean_channels or (0,)
        mean = sum(_FINE * width / 8**level for level, width in enumerate(fine)) + _COARSE * coarse / 8 ** len(fine)
        floats = _WHOLE + max(unet, mean)
        bytes_of = 4.0 * floats * (_BFLOAT16 if self.bfloat16 else 1.0)
        parameters = 27.0 * sum(width**2 for width in self.channels) * (4 + 4 * self.n_residual)
        return _BASE + (bytes_of * math.prod(self.shape) * self.batch_size + _PER_PARAMETER * parameters) / _GIB


def free_gib(device: str = "cpu") -> float | None:
    """Return the memory that is free, in GiB: of a GPU, or of this machine or container; None where nothing tells."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.mem_get_info(device)[0]) / _GIB
    found = [value for value in (_available(), _left_in_container()) if value is not None]
    return min(found) / _GIB if found else None


def _available() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None


def _left_in_container() -> float | None:
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            left = float(Path(limit).read_text()) - float(Path(used).read_text())
        except (OSError, ValueError):
            continue
        return left if left < 2.0**50 else None
    return None


def plan(need: Footprint, spacing: Sequence[float], free: float | None) -> tuple[str, str]:
    """Say what training will take, and what to do where that is more than there is.

    Parameters
    ----------
    need : Footprint
    spacing : three float
        Of the grid, in mm.
    free : float or None
        GiB.

    Returns
    -------
    str
        The grid and the estimate.
    str
        Switches that help, with what they take; empty where it fits.

    Examples
    --------
    >>> large = Footprint((176, 208, 176), 4, (16, 32, 64), patch=2, mean_channels=(8, 32))
    >>> said, cure = plan(large, (1.0, 1.0, 1.0), 8.0)
    >>> said
    'grid 176 x 208 x 176 at 1 x 1 x 1 mm: training takes about 17.3 GiB (within a quarter), 8.0 GiB are free'
    >>> cure
    '--set batch_size=1 takes 4.4 GiB, --set spacing=1.5,1.5,1.5 takes 5.7 GiB'
    """
    size, mm = (" x ".join(f"{value:g}" for value in values) for values in (need.shape, spacing))
    there = "" if free is None else f", {free:.1f} GiB are free"
    said = f"grid {size} at {mm} mm: training takes about {need.gib:.1f} GiB (within {ERROR}){there}"
    if free is None or need.gib <= free:
        return said, ""
    return said, _switches(need, spacing, free)


def _switches(need: Footprint, spacing: Sequence[float], free: float | None) -> str:
    """List the switches that are each enough, with what they take; all that take less where none is."""
    enough = math.inf if free is None else _ENOUGH * free
    found = [
        ("batch_size=1", replace(need, batch_size=1)),
        ("precision=bfloat16", replace(need, bfloat16=True)),
        ("patch=2", replace(need, patch=max(2, need.patch))),
        ("checkpointing=true", replace(need, checkpointing=True)),
        _coarser(need, spacing, enough),
    ]
    helping = [(name, less.gib) for name, less in found if less.gib < 0.95 * need.gib]
    fitting = [each for each in helping if each[1] <= enough] or helping
    return ", ".join(f"--set {name} takes {gib:.1f} GiB" for name, gib in fitting)


def _coarser(need: Footprint, spacing: Sequence[float], enough: float) -> tuple[str, Footprint]:
    """Return a spacing, in steps of half a mm, whose grid is enough; twice as coarse where nothing is known."""
    factor = 2.0 if math.isinf(enough) else max(1.0, (need.gib / max(enough, 1e-3)) ** (1 / 3))
    while True:
        mm = [math.ceil(2 * value * factor - 1e-6) / 2 for value in spacing]
        x, y, z = (
            max(8, 8 * math.ceil(n * old / new / 8)) for n, old, new in zip(need.shape, spacing, mm, strict=True)
        )
        coarser = replace(need, shape=(x, y, z))
        if coarser.gib <= enough or factor > 16:
            return f"spacing={','.join(f'{value:g}' for value in mm)}", coarser
        factor *= 1.1


@contextmanager
def telling_memory(need: Footprint | None, spacing: Sequence[float], doing: str) -> Iterator[None]:
    """Turn an error of an allocator into one line that names the switches that help.

    Parameters
    ----------
    need : Footprint or None
        None where networks are not trained.
    spacing : three float
    doing : str
        What ran out of memory.

    Raises
    ------
    NotEnoughMemoryError
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, NotEnoughMemoryError) or not is_out_of_memory(error):
            raise
        switches = "impute fewer draws at once (--draws), or fit with --set spacing=2,2,2"
        if need is not None:
            switches = _switches(need, spacing, None)
        raise NotEnoughMemoryError(f"{doing}: not enough memory; {switches}, or use a larger machine") from error
