"""What the contract's checks share: an imputer under test with a small cohort, and assertions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.cohort import Cohort, Imputation, Task, folds, hide
from nextscan.errors import NextscanError
from nextscan.imputers.base import Imputer

DRAWS = 6


class Candidate:
    """An imputer under test, with a small cohort; it is fitted once, when first needed.

    Parameters
    ----------
    make : callable
        Returns an unfitted imputer, small enough to fit in a moment.
    cohort : Cohort, optional
        Instead of the built-in one: at least 40 paired subjects and a few unpaired ones.
    tolerance : float
        For results that must agree up to rounding, as a fraction of each feature's spread.
    """

    def __init__(self, make: Callable[[], Imputer], *, cohort: Cohort | None = None, tolerance: float = 1e-4) -> None:
        self.make = make
        self.cohort = _small_cohort() if cohort is None else cohort
        self.tolerance = tolerance
        split = next(folds(self.cohort, 4, seed=0))
        self.train, self.validation, self.test = split.train, split.validation, split.test
        self.fingerprints = [part.fingerprint() for part in (self.train, self.validation, self.task.shown)]

    @cached_property
    def task(self) -> Task:
        """Test subjects with their follow-ups hidden."""
        return hide(self.test)

    @cached_property
    def fitted(self) -> Imputer:
        """The imputer, fitted on training and validation subjects."""
        return self.make().fit(self.train, self.validation, seed=1)

    @cached_property
    def result(self) -> Imputation:
        """What the fitted imputer makes of the task."""
        return self.impute(self.task.shown)

    def impute(self, cohort: Cohort, model: Imputer | None = None) -> Imputation:
        """Impute with the usual number of draws and seed."""
        return (model or self.fitted).impute(cohort, DRAWS, seed=7)

    def agree(self, have: NDArray[np.floating], want: NDArray[np.floating], promise: str) -> None:
        """Assert equality up to rounding."""
        assert have.shape == want.shape, f"{promise}: shape {have.shape}, expected {want.shape}"
        off = float(np.max(np.abs(have - want) / spread(self.train), initial=0.0))
        assert off <= self.tolerance, f"{promise}: results differ by {off:.2g} of a feature's spread"


def assert_refused(action: Callable[[], Any], expected: type[NextscanError], what: str) -> None:
    """Assert that the action raises the named error."""
    try:
        action()
    except expected as error:
        _assert_one_line(error, what)
    except Exception as error:
        raise AssertionError(f"{what} must raise {expected.__name__}, it raised {error!r}") from error
    else:
        raise AssertionError(f"{what} must raise {expected.__name__}")


def handled(action: Callable[[], Any], what: str) -> Any:
    """Return the action's result, or None if it refused by a named error."""
    try:
        return action()
    except NextscanError as error:
        _assert_one_line(error, what)
        return None
    except Exception as error:
        raise AssertionError(f"{what} must be handled or refused by a named error, it raised {error!r}") from error


def _assert_one_line(error: NextscanError, what: str) -> None:
    assert len(str(error).splitlines()) == 1, f"{what}: the message must be one line, it is {str(error)!r}"


def finite(result: Imputation) -> bool:
    """Tell whether draws and mean are finite."""
    return bool(np.isfinite(result.draws).all() and np.isfinite(result.mean()).all())


def spread(cohort: Cohort) -> NDArray[np.float64]:
    """Return the standard deviation of each feature, 1 where it is constant."""
    sd: NDArray[np.float64] = np.nanstd(cohort.features, axis=0)
    return np.where(sd > 0, sd, 1.0)


def with_gaps(cohort: Cohort, fraction: float) -> Cohort:
    """Return the cohort with a fraction of its cells missing, never in the first feature."""
    gaps = np.random.default_rng(3).random(cohort.features.shape) < fraction
    gaps[:, 0] = False  # a visit without any feature would be a request
    return replace(cohort, features=np.where(gaps, np.nan, cohort.features))


def _small_cohort() -> Cohort:
    """Make 48 paired and 16 unpaired subjects: stable part, noise, drift, labels with gaps, one feature near 0."""
    generator = np.random.default_rng(11)
    n_paired, n, n_features = 48, 64, 5
    subject_of = np.repeat(np.arange(n), np.where(np.arange(n) < n_paired, 2, 1))
    follow_up = np.r_[False, np.diff(subject_of) == 0]
    years = np.where(follow_up, generator.uniform(1, 4, n)[subject_of], 0.0)
    stable = generator.normal(size=(n, 2)) @ generator.normal(size=(2, n_features))
    values = stable[subject_of] - 0.2 * years[:, None] + 0.4 * generator.normal(size=(len(subject_of), n_features))
    values += np.array([20.0, 500.0, 40.0, 0.0, 30.0])
    values[:, 2] = np.exp(values[:, 2] - 40.0)  # positive, many values close to zero
    sex = np.where(generator.random(n) < 0.5, "F", "M").astype(object)
    sex[::9] = None
    return Cohort(
        name="contract",
        subjects=np.array([f"sub-{i:02d}" for i in range(n)]),
        subject_of=subject_of,
        visits=np.where(follow_up, "2", "1"),
        years=years,
        features=values,
        feature_names=tuple(f"feature-{i}" for i in range(n_features)),
        labels=pd.DataFrame({"sex": sex}),
        visit_labels=pd.DataFrame({"age": generator.uniform(45, 80, n)[subject_of] + years}),
        units={"feature-1": "mm3"},
    )
