"""The section of a cohort description on its images: their grids, thumbnails, and a row for each."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from nextscan.report.description.sections import columns_of
from nextscan.report.figures.style import to_png
from nextscan.report.figures.thumbnails import Thumbnail, thumbnails
from nextscan.report.page import Block, Cell, Column, Fold, Picture, Section, Table
from nextscan.wording import capital, count, number

_TEXTS = ("subject", "visit", "kind", "shape", "spacing", "orientation", "type")
_HINTS = {
    "overlap": "share of what the first image shows within this one's field of view",
    "correlation": "with the subject's first image, at 4 mm",
}


def images(description: Mapping[str, Any]) -> Section | None:
    """Return the section on images, if there are some."""
    facts = description["facts"].get("images")
    if facts is None:
        return None
    blocks: list[Block] = []
    unit = description["facts"]["gap"]["unit"]
    shown = [_thumbnail(each, unit) for each in description["plots"].get("thumbnails", [])]
    shows = "image" if description["facts"].get("beats") else "head"
    if shown:
        picture = Picture(
            to_png(thumbnails(shown), dots_per_inch=160),
            alt="Sagittal, coronal and axial planes of images of a few subjects at their visits.",
            caption=f"Planes through the middle of the {shows} as the headers place it: the front is at the right "
            "(sagittal) or at the top (axial), right is at the right. Grey runs from 1 % to 99.8 % of each image.",
        )
        blocks.append(picture)
    blocks.append(_table("Grids", columns_of(description, "grids")))
    every = columns_of(description, "images")
    if every:
        blocks.append(Fold("All images", [_table("Images", every, filterable=True)]))
    beside = [f"{count(n)} {role.replace('_', '-')}" for role, n in facts["roles"].items() if role != "volume"]
    lead = f"{count(facts['count'])} images" + (f", with {', '.join(beside)} files" if beside else "") + "."
    if facts["unusable"]:
        lead += f" {count(facts['unusable'])} cannot be used: see the findings."
    return Section("images", "Images", blocks, lead=lead)


def _thumbnail(each: Mapping[str, Any], unit: str) -> Thumbnail:
    planes = {
        name: np.frombuffer(base64.b64decode(plane["grey"]), np.uint8).reshape(plane["shape"])
        for name, plane in each["planes"].items()
    }
    return Thumbnail(each["subject"], each["visit"], each["years"], planes, unit)


def _table(title: str, table: Mapping[str, list[Any]], *, filterable: bool = False) -> Table:
    columns = [Column(capital(name), numeric=name not in _TEXTS, hint=_HINTS.get(name, "")) for name in table]
    rows = [
        [_cell(name, value) for name, value in zip(table, values, strict=True)]
        for values in zip(*table.values(), strict=True)
    ]
    return Table(title, columns, rows, filterable=filterable)


def _cell(name: str, value: Any) -> Cell:
    if name in _TEXTS:
        return Cell(str(value))
    if name == "images":
        return Cell(count(value), value)
    return Cell("–" if value is None else number(float(value), 2 if name in _HINTS else None), value)
