"""What is worth knowing about images that can be used: each by itself, and those of a subject together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nextscan.cohort.cohort import Cohort
from nextscan.cohort.findings import Finding, Level
from nextscan.images.files import Header
from nextscan.images.names import parse
from nextscan.images.registration import Agreement
from nextscan.images.values import Values
from nextscan.wording import counted, few

_THICK = 2.5  # times the smallest spacing
_SPACINGS = (0.1, 12.0)  # mm
_APART = 1.0  # mm between what sform and qform say
_OF_HEADS = ("odd-size", "odd-spacing", "thick-slices")
"""Findings that are none where images show hearts."""
_HEADS = (35.0, 400.0)  # mm, of the longest side of a head: one of 20 weeks has 50
_FLAT = 0.3  # of the longest side: a head is never as flat
_SAME_SPACING = 0.02  # of the spacing


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of one image.

    Attributes
    ----------
    row : int
        Of the cohort.
    subject : str
    where : str
        Subject and visit.
    header, values : Header, Values
    head : tuple of three float
        Lengths of the head in mm, along the axes of the array; negative where it ends at neither side of the image,
        and may be longer.
    agreement : Agreement or None
        With the subject's first image; None for the first.
    of_beat : bool
        Whether it is a frame of a heart.
    """

    row: int
    subject: str
    where: str
    header: Header
    values: Values
    head: tuple[float, float, float]
    agreement: Agreement | None = None
    of_beat: bool = False

    @property
    def is_odd_in_size(self) -> bool:
        """Tell whether no head is so small, large or flat as this one by its header."""
        longest = max(map(abs, self.head))
        flat = any(0 < length < _FLAT * longest for length in self.head)
        return longest > 0 and (flat or not _HEADS[0] <= longest <= _HEADS[1])


def about(found: Sequence[tuple[str, str]], level: Level, code: str, text: str) -> Finding:
    """Make a finding of subjects and what to call each case; `text` has a place (``{}``) for number and names."""
    named = text.format(f"{len(found):,} ({few([name for _, name in found])})")
    return Finding(level, code, named, (), tuple(dict.fromkeys(subject for subject, _ in found)))


def alone(images: Sequence[Seen]) -> Iterator[Finding]:
    """Say what is odd about images by themselves; slices of hearts are thick, and show no heads."""
    tests: tuple[tuple[Callable[[Seen], bool], Level, str, str], ...] = (
        (
            lambda seen: seen.values.is_label_map,
            "warning",
            "label-map",
            "images of few whole numbers in patches, as label maps are: {}; give the scan as volume, the map as "
            "segmentation",
        ),
        (
            lambda seen: seen.values.is_almost_empty,
            "warning",
            "almost-empty",
            "images with more than 99 % zeros: {}; look at them, the crop or the scaling may be wrong",
        ),
        (
            lambda seen: seen.values.is_negative,
            "note",
            "negative-intensities",
            "images with negative intensities: {}; scaled already, or no MRI?",
        ),
        (
            lambda seen: min(seen.header.spacing) < _SPACINGS[0] or max(seen.header.spacing) > _SPACINGS[1],
            "warning",
            "odd-spacing",
            "images with voxels below 0.1 or above 12 mm: {}; is the header in another unit?",
        ),
        (
            lambda seen: seen.is_odd_in_size,
            "warning",
            "odd-size",
            "images whose head is smaller, larger or flatter than any by the header: {}; voxel sizes may be wrong, or "
            "in another unit than mm",
        ),
        (
            lambda seen: not any(seen.header.codes),
            "warning",
            "unplaced",
            "images whose header does not say where it lies (qform and sform codes 0): {}; left and right are a guess",
        ),
        (
            lambda seen: seen.header.apart > _APART,
            "note",
            "forms-disagree",
            "images whose qform and sform disagree by more than 1 mm: {}; the sform is taken",
        ),
        (
            lambda seen: max(seen.header.spacing) > _THICK * min(seen.header.spacing),
            "note",
            "thick-slices",
            "images with slices more than 2.5 times as thick as voxels are wide: {}; expect little across them",
        ),
    )
    for test, level, code, text in tests:
        named = _measured if code == "odd-size" else _named
        asked = [seen for seen in images if not (seen.of_beat and code in _OF_HEADS)]
        found = [(seen.subject, named(seen)) for seen in asked if test(seen)]
        if found:
            yield about(found, level, code, text)


def _named(seen: Seen) -> str:
    return seen.where


def _measured(seen: Seen) -> str:
    return f"{seen.where} ({'×'.join(f'{abs(length):.0f}' for length in seen.head)} mm)"


def together(cohort: Cohort, images: Sequence[Seen]) -> Iterator[Finding]:
    """Say what is odd about images of one subject, and which images are there twice."""
    first: dict[str, Seen] = {}
    later = [(first[seen.subject], seen) for seen in images if first.setdefault(seen.subject, seen) is not seen]
    yield from _kinds(later)
    yield from _grids(later)
    yield from _transforms(cohort, later)
    yield from _copies(images)


def _kinds(later: Sequence[tuple[Seen, Seen]]) -> Iterator[Finding]:
    named = [(parse(a.header.path), parse(b.header.path), b) for a, b in later]
    found = [
        (b.subject, f"{b.where} ({there.kind}, first {here.kind})")
        for here, there, b in named
        if here is not None and there is not None and "sub" in here.entities and "sub" in there.entities
        and here.kind != there.kind and not b.of_beat  # frames are called by what they show: ED, ES
    ]  # fmt: skip
    if found:
        text = (
            "visits whose images are, by their names, of another kind or protocol than the subject's first: {}; what "
            "differs between them is not all change"
        )
        yield about(found, "warning", "kind-differs", text)


def _grids(later: Sequence[tuple[Seen, Seen]]) -> Iterator[Finding]:
    def changed(what: Callable[[Header], str], where: Callable[[Seen, Seen], bool]) -> list[tuple[str, str]]:
        return [(b.subject, f"{b.where} ({what(b.header)}, first {what(a.header)})") for a, b in later if where(a, b)]

    turned = changed(lambda header: header.orientation, lambda a, b: a.header.orientation != b.header.orientation)
    if turned:
        text = "visits oriented otherwise than the subject's first: {}; fine if both headers are right"
        yield about(turned, "warning", "orientation-differs", text)
    spaced = changed(
        lambda header: spaced_text(header.spacing),
        lambda a, b: any(
            abs(x - y) > _SAME_SPACING * x
            for x, y in zip(sorted(a.header.spacing), sorted(b.header.spacing), strict=True)
        ),
    )
    if spaced:
        text = "visits with other voxels than the subject's first: {}; resampling blurs one of them more"
        yield about(spaced, "note", "spacing-differs", text)
    shaped = changed(
        lambda header: "×".join(map(str, header.shape)), lambda a, b: sorted(a.header.shape) != sorted(b.header.shape)
    )
    if shaped:
        yield about(shaped, "note", "shape-differs", "visits of another shape than the subject's first: {}")


def spaced_text(spacing: Sequence[float]) -> str:
    """Write a spacing.

    >>> spaced_text((0.71875, 0.71875, 3.0))
    '0.72×0.72×3 mm'
    """
    return "×".join(f"{step:.2f}".rstrip("0").rstrip(".") for step in spacing) + " mm"


def _transforms(cohort: Cohort, later: Sequence[tuple[Seen, Seen]]) -> Iterator[Finding]:
    paths = cohort.files_of("transform")
    found = [(b.subject, b.where) for a, b in later if bool(paths[a.row]) != bool(paths[b.row])]
    if found:
        text = "visits with a transform though the subject's first has none, or without one: {}; give all or none"
        yield about(found, "warning", "partly-transformed", text)


def _copies(images: Sequence[Seen]) -> Iterator[Finding]:
    known: dict[bytes, Seen] = {}
    pairs = [
        (known[seen.values.digest], seen) for seen in images if known.setdefault(seen.values.digest, seen) is not seen
    ]
    within = [(b.subject, f"{a.where} = {b.where}") for a, b in pairs if a.subject == b.subject]
    between = [(a, b) for a, b in pairs if a.subject != b.subject]
    if within:
        text = "images that two visits of a subject share: {}; drop the copy"
        yield about(within, "warning", "copied-visits", text)
    if between:
        named = few([f"{a.where} = {b.where}" for a, b in between])
        what = f"{counted(len(between), 'pair')} of different subjects with the same image: {named}"
        text = f"{what}; one scan under two names leaks from training to test, drop one"
        both = dict.fromkeys(seen.subject for pair in between for seen in pair)
        yield Finding("warning", "identical-subjects", text, (), tuple(both))
