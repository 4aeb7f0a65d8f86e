"""Scale features to [-1, 1] and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, pairs
from nextscan.errors import CohortError, TooFewPairsError, some


@dataclass(frozen=True, eq=False)
class FeatureScaler:
    """Min-max scaling to [-1, 1], learned on training subjects.

    One scale serves all visits, so that change between visits survives it. With one scale per visit,
    as in SECONDGRAM's text, absolute change is lost: the option is there to reproduce the paper.

    Attributes
    ----------
    centre, scale : ndarray of float, shape (2, n_features)
        Middle and half of the range seen in training, native units; row 0 for context visits, row 1 for
        follow-ups (equal unless fitted per visit). A constant feature has scale 0: it maps to 0 and
        back to its constant.
    """

    centre: FloatArray
    scale: FloatArray

    @classmethod
    def fit(cls, cohort: Cohort, *, per_visit: bool = False) -> Self:
        """Learn the range of each feature over the visits of training subjects.

        Parameters
        ----------
        cohort : Cohort
            Training subjects; missing cells are left out.
        per_visit : bool
            Learn one scale from context visits (single visits included) and one from follow-ups.

        Raises
        ------
        CohortError
            If a feature has no value to learn from.
        TooFewPairsError
            If `per_visit` is asked for and nobody has a follow-up.
        """
        if per_visit:
            follow_up = pairs(cohort).target
            if not len(follow_up):
                raise TooFewPairsError(
                    f"{cohort.source or cohort.name}: nobody has a follow-up to learn its scale from; "
                    "use one scale for all visits"
                )
            parts = [cohort.features[context_rows(cohort)], cohort.features[follow_up]]
        else:
            parts = [cohort.features] * 2
        ranges = [_range(part, cohort) for part in parts]
        return cls(np.stack([centre for centre, _ in ranges]), np.stack([scale for _, scale in ranges]))

    def transform(self, features: NDArray[np.floating], visit: int = 0) -> FloatArray:
        """Scale features, shape (..., n_features); missing cells stay missing.

        Values outside the training range map outside [-1, 1].
        """
        scale = self.scale[visit]
        divisor = np.where(scale > 0, scale, 1.0)
        scaled: FloatArray = (features - self.centre[visit]) / divisor * (scale > 0)
        return scaled

    def inverse(self, scaled: NDArray[np.floating], visit: int = 0) -> FloatArray:
        """Return scaled features, shape (..., n_features), to native units: undo `transform`."""
        native: FloatArray = scaled * self.scale[visit] + self.centre[visit]
        return native

    def state(self) -> dict[str, Any]:
        """Return what was learned, as arrays."""
        return {"centre": self.centre, "scale": self.scale}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the scaler from `state`."""
        return cls(state["centre"], state["scale"])


def context_rows(cohort: Cohort) -> NDArray[np.intp]:
    """Return the visit rows an imputer may start from: those with a follow-up, and single visits."""
    single = ~cohort.is_request & ~cohort.is_paired[cohort.subject_of]
    single[pairs(cohort).context] = True
    return np.flatnonzero(single)


def _range(features: FloatArray, cohort: Cohort) -> tuple[FloatArray, FloatArray]:
    seen = ~np.isnan(features)
    empty = ~seen.any(axis=0)
    if empty.any():
        names = np.asarray(cohort.feature_names)[empty]
        raise CohortError(
            f"{cohort.source or cohort.name}: no value to learn the scale of feature {some(names)} from; exclude it"
        )
    low = np.where(seen, features, np.inf).min(axis=0)
    half = (np.where(seen, features, -np.inf).max(axis=0) - low) / 2
    return low + half, half
