"""Write a file or a folder beside its place and rename it there: it appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nextscan.errors import OutputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a new empty file beside `path` that takes its name when the block ends well.

    After an error in the block the file is removed and whatever was at `path` is untouched. The
    file ends in the same suffix as `path`, as some writers choose their format by it.

    Parameters
    ----------
    path : path
        A file, existing or not, in an existing folder. A symbolic link is followed.

    Raises
    ------
    OutputError
        If the folder is missing or not writable, something other than a file is in the place, or
        the disk is full.

    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> with atomic_path(out) as beside:
    ...     _ = beside.write_text("metric,value")
    ...     out.exists()
    False
    >>> out.read_text()
    'metric,value'
    """
    shown = path
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise OutputError(f"{shown}: is a folder; give the name of a file to write")
    if path.exists() and not path.is_file():
        raise OutputError(f"{shown}: is not a regular file; give the name of a file to write")
    if not path.parent.is_dir():
        raise OutputError(f"{shown}: there is no folder {path.parent}; create it or choose another place")
    beside = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        beside.open("xb").close()
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.filename not in (None, beside, str(beside)):
            raise  # about another file, such as an input read in the block
        raise OutputError(f"{shown}: cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises
    ------
    OutputError
        As for `atomic_path`.
    """
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | Path, *, what: str) -> Iterator[Path]:
    """Yield a new empty folder beside `path` that takes its place when the block ends well.

    Folders above it are made. What was there before is removed last, and stays as it was after an error; whether
    it may be replaced is for the caller to check.

    Parameters
    ----------
    path : path
    what : str
        What is written, for messages, such as "the cohort".

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    old = beside.with_name(f"{beside.name}-old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        yield beside
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
        if old.exists():
            shutil.rmtree(old)
    except OSError as error:
        raise OutputError(f"{path}: cannot write {what}: {error.strerror or error}") from error
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(beside, ignore_errors=True)
