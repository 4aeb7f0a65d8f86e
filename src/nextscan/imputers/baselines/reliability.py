"""Reliability shrinkage: each scan is moved towards its expected value by its measurement noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.errors import SettingError
from nextscan.imputers.baselines.paired_visits import PairedVisits, centred, donors, rows_of_subjects, without_subject
from nextscan.imputers.baselines.resampling import ResamplingImputer
from nextscan.preprocess import CellImputer, context_rows

_DRAWS_TO_CHOOSE = 20


@dataclass(eq=False, repr=False)
class Reliability(ResamplingImputer):
    """Predict the expected second measurement of the same brain, plus the mean change.

    A scan is a stable part plus noise that differs between visits and features, with covariance M. With
    the covariance Σ of scans across subjects,

        E[x2 | x1] = x1 - λ M Σ⁻¹ (x1 - μ) + drift

    (Kelley's formula for vectors). M is diagonal: half the variance of the change of each feature, its
    ratio to the feature's variance shrunk towards the common one as far as sampling error explains its
    scatter. Σ is the Ledoit-Wolf estimate from the context visits of all subjects, with or without
    follow-up. Change that is not noise inflates M, therefore λ in [0, 1], one number, is fitted to the
    pairs. Whatever a method knows beyond this row is knowledge of change, not of noise.

    Draws add resampled vectors of leave-one-out residuals; all pairs of a subject are left out at once.

    Parameters
    ----------
    unpaired : "auto", "use" or "ignore"
        Whether subjects without a follow-up inform Σ; "auto" takes what gives the lower leave-one-out
        energy score on the training and validation pairs. Both are centred on their own mean.

    Attributes
    ----------
    shrink_ : ndarray of float, shape (n_features, n_features)
        λ Σ⁻¹ M, native units.
    mean_ : ndarray of float, shape (n_features,)
        μ, the mean context visit of the pairs.
    drift_ : ndarray of float, shape (n_features,)
        Mean change of the pairs.
    residuals_ : ndarray of float, shape (n_pairs, n_features)

    References
    ----------
    Kelley (1947), Fundamentals of Statistics. Ledoit & Wolf (2004), J. Multivariate Anal. 88(2). Smyth
    (2004), Stat. Appl. Genet. Mol. Biol. 3(1), for the shrinkage of variances.
    """

    name: ClassVar[str] = "reliability"
    uses_unpaired: ClassVar[bool] = True
    minimum_pairs: ClassVar[int] = 5
    _LEARNED: ClassVar[tuple[str, ...]] = ("cells", "mean", "drift", "shrink", "residuals")

    unpaired: Literal["auto", "use", "ignore"] = "auto"

    def _learn(self, data: PairedVisits, cohort: Cohort) -> None:
        choices = {"auto": (False, True), "use": (True,), "ignore": (False,)}
        if self.unpaired not in choices:
            raise SettingError(f"unpaired must be auto, use or ignore, got {self.unpaired!r}")
        pool = _pool(cohort, data.cells)
        fits = {
            use: _shrinkage(data, pool if use else pool[:0])
            for use in (choices[self.unpaired] if len(pool) else (False,))
        }
        scores = {use: _left_out_energy(data, fit) for use, fit in fits.items()} if len(fits) > 1 else {}
        used = min(fits, key=lambda use: scores.get(use, 0.0))
        best = fits[used]
        self.mean_: FloatArray = best.mean
        self.drift_: FloatArray = best.drift
        self.shrink_: FloatArray = best.shrink
        self.residuals_ = best.residuals
        self.record_ |= {
            "strength": best.strength,
            "pool": {
                "available": len(pool),
                "used": used,
                "energy_score": {"with" if use else "without": score for use, score in scores.items()},
            },
        }

    def _mean(self, context: FloatArray, cohort: Cohort, wanted: Targets) -> FloatArray:
        return context + self.drift_ - (context - self.mean_) @ self.shrink_


@dataclass(frozen=True, eq=False)
class _Shrinkage:
    mean: FloatArray
    drift: FloatArray
    shrink: FloatArray
    strength: float
    errors: FloatArray
    residuals: FloatArray


def _pool(cohort: Cohort, cells: CellImputer) -> FloatArray:
    """Return the context visits of subjects without a follow-up, gaps filled, centred."""
    rows = context_rows(cohort)
    rows = rows[~cohort.is_paired[cohort.subject_of[rows]]]
    pool = cells.transform(cohort.features[rows])
    return pool - pool.mean(axis=0) if len(pool) else pool


def _shrinkage(data: PairedVisits, pool: FloatArray) -> _Shrinkage:
    """Fit in units of the paired context visits; a pair's error leaves out its subject in μ, Σ and drift."""
    from sklearn.covariance import ledoit_wolf

    mean, change, scale = data.context.mean(axis=0), data.change, data.scale
    z = (data.context - mean) / scale
    together = np.concatenate([z, pool / scale])
    covariance, towards_identity = ledoit_wolf(together, assume_centered=True)
    noise = _noise_variance(change / scale, covariance.diagonal())
    precision = np.linalg.inv(covariance)
    pull = (z @ precision) * noise
    # Without a subject, mean and covariance change by an update of as many ranks as it has pairs (Woodbury).
    of, counts = np.unique(data.subject, return_inverse=True, return_counts=True)[1:]
    weight = (1 - towards_identity) / len(together)
    rows = rows_of_subjects(data.subject)
    pull_outside = without_subject(pull, weight * (z @ precision), z, rows)
    pull_outside *= (1 - counts[of] / len(together))[:, None]
    drift = np.nanmean(change, axis=0)
    seen = ~np.isnan(change)
    moved = np.where(seen, (change - drift) / scale, 0.0)
    square = np.sum(pull_outside**2, where=seen)
    strength = float(np.clip(-np.sum(moved * pull_outside) / square, 0.0, 1.0)) if square > 0 else 0.0
    own, n_own = np.zeros((2, len(counts), change.shape[1]))
    np.add.at(own, of, np.where(seen, change - drift, 0.0))
    np.add.at(n_own, of, seen)
    # A feature that one subject alone has keeps its drift: nothing is left to learn it from.
    n_others = np.maximum(seen.sum(axis=0) - n_own, 1)
    errors = change - drift + (own / n_others)[of] + strength * pull_outside * scale
    shrink = strength * precision * noise * scale / scale[:, None]
    return _Shrinkage(mean, drift, shrink, strength, errors, centred(errors))


def _noise_variance(change: FloatArray, variance: FloatArray) -> FloatArray:
    """Return half the variance of each feature's change, its ratio to `variance` shrunk to a common one.

    The log of a sample variance has sampling variance ψ′((n - 1) / 2); scatter of the log ratios beyond
    that is real (Smyth 2004, eq. for d0).
    """
    from scipy.special import polygamma

    noise = np.nanvar(change, axis=0, ddof=1) / 2
    moves = (noise > 0) & (variance > 0)
    if np.count_nonzero(moves) < 2:
        return noise
    ratio = np.log(noise[moves] / variance[moves])
    by_chance = polygamma(1, (np.count_nonzero(~np.isnan(change), axis=0)[moves] - 1) / 2).mean()
    scatter = ratio.var(ddof=1)
    real = max(0.0, 1 - by_chance / scatter) if scatter > 0 else 0.0
    shrunk = noise.copy()
    shrunk[moves] = np.exp(ratio.mean() + real * (ratio - ratio.mean())) * variance[moves]
    return shrunk


def _left_out_energy(data: PairedVisits, fitted: _Shrinkage) -> float:
    """Score leave-one-out predictions of the pairs by energy score, with residuals of other subjects."""
    from nextscan.metrics import energy_score

    errors, residuals = fitted.errors / data.scale, fitted.residuals / data.scale
    which = donors(len(residuals), data.subject, _DRAWS_TO_CHOOSE, 0)
    while (own := data.subject[which] == data.subject).any():
        which = np.where(own, (which + 1) % len(residuals), which)
    # The truth minus its left-out prediction is its error: score that against the others' residuals.
    scores = [
        energy_score(errors[start : start + 200], residuals[which[:, start : start + 200]])
        for start in range(0, len(errors), 200)
    ]
    return float(np.nanmean(np.concatenate(scores)))
