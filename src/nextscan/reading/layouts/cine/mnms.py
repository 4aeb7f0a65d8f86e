"""Folders of M&Ms (``A0S9V9/A0S9V9_sa.nii.gz``) and of M&Ms-2 (``001/001_SA_CINE.nii.gz``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, ImageError, some
from nextscan.images.files import read_image
from nextscan.images.header import Header
from nextscan.reading.columns.labels import as_label
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import Table, Texts, to_texts
from nextscan.reading.layouts.cine.films import Film, check_phases, film_header, same_frames

REGIONS = {"LV": 1, "MYO": 2, "RV": 3}
_FIRST = {
    "externalcode": "code", "ed": "ED", "es": "ES", "vendorname": "vendor", "vendor": "vendor", "centre": "centre",
    "center": "centre", "age": "age", "pathology": "group", "sex": "sex", "height": "height", "weight": "weight",
}  # fmt: skip
_SECOND = {"subjectcode": "code", "disease": "group", "vendor": "vendor", "scanner": "scanner", "field": "field"}
_UNLABELLED = "unlabeled"
_SAME = 1e-3  # of the spread of voxels: rounding
_VIEWS = ("SA", "LA")


@dataclass(frozen=True)
class Found:
    """Films, with what there is to say."""

    films: list[Film]
    notes: list[str]
    findings: list[Finding]


def table_of(root: Path) -> tuple[Path, int] | None:
    """Return the table of a folder of M&Ms (1) or M&Ms-2 (2), in it or one folder deeper."""
    for folder in (root, *sorted(path for path in root.glob("*") if path.is_dir())):
        for path in sorted(folder.glob("*.csv")):
            name = path.name.lower()
            if name == "dataset_information.csv":
                return path, 2
            if "dataset_information" in name:
                return path, 1
    return None


def read_mnms(root: Path, table: Path) -> Found:
    """Read M&Ms: 4-D images and label maps, both in the short axis; frames count from 0.

    Raises
    ------
    CohortError
        If the table lacks a column or a number, or contradicts the files.
    """
    rows = _rows(table, _FIRST, ("code", "ED", "ES"))
    folders = _by_code(path for depth in ("*", "*/*", "*/*/*", "*/*/*/*") for path in root.glob(f"{depth}/*_sa.nii*"))
    films, hidden, unknown = [], [], []
    for code, path in folders.items():
        header = film_header(path, where=code)
        row = rows.get(code)
        if row is None:
            unknown.append(code)
        ed, es = (None if row is None else _frame(row, key, table, code) for key in ("ED", "ES"))
        check_phases(ed, es, header.n_frames, where=f"{table}, subject {code}", first=0)
        shown = [""] * header.n_frames
        maps = next((p for end in (".nii.gz", ".nii") if (p := path.parent / f"{code}_sa_gt{end}").is_file()), None)
        if maps is not None and any(part.name.lower() == _UNLABELLED for part in path.parents):
            hidden.append(code)
        elif maps is not None:
            same_frames(header, str(maps), where=code, several=True)
            for frame in (ed, es):
                if frame is not None:
                    shown[frame] = f"{maps}#{frame}"
        films.append(_film(code, f"{table}, subject {code}", path, header, ed, es, shown, row))
    notes = [f"folders as of M&Ms: {table.name} counts frames from 0"]
    notes += [f"label maps below {_UNLABELLED.capitalize()}, left out as empty: {len(hidden)}"] if hidden else []
    return Found(films, [*notes, *_absent(rows, folders)], _strangers(table, unknown))


def read_mnms2(root: Path, table: Path) -> Found:
    """Read M&Ms-2: the film of the short axis, and ED and ES, which are found among its frames.

    Raises
    ------
    CohortError
        If a folder lacks its film, or a file contradicts another.
    """
    rows = _rows(table, _SECOND, ("code",))
    every = sorted(path for depth in ("*", "*/*", "*/*/*") for path in root.glob(f"{depth}/*_SA_*.nii*"))
    folders = {path.parent.name: path.parent for path in every if path.name.startswith(f"{path.parent.name}_SA_")}
    rows = {_padded(code, folders): row for code, row in rows.items()}
    films, lost = [], []
    for code, folder in folders.items():
        parts = {
            path.name.removeprefix(f"{code}_SA_").split(".")[0]: path for path in sorted(folder.glob(f"{code}_SA_*"))
        }
        if "CINE" not in parts:
            raise CohortError(f"{folder}: no {code}_SA_CINE.nii.gz, the film; copy the folder again")
        header = film_header(parts["CINE"], where=code)
        at: dict[str, int | None] = {}
        for name in ("ED", "ES"):
            if name in parts:
                same_frames(header, str(parts[name]), where=code)
            at[name] = _find(parts["CINE"], header, parts[name], code) if name in parts else None
        if any(at[name] is None for name in at if name in parts):
            lost.append(code)
        check_phases(at["ED"], at["ES"], header.n_frames, where=f"{folder}", first=0)
        shown = [""] * header.n_frames
        for name, frame in at.items():
            if frame is not None and (maps := parts.get(f"{name}_gt")) is not None:
                same_frames(header, str(maps), where=code)
                shown[frame] = str(maps)
        films.append(_film(code, str(folder), parts["CINE"], header, at["ED"], at["ES"], shown, rows.get(code)))
    findings = _strangers(table, [code for code in folders if code not in rows])
    if lost:
        text = f"{root}: ED or ES is no frame of the film of {some(lost)}"
        cure = "their place in the beat, and their label map, are not taken"
        findings.append(Finding("warning", "frames-not-found", text, subjects=tuple(lost), cure=cure))
    notes = ["folders as of M&Ms-2: the short axis; ED and ES were found among the frames by their voxels"]
    return Found(films, [*notes, *_absent(rows, folders)], findings)


def _film(
    code: str,
    told_by: str,
    path: Path,
    header: Header,
    ed: int | None,
    es: int | None,
    shown: list[str],
    row: Mapping[str, object] | None,
) -> Film:
    return Film(
        subject=code,
        told_by=told_by,
        volume=[f"{path}#{k}" for k in range(header.n_frames)],
        frames=range(header.n_frames),
        n_frames=header.n_frames,
        ed=ed,
        es=es,
        header=header,
        files={"segmentation": shown} if any(shown) else {},
        labels={key: value for key, value in (row or {}).items() if key not in ("code", "ED", "ES")},
    )


def _rows(path: Path, meaning: Mapping[str, str], needed: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Return the rows of a table by code, with labels in our names; empty rows are passed over."""
    table = open_table(path)
    there = {canonical(name): name for name in table.columns}
    columns: dict[str, str] = {}
    for name, means in meaning.items():
        if name in there:
            columns.setdefault(means, there[name])
    for key in needed:
        if key not in columns:
            want = next(name for name, means in meaning.items() if means == key)
            raise CohortError(f"{path}: no column {want if key == 'code' else key}; it has {some(table.columns, 12)}")
    texts = {key: _column(table, name) for key, name in columns.items()}
    labels = {
        key: as_label(values, key).to_numpy(object) if key not in needed else values for key, values in texts.items()
    }
    found: dict[str, dict[str, object]] = {}
    for i, code in enumerate(texts["code"]):
        if code is None:
            continue
        if code in found:
            raise CohortError(f"{table.place(i)} of {path}: subject {code} is there twice; keep one row")
        found[code] = {key: None if pd.isna(values[i]) else values[i] for key, values in labels.items()}
    return found


def _column(table: Table, name: str) -> Texts:
    return np.concatenate([to_texts(batch.column(name)) for batch in table.batches([name])])


def _frame(row: Mapping[str, object], key: str, table: Path, code: str) -> int | None:
    text = row[key]
    if text is None:
        return None
    try:
        number = float(str(text))
    except ValueError:
        number = -1.0
    if number < 0 or number != int(number):
        raise CohortError(f"{table}, subject {code}: {key} is {text!r}, expected the number of a frame, from 0")
    return int(number)


def _by_code(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: path.name):
        code = path.parent.name
        if path.name.split(".")[0] != f"{code}_sa":
            raise ImageError(f"{path}: lies in the folder of {code} but has another name; move or rename it")
        if code in found:
            raise ImageError(f"{path}: {code} is there twice, as {found[code]} too; keep one")
        found[code] = path
    return found


def _padded(code: str, folders: Mapping[str, Path]) -> str:
    """Return the name of the folder of a code: 1 is 001."""
    bare = code.removesuffix(".0")
    return next((name for name in (code, bare, bare.zfill(3)) if name in folders), code)


def _absent(rows: Mapping[str, object], folders: Mapping[str, object]) -> list[str]:
    absent = [code for code in rows if code not in folders]
    return [f"{len(absent)} subjects of the table have no film here: {some(absent, 3)}"] if absent else []


def _strangers(table: Path, codes: list[str]) -> list[Finding]:
    if not codes:
        return []
    text = f"{table}: does not name {some(codes)}, of which there are films"
    cure = "their labels, and ED and ES, are unknown"
    return [Finding("warning", "not-in-table", text, subjects=tuple(codes), cure=cure)]


def _find(film: Path, header: Header, frame: Path, code: str) -> int | None:
    """Return which frame of a film an image is, by its voxels; None if it is none."""
    wanted = read_image(frame, where=code).data
    apart = []
    for k in range(header.n_frames):
        apart.append(float(np.abs(read_image(f"{film}#{k}", where=code).data - wanted).mean()))
        if apart[-1] == 0:
            return k
    best = int(np.argmin(apart))
    return best if apart[best] <= _SAME * float(wanted.std()) else None
