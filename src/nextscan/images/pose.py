"""How a second image must be turned, moved, scaled and its axes reordered to lie on the first, at low resolution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray
from nextscan.images.coarse import Coarse

_POINTS = 3000  # of the first image's head and what is around it
_SEEN = 0.5  # share of them that the second must show
_WIDTH = 0.7  # voxels, of the smoothing
_ROOM = 60.0  # mm from the centre at which a turn and a growth by 1/60 move a point by one mm: a head's radius
_FAR = 8.0  # mm between the centres of heads, from which a search starts with these on each other, too
_FEWEST = 50  # points that a correlation needs
_ROUNDS = 6  # of the fit of a stretch
_CUT = 4.685 * 1.4826  # median errors beyond which a point counts nothing: Tukey's biweight
_SAME_SIZE = 0.02  # of a voxel's shortest side, by which the others may differ


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the second image must be looked at so that it agrees best with the first.

    Attributes
    ----------
    correlation : float
        Of slightly smoothed intensities there; NaN if too little is shared.
    matrix : ndarray of float64, shape (4, 4)
        From mm in the space where the first lies to mm where the second does.
    shift : float
        How far, in mm, the head is moved by that, as the root of the mean square; without its change of size.
    angle : float
        How far it is turned, in degrees.
    scale : float
        Size of the second head, the first one's being 1.
    """

    correlation: float
    matrix: FloatArray
    shift: float
    angle: float
    scale: float


Order = tuple[int, int, int]
"""For each axis of an array, from 1, which of the header's axes it runs along; negative where the other way."""
Stretch = tuple[float, float, float]
"""Size of a second head from left to right, back to front and bottom to top, the first one's being 1."""


class PoseSearch:
    """Looks for the pose of a second image on a first one.

    Parameters
    ----------
    first, second : Coarse
    left_out : ndarray of bool, optional
        Voxels of the first that are not compared.
    """

    def __init__(self, first: Coarse, second: Coarse, left_out: BoolArray | None = None) -> None:
        from scipy.ndimage import binary_dilation, gaussian_filter

        around = binary_dilation(first.inside, iterations=2)
        if left_out is not None:
            around &= ~left_out
        points = np.argwhere(around)
        if len(points) > _POINTS:
            points = points[np.random.default_rng(0).permutation(len(points))[:_POINTS]]
        self._values = gaussian_filter(first.data, _WIDTH)[tuple(points.T)].astype(np.float64)
        self._centre = first.centre
        self._arms = points @ first.affine[:3, :3].T + first.affine[:3, 3] - self._centre
        self._second = second
        self._away = second.centre - self._centre
        self._to_voxels = np.asarray(np.linalg.inv(second.affine), np.float64)
        self._data: NDArray[np.float32] = gaussian_filter(second.data, _WIDTH)

    def as_it_is(self) -> float:
        """Return the correlation where the headers put the images."""
        return self._correlation(np.zeros(7), self._to_voxels)

    def best(self) -> Pose:
        """Find the pose near that of the headers, or near that with one centre."""
        starts = [np.zeros(7)]
        if np.linalg.norm(self._away) > _FAR:
            starts.append(np.r_[self._away, np.zeros(4)])
        return max((self._climb(start, self._to_voxels) for start in starts), key=_rank)

    def rearranged(self, orders: Iterable[Order], at_least: float, most: int) -> list[tuple[Order, Pose]]:
        """Find the poses of the second image with the axes of its array in another order or direction.

        Parameters
        ----------
        orders : iterable of Order
        at_least : float
            Correlation with the centres on each other from which a pose is searched for.
        most : int
            How many are searched for: those of the highest correlation there.
        """
        start = np.r_[self._away, np.zeros(4)]
        found = []
        for order in orders:
            tried = [(self._correlation(start, to_voxels), order, to_voxels) for to_voxels in self._put_right(order)]
            found += sorted((each for each in tried if each[0] >= at_least), key=lambda each: -each[0])[:1]
        found.sort(key=lambda each: -each[0])
        return [(order, self._climb(start, to_voxels)) for _, order, to_voxels in found[:most]]

    def _put_right(self, order: Order) -> Iterator[FloatArray]:
        """Return what leads to voxels once the axes are put right, about the centre of the head.

        Whoever changed the array but not its header may have moved the sizes of voxels with the axes, or not.
        """
        second = self._second
        turn = np.zeros((3, 3))
        turn[range(3), np.abs(order) - 1] = np.sign(order)
        sizes = [np.ones(3)]
        if [abs(axis) for axis in order] != [1, 2, 3] and np.ptp(second.voxel) > _SAME_SIZE * second.voxel.min():
            sizes.append(second.voxel)
        centre = self._centre + self._away
        for size in sizes:
            axes = second.affine[:3, :3] / second.spacing * size
            undo = np.eye(4)
            undo[:3, :3] = axes @ turn @ np.linalg.inv(axes)
            undo[:3, 3] = centre - undo[:3, :3] @ centre
            yield self._to_voxels @ undo

    def stretch(self, pose: Pose) -> Stretch:
        """Measure the size of the second head in three directions, from a pose on."""
        linear = self.affine(pose)[:3, :3]
        values, vectors = np.linalg.eigh(linear @ linear.T)
        x, y, z = (float(size) for size in np.diag(vectors * np.sqrt(values) @ vectors.T))
        return x, y, z

    def affine(self, pose: Pose) -> FloatArray:
        """Return the matrix of a pose, sheared and stretched where the images agree better so.

        The map is fitted to intensities by Gauss-Newton steps, and robustly: what changed does not bend it.
        """
        linear, middle = pose.matrix[:3, :3], pose.matrix[:3, :3] @ self._centre + pose.matrix[:3, 3]
        slopes = [np.asarray(part, np.float32) for part in np.gradient(self._data)]
        for _ in range(_ROUNDS):
            step = self._step(linear, middle, slopes)
            if step is None:
                return pose.matrix
            linear, middle = linear + step[:, :3], middle + step[:, 3]
        if not self._agreement(linear, middle, self._to_voxels) >= pose.correlation:
            return pose.matrix
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = linear, middle - linear @ self._centre
        return matrix

    def _step(self, linear: FloatArray, middle: FloatArray, slopes: Sequence[NDArray[np.float32]]) -> FloatArray | None:
        """Return what to add to an affine map, shape (3, 4); None if too little is shared."""
        from scipy.ndimage import map_coordinates

        places, seen = self._places(linear, middle, self._to_voxels)
        if seen is None:
            return None
        there, *slope = (
            map_coordinates(part, places[seen].T, np.float64, order=1, mode="nearest") for part in (self._data, *slopes)
        )
        ones = np.ones((len(there), 1))
        arms = np.concatenate([self._arms[seen] / _ROOM, ones], axis=1)
        turned = np.stack(slope, axis=1) @ self._to_voxels[:3, :3]
        design = np.concatenate(
            [(turned[:, :, None] * arms[:, None]).reshape(len(arms), 12), there[:, None], ones], axis=1
        )
        here, weight = self._values[seen], np.ones(len(there))
        found = np.zeros(14)
        for _ in range(2):
            found = np.linalg.lstsq(design * weight[:, None], here * weight, rcond=1e-9)[0]
            error = np.abs(here - design @ found)
            weight = np.maximum(1 - (error / max(_CUT * float(np.median(error)), 1e-12)) ** 2, 0)
        if not found[12] > 0:
            return None
        step: FloatArray = found[:12].reshape(3, 4) / found[12] / [_ROOM, _ROOM, _ROOM, 1]
        return step

    def _climb(self, start: FloatArray, to_voxels: FloatArray) -> Pose:
        from scipy.optimize import minimize

        def loss(numbers: FloatArray) -> float:
            found = self._correlation(numbers, to_voxels)
            return 1.0 if np.isnan(found) else -found

        settings = {"xtol": 0.1, "ftol": 1e-4, "maxiter": 12, "maxfev": 800}
        found = np.asarray(minimize(loss, start, method="Powell", options=settings).x, np.float64)
        linear = _turn(found)
        matrix = np.eye(4)
        matrix[:3, :3] = linear * np.exp(found[6] / _ROOM)
        matrix[:3, 3] = self._centre + found[:3] - matrix[:3, :3] @ self._centre
        moved = self._arms @ (linear - np.eye(3)).T + found[:3]
        return Pose(
            correlation=self._correlation(found, to_voxels),
            matrix=matrix,
            shift=float(np.sqrt((moved**2).sum(axis=1).mean())),
            angle=float(np.rad2deg(np.linalg.norm(found[3:6]) / _ROOM)),
            scale=float(np.exp(found[6] / _ROOM)),
        )

    def _correlation(self, numbers: FloatArray, to_voxels: FloatArray) -> float:
        """Return the correlation where three numbers move, three turn and one scales the head, each in mm."""
        return self._agreement(_turn(numbers) * np.exp(numbers[6] / _ROOM), self._centre + numbers[:3], to_voxels)

    def _agreement(self, linear: FloatArray, middle: FloatArray, to_voxels: FloatArray) -> float:
        """Return the correlation where the head is turned and scaled by a matrix, its centre coming to a point."""
        from scipy.ndimage import map_coordinates

        places, seen = self._places(linear, middle, to_voxels)
        if seen is None:
            return float("nan")
        there = map_coordinates(self._data, places[seen].T, np.float64, order=1, mode="nearest", prefilter=False)
        here = self._values[seen]
        here, there = here - here.mean(), there - there.mean()  # np.corrcoef would be a third of a search
        spread = float(np.sqrt((here @ here) * (there @ there)))
        return float(here @ there) / spread if spread else float("nan")

    def _places(
        self, linear: FloatArray, middle: FloatArray, to_voxels: FloatArray
    ) -> tuple[FloatArray, BoolArray | None]:
        """Return the voxels to look at, and which of them the second shows; None if these are too few."""
        places = self._arms @ (to_voxels[:3, :3] @ linear).T + (to_voxels[:3, :3] @ middle + to_voxels[:3, 3])
        seen = np.all((places > -0.5) & (places < np.array(self._data.shape) - 0.5), axis=1)
        return places, None if seen.sum() < max(_FEWEST, _SEEN * len(seen)) else seen


def _turn(numbers: FloatArray) -> FloatArray:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(numbers[3:6] / _ROOM).as_matrix(), np.float64)


def _rank(pose: Pose) -> float:
    return -1.0 if np.isnan(pose.correlation) else pose.correlation
