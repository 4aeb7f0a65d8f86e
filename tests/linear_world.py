"""Pairs of images in a linear world: follow-up = source + years · slope · source + offset + noise."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from nextscan.cohort import Cohort, Pairs
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.examples import PairExamples

SHAPE = (6, 6, 6)
SLOPE, NOISE, OFFSET = -0.4, 0.05, 0.02  # the slope in two years


@dataclass
class LinearWorld:
    """Stands in for `PreparedPairs`."""

    cohort: Cohort
    pairs: Pairs
    volumes: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def make(cls, n, seed):
        generator = np.random.default_rng(seed)
        gap = generator.uniform(0.5, 3.5, n)
        cohort = Cohort(
            name="linear",
            subjects=np.array([f"s{i}" for i in range(n)]),
            subject_of=np.repeat(np.arange(n), 2),
            visits=np.tile(["1", "2"], n),
            years=np.stack([np.zeros(n), gap], axis=1).ravel(),
            features=np.zeros((2 * n, 0)),
            feature_names=(),
            labels=pd.DataFrame({"sex": np.where(np.arange(n) % 2, "F", "M")}),
            files={"volume": np.array([f"{i}.nii" for i in range(2 * n)])},
        )
        pairs = Pairs(np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2), gap)
        volumes = []
        for years in gap:
            source = generator.uniform(-0.5, 0.5, SHAPE)
            target = source * (1 + SLOPE * years / 2) + OFFSET + NOISE * generator.normal(size=SHAPE)
            volumes.append((source.astype(np.float32), target.astype(np.float32)))
        return cls(cohort, pairs, volumes)

    def __len__(self):
        return len(self.pairs)

    def both(self, i, *, backward=False):
        return self.volumes[i][::-1] if backward else self.volumes[i]

    def spread(self):
        return float(np.sqrt(np.mean([np.square(target - source) for source, target in self.volumes])))


def linear_examples(settings, n=64):
    """Return examples of the world as the settings condition them, and the spread of change."""
    world = LinearWorld.make(n, 0)
    conditions = Conditions.fit(world.cohort, world.pairs, interval=settings.interval, use_labels=True)
    return PairExamples(world, conditions, torch.device("cpu")), world.spread()
