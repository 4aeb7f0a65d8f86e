"""Example subjects of an image cohort: what was shown, what really came, and what was imputed for them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.errors import RunFolderError
from nextscan.report.volume_grid import Grid, Image, grid_of, most_changed

FOLDER, INDEX = "volumes", "index.json"
_AGAIN = "run `nextscan evaluate` again with the same --out"


@dataclass(frozen=True, eq=False)
class PredictedSeries:
    """What a method predicts for one subject at one or several times after the source.

    Attributes
    ----------
    years : ndarray of float, shape (n,)
        Time after the source image, ascending; NaN where unknown.
    mean : ndarray of float32, shape (n, x, y, z)
        Imputed mean, on the source's grid and intensity scale.
    sd : ndarray of float32, shape (n, x, y, z), optional
        Standard deviation of the draws.
    """

    years: NDArray[np.float64]
    mean: NDArray[np.float32]
    sd: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class VolumeExample:
    """One subject's images, all on the grid of the source.

    Attributes
    ----------
    subject, source_visit, visit : str
        `visit` is the hidden follow-up; empty where there was none.
    affine : ndarray of float, shape (4, 4)
        Voxel to mm (right, anterior, superior).
    source : ndarray of float32, shape (x, y, z)
        Native intensities.
    predicted : mapping of method to PredictedSeries
    real : ndarray of float32, shape (x, y, z), optional
        The follow-up, on the source's grid.
    gap : float
        Years from the source to `real`; NaN if unknown.
    noise_free : bool
        Whether `real` is without measurement noise, as only a simulated follow-up can be.
    unit : str
        Of times.
    """

    subject: str
    source_visit: str
    affine: NDArray[np.float64]
    source: Image
    predicted: Mapping[str, PredictedSeries]
    visit: str = ""
    real: Image | None = None
    gap: float = float("nan")
    noise_free: bool = False
    unit: str = "years"

    @cached_property
    def grid(self) -> Grid:
        """Return how the images are turned upright and cropped for showing."""
        return grid_of(self.source, self.affine)

    def at_gap(self, method: str) -> int:
        """Return the position of the predicted time nearest to the real follow-up; without one, the last."""
        years = self.predicted[method].years
        if not np.isfinite(self.gap) or not np.isfinite(years).any():
            return len(years) - 1
        return int(np.nanargmin(np.abs(years - self.gap)))

    def point(self, method: str = "") -> tuple[int, int, int]:
        """Return the voxel of the upright image where the real, or else the predicted, change is largest."""
        shown = self.real if self.real is not None else self.predicted[method].mean[self.at_gap(method)]
        return most_changed(self.grid.apply(shown - self.source), self.grid.spacing)


def read_examples(folder: Path) -> tuple[VolumeExample, ...] | None:
    """Read the example images of a run folder; None where the run has none.

    Raises
    ------
    RunFolderError
        If the index or an image file is missing or damaged, or arrays do not fit together.
    """
    path = folder / FOLDER / INDEX
    if not path.exists():
        return None
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        entries = index["examples"]
        told = [(dict(entry), path.parent / str(entry["file"])) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunFolderError(f"{path}: does not list the example images of a run ({error!r}): {_AGAIN}") from error
    return tuple(_read(entry, file, str(index.get("unit", "years"))) for entry, file in told)


def _read(entry: dict[str, Any], path: Path, unit: str) -> VolumeExample:
    if path.parent.name != FOLDER or not path.is_file():
        raise RunFolderError(f"{path}: not found beside {INDEX}: {_AGAIN}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        source, affine = arrays["source"].astype(np.float32), arrays["affine"].astype(float)
        gap = float("nan") if entry.get("gap") is None else float(entry["gap"])
        methods = [name.removeprefix("mean/") for name in arrays if name.startswith("mean/")]
        methods += [
            method for name in arrays if (method := name.removeprefix("mean_at/")) != name and method not in methods
        ]
        example = VolumeExample(
            subject=str(entry["subject"]),
            source_visit=str(entry["source_visit"]),
            visit=str(entry.get("visit", "")),
            affine=affine,
            source=source,
            real=arrays["real"].astype(np.float32) if "real" in arrays else None,
            gap=gap,
            noise_free=bool(entry.get("noise_free", False)),
            unit=unit,
            predicted={method: _series(arrays, method, gap) for method in methods},
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunFolderError(f"{path}: cannot be read as example images ({error!r}): {_AGAIN}") from error
    _check(example, path)
    return example


def _series(arrays: Mapping[str, NDArray[Any]], method: str, gap: float) -> PredictedSeries:
    """Join the prediction at the follow-up's own time and those at set times, in order of time."""
    mean, sd, years = [], [], []
    if f"mean/{method}" in arrays:
        mean.append(arrays[f"mean/{method}"])
        sd.append(arrays.get(f"sd/{method}"))
        years.append(gap)
    if f"mean_at/{method}" in arrays:
        spread = arrays.get(f"sd_at/{method}")
        for k, (at, image) in enumerate(zip(arrays["years"], arrays[f"mean_at/{method}"], strict=True)):
            if not np.isclose(at, gap, atol=1e-3):
                mean.append(image)
                sd.append(None if spread is None else spread[k])
                years.append(float(at))
    order = np.argsort(years, kind="stable")
    known = [image for image in sd if image is not None]
    return PredictedSeries(
        np.asarray(years, float)[order],
        np.stack(mean).astype(np.float32)[order],
        np.stack(known).astype(np.float32)[order] if len(known) == len(sd) else None,
    )


def _check(example: VolumeExample, path: Path) -> None:
    shape = example.source.shape
    images = {"real": example.real} if example.real is not None else {}
    for method, series in example.predicted.items():
        images |= {f"mean of {method}": series.mean[0]}
        if series.sd is not None:
            images |= {f"sd of {method}": series.sd[0]}
    wrong = next((name for name, image in images.items() if image.shape != shape), None)
    if len(shape) != 3 or example.affine.shape != (4, 4) or wrong:
        raise RunFolderError(f"{path}: {wrong or 'source'} is not on the source's grid {shape}: {_AGAIN}")
    images |= {"source": example.source}
    broken = next((name for name, image in images.items() if not np.isfinite(image).all()), None)
    if broken or not np.isfinite(example.affine).all() or abs(np.linalg.det(example.affine[:3, :3])) < 1e-9:
        raise RunFolderError(f"{path}: {broken or 'affine'} holds values that are not finite or not usable: {_AGAIN}")
