"""Pairs of images of one subject: what every volume estimator learns from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import Volume
from nextscan.cohort import Cohort, Pairs
from nextscan.imputers.estimator import Progress
from nextscan.imputers.volumes.brightness import as_bright_as, brightness
from nextscan.preprocess.volumes import Prepared, VolumePreparer

_FEWEST = 100  # voxels in a bin of brightness
_LEAST = 1e-3  # of the largest variance of change: none is so certain that it could not be wrong


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
    brighter : ndarray of float, shape (n_pairs, 20), or None
        By what the scanner made the later image brighter, see `brightness`; None to leave it so, each image
        in its own scale.
    """

    cohort: Cohort
    pairs: Pairs
    volumes: Mapping[int, Prepared]
    brighter: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    def both(self, i: int, *, backward: bool = False) -> tuple[Volume, Volume]:
        """Return the images of pair i, shape (x, y, z) each, in [-1, 1]: the source and what it becomes.

        Beyond the field of view of either image it stays as it is: a slab that one scan missed is no change.

        Parameters
        ----------
        i : int
        backward : bool
            Start from the later image. The other one is always as bright as the one to start from.
        """
        source, target = (self.volumes[int(rows[i])] for rows in (self.pairs.context, self.pairs.target))
        sign = 1
        if backward:
            source, target, sign = target, source, -1
        becomes = target.data if self.brighter is None else as_bright_as(source, target, sign * self.brighter[i])
        shown = source.shown_by_both(target)
        return source.data, becomes if shown is None else np.where(shown, becomes, source.data)

    def change(self, i: int) -> Volume:
        """Return later minus earlier image."""
        source, target = self.both(i)
        change: Volume = np.subtract(target, source)
        return change

    def spread(self) -> float:
        """Return the root mean square of change over pairs and voxels; 1 if nothing ever changes."""
        squares = [np.mean(np.square(self.change(i), dtype=np.float64)) for i in range(len(self))]
        return float(np.sqrt(np.mean(squares))) or 1.0

    def spread_by_brightness(self) -> NDArray[np.float32]:
        """Return the root mean square of change where the source is so bright, see `spread_by_brightness`."""
        pairs = (self.both(i) for i in range(len(self)))
        return spread_by_brightness((source, target - source) for source, target in pairs)


def spread_by_brightness(changes: Iterable[tuple[Volume, Volume]], n_bins: int = 16) -> NDArray[np.float32]:
    """Return the root mean square of changes where the source is so bright, shape (n_bins,).

    Parameters
    ----------
    changes : iterable of (source, change), each of shape (x, y, z)
    n_bins : int
        Bins share [-1, 1] out; one that has hardly a voxel takes the value of its neighbours.
    """
    sums, counts = np.zeros((2, n_bins))
    for source, change in changes:
        of = np.clip(((source + 1) * (n_bins / 2)).astype(np.intp), 0, n_bins - 1).ravel()
        sums += np.bincount(of, np.square(change).ravel(), minlength=n_bins)
        counts += np.bincount(of, minlength=n_bins)
    some = np.flatnonzero(counts >= _FEWEST)
    if not len(some) or not sums.any():
        return np.full(n_bins, np.sqrt(sums.sum() / max(counts.sum(), 1)) or 1.0, np.float32)
    squares = np.interp(np.arange(n_bins), some, sums[some] / counts[some])
    spread: NDArray[np.float32] = np.sqrt(np.maximum(squares, _LEAST * squares.max())).astype(np.float32)
    return spread


@contextmanager
def prepared_images(
    cohort: Cohort, rows: Sequence[int], preparer: VolumePreparer, checkpoint: Path | None, progress: Progress | None
) -> Iterator[dict[int, Prepared]]:
    """Prepare the images of visits, and keep them on disk while the context lasts.

    They lie in the preparer's own cache; without one beside the checkpoint; without that in a temporary
    folder. So memory is bounded however many images there are.
    """
    with TemporaryDirectory(prefix="nextscan-") as temporary:
        cache = preparer.cache or (temporary if checkpoint is None else str(checkpoint / "volumes"))
        caching, images, began = replace(preparer, cache=cache), {}, time.monotonic()
        for done, row in enumerate(rows, start=1):
            images[row] = caching.prepare(cohort, row)
            if progress is not None:
                left = (time.monotonic() - began) / done * (len(rows) - done)
                progress({"phase": "preparing", "done": done, "total": len(rows), "remaining_seconds": left})
        yield images


@contextmanager
def prepared_pairs(
    cohort: Cohort,
    preparer: VolumePreparer,
    checkpoint: Path | None,
    progress: Progress | None,
    *,
    match_brightness: bool = False,
) -> Iterator[PreparedPairs]:
    """Prepare the images of all pairs, and keep them on disk while the context lasts, see `prepared_images`.

    Parameters
    ----------
    cohort, preparer, checkpoint, progress
    match_brightness : bool
        Whether the images of a pair are made equally bright, up to what changed.
    """
    found = forward_pairs(cohort)
    rows = np.unique(np.concatenate([found.context, found.target])).tolist()
    with prepared_images(cohort, rows, preparer, checkpoint, progress) as volumes:
        data = PreparedPairs(cohort, found, volumes)
        if match_brightness:
            each = zip(found.context.tolist(), found.target.tolist(), strict=True)
            data = replace(data, brighter=np.array([brightness(volumes[first], volumes[then]) for first, then in each]))
        yield data
