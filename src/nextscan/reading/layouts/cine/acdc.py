"""Folders of ACDC: ``patient001/Info.cfg``, ``patient001_4d.nii.gz``, ``patient001_frame01_gt.nii.gz``."""

from __future__ import annotations

import re
from pathlib import Path

from nextscan.errors import CohortError, ImageError
from nextscan.images.header import Header
from nextscan.reading.layouts.cine.films import Film, check_phases, film_header, same_frames

REGIONS = {"RV": 1, "MYO": 2, "LV": 3}
INFO = "Info.cfg"
TRUTH = Path("derivatives", "truth")
"""Where simulated cohorts keep what nobody knows of real people."""
_LABELS = {"Group": "group", "Height": "height", "Weight": "weight"}
_NUMBERS = ("ED", "ES", "NbFrame", "Height", "Weight")
_FRAME = re.compile(r".*_frame(\d+)(_gt)?\.nii(\.gz)?")
_NIFTI = (".nii.gz", ".nii")


def patients(root: Path) -> list[Path]:
    """Return the folders of patients in a folder, up to two folders deep; the folder itself if it is one."""
    if (root / INFO).is_file():
        return [root]
    for depth in ("*", "*/*", "*/*/*"):
        found = {path.parent for path in root.glob(f"{depth}/{INFO}")}
        found |= {path.parent for path in root.glob(f"{depth}/*_4d.nii*") if path.name.startswith(path.parent.name)}
        if found:
            return sorted(found, key=lambda path: path.name)
    return []


def read_acdc(root: Path, folders: list[Path]) -> tuple[list[Film], list[str]]:
    """Read the film of every patient, with notes; of simulated ones also their images without noise.

    Raises
    ------
    CohortError
        If what `Info.cfg` says is missing, no number or against the files.
    """
    films = [_film(folder, root / TRUTH) for folder in folders]
    lacking = [key for key in _LABELS.values() if any(film.labels[key] is None for film in films)]
    notes = ["folders as of ACDC: frames count from 1 in Info.cfg"]
    notes += [f"labels that Info.cfg does not tell of everybody: {', '.join(lacking)}"] if lacking else []
    only = [film.subject for film in films if film.header is None]
    notes += [f"{len(only)} without _4d file: only their frames ED and ES are there"] if only else []
    return films, notes


def _film(folder: Path, truth: Path) -> Film:
    info, name = folder / INFO, folder.name
    said = _info(info)
    whole = next((path for end in _NIFTI if (path := folder / f"{name}_4d{end}").is_file()), None)
    n_frames, ed, es = (int(said[key]) for key in ("NbFrame", "ED", "ES"))
    header: Header | None = None
    if whole is not None:
        header = film_header(whole, where=name)
        if header.n_frames != n_frames:
            raise CohortError(
                f"{info}: NbFrame is {n_frames}, {whole.name} holds {header.n_frames} frames; correct NbFrame, or copy "
                "the film again"
            )
    check_phases(ed, es, n_frames, where=str(info), first=1)
    images, maps = _single(folder)
    wrong = sorted({*images, *maps} - {ed, es})
    if wrong and not {ed, es} <= {*images, *maps}:
        other = (maps if wrong[0] in maps else images)[wrong[0]].name
        raise CohortError(f"{info}: ED is {ed} and ES {es}, but there is {other}; correct the frames, or the name")
    if header is None and not {ed, es} <= set(images):
        raise CohortError(
            f"{folder}: no {name}_4d.nii.gz, and not both frames {ed:02d} and {es:02d} as {name}_frame{ed:02d}.nii.gz; "
            "copy the folder again"
        )
    frames = sorted((ed - 1, es - 1)) if whole is None else list(range(n_frames))
    volume = [str(images[k + 1]) if whole is None else f"{whole}#{k}" for k in frames]
    shown = [str(maps[k + 1]) if k + 1 in maps and k + 1 in (ed, es) else "" for k in frames]
    if header is not None:
        for part in (*shown, *map(str, images.values())):
            if part:
                same_frames(header, part, where=name)
    files = {"segmentation": shown} if any(shown) else {}
    if header is not None and (clean := truth / f"{name}_clean.nii.gz").is_file():
        same_frames(header, str(clean), where=name, several=True)
        files["noise_free"] = [f"{clean}#{k}" for k in frames]
    return Film(
        subject=name,
        told_by=str(info),
        volume=volume,
        frames=frames,
        n_frames=n_frames,
        ed=ed - 1,
        es=es - 1,
        header=header,
        files=files,
        labels={label: said.get(key) for key, label in _LABELS.items()},
    )


def _info(path: Path) -> dict[str, str | float]:
    """Read the lines ``key: value`` of a patient."""
    if not path.is_file():
        raise CohortError(f"{path.parent}: no {INFO}, which tells ED and ES; copy the folder again, or move it away")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(f"{path}: cannot be read: {error}; copy it again") from None
    found: dict[str, str | float] = {}
    known = {key.lower(): key for key in (*_NUMBERS, "Group")}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        key = known.get(name.strip().lower())
        if key is None or not value.strip():
            if line.strip() and not colon:
                raise CohortError(f"{path}, line {number}: expected a line such as 'ES: 12', found {line.strip()!r}")
            continue
        if key in found:
            raise CohortError(f"{path}, line {number}: {key} is there twice; keep one line")
        found[key] = _number(path, number, key, value.strip()) if key in _NUMBERS else value.strip()
    for key in ("ED", "ES", "NbFrame"):
        if key not in found:
            what = "the number of frames" if key == "NbFrame" else f"the frame of {key}, counted from 1"
            raise CohortError(f"{path}: no line {key}; expected as in '{key}: 12', {what}")
    return found


def _number(path: Path, line: int, key: str, text: str) -> float:
    whole = key in ("ED", "ES", "NbFrame")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not number > (-1 if whole else 0) or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise CohortError(f"{path}, line {line}: {key} is {text!r}, expected {kind}; correct it")
    return number


def _single(folder: Path) -> tuple[dict[int, Path], dict[int, Path]]:
    """Return the files of single frames, and of their label maps, by number of the frame from 1."""
    images: dict[int, Path] = {}
    maps: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and (match := _FRAME.fullmatch(path.name)):
            of = maps if match[2] else images
            if (other := of.setdefault(int(match[1]), path)) is not path:
                raise ImageError(f"{path}: frame {int(match[1])} is there twice, as {other.name} too; keep one")
    return images, maps
