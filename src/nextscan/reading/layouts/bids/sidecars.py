"""JSON sidecars of tables in BIDS folders: what they say about columns, inherited from the folders above."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nextscan.cohort.findings import Finding
from nextscan.images.names import BidsFile, parse

Columns = Mapping[str, Mapping[str, Any]]
"""What is said about columns, by name."""


@dataclass
class Sidecars:
    """Finds and reads the sidecars of tables below a folder, each once.

    Attributes
    ----------
    root : Path
        The highest folder that is looked into.
    unreadable : list of str
        Sidecars that are no JSON, and why.
    """

    root: Path
    unreadable: list[str] = field(default_factory=list)
    _seen: dict[Path, list[BidsFile]] = field(default_factory=dict)
    _read: dict[Path, Columns] = field(default_factory=dict)

    def of(self, table: Path) -> Columns:
        """Return what is said about the columns of a table; what lies nearer to it holds.

        A sidecar belongs to a table if it is called as the table is, or lacks some of its entities: ``sessions.json``
        of the data set belongs to ``sub-01/sub-01_sessions.tsv``.
        """
        named = parse(table)
        above = [up for up in reversed(table.parents) if up == self.root or self.root in up.parents]
        merged: dict[str, dict[str, Any]] = {}
        for folder in above:
            for file in self._in(folder):
                alike = file.path.name.split(".")[0] == table.name.split(".")[0]
                if alike or (named is not None and named.suffix == file.suffix and _within(file, named)):
                    for name, said in self._columns(file.path).items():
                        merged.setdefault(name, {}).update(said)
        return merged

    @property
    def findings(self) -> list[Finding]:
        """What there is to say about sidecars that cannot be read."""
        return [Finding("warning", "sidecar", f"{line}; it is left out") for line in self.unreadable]

    def _in(self, folder: Path) -> list[BidsFile]:
        """Return the sidecars in a folder: those with fewest entities, which are the most general, first."""
        if folder not in self._seen:
            files = [found for path in sorted(folder.glob("*.json")) if (found := parse(path)) is not None]
            self._seen[folder] = sorted(files, key=lambda file: len(file.entities))
        return self._seen[folder]

    def _columns(self, path: Path) -> Columns:
        if path not in self._read:
            self._read[path] = self._content(path)
        return self._read[path]

    def _content(self, path: Path) -> Columns:
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            self.unreadable.append(f"{path}: is not JSON ({error})")
            return {}
        if not isinstance(content, dict):
            return {}
        # Where the description of a column is a mere sentence, it is one.
        said = {name: {"Description": about} if isinstance(about, str) else about for name, about in content.items()}
        return {name: about for name, about in said.items() if isinstance(about, dict)}


def _within(file: BidsFile, table: BidsFile) -> bool:
    return file.entities.items() <= table.entities.items()
