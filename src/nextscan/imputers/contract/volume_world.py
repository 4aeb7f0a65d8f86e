"""A few tiny images of heads whose ventricle grows, written to a folder in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.cohort import Cohort

BRIGHT = 900.0
"""Intensity of the head; the ventricle has 0.3 of it."""


def growing_ventricles(
    folder: Path,
    n_subjects: int = 8,
    *,
    shape: tuple[int, int, int] = (16, 16, 16),
    n_visits: int = 3,
    seed: int = 0,
    noise: float = 0.03,
    rate: float = 0.06,
) -> Cohort:
    """Write images of balls with a dark ball inside that grows with the years, the faster the older.

    One subject in four has one visit, the others `n_visits`. Every scan has its own noise and brightness.

    Parameters
    ----------
    folder : Path
    n_subjects : int
    shape : tuple of int
    n_visits : int
    seed : int
    noise : float
        Spread of a voxel's noise, the head being 1.
    rate : float
        Growth of the radius a year at 65, half the field of view being 1.2.
    """
    from nextscan.images.files import write_image

    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    rows = []
    for subject in range(n_subjects):
        age, times = generator.uniform(50, 80), np.cumsum(np.r_[0.0, generator.uniform(0.8, 3.0, n_visits - 1)])
        size, start, centre = generator.uniform(0.9, 1.05), generator.uniform(0.25, 0.4), generator.normal(0, 0.05, 3)
        for visit, time in enumerate(times[: 1 if subject % 4 == 3 else n_visits]):
            data = BRIGHT * head(shape, centre, size, start + rate * time * (age / 65) ** 2)
            data = np.abs(data + BRIGHT * noise * generator.normal(size=shape)) * generator.uniform(0.8, 1.25)
            path = folder / f"sub-{subject:02d}_ses-{visit + 1}_T1w.nii.gz"
            write_image(path, data.astype(np.float32), np.diag([-4.0, 4.0, 4.0, 1.0]))
            rows.append((subject, f"ses-{visit + 1}", time, age + time, str(path)))
    subject_of, visits, years, ages, paths = zip(*rows, strict=True)
    return Cohort(
        name="growing ventricles",
        subjects=np.array([f"sub-{subject:02d}" for subject in range(n_subjects)]),
        subject_of=np.array(subject_of),
        visits=np.array(visits),
        years=np.array(years),
        features=np.zeros((len(visits), 0)),
        feature_names=(),
        labels=pd.DataFrame({"sex": np.where(np.arange(n_subjects) % 2, "M", "F")}),
        visit_labels=pd.DataFrame({"age": ages}),
        files={"volume": np.array(paths)},
    )


def head(
    shape: tuple[int, int, int], centre: NDArray[np.float64], size: float, ventricle: float
) -> NDArray[np.float64]:
    """Return a ball of radius `size` with a darker ball inside; half the field of view is 1.2."""
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in shape), indexing="ij")
    far = np.sqrt(((np.stack(axes) - centre[:, None, None, None]) ** 2).sum(axis=0))
    edge = 0.6 / min(shape)
    outer, inner = ((1 - np.tanh((far - radius) / (2 * edge))) / 2 for radius in (size, ventricle))
    image: NDArray[np.float64] = outer * (1 - 0.7 * inner)
    return image
