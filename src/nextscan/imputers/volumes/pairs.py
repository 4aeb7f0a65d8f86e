"""Pairs of images of one subject: what every volume estimator learns from."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort, Pairs
from nextscan.imputers.estimator import Progress
from nextscan.preprocess.volumes import Prepared, VolumePreparer

Volume = NDArray[np.float32]


def images_only(cohort: Cohort) -> Cohort:
    """Return the cohort without its features: a visit without an image is a request then.

    Columns beside the images, such as regional volumes, are neither learned from nor in the way.
    """
    if not cohort.n_features:
        return cohort
    return replace(cohort, features=np.zeros((cohort.n_visits, 0)), feature_names=(), units={})


def forward_pairs(cohort: Cohort) -> Pairs:
    """Find every pair of a subject's images, the earlier one first: n visits give n (n - 1) / 2.

    `nextscan.cohort.pairs` has the consecutive ones only. Over the longer intervals between the others more
    changes, and noise is the same.

    >>> from nextscan.cohort import Cohort
    >>> paths = np.array(["a1.nii", "a2.nii", "", "a4.nii", "b1.nii"])
    >>> cohort = Cohort("toy", np.array(["a", "b"]), np.array([0, 0, 0, 0, 1]), np.array(list("12341")),
    ...     np.array([0.0, 1.0, 2.0, 4.0, 0.0]), np.zeros((5, 0)), (), files={"volume": paths})
    >>> found = forward_pairs(cohort)
    >>> found.context.tolist(), found.target.tolist(), found.gap.tolist()
    ([0, 0, 1], [1, 3, 3], [1.0, 4.0, 3.0])
    """
    rows = np.flatnonzero(cohort.has_volume)
    starts = np.flatnonzero(np.diff(cohort.subject_of[rows], prepend=-1))
    sizes = np.diff(np.append(starts, len(rows)))
    found = [start + np.stack(np.triu_indices(size, 1)) for start, size in zip(starts, sizes, strict=True)]
    first, second = rows[np.concatenate(found, axis=1)] if found else np.zeros((2, 0), np.intp)
    return Pairs(first, second, cohort.years[second] - cohort.years[first])


@dataclass(frozen=True, eq=False)
class PreparedPairs:
    """Prepared images of pairs, read from disk when asked for.

    Attributes
    ----------
    cohort : Cohort
    pairs : Pairs
    volumes : mapping of visit row to Prepared
        Their data are memory maps of files in the cache.
    """

    cohort: Cohort
    pairs: Pairs
    volumes: Mapping[int, Prepared]

    def __len__(self) -> int:
        return len(self.pairs)

    def source(self, i: int) -> Volume:
        """Return the earlier image of pair i, shape (x, y, z), in [-1, 1]."""
        return self.volumes[int(self.pairs.context[i])].data

    def target(self, i: int) -> Volume:
        """Return the later image of pair i, on the grid of the earlier one."""
        return self.volumes[int(self.pairs.target[i])].data

    def change(self, i: int) -> Volume:
        """Return later minus earlier image."""
        change: Volume = np.subtract(self.target(i), self.source(i))
        return change


@contextmanager
def prepared_pairs(
    cohort: Cohort, preparer: VolumePreparer, checkpoint: Path | None, progress: Progress | None
) -> Iterator[PreparedPairs]:
    """Prepare the images of all pairs, and keep them on disk while the context lasts.

    They lie in the preparer's own cache; without one beside the checkpoint; without that in a temporary
    folder. So memory is bounded however many images there are.
    """
    with TemporaryDirectory(prefix="nextscan-") as temporary:
        cache = preparer.cache or (temporary if checkpoint is None else str(checkpoint / "volumes"))
        caching = replace(preparer, cache=cache)
        found = forward_pairs(cohort)
        rows = np.unique(np.concatenate([found.context, found.target])).tolist()
        volumes = {}
        began = time.monotonic()
        for done, row in enumerate(rows, start=1):
            volumes[row] = caching.prepare(cohort, row)
            if progress is not None:
                left = (time.monotonic() - began) / done * (len(rows) - done)
                progress({"phase": "preparing", "done": done, "total": len(rows), "remaining_seconds": left})
        yield PreparedPairs(cohort, found, volumes)
