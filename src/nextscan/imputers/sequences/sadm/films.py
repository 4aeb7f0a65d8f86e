"""Sequences of images to learn from: some frames are given, the others wanted, and chance decides which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nextscan.arrays import BoolArray, FloatArray, Volume
from nextscan.cohort import Cohort
from nextscan.imputers.estimator import Progress
from nextscan.imputers.sequences.sadm.times import Base, Clock
from nextscan.imputers.sequences.scale import as_reference
from nextscan.imputers.volumes.examples import shifted
from nextscan.imputers.volumes.pairs import prepared_images
from nextscan.preprocess import LabelEncoder
from nextscan.preprocess.volumes import Prepared, VolumePreparer


@dataclass(frozen=True, eq=False)
class Sequences:
    """Images given of some people, and the times at which others are wanted.

    Attributes
    ----------
    frames : Tensor, shape (B, K, X, Y, Z)
        In one scale per person; zeros where there is none.
    mask : Tensor of bool, shape (B, K)
        Which images there are.
    when : Tensor, shape (B, K, n_when)
        Of the images, relative to the first one.
    summaries : Tensor, shape (B, n_summaries, K)
        See `Clock.summaries`.
    weights : Tensor, shape (B, T, K)
        Of images in what is expected without learning, see `Clock.weights`.
    relative : Tensor, shape (B, T, K, n_when)
        Of the images, relative to each time.
    around : Tensor of int, shape (B, T, 2)
        See `Clock.around`.
    wanted : Tensor, shape (B, T, n_wanted)
        The times, and labels.
    asked : Tensor of bool, shape (B, T)
        Which times there are.
    """

    frames: Tensor
    mask: Tensor
    when: Tensor
    summaries: Tensor
    weights: Tensor
    relative: Tensor
    around: Tensor
    wanted: Tensor
    asked: Tensor

    @classmethod
    def of(cls, clock: Clock, base: Base, each: Sequence[Asked], device: torch.device) -> Sequences:
        """Put what is asked of people side by side, padded to the most images and the most times."""
        batch, n_given, n_times = len(each), max(len(a.frames) for a in each), max(len(a.wanted) for a in each)
        shape, n_labels = each[0].frames[0].shape, len(each[0].labels)
        frames = np.zeros((batch, n_given, *shape), np.float32)
        mask, asked = np.zeros((batch, n_given), bool), np.zeros((batch, n_times), bool)
        when = np.zeros((batch, n_given, clock.n_when), np.float32)
        summaries = np.zeros((batch, clock.n_summaries, n_given), np.float32)
        weights = np.zeros((batch, n_times, n_given), np.float32)
        relative = np.zeros((batch, n_times, n_given, clock.n_when), np.float32)
        around = np.zeros((batch, n_times, 2), np.int64)
        wanted = np.zeros((batch, n_times, clock.n_wanted + n_labels), np.float32)
        for b, one in enumerate(each):
            n, t = len(one.frames), len(one.wanted)
            for k, image in enumerate(one.frames):
                frames[b, k] = image
            mask[b, :n], asked[b, :t] = True, True
            apart, after = one.apart(clock), one.after
            when[b, :n] = clock.when(one.times, clock.apart(one.times, one.times[0]), np.arange(n) > 0)
            summaries[b, :, :n] = clock.summaries(one.times)
            for j in range(t):
                weights[b, j, :n] = clock.weights(one.times, one.wanted[j], after[j], base)
                around[b, j] = clock.around(one.times, one.wanted[j], after[j])
            relative[b, :t, :n] = clock.when(np.broadcast_to(one.times, apart.shape), apart, after)
            wanted[b, :t] = np.concatenate([clock.wanted(one.wanted), np.tile(one.labels, (t, 1))], axis=1)
        arrays = (frames, mask, when, summaries, weights, relative, around, wanted, asked)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    @property
    def base(self) -> Tensor:
        """What is expected without learning, shape (B, T, X, Y, Z)."""
        return torch.einsum("btk,bkxyz->btxyz", self.weights, self.frames)

    def seen_from(self, people: Tensor, times: Tensor) -> tuple[Tensor, ...]:
        """Return what `nextscan.networks.sequence_denoiser.SequenceDenoiser.see` takes, but for what is expected.

        Parameters
        ----------
        people, times : Tensor of int, shape (N,)
            Places along B and T.
        """
        return (
            self.frames[people],
            self.mask[people],
            self.relative[people, times],
            self.summaries[people],
            self.around[people, times],
            self.wanted[people, times],
        )


@dataclass(frozen=True, eq=False)
class Asked:
    """Images given of one person, and when others are wanted.

    Attributes
    ----------
    frames : sequence of ndarray of float32, shape (x, y, z)
    times : ndarray of float, shape (K,)
        NaN where unknown.
    wanted : ndarray of float, shape (T,)
    after : ndarray of bool, shape (T, K)
        Whether an image comes after a time.
    labels : ndarray of float, shape (n_labels,)
    """

    frames: Sequence[Volume]
    times: FloatArray
    wanted: FloatArray
    after: BoolArray
    labels: FloatArray

    def apart(self, clock: Clock) -> FloatArray:
        """Return how long it is from each image to each time, shape (T, K)."""
        return clock.apart(self.times, self.wanted[:, None])


@dataclass(frozen=True, eq=False)
class Film:
    """The images of one person in order.

    Attributes
    ----------
    subject : str
    images : tuple of Prepared
    times : ndarray of float, shape (n,)
        NaN where unknown.
    labels : ndarray of float, shape (n_labels,)
        Of the person, encoded: those of a visit may tell what its image shows.
    one_film : bool
        Whether the images are of one measurement, see `as_reference`.
    """

    subject: str
    images: tuple[Prepared, ...]
    times: FloatArray
    labels: FloatArray
    one_film: bool

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def frames(self) -> tuple[Volume, ...]:
        """All images in the scale of the first, each of shape (x, y, z)."""
        return tuple(as_reference(image, self.images[0], one_film=self.one_film) for image in self.images)


def given_frames(coins: FloatArray, n: int, *, published: bool = False) -> BoolArray:
    """Choose by chance which of n frames are given, shape (n,): at least one is, and one is not.

    A third of the times a single frame, mostly the first; a third, the first few; a third, any. The published rule: a
    target is drawn; the first frame and the one before the target are given, those between with probability 1/2.

    Parameters
    ----------
    coins : ndarray of float, shape (3 + n,)
        Uniform in [0, 1).
    """
    mode, how_many, which, each = coins[0], coins[1], coins[2], coins[3 : 3 + n]
    given = np.zeros(n, bool)
    if published:
        target = 1 + int(how_many * (n - 1))
        given[:target] = each[:target] < 0.5
        given[[0, target - 1]] = True
        return given
    if mode < 1 / 3:
        given[0 if which < 0.6 else int(how_many * n)] = True
    elif mode < 2 / 3:
        given[: min(2 + int(how_many * (n - 2)), n - 1)] = True
    else:
        given = each < 0.1 + 0.8 * how_many
    if given.all():
        given[int(which * n)] = False
    elif not given.any():
        given[int(which * n)] = True
    return given


@dataclass(frozen=True, eq=False)
class FilmExamples:
    """Films of which some frames are given and all others wanted.

    Attributes
    ----------
    films : tuple of Film
        Of two frames or more.
    clock : Clock
    base : "nearest" or "linear"
    device : torch.device
    """

    films: tuple[Film, ...]
    clock: Clock
    base: Base
    device: torch.device

    @property
    def n_coins(self) -> int:
        """Uniform numbers that an example takes: mirrored, moved, which frames."""
        return 7 + max(map(len, self.films), default=0)

    def __len__(self) -> int:
        return len(self.films)

    def of(
        self, which: Sequence[int], given: Sequence[BoolArray], moves: Sequence[_Move] | None = None
    ) -> tuple[Sequences, Tensor]:
        """Return films of which some frames are given, and the others, shape (B, T, X, Y, Z), zeros where none is left.

        Parameters
        ----------
        which : sequence of int
            Films.
        given : sequence of ndarray of bool
            Of their frames.
        moves : sequence of callable, optional
            Done to all images of an example.
        """
        each, hidden = [], []
        for b, (i, shown) in enumerate(zip(which, given, strict=True)):
            film, rows, wanted = self.films[i], np.flatnonzero(shown), np.flatnonzero(~shown)
            frames = film.frames if moves is None else [moves[b](frame) for frame in film.frames]
            times = film.times
            later = times[rows] > times[wanted, None]
            known = np.isfinite(times[rows] - times[wanted, None])
            after = np.where(known, later, rows > wanted[:, None])
            each.append(Asked([frames[k] for k in rows], times[rows], times[wanted], after, film.labels))
            hidden.append(np.stack([frames[k] for k in wanted]))
        targets = np.zeros((len(each), max(map(len, hidden)), *hidden[0].shape[1:]), np.float32)
        for b, images in enumerate(hidden):
            targets[b, : len(images)] = images
        return Sequences.of(self.clock, self.base, each, self.device), torch.from_numpy(targets).to(self.device)

    def batch(
        self, examples: Sequence[int], coins: FloatArray, *, published: bool, flip: bool, shift: int
    ) -> tuple[Sequences, Tensor]:
        """Return films with what chance does to them.

        Parameters
        ----------
        examples : sequence of int, length B
        coins : ndarray of float, shape (B, n_coins)
        published : bool
            See `given_frames`.
        flip : bool
            Mirror along the first axis half of the times.
        shift : int
            Move by up to so many voxels along each axis.
        """
        given = [
            given_frames(coin[4:], len(self.films[i]), published=published)
            for i, coin in zip(examples, coins, strict=True)
        ]
        return self.of(examples, given, [_Move(coin[:4], flip, shift) for coin in coins])


@dataclass(frozen=True)
class _Move:
    """What is done to all images of an example: mirrored, moved."""

    coins: FloatArray
    flip: bool
    shift: int

    def __call__(self, image: Volume) -> Volume:
        if self.flip and self.coins[0] < 0.5:
            image = image[::-1]
        return shifted(image, self.coins[1:4], self.shift)


@contextmanager
def prepared_films(
    cohort: Cohort,
    preparer: VolumePreparer,
    encoder: LabelEncoder | None,
    checkpoint: Path | None,
    progress: Progress | None,
) -> Iterator[tuple[Film, ...]]:
    """Prepare all images of people with two or more, and keep them while the context lasts, see `prepared_images`."""
    rows = np.flatnonzero(cohort.has_volume)
    counts = np.bincount(cohort.subject_of[rows], minlength=cohort.n_subjects)
    rows = rows[counts[cohort.subject_of[rows]] > 1]
    with prepared_images(cohort, rows.tolist(), preparer, checkpoint, progress) as images:
        films = []
        for subject in np.unique(cohort.subject_of[rows]).tolist():
            own = rows[cohort.subject_of[rows] == subject]
            labels = np.zeros((1, 0)) if encoder is None else encoder.transform(cohort.labels.iloc[[subject]])
            films.append(
                Film(
                    subject=str(cohort.subjects[subject]),
                    images=tuple(images[row] for row in own.tolist()),
                    times=cohort.years[own],
                    labels=labels[0],
                    one_film=cohort.period is not None,
                )
            )
        yield tuple(films)
