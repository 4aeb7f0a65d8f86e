"""Checks of the images of a cohort, before anything is computed with them: each by itself, and a subject's together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nextscan.arrays import FloatArray, Progress
from nextscan.cohort.cohort import Cohort
from nextscan.cohort.findings import Finding
from nextscan.describing.data import is_of_beats
from nextscan.describing.images.alignment import Fit, alignment, compare
from nextscan.describing.images.findings import Seen, about, alone, together
from nextscan.describing.images.sizes import sizes
from nextscan.errors import ImageError
from nextscan.images.coarse import Coarse, coarsen, head_lengths
from nextscan.images.contrast import MOST, Contrast
from nextscan.images.files import Header, Image, read_header, read_image
from nextscan.images.header import nibabel
from nextscan.images.transforms import common_to_image, placed_alike, read_transform
from nextscan.images.values import summarise, thumbnail
from nextscan.wording import counted, few

UNUSABLE = "unusable-image"
"""The code of findings about images with which nothing can be computed; files that belong to one have others."""
_ROLES = ("mask", "segmentation", "noise_free")
_BROKEN = (UNUSABLE, "unusable-images", "unusable-transform", *(f"unusable-{role}" for role in _ROLES))

_FEWEST = 3  # subjects, of whom one may differ from the others
_SCALES = (0.5, 2.0)  # of volume, by a transform
_LISTED = 20  # unusable files named one by one
_SHOWN = 3  # subjects, and visits of each, with thumbnails


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that a look at the images of a cohort brought.

    Attributes
    ----------
    images : list of Seen
        In the order of the cohort; without unusable ones.
    findings : list of Finding
    unusable : int
        How many images cannot be used.
    thumbnails : list of dict
        Of a few subjects: ``subject``, ``visit``, ``years`` and ``planes``, see `nextscan.images.values.thumbnail`.
    """

    images: list[Seen]
    findings: list[Finding]
    unusable: int = 0
    thumbnails: list[dict[str, Any]] = field(default_factory=list)


def check_images(cohort: Cohort, *, progress: Progress | None = None) -> list[Finding]:
    """Check every image of a cohort and how a subject's images fit together.

    Each image is read once, those of a few subjects twice: is it readable, finite, placed by its header, of plausible
    spacing and intensities; do its mask, label map and transform fit it. Between visits of a subject: orientation,
    spacing, shape, overlap and correlation at low resolution (with the transforms, where there are some), how the head
    would have to be turned, moved or mirrored, its size, what one of them lacks of it, and whether an image is there
    twice. Between subjects: whether brightness is shared out alike.

    Parameters
    ----------
    cohort : Cohort
    progress : callable, optional
        Takes mappings with ``phase``, ``done`` and ``total``.

    Returns
    -------
    list of Finding
        Images that cannot be used have the code `UNUSABLE`, files that belong to them ``unusable-transform`` and so
        on; `require_usable` makes an error of them.
    """
    return inspect_images(cohort, progress=progress).findings


def require_usable(findings: Iterable[Finding]) -> None:
    """Raise an error that names the first image that cannot be used, if there is one.

    Raises
    ------
    ImageError
    """
    wrong = [finding for finding in findings if finding.code in _BROKEN]
    if wrong:
        named = [finding for finding in wrong if finding.code != "unusable-images"]
        more = [counted(len(named) - 1, "more problem")] if len(named) > 1 else []
        more += [finding.text for finding in wrong if finding.code == "unusable-images"]
        told = f" (and {'; '.join(more)}: see nextscan describe)" if more else ""
        raise ImageError(f"{wrong[0].text}{told}")


def inspect_images(cohort: Cohort, *, progress: Progress | None = None, thumbnails: bool = False) -> Inspection:
    """Look at every image once; see `check_images`."""
    rows = np.flatnonzero(cohort.has_volume)
    try:
        nibabel()
    except ImageError as error:
        told = Finding("warning", UNUSABLE, str(error), (), tuple(cohort.subjects[np.unique(cohort.subject_of[rows])]))
        return Inspection([], [told], len(rows))
    look, contrast = _Look(cohort, thumbnails), _usual(cohort)
    images: list[Seen] = []
    fits: list[Fit] = []
    subject: list[tuple[Seen, Coarse | None]] = []
    unlike: list[tuple[str, str]] = []
    for done, row in enumerate(rows, 1):
        found = look.at(int(row))
        if found is not None:
            subject.append(found)
        if done == len(rows) or cohort.subject_of[rows[done]] != cohort.subject_of[row]:
            seen, pairs = compare([(each, coarse) for each, coarse in subject if coarse is not None])
            images += _in_order([each for each, _ in subject], seen)
            fits += pairs
            for first, coarse in subject[:1]:
                if contrast is not None and coarse is not None and (why := contrast.unlike(coarse)):
                    unlike.append((first.subject, f"{first.where} ({why})"))
            subject = []
        if progress is not None:
            progress({"phase": "checking images", "done": done, "total": len(rows)})
    findings = [*look.unusable(), *alone(images), *look.companions(), *together(cohort, images)]
    findings += [*alignment(fits), *sizes(cohort, fits)]
    if unlike:
        text = (
            "subjects whose first image is of another contrast than those of the others: {}; choose one kind of image"
        )
        findings.append(about(unlike, "warning", "contrast-differs", text))
    return Inspection(images, findings, look.n_unusable, look.thumbnails)


def _usual(cohort: Cohort) -> Contrast | None:
    """Return what is usual of the images of a few subjects; None of too few, and of films, which show no heads."""
    if is_of_beats(cohort):
        return None
    images = []
    for row in cohort.some_volumes(MOST):
        with suppress(ImageError):  # told when it is looked at
            images.append(coarsen(read_image(cohort.files_of("volume")[row])))
    return Contrast.of(images, most=True) if len(images) >= _FEWEST else None


def _in_order(every: list[Seen], compared: list[Seen]) -> list[Seen]:
    known = {seen.row: seen for seen in compared}
    return [known.get(seen.row, seen) for seen in every]


class _Look:
    """Goes from image to image and keeps what there is to say."""

    def __init__(self, cohort: Cohort, thumbnails: bool) -> None:
        self.cohort = cohort
        self.of_beats = is_of_beats(cohort)
        self.problems: list[tuple[str, str, str]] = []  # code, subject, message
        self.other_grid: dict[str, list[tuple[str, str]]] = {}
        self.odd_transforms: list[tuple[str, str]] = []
        self.placed_by_itk: list[tuple[str, str]] = []
        self.thumbnails: list[dict[str, Any]] = []
        self.shown = _shown(cohort) if thumbnails else set()

    def at(self, row: int) -> tuple[Seen, Coarse | None] | None:
        """Look at one image; return it with itself at low resolution, or without where it is not to be compared.

        That is where nobody knows where it lies, and of frames of a beat.
        """
        cohort = self.cohort
        subject, visit = str(cohort.subjects[cohort.subject_of[row]]), str(cohort.visits[row])
        where = f"{subject} {visit}"
        try:
            image = read_image(cohort.files_of("volume")[row], where=where)
        except ImageError as error:
            self.problems.append((UNUSABLE, subject, str(error)))
            return None
        self._companions(row, subject, where, image.header)
        if row in self.shown:
            years = float(cohort.years[row])
            known = {"subject": subject, "visit": visit, "years": years}
            self.thumbnails.append({**known, "planes": thumbnail(image)})
        if self.of_beats:  # no heads, and a beat is one breath-hold
            return Seen(row, subject, where, image.header, summarise(image), (0.0, 0.0, 0.0), of_beat=True), None
        try:
            coarse, is_placed = coarsen(image, self._transform(row, subject, where, image.header)), True
        except ImageError as error:
            self.problems.append(("unusable-transform", subject, str(error)))
            coarse, is_placed = coarsen(image), False
        seen = Seen(row, subject, where, image.header, summarise(image), head_lengths(image))
        return seen, coarse if is_placed else None

    def _transform(self, row: int, subject: str, where: str, header: Header) -> FloatArray | None:
        paths = self.cohort.files_of("transform")
        if not (paths[self.cohort.subject_of == self.cohort.subject_of[row]] != "").any():
            return None
        matrix = common_to_image(paths[row], header, where=where)
        if paths[row] and not _SCALES[0] < np.linalg.det(read_transform(paths[row])[:3, :3]) < _SCALES[1]:
            self.odd_transforms.append((subject, where))
        if not placed_alike(header):
            self.placed_by_itk.append((subject, where))
        return np.asarray(np.linalg.inv(matrix), np.float64)

    def _companions(self, row: int, subject: str, where: str, header: Header) -> None:
        """Look at what belongs to an image: it must be readable, and should be on the image's grid."""
        for role in _ROLES:
            if path := self.cohort.files_of(role)[row]:
                try:
                    self._companion(path, role, subject, where, header)
                except ImageError as error:
                    self.problems.append((f"unusable-{role}", subject, str(error)))

    def _companion(self, path: str, role: str, subject: str, where: str, header: Header) -> None:
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
        if self.placed_by_itk:
            text = "images that ITK, and so their transforms, puts elsewhere than others do: {}; placed as ITK does"
            yield about(self.placed_by_itk, "note", "placed-by-itk", text)

    @property
    def n_unusable(self) -> int:
        """Number of images that cannot be used."""
        return sum(code == UNUSABLE for code, _, _ in self.problems)

    def unusable(self) -> Iterator[Finding]:
        """Say which files cannot be used, and why."""
        for code, subject, problem in self.problems[:_LISTED]:
            yield Finding("warning", code, problem, (), (subject,))
        if rest := self.problems[_LISTED:]:
            names = tuple(dict.fromkeys(name for _, name, _ in rest))
            what = "more image" if all(code == UNUSABLE for code, _, _ in rest) else "more file"
            yield Finding(
                "warning", "unusable-images", f"{counted(len(rest), what)} cannot be used, of {few(names)}", (), names
            )


def _shown(cohort: Cohort) -> set[int]:
    """Return the rows of a few subjects, those with most images first, and of a few of their visits."""
    rows = np.flatnonzero(cohort.has_volume)
    counts = np.bincount(cohort.subject_of[rows], minlength=cohort.n_subjects)
    subjects = np.argsort(-np.minimum(counts, _SHOWN), kind="stable")[:_SHOWN]
    chosen = [rows[cohort.subject_of[rows] == subject] for subject in subjects]
    if is_of_beats(cohort):  # frames spread over the beat
        chosen = [own[np.linspace(0, len(own), _SHOWN, endpoint=False).astype(np.intp)] for own in chosen]
    return {int(row) for own in chosen for row in own[:_SHOWN]}
