"""How the images of a subject lie on each other, and what is worth knowing about that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nextscan.cohort.findings import Finding, Level
from nextscan.describing.images.findings import Seen, about
from nextscan.images.coarse import Coarse
from nextscan.images.pose import Order
from nextscan.images.registration import Agreement, agreement
from nextscan.wording import listed

_LITTLE = 0.2  # of a head beyond the field of view
_SOME = 0.03  # of a head, at the top or a side
_NECK = 0.05
_SCALED = 1.1  # a head of which to say so beside how far it was moved
_WHOLE = 100.0  # mm in each direction: an image of less shows no whole head
_TRIED = 3  # visits that may be compared with in place of the first
_AXES = {"L": "left and right", "R": "left and right", "A": "front and back", "P": "front and back"}
_FIRST = ("first", "second", "third")
_WHERE = {"L": "left", "R": "right", "P": "back", "A": "front", "I": "bottom", "S": "top"}
_OPPOSITE = dict(zip("LRPAIS", "RLAPSI", strict=True))


@dataclass(frozen=True, eq=False)
class Fit:
    """Two images of a subject, and how the second lies on the first.

    Attributes
    ----------
    first, second : Seen
    agreement : Agreement
    is_first : bool
        Whether `first` is the subject's first image.
    """

    first: Seen
    second: Seen
    agreement: Agreement
    is_first: bool


def compare(images: Sequence[tuple[Seen, Coarse]]) -> tuple[list[Seen], list[Fit]]:
    """Compare the images of a subject.

    All are compared with the first. If most do not lie on it and more of them lie on each other, it is the first
    that is off: then all are compared with one of those.

    Returns
    -------
    seen : list of Seen
        With the agreement with the first.
    fits : list of Fit
    """
    if not images:
        return [], []
    coarse = [each for _, each in images]
    with_first = [agreement(coarse[0], each) for each in coarse[1:]]
    seen = [images[0][0], *(replace(one, agreement=fit) for (one, _), fit in zip(images[1:], with_first, strict=True))]
    off = [k for k, fit in enumerate(with_first, 1) if fit.is_off]
    reference, most = 0, len(images) - len(off)
    fits = dict(enumerate(with_first, 1))
    if 2 * len(off) > len(with_first) > 1:
        for k in off[:_TRIED]:
            found = {j: agreement(coarse[k], each) for j, each in enumerate(coarse) if j != k}
            together = 1 + sum(not fit.is_off for fit in found.values())
            if together > most:
                reference, most, fits = k, together, found
    return seen, [Fit(seen[reference], seen[k], fit, reference == 0) for k, fit in fits.items()]


def alignment(fits: Sequence[Fit]) -> Iterator[Finding]:
    """Say which images do not lie where others of the subject do, and which show less than those."""
    yield from _placed(fits)
    yield from _shown(fits)


def _placed(fits: Sequence[Fit]) -> Iterator[Finding]:
    for is_first, other in ((True, "the subject's first"), (False, "the subject's others, which lie on each other")):
        apart: list[tuple[str, str]] = []
        flipped: list[tuple[str, str]] = []
        mixed: list[tuple[str, str]] = []
        for fit in fits:
            found, seen = fit.agreement, fit.second
            if fit.is_first != is_first:
                continue
            if found.is_rearranged:
                mirrored, how = rearranged(found.order, seen.header.orientation)
                (flipped if mirrored else mixed).append((seen.subject, f"{seen.where} ({how})"))
            elif found.is_apart:
                apart.append((seen.subject, f"{seen.where} ({_told(found)})"))
        if flipped:
            text = f"visits that fit {other} only when mirrored: {{}}; correct the header or the array that is wrong"
            yield about(flipped, "warning", "flipped", text)
        if mixed:
            text = (
                f"visits that fit {other} only with the axes of the array in another order or direction: {{}}; correct "
                "the header or the array that is wrong"
            )
            yield about(mixed, "warning", "axes-differ", text)
        if apart:
            text = f"visits that do not lie on {other}: {{}}; register the visits, or give their transforms"
            yield about(apart, "warning", "not-registered", text)


def rearranged(order: Order, orientation: str) -> tuple[bool, str]:
    """Say what became of the axes of an array.

    Parameters
    ----------
    order : Order
        As an `Agreement` has it.
    orientation : str
        Of the header, as in ``"RAS"``.

    Returns
    -------
    bool
        Whether one axis is reversed, and nothing else.
    str

    >>> rearranged((1, -2, 3), "RAS"), rearranged((-1, -2, 3), "RAS")
    ((True, 'front and back, its second axis'), (False, 'half a turn about its third axis, bottom to top'))
    >>> rearranged((1, 3, -2), "RAS"), rearranged((2, 1, 3), "RAS")
    ((False, 'a quarter turn about its first axis, left to right'), (False, 'its first and second axis swapped'))
    >>> rearranged((3, 1, -2), "RAS")
    (False, 'its axes run along the third, first and reversed second of the header')
    """
    back = [axis for axis, number in enumerate(order) if number < 0]
    kept = [axis for axis, number in enumerate(order) if abs(number) == axis + 1]
    if len(kept) == 3 and len(back) == 1:
        return True, f"{_AXES.get(orientation[back[0]], 'top and bottom')}, its {_FIRST[back[0]]} axis"
    if len(kept) == 3 and len(back) == 3:
        return False, "all three axes reversed"
    if len(kept) == 3 or (len(kept) == 1 and kept[0] not in back and len(back) == 1):
        (about_axis,) = [axis for axis in kept if axis not in back]
        part = "half a turn" if len(kept) == 3 else "a quarter turn"
        letter = orientation[about_axis]
        return False, f"{part} about its {_FIRST[about_axis]} axis, {_WHERE[_OPPOSITE[letter]]} to {_WHERE[letter]}"
    if len(kept) == 1 and not back:
        return False, f"its {listed([_FIRST[axis] for axis in range(3) if axis not in kept])} axis swapped"
    along = [("reversed " if number < 0 else "") + _FIRST[abs(number) - 1] for number in order]
    return False, f"its axes run along the {listed(along)} of the header"


def _told(found: Agreement) -> str:
    if not found.is_explained:
        return "nothing in common" if np.isnan(found.correlation) else f"correlation {found.correlation:.2f}"
    now = "nothing in common" if np.isnan(found.still) else f"correlation {found.still:.2f}"
    turned = f"turned {found.angle:.0f}°, " if found.angle >= 1 else ""
    scaled = "" if 1 / _SCALED <= found.scale <= _SCALED else f", its head {found.scale:.2f} times as large"
    return f"{now}; {found.moved:.2f} {turned}moved {found.shift:.0f} mm{scaled}"


def _shown(fits: Sequence[Fit]) -> Iterator[Finding]:
    """Say which images lack a part of the head; each once, as others of the subject show most of it.

    Of slabs, and of other organs, only little overlap is told: what ends in them depends on the moment and the slice.
    """
    little, some, neck, cut = _Lacks(), _Lacks(), _Lacks(), _Lacks()
    for fit in fits:
        found = fit.agreement
        if not found.is_explained and found.overlap < 1 - _LITTLE:
            little.add(fit.second, {"": 1 - found.overlap})
        if max(min(_extent(seen)) for seen in (fit.first, fit.second)) < _WHOLE:
            continue
        for seen, unseen, removed in (
            (fit.second, found.unseen, found.cut),
            (fit.first, found.unseen_by_first, found.cut_from_first),
        ):
            above = {where: share for where, share in unseen.items() if share >= _SOME and where != "bottom"}
            if sum(unseen.values()) > _LITTLE:
                little.add(seen, unseen)
            elif above:
                some.add(seen, above)
            elif unseen.get("bottom", 0) >= _NECK:
                neck.add(seen, {"bottom": unseen["bottom"]})
            if removed:
                cut.add(seen, removed)
    told: tuple[tuple[_Lacks, Level, str, str], ...] = (
        (
            little,
            "warning",
            "little-overlap",
            "visits that show less than 80 % of the head that others of the subject show: {}; check the field of view",
        ),
        (
            some,
            "warning",
            "uneven-view",
            "visits that end before the head does which others of the subject show: {}; crop all visits alike",
        ),
        (neck, "note", "uneven-neck", "visits that end higher at the neck than others of the subject: {}"),
        (
            cut,
            "warning",
            "uneven-removal",
            "visits from which a part of the head was removed that others of the subject keep: {}; deface, strip or "
            "crop all visits alike",
        ),
    )
    for lacks, level, code, text in told:
        if lacks.by_image:
            yield about(lacks.named(), level, code, text)


def _extent(seen: Seen) -> tuple[float, ...]:
    return tuple(n * mm for n, mm in zip(seen.header.shape, seen.header.spacing, strict=True))


class _Lacks:
    """Images and the largest share of a head that each of them lacks."""

    def __init__(self) -> None:
        self.by_image: dict[str, tuple[str, Mapping[str, float]]] = {}

    def add(self, seen: Seen, shares: Mapping[str, float]) -> None:
        _, known = self.by_image.get(seen.where, ("", {}))
        if sum(shares.values()) > sum(known.values()):
            self.by_image[seen.where] = seen.subject, shares

    def named(self) -> list[tuple[str, str]]:
        """Return subjects and what to call each case."""
        return [
            (
                subject,
                f"{where} (lacks " + ", ".join(
                    f"{share:.0%}" + (f" at the {way}" if way else "")
                    for way, share in sorted(shares.items(), key=lambda item: -item[1])
                ) + ")",
            )
            for where, (subject, shares) in self.by_image.items()
        ]  # fmt: skip
