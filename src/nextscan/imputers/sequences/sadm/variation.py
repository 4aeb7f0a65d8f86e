"""What people's films differ by from the expected ones: how much more or less, sooner or later, they move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, Volume
from nextscan.imputers.sequences.sadm.films import Film, given_frames
from nextscan.imputers.sequences.sadm.times import Clock
from nextscan.randomness import subject_keys

N_MODES = 2
"""Directions in which a film may depart from the expected one: more or less, and sooner or later."""

_STREAM, _SEED = 0x66696C6D, 20_250_107
_FIRST = (1, 2, 3, 4)  # so many first frames given
_BY_CHANCE = 4  # patterns of given frames beside those, of each person


def own_modes(film: Sequence[Volume], n_modes: int) -> NDArray[np.float32]:
    """Return the directions in which a film moves, shape (n_modes, x, y, z), each of mean square 1.

    Principal components of its images around their mean; the sign is such that the last images of the film are not
    more along it than the first one, so that modes of several people can be compared.

    Parameters
    ----------
    film : sequence of ndarray, shape (x, y, z)
        Two images or more.
    """
    images = np.stack([image.ravel() for image in film]).astype(np.float64)
    images -= images.mean(axis=0)
    values, vectors = np.linalg.eigh(images @ images.T)
    modes = np.zeros((n_modes, images.shape[1]), np.float32)
    for m in range(min(n_modes, len(film) - 1)):
        along = vectors[:, -1 - m]
        if values[-1 - m] <= 0:
            break
        mode = along @ images
        size = np.sqrt(np.mean(mode**2))
        if size:
            modes[m] = np.sign(along[0] or 1.0) * mode / size
    return modes.reshape(n_modes, *film[0].shape)


def along(modes: NDArray[np.float32], image: Volume) -> FloatArray:
    """Return how far an image goes along modes, by least squares, shape (n_modes,)."""
    flat = modes.reshape(len(modes), -1).astype(np.float64)
    gram = flat @ flat.T
    return np.asarray(np.linalg.pinv(gram, rcond=1e-6) @ (flat @ image.ravel()), np.float64)


@dataclass(frozen=True, eq=False)
class Variation:
    """How far films of people whom a network had not seen departed from the expected ones, mode by mode.

    A *case* is one person with some frames given. Times are those of a common film.

    Attributes
    ----------
    times : ndarray of float, shape (n_times,)
    person : ndarray of int, shape (n_cases,)
    given : ndarray of bool, shape (n_cases, n_times)
        Which frames were given.
    curves : ndarray of float32, shape (n_cases, n_times, n_modes)
        NaN where a frame was given.
    """

    times: FloatArray
    person: NDArray[np.intp]
    given: NDArray[np.bool_]
    curves: NDArray[np.float32]

    def draw(self, given: NDArray[np.bool_], subject: str, n_draws: int, seed: int) -> FloatArray:
        """Draw departures of a film of which some frames are given, shape (n_draws, n_times, n_modes).

        Curves of the cases most like it, in random normal proportions: whole curves, so that what is too much in one
        frame is so in the next, with the spread and the correlations that they show; wider, as a t distribution of as
        many degrees as people were seen. Where frames are given it is 0.

        Parameters
        ----------
        given : ndarray of bool, shape (n_times,)
        subject : str
        """
        chosen = self._like(given)
        curves = np.nan_to_num(self.curves[chosen].astype(np.float64))
        n_people = max(len(np.unique(self.person[chosen])), 2)
        key = subject_keys([subject])[0]
        chance = np.random.default_rng([int(key) % 2**63, seed, _STREAM])
        draws = np.empty((n_draws, *curves.shape[1:]))
        for k in range(n_draws):
            weights = chance.standard_normal(len(curves)) / np.sqrt(len(curves))
            weights *= np.sqrt((n_people - 1) / chance.chisquare(n_people - 1))
            draws[k] = np.tensordot(weights, curves, axes=1)
        draws[:, given] = 0.0
        return draws

    def _like(self, given: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the cases most like a pattern of given frames: at least as many as there are people."""
        far = np.abs(_reaches(self.given) - _reaches(given[None])).sum(axis=(1, 2))
        enough = min(len(np.unique(self.person)), len(far))
        limit = np.sort(far, kind="stable")[enough - 1]
        return np.flatnonzero(far <= limit)

    def state(self) -> dict[str, Any]:
        """Return what was learned."""
        return {name: getattr(self, name) for name in ("times", "person", "given", "curves")}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        given = np.asarray(state["given"]).astype(bool)
        return cls(np.asarray(state["times"]), np.asarray(state["person"]).astype(np.intp), given, state["curves"])


def _reaches(given: NDArray[np.bool_]) -> FloatArray:
    """Return how many frames it is from each to the last given before and the next after, shape (n, n_times, 2)."""
    n = given.shape[1]
    reaches = np.full((*given.shape, 2), float(n))
    for step in range(n):
        reaches[..., 0] = np.where(np.roll(given, step, axis=1), np.minimum(reaches[..., 0], step), reaches[..., 0])
        reaches[..., 1] = np.where(np.roll(given, -step, axis=1), np.minimum(reaches[..., 1], step), reaches[..., 1])
    return reaches


def common_times(films: Sequence[Film], clock: Clock) -> FloatArray:
    """Return times to which films are brought to compare them: as many on a circle as the longest has frames.

    On a line they are steps since the first image.
    """
    n = max(map(len, films))
    return np.arange(n, dtype=np.float64) * (clock.step if clock.period is None else clock.period / n)


def places(times: FloatArray, common: FloatArray, clock: Clock) -> NDArray[np.intp]:
    """Return which of the common times is nearest to each; unknown times are taken in their order."""
    if not np.isfinite(times).all():
        return np.minimum(np.arange(len(times)), len(common) - 1)
    since = times if clock.period is not None else times - times[0]
    return np.asarray(np.abs(clock.apart(common, since[:, None])).argmin(axis=1))


def variation_of(
    films: Sequence[Film], expect: Callable[[int, BoolArray], NDArray[np.float32]], clock: Clock
) -> tuple[Variation, Iterator[tuple[Volume, Volume]]]:
    """Measure how films depart from what is expected of them, some of their frames given.

    Parameters
    ----------
    films : sequence of Film
    expect : callable
        ``expect(i, given)`` returns the expected images of the frames of film i that are not given, shape (T, x, y, z),
        by a network that has not seen it.
    clock : Clock

    Returns
    -------
    Variation
    iterator of (image, rest), each of shape (x, y, z)
        An expected image, moved as the person's is along its modes, and what the person's image differs by then.
    """
    common, chance = common_times(films, clock), np.random.default_rng(_SEED)
    cases = []
    for i, film in enumerate(films):
        n = len(film)
        patterns = [np.arange(n) < first for first in _FIRST if first < n]
        patterns += [given_frames(chance.random(3 + n), n) for _ in range(_BY_CHANCE)]
        cases += [(i, given) for given in {pattern.tobytes(): pattern for pattern in patterns}.values()]
    shown = np.zeros((len(cases), len(common)), bool)
    curves = np.full((len(cases), len(common), N_MODES), np.nan, np.float32)
    at = [places(film.times, common, clock) for film in films]

    def expected(i: int, given: BoolArray) -> tuple[NDArray[np.float32], Iterator[tuple[Volume, Volume, int]]]:
        """Return the modes of a film, and its expected and real images with their places in common."""
        images, frames = expect(i, given), films[i].frames
        modes = own_modes(whole_film(frames, given, images), N_MODES)
        hidden = np.flatnonzero(~given).tolist()
        return modes, ((image, frames[k], int(at[i][k])) for image, k in zip(images, hidden, strict=True))

    for row, (i, given) in enumerate(cases):
        modes, images = expected(i, given)
        for image, real, place in images:
            curves[row, place] = along(modes, real - image)
        shown[row, at[i][given]] = True
    variation = Variation(common, np.array([i for i, _ in cases], np.intp), shown, curves)

    def left() -> Iterator[tuple[Volume, Volume]]:
        for row, (i, given) in enumerate(cases):
            if row and cases[row - 1][0] == i:
                continue  # one pattern of each person is enough
            modes, images = expected(i, given)
            for image, real, place in images:
                moved = image + np.tensordot(curves[row, place], modes, axes=1)
                yield moved, real - moved

    return variation, left()


def whole_film(frames: Sequence[Volume], given: BoolArray, images: Iterable[Volume]) -> list[Volume]:
    """Return a film of its given frames and, in place of the others, images."""
    others = iter(images)
    return [frame if shown else next(others) for frame, shown in zip(frames, given, strict=True)]
