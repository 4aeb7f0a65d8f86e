"""Simulated cohorts of brains: images of heads that age by a known law, as a BIDS folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import Progress
from nextscan.atomic import atomic_folder
from nextscan.cohort.cohort import Cohort
from nextscan.errors import SettingError
from nextscan.simulating.brains.folder import LAW, check_place, image_path, write_regions, write_tables
from nextscan.simulating.brains.law import DIAGNOSES, BrainLaw
from nextscan.simulating.brains.people import draw_people
from nextscan.simulating.brains.render import Head, affine_of
from nextscan.simulating.brains.scanner import scan
from nextscan.simulating.law_file import save_brain_law

WHITE = 1000.0
"""Brightness of white matter in the files."""
_SMALLEST, _LARGEST = 8, 512


def simulate_brains(
    out: str | Path,
    *,
    n_subjects: int = 40,
    shape: tuple[int, int, int] = (32, 40, 32),
    seed: int = 0,
    progress: Progress | None = None,
) -> Cohort:
    """Make a cohort of simulated heads that age by a known law, as a BIDS folder.

    Of seven people one is seen once, the others two to four times, half a year to four years apart. Every
    image covers 160 × 200 × 160 mm whatever its shape. The truth lies in ``derivatives/truth``: images
    without noise and bias, label maps, exact volumes of regions, and the law (`BrainLaw`).

    Parameters
    ----------
    out : path
        Folder to write, whole or not at all. A cohort of simulated brains there is replaced, anything else
        is not.
    n_subjects : int
        A person does not depend on how many others there are.
    shape : tuple of three int
        Voxels to the right, forward and up. People do not depend on it either.
    seed : int
    progress : callable, optional
        Called with ``{"phase", "done", "total"}``, counting visits.

    Returns
    -------
    Cohort
        With the files of the written folder.

    Raises
    ------
    SettingError
        If a number is out of range.
    OutputError
        If something else is in the place, or it cannot be written.
    ImageError
        If nibabel is not installed.
    """
    shape = _checked(n_subjects, shape)
    out = Path(out)
    check_place(out)
    law = draw_people(n_subjects, shape, seed=seed)
    with atomic_folder(out, what="the cohort") as beside:
        write_tables(beside, law)
        save_brain_law(beside / LAW, law)
        _write_images(beside, law, progress)
    return _cohort(out, law)


def _checked(n_subjects: int, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if n_subjects < 1:
        raise SettingError(f"simulate brains needs at least 1 subject, got {n_subjects}")
    if len(shape) != 3 or not all(_SMALLEST <= n <= _LARGEST for n in shape):
        raise SettingError(
            f"a shape is three numbers from {_SMALLEST} to {_LARGEST}, as in 32,40,32; got {','.join(map(str, shape))}"
        )
    return (int(shape[0]), int(shape[1]), int(shape[2]))


def _write_images(folder: Path, law: BrainLaw, progress: Progress | None) -> None:
    """Write every visit's images, and the true volumes."""
    from nextscan.images.files import write_image

    affine = affine_of(law.shape)
    volumes = []
    for i, subject in enumerate(law.subjects):
        head = head_of(law, str(subject))
        for row in np.flatnonzero(law.subject_of == i):
            state, number = law.states[row], int(np.count_nonzero(law.subject_of[:row] == i))
            clean = head.image(state)
            seen = scan(clean, str(subject), number, seed=law.seed)
            images = {
                "T1w": np.round(WHITE * seen).astype(np.int16),
                "desc-noisefree_T1w": np.float32(WHITE) * clean,
                "dseg": head.label_map(state),
            }
            for kind, data in images.items():
                path = image_path(folder, str(subject), str(law.visits[row]), kind)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, data, affine)
            volumes.append(head.volumes(state))
            if progress is not None:
                progress({"phase": "simulating", "done": row + 1, "total": len(law.visits)})
    write_regions(folder, law, volumes)


def head_of(law: BrainLaw, subject: str, shape: tuple[int, int, int] | None = None) -> Head:
    """Lay out a subject's head, on the grid of the cohort or another.

    Raises
    ------
    CohortError
        If the law does not know the subject.
    """
    i = law.subject(subject)
    return Head.of(law.form[i], float(law.head_size[i]), shape or law.shape)


def _cohort(folder: Path, law: BrainLaw) -> Cohort:
    """Return the cohort that was written."""
    starts = np.flatnonzero(np.diff(law.subject_of, prepend=-1))
    roles = {"volume": "T1w", "segmentation": "dseg", "noise_free": "desc-noisefree_T1w"}
    names = law.subjects[law.subject_of]
    return Cohort(
        name=folder.name,
        subjects=law.subjects,
        subject_of=law.subject_of,
        visits=law.visits,
        years=np.round(law.age - law.age[starts][law.subject_of], 2),
        features=np.empty((len(law.visits), 0)),
        feature_names=(),
        labels=pd.DataFrame({"sex": np.where(law.male, "M", "F"), "diagnosis": np.array(DIAGNOSES)[law.diagnosis]}),
        visit_labels=pd.DataFrame({"age": law.age}),
        files={
            role: np.array(
                [str(image_path(folder, name, visit, kind)) for name, visit in zip(names, law.visits, strict=True)]
            )
            for role, kind in roles.items()
        },
        source=str(folder),
        law=str(folder / LAW),
        notes=(f"simulated: brains, seed {law.seed}",),
    )
