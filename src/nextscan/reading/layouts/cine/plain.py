"""A plain folder of films: ``NAME.nii.gz`` with its frames is the film of the subject NAME."""

from __future__ import annotations

from pathlib import Path

from nextscan.errors import CohortError, ImageError, some
from nextscan.images.header import read_film_header
from nextscan.reading.layouts.cine.films import Film, film_header, same_frames

_ENDS = (".nii.gz", ".nii")
_MAPS = ("_gt", "_seg", "_label", "_labels", "_segmentation")
_LOOKED_AT = 20


def images(root: Path) -> list[Path]:
    """Return the NIfTI files that lie in a folder."""
    return sorted(path for path in root.iterdir() if path.is_file() and path.name.lower().endswith(_ENDS))


def is_plain(root: Path) -> bool:
    """Tell whether a folder holds NIfTI files, some of which are films."""
    for path in images(root)[:_LOOKED_AT]:
        try:
            if read_film_header(path).n_frames > 1:
                return True
        except ImageError:
            continue
    return False


def read_plain(root: Path) -> tuple[list[Film], list[str]]:
    """Read every film of a folder, with notes; label maps are called as the film with ``_gt`` or ``_seg`` behind it.

    Raises
    ------
    CohortError
        If a file holds one frame, or a label map has no film.
    """
    paths = {_stem(path): path for path in images(root)}
    maps = {
        name: path
        for name, path in paths.items()
        if any(name.lower().endswith(end) and name[: -len(end)] in paths for end in _MAPS)
    }
    films = []
    lone = [path.name for name, path in paths.items() if name not in maps and read_film_header(path).n_frames < 2]
    if lone:
        raise CohortError(
            f"{root}: {some(lone, 3)} {'holds' if len(lone) == 1 else 'hold'} one frame, others are films; give a "
            "table with a column volume, or move single images away"
        )
    for name, path in paths.items():
        if name in maps:
            continue
        header = film_header(path, where=name)
        frames = range(header.n_frames)
        own = [paths[f"{name}{end}"] for end in _MAPS if f"{name}{end}" in maps]
        if len(own) > 1:
            raise CohortError(f"{own[1]}: there is {own[0].name} too; keep one label map of a film")
        if own:
            same_frames(header, str(own[0]), where=name, several=True)
        films.append(
            Film(
                subject=name.removesuffix("_4d"),
                told_by=str(path),
                volume=[f"{path}#{k}" for k in frames],
                frames=frames,
                n_frames=header.n_frames,
                header=header,
                files={"segmentation": [f"{own[0]}#{k}" for k in frames]} if own else {},
            )
        )
    return films, ["folder of films, each called as its subject"]


def _stem(path: Path) -> str:
    return path.name[: -len(next(end for end in _ENDS if path.name.lower().endswith(end)))]
