"""The interactive viewer: NiiVue with a subject's images and predictions at several times, in the page itself.

What is packed per subject is the source, the real follow-up and its change, and per predicted time the
change and, where known, the spread; the browser adds predicted changes to the source, so that changes
keep their precision in 8 bits, and lays colours over it.
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
from nextscan.report.volumes.examples import VolumeExample
from nextscan.report.volumes.grid import Image, coarsened, coarser_affine, nifti_base64
from nextscan.wording import number

BUDGET = 7_500_000  # characters of packed images; with NiiVue's 2.3 million a page stays below 12 MB
_COARSEST = 32
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
        "maps": {"change": _change_map(), "sd": _sd_map()},
        "subjects": [part.head for part in packed],
    }
    html = render_template(
        "viewer.html",
        head=head,
        images=[part.images for part in packed],
        change_gradient=_gradient([diverging()(x) for x in np.linspace(0, 1, 11)]),
        sd_gradient=_gradient([colours(SD)(x) for x in np.linspace(0, 1, 9)]),
        real=any(example.real is not None for example in shown),
        spread=any(sd is not None for example in shown for sd in example.predicted[method].sd),
    )
    return Fragment(html, script="viewer.js", library="niivue.js")


def _within(example: VolumeExample, method: str, budget: int) -> _Packed:
    """Pack one subject as finely as a budget allows."""
    series = example.predicted[method]
    n = 3 + 2 * len(series.years)
    voxels = float(np.prod(example.grid.apply(example.source).shape))
    # Four characters hold three bytes, and 8-bit brain images shrink to about half: the first guess.
    guess = (voxels * n * 0.5 * 4 / 3 / budget) ** (1 / 3)
    for factor in range(max(1, int(guess * 0.8)), _COARSEST + 1):
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
    real = None if example.real is None else small(example.real)
    real_change = None if example.real_change is None else small(example.real_change)
    sds = [None if sd is None else small(sd) for sd in series.sd]
    known = [sd for sd in sds if sd is not None]
    scales = scales_of([source], changes if real_change is None else [*changes, real_change], known)
    point = example.point(method)
    images: list[str] = []

    def packed(image: Image | None, low: float, high: float) -> int | None:
        """Add an image to the page and return its position."""
        if image is None:
            return None
        images.append(nifti_base64(image, affine, low=low, high=high))
        return len(images) - 1

    def packed_change(image: Image | None) -> int | None:
        # Of the 256 codes one stands for no change at all.
        return packed(image, -far, far * 128 / 127)

    bright, far, wide = _bright(source, scales), _ROOM * scales.change, _ROOM * scales.sd or 1.0
    head = {
        "title": " ".join(part for part in (example.subject, example.visit) if part),
        "images": {
            "source": packed(source, scales.low, bright),
            "changes": [packed_change(change) for change in changes],
            "sds": [packed(sd, 0.0, wide) for sd in sds],
            "real": packed(real, scales.low, bright),
            "realChange": packed_change(real_change),
        },
        "times": [_time(years, example.unit) for years in series.years],
        "start": example.at_gap(method),
        "realTime": _time(example.gap, example.unit),
        "limits": {"low": scales.low, "high": scales.high, "change": scales.change, "sd": scales.sd},
        "point": [round(float(mm), 2) for mm in grid.world(point)],
        "extent": [round(float(mm), 2) for mm in grid.spacing * factor * source.shape],
        "voxel": " × ".join(f"{mm:.1f}" for mm in grid.spacing * factor) + " mm",
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


def _change_map() -> list[list[float]]:
    """Return red, green, blue and opacity of changes: see-through around zero, so that the anatomy stays visible."""
    sign = np.linspace(-1, 1, 256)
    # On a dark image the pale middle of the page's map would glare: it begins further out.
    colour = np.array([diverging()((1 + np.sign(x) * max(abs(x), 0.4)) / 2) for x in sign])[:, :3]
    return _map(colour, np.clip((np.abs(sign) - 0.08) / 0.42, 0, 1))


def _sd_map() -> list[list[float]]:
    share = np.linspace(0, 1, 256)
    return _map(np.array([colours(SD)(x) for x in share])[:, :3], np.clip(share / 0.4, 0, 1))


def _map(colour: NDArray[np.float64], opacity: NDArray[np.float64]) -> list[list[float]]:
    return [
        [*(round(float(255 * part)) for part in row), round(float(share), 3)]
        for row, share in zip(colour, opacity, strict=True)
    ]


def _gradient(stops: Sequence[Any]) -> str:
    return ", ".join("#" + "".join(f"{round(255 * part):02x}" for part in stop[:3]) for stop in stops)
