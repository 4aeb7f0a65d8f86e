"""An imputer whose scores can be foretold."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nextscan.errors import NextscanError
from nextscan.imputers.base import Imputer
from nextscan.randomness import subject_keys, uniform


class Shift(Imputer):
    """Carry the last visit forward, plus `offset` and uniform noise of half width `spread`."""

    name: ClassVar[str] = "shift"
    fits: ClassVar[list[int]] = []

    def __init__(self, *, offset: float = 0.0, spread: float = 1.0, fail_from: int = 10**9) -> None:
        self.offset = offset
        self.spread = spread
        self.fail_from = fail_from

    def _fit(self, train, validation, seed, checkpoint, progress) -> None:
        if len(self.fits) >= self.fail_from:
            raise NextscanError("this method always fails; use another one")
        self.fits.append(seed)
        if progress is not None:
            progress({"phase": "training", "epoch": 1, "epochs": 1})
        self.record_["learning"] = [{"epoch": 1, "step": 3, "train_loss": 0.5, "skipped": 1, "more": 9}]
        self.record_["skipped_fraction"] = np.float64(1 / 3)

    def _draw(self, cohort, wanted, n_draws, seed, progress):
        mean = cohort.features[wanted.context] + self.offset
        keys = subject_keys(wanted.subject)[None, :, None]
        draw, feature = np.arange(n_draws)[:, None, None], np.arange(mean.shape[1])
        noise = self.spread * (2 * uniform(keys, seed, draw, feature) - 1)
        return (mean + noise).astype(np.float32), mean
