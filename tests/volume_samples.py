"""Small images and cohorts of them for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.cohort import Cohort
from nextscan.images.files import write_image


def head(affine: np.ndarray, shape: Sequence[int], *, radius: float = 40.0, seed: int = 0) -> np.ndarray:
    """Make a head in mm around the origin, seen through a grid: shell, tissue with waves, dark ventricle, air."""
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    distance = np.linalg.norm(points / np.array([0.8, 1.0, 0.9]), axis=-1)
    waves = np.sin(points / 9.0).sum(axis=-1)
    image = np.where(distance < radius, 600.0 + 60.0 * waves, 0.0)
    image = np.where((distance >= 0.9 * radius) & (distance < radius), 1000.0, image)
    image = np.where(np.linalg.norm(points - [6.0, 0.0, 0.0], axis=-1) < 0.2 * radius, 120.0, image)
    noise = np.random.default_rng(seed).normal(0, 8, image.shape)
    return np.abs(image + noise).astype(np.float32)


def centred(directions: np.ndarray, spacing: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """Return the affine whose middle voxel n // 2 lies at the origin."""
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) // 2)
    return affine


def image_cohort(
    folder: Path, visits: Sequence[tuple[str, str, np.ndarray, np.ndarray]], **files: Sequence[str]
) -> Cohort:
    """Write images and return the cohort of them: subject, visit, data and affine of each, one year apart."""
    subjects = list(dict.fromkeys(subject for subject, *_ in visits))
    of = np.array([subjects.index(subject) for subject, *_ in visits], np.intp)
    paths = []
    for subject, visit, data, affine in visits:
        path = folder / f"{subject}_{visit}_T1w.nii.gz"
        write_image(path, data, affine)
        paths.append(str(path))
    first = np.flatnonzero(np.diff(of, prepend=-1))
    return Cohort(
        name="images",
        subjects=np.array(subjects),
        subject_of=of,
        visits=np.array([visit for _, visit, *_ in visits]),
        years=(np.arange(len(of)) - first[of]).astype(float),
        features=np.empty((len(of), 0)),
        feature_names=(),
        labels=pd.DataFrame(index=range(len(subjects))),
        files={"volume": np.array(paths), **{role: np.array(list(given)) for role, given in files.items()}},
    )
