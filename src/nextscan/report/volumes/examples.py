"""Example subjects of an image cohort: what was shown, what really came, and what was imputed for them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import read_npz
from nextscan.errors import RunFolderError
from nextscan.report.volumes.grid import Grid, Image, grid_of, most_changed

FOLDER, INDEX, REAL = "images", "index.json", "real.npz"
AGAIN = "run `nextscan evaluate` again with the same --out"


@dataclass(frozen=True, eq=False)
class PredictedSeries:
    """What a method predicts for one subject at one or several times after the source.

    Attributes
    ----------
    years : ndarray of float, shape (n,)
        Time after the source image, ascending; NaN where unknown.
    mean : ndarray of float32, shape (n, x, y, z)
        Imputed mean, on the source's grid and intensity scale.
    sd : sequence of ndarray of float32 (x, y, z) or None, length n
        Standard deviation of the draws, where it is known.
    """

    years: NDArray[np.float64]
    mean: NDArray[np.float32]
    sd: Sequence[Image | None]


@dataclass(frozen=True, eq=False)
class VolumeExample:
    """One subject's images, all on one grid.

    Attributes
    ----------
    subject, visit : str
        `visit` is the one imputed; empty where there are several.
    affine : ndarray of float, shape (4, 4)
        Voxel to mm (right, anterior, superior).
    source : ndarray of float32, shape (x, y, z)
        Native intensities.
    predicted : mapping of method to PredictedSeries
    real : ndarray of float32, shape (x, y, z), optional
        The follow-up as measured.
    noise_free_change : ndarray of float32, shape (x, y, z), optional
        The true change without the noise of either image, as only simulated images have it.
    gap : float
        Years from the source to `real`; NaN if unknown.
    unit : str
        Of times.
    """

    subject: str
    affine: NDArray[np.float64]
    source: Image
    predicted: Mapping[str, PredictedSeries]
    visit: str = ""
    real: Image | None = None
    noise_free_change: Image | None = None
    gap: float = float("nan")
    unit: str = "years"

    @cached_property
    def grid(self) -> Grid:
        """Return how the images are turned upright and cropped for showing."""
        return grid_of(self.source, self.affine)

    @cached_property
    def real_change(self) -> Image | None:
        """Return the change to hold predictions against: without noise where that is known."""
        if self.noise_free_change is not None or self.real is None:
            return self.noise_free_change
        return self.real - self.source

    def at_gap(self, method: str) -> int:
        """Return the position of the predicted time nearest to the real follow-up; without one, the last."""
        years = self.predicted[method].years
        if not np.isfinite(self.gap) or not np.isfinite(years).any():
            return len(years) - 1
        return int(np.nanargmin(np.abs(years - self.gap)))

    def change(self, method: str) -> Image:
        """Return the predicted mean less the source, at the time of the real follow-up."""
        change: Image = self.predicted[method].mean[self.at_gap(method)] - self.source
        return change

    def point(self, method: str) -> tuple[int, int, int]:
        """Return the voxel of the upright image where the real, or else the predicted, change is largest."""
        shown = self.real_change if self.real_change is not None else self.change(method)
        return most_changed(self.grid.apply(shown), self.grid.spacing)


def read_examples(folder: Path, *, limit: int = 3) -> tuple[VolumeExample, ...] | None:
    """Read the first example images of a run folder; None where the run has none.

    Raises
    ------
    RunFolderError
        If the index or an image file is missing or damaged, or arrays do not fit together.
    """
    path = folder / FOLDER / INDEX
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["subjects"]
        entries = [dict(entry) for entry in told[:limit]]
        places = [folder / FOLDER / Path(str(entry["folder"])).name for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunFolderError(f"{path}: does not list the example images of a run ({error!r}): {AGAIN}") from error
    return tuple(_read(entry, place) for entry, place in zip(entries, places, strict=True))


def _read(entry: dict[str, Any], place: Path) -> VolumeExample:
    path = place / REAL
    try:
        low, high = (float(end) for end in entry["window"])
        gap = float("nan") if entry.get("gap") is None else float(entry["gap"])
        arrays = read_npz(path)
        affine = arrays["affine"].astype(float)
        native: dict[str, Image] = {
            name: (low + (high - low) * arrays[name].astype(np.float32)).astype(np.float32)
            for name in ("source", "truth", "noise_free", "source_noise_free")
            if name in arrays
        }
        shape = native["source"].shape
        _check(path, shape, affine, native)
        change = None
        if "noise_free" in native and "source_noise_free" in native:
            change = native["noise_free"] - native["source_noise_free"]
        predicted = {}
        for method in map(str, entry["methods"]):
            path = place / f"{Path(method).name}.npz"
            predicted[method] = series = _series(read_npz(path), gap, low, high)
            images = {f"mean {k}": image for k, image in enumerate(series.mean)}
            images |= {f"sd {k}": image for k, image in enumerate(series.sd) if image is not None}
            _check(path, shape, affine, images)
        return VolumeExample(
            subject=str(entry["subject"]),
            visit=str(entry.get("visit") or ""),
            affine=affine,
            source=native["source"],
            real=native.get("truth"),
            noise_free_change=change,
            gap=gap,
            predicted=predicted,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunFolderError(f"{path}: cannot be read as example images ({error!r}): {AGAIN}") from error


def _series(arrays: Mapping[str, NDArray[Any]], gap: float, low: float, high: float) -> PredictedSeries:
    """Join the prediction at the follow-up's own time and those over time, in order of time."""
    mean, sd, years = [arrays["mean"]], [arrays.get("sd")], [gap]
    if "series" in arrays:
        spread = arrays.get("series_sd")
        for k, (at, image) in enumerate(zip(arrays["series_gap"], arrays["series"], strict=True)):
            if not np.isclose(at, gap, atol=1e-3):
                mean.append(image)
                sd.append(None if spread is None else spread[k])
                years.append(float(at))
    order = np.argsort(years, kind="stable")
    width = high - low
    return PredictedSeries(
        np.asarray(years, float)[order],
        (low + width * np.stack(mean)[order].astype(np.float32)).astype(np.float32),
        tuple((width * image.astype(np.float32)) if (image := sd[k]) is not None else None for k in order),
    )


def _check(path: Path, shape: tuple[int, ...], affine: NDArray[np.float64], images: Mapping[str, Image]) -> None:
    usable = affine.shape == (4, 4) and np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-9
    if not usable or len(shape) != 3:
        raise RunFolderError(f"{path}: needs a source image of three axes and an invertible affine: {AGAIN}")
    for name, image in images.items():
        if image.shape != shape:
            raise RunFolderError(f"{path}: {name} has shape {image.shape}, the source {shape}: {AGAIN}")
        if not np.isfinite(image).all():
            raise RunFolderError(f"{path}: {name} holds values that are not finite: {AGAIN}")
