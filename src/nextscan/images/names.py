"""Names of BIDS files: entities and a suffix, as in ``sub-01_ses-02_acq-3d_T1w.nii.gz``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nextscan.stamps import split_frame

_NAME = re.compile(r"(?P<entities>(?:[a-zA-Z0-9]+-[a-zA-Z0-9+]+_)*)(?P<suffix>[a-zA-Z0-9]+)(?P<extension>\.[a-z.0-9]+)")
_CONTRASTS = {
    name.lower(): suffix
    for suffix, names in {
        "T1w": ("T1", "T1w", "MPRAGE"),
        "T2w": ("T2", "T2w"),
        "PDw": ("PD", "PDw"),
        "FLAIR": ("FLAIR",),
        "T2starw": ("T2star", "T2starw"),
        "UNIT1": ("UNIT1",),
        "inplaneT1": ("inplaneT1",),
        "inplaneT2": ("inplaneT2",),
        "angio": ("angio",),
        "T1map": ("T1map",),
        "T2map": ("T2map",),
        "MTRmap": ("MTRmap",),
    }.items()
    for name in names
}
CONTRASTS = frozenset(_CONTRASTS.values())
"""BIDS suffixes that `image_name` recognises."""
FILM = "cine"
"""What images of frames are called, whatever the name of their film; BIDS has no name for them."""
_FREESURFER = re.compile(r"\.mg[zh]$", re.IGNORECASE)
_REPLACED = ("sub", "ses", "desc")
WHOSE = ("sub", "ses", "run")
"""Entities that tell whose and which image it is; the others tell its kind."""


@dataclass(frozen=True)
class BidsFile:
    """A file and what its name says.

    Attributes
    ----------
    path : Path
    entities : mapping of str to str
        In the order of the name, such as ``{"sub": "01", "ses": "02"}``.
    suffix : str
        The last part, such as ``T1w``.
    extension : str
        Such as ``.nii.gz``.
    """

    path: Path
    suffix: str
    extension: str
    entities: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What kind of file it is, whoever's: ``desc-preproc_T1w``."""
        return "_".join([*(f"{key}-{self.entities[key]}" for key in sorted(self.others)), self.suffix])

    @property
    def others(self) -> set[str]:
        """Entities besides subject, session and run."""
        return set(self.entities) - set(WHOSE)

    def fits(self, wanted: str) -> bool:
        """Tell whether the name has a suffix and all entities before it, in any order.

        >>> parse(Path("sub-1_acq-3d_desc-preproc_T1w.nii.gz")).fits("desc-preproc_T1w")
        True
        """
        *entities, suffix = wanted.split("_")
        pairs = {f"{key}-{value}" for key, value in self.entities.items()}
        return suffix == self.suffix and pairs.issuperset(entities)


def parse(path: Path) -> BidsFile | None:
    """Return what a file's name says, or None if it is no name of BIDS.

    >>> parse(Path("sub-01_ses-02_T1w.nii.gz")).kind
    'T1w'
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    pairs = [part.split("-", 1) for part in match["entities"].split("_") if part]
    return BidsFile(path, match["suffix"], match["extension"], dict((key, value) for key, value in pairs))


def image_name(source: str) -> tuple[str, str]:
    """Return what the name of an image says of its kind: entities such as ``acq-3d_``, and the BIDS suffix.

    A frame of a film is called ``cine`` where its file has no name of BIDS. FreeSurfer names its volumes by steps of
    its stream (``norm.mgz``), all of them of a T1w where nothing else is said.

    >>> image_name("sub-01_ses-2_acq-3d_run-1_desc-preproc_T1w.nii.gz"), image_name("patient01/study1_T2W.nii.gz")
    (('acq-3d_run-1_', 'T1w'), ('', 'T2w'))
    >>> image_name("patient001_4d.nii.gz#3")
    ('', 'cine')
    """
    path, frame = split_frame(source)
    file = parse(path)
    if frame is not None and (file is None or "sub" not in file.entities):
        return "", FILM
    if file is not None and not _FREESURFER.search(path.name):
        kept = [f"{key}-{value}_" for key, value in file.entities.items() if key not in _REPLACED]
        return "".join(kept), _CONTRASTS.get(file.suffix.lower(), file.suffix)
    stem = re.sub(r"\.(nii(\.gz)?|mg[zh])$", "", path.name)
    last = re.sub(r"[^A-Za-z0-9]", "", re.split(r"[_\-. ]", stem)[-1]) or "image"
    return "", _CONTRASTS.get(last.lower(), "T1w" if _FREESURFER.search(path.name) else last)
