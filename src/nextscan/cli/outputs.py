"""Find out before long work, not after it, that a result could not be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from nextscan.errors import OutputError, SettingError

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")

_HEAD = 2**16  # bytes in which a file says who wrote it
_DRAWS_HEAD = ["subject", "visit", "years", "draw"]
_GENERATOR = b'<meta name="generator" content="nextscan'


def check_file(
    path: Path, suffixes: tuple[str, ...] = (), *, inputs: Iterable[Path | None] = (), overwrite: bool = False
) -> Path:
    """Return `path` if a file can be written there, and nothing of the user's is lost by it.

    Parameters
    ----------
    path : Path
    suffixes : tuple of str
        Allowed ones.
    inputs : iterable of Path or None
        Files the command reads: never written to.
    overwrite : bool
        Replace a file that is there, whoever wrote it; without it, only what nextscan wrote is replaced.

    Raises
    ------
    OutputError
        If its folder is missing or not writable, `path` is a folder or an input, or another's file is there.
    SettingError
        If its suffix is none of `suffixes`.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise SettingError(f"{path}: the name must end in {' or '.join(suffixes)}, which chooses the format")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; create it or choose another place")
    if path.exists():
        for given in inputs:
            if given is not None and given.exists() and path.samefile(given):
                raise OutputError(f"{path}: is read by this command, and would be lost; choose another name")
        if not overwrite and not is_ours(path):
            raise OutputError(
                f"{path}: is there already, and was not written by nextscan; choose another name, or replace it with "
                "--overwrite"
            )
    _try(path, path.parent)
    return path


def is_ours(path: Path) -> bool:
    """Tell whether a file is one that nextscan wrote: a page, a completed table, draws, or a simulated table."""
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return True
    if suffix == ".html":
        return _GENERATOR in head
    from nextscan.reading.formats.tables import IMPUTED, IMPUTED_VISIT

    columns: list[str] = []
    if suffix == ".parquet":
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import read_schema

        with suppress(ArrowInvalid):
            columns = read_schema(path).names
    else:
        columns = head.splitlines()[0].decode("utf-8", errors="replace").split("\t" if suffix == ".tsv" else ",")
    simulated = path.with_suffix("").with_name(f"{path.stem}.law.npz").is_file()
    return simulated or columns[:4] == _DRAWS_HEAD or {IMPUTED, IMPUTED_VISIT} <= {name.strip('"') for name in columns}


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
