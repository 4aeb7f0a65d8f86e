"""Tiny images with known regional volumes and noise-free versions, a segmenter of them, and methods to score."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from nextscan.cohort import Cohort, PredictedVolume, VolumeImputation, pairs, targets
from nextscan.images.files import read_image, write_image
from nextscan.imputers.estimator import Estimator

AFFINE = np.diag([-4.0, 4.0, 4.0, 1.0])
SHAPE = (16, 16, 16)


def segment(image: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    """Weigh voxels: dark ones in the middle are ventricle, bright ones tissue; biased by the noise."""
    x = np.stack(np.meshgrid(*[np.linspace(-1.2, 1.2, n) for n in image.shape], indexing="ij"))
    middle = (x**2).sum(0) < 0.7**2
    bright = np.clip(image / 900, 0, 1)
    voxel = abs(np.linalg.det(affine[:3, :3]))
    return {
        "ventricle": float((1 - bright)[middle].sum() * voxel) + 50.0,
        "tissue": float(bright.sum() * voxel),
    }


def clean(inner: float, size: float, centre: np.ndarray, moved: float = 0.0) -> np.ndarray:
    """Return a ball with a dark ball inside that may have moved to one side, without noise."""
    x = np.stack(np.meshgrid(*[np.linspace(-1.2, 1.2, n) for n in SHAPE], indexing="ij"))
    x = x - centre[:, None, None, None]
    far = np.sqrt((x**2).sum(0))
    x[0] -= moved
    near = np.sqrt((x**2).sum(0))
    image = 900 / (1 + np.exp((far - size) / 0.04)) * (1 - 0.8 / (1 + np.exp((near - inner) / 0.04)))
    return image.astype(np.float32)


def make_world(
    folder: Path, n_subjects: int = 8, *, noise: float = 0.02, seed: int = 0, known: bool = True, swap: float = 0.0
) -> Cohort:
    """Write two visits of each subject; with `known`, images without noise and a table of regional volumes.

    `swap` is added to the follow-up images of every subject.
    """
    generator = np.random.default_rng(seed)
    truth = folder / "derivatives" / "truth"
    truth.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    regions = []
    for subject in range(n_subjects):
        size, inner = generator.uniform(0.95, 1.05), generator.uniform(0.3, 0.4)
        centre, gap = generator.normal(0, 0.03, 3), generator.uniform(1, 3)
        rate = generator.uniform(0.02, 0.08)
        for visit, years in enumerate((0.0, gap)):
            name = f"sub-{subject:02d}_ses-{visit + 1}"
            image = clean(inner + rate * years, size, centre, 0.06 * years)
            noisy = (image + 900 * noise * generator.normal(size=SHAPE)).astype(np.float32)
            paths = {"volume": folder / f"{name}_T1w.nii.gz"}
            write_image(paths["volume"], noisy + np.float32(swap * visit), AFFINE)
            if known:
                paths["noise_free"] = truth / f"{name}_desc-noisefree_T1w.nii.gz"
                paths["segmentation"] = truth / f"{name}_dseg.nii.gz"
                write_image(paths["noise_free"], image, AFFINE)
                write_image(paths["segmentation"], (image > 90).astype(np.int16), AFFINE)
                told = segment(image, AFFINE)
                regions.append(
                    {"participant_id": f"sub-{subject:02d}", "session_id": f"ses-{visit + 1}"}
                    | {region: value - 50.0 * (region == "ventricle") for region, value in told.items()}
                )
            rows.append({"subject": subject, "visit": f"ses-{visit + 1}", "years": years, **paths})
    if known:
        pd.DataFrame(regions).to_csv(truth / "regions.tsv", sep="\t", index=False)
    roles = ("volume", "noise_free", "segmentation") if known else ("volume",)
    return Cohort(
        name="world",
        subjects=np.array([f"sub-{subject:02d}" for subject in range(n_subjects)]),
        subject_of=np.array([row["subject"] for row in rows]),
        visits=np.array([row["visit"] for row in rows]),
        years=np.array([row["years"] for row in rows]),
        features=np.zeros((len(rows), 0)),
        feature_names=(),
        labels=pd.DataFrame({"sex": np.where(np.arange(n_subjects) % 2, "F", "M")}),
        files={role: np.array([str(row[role]) for row in rows]) for role in roles},
    )


class Told(Estimator):
    """Predict images that were written down before: by default the noise-free follow-up, with tiny draws.

    Notes what it saw, so that tests can tell whether anything leaked.
    """

    name: ClassVar[str] = "told"
    uses_time: ClassVar[bool] = True
    minimum_pairs: ClassVar[int] = 1
    fits: ClassVar[list[int]] = []
    seen: ClassVar[list[Cohort]] = []

    def __init__(self, *, answers: dict[str, str] | None = None, spread: float = 1.0, fail_from: int = 10**9) -> None:
        self.answers, self.spread, self.fail_from = answers, spread, fail_from

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
        wanted = targets(cohort, at_years)
        volume = cohort.files_of("volume")

        def predict(index: int) -> PredictedVolume:
            source = str(volume[wanted.context[index]])
            image = read_image(source)
            mean = image.data
            if self.answers:
                mean = read_image(self.answers[str(wanted.subject[index])]).data
            if at_years is not None:
                mean = image.data + (mean - image.data) * np.float32(at_years[index] / max(at_years))
            noise = np.random.default_rng([seed, index]).normal(0, self.spread, (draws, *mean.shape))
            return PredictedVolume(
                subject=str(wanted.subject[index]),
                visit=str(wanted.visit[index]),
                years=float(wanted.years[index]),
                gap=float(wanted.gap[index]),
                source=source,
                affine=image.affine,
                mean=mean,
                draws=(mean + noise).astype(np.float32),
            )

        return VolumeImputation("told", wanted, seed, draws, predict, self.record_)


def answers_of(cohort: Cohort, role: str = "noise_free") -> dict[str, str]:
    """Return the path of each subject's last image of a role."""
    return dict(zip(cohort.subject_names(np.arange(cohort.n_visits)).tolist(), cohort.files_of(role), strict=True))
