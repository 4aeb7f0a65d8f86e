"""The result of imputing images: predicted volumes, made one at a time when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import IntArray, Volume
from nextscan.cohort.imputation import interval_tail
from nextscan.cohort.task import Targets
from nextscan.errors import SettingError


@dataclass(frozen=True, eq=False, repr=False)
class PredictedVolume:
    """One imputed visit, on the grid and the intensity scale of its source image.

    Attributes
    ----------
    subject, visit : str
    years : float
        Since the subject's first visit; NaN where unknown.
    gap : float
        Years from the source image to the imputed visit; NaN where unknown.
    source : str
        Path of the image the prediction starts from.
    affine : ndarray of float64, shape (4, 4)
        Of the source image: voxel to world.
    mean : ndarray of float32, shape (x, y, z)
        The predictive mean: the method's own where it has one, else the mean of draws. It may hold the noise of the
        source, which the mean of many draws does not.
    draws : ndarray of float32, shape (n_draws, x, y, z)
    """

    subject: str
    visit: str
    years: float
    gap: float
    source: str
    affine: NDArray[np.float64]
    mean: Volume
    draws: Volume

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.mean.shape))
        return f"<PredictedVolume {self.subject} {self.visit}: {shape}, {len(self.draws):,} draws>"

    def sd(self) -> Volume:
        """Return the standard deviation over draws, shape (x, y, z).

        Raises
        ------
        SettingError
            If there are fewer than 2 draws.
        """
        if len(self.draws) < 2:
            raise SettingError("a standard deviation needs at least 2 draws; impute with more draws")
        sd: Volume = self.draws.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32)
        return sd

    def interval(self, level: float = 0.9) -> tuple[Volume, Volume]:
        """Return the ends of each voxel's predictive interval: order positions p(K + 1) of K draws (Weibull).

        Returns
        -------
        low, high : ndarray of float32, shape (x, y, z)

        Raises
        ------
        SettingError
            If the level is not in (0, 1) or there are too few draws for it.
        """
        tail = interval_tail(level, len(self.draws))
        low, high = np.quantile(self.draws, [tail, 1 - tail], axis=0, method="weibull").astype(np.float32)
        return low, high


@dataclass(frozen=True, eq=False, repr=False)
class VolumeImputation:
    """Predicted volumes of the target visits; each is made when it is asked for, and not kept.

    ``len(result)``, ``result[i]`` and iteration follow the order of `requested`. The same index gives the
    same volume, whenever and however often it is asked for.

    Attributes
    ----------
    method : str
        Registry name of the imputer.
    requested : Targets
        The imputed visits.
    seed : int
        Seed of the draws.
    n_draws : int
        Draws per target.
    predict : callable
        ``predict(i)`` makes the volume of target i.
    record : mapping
        The model's record, ready for JSON: what happened in `fit`, with the settings it was fitted with.
    """

    method: str
    requested: Targets
    seed: int
    n_draws: int
    predict: Callable[[int], PredictedVolume]
    record: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<VolumeImputation by {self.method}: {len(self):,} visits, {self.n_draws:,} draws each>"

    @property
    def targets(self) -> pd.DataFrame:
        """Subject, visit and years of each target, one row each."""
        return self.requested.to_frame()

    def __len__(self) -> int:
        return len(self.requested)

    def __getitem__(self, index: int) -> PredictedVolume:
        if not -len(self) <= index < len(self):
            raise IndexError(f"target {index} of {len(self)}")
        return self.predict(index % len(self))

    def __iter__(self) -> Iterator[PredictedVolume]:
        return (self.predict(index) for index in range(len(self)))

    def select(self, positions: IntArray) -> VolumeImputation:
        """Return the imputation of some of the targets, given by their positions."""
        chosen = np.arange(len(self))[positions]
        return replace(
            self, requested=self.requested.select(chosen), predict=lambda index: self.predict(int(chosen[index]))
        )
