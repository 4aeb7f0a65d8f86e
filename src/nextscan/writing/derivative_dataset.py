"""What a BIDS derivative holds besides images: description, README, tables of people and sessions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nextscan.atomic import write_text
from nextscan.errors import OutputError
from nextscan.stamps import split_frame

BIDS_VERSION = "1.10.0"

_README = """# Imputed images

Written by nextscan: follow-up scans that were never taken, predicted from a scan that was.

- `desc-imputed`: the mean of what is plausible, in the grid and the intensity scale of the source image.
- `desc-sd`: the standard deviation of each voxel over draws: how much is not known.
- `desc-low`, `desc-high`, where asked for: the ends of each voxel's interval.
- `desc-draw01` and so on, where asked for: single draws.

`sessions.tsv` of each subject tells which visit, at which time, a session stands for. Each sidecar tells model, seed
and source image.

**These are predictions, not measurements.** The mean is smoother than any real brain, and one draw is one guess among
many: for statistics run the analysis once per draw and pool, and only if `nextscan evaluate` finds that the method's
intervals hold their level.
"""

_PEOPLE = {
    "participant_id": {"Description": "Name of the subject in this data set"},
    "subject": {"Description": "Name of the subject in the cohort that was imputed"},
}


def _columns(time_unit: str) -> dict[str, dict[str, str]]:
    return {
        **_PEOPLE,
        "visit": {"Description": "Name of the imputed visit in that cohort, or how it was asked for"},
        "years": {"Description": "Time of the imputed visit since the subject's first visit", "Units": time_unit},
        "gap": {"Description": "Time from the source image to the imputed visit", "Units": time_unit},
        "source_visit": {"Description": "Visit of the image the prediction starts from"},
        "method": {"Description": "Registry name of the method"},
    }


def derivative_folder(out: Path) -> Path:
    """Return the folder of the data set within a folder that was asked for.

    >>> derivative_folder(Path("study")).as_posix(), derivative_folder(Path("study/derivatives/nextscan")).as_posix()
    ('study/derivatives/nextscan', 'study/derivatives/nextscan')
    """
    named = out.absolute().parts[-2:] == ("derivatives", "nextscan")
    return out if named else out / "derivatives" / "nextscan"


class Dataset:
    """One derivative in the making.

    Parameters
    ----------
    folder : Path
    sources : sequence of str
        Paths of the images that predictions start from: data sets they lie in are named in the description.
    time_unit : str

    Raises
    ------
    OutputError
        If the folder holds something else.
    """

    def __init__(self, folder: Path, sources: Sequence[str], time_unit: str) -> None:
        self.folder = folder
        self.time_unit = time_unit
        self._description = folder / "dataset_description.json"
        self._roots: dict[str, Path | None] = {}  # of each folder with images
        for path in sources:
            parent = os.path.dirname(os.path.abspath(path))
            if parent not in self._roots:
                self._roots[parent] = _root_of(Path(parent))
        self._links = self._known_links()
        for root in dict.fromkeys(root for root in self._roots.values() if root is not None):
            link = os.path.relpath(root, folder.absolute())
            if link not in self._links.values():
                name = next(name for name in _link_names() if name not in self._links)
                self._links[name] = link
        self._people: dict[str, dict[str, object]] = {}

    def _known_links(self) -> dict[str, str]:
        """Return the links of a description that is there already, if it is ours."""
        try:
            found = json.loads(self._description.read_text())
        except FileNotFoundError:
            if self.folder.is_dir() and any(not path.name.startswith(".") for path in self.folder.iterdir()):
                raise OutputError(
                    f"{self.folder}: is not empty and has no dataset_description.json; choose another folder"
                ) from None
            return {}
        except (OSError, ValueError) as error:
            raise OutputError(f"{self._description}: cannot be read ({error}); choose another folder") from None
        makers = found.get("GeneratedBy") if isinstance(found, dict) else None
        names = [maker.get("Name") for maker in makers if isinstance(maker, dict)] if isinstance(makers, list) else []
        if names != ["nextscan"]:
            raise OutputError(f"{self.folder}: is a data set that nextscan has not written; choose another folder")
        return dict(found.get("DatasetLinks", {}))

    def uri(self, path: str) -> str:
        """Return how a sidecar names a source: as a BIDS URI within its data set, else relative to this one.

        Of a frame it is the film's.
        """
        absolute = os.path.abspath(split_frame(path)[0])
        root = self._roots[os.path.dirname(absolute)]
        if root is None:
            return Path(os.path.relpath(absolute, self.folder.absolute())).as_posix()
        link = os.path.relpath(root, self.folder.absolute())
        name = next(name for name, known in self._links.items() if known == link)
        return f"bids:{name}:{Path(os.path.relpath(absolute, root)).as_posix()}"

    def begin(self) -> None:
        """Write what belongs to the data set as a whole."""
        from nextscan import __version__

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be made: {error.strerror or error}") from None
        description: dict[str, Any] = {
            "Name": "Follow-up images imputed by nextscan",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [
                {"Name": "nextscan", "Version": __version__, "Description": "Imputes scans that were never taken"}
            ],
        }
        if self._links:
            description["DatasetLinks"] = self._links
        self._put("dataset_description.json", as_json(description))
        self._put("README.md", _README)
        self._put("participants.json", as_json(_PEOPLE))

    def tell(self, subject: str, name: str, session: str, row: Mapping[str, object]) -> None:
        """Enter a visit whose images are there."""
        self._people[f"sub-{subject}"] = {"subject": name}
        place = f"sub-{subject}/sub-{subject}_sessions"
        (self.folder / f"sub-{subject}").mkdir(exist_ok=True)
        self._put(f"{place}.json", as_json(_columns(self.time_unit)))
        self._merge(f"{place}.tsv", "session_id", {f"ses-{session}": row})

    def end(self) -> None:
        """Write the table of people."""
        if self._people:
            self._merge("participants.tsv", "participant_id", self._people)

    def _merge(self, name: str, key: str, rows: Mapping[str, Mapping[str, object]]) -> None:
        """Add rows to a table, in place of rows with the same key."""
        columns = [key, *next(iter(rows.values()))]
        lines: dict[str, list[str]] = {}
        place = self.folder / name
        if place.is_file():
            head, *known = [line.split("\t") for line in place.read_text(encoding="utf-8").splitlines()]
            if head == columns:
                lines = {cells[0]: cells for cells in known}
        for first, row in rows.items():
            lines[first] = [first, *(_cell(value) for value in row.values())]
        self._put(name, "".join("\t".join(cells) + "\n" for cells in [columns, *lines.values()]))

    def _put(self, name: str, content: str) -> None:
        place = self.folder / name
        if place.is_file() and place.read_bytes() == content.encode():
            return
        write_text(place, content)


def _link_names() -> Sequence[str]:
    return ["source", *(f"source{i}" for i in range(2, 1000))]


def _root_of(folder: Path) -> Path | None:
    """Return the data set a folder lies in."""
    return next((up for up in (folder, *folder.parents) if (up / "dataset_description.json").is_file()), None)


def _cell(value: object) -> str:
    if value is None:
        return "n/a"
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split()) or "n/a"


def as_json(content: Mapping[str, Any]) -> str:
    """Return the text of a JSON file."""
    return json.dumps(content, indent=2) + "\n"
