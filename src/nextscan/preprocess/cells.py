"""Fill missing cells from the other features of the same visit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.errors import CohortError, some

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CellImputer:
    """Chained regressions for missing cells, learned on training subjects.

    scikit-learn's `IterativeImputer` (Bayesian ridge on standardised features) is fitted once; its
    coefficients are kept as arrays and applied with NumPy. Only features with gaps in training get
    regressions. A gap in another feature later is filled with the training mean. Filled values stay
    within the range seen in training.

    Attributes
    ----------
    mean, sd, low, high : ndarray of float, shape (n_features,)
        Of the training cells, native units; `sd` is 1 for constant features.
    feature : ndarray of int, shape (n_models,)
        The feature each regression fills, in the order of application (round after round).
    neighbours : ndarray of int, shape (n_models, n_neighbours)
        The features it is predicted from.
    weights : ndarray of float, shape (n_models, n_neighbours)
    intercept : ndarray of float, shape (n_models,)
        In units of `sd`.

    References
    ----------
    van Buuren & Groothuis-Oudshoorn (2011), mice, J. Stat. Softw. 45(3).
    """

    mean: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray
    feature: IntArray
    neighbours: IntArray
    weights: FloatArray
    intercept: FloatArray

    @classmethod
    def fit(
        cls,
        features: FloatArray,
        *,
        rounds: int = 2,
        n_neighbours: int = 50,
        max_rows: int = 2000,
        names: tuple[str, ...] = (),
        source: str = "training visits",
    ) -> Self:
        """Learn to fill the gaps of training visits.

        Parameters
        ----------
        features : ndarray of float, shape (n_visits, n_features)
            Native units, NaN where missing; rows without any value (requests) are left out.
        rounds : int
            Passes over the features with gaps; SECONDGRAM's released setting is 2.
        n_neighbours : int
            Predictors per regression, drawn with probability proportional to absolute correlation.
        max_rows : int
            Regressions are fitted on about this many visits at most, chosen at random but always the same:
            50 predictors need no more, and the cost no longer grows with the cohort. Means, spreads and
            ranges use all visits.
        names, source : tuple of str, str
            Feature names and file, for messages.

        Raises
        ------
        CohortError
            If a feature has no value at all.
        """
        features = features[~np.isnan(features).all(axis=1)]
        missing = np.isnan(features)
        empty = np.flatnonzero(missing.all(axis=0))
        if len(empty):
            which = some(names[j] if names else f"number {j}" for j in empty)
            raise CohortError(f"{source}: feature {which} has no value in any training visit; exclude it")
        mean, spread = np.nanmean(features, axis=0), np.nanstd(features, axis=0)
        low, high = np.nanmin(features, axis=0), np.nanmax(features, axis=0)
        mean = np.where(low == high, low, mean)
        sd = np.where((spread > 0) & (low < high), spread, 1.0)
        models = _regressions(
            (features[_rows_to_fit(missing, max_rows)] - mean) / sd,
            (low - mean) / sd,
            np.where(low < high, (high - mean) / sd, 1.0),  # an upper end must lie above the lower one
            rounds=rounds,
            n_neighbours=n_neighbours,
        )
        return cls(mean, sd, low, high, *models)

    def transform(self, features: NDArray[np.floating]) -> FloatArray:
        """Return a copy of the features without gaps; observed cells keep their exact values.

        Parameters
        ----------
        features : ndarray of float, shape (n_visits, n_features)
        """
        missing = np.isnan(features)
        filled = np.array(features, dtype=np.float64)
        rows = np.flatnonzero(missing.any(axis=1))
        if not len(rows):
            return filled
        gaps = missing[rows]
        scaled = np.where(gaps, 0.0, (filled[rows] - self.mean) / self.sd)
        low, high = (self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd
        for j, near, weights, intercept in zip(
            self.feature, self.neighbours, self.weights, self.intercept, strict=True
        ):
            gap = np.flatnonzero(gaps[:, j])
            if len(gap):
                predicted = scaled[np.ix_(gap, near)] @ weights + intercept
                scaled[gap, j] = np.clip(predicted, low[j], high[j])
        native = np.clip(scaled * self.sd + self.mean, self.low, self.high)
        filled[rows] = np.where(gaps, native, filled[rows])
        return filled

    def state(self) -> dict[str, Any]:
        """Return what was learned, as arrays."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the imputer from `state`."""
        return cls(**state)


def _rows_to_fit(missing: NDArray[np.bool_], max_rows: int) -> NDArray[np.intp]:
    """Choose evenly spread rows, and enough rows with and without a gap for every feature with gaps."""
    n_rows = len(missing)
    if n_rows <= max_rows:
        return np.arange(n_rows)
    chosen = np.zeros(n_rows, bool)
    chosen[np.random.default_rng(0).choice(n_rows, max_rows, replace=False)] = True
    for j in np.flatnonzero(missing.any(axis=0)):
        for part, enough in ((missing[:, j], 1), (~missing[:, j], 100)):
            if np.count_nonzero(part & chosen) < enough:
                chosen[np.flatnonzero(part)[:enough]] = True
    return np.flatnonzero(chosen)


def _regressions(
    scaled: FloatArray, low: FloatArray, high: FloatArray, *, rounds: int, n_neighbours: int
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    n_features = scaled.shape[1]
    n_neighbours = min(n_neighbours, n_features - 1)
    steps: list[Any] = []
    if n_neighbours and np.isnan(scaled).any():
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer
        from threadpoolctl import threadpool_limits

        imputer = IterativeImputer(
            max_iter=rounds,
            n_nearest_features=n_neighbours if n_neighbours < n_features - 1 else None,
            skip_complete=True,
            min_value=low,
            max_value=high,
            random_state=0,
        )
        # Many small regressions: more threads cost more than they bring.
        with warnings.catch_warnings(), threadpool_limits(1):
            # A fixed, small number of rounds is the setting, not a failure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            imputer.fit(scaled)
        steps = imputer.imputation_sequence_
    return (
        np.array([step.feat_idx for step in steps], np.int64),
        np.array([step.neighbor_feat_idx for step in steps], np.int64).reshape(len(steps), n_neighbours),
        np.array([step.estimator.coef_ for step in steps], np.float64).reshape(len(steps), n_neighbours),
        np.array([step.estimator.intercept_ for step in steps], np.float64),
    )
