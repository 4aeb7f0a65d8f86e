"""Columns of a table that hold paths of images, and what they lead to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from nextscan.cohort.cohort import ROLES
from nextscan.errors import ImageError, SchemaError
from nextscan.images.pointers import missing
from nextscan.reading.formats.tables import Table, Texts, to_texts
from nextscan.reading.schema import ImagesSchema, no_column
from nextscan.stamps import split_frame

SUFFIXES = (".nii", ".nii.gz", ".mgz", ".mgh")
"""What paths of images end in."""
_LOOKED_AT = 20


def is_path(text: str | None) -> bool:
    """Tell whether a cell names an image: NIfTI, or a volume of FreeSurfer; or a frame of a film.

    >>> is_path("sub-01/anat/sub-01_T1w.nii.gz"), is_path("p1_4d.nii.gz#11"), is_path("3800.5")
    (True, True, False)
    """
    return text is not None and split_frame(text)[0].name.lower().endswith(SUFFIXES)


def image_columns(table: Table, schema: ImagesSchema, *, schema_path: str) -> dict[str, str]:
    """Return the column of each role; nothing for a table without images.

    A table is one of images if the schema says so, or if it has a column ``volume`` whose cells name NIfTI files (and
    not numbers: a volume may be that of a brain).

    Raises
    ------
    SchemaError
        If the schema names a column that the table lacks, or none for ``volume``.
    """
    columns = table.own_columns
    named = {role: column for role in ROLES if (column := getattr(schema, role)) is not None}
    for role, column in named.items():
        if column not in columns:
            raise no_column(f"{schema_path}, images.{role}", table.path, column, columns)
    if "volume" not in named and not ("volume" in columns and _names_files(table, "volume")):
        if named:
            raise SchemaError(f"{schema_path}, images: names no column for volume, the images themselves; add it")
        return {}
    return {role: column for role in ROLES if (column := named.get(role, role)) in columns}


def other_paths(table: Table, columns: Sequence[str]) -> list[str]:
    """Return which columns name NIfTI files."""
    return [column for column in columns if _names_files(table, column)]


def files_of(table: Table, columns: Mapping[str, str], texts: Mapping[str, Texts], subjects: Texts) -> dict[str, Texts]:
    """Return paths by role, empty where a cell is; relative ones start from the table's folder.

    Raises
    ------
    ImageError
        If a path climbs out of the table's folder, has no file, or leads to a folder.
    """
    folder = table.path.parent
    found = {}
    for role, column in columns.items():
        paths = np.full(len(subjects), "", dtype=object)
        for row, text in enumerate(texts[column]):
            if text is None:
                continue
            where = f"{table.cell(row, column)}, subject {subjects[row]}"
            if not os.path.isabs(text) and os.path.normpath(text).split(os.sep)[0] == os.pardir:
                raise ImageError(
                    f"{where}: {text} leads out of the cohort's folder; give an absolute path, or move the file there"
                )
            if role != "transform" and not is_path(text):
                raise ImageError(f"{where}: {text} does not name an image; expected .nii, .nii.gz or .mgz")
            path, _ = split_frame(folder / text)
            if not path.is_file():
                raise ImageError(f"{where}: {path}: {missing(path)}")
            paths[row] = str(folder / text)
        found[role] = paths
    return found


def _names_files(table: Table, column: str) -> bool:
    """Tell whether the first cells of a column that hold anything name NIfTI files."""
    if column not in table.columns:
        return False
    seen: list[str] = []
    for batch in table.batches([column]):
        seen += [text for text in to_texts(batch.column(column)) if text is not None]
        if len(seen) >= _LOOKED_AT:
            break
    return any(is_path(text) for text in seen[:_LOOKED_AT])
