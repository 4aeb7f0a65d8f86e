"""The two scales scores are given in, learned on the training subjects of a fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort import Cohort, Split

Values = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Units:
    """Per feature: the published [-1, 1] scale and the spread at the first visit.

    Attributes
    ----------
    centre, half_range : ndarray, shape (n_features,)
        Middle and half of the range over all visits of training subjects.
    sd : ndarray, shape (n_features,)
        Standard deviation of the first visits of training and validation subjects who have a follow-up;
        subjects without one do not move it.

    Notes
    -----
    A feature that is constant in training has NaN for `half_range` or `sd` and is not scored.
    """

    centre: FloatArray
    half_range: FloatArray
    sd: FloatArray

    @classmethod
    def of(cls, split: Split) -> Units:
        """Learn the scales of a fold."""
        low, high = _range(split.train.features)
        varies = high > low
        first = np.concatenate([_first_visits(part) for part in (split.train, split.validation)])
        sd = feature_sd(first)
        return cls(
            centre=np.where(varies, (low + high) / 2, np.where(np.isfinite(low), low, 0.0)),
            half_range=np.where(varies, (high - low) / 2, np.nan),
            sd=np.where(sd > 1e-12 * np.abs(np.nan_to_num(first)).max(axis=0, initial=0.0), sd, np.nan),
        )

    def published(self, values: Values) -> FloatArray:
        """Return values on the [-1, 1] scale; features along the last axis."""
        scaled: FloatArray = (values - self.centre) / self.half_range
        return scaled

    def spread(self, values: Values) -> FloatArray:
        """Return values in standard deviations of the first visit; features along the last axis."""
        scaled: FloatArray = values / self.sd
        return scaled


def visit_rows(cohort: Cohort) -> tuple[IntArray, IntArray]:
    """Return the rows of the first and of the last observed visit of each paired subject."""
    rows = np.flatnonzero(~cohort.is_request & cohort.is_paired[cohort.subject_of])
    of = cohort.subject_of[rows]
    new = np.diff(of, prepend=-1) > 0
    return rows[new], rows[np.append(new[1:], True)] if len(rows) else rows


def _first_visits(cohort: Cohort) -> FloatArray:
    return cohort.features[visit_rows(cohort)[0]]


def _range(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return minimum and maximum per feature; infinite with the wrong sign where nothing is measured."""
    low = np.fmin.reduce(values, axis=0, initial=np.inf)
    return low, np.fmax.reduce(values, axis=0, initial=-np.inf)


def feature_sd(values: FloatArray) -> FloatArray:
    """Return the standard deviation of each feature over its measured values; zero where there is none."""
    measured = ~np.isnan(values)
    count = np.maximum(measured.sum(axis=0), 1)
    filled = np.where(measured, values, 0.0)
    off = np.where(measured, filled - filled.sum(axis=0) / count, 0.0)
    sd: FloatArray = np.sqrt((off**2).sum(axis=0) / count)
    return sd
