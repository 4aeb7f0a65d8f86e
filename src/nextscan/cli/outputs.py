"""Find out before long work, not after it, that a result could not be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nextscan.errors import OutputError, SettingError

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")


def check_file(path: Path, suffixes: tuple[str, ...] = ()) -> Path:
    """Return `path` if a file can be written there.

    Raises
    ------
    OutputError
        If its folder is missing or not writable, or `path` is a folder.
    SettingError
        If its suffix is none of `suffixes`.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise SettingError(f"{path}: the name must end in {' or '.join(suffixes)}, which chooses the format")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; create it or choose another place")
    _try(path, path.parent)
    return path


def check_new_file(path: Path) -> Path:
    """Return `path` if nothing is there yet.

    Raises
    ------
    OutputError
    """
    if path.exists():
        raise OutputError(f"{path}: is there already and is not overwritten; choose another name or remove it")
    return path


def check_folder(path: Path) -> Path:
    """Return `path` if a folder is there or can be made there, and files can be written into it.

    Raises
    ------
    OutputError
        If a file is in its place, or it is not writable.
    """
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise OutputError(f"{path}: {there} is a file, not a folder; choose another place")
    _try(path, there)
    return path


def is_first_process() -> bool:
    """Tell whether this process is to write and to speak: of those that ``torchrun`` started, one alone."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or os.environ.get("RANK") == "0"


def _try(path: Path, folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"nextscan")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}; choose another place") from None
