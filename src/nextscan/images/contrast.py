"""What images of one contrast have in common, so that another one is known whatever its name says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.images.coarse import Coarse, background, foreground
from nextscan.images.pose import PoseSearch

MOST = 12
"""So many images, each of another subject, tell what is usual."""
_SHARES = np.linspace(0.05, 0.9, 18)  # of a head by brightness; what is brighter is fat and vessels near a coil
_DARKEST = 0.05  # of the median
_UNLIKE = 0.12  # real heads of one contrast are up to 0.08 apart, T1w, T2w and FLAIR 0.06 to 0.32
_ALIKE = 0.15  # of correlation: T1w and T2w of one study have -0.32 to 0.07, two T2w 0.27, two T1w 0.59
_SPREADS, _PART = 3.0, 0.5  # where most images differ among themselves: times their distance, share of their agreement
_FURTHER = 1.5  # the same of the one that is furthest, where all count
_AROUND = 20.0  # mm that a voxel is compared with: less than coils and bias fields reach
_SMOOTHED = 0.7  # voxels


@dataclass(frozen=True, eq=False)
class Contrast:
    """How brightness is shared out in heads of one contrast, and what is bright and dark in them.

    Attributes
    ----------
    levels : ndarray of float64, shape (18,)
        Logarithms of quantiles of the brightness within heads, their median being 1: what is usual.
    farthest : float
        Mean distance from these beyond which an image is another.
    mean : Coarse or None
        Mean of the heads, laid on each other; None of a single one.
    pattern : ndarray of float64, shape of `mean`
        Mean of what is brighter or darker than its surroundings.
    least : float
        Correlation with that below which an image is another.
    """

    levels: FloatArray
    farthest: float
    mean: Coarse | None = None
    pattern: FloatArray | None = None
    least: float = -np.inf

    @classmethod
    def of(cls, images: Sequence[Coarse], *, most: bool) -> Self:
        """Learn what images have in common.

        Parameters
        ----------
        images : sequence of Coarse
            Each of another subject.
        most : bool
            Whether what most of them are like is usual, so that a minority of another contrast changes little;
            otherwise whatever is like one of them.
        """
        levels = np.array([levels_of(image) for image in images])
        usual = np.median(levels, axis=0)
        away = np.abs(levels - usual).mean(axis=1)
        farthest = max(_UNLIKE, float(_SPREADS * np.median(away) if most else _FURTHER * away.max()))
        if len(images) < 2:
            return cls(usual, farthest)
        first = images[int(away.argmin())]
        laid = [_laid(first, image) for image in images]
        data = np.mean([values for values, _ in laid], axis=0).astype(np.float32)
        mean = Coarse(data, first.affine, foreground(data), np.zeros(data.shape, bool), first.voxel)
        patterns = np.array([pattern for _, pattern in laid])
        pattern, n = patterns.mean(axis=0), len(images)
        own = [_correlation((n * pattern - each) / (n - 1), each, mean) for each in patterns]
        return cls(usual, farthest, mean, pattern, min(_ALIKE, _PART * float(np.median(own) if most else np.min(own))))

    def unlike(self, image: Coarse) -> str:
        """Say by what an image differs from what is usual; empty where it does not."""
        away = float(np.abs(levels_of(image) - self.levels).mean())
        if away > self.farthest:
            return f"brightness is shared out otherwise, by {away:.2f} where {self.farthest:.2f} is the most expected"
        if self.mean is None or self.pattern is None:
            return ""
        found = _correlation(self.pattern, _laid(self.mean, image)[1], self.mean)
        if found >= self.least:
            return ""
        return (
            f"other tissues are bright and dark, correlation {found:.2f} where {self.least:.2f} is the least expected"
        )

    def state(self) -> dict[str, Any]:
        """Return what was learned as arrays and numbers."""
        state: dict[str, Any] = {"levels": self.levels, "farthest": self.farthest}
        if self.mean is None or self.pattern is None:
            return state
        return state | {
            "least": self.least,
            "mean": self.mean.data,
            "affine": self.mean.affine,
            "voxel": self.mean.voxel,
            "pattern": self.pattern.astype(np.float32),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Undo `state`."""
        if "mean" not in state:
            return cls(state["levels"], float(state["farthest"]))
        data = state["mean"]
        mean = Coarse(data, state["affine"], foreground(data), np.zeros(data.shape, bool), state["voxel"])
        return cls(state["levels"], float(state["farthest"]), mean, state["pattern"], float(state["least"]))


def levels_of(image: Coarse) -> FloatArray:
    """Return logarithms of quantiles of the brightness within a head, the median being 1, shape (18,)."""
    inside = np.abs(image.data[image.inside] - background(image.data))
    if not inside.size or not (middle := float(np.median(inside))) > 0:
        return np.zeros(len(_SHARES))
    return np.asarray(np.log(np.maximum(np.quantile(inside, _SHARES) / middle, _DARKEST)), np.float64)


def _laid(first: Coarse, image: Coarse) -> tuple[FloatArray, FloatArray]:
    """Return the brightness of an image, its median being 1, and its pattern, at the voxels of the first one."""
    from scipy.ndimage import affine_transform, gaussian_filter

    search = PoseSearch(first, image)
    matrix = np.linalg.inv(image.affine) @ search.affine(search.best()) @ first.affine
    inside = np.abs(image.data[image.inside] - background(image.data))
    values = (image.data - background(image.data)) / max(float(np.median(inside)) if inside.size else 1.0, 1e-12)
    pattern = gaussian_filter(_pattern(image), _SMOOTHED)
    sampled = [
        np.asarray(affine_transform(part, matrix[:3, :3], matrix[:3, 3], first.data.shape, order=1), np.float64)
        for part in (values, pattern)
    ]
    return sampled[0], sampled[1]


def _pattern(image: Coarse) -> FloatArray:
    """Return how much brighter each voxel of a head is than what surrounds it, in units of the spread there."""
    from scipy.ndimage import gaussian_filter

    inside, data = image.inside.astype(np.float64), image.data.astype(np.float64)
    sigma = _AROUND / image.spacing
    weight = gaussian_filter(inside, sigma) + 1e-6
    above = (data - gaussian_filter(data * inside, sigma) / weight) * inside
    spread = np.sqrt(gaussian_filter(above**2, sigma) / weight)
    return np.asarray(above / (spread + 1e-6 * max(float(np.abs(data).max()), 1e-12)), np.float64)


def _correlation(first: FloatArray, second: FloatArray, place: Coarse) -> float:
    """Return the correlation of two patterns within a head, the rim left out, that all heads have; 0 where none is."""
    from scipy.ndimage import binary_erosion

    within = binary_erosion(place.inside) & (second != 0)
    x, y = first[within], second[within]
    if len(x) < 2 or not x.std() > 0 or not y.std() > 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
