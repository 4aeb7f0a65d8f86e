"""Deformation: the image before the target, deformed part of the way to the one after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nextscan.arrays import Volume
from nextscan.cohort import Cohort, Targets
from nextscan.errors import CohortError
from nextscan.imputers.sequences.demons import deformed, displacement
from nextscan.imputers.sequences.film_row import FilmRow, Guess
from nextscan.imputers.sequences.shown import Shown
from nextscan.imputers.sequences.times import bracket

_BEYOND = 1.0  # times the way between two images that a deformation goes on outside them


@dataclass(eq=False, repr=False, kw_only=True)
class Deformation(FilmRow):
    """Deform the image before the target towards the one after it, by the share of the time that has gone by.

    What diffusion deformable models (Kim & Ye 2022, arXiv 2206.13295) do, which SADM is compared with: they need the
    first and the last image of a film, in training and later, and scale the displacement between them by a number
    from 0 to 1; they interpolate, they do not forecast.

    Deviation: the displacement is a classical one, found anew for each pair of images (`nextscan.imputers.sequences.
    demons`), where theirs is decoded by networks from a code that diffusion has learned; tests show that it recovers a
    known shift.

    On a circle two images lie around every target. On a line, beyond all images, the deformation between the nearest
    two goes on, at most as far again. Two images at least must be shown. Draws add what was missed in films of
    training, not centred. It takes about a tenth of a second per film and pair of images of 32 x 32 x 8 voxels, in
    proportion to voxels.

    Parameters
    ----------
    n_films, match_brightness, shape, spacing, cache
        As in `FilmRow`.
    """

    name: ClassVar[str] = "deformation"

    n_films: int = 20

    def _guessing(self) -> Guess:
        """Return what guesses; displacements are kept for further targets between the same two images."""
        kept: dict[tuple[int | str, int, float, float], Volume] = {}

        def guess(shown: Shown) -> Volume:
            first, second, fraction = bracket(shown.times, shown.target, shown.period)
            start = shown.frames[first]
            if first == second:
                return start
            key = (shown.film, shown.source, float(shown.times[first]), float(shown.times[second]))
            if key not in kept:
                while len(kept) > 2 * len(self.bank_):
                    kept.pop(next(iter(kept)))
                kept[key] = displacement(start, shown.frames[second], self.preparer_.spacing)
            return deformed(start, np.float32(np.clip(fraction, -_BEYOND, 1 + _BEYOND)) * kept[key])

        return guess

    def _check_times(self, cohort: Cohort, wanted: Targets) -> None:
        super()._check_times(cohort, wanted)
        seen = cohort.has_volume & np.isfinite(cohort.years)
        times = [len(set(cohort.years[seen & (cohort.subject_of == i)].tolist())) for i in range(cohort.n_subjects)]
        alone = sorted(
            {
                str(cohort.subjects[cohort.subject_of[row]])
                for row in wanted.context.tolist()
                if times[int(cohort.subject_of[row])] < 2
            }
        )
        if alone:
            raise CohortError(
                f"{cohort.source or cohort.name}: subject {alone[0]} (of {len(alone)} such) has one image, and "
                f"{self.name} needs two at different times to deform one into the other: show a second one, or use "
                "copy-nearest"
            )
