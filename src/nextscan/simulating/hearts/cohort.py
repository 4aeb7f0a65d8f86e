"""Simulated cohorts of hearts: short-axis frames of a beat by a known law, as a table of images or laid out as ACDC."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import Progress
from nextscan.atomic import atomic_folder
from nextscan.cohort.cohort import Cohort
from nextscan.errors import SettingError
from nextscan.simulating.hearts.folder import (
    LAW,
    LAYOUTS,
    PREFIXES,
    TABLE,
    Layout,
    Places,
    check_place,
    es_frames,
    frame_time,
    people_of,
    phases,
    visit_names,
    write_info,
    write_tables,
)
from nextscan.simulating.hearts.form import Form
from nextscan.simulating.hearts.law import HeartLaw, canonical
from nextscan.simulating.hearts.people import draw_people, shares_of
from nextscan.simulating.hearts.physiology import GROUPS
from nextscan.simulating.hearts.render import FIELD_OF_VIEW, Heart, affine_of
from nextscan.simulating.hearts.scanner import bias, noisy, slice_shifts
from nextscan.simulating.law_file import save_heart_law

_SMALLEST, _LARGEST = 4, 512
_FEWEST, _MOST = 2, 500  # frames


def simulate_hearts(
    out: str | Path,
    *,
    n_subjects: int = 60,
    n_frames: int = 12,
    shape: tuple[int, int, int] = (32, 32, 8),
    spacing: tuple[float, float, float] | None = None,
    groups: Mapping[str, float] | None = None,
    layout: Layout = "table",
    seed: int = 0,
    progress: Progress | None = None,
) -> Cohort:
    """Make a cohort of simulated hearts that beat by a known law.

    A heart is a subject, a frame a visit; its time is the share of the beat that has passed since end-diastole. The
    truth lies in ``derivatives/truth``: images without noise, label maps and volumes of all frames, and the law
    (`HeartLaw`).

    Parameters
    ----------
    out : path
        Folder to write, whole or not at all. A cohort of simulated hearts there is replaced, anything else is not.
    n_subjects : int
        A person does not depend on how many others there are.
    n_frames : int
        Evenly spaced over the beat.
    shape : tuple of three int
        Voxels of a slice, and slices. People do not depend on it, nor on spacing and frames.
    spacing : tuple of three float, optional
        mm; else such that the images cover `FIELD_OF_VIEW`, in which the largest heart fits.
    groups : mapping of str to float, optional
        Shares of the groups NOR, DCM, HCM, MINF and RV, whatever their sum; else equal ones.
    layout : "table" or "acdc"
        A table ``hearts.csv`` of frames with the folder ``images``, or the folders and files of ACDC.
    seed : int
    progress : callable, optional
        Called with ``{"phase", "done", "total"}``, counting subjects.

    Returns
    -------
    Cohort
        With the files of the written folder; ``IMAGE.nii.gz#3`` is the fourth frame of an image.

    Raises
    ------
    SettingError
        If a number is out of range, a group is unknown, or a heart does not fit into the images.
    OutputError
        If something else is in the place, or it cannot be written.
    ImageError
        If nibabel is not installed.
    """
    shape, spacing = _checked(n_subjects, n_frames, shape, spacing, groups, layout)
    out = Path(out)
    check_place(out)
    law = draw_people(
        n_subjects,
        shape,
        spacing,
        n_frames=n_frames,
        shares=shares_of(groups),
        seed=seed,
        prefix=PREFIXES[layout],
    )
    with atomic_folder(out, what="the cohort") as beside:
        write_tables(beside, law, layout)
        save_heart_law(beside / LAW, law)
        _write_images(beside, law, layout, progress)
    return _cohort(out, law, layout)


def heart_of(law: HeartLaw, subject: str) -> Heart:
    """Lay out a subject's heart on the grid of the cohort.

    Raises
    ------
    CohortError
        If the law does not know the subject.
    """
    i = law.subject(subject)
    shifts = slice_shifts(canonical(i), law.shape[2], seed=law.seed)
    return Heart(Form.of(law.form[i], law.traits[i]), law.traits[i], law.shape, law.spacing, shifts)


def _checked(
    n_subjects: int,
    n_frames: int,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float] | None,
    groups: Mapping[str, float] | None,
    layout: str,
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    if n_subjects < 1:
        raise SettingError(f"simulate hearts needs at least 1 subject, got {n_subjects}")
    if not _FEWEST <= n_frames <= _MOST:
        raise SettingError(f"a beat has {_FEWEST} to {_MOST} frames, got {n_frames}")
    if len(shape) != 3 or not all(_SMALLEST <= n <= _LARGEST for n in shape):
        raise SettingError(
            f"a shape is three numbers from {_SMALLEST} to {_LARGEST}, as in 32,32,8; got {','.join(map(str, shape))}"
        )
    if layout not in LAYOUTS:
        raise SettingError(f"a layout of simulated hearts is {' or '.join(LAYOUTS)}, got {layout}")
    if groups is not None:
        if unknown := [name for name in groups if name not in GROUPS]:
            raise SettingError(f"no group {unknown[0]}; there are {', '.join(GROUPS)}")
        if not all(share >= 0 for share in groups.values()) or not 0 < sum(groups.values()) < np.inf:
            raise SettingError(f"shares of groups are not negative, and one is above 0; got {dict(groups)}")
    x, y, z = (size / n for size, n in zip(FIELD_OF_VIEW, shape, strict=True)) if spacing is None else spacing
    if not all(0 < size < np.inf for size in (x, y, z)):
        raise SettingError(f"a spacing is three numbers of mm above 0, got {x:g},{y:g},{z:g}")
    return (int(shape[0]), int(shape[1]), int(shape[2])), (float(x), float(y), float(z))


def _write_images(folder: Path, law: HeartLaw, layout: Layout, progress: Progress | None) -> None:
    from nextscan.images.files import write_image

    affine, smallest = affine_of(law.shape, law.spacing), es_frames(law)
    numbers = np.arange(law.n_frames)
    for i, name in enumerate(law.subjects):
        subject, places, seconds = str(name), Places.of(folder, str(name), layout), frame_time(law, i)
        heart, scanned = heart_of(law, subject), canonical(i)
        heart.check_fits(subject)
        clean, labels = heart.labelled_frames(law.beat(subject))
        clean *= bias(scanned, law.shape, seed=law.seed)[..., None]
        seen = np.round(noisy(clean, scanned, numbers, seed=law.seed)).astype(np.int16)
        for path, data in ((places.volume, seen), (places.segmentation, labels), (places.noise_free, clean)):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, data, affine, frame_seconds=seconds)
        if layout == "acdc":
            write_info(places.volume.with_name("Info.cfg"), law, i, int(smallest[i]))
            for k in (0, int(smallest[i])):
                stem = places.volume.with_name(f"{subject}_frame{k + 1:02d}")
                write_image(stem.with_name(f"{stem.name}.nii.gz"), seen[..., k], affine)
                write_image(stem.with_name(f"{stem.name}_gt.nii.gz"), labels[..., k], affine)
        if progress is not None:
            progress({"phase": "simulating", "done": i + 1, "total": len(law.subjects)})


def _cohort(folder: Path, law: HeartLaw, layout: Layout) -> Cohort:
    """Return the cohort that was written."""
    n, frames = len(law.subjects), range(law.n_frames)
    places = [Places.of(folder, str(subject), layout) for subject in law.subjects]
    return Cohort(
        name=folder.name,
        subjects=law.subjects,
        subject_of=np.repeat(np.arange(n), law.n_frames).astype(np.intp),
        visits=np.tile(visit_names(law.n_frames), n),
        years=np.tile(np.round(law.times, 6), n),
        features=np.empty((n * law.n_frames, 0)),
        feature_names=(),
        labels=people_of(law),
        visit_labels=pd.DataFrame({"phase": phases(law)}),
        files={
            role: np.array([f"{getattr(place, role)}#{k}" for place in places for k in frames])
            for role, _ in places[0].roles()
        },
        time_unit="cycle",
        period=1.0,
        source=str(folder / TABLE if layout == "table" else folder),
        law=str(folder / LAW),
        notes=(f"simulated: hearts, seed {law.seed}",),
    )
