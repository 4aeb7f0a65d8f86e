"""The section of a cohort description on films of beats: frames, phases and volumes over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nextscan.report.description.sections import columns_of
from nextscan.report.figures.films import volume_curves
from nextscan.report.figures.style import to_svg
from nextscan.report.page import Block, Cell, Column, Fact, Facts, Fold, Picture, Section, Table
from nextscan.wording import capital, count, number, percent

_TEXTS = ("subject", "shape", "ed", "es")
_HINTS = {
    "slice_mm": "distance of slices",
    "pixel_mm": "smallest side of a voxel",
    "es_after_ed": "time from ED to ES",
    "maps": "frames with a label map",
    "ejection": "1 − volume at ES over volume at ED, of the left cavity",
    "muscle_ratio": "volume of the muscle at ES over that at ED; near 1, as muscle is not compressed",
}


def films(description: Mapping[str, Any]) -> Section | None:
    """Return the section on films, if there are some."""
    facts = description["facts"].get("films")
    if facts is None:
        return None
    lacking = facts["lacking"]
    items = [Fact("Films", count(facts["count"]), f"of {_extent(facts['frames'], 0)} frames")]
    if facts["es"]:
        items.append(Fact("ES after ED", number(facts["es"]["median"], 2), f"median; {_extent(facts['es'], 2)}"))
    items.append(Fact("Label maps", count(facts["maps"]), f"{count(lacking['maps'])} films without any"))
    if facts["ejection"]:
        told = f"median; {_extent(facts['ejection'], 2)}"
        items.append(Fact("Ejection fraction", percent(facts["ejection"]["median"], 0), told))
    blocks: list[Block] = [Facts(items)]
    if curves := description["plots"].get("volume_curves"):
        picture = Picture(
            to_svg(volume_curves(curves, description["facts"]["gap"]["unit"]), "films"),
            alt="Volumes in the label maps of frames over time, a line for each film.",
            caption="Volumes in the label maps of frames over time, a line for each film; dots where only a few frames "
            "have one.",
        )
        blocks.append(picture)
    if rows := _volumes(facts):
        blocks.append(Table("Volumes in mL", [Column("Region", numeric=False), *map(Column, _COLUMNS)], rows))
    if every := columns_of(description, "films"):
        blocks.append(Fold("All films", [_table(every)]))
    without = [f"{count(lacking[phase])} without {phase}" for phase in ("ED", "ES") if lacking[phase]]
    return Section("films", "Films", blocks, lead=f"Visits are frames of a beat{''.join(f'; {t}' for t in without)}.")


_COLUMNS = ("at ED", "lowest", "highest", "at ES", "lowest", "highest")


def _volumes(facts: Mapping[str, Any]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    if not any(phases.get(phase) for phases in facts["volumes"].values() for phase in ("ED", "ES")):
        return rows
    for name, phases in facts["volumes"].items():
        values = [phases.get(phase, {}).get(key) for phase in ("ED", "ES") for key in ("median", "low", "high")]
        rows.append([Cell(name), *(Cell("–" if value is None else number(value, 1), value) for value in values)])
    return rows


def _extent(of: Mapping[str, float], places: int) -> str:
    if not of:
        return "–"
    low, high = number(of["low"], places), number(of["high"], places)
    return low if low == high else f"{low} to {high}"


def _table(table: Mapping[str, list[Any]]) -> Table:
    columns = [
        Column(capital(name.replace("_", " ")), numeric=name not in _TEXTS, hint=_HINTS.get(name, "")) for name in table
    ]
    rows = [
        [_cell(name, value) for name, value in zip(table, values, strict=True)]
        for values in zip(*table.values(), strict=True)
    ]
    return Table("Films", columns, rows, filterable=True)


def _cell(name: str, value: Any) -> Cell:
    if name in _TEXTS:
        return Cell(str(value))
    if name in ("frames", "slices", "maps"):
        return Cell("–" if value is None else count(value), value)
    return Cell("–" if value is None else number(float(value), 2), value)
