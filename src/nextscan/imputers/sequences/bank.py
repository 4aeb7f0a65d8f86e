"""Films of training subjects that are kept, and which of their images stand for those shown of another one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, IntArray, Volume
from nextscan.cohort import Cohort
from nextscan.imputers.estimator import Progress
from nextscan.imputers.sequences.scale import as_reference, in_window, rescaled
from nextscan.imputers.sequences.shown import Shown
from nextscan.imputers.sequences.times import apart
from nextscan.preprocess.volumes import Prepared, VolumePreparer

_TIE = 1e-3  # of time since the first image, beside time between images


@dataclass(frozen=True, eq=False)
class Match:
    """Images of a film that stand for those shown of another one.

    Attributes
    ----------
    film : int
    shown : ndarray of int, shape (n,)
        Rows of the bank, one for each image shown; a film of fewer images may have one twice.
    target : int
        Row of the bank.
    lacking : int
        How many of the images around the target the film has no equal of.
    """

    film: int
    shown: IntArray
    target: int
    lacking: int


@dataclass(frozen=True, eq=False)
class FilmBank:
    """Prepared films of training subjects, one after the other.

    Attributes
    ----------
    frames : ndarray of float16, shape (n, x, y, z)
    windows : ndarray of float, shape (n, 2)
        Intensities that are -1 and 1 in each.
    times : ndarray of float, shape (n,)
    starts : ndarray of int, shape (n_films + 1,)
        Film i has images ``starts[i]`` to ``starts[i + 1]``.
    period : float or None
        Where time is a circle.
    """

    frames: NDArray[np.float16]
    windows: FloatArray
    times: FloatArray
    starts: IntArray
    period: float | None

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        preparer: VolumePreparer,
        *,
        n_films: int,
        seed: int,
        match_brightness: bool,
        progress: Progress | None = None,
    ) -> Self:
        """Prepare the films of at most so many subjects, chosen at random.

        Only those count who have two images or more at known times.

        Parameters
        ----------
        cohort, preparer
        n_films, seed : int
        match_brightness : bool
            Whether all images of a film are made as bright as its first one; otherwise each keeps its own window.
        progress : callable, optional
        """
        rows = np.flatnonzero(cohort.has_volume & np.isfinite(cohort.years))
        several = np.flatnonzero(np.bincount(cohort.subject_of[rows], minlength=cohort.n_subjects) > 1)
        chosen = np.sort(several[np.random.default_rng([seed, len(several)]).permutation(len(several))[:n_films]])
        rows = rows[np.isin(cohort.subject_of[rows], chosen)]
        frames = np.empty((len(rows), *preparer.shape), np.float16)
        windows = np.empty((len(rows), 2))
        began = time.monotonic()
        first: Prepared | None = None
        of = cohort.subject_of[rows]
        for i, row in enumerate(rows.tolist()):
            image = preparer.prepare(cohort, row)
            if first is None or of[i] != of[i - 1]:
                first = image
            window = (image.low, image.high)
            if image is first:
                frames[i] = image.data
            elif match_brightness:
                frames[i] = as_reference(image, first, one_film=False)
                window = (first.low, first.high)
            else:
                both = image.shown_by_both(first)
                frames[i] = image.data if both is None else np.where(both, image.data, in_window(first, *window))
            windows[i] = window
            if progress is not None:
                left = (time.monotonic() - began) / (i + 1) * (len(rows) - i - 1)
                progress({"phase": "preparing", "done": i + 1, "total": len(rows), "remaining_seconds": left})
        starts = np.append(np.flatnonzero(np.diff(of, prepend=-1)), len(rows)).astype(np.intp)
        return cls(frames, windows, cohort.years[rows].copy(), starts, cohort.period)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def image(self, row: int, into: int) -> Volume:
        """Return an image in the window of another one, shape (x, y, z)."""
        (low, high), (new_low, new_high) = self.windows[row].tolist(), self.windows[into].tolist()
        return rescaled(self.frames[row], (low, high), (new_low, new_high))

    def shown(self, match: Match, source: int) -> tuple[Shown, Volume]:
        """Return what is shown of a film, and its image at the target, in the scale of the image shown at `source`."""
        into = int(match.shown[source])
        frames = np.stack([self.image(row, into) for row in match.shown.tolist()])
        target = float(self.times[match.target])
        film = Shown(self.times[match.shown], frames, source, target, self.period, match.film)
        return film, self.image(match.target, into)

    def matches(self, times: FloatArray, target: float) -> list[Match]:
        """Find in each film the images that stand for those shown, and for the one at the target.

        On a circle they are those nearest in time. On a line it is not known when a film began, so intervals count:
        the images whose intervals to one of them are most alike, each on its side of it.

        Parameters
        ----------
        times : ndarray of float, shape (n,)
        target : float

        Returns
        -------
        list of Match
            One per film, but for those that lack more of the images around the target than others.
        """
        found = []
        for film in range(len(self)):
            rows = np.arange(self.starts[film], self.starts[film + 1])
            at = self.times[rows]
            choose = _on_line if self.period is None else _on_circle
            which, of, lacking = choose(at, times, target, self.period)
            found.append(Match(film, rows[which], int(rows[of]), lacking))
        least = min(match.lacking for match in found)
        return [match for match in found if match.lacking == least]

    def state(self) -> dict[str, Any]:
        """Return what is kept."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        return cls(**state)


Choice = tuple[IntArray, int, int]
"""Which images stand for those shown, which one for the target, and what is lacking; within one film."""


def _on_circle(at: FloatArray, times: FloatArray, target: float, period: float | None) -> Choice:
    of = int(np.argmin(np.abs(apart(at, target, period))))
    far = np.abs(apart(times[:, None], at[None], period))
    far[:, of] = np.inf
    return far.argmin(axis=1), of, 0


def _on_line(at: FloatArray, times: FloatArray, target: float, _: float | None) -> Choice:
    every = [_around(at - at[of], of, times - target) for of in range(len(at))]
    cost = [(lacking, off + _TIE * abs(at[of] - target)) for of, (_, lacking, off) in enumerate(every)]
    best = min(range(len(at)), key=cost.__getitem__)
    return every[best][0], best, every[best][1]


def _around(offsets: FloatArray, target: int, wanted: FloatArray) -> tuple[IntArray, int, float]:
    """Choose images at offsets like those wanted from one that is the target; count what is lacking, and how far off.

    The two nearest on each side are two, if there are so many; others may be there twice.
    """
    which = np.zeros(len(wanted), np.intp)
    lacking = 0
    others = np.arange(len(offsets)) != target
    for asked, there in ((wanted <= 0, others & (offsets <= 0)), (wanted > 0, others & (offsets > 0))):
        fresh = there.copy()
        for place, i in enumerate(np.flatnonzero(asked)[np.argsort(np.abs(wanted[asked]), kind="stable")].tolist()):
            near = place < 2
            lacking += near and not fresh.any()
            among = fresh if near and fresh.any() else there if there.any() else others
            which[i] = np.argmin(np.where(among, np.abs(offsets - wanted[i]), np.inf))
            fresh[which[i]] = False
    return which, lacking, float(np.abs(offsets[which] - wanted).mean())
