"""The oracle: the law a simulated cohort was drawn from, as an imputer nobody can beat."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort, Targets
from nextscan.errors import SettingError, some
from nextscan.imputers.base import Imputer, Progress

_FAR = 3.0  # spreads by which the mean of many values does not miss the law's


class Oracle(Imputer):
    """Draw from the exact law of the follow-up given the visits seen, labels and years.

    It learns nothing: `fit` reads the law that lies beside a simulated cohort. Its scores are what the
    best possible method would reach; for any proper score, expected values cannot be better. The mean
    is exact, and so are draws; where a target's time is unknown, both average over the law of the
    interval.

    Attributes
    ----------
    law_ : nextscan.simulating.Law
        Of the features of the training cohort.
    """

    name: ClassVar[str] = "oracle"
    minimum_pairs: ClassVar[int] = 0
    predicts_backward: ClassVar[bool] = True
    uses_time: ClassVar[bool] = True

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        from nextscan.simulating import load_law

        where = train.source or train.name
        if not train.law:
            raise SettingError(
                f"{where}: the oracle knows only simulated cohorts, and no law comes with this one; leave it out"
            )
        law = load_law(train.law)
        unknown = sorted(set(train.feature_names) - set(law.feature_names))
        if unknown:
            raise SettingError(f"{where}: {train.law} is the law of other features, it does not know {some(unknown)}")
        self.law_ = law.select(train.feature_names)
        apart = np.abs(np.nanmean((train.features - self.law_.centre) / self.law_.scale, axis=0)) > _FAR
        if apart.any():
            names = np.asarray(train.feature_names)[apart]
            raise SettingError(
                f"{where}: values of {some(names)} are far from the law {train.law}; the oracle needs the cohort as "
                "it was simulated, in native units"
            )
        self.record_ |= {"world": self.law_.world, "law": train.law}

    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        return self.law_.draw(cohort, wanted, n_draws, seed=seed), self.law_.mean(cohort, wanted)

    def _state(self) -> dict[str, Any]:
        return self.law_.state()

    def _restore(self, state: dict[str, Any]) -> None:
        from nextscan.simulating import Law

        self.law_ = Law.from_state(state)
