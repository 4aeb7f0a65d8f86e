"""What the contract's checks of volume imputers share: an imputer under test with a few tiny images."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort, PredictedVolume, Task, hide
from nextscan.imputers.contract.volume_world import growing_ventricles
from nextscan.imputers.volumes.base import VolumeImputer

DRAWS = 3


@dataclass(frozen=True, eq=False)
class Seen:
    """All volumes of an imputation, made and kept.

    Attributes
    ----------
    volumes : list of PredictedVolume
    draws : ndarray of float32, shape (n_draws, n_targets, x, y, z)
    """

    volumes: list[PredictedVolume]
    draws: NDArray[np.float32]

    @classmethod
    def of(cls, volumes: list[PredictedVolume]) -> Seen:
        """Stack the draws of volumes of one shape."""
        return cls(volumes, np.stack([volume.draws for volume in volumes], axis=1))

    def mean(self) -> NDArray[np.float32]:
        """Return the means, shape (n_targets, x, y, z)."""
        return np.stack([volume.mean for volume in self.volumes])


class VolumeCandidate:
    """An imputer of images under test; it is fitted once, when first needed.

    Parameters
    ----------
    make : callable
        Returns an unfitted imputer, small enough to fit in a moment.
    cohort : Cohort, optional
        Instead of the built-in one: at least 10 subjects with two images or more, of one shape.
    tolerance : float
        For results that must agree up to rounding, as a fraction of the spread of training intensities.
    """

    def __init__(
        self, make: Callable[[], VolumeImputer], *, cohort: Cohort | None = None, tolerance: float = 1e-3
    ) -> None:
        self.make, self.tolerance = make, tolerance
        self.folder = Path(mkdtemp(prefix="nextscan-contract-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.cohort = growing_ventricles(self.folder / "images", 16) if cohort is None else cohort
        paired = np.flatnonzero(self.cohort.is_paired)
        part = np.zeros(self.cohort.n_subjects, int)
        part[paired[-3:]], part[paired[-5:-3]] = 2, 1
        self.train, self.validation, self.test = (self.cohort.select_subjects(part == k) for k in range(3))
        self.fingerprints = [each.fingerprint() for each in (self.train, self.validation, self.task.shown)]

    @cached_property
    def task(self) -> Task:
        """Test subjects with their last images hidden."""
        return hide(self.test)

    @cached_property
    def fitted(self) -> VolumeImputer:
        """The imputer, fitted on training and validation subjects."""
        return self.make().fit(self.train, self.validation, seed=1)

    @cached_property
    def result(self) -> Seen:
        """What the fitted imputer makes of the task."""
        return self.impute(self.task.shown)

    @cached_property
    def spread(self) -> float:
        """Spread of intensities of the test images."""
        from nextscan.images.files import read_image

        paths = self.test.files_of("volume")[self.test.has_volume]
        return float(np.mean([read_image(path).data.std() for path in paths]))

    def impute(self, cohort: Cohort, model: VolumeImputer | None = None) -> Seen:
        """Impute with the usual number of draws and seed."""
        return Seen.of(list((model or self.fitted).impute(cohort, DRAWS, seed=7)))

    def agree(self, have: NDArray[np.floating], want: NDArray[np.floating], promise: str) -> None:
        """Assert equality up to rounding."""
        assert have.shape == want.shape, f"{promise}: shape {have.shape}, expected {want.shape}"
        off = float(np.max(np.abs(have - want), initial=0.0)) / self.spread
        assert off <= self.tolerance, f"{promise}: results differ by {off:.2g} of the spread of intensities"

    def rewritten(
        self, cohort: Cohort, name: str, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> Cohort:
        """Return the cohort with changed copies of its images, in a folder of that name."""
        from nextscan.images.files import read_image, write_image

        (self.folder / name).mkdir(exist_ok=True)
        paths = cohort.files_of("volume").tolist()
        new = [path and str(self.folder / name / Path(path).name) for path in paths]
        for path, place in zip(paths, new, strict=True):
            if path:
                image = read_image(path)
                write_image(Path(place), change(image.data), image.affine)
        return replace(cohort, files={**cohort.files, "volume": np.array(new)})


def finite(result: Seen) -> bool:
    """Tell whether draws and means are finite."""
    return bool(np.isfinite(result.draws).all() and np.isfinite(result.mean()).all())
