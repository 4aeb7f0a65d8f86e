"""What the contract's checks of volume imputers share: an imputer under test with a few tiny images."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort, PredictedVolume, Task, hide
from nextscan.imputers.contract.candidate import BaseCandidate
from nextscan.imputers.contract.volume_world import growing_ventricles

_SHARED = 0.8  # correlation of noise beyond which it is the same in another scale


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


class VolumeCandidate(BaseCandidate):
    """An imputer of images under test, with a few tiny ones.

    Parameters
    ----------
    make : callable
        Returns an unfitted imputer, small enough to fit in a moment.
    cohort : Cohort, optional
        Instead of the built-in one: at least 10 subjects with two images or more, of one shape.
    tolerance : float
        For results that must agree up to rounding, as a fraction of the spread of training intensities.
    """

    kind, n_draws, observed, few, times = "volumes", 3, "an image", (0, 1, 2), (0.0, 2.5)
    unit_name = "the spread of intensities"

    def __init__(self, make: Callable[[], Any], *, cohort: Cohort | None = None, tolerance: float = 1e-3) -> None:
        self.folder = Path(mkdtemp(prefix="nextscan-contract-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        cohort = growing_ventricles(self.folder / "images", 16) if cohort is None else cohort
        paired = np.flatnonzero(cohort.is_paired)
        part = np.zeros(cohort.n_subjects, int)
        part[paired[-3:]], part[paired[-5:-3]] = 2, 1
        super().__init__(make, [cohort.select_subjects(part == k) for k in range(3)], tolerance)

    def impute(self, *args: Any, **how: Any) -> Seen:
        """Impute and keep all volumes."""
        return Seen.of(list(super().impute(*args, **how)))

    @cached_property
    def unit(self) -> float:
        """Spread of intensities of the test images."""
        from nextscan.images.files import read_image

        paths = self.test.files_of("volume")[self.test.has_volume]
        return float(np.mean([read_image(path).data.std() for path in paths]))

    def assert_own_noise(self, draws: NDArray[np.floating]) -> None:
        """Assert that subjects do not share their noise."""
        noise = (draws - draws.mean(axis=0)).swapaxes(0, 1).reshape(draws.shape[1], -1)
        alike = np.corrcoef(noise)[np.triu_indices(len(noise), 1)]
        assert (alike < _SHARED).all(), f"subjects must not share their noise, it correlates by {alike.max():.2f}"

    def hiding(self, cohort: Cohort, rows: NDArray[np.bool_]) -> Cohort:
        """Return the cohort with these visits as requests."""
        return replace(cohort, files={role: np.where(rows, "", paths) for role, paths in cohort.files.items()})

    def other_truth(self) -> Task:
        """Return the task with other hidden images."""
        files = self.test.files_of("volume").copy()
        last = np.flatnonzero(np.diff(self.test.subject_of, append=-1))
        files[last] = np.roll(files[last], 1)
        changed = hide(replace(self.test, files={**self.test.files, "volume": files}))
        assert (changed.truth_files["volume"] != self.task.truth_files["volume"]).any()
        return changed

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
