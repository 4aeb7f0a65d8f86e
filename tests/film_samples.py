"""Tiny films for tests: their images have the same darkest and brightest part, so that none is clipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nextscan.cohort import Cohort
from nextscan.images.files import write_image

SIDE = 16
DARK, BRIGHT = 100.0, 1000.0
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
MOVING = (slice(4, 12), slice(4, 12), slice(8, 12))
"""Where films change."""


def still(seed: int = 0, bright: float = BRIGHT) -> np.ndarray:
    """Return a cube in air, with a dark and a bright block and a texture of its own in between."""
    image = np.zeros((SIDE, SIDE, SIDE))
    image[2:14, 2:14, 2:14] = np.random.default_rng(seed).uniform(450, 850, (12, 12, 12))
    image[4:8, 4:8, 3:7] = DARK
    image[9:13, 4:8, 3:7] = bright
    return image


def changing(seed: int = 0, size: float = 60.0) -> np.ndarray:
    """Return a change of a part of the cube, which leaves it between dark and bright."""
    change = np.zeros((SIDE, SIDE, SIDE))
    change[MOVING] = np.random.default_rng([seed, 1]).uniform(-size, size, change[MOVING].shape)
    return change


def film_cohort(
    folder: Path, films: Mapping[str, tuple[np.ndarray, np.ndarray]], *, period: float | None = None
) -> Cohort:
    """Write films, of each subject the times and the images (n, x, y, z), and return the cohort of them."""
    folder.mkdir(parents=True, exist_ok=True)
    of, visits, years, paths = [], [], [], []
    for i, (subject, (times, images)) in enumerate(films.items()):
        for number, (when, image) in enumerate(zip(times, images, strict=True), start=1):
            path = write_image(folder / f"{subject}_ses-{number:02d}_T1w.nii.gz", image.astype(np.float32), AFFINE)
            of.append(i)
            visits.append(f"ses-{number:02d}")
            years.append(float(when))
            paths.append(str(path))
    return Cohort(
        name="films",
        subjects=np.array(list(films)),
        subject_of=np.array(of),
        visits=np.array(visits),
        years=np.array(years),
        features=np.zeros((len(of), 0)),
        feature_names=(),
        files={"volume": np.array(paths)},
        period=period,
        time_unit="years" if period is None else "cycle",
    )


def beats(
    folder: Path, n_subjects: int, *, n_frames: int = 8, seed: int = 0, noise: float = 0.0, bend: float = 40.0
) -> Cohort:
    """Write beats that go out and back along a line of each heart's own, bent by what is the same in all."""
    phase = np.arange(n_frames) / n_frames
    films = {}
    for i in range(n_subjects):
        generator = np.random.default_rng([seed, i])
        out = np.minimum(phase, 1 - phase)[:, None, None, None] * changing(100 * seed + i)
        bent = np.sin(2 * np.pi * phase)[:, None, None, None] * np.where(changing() != 0, bend, 0)
        scatter = noise * generator.normal(size=out.shape) * (changing() != 0)
        films[f"sub-{seed}{i:02d}"] = (phase, still(100 * seed + i) + out + bent + scatter)
    return film_cohort(folder, films, period=1.0)
