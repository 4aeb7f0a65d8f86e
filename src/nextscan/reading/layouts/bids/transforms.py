"""Which transform in a BIDS folder takes an image to a space that all visits of its subject share."""

from __future__ import annotations

from collections.abc import Sequence

from nextscan.images.names import CONTRASTS, BidsFile

RAW = frozenset({"orig", "native", "individual"})
"""What derivatives call the space of the raw image."""
_OWN = RAW | CONTRASTS | {"fsnative", "scanner", "anat", "func", "bold", "boldref", "dwi"}
_OF_TRANSFORMS = frozenset({"from", "to", "mode"})


def transforms_of(place: Sequence[BidsFile], image: BidsFile, space: str | None) -> tuple[list[BidsFile], set[str]]:
    """Return the transforms of an image that a folder holds.

    The space of an image is that of its entity ``space``; else, for what has ``desc``, the reference named by the
    suffix (``from-T1w``); else, for a raw image, ``from-orig`` where there is one, as fMRIPrep has it, and
    ``from-T1w`` where there is none. Spaces of one session are not shared: ``to-fsnative``, ``to-orig``, and
    ``to-T1w`` unless that is a reference of all sessions, which fMRIPrep keeps beside them in the subject's ``anat``.

    Parameters
    ----------
    place : sequence of BidsFile
        The files of the folder.
    image : BidsFile
    space : str, optional
        The only one to take, whatever it is.

    Returns
    -------
    found : list of BidsFile
    elsewhere : set of str
        Spaces of one session to which there are transforms of this image.
    """
    every = [file for file in place if _is_transform(file) and _fits(file, image)]
    starts = {image.entities.get("space", image.suffix)}
    if not {"space", "desc"} & set(image.entities):
        starts = {file.entities["from"] for file in every if file.entities["from"] in RAW} or starts
    own = [file for file in every if file.entities["from"] in starts]
    if space is not None:
        return [file for file in own if file.entities["to"] == space], set()
    found = [file for file in own if file.entities["to"] not in _OWN or _is_of_all_sessions(file)]
    return found, {file.entities["to"] for file in own if file not in found}


def _is_transform(file: BidsFile) -> bool:
    named = file.suffix == "xfm" and file.extension == ".txt" and {"from", "to"} <= set(file.entities)
    return named and file.entities.get("mode", "image") == "image"


def _fits(file: BidsFile, image: BidsFile) -> bool:
    return all(image.entities.get(key) == value for key, value in file.entities.items() if key not in _OF_TRANSFORMS)


def _is_of_all_sessions(file: BidsFile) -> bool:
    """Tell whether the image that a transform leads to lies above the sessions."""
    if "ses" not in file.entities or file.entities["to"] not in CONTRASTS:
        return False
    subject, to = file.entities.get("sub", ""), file.entities["to"]
    return any((file.path.parents[2] / "anat").glob(f"sub-{subject}_*{to}.nii*"))
