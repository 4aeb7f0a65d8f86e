"""The law of what an anchor leaves: residual = A [location(c) + scale(c) · s · shape(c)], and what each part adds.

With z the anchor's residual whitened by its own covariance (`Predictive.whiten`):

- *spread*: z = s Σ^(1/2) e. Σ is estimated from held-out residuals, shrunk towards the anchor's
  covariance as far as they cannot tell; s is a size common to all features of a visit, drawn from the sizes of held-out
  residuals less what chance adds to them: real residuals have heavy tails that all features share.
- Coordinates are turned so that the leading ones matter most in units of features; only they get a location.
- *scale*: the size given what is known, c, its log a linear function.
- *network*: location, and what a linear function misses of scale, given c (`nextscan.networks.LocationScale`).
- *diffusion*: the shape of the leading coordinates given c (`nextscan.networks.Shape`); standard normal without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray

_LOCATED = 16  # leading coordinates, at most, that get a location and a shape, and a size of their own


@dataclass(frozen=True, eq=False)
class Spread:
    """Covariance and sizes of whitened residuals.

    Attributes
    ----------
    root : ndarray of float, shape (p, p)
        z = root · (size · e) with e of identity covariance; columns by how much they matter in units of features.
    inverse : ndarray of float, shape (p, p)
    sizes : ndarray of float, shape (n, 2)
        Equally likely sizes of the leading coordinates and of the others; their squares have mean 1.
    """

    root: FloatArray
    inverse: FloatArray
    sizes: FloatArray

    @classmethod
    def fit(cls, z: FloatArray, effect: FloatArray, *, correlated: bool = True) -> Self:
        """Estimate from residuals.

        Parameters
        ----------
        z : ndarray of float, shape (n, p)
            Whitened.
        effect : ndarray of float, shape (p, p)
            Average of the maps from whitened residuals to features.
        correlated : bool
            Whether to estimate covariance, or variances only.
        """
        p = z.shape[1]
        # In the anchor's own axes, by how much they matter: it errs in the few that carry most, or in all others.
        axes = facing(np.linalg.svd(effect)[2], axis=1)
        along = z @ axes.T
        # Residuals of equal size: one heavy-tailed visit must not make the covariance its own.
        along = along / spread_out(_sizes(along / _sd(along)), p)
        sd = _sd(along)
        covariance = spiked_covariance(along / sd) if correlated else np.eye(p)
        half = axes.T @ (sd[:, None] * np.linalg.cholesky(covariance))
        root = half @ facing(np.linalg.svd(effect @ half)[2].T, axis=0)
        e = z @ np.linalg.inv(root).T
        sizes = _sizes(e / _sd(e))
        root = root * _sd(e / spread_out(sizes, p))
        return cls(root, np.asarray(np.linalg.inv(root), np.float64), sizes)

    @classmethod
    def none(cls, p: int) -> Self:
        """Return the spread that leaves an anchor's law as it is."""
        return cls(np.eye(p), np.eye(p), np.ones((1, 2)))

    def state(self) -> dict[str, Any]:
        """Return what was learned, as arrays."""
        return dict(vars(self))


def _sd(e: FloatArray) -> FloatArray:
    """Return the standard deviation of normals with the same mean absolute value, shape (p,).

    Scores and intervals are about distances, not squares: of heavy tails that sizes do not explain, squares would
    make every draw too wide.
    """
    sd: FloatArray = np.sqrt(np.pi / 2) * np.mean(np.abs(e), axis=0)
    return np.maximum(sd, 1e-6)


def log_sizes(e: FloatArray) -> FloatArray:
    """Return the log root mean squares of leading and other coordinates, shape (n, 2); a single one is both."""
    m = n_located(e.shape[1])
    groups = (e[:, :m], e[:, m:] if e.shape[1] > m else e)
    sizes: FloatArray = np.column_stack([0.5 * np.log(np.mean(part**2, axis=1) + 1e-6) for part in groups])
    return sizes


def _sizes(e: FloatArray) -> FloatArray:
    """Return sizes of leading and other coordinates, shape (n, 2), less what chance adds; mean square 1.

    The many others tell a visit's size; the leading ones follow it as far as theirs do on average.
    """
    from scipy.special import polygamma

    p = e.shape[1]
    leading, told = (log_sizes(e) - log_sizes(e).mean(axis=0)).T
    n_told = p - n_located(p) or p
    by_chance = float(polygamma(1, n_told / 2)) / 4  # of the log of a root mean square of normals
    true_variance = max(0.0, float(told.var()) - by_chance)
    kept = np.sqrt(true_variance / told.var()) if true_variance > 0 else 0.0
    follows = float(np.clip(np.mean(leading * told) / true_variance, 0, 1)) if true_variance > 0 else 0.0
    sizes = np.exp(np.column_stack([follows * kept * told, kept * told]))
    result: FloatArray = sizes / np.sqrt(np.mean(sizes**2, axis=0))
    return result


def spiked_covariance(x: FloatArray) -> FloatArray:
    """Estimate a covariance that is a multiple of the identity but for some directions, shape (p, p).

    Eigenvalues beyond what chance makes of the identity are moved to where they lie in expectation, and shrunk for
    the error of their eigenvectors (Donoho, Gavish & Johnstone 2018, Ann. Stat. 46(4), Frobenius loss); all others
    become equal.

    Parameters
    ----------
    x : ndarray of float, shape (n, p)
        Centred.
    """
    n, p = x.shape
    values, vectors = np.linalg.eigh(x.T @ x / n)
    gamma = p / n
    edge = (1 + np.sqrt(gamma)) ** 2
    noise = values.mean()
    for _ in range(20):  # the bulk is what is no spike, and a spike is what is beyond the bulk
        beyond = values > edge * noise
        noise = max(float(values[~beyond].mean()), 1e-9) if not beyond.all() else noise
    spikes = values[beyond] / noise
    true = (spikes + 1 - gamma + np.sqrt((spikes + 1 - gamma) ** 2 - 4 * spikes)) / 2
    cosine2 = np.clip((1 - gamma / (true - 1) ** 2) / (1 + gamma / (true - 1)), 0, 1)
    kept = vectors[:, beyond]
    bulk = max(0.05 * values.mean(), (values.sum() - noise * ((true - 1) * cosine2).sum()) / p)
    covariance: FloatArray = bulk * np.eye(p) + (kept * (noise * (true - 1) * cosine2)) @ kept.T
    return covariance


def facing(axes: FloatArray, *, axis: int) -> FloatArray:
    """Return vectors along an axis with the signs that make their sums positive.

    The sign of a singular vector is chance of rounding; draws of a seed must not follow it.
    """
    return axes * np.where(axes.sum(axis=axis, keepdims=True) < 0, -1.0, 1.0)


def n_located(p: int) -> int:
    """Return how many of p coordinates are leading ones: at most half."""
    return min(_LOCATED, (p + 1) // 2)


def spread_out(pairs: NDArray[np.floating], p: int) -> NDArray[np.floating]:
    """Return values of all p coordinates, shape (..., p), from those of leading and others, shape (..., 2)."""
    m = n_located(p)
    return np.repeat(pairs, [m, p - m], axis=-1)


def effect_of(colour: Callable[[Tensor], Tensor], p: int) -> FloatArray:
    """Return the average matrix, shape (p, p), of linear maps of rows: shape (..., n, p) to the same."""
    columns = colour(torch.eye(p, dtype=torch.float64)[:, None])
    effect: FloatArray = columns.mean(dim=1).numpy().T
    return effect
