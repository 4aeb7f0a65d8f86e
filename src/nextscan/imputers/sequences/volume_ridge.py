"""Volume ridge: the curve of volumes from the volumes at the visits shown, without any image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort import Cohort, Targets, merge, shown_visits
from nextscan.errors import CohortError, TooFewPairsError
from nextscan.imputers.base import Imputer, Progress
from nextscan.imputers.baselines.paired_visits import centred, resampled, rows_of_subjects
from nextscan.imputers.baselines.ridge import fit_ridge
from nextscan.preprocess import LabelEncoder

_FEWEST = 3  # people, and of them those in whom a visit is known, to learn it


@dataclass(eq=False, repr=False)
class VolumeRidge(Imputer):
    """Regress all hidden visits of a sequence at once on those shown and the labels of a subject.

    The predictors of a subject are the features of its visits shown, one after the other, and its labels; the
    outcome is the whole rest of the curve. Ridge with the penalty that the leave-one-out error chooses, closed form.
    Draws add whole residual curves of training people left out, so that all visits of a draw belong together: what
    depends on a curve, such as an ejection fraction, may be taken draw by draw.

    Subjects shown fewer visits than others have the average there; a visit that few training people have is taken
    as the nearest one in time.

    Parameters
    ----------
    shown : str
        A rule of `nextscan.cohort.shown_visits`: what is shown of those to impute, and so what to learn from.

    Attributes
    ----------
    visits_ : tuple of str
        What the curve consists of.
    times_ : ndarray, shape (n_visits,)
    residuals_ : ndarray, shape (n_subjects, n_visits * n_features)
        Of subjects left out, native units.
    """

    name: ClassVar[str] = "volume-ridge"
    minimum_pairs: ClassVar[int] = 5
    predicts_backward: ClassVar[bool] = True
    uses_time: ClassVar[bool] = True
    _LEARNED: ClassVar[tuple[str, ...]] = (
        *("labels", "visits_", "times_", "n_shown_", "mean_", "scale_"),
        *("intercept_", "coefficients_", "residuals_"),
    )
    _PARTS: ClassVar[dict[str, Any]] = {"labels": LabelEncoder}

    shown: str = "first"

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        cohort = merge(train, validation)
        given = shown_visits(cohort, self.shown)
        known = ~cohort.is_request
        self.n_shown_ = int(np.bincount(cohort.subject_of[given], minlength=cohort.n_subjects).max())
        hidden = known & ~given
        names, counts = np.unique(cohort.visits[hidden], return_counts=True)
        self.visits_ = tuple(names[counts >= min(_FEWEST, counts.max(initial=0))].tolist())
        if not self.visits_:
            raise CohortError(
                f"{cohort.source or cohort.name}: {self.shown!r} shows all visits of everybody; nothing to learn"
            )
        self.times_: FloatArray = np.array([_median(cohort.years[cohort.visits == name]) for name in self.visits_])
        curves = np.full((cohort.n_subjects, len(self.visits_), cohort.n_features), np.nan)
        place = {name: k for k, name in enumerate(self.visits_)}
        for row in np.flatnonzero(known):
            if (k := place.get(str(cohort.visits[row]))) is not None:
                curves[cohort.subject_of[row], k] = cohort.features[row]
        seen = np.flatnonzero(np.bincount(cohort.subject_of[given], minlength=cohort.n_subjects) > 0)
        seen = seen[~np.isnan(curves[seen]).all(axis=(1, 2))]
        if len(seen) < _FEWEST:
            raise TooFewPairsError(
                f"{cohort.source or cohort.name}: {self.name} needs {_FEWEST} subjects with visits shown and "
                f"hidden, there are {len(seen)}; use a larger cohort"
            )
        self.labels_ = LabelEncoder.fit(cohort.labels.iloc[seen].reset_index(drop=True))
        predictors = self._predictors(cohort, given)[seen]
        self.mean_: FloatArray = _nanmean(predictors)
        predictors = np.where(np.isnan(predictors), self.mean_, predictors) - self.mean_
        spread = predictors.std(axis=0)
        self.scale_: FloatArray = np.where(spread > 1e-9 * np.maximum(np.abs(self.mean_), 1e-9), spread, np.inf)
        target = curves[seen].reshape(len(seen), -1)
        unit = np.nanstd(target, axis=0)
        unit = np.where(unit > 0, unit, 1.0)
        target = target / unit  # visits that vary much do not choose the penalty alone
        fitted = fit_ridge(
            predictors / self.scale_, np.zeros_like(target), target, 0.0, rows_of_subjects(cohort.subjects[seen])
        )
        self.intercept_: FloatArray = fitted.intercept * unit
        self.coefficients_: FloatArray = fitted.coefficients * unit
        self.residuals_: FloatArray = centred(fitted.residuals) * unit
        self.record_ |= {"penalty": fitted.penalty, "n_curves": len(seen)}

    def _predictors(self, cohort: Cohort, given: NDArray[np.bool_]) -> FloatArray:
        """Return the features of the visits shown, in their order, and the labels of each subject."""
        table = np.full((cohort.n_subjects, self.n_shown_, cohort.n_features), np.nan)
        for i in range(cohort.n_subjects):
            rows = np.flatnonzero(given & (cohort.subject_of == i))[: self.n_shown_]
            table[i, : len(rows)] = cohort.features[rows]
        return np.concatenate([table.reshape(cohort.n_subjects, -1), self.labels_.transform(cohort.labels)], axis=1)

    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[FloatArray, FloatArray]:
        predictors = self._predictors(cohort, ~cohort.is_request)
        predictors = np.where(np.isnan(predictors), self.mean_, predictors) - self.mean_
        curves = self.intercept_ + predictors / self.scale_ @ self.coefficients_
        of = np.searchsorted(cohort.subjects, wanted.subject, sorter=(order := np.argsort(cohort.subjects)))
        row, at = order[of], self._places(cohort, wanted)
        shape = (-1, len(self.visits_), cohort.n_features)
        # a draw takes one person's residuals at all visits: donors depend on the name and the draw alone
        around = resampled(
            np.zeros((cohort.n_subjects, curves.shape[1])), self.residuals_, cohort.subjects, n_draws, seed
        )
        mean = curves.reshape(shape)[row, at]
        return mean + around.reshape(n_draws, *curves.reshape(shape).shape)[:, row, at], mean

    def _places(self, cohort: Cohort, wanted: Targets) -> IntArray:
        """Return where in the curve each target is: by its name, else nearest in time."""
        place = {name: k for k, name in enumerate(self.visits_)}
        apart = np.array([np.abs(cohort.apart(self.times_, np.full(len(self.times_), time))) for time in wanted.years])
        nearest = np.where(np.isnan(apart), np.inf, apart).argmin(axis=1) if len(apart) else np.zeros(0, np.intp)
        return np.array([place.get(str(name), int(k)) for name, k in zip(wanted.visit, nearest, strict=True)], np.intp)


def _median(values: FloatArray) -> float:
    return float(np.median(values[~np.isnan(values)])) if (~np.isnan(values)).any() else float("nan")


def _nanmean(values: FloatArray) -> FloatArray:
    """Return the mean of each column over what is known, 0 where nothing is."""
    known = ~np.isnan(values)
    mean: FloatArray = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return mean
