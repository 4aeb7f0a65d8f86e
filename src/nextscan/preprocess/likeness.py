"""How far out a visit lies among those that change was learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, pairs

_MOST_VISITS = 2000
_MOST_FACTORS = 20
_VISITS_PER_FACTOR = 10
_LEAST_NOISE = 0.05  # of a feature's variance
_FOLDS = 5
_FEWEST = 10


@dataclass(frozen=True, eq=False)
class _Law:
    """A Gaussian law with correlations L Lᵀ + noise, L of low rank: more features than visits do no harm.

    Attributes
    ----------
    mean, scale, noise : ndarray, shape (n_features,)
        `scale` is 0 for constant features, which tell nothing.
    loadings : ndarray, shape (n_features, n_factors)
    """

    mean: FloatArray
    scale: FloatArray
    noise: FloatArray
    loadings: FloatArray

    @classmethod
    def of(cls, features: FloatArray) -> Self:
        """Learn from visits, shape (n, n_features); a missing cell counts as its mean."""
        seen = ~np.isnan(features)
        count = np.maximum(seen.sum(axis=0), 1)
        mean = np.where(seen, features, 0.0).sum(axis=0) / count
        centred = np.where(seen, features - mean, 0.0)
        scale = np.sqrt((centred**2).sum(axis=0) / count)
        scale = np.where((scale > 1e-9 * np.abs(mean)) & (seen.sum(axis=0) > 1), scale, 0.0)
        scaled = centred / np.where(scale > 0, scale, 1.0)
        loadings = _loadings(scaled)
        noise = np.maximum(1.0 - (loadings**2).sum(axis=1), _LEAST_NOISE)
        return cls(mean, scale, noise, loadings)

    def distance(self, features: FloatArray) -> FloatArray:
        """Return how far out visits lie, shape (n,).

        The squared Mahalanobis distance over the observed cells, put on a scale on which the number of
        cells does not matter: were the law right, the cube root of distance / cells is nearly normal with
        mean 1 - 2 / (9 cells) and variance 2 / (9 cells) (Wilson & Hilferty 1931).
        """
        seen = ~np.isnan(features) & (self.scale > 0)
        scaled = np.where(seen, features - self.mean, 0.0) / np.where(self.scale > 0, self.scale, 1.0)
        squared = (scaled**2 / self.noise).sum(axis=1)
        n_factors = self.loadings.shape[1]
        weighted = self.loadings / self.noise[:, None]
        projected = scaled @ weighted
        products = (weighted[:, :, None] * self.loadings[:, None, :]).reshape(len(weighted), n_factors**2)
        inner = (seen.astype(np.float64) @ products).reshape(len(seen), n_factors, n_factors) + np.eye(n_factors)
        explained = np.linalg.solve(inner, projected[:, :, None])[:, :, 0]
        squared = np.maximum(squared - (projected * explained).sum(axis=1), 0.0)
        cells = np.maximum(seen.sum(axis=1), 1)
        variance = 2 / (9 * cells)
        distance: FloatArray = (np.cbrt(squared / cells) - 1 + variance) / np.sqrt(variance)
        return distance


@dataclass(frozen=True, eq=False)
class Likeness:
    """Tell how many of the visits that change was learned from lie as far out as another visit.

    The distance is Mahalanobis' under a factor model of the features at context visits, one of each subject
    with a follow-up. The distances it is compared with are of training visits, too, but each under a law
    learned without a fifth of the subjects that it belongs to: visits a law was fitted to lie closer to it.

    Attributes
    ----------
    law : _Law
        Learned on all of them.
    distances : ndarray of float, shape (n_visits,)
        Ascending.
    """

    law: _Law
    distances: FloatArray

    @classmethod
    def of(cls, train: Cohort) -> Self | None:
        """Learn from training subjects with a follow-up; None if there are fewer than 10.

        Of more than 2,000 subjects some are chosen at random, but always the same.
        """
        context = pairs(train).context
        rows = context[np.diff(train.subject_of[context], append=-1) != 0]  # the visit before the last
        if len(rows) < _FEWEST:
            return None
        order = np.random.default_rng(0).permutation(len(rows))[:_MOST_VISITS]
        features = train.features[rows[order]]
        fold = np.arange(len(order)) % _FOLDS
        distances = [_Law.of(features[fold != i]).distance(features[fold == i]) for i in range(_FOLDS)]
        return cls(_Law.of(features), np.sort(np.concatenate(distances)))

    def share_as_far(self, features: FloatArray) -> FloatArray:
        """Return which share of training visits lie at least as far out.

        Parameters
        ----------
        features : ndarray of float, shape (n, n_features)
            Native units, NaN where missing.

        Returns
        -------
        ndarray of float, shape (n,)
            For a visit like those in training it is below s with a probability of about s (for n training
            visits at least 1 / (n + 1)).
        """
        parts = [features[start : start + _MOST_VISITS] for start in range(0, len(features), _MOST_VISITS)]
        distance = np.concatenate([self.law.distance(part) for part in parts]) if parts else np.empty(0)
        nearer = np.searchsorted(self.distances, distance, side="left")
        share: FloatArray = 1.0 - nearer / len(self.distances)
        return share

    def state(self) -> dict[str, Any]:
        """Return what was learned, as arrays."""
        return {"distances": self.distances, **vars(self.law)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild it from `state`."""
        law = {name: value for name, value in state.items() if name != "distances"}
        return cls(_Law(**law), state["distances"])


def _loadings(scaled: FloatArray) -> FloatArray:
    """Return the principal factors of standardised visits, shape (n_features, n_factors)."""
    from sklearn.utils.extmath import randomized_svd

    n, width = scaled.shape
    n_factors = min(_MOST_FACTORS, n // _VISITS_PER_FACTOR, width - 1)
    if n_factors < 1:
        return np.zeros((width, 0))
    _, singular, directions = randomized_svd(scaled, n_factors, random_state=0)
    variance = singular**2 / n
    # What is left per direction is noise, which is in the leading directions, too.
    left = max(float((scaled**2).sum() / n - variance.sum()), 0.0) / (width - n_factors)
    loadings: FloatArray = directions.T * np.sqrt(np.maximum(variance - left, 0.0))
    return loadings
