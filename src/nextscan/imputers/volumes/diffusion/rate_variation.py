"""How much more or less than expected people change: a smooth random factor of the expected change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple, Self

import numpy as np

from nextscan.arrays import FloatArray, Volume
from nextscan.imputers.volumes.brightness import half_waves
from nextscan.randomness import normal, subject_keys

_WAVES = tuple(k for k in product(range(3), repeat=3) if sum(k) <= 2)  # half waves along the axes; the first is 1
_GRID = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7])
_EXPECTED = (0.5, 0.3)  # overall and regional, before anybody was seen
_STEP = -2  # keeps these draws apart from those of diffusion


class Evidence(NamedTuple):
    """What a pair says of its own factor: sums over voxels, weighted by their precision.

    Errors of neighbours are alike, so that many voxels say less than as many independent ones: both sums are
    divided by how much more the second varies than it would with independent errors, see `_redundancy`.

    Attributes
    ----------
    among : ndarray of float, shape (n_waves, n_waves)
        Of products of the expected change, times waves, with itself.
    with_error : ndarray of float, shape (n_waves,)
        With the real change less the expected one.
    """

    among: FloatArray
    with_error: FloatArray

    @classmethod
    def of(cls, expected: Volume, error: Volume, unit: Volume) -> Self:
        """Collect the evidence of one pair.

        Parameters
        ----------
        expected : ndarray, shape (x, y, z)
            Change that is expected for the years that passed.
        error : ndarray, shape (x, y, z)
            What follow-up and prediction differ by.
        unit : ndarray, shape (x, y, z)
            Spread of voxels, up to a factor.
        """
        weight = np.where(unit > 0, 1 / np.square(unit, dtype=np.float64), 0.0)
        weight *= error.size / max(float((weight * np.square(error, dtype=np.float64)).sum()), 1e-12)
        terms = (waves(expected.shape) * expected).reshape(len(_WAVES), -1).astype(np.float64)
        weighted = terms * weight.ravel()
        redundancy = _redundancy(np.sqrt(weight) * expected, np.sqrt(weight) * error)
        return cls(weighted @ terms.T / redundancy, weighted @ error.ravel() / redundancy)

    @classmethod
    def among_draws(cls, expected: Volume, draws: Volume, unit: Volume) -> list[Self]:
        """Collect the evidence of each draw of one pair, shape (n_draws, x, y, z), around the mean of the draws.

        What all draws differ by from the predictive mean is their bias, and no variation that they have already.
        """
        n_draws = len(draws)
        off = (draws - draws.mean(axis=0)) * np.float32(np.sqrt(n_draws / max(n_draws - 1, 1)))
        return [cls.of(expected, each, unit) for each in off]

    def log_likelihood(self, variance: FloatArray) -> FloatArray:
        """Return the log likelihood, up to a constant, if the factor's waves have these variances.

        Of many pairs at once, where both sums have a leading axis.
        """
        root = np.sqrt(variance)
        inner = np.eye(len(root)) + root[:, None] * self.among * root
        scaled = root * self.with_error
        explained = (scaled * np.linalg.solve(inner, scaled[..., None])[..., 0]).sum(axis=-1)
        likelihood: FloatArray = (explained - np.linalg.slogdet(inner)[1]) / 2
        return likelihood


@dataclass(frozen=True)
class RateVariation:
    """Spread of people's own rates around those expected for them.

    The change of a draw is the expected one times ``1 + overall z0 + regional g(x)``, with z0 normal and g a
    smooth normal field of variance 1, the same at all times. What diffusion on few pairs does not learn is
    that a whole ventricle grows faster in one person than in another: noise of voxels averages out
    over a region, and leaves it far too certain.

    Attributes
    ----------
    overall, regional : float
    """

    overall: float
    regional: float

    @classmethod
    def fit(cls, evidence: Sequence[Evidence], subjects: Sequence[str], *, worth: float = 2.0) -> Self:
        """Find the most plausible spreads, given the evidence of held-out pairs; every subject counts once.

        A little is known before: rates differ by about half between people. It is `worth` as many people: of
        n people whose factors f less 1 are seen without noise, the overall variance would be
        ``(worth 0.5² + Σ f²) / (worth + n)``, up to the steps of the grid.
        """
        _, of, counts = np.unique(np.asarray(subjects), return_inverse=True, return_counts=True)
        weights = 1 / counts[of]
        whole = Evidence(*map(np.stack, zip(*evidence, strict=True))) if evidence else None
        best, found = -np.inf, _EXPECTED
        for overall, regional in product(_GRID, repeat=2):
            variance = _variances(overall, regional)
            total = 0.0 if whole is None else float(weights @ whole.log_likelihood(variance))
            for value, expected in zip((overall, regional), _EXPECTED, strict=True):
                total -= worth * (np.log(value) + (expected / value) ** 2 / 2)
            if total > best:
                best, found = total, (float(overall), float(regional))
        return cls(*found)

    def less(self, other: RateVariation) -> RateVariation:
        """Return what is missing if the `other` variation is there already."""
        overall, regional = (
            float(np.sqrt(max(mine**2 - theirs**2, 0.0)))
            for mine, theirs in zip(asdict(self).values(), asdict(other).values(), strict=True)
        )
        return RateVariation(overall, regional)

    def factors(self, shape: tuple[int, ...], subject: str, n_draws: int, seed: int) -> Volume:
        """Draw the factor less 1, shape (n_draws, x, y, z); it depends on subject, seed and draw only."""
        keys = np.repeat(subject_keys([subject]), n_draws)
        drawn = normal(keys, seed, np.arange(n_draws), _STEP, size=len(_WAVES))
        drawn *= np.sqrt(_variances(self.overall, self.regional))
        factors: Volume = np.einsum("dk,kxyz->dxyz", drawn.astype(np.float32), waves(shape))
        return factors


def _redundancy(expected: FloatArray, error: FloatArray) -> float:
    """Return the variance of the sum of products, over that with independent errors of variance 1; at least 1.

    It is the mean square of the sums for the expected change moved to every place of the volume, all at once
    by Fourier transforms: where it happens to lie tells of the factor, where else it might lie of chance.
    """
    power = float((expected**2).sum())
    if not power:
        return 1.0
    spectra = [np.abs(np.fft.fftn(part)) ** 2 for part in (expected, error)]
    return max(float((spectra[0] * spectra[1]).sum()) / error.size**2 / power, 1.0)


def _variances(overall: float, regional: float) -> FloatArray:
    """Return the variance of each wave, so that the regional ones together have mean square 1 over the volume."""
    squares = np.array([0.5 ** np.count_nonzero(k) for k in _WAVES])
    variances = np.full(len(_WAVES), regional**2 / squares[1:].sum())
    variances[0] = overall**2
    return variances


@lru_cache(maxsize=2)
def waves(shape: tuple[int, ...]) -> Volume:
    """Return products of cosines over a volume, the first of them 1, shape (10, x, y, z)."""
    axes = [half_waves(n, 3) for n in shape]
    each = [axes[0][i][:, None, None] * axes[1][j][:, None] * axes[2][k] for i, j, k in _WAVES]
    made = np.stack(each).astype(np.float32)
    made.flags.writeable = False
    return made
