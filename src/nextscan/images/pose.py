"""How a second image must be turned, moved and scaled to lie on the first, mirrored or not, at low resolution."""

from __future__ import annotations

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
        self._to_voxels = np.linalg.inv(second.affine)
        self._data: NDArray[np.float32] = gaussian_filter(second.data, _WIDTH)

    def as_it_is(self) -> float:
        """Return the correlation where the headers put the images."""
        return self._correlation(np.zeros(7), self._data)

    def best(self) -> Pose:
        """Find the pose near that of the headers, or near that with one centre."""
        away = self._second.centre - self._centre
        starts = [np.zeros(7)]
        if np.linalg.norm(away) > _FAR:
            starts.append(np.r_[away, np.zeros(4)])
        return max((self._climb(start, self._data) for start in starts), key=_rank)

    def mirrored(self, axis: int, at_least: float) -> Pose | None:
        """Find the pose of the second image with an axis of its array reversed.

        None if that is further than `at_least` from any agreement with the centres on each other.
        """
        data = np.flip(self._data, axis)
        flipped = Coarse(self._second.data, self._second.affine, np.flip(self._second.inside, axis), self._second.blank)
        start = np.r_[flipped.centre - self._centre, np.zeros(4)]
        if not self._correlation(start, data) >= at_least:
            return None
        return self._climb(start, data)

    def _climb(self, start: FloatArray, data: NDArray[np.float32]) -> Pose:
        from scipy.optimize import minimize

        def loss(numbers: FloatArray) -> float:
            found = self._correlation(numbers, data)
            return 1.0 if np.isnan(found) else -found

        settings = {"xtol": 0.1, "ftol": 1e-4, "maxiter": 12, "maxfev": 800}
        found = np.asarray(minimize(loss, start, method="Powell", options=settings).x, np.float64)
        linear = _turn(found)
        matrix = np.eye(4)
        matrix[:3, :3] = linear * np.exp(found[6] / _ROOM)
        matrix[:3, 3] = self._centre + found[:3] - matrix[:3, :3] @ self._centre
        moved = self._arms @ (linear - np.eye(3)).T + found[:3]
        return Pose(
            correlation=self._correlation(found, data),
            matrix=matrix,
            shift=float(np.sqrt((moved**2).sum(axis=1).mean())),
            angle=float(np.rad2deg(np.linalg.norm(found[3:6]) / _ROOM)),
            scale=float(np.exp(found[6] / _ROOM)),
        )

    def _correlation(self, numbers: FloatArray, data: NDArray[np.float32]) -> float:
        """Return the correlation where three numbers move, three turn and one scales the head, each in mm."""
        from scipy.ndimage import map_coordinates

        to_voxels = self._to_voxels
        turned = self._arms @ (to_voxels[:3, :3] @ _turn(numbers) * np.exp(numbers[6] / _ROOM)).T
        places = turned + (to_voxels[:3, :3] @ (self._centre + numbers[:3]) + to_voxels[:3, 3])
        seen = ((places > -0.5) & (places < np.array(data.shape) - 0.5)).all(axis=1)
        if seen.sum() < max(_FEWEST, _SEEN * len(seen)):
            return float("nan")
        there = map_coordinates(data, places[seen].T, np.float64, order=1, mode="nearest", prefilter=False)
        here = self._values[seen]
        here, there = here - here.mean(), there - there.mean()  # np.corrcoef would be a third of a search
        spread = float(np.sqrt((here @ here) * (there @ there)))
        return float(here @ there) / spread if spread else float("nan")


def _turn(numbers: FloatArray) -> FloatArray:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(numbers[3:6] / _ROOM).as_matrix(), np.float64)


def _rank(pose: Pose) -> float:
    return -1.0 if np.isnan(pose.correlation) else pose.correlation
