"""Whether two images of a subject lie on each other: field of view, correlation, pose, order of axes, what was cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray
from nextscan.images.coarse import Coarse
from nextscan.images.pose import Order, Pose, PoseSearch, Stretch

LOW_CORRELATION = 0.6
"""Below this two images do not lie on each other, or show other heads or contrasts: real visits reach 0.93 at 4 mm."""

_FEWEST = 50  # voxels that a correlation needs
_AS_IT_IS: Order = (1, 2, 3)
_MIRRORS: tuple[Order, ...] = ((-1, 2, 3), (1, -2, 3), (1, 2, -3))
_ORDERS: tuple[Order, ...] = tuple(
    (x * i, y * j, z * k) for i, j, k in permutations(_AS_IT_IS) for x, y, z in product((1, -1), repeat=3)
)[1:]
_SEARCHED = 3  # orders of axes for which a pose is searched
_WAYS = (("right", "left"), ("front", "back"), ("top", "bottom"))
_MOVED = 4.5  # mm; real visits with their transforms are 0.6 apart, without them 9 to 12
_TURNED = 5.0  # degrees; 0.4 with transforms, 4 to 7 without
_BETTER = 1.5  # times less of what correlation leaves: by that a pose was one of the head, not of chance
_MIRRORED = 1.3  # the same for a mirrored head; mirrored real visits have 3.4 to 6, symmetric heads 1.0
_LEAST = 0.004  # of correlation that mirroring must bring
_REACH = 0.25  # of correlation that a mirrored image may lack before the search
_ALIKE = 0.998  # images that agree so well are not mirrored
_EXPLAINED = 0.9  # of correlation: so well heads of one contrast agree in the right pose; growing ones have 0.96
_COMPARABLE = 0.5  # the same before what was cut away is left out
_ASLANT = 0.6  # of the largest part of a direction: another one as large is named, too
_CUT = 9.0  # mm: what was cut away is thicker
_SMALLEST_CUT = (10.0, 0.01)  # ml, and share of the head


@dataclass(frozen=True)
class Agreement:
    """How two images lie on each other.

    Attributes
    ----------
    overlap : float
        Share of what the first image shows that lies within the second one's field of view.
    correlation : float
        Of intensities where either shows something and both see; NaN where they share too little.
    shift, angle : float
        How far, in mm and degrees, the second must be moved and turned for the best correlation nearby.
    scale : float
        Size of the second head there, the first one's being 1.
    still, moved : float
        The correlations of slightly smoothed intensities before and after that.
    order : tuple of three int
        What the axes of the second array are: ``(1, -2, 3)`` where only the second reversed makes them agree,
        ``(2, 1, 3)`` where the first two are swapped; ``(1, 2, 3)`` where all is well.
    stretch : tuple of three float
        Size of the second head from left to right, back to front and bottom to top, the first one's being 1; NaN
        where the pose that was found shows no head of one contrast.
    unseen, unseen_by_first : mapping of str to float
        Share of the other one's head, in that pose, that lies beyond the field of view of the second, or first, by
        where it lies (``"top"``, ``"bottom"``, ``"left"``, ``"right"``, ``"front"``, ``"back"``).
    cut, cut_from_first : mapping of str to float
        Share of the other one's head where the second, or first, holds zeros: what was removed, by where it lies.
    """

    overlap: float
    correlation: float
    shift: float
    angle: float
    scale: float
    still: float
    moved: float
    order: Order = _AS_IT_IS
    stretch: Stretch = (np.nan, np.nan, np.nan)
    unseen: Mapping[str, float] = field(default_factory=dict)
    unseen_by_first: Mapping[str, float] = field(default_factory=dict)
    cut: Mapping[str, float] = field(default_factory=dict)
    cut_from_first: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_explained(self) -> bool:
        """Tell whether the pose that was found shows one head in one contrast."""
        return self.moved >= _EXPLAINED

    @property
    def is_apart(self) -> bool:
        """Tell whether the images do not lie on each other; heads that grew may have moved a little more."""
        if not self.is_explained:
            return not self.correlation >= LOW_CORRELATION
        growth = max(self.scale, 1 / self.scale) ** 2
        gained = not 1 - self.still <= _BETTER * (1 - self.moved)  # also where nothing was shared
        return gained and (self.shift > _MOVED * growth or self.angle > _TURNED * growth)

    @property
    def is_off(self) -> bool:
        """Tell whether one of the images is misplaced, or its axes are in another order or direction."""
        return self.is_apart or self.is_rearranged

    @property
    def is_rearranged(self) -> bool:
        """Tell whether the images agree only with the axes of one in another order or direction."""
        return self.order != _AS_IT_IS


def agreement(first: Coarse, second: Coarse) -> Agreement:
    """Compare two coarse images in the space their affines lead to."""
    outside, _, _ = _found_in(first, second, np.eye(4))
    shown = first.inside
    overlap = 1 - float(outside[shown].mean()) if shown.any() else 0.0
    search, pose = _best_pose(first, second)
    order = _order(search, pose)
    lacks: tuple[dict[str, float], ...] = ({}, {}, {}, {})
    stretch: Stretch = (np.nan, np.nan, np.nan)
    if order == _AS_IT_IS and pose.correlation >= _EXPLAINED:
        stretch = search.stretch(pose)
        back = np.asarray(np.linalg.inv(pose.matrix), np.float64)
        lacks = (*_lacking(first, second, pose.matrix), *_lacking(second, first, back))
    return Agreement(
        overlap=overlap,
        correlation=_correlation(first, second),
        shift=pose.shift,
        angle=pose.angle,
        scale=pose.scale,
        still=search.as_it_is(),
        moved=pose.correlation,
        order=order,
        stretch=stretch,
        unseen=lacks[0],
        cut=lacks[1],
        unseen_by_first=lacks[2],
        cut_from_first=lacks[3],
    )


def _best_pose(first: Coarse, second: Coarse) -> tuple[PoseSearch, Pose]:
    """Search for a pose, twice where something was cut away: what one lacks must not pull the other."""
    search = PoseSearch(first, second)
    pose = search.best()
    if pose.correlation >= _COMPARABLE:
        _, blank, inside = _found_in(first, second, pose.matrix)
        removed = _blob(first.inside & blank, first) | _blob(first.blank & inside, first)
        if removed.any():
            from scipy.ndimage import binary_dilation

            search = PoseSearch(first, second, binary_dilation(removed))
            pose = search.best()
    return search, pose


def _order(search: PoseSearch, pose: Pose) -> Order:
    """Return the order and direction of axes that explains the second image better.

    Heads are nearly symmetric: mirrored, a real visit correlates by 0.93 to 0.98 instead of 0.98 to 0.997. So the
    mirrored one is searched for as freely as the other, and what counts is how much of the rest it explains. Of the
    44 orders that are no mirroring some agree with anything a little: theirs must show one head in one contrast.
    """
    if pose.correlation >= _ALIKE:
        return _AS_IT_IS
    at_least = -1.0 if np.isnan(pose.correlation) else pose.correlation - _REACH
    least, best = max(LOW_CORRELATION, at_least + _REACH + _LEAST), _AS_IT_IS
    left = 1 - pose.correlation
    for order, turned in search.rearranged(_ORDERS, at_least, _SEARCHED):
        if not turned.correlation >= (least if order in _MIRRORS else max(least, _EXPLAINED)):
            continue
        if np.isnan(left) or left > _MIRRORED * (1 - turned.correlation):
            least, best = turned.correlation, order
    return best


def _found_in(first: Coarse, second: Coarse, matrix: FloatArray) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Tell of each voxel of the first whether it lies outside the second, where that is blank, and where it shows."""
    points = np.argwhere(np.ones(first.data.shape, bool))
    to_second = np.linalg.inv(second.affine) @ matrix @ first.affine
    places = points @ to_second[:3, :3].T + to_second[:3, 3]
    size = np.array(second.data.shape)
    outside = ~np.logical_and.reduce((places >= -0.5) & (places <= size - 0.5), axis=1)
    at = tuple(np.clip(np.rint(places), 0, size - 1).astype(int).T)
    shape = first.data.shape
    return (
        outside.reshape(shape),
        (second.blank[at] & ~outside).reshape(shape),
        (second.inside[at] & ~outside).reshape(shape),
    )


def _lacking(first: Coarse, second: Coarse, matrix: FloatArray) -> tuple[dict[str, float], dict[str, float]]:
    """Return what of the first image's head the second does not see, and what was cut away from it."""
    head = np.argwhere(first.inside)
    if not len(head):
        return {}, {}
    to_second = np.linalg.inv(second.affine) @ matrix @ first.affine
    places = head @ to_second[:3, :3].T + to_second[:3, 3]
    unseen: dict[str, float] = {}
    for axis, n in enumerate(second.data.shape):
        world = int(np.abs(second.affine[:3, axis]).argmax())
        for beyond, sign in ((places[:, axis] > n - 0.5, 1), (places[:, axis] < -0.5, -1)):
            if beyond.any():
                unseen[_WAYS[world][int(sign * second.affine[world, axis] < 0)]] = float(beyond.mean())
    _, blank, _ = _found_in(first, second, matrix)
    removed = np.argwhere(_blob(blank & first.inside, first))
    if not len(removed):
        return unseen, {}
    return unseen, {_direction(first, removed, head): len(removed) / len(head)}


def _direction(image: Coarse, part: NDArray[np.intp], head: NDArray[np.intp]) -> str:
    """Tell where a part of a head lies, as in ``front and bottom``."""
    turn = image.affine[:3, :3]
    away = (part.mean(axis=0) - head.mean(axis=0)) @ turn.T / np.maximum((head @ turn.T).std(axis=0), 1e-9)
    named = [axis for axis in (1, 2, 0) if abs(away[axis]) > _ASLANT * np.abs(away).max()]
    return " and ".join(_WAYS[axis][int(away[axis] < 0)] for axis in named)


def _blob(mask: BoolArray, image: Coarse) -> BoolArray:
    """Keep what is thick and large of a mask."""
    from scipy.ndimage import binary_opening, label

    thick = [min(n, 2 * max(1, round(_CUT / 2 / step)) + 1) for n, step in zip(mask.shape, image.spacing, strict=True)]
    parts, n = label(binary_opening(mask, np.ones(thick)))
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    voxel = abs(float(np.linalg.det(image.affine[:3, :3]))) / 1000
    large = (sizes * voxel >= _SMALLEST_CUT[0]) & (sizes >= _SMALLEST_CUT[1] * image.inside.sum())
    large[0] = False
    kept: BoolArray = large[parts]
    return kept


def _correlation(first: Coarse, second: Coarse) -> float:
    from scipy.ndimage import map_coordinates

    points = np.argwhere(np.ones(first.data.shape, bool)).astype(float)
    to_second = np.linalg.inv(second.affine) @ first.affine
    places = points @ to_second[:3, :3].T + to_second[:3, 3]
    there = map_coordinates(second.data, places.T, order=1, mode="constant", cval=np.nan, prefilter=False)
    here = first.data.ravel()
    inside = map_coordinates(second.inside.astype(np.float32), places.T, order=0, mode="constant", cval=0.0) > 0.5
    both = np.isfinite(there) & (first.inside.ravel() | inside)
    x, y = here[both].astype(float), there[both].astype(float)
    if len(x) < _FEWEST or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
