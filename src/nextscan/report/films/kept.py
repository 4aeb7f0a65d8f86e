"""Films of a few subjects that a run kept: what was shown, what is real, and what was imputed for them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray, read_npz
from nextscan.errors import RunFolderError

FOLDER, INDEX, REAL = "films", "index.json", "real.npz"
AGAIN = "run `nextscan evaluate` again with the same --out"

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Clock:
    """How times of frames are told: in percent of the beat where time is a circle, else as they are.

    Attributes
    ----------
    period : float or None
        Time of a beat.
    label : str
        Of an axis of times.

    >>> Clock.of(0.8, "seconds").told(np.array([0.1, 0.5])).tolist(), Clock.of(None, "years").label
    ([12.5, 62.5], 'years')
    """

    period: float | None = 1.0
    label: str = "% of the beat"

    @classmethod
    def of(cls, period: float | None, unit: str | None) -> Clock:
        """Return the clock of a cohort."""
        return cls(float(period)) if period else cls(None, unit or "time")

    def told(self, times: FloatArray) -> FloatArray:
        """Return times, or distances of times, as they are told."""
        return np.asarray(times, float) * (1.0 if self.period is None else 100 / self.period)


@dataclass(frozen=True, eq=False)
class PredictedFilm:
    """What a method predicts for the hidden frames of one subject.

    Attributes
    ----------
    mean, draw : ndarray of uint8, shape (n_hidden, x, y, z)
        0 and 255 are the ends of the film's window.
    sd : ndarray of uint8, shape (n_hidden, x, y, z)
        255 is `sd_high`.
    sd_high : float
        Native intensities; 0 where draws do not differ.
    """

    mean: Codes
    draw: Codes
    sd: Codes
    sd_high: float


@dataclass(frozen=True, eq=False)
class KeptFilm:
    """One subject's film on one grid.

    Attributes
    ----------
    subject : str
    frames : tuple of str, length n_frames
    times : ndarray, shape (n_frames,)
        NaN where unknown.
    given : ndarray of bool, shape (n_frames,)
        Which frames were shown.
    nearest : ndarray of int, shape (n_frames,)
        Place of the frame shown that is nearest in time.
    window : tuple of float
        Native intensities of the codes 0 and 255.
    affine : ndarray, shape (4, 4)
        Voxel to mm.
    real : ndarray of uint8, shape (n_frames, x, y, z)
        As measured.
    predicted : mapping of method to PredictedFilm
    noise_free : ndarray of uint8, shape (n_frames, x, y, z), optional
    clock : Clock
    """

    subject: str
    frames: tuple[str, ...]
    times: FloatArray
    given: BoolArray
    nearest: IntArray
    window: tuple[float, float]
    affine: FloatArray
    real: Codes
    predicted: Mapping[str, PredictedFilm]
    noise_free: Codes | None = None
    clock: Clock = Clock()

    @property
    def truth(self) -> Codes:
        """What predictions are compared with: without noise where that is known."""
        return self.real if self.noise_free is None else self.noise_free

    def whole(self, hidden: Codes) -> Codes:
        """Return a film whose hidden frames are given ones, shape (n_hidden, x, y, z), and the others real."""
        film = self.real.copy()
        film[~self.given] = hidden
        return film

    @property
    def shares(self) -> FloatArray:
        """Share of the whole film that each frame is looked at, shape (n_frames,): as long as it is until the next.

        The last frame of a film that is no circle is looked at as long as frames are on average; where times are
        unknown, all are alike.
        """
        n, period = len(self.times), self.clock.period
        if n < 2 or not np.isfinite(self.times).all():
            return np.full(n, 1 / n)
        length = (self.times[-1] - self.times[0]) * n / (n - 1) if period is None else period
        apart: FloatArray = np.diff(self.times, append=self.times[0] + length)
        return apart / length if (apart > 0).all() else np.full(n, 1 / n)


def read_films(folder: Path, *, limit: int = 3) -> tuple[KeptFilm, ...] | None:
    """Read the first films of a run folder; None where the run has none.

    Raises
    ------
    RunFolderError
        If the index or a film is missing or damaged, or arrays do not fit together.
    """
    path = folder / FOLDER / INDEX
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        clock = Clock.of(told["period"], told["unit"])
        entries = [dict(entry) for entry in told["subjects"][:limit]]
        places = [folder / FOLDER / Path(str(entry["folder"])).name for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunFolderError(f"{path}: does not list the films of a run ({error!r}): {AGAIN}") from error
    return tuple(_read(entry, place, clock) for entry, place in zip(entries, places, strict=True))


def _read(entry: dict[str, Any], place: Path, clock: Clock) -> KeptFilm:
    path = place / REAL
    try:
        arrays = read_npz(path)
        given = np.array(entry["given"], bool)
        real, clean = arrays["real"], arrays.get("noise_free")
        _check(path, (len(given), *real.shape[1:]), {"real": real} | ({} if clean is None else {"noise_free": clean}))
        predicted = {}
        for method in map(str, entry["methods"]):
            path = place / f"{Path(method).name}.npz"
            found = read_npz(path)
            film = PredictedFilm(found["mean"], found["draw"], found["sd"], float(found["sd_high"]))
            shape = (int((~given).sum()), *real.shape[1:])
            _check(path, shape, {"mean": film.mean, "draw": film.draw, "sd": film.sd})
            predicted[method] = film
        low, high = (float(end) for end in entry["window"])
        return KeptFilm(
            subject=str(entry["subject"]),
            frames=tuple(map(str, entry["frames"])),
            times=np.array([np.nan if time is None else time for time in entry["times"]], float),
            given=given,
            nearest=np.array(entry["nearest"], np.intp),
            window=(low, high),
            affine=arrays["affine"].astype(float),
            real=real,
            predicted=predicted,
            noise_free=clean,
            clock=clock,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunFolderError(f"{path}: cannot be read as a film ({error!r}): {AGAIN}") from error


def _check(path: Path, shape: tuple[int, ...], films: Mapping[str, NDArray[Any]]) -> None:
    for name, film in films.items():
        if film.shape != shape or film.dtype != np.uint8:
            raise RunFolderError(f"{path}: {name} has shape {film.shape}, the film {shape}: {AGAIN}")
