"""The oracle of simulated brains: the law they were drawn from, as an imputer nobody can beat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nextscan.cohort import Cohort, PredictedVolume, Targets
from nextscan.errors import CohortError, SettingError
from nextscan.imputers.estimator import Progress
from nextscan.imputers.volumes.base import VolumeImputer, predicted

if TYPE_CHECKING:
    from nextscan.simulating import BrainLaw

_SCANS = 1_000_000  # numbers of drawn scans, none that of a visit


class LawImputer(VolumeImputer):
    """Base of oracles of images: `fit` reads the law of a simulated cohort, and learns nothing.

    A subclass says what was simulated, and what reads and rebuilds its law.

    Attributes
    ----------
    law_ : object
    """

    minimum_pairs: ClassVar[int] = 0
    uses_time: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    _SIMULATED: ClassVar[str]

    @staticmethod
    def _laws() -> tuple[Callable[[str], Any], Any]:
        """Return what reads a law from a file, and the class of the law."""
        raise NotImplementedError

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        if not train.law:
            raise SettingError(
                f"{train.source or train.name}: the oracle knows only simulated {self._SIMULATED}, and no law comes "
                "with these images; leave it out"
            )
        self.law_ = self._laws()[0](train.law)
        self.record_ |= {"law": train.law}

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.law_.state()
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        self.law_ = self._laws()[1].from_state(state)


class VolumeOracle(LawImputer):
    """Draw from the exact law of the follow-up, given the true state of the brain at all visits seen.

    It learns nothing: `fit` reads the law in ``derivatives/truth`` of a cohort of simulated brains. It knows
    what no method can, the state behind the noise, so its scores are a limit from above; what it cannot know is
    what chance will add. Draws are follow-ups as they would be measured, with the bias and the noise of a scan
    of their own; the mean is without.

    The mean is that of images, not the image of the mean state, as the former has the least squared error. It
    is taken over ten states chosen for that (`Prediction.cubature`), so that it does not depend on the draws.

    Attributes
    ----------
    law_ : nextscan.simulating.BrainLaw
    """

    name: ClassVar[str] = "volume-oracle"
    _SIMULATED: ClassVar[str] = "brains"

    law_: BrainLaw

    @staticmethod
    def _laws() -> tuple[Callable[[str], BrainLaw], type[BrainLaw]]:
        from nextscan.simulating import BrainLaw, load_brain_law

        return load_brain_law, BrainLaw

    def _predicting(self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int) -> Callable[[int], PredictedVolume]:
        from nextscan.images.files import read_header
        from nextscan.simulating.brains.cohort import WHITE, head_of
        from nextscan.simulating.brains.render import Head, affine_of
        from nextscan.simulating.brains.scanner import scan

        law, affine = self.law_, affine_of(self.law_.shape)
        heads: dict[str, Head] = {}

        def predict(i: int) -> PredictedVolume:
            row, subject = int(wanted.context[i]), str(wanted.subject[i])
            source = str(cohort.files_of("volume")[row])
            header = read_header(source)
            if header.shape != law.shape or not np.allclose(header.affine, affine, atol=1e-3):
                raise CohortError(
                    f"{source}: is not on the grid of the simulated cohort; the oracle needs the images as they were "
                    "simulated"
                )
            if subject not in heads:  # targets of a subject are neighbours: one head at a time is enough
                heads.clear()
                heads[subject] = head_of(law, subject)
            seen = np.flatnonzero((cohort.subject_of == cohort.subject_of[row]) & cohort.has_volume)
            law_of = law.predict(subject, [str(name) for name in cohort.visits[seen[seen <= row]]], wanted.gap[i])
            head = heads[subject]
            points = np.stack([head.image(state) for state in law_of.cubature()])
            drawn = [head.image(state) for state in law_of.draw(subject, n_draws, seed=seed)]
            scans = np.stack([scan(image, subject, _SCANS + i, seed=seed) for i, image in enumerate(drawn)])
            mean = np.float32(WHITE) * points.mean(axis=0, dtype=np.float32)
            return predicted(cohort, wanted, i, mean, np.float32(WHITE) * scans)

        return predict
