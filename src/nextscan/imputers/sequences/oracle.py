"""The oracle of simulated hearts: the law they were drawn from, as an imputer nobody can beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nextscan.cohort import Cohort, PredictedVolume, Targets
from nextscan.errors import CohortError
from nextscan.imputers.volumes.base import predicted
from nextscan.imputers.volumes.oracle import LawImputer

if TYPE_CHECKING:
    from nextscan.simulating import HeartLaw
    from nextscan.simulating.hearts.law import Prediction

_GROUP = "group"  # the label that tells it
_POINTS = 32  # hearts whose images are averaged
_TICKS = 10**6  # of a cycle: scans of a draw differ where times do
_CYCLE = "cycle"


class HeartOracle(LawImputer):
    """Draw from the law of the frames not seen, given the true state of the heart in all frames that are.

    It learns nothing: `fit` reads the law in ``derivatives/truth`` of a cohort of simulated hearts. It knows what no
    method can: where the heart lies, how bright each slice is, the muscle, and, with an error of a millilitre, the
    volumes in the frames seen, before and after the target; and the group, where it is a label. It does not know the
    volumes in other frames, so its scores are a limit from above. Draws are frames as they would be measured, with
    noise of their own; draws of several frames belong to one beat. The mean is without noise.

    The mean is that of images, not the image of the mean state, as the former has the least squared error. It is taken
    over hearts at evenly spaced quantiles of the volume of the left chamber, so that it does not depend on the draws.

    Attributes
    ----------
    law_ : nextscan.simulating.HeartLaw
    """

    name: ClassVar[str] = "heart-oracle"
    _SIMULATED: ClassVar[str] = "hearts"
    predicts_backward: ClassVar[bool] = True

    law_: HeartLaw

    @staticmethod
    def _laws() -> tuple[Callable[[str], HeartLaw], type[HeartLaw]]:
        from nextscan.simulating import HeartLaw, load_heart_law

        return load_heart_law, HeartLaw

    def _predicting(self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int) -> Callable[[int], PredictedVolume]:
        from nextscan.images.files import read_header
        from nextscan.simulating.hearts.beat import Beat
        from nextscan.simulating.hearts.cohort import heart_of
        from nextscan.simulating.hearts.render import Heart, affine_of
        from nextscan.simulating.hearts.scanner import bias, noisy

        law, affine = self.law_, affine_of(self.law_.shape, self.law_.spacing)
        if cohort.time_unit != _CYCLE:
            raise CohortError(
                f"{cohort.source or cohort.name}: times are in {cohort.time_unit}, and the oracle of simulated hearts "
                "needs them in shares of the beat; give it the cohort as it was simulated"
            )
        grouped = cohort.labels[_GROUP].notna().to_numpy() if _GROUP in cohort.labels else np.zeros(cohort.n_subjects)
        hearts: dict[str, tuple[Heart, Prediction]] = {}

        def known(subject: str, row: int) -> tuple[Heart, Prediction]:
            if subject not in hearts:  # targets of a subject are neighbours: one heart at a time is enough
                hearts.clear()
                own = cohort.subject_of == cohort.subject_of[row]
                seen = cohort.years[own & cohort.has_volume & np.isfinite(cohort.years)]
                told = bool(grouped[cohort.subject_of[row]])
                hearts[subject] = heart_of(law, subject), law.predict(subject, seen, law.times, know_group=told)
            return hearts[subject]

        def predict(i: int) -> PredictedVolume:
            row, subject, time = int(wanted.context[i]), str(wanted.subject[i]), float(wanted.years[i])
            source = str(cohort.files_of("volume")[row])
            header = read_header(source)
            if header.shape != law.shape or not np.allclose(header.affine, affine, atol=1e-3):
                raise CohortError(
                    f"{source}: is not on the grid of the simulated cohort; the oracle needs the images as they were "
                    "simulated"
                )
            heart, law_of = known(subject, row)
            scanned = law.canonical(subject)
            light = bias(scanned, law.shape, seed=law.seed)
            order = np.argsort(Beat.of(law_of.people, time).lv[:, 0], kind="stable")
            points = order[((np.arange(_POINTS) + 0.5) / _POINTS * len(order)).astype(int)]
            mean = light * heart.frames(Beat.of(law_of.people[points], time)).mean(axis=-1)
            drawn = light[..., None] * heart.frames(Beat.of(law_of.draw(n_draws, seed=seed).traits, time))
            scans = _TICKS * np.arange(1, n_draws + 1) + round(time % 1 * _TICKS) % _TICKS
            images = np.moveaxis(noisy(drawn, scanned, scans, seed=seed), -1, 0)
            return predicted(cohort, wanted, i, mean, np.ascontiguousarray(images))

        return predict
