"""Images in three planes with linked colour bars, and how the regions of the brain change."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nextscan.report.figures.style import FAINT, INK, SOFT, WIDTH, Look, diverging, new_figure, quiet, styled
from nextscan.report.volumes.grid import Grid, Image, grid_of, inside_head
from nextscan.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

IMAGE, SD, CHANGE = "image", "sd", "change"
PLANES = ("axial", "coronal", "sagittal")
_ACROSS = {"axial": 2, "coronal": 1, "sagittal": 0}  # the axis a plane lies across
_AXIS_NAMES = "xyz"
_TITLES = {IMAGE: "intensity", SD: "standard deviation of the draws", CHANGE: "follow-up less source"}


@dataclass(frozen=True)
class Scales:
    """The three colour scales that all images of a subject share, in native intensities.

    Attributes
    ----------
    low, high : float
        Black and white of the images.
    change : float
        A change this large, up or down, has the strongest colour; real and predicted alike.
    sd : float
        The spread with the lightest colour; 0 where there is no spread to show.
    """

    low: float
    high: float
    change: float
    sd: float

    def limits(self, kind: str) -> tuple[float, float]:
        """Return the ends of the scale of "image", "sd" or "change"."""
        return {IMAGE: (self.low, self.high), SD: (0.0, self.sd), CHANGE: (-self.change, self.change)}[kind]


def scales_of(images: Sequence[Image], changes: Sequence[Image], sds: Sequence[Image]) -> Scales:
    """Return scales that hold 99% and more of the values inside the head of the first image.

    Changes share one scale, whose end is the largest 99.5% quantile among them.
    """
    head = inside_head(images[0])
    head = head if head.any() else np.ones(head.shape, bool)
    low = float(min(image.min() for image in images))
    high = float(np.quantile(images[0][head], 0.995))
    change = max((float(np.quantile(np.abs(image[head]), 0.995)) for image in changes), default=0.0)
    sd = max((float(np.quantile(image[head], 0.995)) for image in sds), default=0.0)
    return Scales(low, high if high > low else low + 1.0, change or 0.01 * (high - low) or 1.0, sd)


@dataclass(frozen=True, eq=False)
class Tile:
    """One image of a figure: its title, upright values, and the scale it is drawn in."""

    title: str
    image: Image
    kind: str


@cache
def colours(kind: str) -> Colormap:
    """Return the colour map of "image", "sd" or "change"."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    if kind != CHANGE:
        return matplotlib.colormaps["magma" if kind == SD else "gray"]
    sides = diverging()(np.arange(256))
    return ListedColormap([*sides[:128], (1.0, 1.0, 1.0, 1.0), *sides[128:]], name="nextscan-change")  # 0 is white


def plane_of(image: NDArray[Any], plane: str, point: Sequence[int]) -> NDArray[Any]:
    """Return the slice through a voxel, rows from below (or behind) upwards, left of the head on the left."""
    across = _ACROSS[plane]
    taken: NDArray[Any] = np.take(image, point[across], axis=across)
    return taken.T


def slice_name(grid: Grid, plane: str, point: Sequence[int]) -> str:
    """Name a slice by its place, such as "z = −12 mm"."""
    across = _ACROSS[plane]
    return f"{_AXIS_NAMES[across]} = {number(float(grid.world(point)[across]), 0)} mm"


def three_planes(image: ArrayLike, affine: ArrayLike, *, point: Sequence[int] | None = None, height: int = 160) -> str:
    """Return axial, coronal and sagittal slices of one image side by side, as a grey PNG in base64.

    Parameters
    ----------
    image : array of float, shape (x, y, z)
        Any orientation and spacing; drawn upright, in mm, left of the head on the left.
    affine : array, shape (4, 4)
        Voxel to mm.
    point : sequence of int, length 3, optional
        The voxel of the upright, cropped image the slices go through; its middle if not given.
    height : int
        Pixels of the tallest slice.
    """
    from PIL import Image as Picture

    values = np.asarray(image, np.float32)
    grid = grid_of(values, affine)
    upright = grid.apply(values)
    low, high = (float(end) for end in np.quantile(upright, [0.005, 0.995]))
    codes = np.clip((upright - low) / (high - low or 1.0) * 255, 0, 255).astype(np.uint8)
    middle = tuple(length // 2 for length in codes.shape) if point is None else tuple(point)
    extent = grid.spacing * codes.shape
    scale = height / max(extent[1], extent[2])
    tiles = []
    for plane in PLANES:
        across = _ACROSS[plane]
        wide, tall = (extent[axis] for axis in range(3) if axis != across)
        size = (max(1, round(wide * scale)), max(1, round(tall * scale)))
        tile = Picture.fromarray(plane_of(codes, plane, middle)[::-1])
        tiles.append(tile.resize(size, Picture.Resampling.BICUBIC))
    sheet = Picture.new("L", (sum(tile.width for tile in tiles) + 4 * (len(tiles) - 1), height))
    at = 0
    for tile in tiles:
        sheet.paste(tile, (at, (height - tile.height) // 2))
        at += tile.width + 4
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def planes_figure(
    tiles: Sequence[Tile],
    *,
    grid: Grid,
    point: Sequence[int],
    scales: Scales,
    planes: Sequence[str] = PLANES,
    width: float = WIDTH,
    upright: bool = False,
    lines: bool = True,
    outline: NDArray[np.bool_] | None = None,
) -> Figure:
    """Draw images side by side in several planes, with one colour bar for each scale in use.

    A column per image and a row per plane; `upright` swaps them, for narrow pages. All slices go
    through one point, which thin `lines` mark in the first image.

    Parameters
    ----------
    tiles : sequence of Tile
        Images of one kind stand together, as they share a bar below them.
    grid : Grid
        Of the tiles.
    point : sequence of int, length 3
    scales : Scales
    outline : ndarray of bool, shape of the tiles, optional
        What to draw the outline of over changes, so that they have a place.
    """
    extent = grid.spacing * tiles[0].image.shape
    size = {plane: [float(extent[axis]) for axis in range(3) if axis != _ACROSS[plane]] for plane in planes}
    left, top, gap, bar = (0.74, 0.36, 0.05, 0.62) if not upright else (0.05, 0.05, 0.05, 0.62)
    head = 0.24 if upright else 0.0  # each row of an upright figure has its title above it
    n_columns = len(planes) if upright else len(tiles)
    room = width - left - 0.02 - gap * (n_columns - 1)
    if upright:
        scale = room / sum(size[plane][0] for plane in planes)
        widths = [size[plane][0] * scale for plane in planes]
        heights = [max(size[plane][1] for plane in planes) * scale] * len(tiles)
        top += 0.24
    else:
        widest = max(size[plane][0] for plane in planes)
        scale = min(room / len(tiles), 2.1) / widest
        widths = [widest * scale] * len(tiles)
        heights = [size[plane][1] * scale for plane in planes]
    tall = top + sum(heights) + (gap + head) * len(heights) + bar
    with styled():
        figure = new_figure(tall, width=width)
        figure.set_layout_engine("none")
        y = tall - top
        for r, row_height in enumerate(heights):
            y -= row_height + head
            x = left
            for c, column_width in enumerate(widths):
                tile, plane = (tiles[r], planes[c]) if upright else (tiles[c], planes[r])
                axes = figure.add_axes((x / width, y / tall, column_width / width, row_height / tall))
                _slice(axes, tile, plane, grid=grid, point=point, scales=scales, lines=lines and tile is tiles[0])
                if outline is not None and tile.kind == CHANGE:
                    _outline(axes, plane_of(outline, plane, point))
                if not upright:
                    _centre(axes, column_width / scale)
                middle = (x + column_width / 2) / width
                if upright and r == 0:
                    text = f"{plane}, {slice_name(grid, plane, point)}"
                    figure.text(middle, 1 - 0.04 / tall, text, fontsize=7.5, color=SOFT, ha="center", va="top")
                elif not upright and r == 0:
                    bottom = 1 - (top - 0.05) / tall
                    figure.text(middle, bottom, tile.title, fontsize=8.5, weight="bold", ha="center", va="bottom")
                x += column_width + gap
            edge = (y + row_height) / tall
            if upright:
                at = (left / width, edge + 0.04 / tall)
                figure.text(*at, tiles[r].title, fontsize=8.5, weight="bold", va="bottom")
            else:
                told = f"{planes[r]}\n{slice_name(grid, planes[r], point)}"
                figure.text(0, (y + row_height / 2) / tall, told, fontsize=8, color=SOFT, va="center")
            y -= gap
        _bars(figure, tiles, scales, left=left, step=0.0 if upright else widths[0] + gap, width=width, tall=tall)
    return figure


def _slice(
    axes: Axes, tile: Tile, plane: str, *, grid: Grid, point: Sequence[int], scales: Scales, lines: bool
) -> None:
    low, high = scales.limits(tile.kind)
    values = plane_of(tile.image, plane, point)
    kept = [axis for axis in range(3) if axis != _ACROSS[plane]]
    wide, tall = (float(grid.spacing[axis]) * tile.image.shape[axis] for axis in kept)
    axes.imshow(
        values,
        origin="lower",
        cmap=colours(tile.kind),
        vmin=low,
        vmax=high if high > low else low + 1,
        extent=(0, wide, 0, tall),
        interpolation="none",
        aspect="equal",
    )
    axes.set_facecolor(colours(tile.kind)(0.5 if tile.kind == CHANGE else 0.0))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_anchor("C")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if lines:
        x, y = ((point[axis] + 0.5) * float(grid.spacing[axis]) for axis in kept)
        axes.axvline(x, color="white", lw=0.5, alpha=0.55)
        axes.axhline(y, color="white", lw=0.5, alpha=0.55)
    if plane != "sagittal" and lines:
        axes.text(0.03, 0.96, "L", transform=axes.transAxes, color="white", fontsize=7, va="top")


def _outline(axes: Axes, marked: NDArray[np.bool_]) -> None:
    from matplotlib.colors import ListedColormap
    from scipy.ndimage import binary_erosion, binary_fill_holes, binary_opening

    filled = binary_fill_holes(binary_opening(marked))  # without the specks of noise
    edge = filled & ~binary_erosion(filled)
    axes.imshow(
        np.where(edge, 0.0, np.nan),
        origin="lower",
        cmap=ListedColormap([(0.6, 0.62, 0.66, 0.75)]),
        extent=(*axes.get_xlim(), *axes.get_ylim()),
        interpolation="none",
        aspect="equal",
    )


def _centre(axes: Axes, wide: float) -> None:
    """Show the image in the middle of a box of a width in mm, so that a column's boxes are alike."""
    low, high = axes.get_xlim()
    axes.set_xlim((low + high - wide) / 2, (low + high + wide) / 2)


def _bars(
    figure: Figure, tiles: Sequence[Tile], scales: Scales, *, left: float, step: float, width: float, tall: float
) -> None:
    """Draw one bar per kind: below the columns that use it, or side by side where `step` is 0."""
    kinds = list(dict.fromkeys(tile.kind for tile in tiles))
    third = (width - left) / len(kinds)
    for k, kind in enumerate(kinds):
        columns = [i for i, tile in enumerate(tiles) if tile.kind == kind]
        if step:
            start, length = left + columns[0] * step, len(columns) * step - 0.05
        else:
            start, length = left + k * third, third - 0.15
        used = min(length - 0.1, 2.6)
        axes = figure.add_axes(((start + (length - used) / 2) / width, 0.42 / tall, used / width, 0.1 / tall))
        low, high = scales.limits(kind)
        axes.imshow(np.linspace(0, 1, 128)[None], aspect="auto", cmap=colours(kind), extent=(low, high or 1, 0, 1))
        axes.set_yticks([])
        ticks = [low, 0.0, high] if kind == CHANGE else [low, high]
        axes.set_xticks(ticks, [_signed(tick, kind) for tick in ticks])
        axes.tick_params(labelsize=7.5, length=2, pad=2)
        labels = axes.get_xticklabels()
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")
        axes.set_xlabel(_TITLES[kind] if used > 1.9 else _TITLES[kind].replace("standard deviation", "sd"), fontsize=8)
        for spine in axes.spines.values():
            spine.set_linewidth(0.4)
            spine.set_color(FAINT)


def _signed(value: float, kind: str) -> str:
    return ("+" if kind == CHANGE and value > 0 else "") + number(value, None if value else 0)


def region_changes(
    regions: Sequence[str],
    change: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    looks: Mapping[str, Look],
    label: str,
    width: float = WIDTH,
) -> Figure:
    """Draw the mean change of each region as bars: the real one, and below it each method's.

    Parameters
    ----------
    regions : sequence of str, length n
    change : mapping of title to (mean, half width of its interval), each of shape (n,)
        The first is the real change.
    looks : mapping of title to Look
    label : str
        Of the axis of change.
    """
    titles = list(change)
    step = 1.0 / (len(titles) + 0.9)
    with styled():
        figure = new_figure(0.9 + len(regions) * (0.16 * len(titles) + 0.14), width=width)
        axes = figure.subplots()
        axes.axvline(0, color=INK, lw=0.8)
        for k, title in enumerate(titles):
            mean, half = (np.asarray(values, float) for values in change[title])
            y = np.arange(len(regions)) + (k - (len(titles) - 1) / 2) * step
            look = looks[title]
            filled = k == 0
            axes.barh(
                y,
                mean,
                height=0.86 * step,
                color=look.colour,
                alpha=1.0 if filled else 0.45,
                label=title,
                linewidth=0,
            )
            axes.errorbar(mean, y, xerr=half, fmt="none", ecolor=FAINT if filled else look.colour, elinewidth=1.1)
            if not filled:
                axes.plot(mean, y, look.marker, color=look.colour, ms=3.6, mec="white", mew=0.4)
        axes.set_yticks(range(len(regions)), regions)
        axes.set_ylim(len(regions) - 0.5, -0.5)
        axes.tick_params(axis="y", labelsize=9, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
        quiet(axes, grid="x")
        for row in range(1, len(regions)):
            axes.axhline(row - 0.5, color="#eceef0", lw=0.7, zorder=0)
        columns = max(1, min(len(titles), int(width / 1.7)))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=columns, handlelength=1.2)
    return figure
