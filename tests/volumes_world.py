"""A few tiny images of heads whose ventricle grows, written to a folder in a moment."""

from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.cohort import Cohort
from nextscan.cohort.images import write_image


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
    """Write images of balls with a dark ball inside, whose radius grows by `rate` of the head's a year.

    The first subject comes twice as old and ages twice as quickly as the last; one in four has one visit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    axes = [np.linspace(-1.2, 1.2, n) for n in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    soft = 2.4 / min(shape)
    subject_of, visits, years, ages, paths = [], [], [], [], []
    for subject in range(n_subjects):
        age = generator.uniform(50, 80)
        size, start = generator.uniform(0.9, 1.05), generator.uniform(0.25, 0.4)
        centre = generator.normal(0, 0.05, 3)[:, None, None, None]
        far = np.sqrt(((grid - centre) ** 2).sum(0))
        times = np.cumsum(np.r_[0.0, generator.uniform(0.8, 3.0, n_visits - 1)])
        for visit, time in enumerate(times[: 1 if subject % 4 == 3 else n_visits]):
            inner = start + rate * time * (age / 65) ** 2
            data = 900 / (1 + np.exp((far - size) / (soft / 4))) * (1 - 0.7 / (1 + np.exp((far - inner) / (soft / 4))))
            data = np.abs(data + 900 * noise * generator.normal(size=shape)) * generator.uniform(0.8, 1.25)
            path = folder / f"sub-{subject:02d}_ses-{visit + 1}_T1w.nii.gz"
            write_image(path, data.astype(np.float32), np.diag([-4.0, 4.0, 4.0, 1.0]))
            subject_of.append(subject)
            visits.append(f"ses-{visit + 1}")
            years.append(time)
            ages.append(age + time)
            paths.append(str(path))
    return Cohort(
        name="growing ventricles",
        subjects=np.array([f"sub-{subject:02d}" for subject in range(n_subjects)]),
        subject_of=np.array(subject_of),
        visits=np.array(visits),
        years=np.array(years),
        features=np.zeros((len(visits), 0)),
        feature_names=(),
        labels=pd.DataFrame({"sex": ["F", "M"] * (n_subjects // 2) + ["F"] * (n_subjects % 2)}),
        visit_labels=pd.DataFrame({"age": ages}),
        files={"volume": np.array(paths)},
    )
