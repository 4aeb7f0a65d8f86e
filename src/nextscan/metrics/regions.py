"""Volumes of brain regions from a T1-weighted image, by brightness and place alone.

This is no replacement for SynthSeg or FreeSurfer: it knows one brightness for fluid, grey and white matter, and
where in a head ventricles and hippocampi lie. It is quick, needs no weights, and sees change much smaller than a
voxel, as it measures shares of voxels and never decides on labels. Its levels are off by a constant part, so
compare one scan of a person with another.
"""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray

REGIONS = ("ventricles", "left_hippocampus", "right_hippocampus", "grey_matter", "white_matter")
"""The regions `segment` measures. Grey matter is that of cortex, nuclei and cerebellum, without hippocampi; white
matter includes that of cerebellum and brain stem."""

_FLUID, _GREY = 0.19, 0.63  # brightness, white matter being 1; at 5 mm hardly a voxel is either, so they are given
_CENTRE = 30.0  # mm; what is brighter than fluid and nearest to the middle of the head is the brain
_MARGIN = 6.0  # mm around bright brain where its rim and sulci are
_BRIDGE = 3.0  # mm, the thickest vessel or nerve that may seem to join brain and scalp
_JOINED = 1.4  # times as large as without thin joints: with scalp it is 1.7 or more, the brain alone up to 1.15
_SHARPEN, _COARSE = 0.6, 5.0  # how far the averaging of voxels is undone, at this spacing in mm and beyond
_EDGE = 5.0  # mm over which a place ends
_BELOW = 100.0  # mm under the top of the brain; what lies lower does not belong to its box

# of places, in mm of a brain 112 wide and 146 long: to the right, forward, up; its top is at 58
_BOX = (112.0, 146.0, -2.0, 58.0)
_HIPPOCAMPUS = np.array([(23.0, -6.0, -21.0), (25.5, -16.0, -17.0), (25.0, -26.0, -11.0), (20.0, -34.0, -3.0)])
_HIPPOCAMPUS_RADIUS = 5.5


def segment(image: NDArray[np.floating], affine: FloatArray) -> dict[str, float]:
    """Measure the volumes of brain regions.

    A voxel between fluid and grey is taken as a mixture of these two, one between grey and white as a mixture
    of those. Ventricles are the fluid in the brain's core. A hippocampus is what is brighter than fluid in
    a tube where it usually lies, in units of the brightness of grey matter above fluid, so that what it
    loses to fluid is seen in full.

    Parameters
    ----------
    image : ndarray, three dimensions
        T1-weighted: fluid dark, grey matter between, white matter bright. With or without skull.
    affine : ndarray, shape (4, 4)
        From voxel indices to mm, to the right, forward, up.

    Returns
    -------
    dict of region to float
        mm³, in the order of `REGIONS`; NaN where no brain is found.
    """
    values, spacing = _upright(np.asarray(image, np.float64), np.asarray(affine, np.float64))
    brain = _brain(values, spacing)
    if brain is None:
        return dict.fromkeys(REGIONS, float("nan"))
    bright, around = brain
    values = _even(values, bright)
    x, y, z = _places(bright, spacing)
    above = (values - _FLUID) / (_GREY - _FLUID)
    left, right = _hippocampus(-x, y, z), _hippocampus(x, y, z)
    fluid, white = _mixtures(_sharpened(values, spacing))
    shares = (
        _core(x, y, z) * _mixtures(values)[0],
        left * above,
        right * above,
        around * (1 - fluid - white) * (1 - left - right),
        around * white,
    )
    return {name: float(share.sum() * spacing.prod()) for name, share in zip(REGIONS, shares, strict=True)}


def _upright(image: FloatArray, affine: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Turn the axes of an image to the right, forward and up, as near as they come; return it and its spacing."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    direction = affine[:3, :3] / spacing
    order = max(permutations(range(3)), key=lambda p: sum(abs(direction[i, p[i]]) for i in range(3)))
    turned = np.transpose(image, order)
    backward = tuple(i for i in range(3) if direction[i, order[i]] < 0)
    return np.flip(turned, backward), spacing[list(order)]


def _axes(shape: tuple[int, ...], spacing: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return positions in mm from the middle of the grid, ready to broadcast."""
    x, y, z = (step * (np.arange(n) - (n - 1) / 2) for n, step in zip(shape, spacing, strict=True))
    return x[:, None, None], y[None, :, None], z[None, None, :]


def _brain(values: FloatArray, spacing: FloatArray) -> tuple[BoolArray, BoolArray] | None:
    """Find the brain: its voxels brighter than fluid, and all voxels in and around them.

    Between cortex and scalp there is dark fluid and bone, so the brain is the bright part about the middle of the
    head. Its surroundings end half way to the next bright part.
    """
    from scipy import ndimage

    positive = values[values > 0]
    if not len(positive) or values.min() == values.max():
        return None
    head = values > 0.3 * np.quantile(positive, 0.9)
    axes = _axes(values.shape, spacing)
    centre = [float((head * axis).sum() / head.sum()) for axis in axes]
    squared = sum(((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True)), np.zeros(()))
    central = np.exp(-squared / (2 * _CENTRE**2))
    candidates = values > 0.4 * np.quantile(values[central > 0.3], 0.9)
    steps = int(_BRIDGE / spacing.mean())
    bright = _most_central(ndimage.binary_erosion(candidates, iterations=steps) if steps else candidates, central)
    if bright is None:
        return None
    if not steps and (core := _most_central(ndimage.binary_erosion(candidates), central)) is not None:
        # A single voxel of noise can join brain and scalp, which makes the brain as large as the head.
        apart = ndimage.binary_dilation(core, iterations=2, mask=candidates)
        if bright.sum() > _JOINED * apart.sum():
            bright = apart
    reach = (steps + 1) * float(spacing.mean())
    if steps:  # give back what the erosion took
        bright = candidates & (ndimage.distance_transform_edt(~bright, sampling=spacing) < reach)
    distance = ndimage.distance_transform_edt(~bright, sampling=spacing)
    others = candidates & (distance > 1.5 * spacing.mean())
    around = distance < _MARGIN
    if others.any():
        around &= distance < ndimage.distance_transform_edt(~others, sampling=spacing)
    return bright, around


def _most_central(mask: BoolArray, central: FloatArray) -> BoolArray | None:
    """Return the connected part that weighs most about the middle of the head; None if there is none."""
    from scipy import ndimage

    parts, n_parts = ndimage.label(mask)
    if not n_parts:
        return None
    weight = np.bincount(parts.ravel(), weights=np.broadcast_to(central, mask.shape).ravel())
    weight[0] = 0
    most: BoolArray = parts == np.argmax(weight)
    return most


def _even(values: FloatArray, bright: BoolArray) -> FloatArray:
    """Remove a smooth bias of brightness and scale white matter to 1.

    The bias is a polynomial of second degree in position, fitted to the logarithm of white matter.
    """
    whole = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in values.shape), indexing="ij")).reshape(3, -1)
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    terms = np.stack([np.ones(values.size), *whole, *(whole[i] * whole[j] for i, j in pairs)], axis=1)
    inside = terms[bright.ravel()]
    logs = np.log(values[bright])
    residual = logs - np.median(logs)
    weights = np.zeros(terms.shape[1])
    for _ in range(8):
        top = np.quantile(residual, 0.75)
        white = np.abs(residual - top) < 0.12  # log units: noise and bias, hardly any grey
        weights = np.linalg.lstsq(inside[white], logs[white], rcond=None)[0]
        residual = logs - inside @ weights
    bias: FloatArray = (terms @ weights).reshape(values.shape)
    corrected: FloatArray = values * np.exp(-bias)
    return corrected


def _mixtures(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the shares of fluid and of white matter; the rest is grey matter."""
    return np.clip((_GREY - values) / (_GREY - _FLUID), 0, 1), np.clip((values - _GREY) / (1 - _GREY), 0, 1)


def _sharpened(values: FloatArray, spacing: FloatArray) -> FloatArray:
    """Undo part of what averaging over coarse voxels did, so that thin sulci come nearer to their brightness."""
    from scipy import ndimage

    amount = _SHARPEN * min(float(spacing.mean()) / _COARSE, 1.0)
    sharper: FloatArray = values + amount * (values - ndimage.gaussian_filter(values, 1.0))
    return sharper


def _places(bright: BoolArray, spacing: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return positions in a brain of standard size, from the box of this one."""
    axes = _axes(bright.shape, spacing)
    heights = axes[2].ravel()
    top = _extent(bright.sum(axis=(0, 1)), heights)[1]
    upper = bright[:, :, heights > top - _BELOW]
    left, right = _extent(upper.sum(axis=(1, 2)), axes[0].ravel())
    back, front = _extent(upper.sum(axis=(0, 2)), axes[1].ravel())
    wide, long, forward, high = _BOX
    across, along = wide / (right - left), long / (front - back)
    return (
        (axes[0] - (left + right) / 2) * across,
        (axes[1] - (back + front) / 2) * along + forward,
        (axes[2] - top) * (across + along) / 2 + high,
    )


def _extent(mass: NDArray[np.integer], positions: FloatArray) -> tuple[float, float]:
    """Return where a profile begins and ends, to parts of a voxel, but for 0.2 % of it at each end."""
    step = positions[1] - positions[0]
    edges = np.concatenate([positions - step / 2, positions[-1:] + step / 2])
    shares = np.concatenate([[0.0], np.cumsum(mass) / mass.sum()])
    low, high = np.interp([0.002, 0.998], shares, edges)
    return float(low), float(high)


def _between(x: FloatArray, low: float, high: float) -> FloatArray:
    """Return 1 between two limits and 0 outside, going over within `_EDGE` mm."""
    inside: FloatArray = np.clip((x - low) / _EDGE + 0.5, 0, 1) * np.clip((high - x) / _EDGE + 0.5, 0, 1)
    return inside


def _core(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Return where fluid belongs to ventricles: deep in the brain, and not in the fissure between its halves."""
    deep = _between(x, -36, 36) * _between(y, -62, 44) * _between(z, -13, 33)
    beneath_callosum = _between(z, -15, 24) * _between(y, -44, 40)
    core: FloatArray = deep * (1 - _between(x, -4, 4) * (1 - beneath_callosum))
    return core


def _hippocampus(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Return where the right hippocampus lies, 0 to 1."""
    nearest = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), np.inf)
    for start, stop in pairwise(_HIPPOCAMPUS):
        direction = stop - start
        offset = (x - start[0], y - start[1], z - start[2])
        share = sum(part * step for part, step in zip(offset, direction, strict=True)) / (direction @ direction)
        share = np.clip(share, 0, 1)
        squared = sum((part - share * step) ** 2 for part, step in zip(offset, direction, strict=True))
        nearest = np.minimum(nearest, squared)
    inside: FloatArray = np.clip((_HIPPOCAMPUS_RADIUS - np.sqrt(nearest)) / _EDGE + 0.5, 0, 1)
    return inside
