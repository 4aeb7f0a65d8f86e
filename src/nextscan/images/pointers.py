"""Files that stand for others: what Git LFS and git-annex leave where the content has not been fetched."""

from __future__ import annotations

import os
from pathlib import Path

_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = "/annex/objects/"


def pointer(path: str | Path, block: bytes = b"") -> str:
    """Say what a file stands for and how to fetch it; nothing if it is no pointer.

    Parameters
    ----------
    path : path
        A link that leads nowhere is looked at itself.
    block : bytes
        How the file starts.

    Examples
    --------
    >>> pointer("sub-1_T1w.nii.gz", b"version https://git-lfs.github.com/spec/v1\\noid sha256:0\\n")
    'is a pointer of Git LFS, its content has not been fetched; run `git lfs pull` in the data set'
    """
    if block.startswith(_LFS):
        return "is a pointer of Git LFS, its content has not been fetched; run `git lfs pull` in the data set"
    named = os.readlink(path) if not block and os.path.islink(path) else ""
    line = block.split(b"\n", 1)[0]
    if line.startswith((b"/annex/", b".")):  # unlocked, or a link where there are no links
        named = line.decode("utf-8", "replace")
    if _ANNEX in named.replace("\\", "/"):
        return (
            "is a pointer of git-annex, its content has not been fetched; run "
            f"`datalad get {path}` or `git annex get {path}`"
        )
    return ""


def missing(path: str | Path) -> str:
    """Say what is wrong with a path that leads to no file.

    >>> missing("nowhere.nii")
    'there is no such file; correct the path'
    """
    if told := pointer(path):
        return told
    if os.path.islink(path):
        return "is a link to a file that is not there; fetch it, or correct the path"
    return "there is no such file; correct the path"
