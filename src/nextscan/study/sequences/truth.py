"""What is known of real films: volumes of regions in each frame, and the images predictions are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray, Volume
from nextscan.cohort import Cohort
from nextscan.errors import ImageError

REGIONS = {"RV": 1, "MYO": 2, "LV": 3}
"""Labels of regions in label maps, where reading the cohort did not tell: those of ACDC."""
CAVITY, MUSCLE = "lv", "myo"

_TABLE = "frames.csv"
_COLUMNS = {"myo": "myocardium_ml"}
_QUANTILES = (0.001, 0.999)
_MARGIN = 2  # voxels around what labels mark: edges move
_MOVING = 0.1  # share of the voxels, those that change most
_WINDOW = 5  # voxels that SSIM sees to each side


def regions_of(cohort: Cohort) -> dict[str, int]:
    """Return the labels of the regions in the label maps of a cohort, by names in small letters."""
    told = cohort.reading.get("regions") or REGIONS
    return {str(name).lower(): int(code) for name, code in told.items()}


def true_volumes(cohort: Cohort, regions: Mapping[str, int]) -> tuple[FloatArray, str]:
    """Return the volumes of regions in mL, shape (n_visits, n_regions), NaN where unknown, and where they come from.

    Of simulated cohorts they are read from the table ``frames.csv`` beside the law (columns subject, visit, and for
    each region such as ``lv_ml``); else the voxels of label maps are counted, in frames that have one.
    """
    if cohort.law:
        found = _of_table(cohort, Path(cohort.law).parent / _TABLE, regions)
        if found is not None:
            return found, _TABLE
    maps = cohort.files_of("segmentation")
    volumes = np.full((cohort.n_visits, len(regions)), np.nan)
    for row in np.flatnonzero(maps != ""):
        labels, voxel = _labels(cohort, int(row))
        counted = [voxel * np.count_nonzero(labels == code) / 1000 for code in regions.values()]
        volumes[row] = np.where(np.array(list(regions.values())) < 0, np.nan, counted)  # no label is known of those
    return volumes, "label maps"


def _of_table(cohort: Cohort, path: Path, regions: Mapping[str, int]) -> FloatArray | None:
    if not path.is_file():
        return None
    columns = [_COLUMNS.get(name, f"{name}_ml") for name in regions]
    try:
        table = pd.read_csv(path, dtype={"subject": str, "visit": str})
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]}); correct it") from error
    if not {"subject", "visit", *columns} <= set(table.columns):
        return None
    known = table.drop_duplicates(["subject", "visit"]).set_index(["subject", "visit"])[columns]
    rows = np.arange(cohort.n_visits)
    wanted = pd.MultiIndex.from_arrays([cohort.subject_names(rows).astype(str), cohort.visits.astype(str)])
    values = known.reindex(wanted).to_numpy(np.float64, copy=True)
    return values if np.isfinite(values[cohort.has_volume]).all() else None


def _labels(cohort: Cohort, row: int) -> tuple[IntArray, float]:
    """Return the label map of a visit, and mm³ in a voxel."""
    from nextscan.images.files import read_image

    image = read_image(cohort.files_of("segmentation")[row], where=_where(cohort, row), allow_constant=True)
    return np.rint(image.data).astype(np.intp), abs(float(np.linalg.det(image.affine[:3, :3])))


def _where(cohort: Cohort, row: int) -> str:
    return f"{cohort.subject_names(np.array([row]))[0]} {cohort.visits[row]}"


@dataclass(frozen=True, eq=False)
class RealFilm:
    """The frames of one subject.

    Attributes
    ----------
    rows : ndarray of int, shape (n_frames,)
        Of the cohort.
    given : ndarray of bool, shape (n_frames,)
        Which are shown.
    images : ndarray of float32, shape (n_frames, x, y, z)
        As measured.
    clean : ndarray of float32, shape (n_frames, x, y, z), or None
        Without noise.
    labels : list of ndarray or None, one per frame
        Label maps.
    affine : ndarray, shape (4, 4)
    heart : ndarray of bool, shape (x, y, z)
        Where scores inside the heart are taken: what any label map marks, and 2 voxels around it; else the tenth of
        the voxels that change most over the film.
    width : float
        Range of intensities in scores: from the 0.1 % to the 99.9 % quantile of the first frame shown.
    """

    rows: IntArray
    given: BoolArray
    images: Volume
    clean: Volume | None
    labels: Sequence[IntArray | None]
    affine: FloatArray
    heart: BoolArray
    width: float

    @property
    def target(self) -> Volume:
        """What image scores compare with, shape (n_frames, x, y, z): without noise, where that is known."""
        return self.images if self.clean is None else self.clean

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The box around the heart, with what SSIM sees around it."""
        places = np.nonzero(self.heart)
        x, y, z = (
            slice(max(int(at.min()) - _WINDOW, 0), min(int(at.max()) + 1 + _WINDOW, size))
            for at, size in zip(places, self.heart.shape, strict=True)
        )
        return x, y, z


def real_film(cohort: Cohort, rows: IntArray, given: BoolArray, regions: Mapping[str, int]) -> RealFilm:
    """Read the frames of one subject.

    Raises
    ------
    ImageError
        If one cannot be read, or is of another shape than the first.
    """
    from nextscan.images.files import read_image

    def read(role: str) -> list[Volume | None]:
        paths = cohort.files_of(role)[rows]
        found: list[Volume | None] = []
        for row, path in zip(rows.tolist(), paths.tolist(), strict=True):
            image = read_image(path, where=_where(cohort, row), allow_constant=True).data if path else None
            if image is not None and image.shape != shape:
                raise ImageError(
                    f"{path} ({_where(cohort, row)}): has shape {image.shape}, the first frame {shape}; frames of a "
                    "film lie on one grid"
                )
            found.append(image)
        return found

    first = read_image(cohort.files_of("volume")[rows[0]], where=_where(cohort, int(rows[0])))
    shape = first.data.shape
    images = np.stack([image for image in read("volume") if image is not None])
    clean = read("noise_free")
    labels = [None if image is None else np.rint(image).astype(np.intp) for image in read("segmentation")]
    low, high = (float(value) for value in np.quantile(images[np.flatnonzero(given)[0]], _QUANTILES))
    return RealFilm(
        rows=rows,
        given=given,
        images=images,
        clean=None if any(image is None for image in clean) else np.stack([c for c in clean if c is not None]),
        labels=labels,
        affine=first.affine,
        heart=_heart(images, labels, list(regions.values())),
        width=max(high - low, 1e-12),
    )


def _heart(images: Volume, labels: Sequence[IntArray | None], codes: Sequence[int]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_dilation, gaussian_filter

    marked = np.zeros(images.shape[1:], bool)
    for labelled in labels:
        if labelled is not None:
            marked |= np.isin(labelled, codes)
    if marked.any():
        grown: NDArray[np.bool_] = binary_dilation(marked, iterations=_MARGIN)
        return grown
    change = gaussian_filter(images.std(axis=0, dtype=np.float64), 1.0)
    moving: NDArray[np.bool_] = change >= np.quantile(change, 1 - _MOVING)
    return moving
