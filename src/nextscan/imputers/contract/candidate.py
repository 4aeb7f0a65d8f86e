"""What the contract's checks share: an imputer under test with a small cohort, and assertions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.cohort import Cohort, Task, folds, hide, targets
from nextscan.errors import NextscanError
from nextscan.imputers.registry import Kind


class BaseCandidate:
    """An imputer under test, of features or of volumes; it is fitted once, when first needed.

    Attributes
    ----------
    kind : "features" or "volumes"
    n_draws : int
        Of `result`.
    observed : str
        What is observed at a visit.
    few : tuple of int
        Numbers of subjects with pairs that may be too few, the first 0.
    times : tuple of float
        Years after the last visit to ask for.
    """

    kind: ClassVar[Kind]
    n_draws: ClassVar[int]
    observed: ClassVar[str]
    few: ClassVar[tuple[int, ...]]
    times: ClassVar[tuple[float, float]]
    unit_name: ClassVar[str]

    def __init__(self, make: Callable[[], Any], parts: Sequence[Cohort], tolerance: float) -> None:
        self.make, self.tolerance = make, tolerance
        self.train, self.validation, self.test = parts
        self.fingerprints = [part.fingerprint() for part in (self.train, self.validation, self.task.shown)]

    @cached_property
    def task(self) -> Task:
        """Test subjects with their last visits hidden."""
        return hide(self.test)

    @cached_property
    def fitted(self) -> Any:
        """The imputer, fitted on training and validation subjects."""
        return self.make().fit(self.train, self.validation, seed=1)

    @cached_property
    def result(self) -> Any:
        """What the fitted imputer makes of the task."""
        return self.impute(self.task.shown)

    def impute(
        self,
        cohort: Cohort,
        model: Any = None,
        *,
        n_draws: int | None = None,
        seed: int = 7,
        at_years: Sequence[float] | None = None,
    ) -> Any:
        """Impute, with the usual number of draws and seed unless told otherwise; has ``draws`` and ``mean()``."""
        return (model or self.fitted).impute(
            cohort, n_draws or self.n_draws, seed=seed, at_years=at_years, missing_labels="ignore"
        )

    @property
    def unit(self) -> Any:
        """What differences are counted in."""
        raise NotImplementedError

    def agree(self, have: NDArray[np.floating], want: NDArray[np.floating], promise: str) -> None:
        """Assert equality up to rounding."""
        assert have.shape == want.shape, f"{promise}: shape {have.shape}, expected {want.shape}"
        off = float(np.max(np.abs(have - want) / self.unit, initial=0.0))
        assert off <= self.tolerance, f"{promise}: results differ by {off:.2g} of {self.unit_name}"

    def assert_kept(self, result: Any, shown: Cohort) -> None:
        """Assert that what each prediction starts from is handed back bit for bit, where it is."""

    def assert_own_noise(self, draws: NDArray[np.floating]) -> None:
        """Assert that subjects do not share their noise."""
        raise NotImplementedError

    def hiding(self, cohort: Cohort, rows: NDArray[np.bool_]) -> Cohort:
        """Return the cohort with these visits as requests."""
        raise NotImplementedError

    def other_truth(self) -> Task:
        """Return the task with other hidden visits."""
        raise NotImplementedError


class Candidate(BaseCandidate):
    """An imputer of features under test, with a small cohort.

    Parameters
    ----------
    make : callable
        Returns an unfitted imputer, small enough to fit in a moment.
    cohort : Cohort, optional
        Instead of the built-in one: at least 40 paired subjects and a few unpaired ones.
    tolerance : float
        For results that must agree up to rounding, as a fraction of each feature's spread.
    """

    kind, n_draws, observed, few, times = "features", 6, "a visit", (0, 5, 20), (1.0, 2.5)
    unit_name = "a feature's spread"

    def __init__(self, make: Callable[[], Any], *, cohort: Cohort | None = None, tolerance: float = 1e-4) -> None:
        split = next(folds(_small_cohort() if cohort is None else cohort, 4, seed=0))
        super().__init__(make, (split.train, split.validation, split.test), tolerance)

    @cached_property
    def unit(self) -> NDArray[np.float64]:
        """The standard deviation of each feature in training, 1 where it is constant."""
        sd: NDArray[np.float64] = np.nanstd(self.train.features, axis=0)
        return np.where(sd > 0, sd, 1.0)

    def assert_kept(self, result: Any, shown: Cohort) -> None:
        """Assert that the visit each prediction starts from is handed back bit for bit."""
        context = shown.features[targets(shown).context]
        assert np.array_equal(result.context, context, equal_nan=True), "observed values must come back unchanged"

    def assert_own_noise(self, draws: NDArray[np.floating]) -> None:
        """Assert that subjects do not share their noise."""
        noise = (draws - draws.mean(axis=0)) / self.unit
        # The median, because features that are cut at zero may lack noise, or differ for that reason.
        apart = np.median(np.abs(noise[:, 1:] - noise[:, :-1]).max(axis=0), axis=-1)
        assert (apart > self.tolerance).all(), "subjects must not share their noise"

    def hiding(self, cohort: Cohort, rows: NDArray[np.bool_]) -> Cohort:
        """Return the cohort with these visits as requests."""
        return replace(cohort, features=np.where(rows[:, None], np.nan, cohort.features))

    def other_truth(self) -> Task:
        """Return the task with other hidden follow-ups."""
        features = self.test.features.copy()
        features[self.test.years > 0] *= 1.5
        changed = hide(replace(self.test, features=features))
        assert not np.allclose(changed.truth, self.task.truth, equal_nan=True)
        return changed


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


def finite(result: Any) -> bool:
    """Tell whether draws and mean are finite."""
    return bool(np.isfinite(result.draws).all() and np.isfinite(result.mean()).all())


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
