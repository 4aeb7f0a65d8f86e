"""Checks of the images of a cohort, before anything is computed with them: each by itself, and a subject's together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nextscan.arrays import FloatArray, Progress
from nextscan.cohort.cohort import Cohort
from nextscan.cohort.findings import Finding
from nextscan.describing.image_findings import Seen, about, alone, together
from nextscan.errors import ImageError
from nextscan.images.files import Header, Image, read_header, read_image
from nextscan.images.registration import Coarse, agreement, coarsen
from nextscan.images.transforms import read_transform
from nextscan.images.values import summarise, thumbnail
from nextscan.wording import counted, few

UNUSABLE = "unusable-image"
"""The code of findings about images with which nothing can be computed."""

_SCALES = (0.5, 2.0)  # of volume, by a transform
_LISTED = 20  # unusable images named one by one
_SHOWN = 3  # subjects, and visits of each, with thumbnails


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that a look at the images of a cohort brought.

    Attributes
    ----------
    images : list of Seen
        In the order of the cohort; without unusable ones.
    findings : list of Finding
    thumbnails : list of dict
        Of a few subjects: ``subject``, ``visit``, ``years`` and ``planes``, see `nextscan.images.values.thumbnail`.
    """

    images: list[Seen]
    findings: list[Finding]
    thumbnails: list[dict[str, Any]] = field(default_factory=list)


def check_images(cohort: Cohort, *, progress: Progress | None = None) -> list[Finding]:
    """Check every image of a cohort and how a subject's images fit together.

    Each image is read once: is it readable, finite, placed by its header, of plausible spacing and intensities; do its
    mask, label map and transform fit it. Between visits of a subject: orientation, spacing, shape, overlap and
    correlation at low resolution (with the transforms, where there are some), and whether an image is there twice.

    Parameters
    ----------
    cohort : Cohort
    progress : callable, optional
        Takes mappings with ``phase``, ``done`` and ``total``.

    Returns
    -------
    list of Finding
        Images that cannot be used have the code `UNUSABLE`; `require_usable` makes an error of them.
    """
    return inspect_images(cohort, progress=progress).findings


def require_usable(findings: Iterable[Finding]) -> None:
    """Raise an error that names the first image that cannot be used, if there is one.

    Raises
    ------
    ImageError
    """
    wrong = [finding for finding in findings if finding.code == UNUSABLE]
    if wrong:
        more = f" (and {counted(len(wrong) - 1, 'more problem')}: see nextscan describe)" if len(wrong) > 1 else ""
        raise ImageError(f"{wrong[0].text}{more}")


def inspect_images(cohort: Cohort, *, progress: Progress | None = None, thumbnails: bool = False) -> Inspection:
    """Look at every image once; see `check_images`."""
    look = _Look(cohort, thumbnails)
    rows = np.flatnonzero(cohort.has_volume)
    first: Coarse | None = None
    subject = -1
    for done, row in enumerate(rows, 1):
        if cohort.subject_of[row] != subject:
            subject, first = int(cohort.subject_of[row]), None
        first = look.at(int(row), first) or first
        if progress is not None:
            progress({"phase": "checking images", "done": done, "total": len(rows)})
    return Inspection(
        look.images,
        [*look.unusable(), *alone(look.images), *look.companions(), *together(cohort, look.images)],
        look.thumbnails,
    )


class _Look:
    """Goes from image to image and keeps what there is to say."""

    def __init__(self, cohort: Cohort, thumbnails: bool) -> None:
        self.cohort = cohort
        self.images: list[Seen] = []
        self.problems: list[tuple[str, str]] = []  # subject, message
        self.other_grid: dict[str, list[tuple[str, str]]] = {}
        self.odd_transforms: list[tuple[str, str]] = []
        self.thumbnails: list[dict[str, Any]] = []
        self.shown = _shown(cohort) if thumbnails else set()

    def at(self, row: int, first: Coarse | None) -> Coarse | None:
        """Look at one image; return it at low resolution."""
        cohort = self.cohort
        subject, visit = str(cohort.subjects[cohort.subject_of[row]]), str(cohort.visits[row])
        where = f"{subject} {visit}"
        try:
            image = read_image(cohort.files_of("volume")[row], where=where)
            to_common = self._transform(row, subject, where)
            self._companions(row, subject, where, image.header)
        except ImageError as error:
            self.problems.append((subject, str(error)))
            return None
        coarse = coarsen(image, to_common)
        values = summarise(image)
        fit = agreement(first, coarse) if first is not None else None
        self.images.append(Seen(row, subject, where, image.header, values, fit))
        if row in self.shown:
            years = float(cohort.years[row])
            known = {"subject": subject, "visit": visit, "years": years}
            self.thumbnails.append({**known, "planes": thumbnail(image)})
        return coarse

    def _transform(self, row: int, subject: str, where: str) -> FloatArray | None:
        path = self.cohort.files_of("transform")[row]
        if not path:
            return None
        matrix = read_transform(path, where=where)
        if not _SCALES[0] < np.linalg.det(matrix[:3, :3]) < _SCALES[1]:
            self.odd_transforms.append((subject, where))
        return np.asarray(np.linalg.inv(matrix), np.float64)

    def _companions(self, row: int, subject: str, where: str, header: Header) -> None:
        """Look at what belongs to an image: it must be readable, and should be on the image's grid."""
        for role in ("mask", "segmentation", "noise_free"):
            path = self.cohort.files_of(role)[row]
            if not path:
                continue
            other = read_header(path, where=f"{role} of {where}")
            if other.shape != header.shape or not np.allclose(other.affine, header.affine, atol=0.01):
                self.other_grid.setdefault(role, []).append((subject, where))
            if role == "mask":
                mask: Image = read_image(path, where=f"mask of {where}", allow_constant=True)
                if not mask.data.any():
                    raise ImageError(f"{path} (mask of {where}): the mask is empty; make it again or leave it out")

    def companions(self) -> Iterator[Finding]:
        """Say what is odd about files that belong to images."""
        for role, found in self.other_grid.items():
            text = f"{role.replace('_', '-')} files on another grid than the image: {{}}; expected its shape and affine"
            yield about(found, "warning", "other-grid", text)
        if self.odd_transforms:
            text = "transforms that mirror, or change volume more than twofold: {}; check them"
            yield about(self.odd_transforms, "warning", "odd-transform", text)

    def unusable(self) -> Iterator[Finding]:
        """Say which images cannot be used, and why."""
        for subject, problem in self.problems[:_LISTED]:
            yield Finding("warning", UNUSABLE, problem, (), (subject,))
        if rest := self.problems[_LISTED:]:
            names = tuple(dict.fromkeys(name for name, _ in rest))
            text = f"{counted(len(rest), 'more image')} cannot be used, of {few(names)}"
            yield Finding("warning", UNUSABLE, text, (), names)


def _shown(cohort: Cohort) -> set[int]:
    """Return the rows of a few subjects, those with most images first, and of a few of their visits."""
    rows = np.flatnonzero(cohort.has_volume)
    counts = np.bincount(cohort.subject_of[rows], minlength=cohort.n_subjects)
    subjects = np.argsort(-np.minimum(counts, _SHOWN), kind="stable")[:_SHOWN]
    return {int(row) for subject in subjects for row in rows[cohort.subject_of[rows] == subject][:_SHOWN]}
