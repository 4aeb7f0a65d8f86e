"""Pictures of simulated hearts: images and label maps of frames, and where on the grid a heart lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.errors import SettingError
from nextscan.simulating.hearts.beat import Beat, trait
from nextscan.simulating.hearts.chest import chest
from nextscan.simulating.hearts.form import Form

FIELD_OF_VIEW = (180.0, 180.0, 140.0)
"""Extent of images in mm unless a spacing is given: the largest heart fits."""
LABELS = {"background": 0, "rv": 1, "myocardium": 2, "lv": 3}
"""As in ACDC."""
TISSUES = ("lv", "myocardium", "rv")
"""From within."""

_FINE = (2.9, 3.0)  # mm; voxels are averages of cells no larger than this, in a slice and across slices
_SECTOR = 0.6  # radians: spread of the sector that contracts less
_THIN = 0.35  # by how much its wall is thinner where all contraction is lost
_CRESCENT, _BLUNT = 1.6, 0.6  # half the angle the right chamber spans, and the power of its shape
_RV_HEIGHT = 0.88  # of the left chamber
_FREE_WALL = 2.5  # mm, of the right chamber
_ATRIUM = 0.85  # of the heart's girth
_LEAST = 0.02  # of the mean square of a radius, in the direction that contracts most
_NEARER = np.float32(1e-5)  # share of a voxel that a mm counts for where shares are equal
_FAR = 1e3  # mm, above any base
_ANGLES = np.linspace(0, 2 * np.pi, 1440, endpoint=False)

Cells = NDArray[np.float32]


def _times(sizes: Sequence[float]) -> str:
    return "×".join(f"{size:g}" for size in sizes)


def affine_of(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> FloatArray:
    """Return the affine of images: 0 mm in the middle; slices follow each other from the apex to the base."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.array(spacing) * (np.array(shape) - 1) / 2
    return affine


def _sector(angle: NDArray[Any], middle: float) -> NDArray[Any]:
    away = np.mod(angle - middle + np.pi, 2 * np.pi) - np.pi
    return np.asarray(np.exp(-0.5 * (away / _SECTOR) ** 2))


def _crescent(angle: NDArray[Any], middle: float) -> NDArray[Any]:
    away = np.mod(angle - middle + np.pi, 2 * np.pi) - np.pi
    width = np.cos(np.clip(away * (np.pi / 2 / _CRESCENT), -np.pi / 2, np.pi / 2))
    return np.asarray(np.maximum(width, 0) ** _BLUNT)


_MEAN_SECTOR = float(_sector(_ANGLES, np.pi).mean())
_MEAN_CRESCENT = float(_crescent(_ANGLES, np.pi).mean())


@dataclass(frozen=True, eq=False)
class Profile:
    """Squares of radii at some heights, mean over directions, and how much of each height lies below the base.

    Attributes
    ----------
    inner, wall, right : ndarray of float32, shape (n_times, n_heights)
        Of the left chamber; what the wall and the right chamber add to it; mm².
    below : ndarray of float32, shape (n_times, n_heights)
        Share of the height below the base of the heart.
    emptied : ndarray of float, shape (n_times,)
        How much larger slices of the left chamber were at end-diastole, as a share of what they are: over all
        directions the same but for the ill sector.
    """

    inner: Cells
    wall: Cells
    right: Cells
    below: Cells
    emptied: FloatArray

    @classmethod
    def of(cls, beat: Beat, form: Form, z: FloatArray, step: float) -> Profile:
        """Compute profiles of one heart, or of many at one time each: half ellipsoids, cut at the base.

        The outer one holds chamber and muscle, whose volume stays: so the wall thickens as the chamber empties. The
        apex stands still, the base moves down.

        Parameters
        ----------
        beat : Beat
            Its hearts times its times are the times here.
        form : Form
        z : ndarray of float, shape (n_heights,)
            mm.
        step : float
            Between heights, mm.
        """
        lv, length, rv = (np.reshape(values, (-1, 1)) for values in (beat.lv, beat.length, beat.rv))
        muscle = np.repeat(trait(beat.traits, "log_wall"), len(beat.times))[:, None]
        whole = length + form.cap
        depth = form.apex + whole - z
        inner = _half_ellipsoid(lv, length, depth)
        right = _half_ellipsoid(rv, _RV_HEIGHT * length, depth)
        outer = _half_ellipsoid(lv + muscle, whole, depth)
        below = np.clip(depth / step + 0.5, 0, 1)
        full = trait(beat.traits, "log_edv") / trait(beat.traits, "log_length")
        emptied = (full[:, None] * beat.length / beat.lv).reshape(-1) - 1
        parts = [part.astype(np.float32) for part in (inner, np.maximum(outer - inner, 0), right, below)]
        return cls(inner=parts[0], wall=parts[1], right=parts[2], below=parts[3], emptied=emptied)


def _half_ellipsoid(volume: FloatArray, length: FloatArray, depth: FloatArray) -> FloatArray:
    """Return squares of radii at depths below the base of a half ellipsoid, in mm²; mL and mm."""
    widest = 3 * 1000 * volume / (2 * np.pi * length)
    square: FloatArray = widest * np.clip(1 - np.maximum(depth, 0) ** 2 / length**2, 0, None)
    return square


@dataclass(frozen=True, eq=False)
class Heart:
    """A subject's heart on a grid, ready to be rendered at any state of its beat.

    Attributes
    ----------
    form : Form
    traits : ndarray of float, shape (n_traits,)
        The true ones: the chest around the heart is made for them.
    shape, spacing : tuple of three
        Of the images; mm.
    shifts : ndarray of float, shape (n_slices, 2)
        How far each slice lies off its place, mm: slices are seen in breath-holds of their own.
    """

    form: Form
    traits: FloatArray
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    shifts: FloatArray

    @cached_property
    def _cells(self) -> tuple[int, int, int]:
        """Cells per voxel, in the order of the images."""
        limits = (_FINE[0], _FINE[0], _FINE[1])
        n = [max(int(np.ceil(size / limit - 1e-6)), 1) for size, limit in zip(self.spacing, limits, strict=True)]
        return (n[0], n[1], n[2])

    @cached_property
    def _axes(self) -> list[FloatArray]:
        return [
            ((np.arange(n * m) + 0.5) / m - n / 2) * size
            for n, m, size in zip(self.shape, self._cells, self.spacing, strict=True)
        ]

    @cached_property
    def _width(self) -> float:
        """Width of a cell in a slice, mm."""
        return float(np.sqrt(np.prod([self.spacing[i] / self._cells[i] for i in range(2)])))

    @cached_property
    def _polar(self) -> tuple[Cells, Cells]:
        """Return distance from the axis of the left chamber and direction, shape (z, y, x) in cells."""
        x, y, z = self._axes
        moved = np.repeat(self.shifts, self._cells[2], axis=0)
        height = z - self.form.apex - (float(trait(self.traits, "log_length")) + self.form.cap) / 2
        across = (x - (self.form.centre[0] + self.form.tilt[0] * height + moved[:, 0])[:, None]) * self.form.stretch
        up = (y - (self.form.centre[1] + self.form.tilt[1] * height + moved[:, 1])[:, None]) / self.form.stretch
        across, up = across[:, None, :].astype(np.float32), up[:, :, None].astype(np.float32)
        return np.hypot(across, up), np.arctan2(up, across)

    @cached_property
    def _ways(self) -> tuple[Cells, Cells, Cells]:
        """Return, by direction, contraction, thickness of the wall and width of the right chamber; each has mean 1."""
        form, (_, angle) = self.form, self._polar
        ill = _sector(angle, form.ill) - _MEAN_SECTOR
        contraction = 1 - form.loss * ill / (1 - form.loss * _MEAN_SECTOR)
        thickness = 1 + form.asymmetry * np.cos(angle - form.septum) - _THIN * form.loss * ill
        crescent = _crescent(angle, form.septum) / _MEAN_CRESCENT
        return contraction.astype(np.float32), thickness.astype(np.float32), crescent.astype(np.float32)

    @cached_property
    def _chest(self) -> tuple[Cells, Cells]:
        """Return the chest without a heart, and with blood in the atria at all heights, in cells."""
        x, y, z = (axis.astype(np.float32) for axis in self._axes)
        below = chest(self.form, x, y[:, None], z[:, None, None])
        start = Profile.of(Beat.of(self.traits[None], 0.0), self.form, np.array([_FAR]), 1.0)
        radius: Cells = np.float32(_ATRIUM) * np.sqrt(start.inner + start.wall + start.right * self._ways[2])
        light, above = self.form.brightness, below.copy()
        for edge, brightness in ((_FREE_WALL, light["muscle"]), (0.0, light["blood"])):
            above += self._cover(radius + np.float32(edge)) * (np.float32(brightness) - above)
        return below, above

    def _cover(self, radius: Cells, window: tuple[slice, ...] = ()) -> Cells:
        """Return the share of each cell that lies within a radius, exact for a straight edge; none of a radius of 0."""
        share: Cells = (radius - self._polar[0][window]) * np.float32(1 / self._width)
        share += np.minimum(radius * np.float32(1 / self._width), np.float32(0.5))
        return np.clip(share, 0, 1, out=share)

    def frames(self, beat: Beat) -> NDArray[np.float32]:
        """Render frames without noise, shape (*shape, n_frames).

        Parameters
        ----------
        beat : Beat
            One heart at many times, or many hearts: the times of each in turn.
        """
        return self._render(beat, labelled=False)[0]

    def labelled_frames(self, beat: Beat) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Render frames, and label maps of the same shape, see `LABELS`.

        A tissue has as many voxels as its volume fills, to half a voxel: those that it and what lies within it fill
        most, and where that is the same, as in a slice that holds part of the base, those nearest to the middle.
        """
        images, shares = self._render(beat, labelled=True)
        filled = np.round(np.cumsum(self.true_volumes(beat), axis=1) * 1000 / np.prod(self.spacing)).astype(int)
        labels = np.zeros(images.shape, np.uint8)
        far = self._voxels(self._polar[0])
        far_of_right = far / np.sqrt(1 + self._voxels(self._ways[2]))
        within = np.cumsum(shares, axis=1) - _NEARER * np.stack([far, far, far_of_right])
        for frame, (of_tissue, wanted) in enumerate(zip(within, filled, strict=True)):
            flat = np.zeros(int(np.prod(self.shape)), np.uint8)
            for name, share, count in zip(TISSUES, of_tissue, wanted, strict=True):
                order = np.argpartition(-np.where(flat > 0, 2.0, share.ravel()), min(count, len(flat) - 1))[:count]
                flat[order[flat[order] == 0]] = LABELS[name]
            labels[..., frame] = flat.reshape(self.shape[::-1]).T
        return images, labels

    @staticmethod
    def true_volumes(beat: Beat) -> FloatArray:
        """Return the volumes of `TISSUES` in mL, shape (n_frames, 3)."""
        wall = np.broadcast_to(trait(beat.traits, "log_wall")[:, None], beat.lv.shape)
        return np.stack([beat.lv, wall, beat.rv], axis=-1).reshape(-1, 3)

    def check_fits(self, subject: str) -> None:
        """Refuse images that do not hold the whole heart at end-diastole, when it is largest.

        Raises
        ------
        SettingError
        """
        z, beat = self._axes[2], Beat.of(self.traits[None], 0.0)
        base = self.form.apex + float(beat.length[0, 0]) + self.form.cap
        profile = Profile.of(beat, self.form, z, self.spacing[2] / self._cells[2])
        near = (self._reach(profile) > self._polar[0])[(z > self.form.apex) & (z < base)]
        half = self.shape[2] * self.spacing[2] / 2
        if near[:, [0, -1]].any() or near[:, :, [0, -1]].any() or self.form.apex < -half or base > half:
            raise SettingError(
                f"the heart of {subject} does not fit into images of {_times(self.shape)} voxels of "
                f"{_times(self.spacing)} mm; {_times(FIELD_OF_VIEW)} mm hold every heart: give more voxels or a larger "
                "spacing, or leave the spacing out"
            )

    def volumes(self, beat: Beat) -> FloatArray:
        """Return volumes of `TISSUES` in mL as rendered, by shares of voxels, shape (n_frames, 3)."""
        shares = self._render(beat, labelled=True)[1]
        measured: FloatArray = shares.sum(axis=(2, 3, 4), dtype=np.float64) * np.prod(self.spacing) / 1000
        return measured

    def _render(self, beat: Beat, *, labelled: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return images (*shape, n_frames) and shares of voxels, (n_frames, 3, z, y, x)."""
        z = self._axes[2]
        profile = Profile.of(beat, self.form, z, self.spacing[2] / self._cells[2])
        voxels, cells = self._window(profile)
        contraction, thickness, crescent = (way[cells] for way in self._ways)
        below, above = (part[cells] for part in self._chest)
        light = {name: np.float32(value) for name, value in self.form.brightness.items()}
        still = self._voxels(self._chest[0])
        still[voxels[0].stop :] = self._voxels(self._chest[1][cells[0].stop :])
        n_frames = len(profile.inner)
        images = np.repeat(still[None], n_frames, axis=0)
        shares = np.zeros((n_frames, 3, *still.shape) if labelled else (0,), np.float32)
        for i in range(n_frames):
            inner, wall, right, under = (
                part[i, cells[0], None, None] for part in (profile.inner, profile.wall, profile.right, profile.below)
            )
            emptied = np.float32(profile.emptied[i])
            square = inner * np.maximum(1 + emptied - contraction * emptied, np.float32(_LEAST))
            chamber = self._cover(np.sqrt(square), cells)
            square += wall * thickness
            heart = self._cover(np.sqrt(square), cells)
            square += right * crescent
            radius = np.sqrt(square)
            both = self._cover(radius, cells)
            radius += np.float32(_FREE_WALL) * (radius > 0)
            whole = self._cover(radius, cells)
            image = below + whole * (light["muscle"] - below)
            image += (light["blood"] - light["muscle"]) * (both - heart + chamber)
            image -= above
            image *= under
            image += above
            images[i][voxels] = self._voxels(image)
            if labelled:
                for k, share in enumerate((chamber, heart - chamber, both - heart)):
                    shares[i, k][voxels] = self._voxels(share * under)
        return images.transpose(3, 2, 1, 0), shares

    def _window(self, profile: Profile) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the box around all that moves, in voxels and in cells."""
        near = self._polar[0] < self._reach(profile)
        heights = ((profile.below > 0) & (profile.inner + profile.wall > 0)).any(axis=0)
        found = [heights, near.any(axis=(0, 2)), near.any(axis=(0, 1))]
        voxels, cells = [], []
        for inside, m in zip(found, self._cells[::-1], strict=True):
            at = np.flatnonzero(inside)
            start, stop = int(at[0]) // m, int(at[-1]) // m + 1
            voxels.append(slice(start, stop))
            cells.append(slice(start * m, stop * m))
        return tuple(voxels), tuple(cells)

    def _reach(self, profile: Profile) -> Cells:
        """Return a distance from the axis within which all that moves lies, by direction."""
        inner = profile.inner * (1 + np.maximum(profile.emptied[:, None], 0))
        _, thickness, crescent = self._ways
        widest = inner.max() + profile.wall.max() * thickness + profile.right.max() * crescent
        reach: Cells = (np.sqrt(widest) + _FREE_WALL + self._width).astype(np.float32)
        return reach

    def _voxels(self, values: Cells) -> Cells:
        """Average cells over voxels."""
        averaged = values
        for axis, m in enumerate(self._cells[::-1]):
            front = (slice(None),) * axis
            first, *others = (averaged[(*front, slice(k, None, m))] for k in range(m))
            averaged = np.divide(sum(others, first), np.float32(m))
        return averaged
