"""Films as files that move: animated PNG images, which any browser plays and slides take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nextscan.atomic import atomic_folder, atomic_path
from nextscan.errors import OutputError, SettingError
from nextscan.report.films.kept import KeptFilm
from nextscan.report.films.player import View
from nextscan.report.people import ASK
from nextscan.report.run_folder import read_run

BEAT = 1200
"""Milliseconds of a whole film."""

_GAP = 2  # pixels between images side by side


def write_animations(run_folder: str | Path, folder: str | Path, *, individuals: bool = False) -> list[Path]:
    """Write the films of a run, an animated PNG for each subject and method: given, real, imputed mean, one draw.

    A pixel is a voxel, its grey that of the film; each frame is shown as long as it is until the next.

    Parameters
    ----------
    folder : path
        Made anew.
    individuals : bool
        Films are those of single people: without it they are refused, unless people are simulated.

    Raises
    ------
    RunFolderError
        If the run cannot be read.
    SettingError
        If it has no films, or they are refused.
    OutputError
        If the folder is there already, or cannot be written.
    """
    run = read_run(Path(run_folder))
    if not run.films:
        raise SettingError(f"{run_folder}: holds no films; they are of `nextscan evaluate --shown` of films")
    if not (individuals or run.simulated):
        raise SettingError(f"{run_folder}: films are those of single people. {ASK}")
    folder = Path(folder)
    if folder.exists():
        raise OutputError(f"{folder}: is there already; give a new folder")
    names = []
    with atomic_folder(folder, what="films") as beside:
        for number, film in enumerate(run.films):
            for method in film.predicted:
                name = f"{number:03d}_{re.sub(r'[^A-Za-z0-9-]', '-', film.subject)}_{method}.png"
                write_animation(beside / name, side_by_side(film, method), milliseconds(film))
                names.append(name)
    return [folder / name for name in names]


def milliseconds(film: KeptFilm, *, beat: int = BEAT) -> list[int]:
    """Return how long each frame is shown, at least 1 ms; together they take `beat`.

    Ends of frames are rounded, not lengths, so that errors do not add up.
    """
    ends = np.rint(beat * np.cumsum(film.shares)).astype(int)
    return [max(1, int(length)) for length in np.diff(ends, prepend=0)]


def side_by_side(film: KeptFilm, method: str) -> NDArray[np.uint8]:
    """Return frames of four images beside each other, at the slice that moves most, shape (n_frames, rows, columns)."""
    view = View.of(film.affine)
    predicted = film.predicted[method]
    films = (film.real[film.nearest], film.real, film.whole(predicted.mean), film.whole(predicted.draw))
    tiles = [np.stack([view.tiles(image) for image in one]) for one in films]
    at = view.middle(film.real, tiles[0].shape[1])
    gap = np.zeros((*tiles[0][:, at].shape[:2], _GAP), np.uint8)
    parts = [tiles[0][:, at]] + [part for one in tiles[1:] for part in (gap, one[:, at])]
    return np.concatenate(parts, axis=2)


def write_animation(path: Path, frames: NDArray[np.uint8], lengths: Sequence[int]) -> None:
    """Write grey frames, shape (n_frames, rows, columns), as an animated PNG that goes round.

    Neighbours that are equal become one frame that is shown as long as both: the file may hold fewer frames, but the
    same time.

    Parameters
    ----------
    lengths : sequence of int
        Milliseconds of each frame.
    """
    from PIL import Image

    kept: list[int] = []
    shown: list[int] = []
    for k, length in enumerate(lengths):
        if kept and np.array_equal(frames[k], frames[kept[-1]]):
            shown[-1] += length
        else:
            kept.append(k)
            shown.append(length)
    first, *others = [Image.fromarray(frames[k]) for k in kept]
    with atomic_path(path) as beside:
        first.save(beside, format="PNG", save_all=True, append_images=others, duration=shown, loop=0)
