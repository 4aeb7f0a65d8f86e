"""Folders of BIDS, raw or derivative: which images there are, whose and when, and what belongs to them.

The folders are walked here: ancpbids, at hand in the extra `volumes`, loads a pickle it finds in the data (which may
run anything), and reads a data set as a whole though three levels of it matter. It is the second opinion in the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import IntArray
from nextscan.cohort.cohort import ROLES
from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, some
from nextscan.images.names import BidsFile, parse
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.layouts.bids.sessions import read_sessions
from nextscan.reading.layouts.bids.transforms import RAW, transforms_of
from nextscan.reading.participants import join_participants, participants_near
from nextscan.reading.schema import Schema, TableSchema

LAW = "*.law.npz"
_NO_IMAGES = frozenset({"mask", "dseg", "probseg", "xfm", "defacemask"})
_OWN_OUTPUT = "nextscan"
_NIFTI = (".nii", ".nii.gz")


def is_bids(folder: Path) -> bool:
    """Tell whether a folder holds subjects as BIDS does."""
    return folder.is_dir() and any(path.is_dir() for path in folder.glob("sub-*"))


def law_in(folder: Path) -> str:
    """Return the path of the law simulated images were drawn from, if there is one."""
    places = (folder, folder / "derivatives" / "truth")
    return next((str(path) for place in places for path in sorted(place.glob(LAW))), "")


def only_suffix(paths: Iterable[str]) -> str | None:
    """Return the suffix of all images of a cohort, without entities; None where they have none in common.

    >>> only_suffix(["sub-1/anat/sub-1_acq-3d_T1w.nii.gz", ""]), only_suffix(["a.nii.gz", "sub-1_T1w.nii.gz"])
    ('T1w', None)
    """
    named = [parse(Path(path)) for path in paths if path]
    suffixes = {file.suffix if file is not None and "sub" in file.entities else None for file in named}
    return suffixes.pop() if len(suffixes) == 1 else None


def read_bids(root: Path, schema: Schema, *, suffix: str | None = None, participants: Path | None = None) -> VisitRows:
    """Read the images of a BIDS folder with what belongs to them.

    Images are ``sub-*/[ses-*/]anat/*_<suffix>.nii[.gz]``. Beside them, and in the folders of ``derivatives``, are
    looked for: masks (``desc-brain_mask``), label maps (``dseg``), ITK transforms to a space of all visits
    (``from-<suffix>_to-*_mode-image_xfm.txt``, see `transforms_of`) and images without noise (``desc-noisefree``).
    Ages or dates come from ``sessions.tsv`` of the data set or of subjects, and where these tell none from
    ``scans.tsv``; labels from ``participants.tsv``; units from the JSON beside them. A session that a table names and
    that has no image is a request.

    Parameters
    ----------
    root : Path
    schema : Schema
    suffix : str, optional
        What the images' names end in, with entities that tell kinds apart: ``"T1w"``, ``"desc-preproc_T1w"``.
    participants : Path, optional
        In place of ``participants.tsv``.

    Raises
    ------
    CohortError
        If there are no images or several kinds of them to choose from, or a table contradicts itself or the folder.
    """
    own = schema.of(root)
    folders = sorted(path for path in root.glob("sub-*") if path.is_dir())
    walk = _Walk(root)
    images, notes, findings = _choose(root, walk.images(folders), suffix or own.images.suffix)
    files, more = _belonging(walk, images, own)
    notes += more
    keys = [(f"sub-{image.entities['sub']}", _session(image)) for image in images]
    participants = participants or participants_near(root)
    sessions = read_sessions(root, folders, own, schema_path=schema.path, images=set(keys), people=participants)
    known = (
        []
        if sessions is None or sessions.visits is None
        else list(zip(sessions.subjects, sessions.visits, strict=True))
    )
    there = {folder.name for folder in folders}
    asked = [key for key in known if key[0] in there and key not in set(keys)] if any(ses for _, ses in keys) else []
    strangers = sorted({subject for subject, _ in known} - there)
    if strangers:
        line = f"{root}: sessions.tsv names subjects without a folder, left out: {some(strangers)}"
        findings.append(Finding("warning", "no-folder", line, subjects=tuple(strangers)))
    if asked:
        notes.append(f"{len(asked)} sessions of sessions.tsv without an image, taken as requests: "
                     f"{some([' '.join(key) for key in asked], 3)}")  # fmt: skip
    at = pd.Index(known, tupleize_cols=False).get_indexer(pd.Index([*keys, *asked], tupleize_cols=False))
    n = len(at)
    places = [str(image.path.relative_to(root)) for image in images]
    rows = VisitRows(
        source=str(root),
        subjects=np.array([subject for subject, _ in [*keys, *asked]], dtype=object),
        visits=np.array([ses or "1" for _, ses in [*keys, *asked]], dtype=object) if any(s for _, s in keys) else None,
        time=np.full(n, np.nan) if sessions is None else np.where(at >= 0, sessions.time[at], np.nan),
        aside=None if sessions is None or sessions.aside is None else np.where(at >= 0, sessions.aside[at], np.nan),
        time_kind="" if sessions is None else sessions.time_kind,
        time_unit="years" if sessions is None else sessions.time_unit,
        time_column="" if sessions is None else sessions.time_column,
        features=np.empty((n, 0)),
        feature_names=(),
        labels=_labels(sessions, at),
        rows=np.arange(n),
        place=lambda row: places[row] if row < len(places) else " ".join(asked[row - len(places)]),
        files={role: np.array([*paths, *[""] * len(asked)], dtype=object) for role, paths in files.items()},
        notes=(*(f"{root.name}: {note}" for note in notes), *(() if sessions is None else sessions.notes)),
        findings=(*findings, *(() if sessions is None else sessions.findings)),
    )
    if participants is not None:
        people = schema.of(participants).model_copy(update={"subject_prefix": ""})
        rows = join_participants(rows, participants, people, schema_path=schema.path)
        rows = _with_ages_at_single_visits(rows)
    several = pd.Series([subject for subject, _ in keys]).duplicated().any()
    if several and np.isnan(rows.clock).all():
        line = f"{root}: no table tells when sessions were, so years are unknown"
        cure = "add sessions.tsv with age or acq_time"
        rows = rows.telling(findings=[Finding("warning", "times-unknown", line, cure=cure)])
    prefixed = np.array([own.subject_prefix + subject for subject in rows.subjects], dtype=object)
    return replace(rows, subjects=prefixed)


def _session(image: BidsFile) -> str:
    return f"ses-{image.entities['ses']}" if "ses" in image.entities else ""


def _labels(sessions: VisitRows | None, at: IntArray) -> pd.DataFrame:
    if sessions is None:
        return pd.DataFrame(index=range(len(at)))
    labels = sessions.labels_at(at)
    return labels.loc[:, labels.notna().any(axis=0)]


def _with_ages_at_single_visits(rows: VisitRows) -> VisitRows:
    """Where sessions have ages, take that of the participant for people with a single session that has none."""
    if not {"age", "age_at_entry"} <= set(rows.labels):
        return rows
    single = ~pd.Series(rows.subjects).duplicated(keep=False)
    labels = rows.labels.copy()
    labels["age"] = labels["age"].where(labels["age"].notna() | ~single, labels["age_at_entry"])
    return replace(rows, labels=labels)


@dataclass
class _Walk:
    """Lists folders once."""

    root: Path
    _seen: dict[Path, list[BidsFile]] = field(default_factory=dict)

    def files(self, folder: Path) -> list[BidsFile]:
        """Return the files of a folder that have a name of BIDS, by name."""
        if folder not in self._seen:
            paths = sorted(folder.iterdir()) if folder.is_dir() else []
            self._seen[folder] = [found for path in paths if (found := parse(path)) is not None]
        return self._seen[folder]

    def images(self, subjects: Sequence[Path]) -> list[BidsFile]:
        """Return all images of subjects."""
        found = []
        for subject in subjects:
            for folder in (subject / "anat", *(session / "anat" for session in sorted(subject.glob("ses-*")))):
                for file in self.files(folder):
                    if file.extension not in _NIFTI or file.suffix in _NO_IMAGES:
                        continue
                    session = folder.parent.name if folder.parent != subject else ""
                    if f"sub-{file.entities.get('sub')}" != subject.name or _session(file) != session:
                        raise CohortError(
                            f"{file.path}: lies in the folder of {' '.join([subject.name, session]).strip()} but has "
                            "another subject or session in its name; move or rename it"
                        )
                    found.append(file)
        return found

    def beside(self, image: BidsFile) -> list[list[BidsFile]]:
        """Return the files in the image's own folder, then those of the same visit in each derivative."""
        folder = image.path.parent
        derivatives = sorted((self.root / "derivatives").glob("*")) if (self.root / "derivatives").is_dir() else []
        inside = folder.relative_to(self.root)
        places = [folder, *(place / inside for place in derivatives if place.name != _OWN_OUTPUT)]
        return [self.files(place) for place in places]


def _choose(root: Path, files: list[BidsFile], wanted: str | None) -> tuple[list[BidsFile], list[str], list[Finding]]:
    """Return one image per visit, with notes and findings."""
    if not files:
        raise CohortError(
            f"{root}: no images in sub-*/anat or sub-*/ses-*/anat; expected names as sub-01_ses-1_T1w.nii.gz"
        )
    suffixes = Counter(file.suffix for file in files)
    if wanted is None and len(suffixes) > 1:
        listed = ", ".join(f"{suffix} ({count})" for suffix, count in suffixes.most_common())
        raise CohortError(
            f"{root}: several kinds of images: {listed}; choose one with --suffix {next(iter(suffixes))}, or in a "
            f'schema: [images] suffix = "{next(iter(suffixes))}"'
        )
    wanted = wanted or files[0].suffix
    fitting = [file for file in files if file.fits(wanted)]
    if not fitting:
        kinds = Counter(file.kind for file in files)
        raise CohortError(f"{root}: no image is a {wanted}; there are {some(kinds)}: choose with --suffix")
    by_visit: dict[tuple[str, str], list[BidsFile]] = {}
    for file in fitting:
        by_visit.setdefault((file.entities["sub"], _session(file)), []).append(file)
    plain = {part.split("-")[0] for part in wanted.split("_")[:-1]}
    chosen, runs = [], 0
    for here in by_visit.values():
        kinds = Counter(file.kind for file in here)
        if len(kinds) > 1:
            exact = [file for file in here if file.others == plain]
            if not exact:
                raise CohortError(
                    f"{here[0].path.parent}: several images are a {wanted}: {some(kinds)}; say which with its "
                    f"entities: --suffix {next(iter(kinds))}, or [images] suffix in a schema"
                )
            here = exact
        runs += len(here) > 1
        chosen.append(min(here, key=lambda file: _number(file.entities.get("run", "0"))))
    kinds = Counter(file.kind for file in chosen)
    notes = [f"BIDS folder; images: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common(5))}"]
    left = Counter(file.kind for file in fitting if file.kind not in kinds)
    notes += [f"images of other kinds, left out: {some(left)}"] if left else []
    line = f"{root}: {runs} visits have several runs of the image"
    findings = [Finding("warning", "several-runs", line, cure="the first run is taken")] if runs else []
    return chosen, notes, findings


def _number(run: str) -> int:
    return int(run) if run.isdigit() else 0


def _belonging(walk: _Walk, images: list[BidsFile], schema: TableSchema) -> tuple[dict[str, list[str]], list[str]]:
    """Return paths by role for each image, and notes on where they were found."""
    files: dict[str, list[str]] = {role: [""] * len(images) for role in ROLES}
    origins: dict[str, Counter[str]] = {role: Counter() for role in ROLES}
    open_choice: dict[str, BidsFile] = {}
    elsewhere: Counter[str] = Counter()
    for i, image in enumerate(images):
        files["volume"][i] = str(image.path)
        for place in walk.beside(image):
            for role in ROLES[1:]:
                if files[role][i]:
                    continue
                if role == "transform":
                    found, own_spaces = transforms_of(place, image, schema.images.space)
                    elsewhere.update(own_spaces)
                else:
                    found = [file for file in place if _is(role, file, image)]
                if len(found) > 1 and role == "transform":
                    ends = some(sorted({file.entities.get("to", "") for file in found}))
                    raise CohortError(
                        f"{found[0].path}: there are several transforms of this image, to {ends}; choose one in a "
                        'schema: [images] space = "..."'
                    )
                plain = [file for file in found if "desc" not in file.entities] if len(found) > 1 else found
                if len(plain) == 1:
                    files[role][i] = str(plain[0].path)
                    origins[role][str(plain[0].path.parent.relative_to(walk.root)).split("/sub-")[0]] += 1
                elif found:
                    open_choice[role] = image
    notes = []
    for role, where in origins.items():
        if where:
            places = ", ".join("beside the images" if p.startswith("sub-") else p for p in dict.fromkeys(
                "sub-" if p.startswith("sub-") else p for p in where))  # fmt: skip
            notes.append(f"{role}: {sum(where.values())} files, {places}")
    if elsewhere:
        spaces = some([f"to-{to} ({count})" for to, count in elsewhere.most_common()])
        notes.append(f"transform: not taken are those into spaces of one session: {spaces}")
    notes += [
        f"{role}: several files of {image.path.name}, none taken; name them in a table"
        for role, image in open_choice.items()
    ]
    return {role: paths for role, paths in files.items() if any(paths)}, notes


def _is(role: str, file: BidsFile, image: BidsFile) -> bool:
    """Tell whether a file is what a role asks for, of just this image."""
    own = file.entities
    right = (
        file.extension in _NIFTI
        and {
            "mask": file.suffix == "mask" and own.get("desc") == "brain",
            "segmentation": file.suffix == "dseg",
            "noise_free": file.suffix == image.suffix and own.get("desc") == "noisefree" and file.path != image.path,
        }[role]
    )
    rest = {key: value for key, value in own.items() if key != "desc"}
    in_space, wanted = rest.get("space"), image.entities.get("space")
    if in_space != wanted and not (wanted is None and in_space in {image.suffix, *RAW}):
        return False
    return right and all(image.entities.get(key) == value for key, value in rest.items() if key not in ("space", "res"))
