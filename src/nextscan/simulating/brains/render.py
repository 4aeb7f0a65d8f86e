"""Pictures of simulated heads: what share of each voxel is which tissue, images, label maps, exact volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.simulating.brains.anatomy import Anatomy, Tube, build
from nextscan.simulating.brains.fields import Field, coverage
from nextscan.simulating.brains.law import SIZES

FIELD_OF_VIEW = (160.0, 200.0, 160.0)
"""Extent of every image in mm, whatever its shape: right, forward, up."""

# a label of the label map, its colour, and its brightness in a T1-weighted image, white matter being 1
TISSUES: dict[str, tuple[str, float]] = {
    "background": ("#000000", 0.0),
    "csf": ("#1f4e79", 0.20),
    "ventricles": ("#4fb3ff", 0.17),
    "cortical_grey_matter": ("#c46a77", 0.62),
    "white_matter": ("#f2f0e6", 1.0),
    "left_hippocampus": ("#f2c14e", 0.64),
    "right_hippocampus": ("#f78154", 0.64),
    "deep_grey_matter": ("#8e6c8a", 0.72),
    "cerebellar_grey_matter": ("#d9a5b3", 0.62),
    "cerebellar_white_matter": ("#d6d2c4", 0.96),
    "brain_stem": ("#9bc1bc", 0.93),
    "skull": ("#6b6b6b", 0.07),
    "soft_tissue": ("#5d4037", 0.45),
    "fat": ("#ffe9a8", 0.95),
}
BRAIN = tuple(TISSUES)[1:11]
"""The tissues of the cavity, from fluid to brain stem."""
REGIONS: dict[str, tuple[str, ...]] = {
    "ventricles": ("ventricles",),
    "left_hippocampus": ("left_hippocampus",),
    "right_hippocampus": ("right_hippocampus",),
    "grey_matter": ("cortical_grey_matter", "deep_grey_matter", "cerebellar_grey_matter"),
    "white_matter": ("white_matter", "cerebellar_white_matter", "brain_stem"),
}
"""The regions whose volumes are scored, disjoint, and the tissues of each."""
_MARROW, _EYE, _LENS, _AIR = 0.33, 0.22, 0.5, 0.02

_FINE = 2.5  # mm; voxels are averages of cells no larger than this
_THIN = 1.25  # mm, the sharpest edge
_CORTEX = 2.6  # mm, thickness of the cortex at log size 0
_WHITE = 3.9  # mm its white face moves per unit of log size: volume over surface
_BED = 0.25  # log size of the place a hippocampus lies in; what it loses fills with fluid
_REACH = 8.0  # mm a ventricle or a hippocampus may grow


def affine_of(shape: tuple[int, int, int]) -> FloatArray:
    """Return the affine of images of a shape: axes right, forward, up, and 0 in the middle."""
    spacing = np.array(FIELD_OF_VIEW) / shape
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * (np.array(shape) - 1) / 2
    return affine


@dataclass(frozen=True, eq=False)
class Head:
    """A person's head on a grid, ready to be rendered at any sizes.

    Attributes
    ----------
    shape : tuple of int
    anatomy : Anatomy
        At the cells, of which each voxel holds a whole number.
    cells : tuple of int
        Cells per voxel along each axis.
    """

    shape: tuple[int, int, int]
    anatomy: Anatomy
    cells: tuple[int, int, int]

    @classmethod
    def of(cls, normals: FloatArray, head_size: float, shape: tuple[int, int, int]) -> Head:
        """Lay out a person's head; see `nextscan.simulating.brains.anatomy.build`."""
        spacing = np.array(FIELD_OF_VIEW) / shape
        cells = np.maximum(np.ceil(spacing / _FINE - 1e-6).astype(int), 1)
        axes = [
            ((np.arange(n) + 0.5) / n - 0.5) * extent for n, extent in zip(cells * shape, FIELD_OF_VIEW, strict=True)
        ]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), dtype=np.float32).reshape(3, -1)
        return cls(shape, build(normals, head_size, points), (int(cells[0]), int(cells[1]), int(cells[2])))

    @property
    def cell_volume(self) -> float:
        """Volume of a cell in mm³."""
        return float(np.prod(FIELD_OF_VIEW) / np.prod(self.shape) / np.prod(self.cells))

    @cached_property
    def _edge(self) -> float:
        return max(_THIN, float(np.cbrt(self.cell_volume)))

    def _cover(self, distance: Field) -> Field:
        return coverage(distance, self._edge)

    @cached_property
    def _outside(self) -> tuple[dict[str, Field], Field]:
        """Return the shares of tissues outside the brain, and the image of it, of all cells."""
        cover = {name: self._cover(distance) for name, distance in self.anatomy.shell.items()}
        skull = cover["skull"] - cover["cavity"]
        around = np.maximum(cover["head"] - cover["skull"], 0)
        fat = np.minimum(np.maximum(cover["fat"] - cover["muscle"], 0), around)
        soft = around - fat
        marrow = np.minimum(cover["marrow"], skull)
        image = TISSUES["skull"][1] * skull + _MARROW * marrow + TISSUES["fat"][1] * fat
        image += TISSUES["soft_tissue"][1] * soft
        for part, brightness in (("eyes", _EYE), ("lenses", _LENS), ("airways", _AIR)):
            share = cover[part] * around
            image += share * (np.float32(brightness) - image)
        return {"skull": skull, "soft_tissue": soft, "fat": fat}, image.astype(np.float32)

    @cached_property
    def _fixed(self) -> dict[str, Field]:
        """Return what fills the cavity around the cerebrum and within it, as shares, near the brain."""
        cover = {name: self._cover(distance) for name, distance in self.anatomy.solid.items()}
        stem, cerebellum = cover["stem"], cover["cerebellum"] * (1 - cover["stem"])
        arbor = np.minimum(cover["arbor"] * (1 - stem), cerebellum)
        return {
            "cavity": self._cover(self.anatomy.shell["cavity"][self.anatomy.near]),
            "brain_stem": stem,
            "cerebellar_grey_matter": cerebellum - arbor,
            "cerebellar_white_matter": arbor,
            "csf": 1 - stem - cerebellum,
            "deep": cover["deep"],
            "fourth": cover["fourth"],
        }

    @cached_property
    def _tubes(self) -> dict[str, tuple[NDArray[np.intp], Tube]]:
        """Return the cells that ventricles and hippocampi can ever reach, and the tubes there."""
        parts = {
            "ventricles": self.anatomy.ventricles,
            "left_hippocampus": self.anatomy.left,
            "right_hippocampus": self.anatomy.right,
        }
        return {name: (tube.within(_REACH), tube.near(_REACH)) for name, tube in parts.items()}

    def shares(self, sizes: FloatArray) -> dict[str, Field]:
        """Return the share of each brain tissue in the cells near the brain; with bone they sum to 1.

        Parameters
        ----------
        sizes : ndarray of float, shape (5,)
            Log sizes in the order of `SIZES`.
        """
        of = dict(zip(SIZES, sizes, strict=True))
        fixed, edge = self._fixed, self.anatomy.cortex
        cavity = fixed["cavity"]
        white_face = edge + np.float32(_CORTEX - _WHITE * of["white_matter"])
        white = np.minimum(self._cover(white_face), cavity)
        cerebrum = np.minimum(self._cover(white_face - np.float32(_CORTEX * np.exp(of["cortex"]))), cavity)
        around = cavity - cerebrum
        result = {name: around * fixed[name] for name in BRAIN if name in fixed}
        result["deep_grey_matter"] = fixed["deep"] * white
        result["white_matter"] = white - result["deep_grey_matter"]
        result["cortical_grey_matter"] = cerebrum - white
        for name in ("ventricles", "left_hippocampus", "right_hippocampus"):
            result[name] = np.zeros_like(cavity)
        everywhere = np.arange(len(cavity))
        _fill(result, everywhere[fixed["fourth"] > 0], fixed["fourth"][fixed["fourth"] > 0], "ventricles")
        cells, tube = self._tubes["ventricles"]
        _fill(result, cells, self._cover(tube.at(of["ventricles"])), "ventricles")
        for name in ("left_hippocampus", "right_hippocampus"):
            cells, tube = self._tubes[name]
            inside = self._cover(tube.at(of[name]))
            _fill(result, cells, np.maximum(self._cover(tube.at(_BED)), inside), "csf")
            result["csf"][cells] -= inside
            result[name][cells] += inside
        return result

    def image(self, sizes: FloatArray) -> NDArray[np.float32]:
        """Return the image without noise and bias, white matter being 1, shape `shape`."""
        cells = self._outside[1].copy()
        for name, share in self.shares(sizes).items():
            cells[self.anatomy.near] += np.float32(TISSUES[name][1]) * share
        return self._voxels(cells)

    def volumes(self, sizes: FloatArray) -> dict[str, float]:
        """Return the volume of each of `REGIONS` in mm³: sums of shares, no counts of voxels."""
        of = {name: float(share.sum(dtype=np.float64)) * self.cell_volume for name, share in self.shares(sizes).items()}
        return {region: sum(of[name] for name in tissues) for region, tissues in REGIONS.items()}

    def label_map(self, sizes: FloatArray) -> NDArray[np.uint8]:
        """Return the tissue that fills most of each voxel, numbered as in `TISSUES`, shape `shape`."""
        shares: dict[str, Field] = dict(self._outside[0])
        for name, share in self.shares(sizes).items():
            shares[name] = np.zeros(len(self._outside[1]), np.float32)
            shares[name][self.anatomy.near] = share
        most = np.zeros(self.shape, np.uint8)
        best = 1 - self._voxels(np.sum(list(shares.values()), axis=0))
        for number, name in enumerate(TISSUES):
            if name in shares:
                share = self._voxels(shares[name])
                most[share > best] = number
                best = np.maximum(best, share)
        return most

    def _voxels(self, values: Field) -> NDArray[np.float32]:
        """Average cells over voxels."""
        averaged: NDArray[np.float32] = values.reshape([n * m for n, m in zip(self.shape, self.cells, strict=True)])
        for axis, m in reversed(list(enumerate(self.cells))):  # slices are quicker to add than small axes to reduce
            front = (slice(None),) * axis
            first, *others = (averaged[(*front, slice(k, None, m))] for k in range(m))
            averaged = np.divide(sum(others, first), np.float32(m))
        return averaged


def _fill(shares: Mapping[str, Field], cells: NDArray[np.intp], share: Field, name: str) -> None:
    """Put a tissue in the place of all others, by share."""
    keep = 1 - share
    for other in shares.values():
        other[cells] *= keep
    shares[name][cells] += share
