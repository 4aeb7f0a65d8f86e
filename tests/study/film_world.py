"""Tiny films of a bright ball in a grey shell that shrinks and grows, a segmenter of them, and methods to score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from nextscan.cohort import Cohort, PredictedVolume, VolumeImputation, pairs, targets
from nextscan.images.files import read_image, write_image
from nextscan.imputers.estimator import Estimator
from nextscan.imputers.sequences.times import nearest

SHAPE = (16, 16, 8)
AFFINE = np.diag([8.0, 8.0, 10.0, 1.0])
VOXEL_ML = 0.64
TIMES = np.arange(5) / 5
LEVELS = (60.0, 130.0, 200.0)  # around, shell, ball


def segment(image: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    """Count what is bright and what is grey; exact in images without noise."""
    voxel = abs(np.linalg.det(affine[:3, :3]))
    ball = image > (LEVELS[1] + LEVELS[2]) / 2
    shell = (image > (LEVELS[0] + LEVELS[1]) / 2) & ~ball
    return {"LV": float(ball.sum() * voxel), "MYO": float(shell.sum() * voxel)}


def labels_of(radius: float) -> np.ndarray:
    """Return the label map of a heart: 3 inside, 2 around it."""
    x = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in SHAPE], indexing="ij"))
    far = np.sqrt((x**2).sum(0))
    return np.where(far < radius, 3, np.where(far < radius + 1.5, 2, 0)).astype(np.int16)


def image_of(labels: np.ndarray) -> np.ndarray:
    """Return the image of a label map, without noise."""
    return np.choose(np.clip(labels - 1, 0, 2), np.array(LEVELS, np.float32)).astype(np.float32)


def radii(subject: int) -> np.ndarray:
    """Return the radius of a subject's ball in each frame, in voxels."""
    return (3.4 + 0.05 * subject) * (1 - (0.15 + 0.04 * (subject % 4)) * np.sin(np.pi * TIMES) ** 2)


def make_films(
    folder: Path, n_subjects: int = 8, *, noise: float = 0.0, seed: int = 0, labelled: tuple[int, ...] | None = None
) -> Cohort:
    """Write a film of each subject, its label maps (of all frames, or of some), and the film without noise."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for subject in range(n_subjects):
        labels = np.stack([labels_of(radius) for radius in radii(subject)], axis=-1)
        clean = np.stack([image_of(labels[..., k]) for k in range(len(TIMES))], axis=-1)
        noisy = (clean + noise * generator.normal(size=clean.shape)).astype(np.float32)
        # one voxel of its own, or two people of one size would be one person twice
        noisy[0, 0, 0] += subject
        stem = folder / f"s{subject:02d}"
        for role, film in (("volume", noisy), ("segmentation", labels), ("noise_free", clean)):
            write_image(f"{stem}_{role}.nii.gz", film, AFFINE)
        for k in range(len(TIMES)):
            paths = {role: f"{stem}_{role}.nii.gz#{k}" for role in ("volume", "segmentation", "noise_free")}
            if labelled is not None and k not in labelled:
                paths["segmentation"] = ""
            rows.append({"subject": subject, "visit": f"frame-{k + 1:02d}", "time": TIMES[k], **paths})
    return Cohort(
        name="films",
        subjects=np.array([f"s{subject:02d}" for subject in range(n_subjects)]),
        subject_of=np.array([row["subject"] for row in rows]),
        visits=np.array([row["visit"] for row in rows]),
        years=np.array([row["time"] for row in rows]),
        features=np.zeros((len(rows), 0)),
        feature_names=(),
        labels=pd.DataFrame({"group": np.where(np.arange(n_subjects) % 2, "NOR", "DCM")}),
        files={role: np.array([row[role] for row in rows]) for role in ("volume", "segmentation", "noise_free")},
        time_unit="cycle",
        period=1.0,
        reading={"regions": {"MYO": 2, "LV": 3}},
    )


Answer = Callable[[Cohort, int, float], np.ndarray]
"""From the cohort shown, the row of the source and the time wanted, an image."""


class ToldFilm(Estimator):
    """Predict frames that are told, with draws around them; by default the nearest frame shown.

    Notes what it saw, so that tests can tell whether anything leaked.
    """

    name: ClassVar[str] = "told-film"
    uses_time: ClassVar[bool] = True
    minimum_pairs: ClassVar[int] = 1
    fits: ClassVar[list[int]] = []
    seen: ClassVar[list[Cohort]] = []
    fail_from: ClassVar[int] = 10**9

    def __init__(self, *, answers: str = "copy", spread: float = 0.5) -> None:
        self.answers, self.spread = answers, spread

    def _begin(self, train: Cohort, validation: Cohort | None, seed: int) -> None:
        self.record_ = {"n_pairs": len(pairs(train))}

    def _fit(self, train, validation, seed, checkpoint, progress) -> None:
        if len(self.fits) >= self.fail_from:
            raise KeyboardInterrupt
        self.fits.append(seed)
        self.seen.append(train)

    def impute(
        self, cohort, draws=10, *, seed=0, at_years=None, missing_labels="refuse", other_kinds="refuse", progress=None
    ) -> VolumeImputation:
        self.seen.append(cohort)
        wanted = targets(cohort)

        def predict(index: int) -> PredictedVolume:
            subject, time = str(wanted.subject[index]), float(wanted.years[index])
            rows = np.flatnonzero((cohort.subject_names(np.arange(cohort.n_visits)) == subject) & cohort.has_volume)
            source = read_image(cohort.files_of("volume")[rows[0]])
            at = rows[nearest(cohort.years[rows], time, cohort.period)]
            mean = read_image(cohort.files_of("volume")[at]).data
            if self.answers == "truth":
                mean = image_of(labels_of(radii(int(subject[1:]))[int(np.argmin(np.abs(TIMES - time)))]))
            noise = np.random.default_rng([seed, index]).normal(0, self.spread, (draws, *mean.shape))
            return PredictedVolume(
                subject=subject,
                visit=str(wanted.visit[index]),
                years=time,
                gap=float(wanted.gap[index]),
                source=str(cohort.files_of("volume")[rows[0]]),
                affine=source.affine,
                mean=mean,
                draws=(mean + noise).astype(np.float32),
            )

        return VolumeImputation("told-film", wanted, seed, draws, predict, self.record_)
