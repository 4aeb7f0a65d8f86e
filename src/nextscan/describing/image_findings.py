"""What is worth knowing about images that can be used: each by itself, and those of a subject together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nextscan.cohort.cohort import Cohort
from nextscan.cohort.findings import Finding, Level
from nextscan.images.files import Header
from nextscan.images.registration import LOW_CORRELATION, Agreement
from nextscan.images.values import Values
from nextscan.wording import counted, few

_LOW_OVERLAP = 0.8  # of the first visit's head within the field of view of a later one
_SHIFT_GAIN = 0.05  # of correlation: a shift that gains so much was a shift of the head
_THICK = 2.5  # times the smallest spacing
_SPACINGS = (0.1, 12.0)  # mm
_APART = 1.0  # mm between what sform and qform say
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
    agreement : Agreement or None
        With the subject's first image; None for the first.
    """

    row: int
    subject: str
    where: str
    header: Header
    values: Values
    agreement: Agreement | None = None


def about(found: Sequence[tuple[str, str]], level: Level, code: str, text: str) -> Finding:
    """Make a finding of subjects and what to call each case; `text` has a place (``{}``) for number and names."""
    named = text.format(f"{len(found):,} ({few([name for _, name in found])})")
    return Finding(level, code, named, (), tuple(dict.fromkeys(subject for subject, _ in found)))


def alone(images: Sequence[Seen]) -> Iterator[Finding]:
    """Say what is odd about images by themselves."""
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
        found = [(seen.subject, seen.where) for seen in images if test(seen)]
        if found:
            yield about(found, level, code, text)


def together(cohort: Cohort, images: Sequence[Seen]) -> Iterator[Finding]:
    """Say what is odd about images of one subject, and which images are there twice."""
    first: dict[str, Seen] = {}
    later = [(first[seen.subject], seen) for seen in images if first.setdefault(seen.subject, seen) is not seen]
    yield from _grids(later)
    yield from _registration(later)
    yield from _transforms(cohort, later)
    yield from _copies(images)


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


def _registration(later: Sequence[tuple[Seen, Seen]]) -> Iterator[Finding]:
    apart, flipped, outside = [], [], []
    for _, seen in later:
        fit = seen.agreement
        if fit is None:
            continue
        if fit.overlap < _LOW_OVERLAP:
            outside.append((seen.subject, f"{seen.where} ({fit.overlap:.0%})"))
        if fit.flip:
            flipped.append((seen.subject, f"{seen.where} (its {fit.flip} axis)"))
        elif not fit.correlation >= LOW_CORRELATION or (fit.shift > 0 and fit.moved - fit.correlation > _SHIFT_GAIN):
            after = f", {fit.moved:.2f} after {fit.shift:.0f} mm" if fit.moved > fit.correlation + _SHIFT_GAIN else ""
            apart.append((seen.subject, f"{seen.where} (correlation {fit.correlation:.2f}{after})"))
    if outside:
        text = "visits that show less than 80 % of what the subject's first shows: {}; check the field of view"
        yield about(outside, "warning", "little-overlap", text)
    if flipped:
        text = "visits that fit the subject's first only when flipped: {}; correct the header or the array"
        yield about(flipped, "warning", "flipped", text)
    if apart:
        text = "visits that do not lie on the subject's first: {}; register the visits, or give their transforms"
        yield about(apart, "warning", "not-registered", text)


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
