"""What the statistical methods share: the pairs to learn from, and draws by resampling residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, merge, pairs
from nextscan.errors import TooFewPairsError, some
from nextscan.preprocess import CellImputer
from nextscan.randomness import bits, subject_keys


@dataclass(frozen=True, eq=False)
class PairedVisits:
    """Context visits and the follow-ups after them, of training and validation subjects together.

    Attributes
    ----------
    context : ndarray of float, shape (n_pairs, n_features)
        Native units, missing cells filled by `cells`.
    target : ndarray of float, shape (n_pairs, n_features)
        Native units, NaN where missing: each feature is learned from the pairs that have its follow-up.
    subject : ndarray of str, shape (n_pairs,)
    labels : DataFrame, n_pairs rows
        Labels of the subject and of the context visit.
    gap : ndarray of float, shape (n_pairs,)
        Years from context to target; NaN where unknown.
    cells : CellImputer
        Learned on the visits of the paired subjects.
    """

    context: FloatArray
    target: FloatArray
    subject: NDArray[np.str_]
    labels: pd.DataFrame
    gap: FloatArray
    cells: CellImputer

    @classmethod
    def of(cls, train: Cohort, validation: Cohort | None, *, minimum: int) -> PairedVisits:
        """Collect the pairs; unpaired subjects are left out.

        Raises
        ------
        TooFewPairsError
            If a feature has fewer than `minimum` follow-up values to learn from.
        """
        cohort = merge(train, validation)
        cohort = cohort.select_subjects(cohort.is_paired)
        found = pairs(cohort)
        target = cohort.features[found.target]
        counts = np.count_nonzero(~np.isnan(target), axis=0)
        if (counts < minimum).any():
            names = np.asarray(cohort.feature_names)[counts < minimum]
            raise TooFewPairsError(
                f"{cohort.source or cohort.name}: feature {some(names)} was measured at fewer than {minimum} "
                "follow-ups, too few to learn from; exclude it"
            )
        cells = CellImputer.fit(cohort.features, names=cohort.feature_names, source=cohort.source or cohort.name)
        return cls(
            context=cells.transform(cohort.features[found.context]),
            target=target,
            subject=cohort.subject_names(found.context),
            labels=cohort.labels_at(found.context),
            gap=found.gap,
            cells=cells,
        )

    @property
    def change(self) -> FloatArray:
        """Target minus context, shape (n_pairs, n_features); NaN where the target is missing."""
        return self.target - self.context

    @property
    def scale(self) -> FloatArray:
        """Spread of each feature over the context visits, 1 where it is constant."""
        return np.where(np.ptp(self.context, axis=0) > 0, self.context.std(axis=0), 1.0)


def rows_of_subjects(subject: Sequence[str] | NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """Return the pairs of each subject: one array per number of pairs, shape (n_subjects, n_pairs).

    Raises
    ------
    TooFewPairsError
        If all pairs are of one subject: without it nothing is left to learn from.
    """
    _, of, counts = np.unique(np.asarray(subject), return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise TooFewPairsError(
            "all pairs of visits are of one subject; this method needs at least 2 subjects with pairs"
        )
    order = np.argsort(of, kind="stable")
    each = np.split(order, np.cumsum(counts)[:-1])
    return [np.array([rows for rows in each if len(rows) == size]) for size in np.unique(counts)]


def without_subject(
    values: FloatArray, left: FloatArray, right: FloatArray, subjects: Sequence[NDArray[np.int64]]
) -> FloatArray:
    """Return (I - H)⁻¹ `values` per subject, H = 1/n + `left` `right`ᵀ among the subject's own pairs.

    This turns residuals of a linear fit with intercept and hat matrix H into those of fits without
    the subject.

    Parameters
    ----------
    values : ndarray, shape (n, n_features)
    left, right : ndarray, shape (n, rank)
    subjects : sequence of ndarray
        From `rows_of_subjects`.
    """
    n = len(values)
    outside = np.empty_like(values)
    for rows in subjects:
        if rows.shape[1] == 1:
            alone = rows[:, 0]
            own = np.einsum("ij,ij->i", left[alone], right[alone])
            outside[alone] = values[alone] / (1 - 1 / n - own)[:, None]
        else:
            hat = 1 / n + left[rows] @ right[rows].transpose(0, 2, 1)
            outside[rows] = np.linalg.solve(np.eye(rows.shape[1]) - hat, values[rows])
    return outside


def centred(residuals: FloatArray) -> FloatArray:
    """Centre residual vectors, shape (n, n_features), and fill their gaps.

    A gap takes the value of the nearest residual vector that has it (nearest-donor hot deck), which
    keeps the spread of each feature and, nearly, how features vary together.
    """
    residuals = residuals - np.nanmean(residuals, axis=0)
    seen = ~np.isnan(residuals)
    rows = np.flatnonzero(~seen.all(axis=1))
    if not len(rows):
        return residuals
    spread = np.nanstd(residuals, axis=0)
    scaled = np.where(seen, residuals, 0.0) / np.where(spread > 0, spread, 1.0)
    present = seen.astype(np.float64)
    squares = scaled[rows] ** 2 @ present.T + present[rows] @ (scaled**2).T - 2 * scaled[rows] @ scaled.T
    # Where the donor has a gap too, the distance expected of two strangers, each of variance 1.
    distance = squares + 2 * (present[rows] @ (1 - present).T)
    filled = residuals.copy()
    for row, nearest in zip(rows, np.argsort(distance, axis=1, kind="stable"), strict=True):
        gaps = np.flatnonzero(~seen[row])
        filled[row, gaps] = residuals[nearest[seen[np.ix_(nearest, gaps)].argmax(axis=0)], gaps]
    return filled


def resampled(
    mean: FloatArray, residuals: FloatArray, subjects: Sequence[str] | NDArray[np.str_], n_draws: int, seed: int
) -> FloatArray:
    """Add to each mean, shape (n, n_features), residual vectors drawn with replacement.

    Which ones depends on the subject's name, the seed and the draw only. Several visits of a subject
    imputed at once share the whole residual, so that the difference between two imputed visits has no
    residual spread at all: use the draws one visit at a time, not for change between imputed visits.

    Returns
    -------
    ndarray of float, shape (n_draws, n, n_features)
    """
    draws = residuals[donors(len(residuals), subjects, n_draws, seed)]
    draws += mean
    return draws


def donors(n_residuals: int, subjects: Sequence[str] | NDArray[np.str_], n_draws: int, seed: int) -> NDArray[np.int64]:
    """Draw positions of residual vectors, shape (n_draws, n_subjects)."""
    chosen = bits(subject_keys(subjects)[None, :], seed, np.arange(n_draws)[:, None])
    positions: NDArray[np.int64] = chosen % n_residuals
    return positions
