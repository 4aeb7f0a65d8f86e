"""Put a volume on the grid and the scale a network works on, and bring predictions back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, Volume
from nextscan.cohort import Cohort
from nextscan.errors import CohortError, ImageError, SettingError
from nextscan.images.header import Header
from nextscan.images.transforms import common_to_image
from nextscan.preprocess.volumes.cache import cache_key, kept
from nextscan.preprocess.volumes.grid import Shape, Triple, ras_axes, reach, shape_for, subject_grid
from nextscan.preprocess.volumes.intensity import SAMPLED, find_head, intensity_range, scaled
from nextscan.preprocess.volumes.resampling import reached, resample


@dataclass(frozen=True, eq=False)
class Prepared:
    """A volume as a network sees it.

    Attributes
    ----------
    data : ndarray of float32, shape (x, y, z)
        In [-1, 1]; memory-mapped and read-only where it comes from a cache.
    affine : ndarray of float, shape (4, 4)
        Of the subject's grid: from its voxels to mm in the subject's common space, RAS+.
    low, high : float
        Intensities of the image that became -1 and 1.
    clipped : (float, float)
        Shares of voxels below `low` and above `high`, which became -1 and 1 too.
    to_image : ndarray of float, shape (4, 4)
        From voxels of the grid to voxels of the image.
    image_shape : three int
        Of the image.
    outside : float
        Share of the head that the grid does not reach.
    """

    data: Volume
    affine: FloatArray
    low: float
    high: float
    clipped: tuple[float, float]
    to_image: FloatArray
    image_shape: Shape
    outside: float

    def shown_by_both(self, other: Prepared) -> NDArray[np.bool_] | None:
        """Tell which voxels lie within this image and another one of the subject.

        Beyond the field of view of either nothing is known of change.

        Returns
        -------
        ndarray of bool, shape (x, y, z), or None
            None if both have the same field of view: what is outside it looks alike.
        """
        same = self.image_shape == other.image_shape and np.allclose(self.to_image, other.to_image, rtol=0, atol=1e-3)
        if same:
            return None
        first, second = (reached(image.to_image, image.image_shape, image.data.shape) for image in (self, other))
        return first & second


@dataclass(frozen=True)
class VolumePreparer:
    """Canonical orientation, given transforms, one grid per subject, intensities in [-1, 1].

    All visits of a subject are put on one grid, see `nextscan.preprocess.volumes.grid.subject_grid`; a visit
    without a transform is in the common space already. Nothing is learned from intensities of other images.

    Parameters
    ----------
    shape : three int
        Of the grid, along R, A and S: what is larger is cropped around the middle, what is smaller padded.
    spacing : three float
        Of the grid, in mm.
    quantiles : (float, float)
        Of the intensities inside the head; what lies outside them is clipped.
    masked : bool
        Whether everything outside the mask of a visit becomes -1. A mask lies in the space of its image.
    everywhere : bool
        Whether intensities count wherever they are, not inside the head alone. What shows no head, such as a beating
        heart, looks like one differently in each frame, and frames of one film must not differ by that.
    cache : str, optional
        Folder to keep prepared volumes in, safe for many processes at once: 4 bytes per voxel and image
        (10.5 MB at 128 x 160 x 128, so 10 GB per thousand images). It may be deleted at any time.
    """

    shape: Shape
    spacing: Triple
    quantiles: tuple[float, float] = (0.001, 0.999)
    masked: bool = False
    everywhere: bool = False
    cache: str | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise SettingError(f"shape must be three whole numbers above 0, got {self.shape}")
        if len(self.spacing) != 3 or not (np.isfinite(self.spacing).all() and min(self.spacing) > 0):
            raise SettingError(f"spacing must be three numbers of mm above 0, got {self.spacing}")
        if not 0 <= self.quantiles[0] < self.quantiles[1] <= 1:
            raise SettingError(f"quantiles must be two numbers in [0, 1], the lower first, got {self.quantiles}")

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        *,
        shape: Shape | None = None,
        spacing: Triple | None = None,
        quantiles: tuple[float, float] = (0.001, 0.999),
        masked: bool = False,
        cache: str | None = None,
    ) -> Self:
        """Choose what is not given from the headers of training images.

        The spacing is the median over the images of subjects with two or more, which change is learned from (over
        all where there are none); the shape holds all images, each side a multiple of 8, as networks that halve
        the resolution three times need it. Where time is a circle, images are frames of films: intensities count
        everywhere.

        Parameters
        ----------
        cohort : Cohort
            Training subjects.
        shape, spacing, quantiles, masked, cache
            As in the constructor.

        Raises
        ------
        CohortError
            If the cohort has no images.
        ImageError
            If a header or a transform cannot be read.
        """
        from nextscan.images.files import read_header

        rows = np.flatnonzero(cohort.has_volume).tolist()
        if not rows:
            raise CohortError(f"{cohort.source or cohort.name}: no visit has a volume; name the column of paths volume")
        paths = cohort.files_of("volume")
        if spacing is None:
            every = []
            images = np.bincount(cohort.subject_of[rows], minlength=cohort.n_subjects)
            for row in [row for row in rows if images[cohort.subject_of[row]] > 1] or rows:
                header = read_header(paths[row], where=_name(cohort, row))
                axes, _ = ras_axes(header.affine)
                every.append([header.spacing[axis] for axis in axes])
            x, y, z = (round(float(middle), 6) for middle in np.median(every, axis=0))
            spacing = (x, y, z)
        if shape is None:
            probe = cls((1, 1, 1), spacing)
            reached = np.zeros((2, 3))
            for row in rows:
                header = read_header(paths[row], where=_name(cohort, row))
                to_common = np.linalg.inv(_transform(cohort, row, header)) @ header.affine
                low, high = reach(to_common, header.shape, probe.grid(cohort, row))
                reached = np.stack([np.minimum(reached[0], low), np.maximum(reached[1], high)])
            shape = shape_for(reached)
        film = cohort.period is not None
        return cls(shape, spacing, quantiles=quantiles, masked=masked, everywhere=film, cache=cache)

    def state(self) -> dict[str, Any]:
        """Return the settings as they are saved with a model; the cache is a place, not a setting."""
        return {name: value for name, value in asdict(self).items() if name != "cache"}

    @classmethod
    def from_state(cls, state: dict[str, Any], *, cache: str | None = None) -> Self:
        """Undo `state`."""
        (x, y, z), (dx, dy, dz), (low, high) = state["shape"], state["spacing"], state["quantiles"]
        return cls(
            (x, y, z),
            (dx, dy, dz),
            quantiles=(low, high),
            masked=state["masked"],
            everywhere=state.get("everywhere", False),  # of no model from before there were films
            cache=cache,
        )

    def grid(self, cohort: Cohort, row: int) -> FloatArray:
        """Return the affine of the grid of the subject that a visit belongs to, shape (4, 4)."""
        from nextscan.images.files import read_header

        rows = np.flatnonzero((cohort.subject_of == cohort.subject_of[row]) & cohort.has_volume)
        if not len(rows):
            raise CohortError(f"{cohort.source or cohort.name}: {_name(cohort, row)}: the subject has no volume")
        first = int(rows[0])
        header = read_header(cohort.files_of("volume")[first], where=_name(cohort, first))
        transform = _transform(cohort, first, header) if cohort.files_of("transform")[first] else None
        return subject_grid(header.affine, header.shape, transform, shape=self.shape, spacing=self.spacing)

    def prepare(self, cohort: Cohort, row: int) -> Prepared:
        """Prepare the volume of a visit.

        Parameters
        ----------
        cohort : Cohort
            With the first visit of the subject, whose image decides about the grid.
        row : int
            Of the visit.

        Raises
        ------
        ImageError
            If a file cannot be used; the message names it, the subject and the visit.
        CohortError
            If the visit has no volume.
        """
        path = self._path(cohort, row)
        grid = self.grid(cohort, row)
        make = partial(self._prepare, cohort, row, grid)
        if self.cache is None:
            data, record = make()
        else:
            mask = cohort.files_of("mask")[row] if self.masked else ""
            settings = self.state() | {"grid": grid.tolist()}
            key = cache_key([path, cohort.files_of("transform")[row], mask], settings)
            data, record = kept(Path(self.cache), key, make)
        (below, above), (x, y, z) = record["clipped"], record["shape"]
        return Prepared(
            data=data,
            affine=grid,
            low=record["low"],
            high=record["high"],
            clipped=(below, above),
            to_image=np.array(record["to_image"]),
            image_shape=(x, y, z),
            outside=float(record["outside"]),
        )

    def _prepare(self, cohort: Cohort, row: int, grid: FloatArray) -> tuple[Volume, dict[str, Any]]:
        from nextscan.images.files import read_image

        path, where = self._path(cohort, row), _name(cohort, row)
        image = read_image(path, where=where)
        mask = self._mask(cohort, row, image.data.shape, image.affine)
        inside = np.ones(image.data.shape, bool) if self.everywhere and mask is None else mask
        low, high = intensity_range(image.data, self.quantiles, mask=inside, where=f"{path} ({where})")
        matrix = np.linalg.inv(image.affine) @ _transform(cohort, row, image.header) @ grid
        resampled = resample(image.data, matrix, self.shape, fill=low)
        data, clipped = scaled(resampled, low, high)
        if mask is not None:
            data[resample(mask.astype(np.float32), matrix, self.shape, order=0) < 0.5] = -1.0
        seen = {
            "to_image": matrix.tolist(),
            "shape": list(image.data.shape),
            "outside": _outside(image.data, np.asarray(np.linalg.inv(matrix), np.float64), self.shape),
        }
        return data, {"low": low, "high": high, "clipped": clipped, "source": Path(path).name, **seen}

    def restore(self, values: NDArray[np.floating], cohort: Cohort, row: int, prepared: Prepared) -> Volume:
        """Bring predictions onto the grid and the intensity scale of the image they start from.

        The result is that image plus the resampled difference between prediction and prepared image: what
        does not change stays as sharp as it was; outside the subject's grid, and outside the mask, the image
        stands bit for bit. Where both grids coincide and the image was not clipped, the result is the
        prediction itself. Intensities do not fall below zero where the image has none below zero.

        Parameters
        ----------
        values : ndarray of float, shape (n, *shape)
            In the scale of `prepared`.
        cohort : Cohort
        row : int
            Of the visit that `prepared` was made of.
        prepared : Prepared

        Returns
        -------
        ndarray of float32, shape (n, *shape of the image)

        Raises
        ------
        ImageError
            If the image cannot be read any more, or a prediction is not finite.
        SettingError
            If `values` is not on the subject's grid.
        """
        from nextscan.images.files import read_image

        if values.ndim != 4 or values.shape[1:] != prepared.data.shape:
            raise SettingError(f"expected values of shape (n, {', '.join(map(str, self.shape))}), got {values.shape}")
        path, where = self._path(cohort, row), _name(cohort, row)
        if not np.isfinite(values).all():
            raise ImageError(f"{path} ({where}): what was predicted from it is not finite; fit the model again")
        image = read_image(path, where=where)
        mask = self._mask(cohort, row, image.data.shape, image.affine)
        matrix = np.linalg.solve(prepared.affine, np.linalg.solve(_transform(cohort, row, image.header), image.affine))
        scale = np.float32((prepared.high - prepared.low) / 2)
        lowest = 0.0 if image.data.min() >= 0 else -np.inf
        restored = np.empty((len(values), *image.data.shape), np.float32)
        for i, value in enumerate(values):
            change = resample((value.astype(np.float32) - prepared.data) * scale, matrix, image.data.shape)
            if mask is not None:
                change[~mask] = 0.0
            np.maximum(image.data + change, lowest, out=restored[i])
        return restored

    def _path(self, cohort: Cohort, row: int) -> str:
        path = str(cohort.files_of("volume")[row])
        if not path:
            raise CohortError(f"{cohort.source or cohort.name}: {_name(cohort, row)} has no volume to prepare")
        return path

    def _mask(self, cohort: Cohort, row: int, shape: tuple[int, ...], affine: FloatArray) -> NDArray[np.bool_] | None:
        """Return the mask of a visit at the voxels of its image."""
        from nextscan.images.files import read_image

        if not self.masked:
            return None
        path, where = str(cohort.files_of("mask")[row]), _name(cohort, row)
        if not path:
            raise ImageError(
                f"{self._path(cohort, row)}: {where} has no mask; give one in a column mask, or prepare without masks"
            )
        mask = read_image(path, where=where, allow_constant=True)
        return resample(mask.data, np.linalg.inv(mask.affine) @ affine, shape, order=0) > 0.5


def _name(cohort: Cohort, row: int) -> str:
    return f"{cohort.subjects[cohort.subject_of[row]]} {cohort.visits[row]}"


def _outside(data: Volume, to_grid: FloatArray, shape: Shape) -> float:
    """Return the share of the head in an image that lies outside a grid."""
    step = np.array([max(1, n // SAMPLED) for n in data.shape])
    head = np.argwhere(find_head(data[tuple(slice(None, None, int(n)) for n in step)])) * step
    places = head @ to_grid[:3, :3].T + to_grid[:3, 3]
    within = ((places > -1) & (places < np.array(shape))).all(axis=1)
    return float(1 - within.mean()) if len(head) else 0.0


def _transform(cohort: Cohort, row: int, header: Header) -> FloatArray:
    """Return the matrix from common space to the image of a visit: the identity if its subject has no transform."""
    transforms = cohort.files_of("transform")
    if not (transforms[cohort.subject_of == cohort.subject_of[row]] != "").any():
        return np.eye(4)
    return common_to_image(str(transforms[row]), header, where=_name(cohort, row))
