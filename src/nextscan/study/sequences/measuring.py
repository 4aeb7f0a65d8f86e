"""How volumes are measured in images: by a network learned in each fold, or by a function of the user's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import nextscan
from nextscan.arrays import FloatArray, read_npz
from nextscan.atomic import atomic_path
from nextscan.cohort import Cohort, Split, merge
from nextscan.errors import ImageError
from nextscan.metrics import dice
from nextscan.study.plan import LEARNED_SEGMENTER, Plan
from nextscan.study.plugs import load_function
from nextscan.study.sequences.truth import CAVITY, real_film

if TYPE_CHECKING:
    from nextscan.imputers.sequences.segmenter import Segmenter


@dataclass(frozen=True, eq=False)
class Measuring:
    """What measures volumes in one fold.

    Attributes
    ----------
    names : tuple of str
        Regions.
    learned : Segmenter or None
    function : str
        ``module:function``, where nothing is learned.
    volumes : ndarray, shape (n_visits, n_regions)
        What it finds in the real frames of the whole cohort, mL; NaN where there is no image.
    likeness : ndarray, shape (n_visits,)
        Dice of the cavity in the frames of test subjects that have a label map.
    """

    names: tuple[str, ...]
    learned: Segmenter | None
    function: str
    volumes: FloatArray
    likeness: FloatArray

    def of(self, images: NDArray[np.floating], affine: FloatArray) -> FloatArray:
        """Return the volumes in mL of images of one grid, shape (n, n_regions)."""
        if self.learned is not None:
            return self.learned.measure(images, affine) / 1000
        return np.array([_told(self.function, image, affine, self.names) for image in images]) / 1000

    def cavity(self, images: NDArray[np.floating]) -> NDArray[np.bool_] | None:
        """Return where it sees the cavity in images, None where it does not tell."""
        if self.learned is None or CAVITY not in self.learned.regions:
            return None
        found: NDArray[np.bool_] = self.learned.label(images) == self.learned.regions[CAVITY]
        return found


def _told(function: str, image: NDArray[np.floating], affine: FloatArray, names: Sequence[str]) -> list[float]:
    """Return mm³ by region as a function of the user's own tells them, in order."""
    found = named_volumes(function, image, affine)
    if set(found) != set(names):
        raise ImageError(
            f"segmenter {function}: finds {', '.join(sorted(found))} in one image and {', '.join(sorted(names))} in "
            "another; let it return the same names for every image"
        )
    return [found[name] for name in names]


def named_volumes(function: str, image: NDArray[np.floating], affine: FloatArray) -> dict[str, float]:
    """Return mm³ by region, names in small letters.

    Raises
    ------
    ImageError
        If the function fails, or gives something else than finite numbers.
    """
    call = load_function(function, what="segmenter")
    try:
        found = {
            str(name).lower(): float(value)
            for name, value in call(np.ascontiguousarray(image, np.float32), affine).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ImageError(f"segmenter {function}: cannot segment an image: {error}") from error
    if not all(np.isfinite(value) for value in found.values()):
        raise ImageError(f"segmenter {function}: gives volumes that are not finite; use another one")
    return found


def measuring_path(folder: Path, plan: Plan, repeat: int, fold: int, regions: Mapping[str, int]) -> Path:
    """Return where what measures in a fold is kept; a function of the user's own is the same in all folds."""
    learned = plan.segmenter == LEARNED_SEGMENTER
    where: list[object] = [repeat, fold, plan.n_folds, plan.seed, dict(regions), _settings()] if learned else []
    document = json.dumps([nextscan.__version__, plan.fingerprint, plan.segmenter, *where])
    key = hashlib.blake2b(document.encode(), digest_size=6).hexdigest()
    return folder / (f"measuring-repeat{repeat}-fold{fold}-{key}.npz" if learned else f"measuring-{key}.npz")


def _settings() -> dict[str, object]:
    from nextscan.imputers.sequences.segmenter import SegmenterSettings

    return SegmenterSettings().to_dict()


def network_path(path: Path) -> Path:
    """Return where the network of what is kept at a path is kept."""
    return path.with_name(f"{path.stem}.network.npz")


def learn_measuring(cohort: Cohort, split: Split, plan: Plan, path: Path, regions: Mapping[str, int]) -> None:
    """Learn to measure from the training subjects of a fold, and measure all real frames.

    Parameters
    ----------
    cohort : Cohort
        All films.
    split : Split
        Of the same films.
    """
    learned = None
    if plan.segmenter == LEARNED_SEGMENTER:
        from nextscan.imputers.sequences.segmenter import Segmenter

        kept = network_path(path)
        learned = Segmenter.load(kept)
        if learned is None:
            learned = Segmenter.fit(merge(split.train, split.validation), regions=regions, seed=plan.seed)
            learned.save(kept)
    empty = np.full((cohort.n_visits, len(regions)), np.nan)
    measuring = Measuring(tuple(regions), learned, plan.segmenter, empty, empty[:, 0])
    volumes, likeness = empty.copy(), empty[:, 0].copy()
    tested = np.isin(cohort.subjects, split.test.subjects)
    for i in range(cohort.n_subjects):
        rows = np.flatnonzero((cohort.subject_of == i) & cohort.has_volume)
        if not len(rows):
            continue
        film = real_film(cohort, rows, np.ones(len(rows), bool), regions)
        volumes[rows] = measuring.of(film.images, film.affine)
        if tested[i] and (seen := measuring.cavity(film.images)) is not None:
            for row, found, labels in zip(rows, seen, film.labels, strict=True):
                if labels is not None:
                    likeness[row] = dice(found, labels == regions[CAVITY])
    with atomic_path(path) as beside:
        np.savez(beside, volumes=volumes, likeness=likeness)


def load_measuring(path: Path, plan: Plan, regions: Mapping[str, int]) -> Measuring | None:
    """Return what was kept, None where there is nothing that can be read."""
    try:
        kept = read_npz(path)
        volumes, likeness = kept["volumes"], kept["likeness"]
    except (OSError, ValueError, KeyError, EOFError):
        return None
    learned = None
    if plan.segmenter == LEARNED_SEGMENTER:
        from nextscan.imputers.sequences.segmenter import Segmenter

        learned = Segmenter.load(network_path(path))
        if learned is None:
            return None
    return Measuring(tuple(regions), learned, plan.segmenter, volumes, likeness)
