"""When visits of unknown time took place, and what labels were at the first visit where it was not labelled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.imputers.baselines.paired_visits import donors


def first_visits(cohort: Cohort) -> NDArray[np.intp]:
    """Return the row of each subject's first visit, observed or not."""
    return np.flatnonzero(np.diff(cohort.subject_of, prepend=-1))


def filled_years(cohort: Cohort, step: float) -> FloatArray:
    """Return years since the first visit, those of unknown time filled.

    Between visits of known time they are evenly spaced, after the last one `step` apart.
    """
    years, starts = cohort.years.copy(), first_visits(cohort)
    years[starts[np.isnan(years[starts])]] = 0.0
    stops = np.append(starts[1:], cohort.n_visits)
    for i in np.unique(cohort.subject_of[np.isnan(years)]):
        own = years[starts[i] : stops[i]]  # a view
        known, at = np.flatnonzero(~np.isnan(own)), np.arange(len(own))
        own[:] = np.interp(at, known, own[known]) + step * np.maximum(at - known[-1], 0)
    return years


def target_years(
    cohort: Cohort, wanted: Targets, gaps: FloatArray, n_draws: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return the targets' years: drawn, shape (n_draws, n_targets), and expected, shape (n_targets,).

    A target of unknown time is one drawn gap after the visit before it, two if that one is of unknown
    time too, and so on; before a visit of known time these gaps are scaled to end there.

    Parameters
    ----------
    gaps : ndarray of float, shape (n_gaps,)
        Seen in training.
    """
    years, mean_gap = filled_years(cohort, float(gaps.mean())), float(gaps.mean())
    expected = np.where(wanted.row >= 0, years[wanted.row], years[wanted.context] + wanted.gap)
    alone = np.isnan(expected)  # no row of their own: one visit after the last
    expected[alone] = years[wanted.context[alone]] + mean_gap
    drawn = np.repeat(expected[None], n_draws, axis=0)
    fixed = ~cohort.is_request | ~np.isnan(cohort.years)
    fixed[first_visits(cohort)] = True
    unknown = np.flatnonzero(alone | ((wanted.row >= 0) & ~fixed[wanted.row]))
    if not len(unknown):
        return drawn, expected
    fixed_rows = np.flatnonzero(fixed)
    row = np.where(alone, wanted.context + 1, wanted.row)[unknown]
    after = np.searchsorted(fixed_rows, row)
    before = fixed_rows[after - 1]
    following = np.append(fixed_rows, cohort.n_visits)[after]
    same = np.append(cohort.subject_of, -1)[following] == cohort.subject_of[before]
    between = same & ~alone[unknown]
    steps = row - before
    total = np.where(between, following - before, steps)
    walked = np.zeros((total.max() + 1, n_draws, len(unknown)))
    for number in range(1, len(walked)):
        names = [name if number == 1 else f"{name}\n{number}" for name in wanted.subject[unknown]]
        walked[number] = walked[number - 1] + gaps[donors(len(gaps), names, n_draws, seed)]
    at = np.arange(len(unknown))
    length, whole = walked[steps, :, at].T, walked[total, :, at].T
    span = np.append(years, 0.0)[following] - years[before]
    share = np.divide(length, whole, out=np.full_like(length, 0.5), where=whole > 0)
    drawn[:, unknown] = years[before] + np.where(between, span * share, length)
    return drawn, expected


def label_rates(cohort: Cohort) -> dict[str, float]:
    """Return the median change per year of each visit label that is a number: 1 for an age."""
    same = np.diff(cohort.subject_of) == 0
    gap = np.diff(cohort.years)[same]
    rates = {}
    for name, column in cohort.visit_labels.items():
        if pd.api.types.is_numeric_dtype(column):
            change = np.diff(column.to_numpy(np.float64, na_value=np.nan))[same]
            usable = np.isfinite(change) & (gap > 0)
            rates[str(name)] = float(np.median(change[usable] / gap[usable])) if usable.any() else 0.0
    return rates


def labels_at_start(cohort: Cohort, years: FloatArray, rates: dict[str, float]) -> pd.DataFrame:
    """Return labels at year 0; where the first visit lacks one, from the first that has it.

    Parameters
    ----------
    years : ndarray of float, shape (n_visits,)
    rates : dict of label to its change per year
        From `label_rates`.
    """
    first = first_visits(cohort)
    labels = cohort.labels_at(first)
    for name, column in cohort.visit_labels.items():
        missing = labels[name].isna()
        if missing.any() and column.notna().any():
            moving = bool(rates.get(str(name))) and pd.api.types.is_numeric_dtype(column)
            moved = column - rates[str(name)] * years if moving else column
            known = pd.Series(moved.to_numpy()).groupby(cohort.subject_of).first()
            labels[name] = labels[name].where(~missing, known.reset_index(drop=True))
    return labels
