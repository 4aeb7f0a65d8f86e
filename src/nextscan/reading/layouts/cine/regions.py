"""What values of label maps mean, where a table beside them tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nextscan.errors import CohortError
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import to_texts

TABLES = ("labels.csv", "labels.tsv", "dseg.tsv")
_NAMES = {
    **dict.fromkeys(("lv", "lvcavity", "leftventricle", "lvbloodpool", "leftventricularcavity"), "LV"),
    **dict.fromkeys(("myo", "myocardium", "lvmyo", "lvmyocardium", "muscle", "wall"), "MYO"),
    **dict.fromkeys(("rv", "rvcavity", "rightventricle", "rvbloodpool", "rightventricularcavity"), "RV"),
}


def regions_beside(folder: Path) -> tuple[dict[str, int], Path | None]:
    """Return the values of the heart's regions, and the table in a folder that tells them: columns index and name.

    A table without any of them tells nothing.
    """
    for path in (folder / name for name in TABLES):
        if not path.is_file():
            continue
        try:
            table = open_table(path)
        except CohortError:
            continue
        columns = {canonical(name): name for name in table.columns}
        index, name = columns.get("index", columns.get("value")), columns.get("name", columns.get("abbreviation"))
        if index is None or name is None:
            continue
        values, names = (
            np.concatenate([to_texts(batch.column(column)) for batch in table.batches([column])])
            for column in (index, name)
        )
        found = {
            _NAMES[canonical(text)]: int(value)
            for value, text in zip(values, names, strict=True)
            if text is not None and canonical(text) in _NAMES and value is not None and value.isdigit()
        }
        if found:
            return found, path
    return {}, None
