"""Write imputed images as a BIDS derivative, one visit at a time."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import Progress
from nextscan.atomic import write_text
from nextscan.cohort.cohort import Cohort
from nextscan.cohort.imputation import interval_tail
from nextscan.cohort.volume_imputation import PredictedVolume, VolumeImputation
from nextscan.errors import OutputError, SettingError
from nextscan.images.names import image_name
from nextscan.stamps import split_frame
from nextscan.writing.derivative_dataset import Dataset, as_json, derivative_folder
from nextscan.writing.derivative_names import check_labels, session_label, subject_label, warn_of_suffixes

_KEY = "NextscanProvenance"


@dataclass(frozen=True)
class Written:
    """What `write_derivative` did.

    Attributes
    ----------
    folder : Path
        Of the data set.
    draws_folder : Path or None
        Of the data set that holds the draws, if they were asked for.
    made, kept : int
        Visits imputed now, and visits that were there already.
    means, sds : tuple of Path
        Of each target, in the order of the imputation; of one draw there is no standard deviation.
    """

    folder: Path
    draws_folder: Path | None
    made: int
    kept: int
    means: tuple[Path, ...]
    sds: tuple[Path, ...]


@dataclass(frozen=True)
class _Target:
    """One visit to impute: what it is called, and what its sidecars say."""

    index: int
    subject: str
    session: str
    entities: str
    suffix: str
    row: Mapping[str, object]  # of sessions.tsv
    provenance: Mapping[str, Any]
    source: str
    stripped: bool

    def name(self, desc: str) -> str:
        """Return the path of an image within its data set, without extension."""
        folder = f"sub-{self.subject}/ses-{self.session}/anat"
        return f"{folder}/sub-{self.subject}_ses-{self.session}_{self.entities}desc-{desc}_{self.suffix}"


@dataclass(frozen=True)
class _Image:
    """One image of a target: its label, what it is, and how to get it from the prediction."""

    desc: str
    description: str
    of: Callable[[PredictedVolume], NDArray[np.float32]]
    says: Mapping[str, Any] = field(default_factory=dict)


def write_derivative(
    imputation: VolumeImputation,
    cohort: Cohort,
    out: str | Path,
    *,
    save_draws: bool | str | Path = False,
    level: float | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write imputed images into ``OUT/derivatives/nextscan``, each visit on the grid of its source image.

    Frames of a film are written as visits are, one image each: ``sub-p1/ses-frame07/anat/*_cine.nii.gz``.

    Per visit: ``desc-imputed`` (the mean), ``desc-sd`` (of at least two draws), and where asked for
    ``desc-low`` and ``desc-high`` (ends of an interval) and ``desc-draw01`` and so on, each with a JSON sidecar
    that tells where it comes from. Volumes are made one after the other, and a file appears whole or not at all.
    Visits that are there already, all their files with the same provenance, are not made again: after an
    interruption the same call goes on where it stopped.

    Parameters
    ----------
    imputation : VolumeImputation
    cohort : Cohort
        The imputed one.
    out : path
        A folder; a raw BIDS folder may be given, too. It is taken itself if it is called ``derivatives/nextscan``.
    save_draws : bool or path
        Write all draws as well: beside the means, or into another folder in the same way.
    level : float, optional
        Write the ends of each voxel's interval of this level as well.
    provenance : mapping, optional
        What else the sidecars should tell, ready for JSON, such as a fingerprint of the model. Results of
        another provenance are never mixed.
    progress : callable, optional
        Gets ``done``, ``total`` and ``remaining_seconds``.

    Returns
    -------
    Written

    Raises
    ------
    OutputError
        If a folder cannot be written, belongs to another tool, or holds results of other provenance.
    SettingError
        If there are too few draws for the level.
    CohortError
        If BIDS names cannot tell two subjects or visits apart.
    """
    if level is not None:
        interval_tail(level, imputation.n_draws)
    folder = derivative_folder(Path(out))
    draws_folder = (
        None if save_draws is False else folder if save_draws is True else derivative_folder(Path(save_draws))
    )
    todo = _targets(imputation, cohort, dict(provenance or {}))
    means = _images(imputation.n_draws, level)
    draws = [] if draws_folder is None else _draws(imputation.n_draws)
    parts = {folder: means + draws} if draws_folder in (None, folder) else {folder: means, draws_folder: draws}
    sources = [target.source for target in todo]
    sets = {place: Dataset(place, sources, cohort.time_unit) for place in parts}
    missing = [target for target in todo if not all(_whole(sets[place], target, parts[place]) for place in parts)]
    warn_of_suffixes(target.suffix for target in todo)
    for dataset in sets.values():
        dataset.begin()
    began = time.monotonic()
    lacking = {target.index for target in missing}
    kept = [target for target in todo if target.index not in lacking]
    for target in kept:  # tables may have been cut off behind an image
        for dataset in sets.values():
            dataset.tell(target.subject, str(target.row["subject"]), target.session, target.row)
    try:
        for done, target in enumerate(missing):
            left = (time.monotonic() - began) / done * (len(missing) - done) if done else None
            if progress is not None:
                progress(_event(done, len(missing), left))
            volume = imputation[target.index]
            for place, images in parts.items():
                for image in images:
                    _write(sets[place], target, image, volume)
                sets[place].tell(target.subject, str(target.row["subject"]), target.session, target.row)
        if progress is not None and missing:
            progress(_event(len(missing), len(missing), 0.0))
    finally:
        for dataset in sets.values():
            dataset.end()

    def paths(desc: str) -> tuple[Path, ...]:
        return tuple(folder / f"{target.name(desc)}.nii.gz" for target in todo)

    sds = paths("sd") if imputation.n_draws > 1 else ()
    return Written(folder, draws_folder, len(missing), len(kept), paths("imputed"), sds)


def _event(done: int, total: int, left: float | None) -> dict[str, Any]:
    return {"phase": "estimate" if done == 1 else "imputing", "done": done, "total": total, "remaining_seconds": left}


def _targets(imputation: VolumeImputation, cohort: Cohort, given: dict[str, Any]) -> list[_Target]:
    """Name every target, and say where it comes from."""
    from nextscan import __version__

    wanted = imputation.requested
    if reserved := sorted(set(given) & _RESERVED):
        raise SettingError(f"provenance {', '.join(reserved)} is told by the imputation itself; use other names")
    subjects = [subject_label(str(name)) for name in wanted.subject]
    check_labels(wanted.subject.tolist(), subjects, "subject")
    sessions = [session_label(str(name), cohort.time_unit) for name in wanted.visit]
    for subject in dict.fromkeys(wanted.subject.tolist()):
        own = np.flatnonzero(wanted.subject == subject).tolist()
        check_labels([str(wanted.visit[i]) for i in own], [sessions[i] for i in own], f"visit of {subject}:")
    paths = cohort.files_of("volume")[wanted.context].tolist()
    result = []
    for i, path in enumerate(paths):
        entities, suffix = image_name(path)
        times = {"years": _number(wanted.years[i]), "gap": _number(wanted.gap[i])}
        who = {"subject": str(wanted.subject[i]), "visit": str(wanted.visit[i])}
        from_visit = str(cohort.visits[wanted.context[i]])
        provenance = {
            **who,
            **times,
            "time_unit": cohort.time_unit,
            "source_visit": from_visit,
            "source_file": Path(path).name,
            "source_bytes": os.stat(split_frame(path)[0]).st_size,
            "method": imputation.method,
            "seed": imputation.seed,
            "draws": imputation.n_draws,
            "nextscan": __version__,
            **given,
        }
        row = {**who, **times, "source_visit": from_visit, "method": imputation.method}
        target = _Target(i, subjects[i], sessions[i], entities, suffix, row, provenance, path, _stripped(path))
        result.append(target)
    return result


_RESERVED = {
    "subject", "visit", "years", "gap", "time_unit", "source_visit", "source_file", "source_bytes", "method", "seed",
    "draws", "nextscan",
}  # fmt: skip


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _stripped(path: str) -> bool:
    """Tell whether the sidecar of an image calls it skull-stripped."""
    sidecar = Path(str(split_frame(path)[0]).removesuffix(".gz").removesuffix(".nii") + ".json")
    try:
        content = json.loads(sidecar.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("SkullStripped") is True


def _images(n_draws: int, level: float | None) -> list[_Image]:
    images = [_Image("imputed", "Predicted image: the mean of what is plausible, smoother than a real image.", _mean)]
    if n_draws > 1:
        text = f"Standard deviation over {n_draws} draws of the predicted image."
        images.append(_Image("sd", text, PredictedVolume.sd))
    if level is not None:
        for side in ("low", "high"):
            text = f"{side.capitalize()} end of the {level:.0%} interval of each voxel, from {n_draws} draws."
            images.append(_Image(side, text, partial(_end, level, side), {"Level": level}))
    return images


def _draws(n_draws: int) -> list[_Image]:
    width = max(2, len(str(n_draws)))
    return [
        _Image(
            f"draw{i + 1:0{width}d}",
            f"Draw {i + 1} of {n_draws} of the predicted image: one plausible image among many.",
            partial(_draw, i),
            {"Draw": i + 1},
        )
        for i in range(n_draws)
    ]


def _mean(volume: PredictedVolume) -> NDArray[np.float32]:
    return volume.mean


def _draw(i: int, volume: PredictedVolume) -> NDArray[np.float32]:
    drawn: NDArray[np.float32] = volume.draws[i]
    return drawn


def _end(level: float, side: str, volume: PredictedVolume) -> NDArray[np.float32]:
    low, high = volume.interval(level)
    return low if side == "low" else high


def _sidecar(dataset: Dataset, target: _Target, image: _Image) -> dict[str, Any]:
    return {
        "Description": image.description,
        "Sources": [dataset.uri(target.source)],
        "SkullStripped": target.stripped,
        "Units": "arbitrary, as in the source image",
        **image.says,
        _KEY: dict(target.provenance),
    }


def _whole(dataset: Dataset, target: _Target, images: list[_Image]) -> bool:
    """Tell whether all files of a target are there, and refuse those that come from elsewhere.

    Raises
    ------
    OutputError
    """
    whole = True
    for image in images:
        place = dataset.folder / target.name(image.desc)
        sidecar = place.with_name(place.name + ".json")
        try:
            found = json.loads(sidecar.read_text())
        except (OSError, ValueError):
            whole = False
            continue
        expected = _sidecar(dataset, target, image)
        said = found.get(_KEY, {}) if isinstance(found, dict) else {}
        for key, value in {**target.provenance, **image.says}.items():
            have = found.get(key) if key in image.says else said.get(key)
            if have != value:
                raise OutputError(
                    f"{sidecar}: was imputed with another {key} ({have!r}, now {value!r}); results are not mixed: "
                    "write into another folder, or remove this one"
                )
        whole = whole and found == expected and place.with_name(place.name + ".nii.gz").is_file()
    return whole


def _write(dataset: Dataset, target: _Target, image: _Image, volume: PredictedVolume) -> None:
    """Write an image, then its sidecar: a sidecar says that its image is whole."""
    from nextscan.images.files import write_image

    place = dataset.folder / target.name(image.desc)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for left in place.parent.glob(f".*-{place.name}.*"):  # of a run that was killed
            left.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{place.parent}: cannot be written: {error.strerror or error}") from None
    write_image(place.with_name(place.name + ".nii.gz"), image.of(volume), volume.affine, like=volume.source)
    write_text(place.with_name(place.name + ".json"), as_json(_sidecar(dataset, target, image)))
