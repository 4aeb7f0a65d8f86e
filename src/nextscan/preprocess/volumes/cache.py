"""Prepared volumes kept on disk: one array and one small record per image and settings."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from nextscan.arrays import Volume
from nextscan.atomic import atomic_path, write_text
from nextscan.errors import ImageError, OutputError
from nextscan.stamps import content_stamp, split_frame

Record = dict[str, Any]

_VERSION = 3  # of what preparing does: another one, another key
_ABANDONED = 3600.0  # seconds after which a file that was never renamed is a dead writer's


def cache_key(paths: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Return the name of what these files and settings lead to.

    Of a file count its size, its time and its first and last 64 KiB: a changed image, transform or mask
    has another key, and its old entry is never read again.

    Parameters
    ----------
    paths : sequence of str
        Empty strings stand for files there are none of.
    settings : mapping
        Ready for JSON.

    Raises
    ------
    ImageError
        If a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([_VERSION, settings], sort_keys=True).encode())
    for path in paths:
        digest.update(b"\0" if not path else _stamp(path))
    return digest.hexdigest()


def _stamp(path: str) -> bytes:
    try:
        size, digest = content_stamp(path)
        changed = split_frame(path)[0].stat().st_mtime_ns
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from None
    return f"{size} {changed} ".encode() + digest


def kept(folder: Path, key: str, make: Callable[[], tuple[Volume, Record]]) -> tuple[Volume, Record]:
    """Return an entry of the cache, made and kept if it is not there.

    Each file is written beside its place and renamed, the record first: an entry with an array is whole,
    whoever was killed while writing. Processes that make the same entry at once write the same bytes.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    key : str
        From `cache_key`.
    make : callable
        Returns the array and its record.

    Returns
    -------
    array : ndarray of float32
        Memory-mapped, read-only.
    record : dict

    Raises
    ------
    OutputError
        If the cache cannot be written.
    """
    array, record = folder / f"{key}.npy", folder / f"{key}.json"
    if (found := _read(array, record)) is not None:
        return found
    data, what = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, key)
    except OSError as error:
        raise OutputError(f"{folder}: the cache cannot be written: {error.strerror or error}; name another") from None
    write_text(record, json.dumps(what) + "\n")
    with atomic_path(array) as beside:
        np.save(beside, data)
    return np.load(array, mmap_mode="r"), what


def _read(array: Path, record: Path) -> tuple[Volume, Record] | None:
    """Return an entry, or None if there is none or it was damaged after it was written."""
    try:
        return np.load(array, mmap_mode="r"), json.loads(record.read_text())
    except (OSError, ValueError, EOFError):
        return None


def _sweep(folder: Path, key: str) -> None:
    """Remove what killed writers of this entry left."""
    for left in folder.glob(f".*-{key}.*"):
        with suppress(FileNotFoundError):  # renamed meanwhile by a writer that lives
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
