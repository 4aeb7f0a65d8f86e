"""The player of films: what was shown, what is real and what was imputed, beating side by side in the page itself.

Each film goes into the page as one grey PNG image, a column of tiles per frame and a row per slice, which any browser
opens and cuts; nothing of WebGL is needed. The difference is taken in the browser.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.report.figures.style import diverging
from nextscan.report.figures.volumes import SD, colours
from nextscan.report.films.kept import Codes, KeptFilm
from nextscan.report.page import Fragment, render_template
from nextscan.report.volumes.grid import coarsened

BUDGET = 6_000_000
"""Characters of packed films."""

_COARSEST = 16
_SHARE = 0.995  # quantile of spreads and differences that has the strongest colour


@dataclass(frozen=True, eq=False)
class Curve:
    """Volumes of one subject over the beat, as the player draws them below the films.

    Attributes
    ----------
    truth, mean, low, high : ndarray, shape (n_frames,)
        mL, NaN where unknown; `low` and `high` hold 80 % of the draws.
    """

    truth: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(eq=False)
class _Packed:
    head: dict[str, Any]
    sheets: list[str] = field(default_factory=list)

    def add(self, tiles: NDArray[np.uint8], palette: bytes | None = None) -> int:
        """Add a film in the form (n_frames, slices, rows, columns) and return its position."""
        self.sheets.append(sheet(tiles, palette))
        return len(self.sheets) - 1

    @property
    def size(self) -> int:
        return sum(len(text) for text in self.sheets)


def player(
    films: Sequence[KeptFilm],
    methods: Mapping[str, str],
    *,
    curves: Mapping[tuple[str, str], Curve] | None = None,
    budget: int = BUDGET,
) -> Fragment | None:
    """Return the player, or None if no film has an imputed one beside it.

    Parameters
    ----------
    films : sequence of KeptFilm
    methods : mapping of method to title
        Those to choose from, the first is shown first; a film may lack some.
    curves : mapping of (subject, method) to Curve, optional
    budget : int
        Characters all packed films may take together; they are averaged over voxels as coarsely as that asks for.
    """
    shown = [film for film in films if set(methods) & set(film.predicted)]
    if not shown:
        return None
    packed = [_within(film, methods, curves or {}, budget // len(shown)) for film in shown]
    there = [method for method in methods if any(method in film.predicted for film in shown)]
    head = {
        "methods": [{"name": method, "title": methods[method]} for method in there],
        "diverging": [[round(255 * float(part)) for part in diverging()(x)[:3]] for x in np.linspace(0, 1, 256)],
        "subjects": [part.head for part in packed],
    }
    html = render_template(
        "films.html",
        head=head,
        sheets=[part.sheets for part in packed],
        sd_gradient=_gradient([colours(SD)(x) for x in np.linspace(0, 1, 9)]),
        difference_gradient=_gradient([diverging()(x) for x in np.linspace(0, 1, 11)]),
    )
    return Fragment(html, script="films.js", style="films.css")


def _within(
    film: KeptFilm, methods: Mapping[str, str], curves: Mapping[tuple[str, str], Curve], budget: int
) -> _Packed:
    for factor in range(1, _COARSEST + 1):
        packed = _pack(film, methods, curves, factor)
        if packed.size <= budget:
            break
    return packed


def _pack(film: KeptFilm, methods: Mapping[str, str], curves: Mapping[tuple[str, str], Curve], factor: int) -> _Packed:
    view = View.of(film.affine)
    across = tuple(factor if axis != view.through else 1 for axis in range(3))

    def small(codes: Codes) -> Codes:
        return np.stack([view.tiles(_averaged(image, across)) for image in codes])

    predicted = {method: film.predicted[method] for method in methods if method in film.predicted}
    widest = max((_high(one.sd) * one.sd_high / 255 for one in predicted.values()), default=0.0)
    truth = film.truth[~film.given].astype(int)
    differing = max((_high(np.abs(one.mean.astype(int) - truth)) for one in predicted.values()), default=0.0)
    packed = _Packed({})
    real = small(film.real)
    of_methods: dict[str, Any] = {}
    palette = bytes(round(255 * float(part)) for x in np.linspace(0, 1, 256) for part in colours(SD)(x)[:3])
    told: dict[str, Any] = {
        "real": packed.add(real),
        "truth": None if film.noise_free is None else packed.add(small(film.noise_free)),
    }
    for method, one in predicted.items():
        scaled = np.clip(np.rint(one.sd * (one.sd_high / widest if widest else 0.0)), 0, 255).astype(np.uint8)
        curve = curves.get((film.subject, method))
        of_methods[method] = {
            "mean": packed.add(small(one.mean)),
            "draw": None if np.array_equal(one.draw, one.mean) else packed.add(small(one.draw)),
            "sd": packed.add(small(scaled), palette) if one.sd_high else None,
            "curve": None if curve is None else {name: _numbers(getattr(curve, name)) for name in _CURVE},
        }
    n_slices, height, width = real.shape[1:]
    down, right = view.spacing(film.affine)
    packed.head |= {
        "title": film.subject,
        "frames": list(film.frames),
        "times": _numbers(film.clock.told(film.times - film.times[0])),
        "circle": film.clock.period is not None,
        "unit": film.clock.label,
        "shares": [round(float(share), 5) for share in film.shares],
        "given": film.given.tolist(),
        "nearest": film.nearest.tolist(),
        "tile": [width, height],
        "extent": [round(width * right * factor, 2), round(height * down * factor, 2)],
        "slices": n_slices,
        "slice": view.middle(film.real, n_slices),
        "window": list(film.window),
        "sd": widest,
        "difference": max(round(differing), 1),
        "films": told,
        "methods": of_methods,
        "coarser": factor,
    }
    return packed


_CURVE = ("truth", "mean", "low", "high")


def _high(codes: NDArray[Any]) -> float:
    """Return the end of a scale: nearly the largest value of what is above zero."""
    above = codes[codes > 0]
    return float(np.quantile(above, _SHARE)) if above.size else 0.0


def _averaged(image: Codes, blocks: tuple[int, ...]) -> Codes:
    """Average within slices: blocks are of one voxel through them."""
    if max(blocks) == 1:
        return image
    through = blocks.index(1)
    slices = [coarsened(np.atleast_3d(part), max(blocks)) for part in np.moveaxis(image, through, 0)]
    return np.rint(np.moveaxis(np.stack([part[..., 0] for part in slices]), 0, through)).astype(np.uint8)


@dataclass(frozen=True)
class View:
    """How a film is cut into slices: through its thickest axis, the others upright.

    Attributes
    ----------
    through, right, up : int
        Axes of the image.
    flips : tuple of bool
        Whether `right` and `up` are turned round, so that they run to the right, the front or the top of a person.
    """

    through: int
    right: int
    up: int
    flips: tuple[bool, bool]

    @classmethod
    def of(cls, affine: FloatArray) -> View:
        """Choose the slices of a grid; of cubes those along the last axis.

        >>> View.of(np.diag([-1.5, 1.5, 8.0, 1.0]))
        View(through=2, right=0, up=1, flips=(True, False))
        """
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        through = 2 - int(np.argmax(spacing[::-1].round(3)))
        right, up = (axis for axis in range(3) if axis != through)
        ends = [affine[:3, axis] for axis in (right, up)]
        flips = tuple(bool(end[np.abs(end).argmax()] < 0) for end in ends)
        return cls(through, right, up, (flips[0], flips[1]))

    def tiles(self, image: Codes) -> Codes:
        """Return an image as slices with rows from above, shape (slices, rows, columns)."""
        turned = image.transpose(self.through, self.up, self.right)
        turned = turned[:, :: (1 if self.flips[1] else -1), :: (-1 if self.flips[0] else 1)]
        return np.ascontiguousarray(turned)

    def spacing(self, affine: FloatArray) -> tuple[float, float]:
        """Return mm between rows and between columns."""
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        return float(spacing[self.up]), float(spacing[self.right])

    def middle(self, film: Codes, n_slices: int) -> int:
        """Return the slice that moves most, away from the ends."""
        moving = film.std(axis=0).mean(axis=(min(self.right, self.up), max(self.right, self.up)))
        inner = moving[1:-1] if n_slices > 2 else moving
        return int(inner.argmax()) + (1 if n_slices > 2 else 0)


def sheet(tiles: NDArray[np.uint8], palette: bytes | None = None) -> str:
    """Return a film in the form (n_frames, slices, rows, columns) as a PNG image in base64.

    A column of tiles per frame, a row per slice.
    """
    from PIL import Image

    n_frames, n_slices, rows, columns = tiles.shape
    picture = Image.fromarray(tiles.transpose(1, 2, 0, 3).reshape(n_slices * rows, n_frames * columns))
    if palette is not None:
        picture = Image.fromarray(np.asarray(picture), mode="P")
        picture.putpalette(palette)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=palette is None)  # which would drop colours without use
    return base64.b64encode(buffer.getvalue()).decode()


def _numbers(values: FloatArray) -> list[float | None]:
    return [round(float(value), 2) if np.isfinite(value) else None for value in values]


def _gradient(stops: Sequence[Any]) -> str:
    return ", ".join("#" + "".join(f"{round(255 * part):02x}" for part in stop[:3]) for stop in stops)
