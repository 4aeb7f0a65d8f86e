"""What tells a file, or one frame of it, from another without reading all of it."""

import hashlib
import re
from pathlib import Path

_ENDS = 2**16  # bytes
_FRAME = re.compile(r"(.+\.(?:nii|nii\.gz|mgz|mgh))#(\d+)", re.IGNORECASE | re.DOTALL)


def split_frame(reference: str | Path) -> tuple[Path, int | None]:
    """Return the file that a reference to an image leads to, and which of its frames is meant, counted from 0.

    A file of four dimensions holds a film: ``heart.nii.gz#3`` is its fourth frame. Without a number the file is one
    image.

    >>> split_frame("hearts/p1.nii.gz#3"), split_frame("p1_T1w.nii.gz")
    ((PosixPath('hearts/p1.nii.gz'), 3), (PosixPath('p1_T1w.nii.gz'), None))
    """
    match = _FRAME.fullmatch(str(reference))
    return (Path(reference), None) if match is None else (Path(match[1]), int(match[2]))


def content_stamp(path: str | Path) -> tuple[int, bytes]:
    """Return the size of a file in bytes, and a hash of its first and last 64 KiB; of a frame, of its number as well.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    name, frame = split_frame(path)
    with open(name, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(_ENDS)
        file.seek(max(size - _ENDS, 0))
        which = b"" if frame is None else f"#{frame}".encode()
        return size, hashlib.blake2b(head + file.read(_ENDS) + which).digest()
