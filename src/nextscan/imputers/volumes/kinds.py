"""What kind of images a model learned from, so that another kind is not imputed by it without a word."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nextscan.cohort import Cohort, Targets
from nextscan.errors import CohortError, NextscanWarning, some
from nextscan.images.contrast import MOST, Contrast
from nextscan.images.names import CONTRASTS, image_name, parse
from nextscan.preprocess.volumes.intensity import intensity_range
from nextscan.stamps import content_stamp

OtherKinds = Literal["refuse", "warn", "ignore"]
"""What to do with images of another kind than those of training."""
OTHER_KIND = "other-kind"
"""The code that allows them."""

_TELLING = ("ce", "desc", "echo", "hemi", "inv", "label", "mt", "part", "space", "stain", "trc")
"""Entities that make another image of the same suffix."""
_PROTOCOLS = ("acq", "rec")
"""Entities that tell protocols apart, which may look alike or not."""
_NEGATIVE = 0.05  # of the range: below zero by more is no noise
_FAR = 1.75  # how many times as coarse, or as fine, voxels are that look otherwise


def kind_of_image(path: str) -> tuple[str, str]:
    """Return what the name of an image says of it: the suffix, and with entities that matter; empty if unknown.

    >>> kind_of_image("sub-01_ses-2_acq-3d_desc-preproc_T1w.nii.gz")
    ('T1w', 'desc-preproc_T1w')
    >>> kind_of_image("patient01/follow-up_FLAIR.nii"), kind_of_image("scans/0001.nii.gz")
    (('FLAIR', ''), ('', ''))
    """
    suffix = image_name(path)[1]
    file = parse(Path(path))
    if file is None or "sub" not in file.entities:
        return (suffix if suffix in CONTRASTS else ""), ""
    told = [f"{key}-{file.entities[key]}_" for key in _TELLING if key in file.entities]
    return suffix, "".join(told) + suffix


def _protocol(path: str) -> str | None:
    """Return what the name of an image says of its protocol; None where it is no name of BIDS."""
    file = parse(Path(path))
    if file is None or "sub" not in file.entities:
        return None
    return "_".join(f"{key}-{file.entities[key]}" for key in _PROTOCOLS if key in file.entities)


def learned_from(cohort: Cohort, quantiles: tuple[float, float]) -> tuple[dict[str, Any], Contrast | None]:
    """Return what is to be known of the images of training.

    Parameters
    ----------
    cohort : Cohort
    quantiles : (float, float)
        Of the intensities inside the head, as a `VolumePreparer` takes them.

    Returns
    -------
    dict
        Ready for JSON. ``suffixes``, ``kinds`` and ``protocols``: what their names say, none if a name says nothing;
        ``spacing``: mm along the longest side of the finest and the coarsest voxel; ``range``: of the intensities
        inside the heads of a few images; ``negative``: whether they reach below zero, in any of these.
    Contrast or None
        Of these few, each of another subject; None of films of a beat, which show no heads.
    """
    from nextscan.images.files import read_header

    paths = cohort.files_of("volume")[cohort.has_volume].tolist()
    named = [kind_of_image(path) for path in paths]
    coarse = [max(read_header(path).spacing) for path in paths]
    few = tuple(str(cohort.files_of("volume")[row]) for row in cohort.some_volumes(MOST))
    ranges, contrast = _seen(few, tuple(map(content_stamp, few)), quantiles, heads=cohort.period is None)
    record = {
        "suffixes": _all_known(suffix for suffix, _ in named),
        "kinds": _all_known(kind for _, kind in named),
        "protocols": sorted({protocol for protocol in map(_protocol, paths) if protocol is not None}),
        "spacing": [min(coarse), max(coarse)],
        "range": [min(low for low, _ in ranges), max(high for _, high in ranges)],
        "negative": any(_reaches_below_zero(low, high) for low, high in ranges),
    }
    return record, contrast


@lru_cache(maxsize=4)  # methods and seeds learn from the same images, and laying heads on each other takes seconds
def _seen(
    paths: tuple[str, ...], stamps: tuple[tuple[int, bytes], ...], quantiles: tuple[float, float], *, heads: bool
) -> tuple[list[tuple[float, float]], Contrast | None]:
    """Return ranges of intensity of images, and what they have in common if they are of heads.

    The stamps are there to tell a file that was changed from what it was.
    """
    from nextscan.images.coarse import coarsen
    from nextscan.images.files import read_image

    ranges, looks = [], []
    for path in paths:
        image = read_image(path)
        ranges.append(intensity_range(image.data, quantiles, where=path))
        if heads:
            looks.append(coarsen(image))
    return ranges, Contrast.of(looks, most=False) if heads else None


def check_contrast(known: Contrast, path: str, where: str, model: str) -> None:
    """Warn of an image whose brightness is much unlike that of training, whatever its name says."""
    from nextscan.images.coarse import coarsen
    from nextscan.images.files import read_image

    if told := known.unlike(coarsen(read_image(path))):
        _warn(
            f"{path} ({where}): its brightness is much unlike that of the images {model} learned from ({told}); is it "
            "of another contrast or protocol, or was a part of the head removed? Look at it before its prediction"
        )


def _reaches_below_zero(low: float, high: float) -> bool:
    return low < -_NEGATIVE * (high - low)


def _all_known(names: Iterable[str]) -> list[str]:
    found = sorted(set(names))
    return [] if "" in found else found


def check_kinds(
    record: Mapping[str, Any], cohort: Cohort, wanted: Targets, model: str, others: OtherKinds, finest: float
) -> None:
    """Refuse source images of another kind than those of training, and warn of other protocols and much other voxels.

    Parameters
    ----------
    record : mapping
        What `learned_from` returned; empty for models that did not keep it.
    cohort : Cohort
    wanted : Targets
    model : str
        What to call it in messages.
    others : "refuse", "warn" or "ignore"
    finest : float
        Voxels of the model's own grid: images as coarse as these are none other.

    Raises
    ------
    CohortError
    """
    if others == "ignore" or not record:
        return
    from nextscan.images.files import read_header

    rows = np.unique(wanted.context)
    paths = cohort.files_of("volume")[rows].tolist()
    for which, known in enumerate((record["suffixes"], record["kinds"])):
        told = [kind_of_image(path)[which] for path in paths]
        strange = [path for path, kind in zip(paths, told, strict=True) if known and kind and kind not in known]
        if strange:
            kinds = dict.fromkeys(kind for kind in told if kind and kind not in known)
            text = (
                f"{_places(strange)}: {model} learned from images of kind {some(known)}, and "
                f"{'these are' if len(strange) > 1 else 'this is'} {some(kinds)}"
            )
            if others == "refuse":
                raise CohortError(
                    f"{text}; choose the images it knows (--suffix {known[0]}), or go on in spite of it: --allow "
                    f"{OTHER_KIND} (other_kinds='warn')"
                )
            _warn(text)
            break
    else:
        _check_protocols(paths, record.get("protocols", []), model)
    low, high = record["spacing"]
    coarse = np.array([max(read_header(path).spacing) for path in paths])
    odd = (coarse > _FAR * max(high, finest)) | (coarse < low / _FAR)
    if odd.any():
        strange = [path for path, is_odd in zip(paths, odd, strict=True) if is_odd]
        _warn(
            f"{_places(strange)}: voxels of {_span(coarse[odd].min(), coarse[odd].max())} mm, and {model} learned "
            f"from voxels of {_span(low, high)} mm: what it predicts there has not been seen in training"
        )


def _check_protocols(paths: Sequence[str], known: Sequence[str], model: str) -> None:
    told = [_protocol(path) for path in paths]
    strange = [path for path, protocol in zip(paths, told, strict=True) if protocol and protocol not in known]
    if not strange or not known:
        return
    named = [protocol or f"names without {' and '.join(_PROTOCOLS)}" for protocol in known]
    _warn(
        f"{_places(strange)}: of another protocol by the name than what {model} learned from, {some(named)}: compare "
        "the images, as what it predicts from others has not been seen in training"
    )


def check_sign(record: Mapping[str, Any], low: float, high: float, where: str, model: str) -> None:
    """Warn of an image whose intensities inside the head reach below zero, where training had none, or the reverse."""
    if not record or _reaches_below_zero(low, high) == record["negative"]:
        return
    known = record["range"]
    _warn(
        f"{where}: intensities inside the head are {low:.4g} to {high:.4g}, and those that {model} learned from "
        f"{known[0]:.4g} to {known[1]:.4g}: is it an image "
        "of another kind (CT, a map, normalised)?"
    )


def _span(low: float, high: float) -> str:
    ends = dict.fromkeys(f"{end:.3g}" for end in (low, high))
    return " to ".join(ends)


def _places(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"


def _warn(text: str) -> None:
    warnings.warn(text, NextscanWarning, stacklevel=4)
