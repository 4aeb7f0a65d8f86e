"""Regional volumes of every image of a cohort, which become the features that studies score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, IntArray, Progress
from nextscan.atomic import write_text
from nextscan.cohort import Cohort, pairs
from nextscan.errors import ImageError, some
from nextscan.stamps import split_frame
from nextscan.study.plugs import load_function

_TABLE = "regions.tsv"
_WORTH = 2.0  # pairs
_ANCESTORS = 5  # folders between a label map and the root of its derivative


@dataclass(frozen=True, eq=False)
class Regions:
    """Regional volumes in mm³, one row per visit of the cohort they were measured in.

    Attributes
    ----------
    names : tuple of str
    truth : ndarray, shape (n_visits, n_regions)
        The best known volumes; NaN for visits without an image.
    segmented : dict of image path to ndarray, shape (n_regions,)
        What the segmenter makes of each image.
    origin : str
        Where the truth comes from: "regions.tsv", "label maps" or "segmenter".
    segmenter : str
        As ``module:function``.
    labels : tuple of int
        What the regions are called in label maps; empty where that is not known.
    slope : ndarray, shape (n_regions,), or None
        How much of a true change the segmenter sees, see `calibrated`; None counts as 1.
    """

    names: tuple[str, ...]
    truth: FloatArray
    segmented: dict[str, FloatArray]
    origin: str
    segmenter: str
    labels: tuple[int, ...] = ()
    slope: FloatArray | None = None

    def calibrated(self, train: Cohort) -> Regions:
        """Learn on training subjects how much of a true change the segmenter sees.

        The slope of segmented on true change, by least squares through the origin over consecutive visits and
        towards 1 as if `_WORTH` further pairs had shown that. A slope of 0.7, as where voxels are coarser than
        cortex is thick, would make a perfect image lose three tenths of its change, and reward too much of it.

        Parameters
        ----------
        train : Cohort
            With true regional volumes as features.
        """
        if self.origin == "segmenter" or not train.is_paired.any():
            return self
        found, volume = pairs(train), train.files_of("volume")
        visits = zip(volume[found.context], volume[found.target], strict=True)
        seen = np.array([self.segmented[then] - self.segmented[first] for first, then in visits])
        true = train.features[found.target] - train.features[found.context]
        worth = _WORTH * (true**2).mean(axis=0)
        squares = (true**2).sum(axis=0) + worth
        slope = np.divide((seen * true).sum(axis=0) + worth, squares, out=np.ones_like(squares), where=squares > 0)
        return replace(self, slope=slope)

    def predicted(
        self, image: NDArray[np.floating], affine: FloatArray, *, source: str, context: FloatArray
    ) -> FloatArray:
        """Return the regional volumes of a predicted image, shape (n_regions,).

        The truth of the source plus what the segmenter says has changed since: its own bias, which both
        images share, cancels, and so does what it misses of every change.

        Parameters
        ----------
        image : ndarray, shape (x, y, z)
        affine : ndarray, shape (4, 4)
        source : str
            Path of the image the prediction starts from.
        context : ndarray, shape (n_regions,)
            True volumes of the source.
        """
        found = _call(self.segmenter, image, affine)
        change = _in_order(found, self.names, source) - self.segmented[source]
        if self.slope is not None:
            change = change / self.slope
        values: FloatArray = np.maximum(context + change, 0.0)
        return values

    def as_features(self, cohort: Cohort) -> Cohort:
        """Return the cohort that was measured with true regional volumes as its only features, and its files."""
        units = dict.fromkeys(self.names, "mm3")
        return replace(cohort, features=self.truth.copy(), feature_names=self.names, units=units)

    def record(self) -> dict[str, Any]:
        """Return what `run.json` says of them."""
        return {"names": list(self.names), "segmenter": self.segmenter, "truth": self.origin}


def measure_regions(
    cohort: Cohort, segmenter: str, folder: Path, *, progress: Progress | None = None, n_jobs: int = 1
) -> Regions:
    """Segment every image of a cohort, and find the true volumes where they are known.

    The truth is, for all visits alike, the first of these that is there for every visit with an image:
    a row of a ``regions.tsv`` in the derivative its label map belongs to (volumes with shares of voxels,
    which simulated cohorts have); its label map, voxels counted; what the segmenter finds.

    Parameters
    ----------
    cohort : Cohort
    segmenter : str
        ``module:function``.
    folder : path
        Where the result for each image is kept, so that it is computed once.
    progress : callable, optional
        Called with ``done`` and ``total``.
    n_jobs : int

    Raises
    ------
    ImageError
        If an image cannot be read or segmented, or the segmenter finds other regions in it than in the first.
    """
    from joblib import Parallel, delayed

    folder.mkdir(parents=True, exist_ok=True)
    rows = np.flatnonzero(cohort.has_volume)
    volume = cohort.files_of("volume")
    names_of = cohort.subject_names(rows)
    where = [f"{subject} {cohort.visits[row]}" for subject, row in zip(names_of, rows, strict=True)]
    work = (delayed(_segmented)(volume[row], segmenter, folder, place) for row, place in zip(rows, where, strict=True))
    found = []
    for volumes in Parallel(n_jobs=n_jobs, return_as="generator")(work):
        found.append(volumes)
        if progress is not None:
            progress({"phase": "regional volumes", "done": len(found), "total": len(rows)})
    names = tuple(found[0])
    values = np.array([_in_order(volumes, names, volume[row]) for volumes, row in zip(found, rows, strict=True)])
    truth, origin = _known(cohort, rows, names, where)
    whole = np.full((cohort.n_visits, len(names)), np.nan)
    whole[rows] = values if truth is None else truth
    of_image = {str(volume[row]): value for row, value in zip(rows, values, strict=True)}
    maps = cohort.files_of("segmentation")[rows]
    codes = tuple(_labels_of(maps[maps != ""][0], names)) if (maps != "").any() else ()
    return Regions(names, whole, of_image, origin, segmenter, codes)


def _segmented(path: str, segmenter: str, folder: Path, where: str) -> dict[str, float]:
    """Segment one image, or read what was found before."""
    from nextscan.images.files import read_image

    kept = folder / f"{_key(path, segmenter)}.json"
    try:
        known: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
        return known
    except (OSError, ValueError):
        pass
    image = read_image(path, where=where)
    try:
        volumes = {str(name): float(value) for name, value in _call(segmenter, image.data, image.affine).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ImageError(f"{path} ({where}): {segmenter} cannot segment it: {error}") from error
    if wrong := [name for name, value in volumes.items() if not np.isfinite(value)]:
        raise ImageError(f"{path} ({where}): {segmenter} gives no volume of {some(wrong)}; use another segmenter")
    write_text(kept, json.dumps(volumes))
    return volumes


def _call(segmenter: str, image: NDArray[np.floating], affine: FloatArray) -> Mapping[str, float]:
    """Segment an image; equal images give equal volumes to the bit, as sums run in the same order."""
    found: Mapping[str, float] = load_function(segmenter, what="segmenter")(
        np.ascontiguousarray(image, np.float32), affine
    )
    return found


def _in_order(found: Mapping[str, float], names: Sequence[str], path: str) -> FloatArray:
    if set(found) != set(names):
        other = sorted(set(found) ^ set(names))
        raise ImageError(
            f"{path}: the segmenter finds other regions than in the first image: {some(other)}; let it return the "
            "same names for every image"
        )
    return np.array([float(found[name]) for name in names])


def _key(path: str, segmenter: str) -> str:
    """Hash the segmenter's name and all of a file: an image that was changed is segmented again."""
    name, frame = split_frame(path)
    with open(name, "rb") as file:
        digest = hashlib.file_digest(file, "blake2b")
    which = segmenter if frame is None else f"{segmenter}#{frame}"
    return hashlib.blake2b(digest.digest() + which.encode(), digest_size=10).hexdigest()


def _known(cohort: Cohort, rows: IntArray, names: Sequence[str], where: Sequence[str]) -> tuple[FloatArray | None, str]:
    """Return true volumes of all images from tables or label maps, shape (n_images, n_regions), and which."""
    maps = cohort.files_of("segmentation")[rows]
    if not (maps != "").all():
        return None, "segmenter"
    tables = [_read_table(table) for table in dict.fromkeys(filter(None, (_above(path, _TABLE) for path in maps)))]
    if tables:
        known = pd.concat(tables, ignore_index=True)
        if {"participant_id", "session_id", *names} <= set(known.columns):
            known = known.drop_duplicates(["participant_id", "session_id"]).set_index(["participant_id", "session_id"])
            wanted = pd.MultiIndex.from_arrays(
                [
                    [_prefixed(name, "sub") for name in cohort.subject_names(rows)],
                    [_prefixed(name, "ses") for name in cohort.visits[rows]],
                ]
            )
            values = known[list(names)].reindex(wanted).to_numpy(np.float64, copy=True)
            if np.isfinite(values).all():
                return values, _TABLE
    labels = _labels_of(maps[0], names)
    if set(names) != set(labels.values()):
        return None, "segmenter"
    counted = [_counted(path, labels, names, place) for path, place in zip(maps, where, strict=True)]
    return np.array(counted), "label maps"


def _counted(path: str, labels: Mapping[int, str], names: Sequence[str], where: str) -> FloatArray:
    """Count the voxels of each region of a label map; several labels may share a name."""
    from nextscan.images.files import read_image

    image = read_image(path, where=where, allow_constant=True)
    codes, counts = np.unique(np.rint(image.data).astype(np.int64), return_counts=True)
    total = dict.fromkeys(names, 0.0)
    voxel = abs(float(np.linalg.det(image.affine[:3, :3])))
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        if labels.get(code) in total:
            total[labels[code]] += count * voxel
    return np.array(list(total.values()))


def _labels_of(path: str, names: Sequence[str]) -> dict[int, str]:
    """Return which label is which region, by the nearest BIDS look-up table above a label map; the others not.

    A look-up table (``*dseg.tsv``) has columns index and name; a column region, where several labels make a
    region, goes first.
    """
    for folder in list(Path(path).parents)[:_ANCESTORS]:
        for table in sorted(folder.glob("*dseg.tsv")):
            frame = _read_table(str(table))
            for column in ("region", "name"):
                if {"index", column} <= set(frame.columns) and set(names) <= set(frame[column]):
                    rows = frame[frame[column].isin(list(names))]
                    return dict(zip(rows["index"].astype(int), rows[column].astype(str), strict=True))
    return {}


def _above(path: str, name: str) -> str:
    """Return the nearest file of that name in the folders above a file; empty where there is none."""
    found = (folder / name for folder in list(Path(path).parents)[:_ANCESTORS])
    return next((str(file) for file in found if file.is_file()), "")


def _read_table(path: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", dtype={"participant_id": str, "session_id": str})
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]}); correct it") from error


def _prefixed(name: str, prefix: str) -> str:
    return name if name.startswith(f"{prefix}-") else f"{prefix}-{name}"
