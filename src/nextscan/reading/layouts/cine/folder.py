"""Folders of films: which layout a folder has, and its films as visits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.errors import CohortError
from nextscan.reading.columns.labels import as_label
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.layouts.cine import acdc, mnms, plain
from nextscan.reading.layouts.cine.films import rows_of
from nextscan.reading.participants import PARTICIPANTS, join_participants
from nextscan.reading.schema import Schema


def is_cine(folder: Path) -> bool:
    """Tell whether a folder holds films of hearts as ACDC, M&Ms or M&Ms-2 do, or nothing but films."""
    return folder.is_dir() and bool(mnms.table_of(folder) or acdc.patients(folder) or plain.is_plain(folder))


def read_cine(root: Path, schema: Schema, *, participants: Path | None = None) -> VisitRows:
    """Read the films of a folder: a subject a film, a visit a frame.

    Raises
    ------
    CohortError, SchemaError
    """
    own = schema.of(root)
    regions: dict[str, int] = {}
    if (table := mnms.table_of(root)) is not None:
        found = mnms.read_mnms2(root, table[0]) if table[1] == 2 else mnms.read_mnms(root, table[0])
        films, notes, findings, regions = found.films, found.notes, found.findings, mnms.REGIONS
        if not films:
            name = "001/001_SA_CINE.nii.gz" if table[1] == 2 else "A1B2C3/A1B2C3_sa.nii.gz"
            raise CohortError(
                f"{root}: {table[0].name} is there, but no film such as {name}; copy the images beside it"
            )
    elif folders := acdc.patients(root):
        films, notes = acdc.read_acdc(root, folders)
        findings, regions = [], acdc.REGIONS
    else:
        films, notes = plain.read_plain(root)
        findings = []
    rows = rows_of(films, own.sequences, source=str(root), regions=regions, notes=notes, findings=findings)
    labels = {name: _label(rows.labels[name]) for name in rows.labels}
    rows = replace(
        rows,
        labels=pd.DataFrame(labels, index=range(len(rows))),
        subjects=np.array([own.subject_prefix + name for name in rows.subjects], dtype=object),
        notes=tuple(f"{root.resolve().name}: {note}" for note in rows.notes),
    )
    people = participants or next((path for name in PARTICIPANTS if (path := root / name).is_file()), None)
    if people is None:
        return rows
    return join_participants(rows, people, schema.of(people), schema_path=schema.path)


def _label(values: pd.Series) -> pd.Series:
    """Return numbers as they are, and words with the levels spelled alike."""
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(float)
    known = values.dropna()
    if all(isinstance(value, int | float) for value in known):
        return values.astype(float)
    texts = np.array([None if pd.isna(value) else str(value) for value in values], dtype=object)
    return as_label(texts, str(values.name), "category")
