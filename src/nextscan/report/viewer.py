"""The interactive viewer: NiiVue with a subject's images and predictions at several times, in the page itself.

What is packed per subject is the source, the real change, and per predicted time the change and
the spread; the browser adds changes to the source, so that changes keep their precision in 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.report.figures.style import diverging
from nextscan.report.figures.volumes import SD, Scales, colours, scales_of
from nextscan.report.page import Fragment, render_template
from nextscan.report.volume_examples import VolumeExample
from nextscan.report.volume_grid import Image, coarsened, coarser_affine, nifti_base64
from nextscan.report.wording import number

BUDGET = 7_500_000  # characters of packed images; with NiiVue's 2.3 million a page stays below 12 MB
_FACTORS = range(1, 33)
_ROOM = 2.0  # changes are kept up to so many times the end of their colour scale


@dataclass(frozen=True, eq=False)
class _Packed:
    head: dict[str, Any]
    images: list[str]

    @property
    def size(self) -> int:
        return sum(len(text) for text in self.images)


def viewer(examples: Sequence[VolumeExample], method: str, *, name: str, budget: int = BUDGET) -> Fragment | None:
    """Return the viewer of one method's predictions, or None if it has none for any example.

    Images are cropped to the head and averaged over cubes of voxels, as coarsely as `budget` asks
    for; the page says how coarse they are.

    Parameters
    ----------
    examples : sequence of VolumeExample
    method : str
    name : str
        What the method is called on the page.
    budget : int
        Characters all packed images may take together.
    """
    shown = [example for example in examples if method in example.predicted]
    if not shown:
        return None
    packed = [_within(example, method, budget // len(shown)) for example in shown]
    head = {
        "method": name,
        "unit": shown[0].unit,
        "maps": {"nextscan-change": _change_map(), "nextscan-sd": _sd_map()},
        "subjects": [part.head for part in packed],
    }
    html = render_template(
        "viewer.html",
        head=head,
        images=[part.images for part in packed],
        change_gradient=_gradient([diverging()(x) for x in np.linspace(0, 1, 11)]),
        sd_gradient=_gradient([colours(SD)(x) for x in np.linspace(0, 1, 9)]),
        real=any(example.real is not None for example in shown),
        spread=any(example.predicted[method].sd is not None for example in shown),
    )
    return Fragment(html, script="viewer.js", library="niivue.js")


def _within(example: VolumeExample, method: str, budget: int) -> _Packed:
    """Pack one subject as finely as a budget allows."""
    series, grid = example.predicted[method], example.grid
    n = 1 + (example.real is not None) + len(series.years) * (1 + (series.sd is not None))
    voxels = float(np.prod(grid.apply(example.source).shape))
    # Four characters hold three bytes, and 8-bit brain images shrink to about half: the first guess.
    guess = (voxels * n * 0.5 * 4 / 3 / budget) ** (1 / 3)
    start = max(1, int(guess * 0.8))
    for factor in _FACTORS[start - 1 :]:
        packed = _pack(example, method, factor)
        if packed.size <= budget:
            break
    return packed


def _pack(example: VolumeExample, method: str, factor: int) -> _Packed:
    grid, series = example.grid, example.predicted[method]
    affine = coarser_affine(grid.affine, factor)

    def small(image: NDArray[Any]) -> Image:
        return coarsened(grid.apply(image), factor)

    source = small(example.source)
    changes = [small(mean - example.source) for mean in series.mean]
    real = small(example.real - example.source) if example.real is not None else None
    sds = [small(sd) for sd in series.sd] if series.sd is not None else []
    every = changes if real is None else [*changes, real]
    scales = scales_of([source], every, sds)
    point = example.point(method)
    images = [nifti_base64(source, affine, low=scales.low, high=_bright(source, scales))]
    end = _ROOM * scales.change
    images += [nifti_base64(change, affine, low=-end, high=end) for change in every]
    images += [nifti_base64(sd, affine, low=0.0, high=_ROOM * scales.sd or 1.0) for sd in sds]
    spacing = grid.spacing * factor
    head = {
        "title": " ".join(part for part in (example.subject, example.visit) if part),
        "source": f"source {example.source_visit}".strip(),
        "times": [_time(years, example.unit) for years in series.years],
        "start": example.at_gap(method),
        "real": None if real is None else len(changes),
        "realTitle": ("noise-free " if example.noise_free else "") + "real follow-up",
        "realTime": _time(example.gap, example.unit),
        "sd": bool(sds),
        "limits": {"low": scales.low, "high": scales.high, "change": scales.change, "sd": scales.sd},
        "point": [round(float(mm), 2) for mm in grid.world(point)],
        "extent": [round(float(mm), 2) for mm in spacing * source.shape],
        "voxel": " × ".join(f"{mm:.1f}" for mm in spacing) + " mm",
        "coarser": factor,
    }
    return _Packed(head, images)


def _bright(source: Image, scales: Scales) -> float:
    """Return the largest value kept: bright vessels beyond it are cut."""
    return max(float(np.quantile(source, 0.9998)), scales.high)


def _time(years: float, unit: str) -> str:
    if not np.isfinite(years):
        return "next visit"
    text = number(float(years), 0 if float(years).is_integer() else 2).rstrip()
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}"


def _change_map() -> dict[str, list[int]]:
    """Return the map of changes for NiiVue: see-through around zero, so that the anatomy stays visible."""
    colour = np.array([diverging()(x) for x in np.linspace(0, 1, 65)])[:, :3]
    share = np.abs(np.linspace(-1, 1, 65))
    # On a dark image the middle of the page's map would glare: its pale part is taken from further out.
    outer = np.array([diverging()(0.5 + np.sign(x) * max(abs(x), 0.45) / 2) for x in np.linspace(-1, 1, 65)])[:, :3]
    colour = np.where(share[:, None] < 0.45, outer, colour)
    return _map(colour, np.clip((share - 0.12) / 0.4, 0, 1))


def _sd_map() -> dict[str, list[int]]:
    colour = np.array([colours(SD)(x) for x in np.linspace(0, 1, 65)])[:, :3]
    return _map(colour, np.clip(np.linspace(0, 1, 65) / 0.25, 0, 1))


def _map(colour: NDArray[np.float64], opacity: NDArray[np.float64]) -> dict[str, list[int]]:
    codes = np.rint(255 * np.column_stack([colour, opacity])).astype(int)
    at = np.rint(np.linspace(0, 255, len(codes))).astype(int)
    return {name: [int(code) for code in values] for name, values in zip("RGBAI", [*codes.T, at], strict=True)}


def _gradient(stops: Sequence[Any]) -> str:
    return ", ".join("#" + "".join(f"{round(255 * part):02x}" for part in stop[:3]) for stop in stops)
