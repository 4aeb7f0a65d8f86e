"""How close an imputed image comes to the real one, and how much of its change is right, voxel by voxel.

All images are arrays of one shape (x, y, z) on one grid and in one unit of intensity; a mask of the same
shape is true where voxels count. Images must be finite: there is no missing voxel. What cannot be computed
follows three rules: an empty mask, another shape or a value that is not finite is a ValueError, for it is a
mistake of the caller; a score that does not exist for these images (the correlation with a change that is
the same everywhere) is NaN; a prediction that says nothing about change (a copy of the source) has change
correlation 0 and direction AUROC 0.5, by definition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.metrics.proper import central_level, covered, highest_level

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]

SIGMA, RADIUS = 1.5, 5
"""The Gaussian window of SSIM in voxels: 11 voxels a side."""

# Differences below this part of the range of intensities are rounding of single precision.
_ROUNDING = 1e-6


def ssim(truth: Volume, predicted: Volume, *, mask: Mask | None = None, data_range: float) -> float:
    """Return the mean structural similarity, 1 for equal images.

    Means, variances and covariance are taken under a Gaussian window of sd 1.5 voxels and 11 voxels a
    side, ``(2 m1 m2 + c1)(2 s12 + c2) / ((m1² + m2² + c1)(s1² + s2² + c2))`` with ``c1 = (0.01 range)²``
    and ``c2 = (0.03 range)²`` (Wang et al. 2004, eq. 13-16, in three dimensions). At the edge of the image
    the window is cut and its weights are scaled to sum to one, so that every voxel has a value.

    Parameters
    ----------
    truth, predicted : ndarray, shape (x, y, z)
    mask : ndarray of bool, shape (x, y, z), optional
        Average over these voxels; their windows still see all others.
    data_range : float
        Of possible intensities, the same for all methods.

    >>> image = np.random.default_rng(0).normal(size=(6, 6, 6))
    >>> round(ssim(image, image, data_range=1.0), 9)
    1.0
    """
    first, second, inside = _checked(truth, predicted, mask)
    _check_range(data_range)
    weight = _blurred(np.ones(first.shape))

    def local(values: FloatArray) -> FloatArray:
        mean: FloatArray = _blurred(values) / weight
        return mean

    shift = first.mean()  # far from 0, E[x²] - E[x]² would cancel
    first, second = first - shift, second - shift
    mean_1, mean_2 = local(first), local(second)
    variances = local(first**2) - mean_1**2 + local(second**2) - mean_2**2
    covariance = local(first * second) - mean_1 * mean_2
    mean_1, mean_2 = mean_1 + shift, mean_2 + shift
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    likeness = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)
    likeness /= (mean_1**2 + mean_2**2 + c1) * (np.maximum(variances, 0.0) + c2)
    return float(likeness[inside].mean())


def psnr(truth: Volume, predicted: Volume, *, mask: Mask | None = None, data_range: float) -> float:
    """Return the peak signal-to-noise ratio in decibels, ``20 log10(range / rmse)``.

    An error below a millionth of the range counts as that: equal images have 120 dB, not infinity, so that
    averages over subjects stay finite.

    >>> round(psnr(np.zeros((2, 2, 2)), np.full((2, 2, 2), 0.1), data_range=1.0), 9)
    20.0
    """
    return float(-20 * np.log10(max(nrmse(truth, predicted, mask=mask, data_range=data_range), _ROUNDING)))


def nrmse(truth: Volume, predicted: Volume, *, mask: Mask | None = None, data_range: float) -> float:
    """Return the root mean squared error over voxels as a share of the range of intensities.

    >>> nrmse(np.zeros((2, 2, 2)), np.full((2, 2, 2), 3.0), data_range=6.0)
    0.5
    """
    first, second, inside = _checked(truth, predicted, mask)
    _check_range(data_range)
    return float(np.sqrt(((first - second)[inside] ** 2).mean()) / data_range)


def change_correlation_map(
    truth: Volume,
    predicted: Volume,
    source: Volume,
    *,
    mask: Mask | None = None,
    true_source: Volume | None = None,
) -> float:
    """Return the correlation over voxels of predicted with real change since the source image.

    Parameters
    ----------
    truth, predicted, source : ndarray, shape (x, y, z)
    mask : ndarray of bool, optional
    true_source : ndarray, optional
        The source without noise, where it is known: real change counts from it, and the correlation is the
        partial one given the noise of the source. So it makes no difference whether a prediction keeps that
        noise or takes it away: the expected follow-up without noise scores as the source plus the expected
        change does. Otherwise the noise of the source is in both changes, and a method that only takes noise
        away correlates with what it took.

    Returns
    -------
    float
        0 where the same change is predicted everywhere, as by a copy; NaN where the real change is the
        same everywhere.
    """
    real, said, noise, scale = _changes(truth, predicted, source, mask, true_source)
    real, said, noise = (values - values.mean() for values in (real, said, noise))
    real, said = _without(real, noise), _without(said, noise)
    size_real, size_said = np.sqrt((real**2).mean()), np.sqrt((said**2).mean())
    if size_real <= _ROUNDING * scale:
        return float("nan")
    if size_said <= _ROUNDING * scale:
        return 0.0
    return float(np.clip((real * said).mean() / (size_real * size_said), -1, 1))


def direction_auroc(
    truth: Volume,
    predicted: Volume,
    source: Volume,
    *,
    mask: Mask | None = None,
    threshold: float,
    true_source: Volume | None = None,
) -> float:
    """Return how well predicted change tells voxels that became brighter from those that became darker.

    The area under the receiver operating characteristic among voxels that truly changed by more than
    `threshold`: the probability that of a brightened and a darkened voxel the former has the higher predicted
    change, ties counting one half. Where all of them changed in one direction, as where tissue only shrinks,
    the voxels that did not change stand in for the other. Where the source is known without noise, predicted
    change is taken less its projection on that noise, as in `change_correlation_map`.

    Returns
    -------
    float
        0.5 for a copy; NaN where no voxel changed by more than the threshold, or all did alike.
    """
    from scipy.stats import rankdata

    real, said, noise, scale = _changes(truth, predicted, source, mask, true_source)
    said = _without(said, noise)
    brighter, darker = real > threshold, real < -threshold
    stayed = ~(brighter | darker)
    if not brighter.any() and darker.any():
        brighter = stayed
    elif not darker.any() and brighter.any():
        darker = stayed
    n_brighter, n_darker = int(brighter.sum()), int(darker.sum())
    if not n_brighter or not n_darker:
        return float("nan")
    said = np.where(np.abs(said) <= _ROUNDING * scale, 0.0, said)
    ranks = rankdata(np.concatenate([said[brighter], said[darker]]))
    return float((ranks[:n_brighter].sum() - n_brighter * (n_brighter + 1) / 2) / (n_brighter * n_darker))


def voxel_coverage(truth: Volume, draws: Volume, level: float, *, mask: Mask | None = None) -> float:
    """Return the share of voxels inside the central interval of the draws (Weibull positions).

    Parameters
    ----------
    truth : ndarray, shape (x, y, z)
    draws : ndarray, shape (n_draws, x, y, z)
    level : float
        Needs at least ``2 / (1 - level) - 1`` draws: 9 for 0.8.
    mask : ndarray of bool, optional

    Returns
    -------
    float
        `level`, on average over subjects, if draws and truth come from one law. NaN with too few draws.

    >>> draws = np.arange(1.0, 5.0)[:, None, None, None] * np.ones((1, 1, 2))
    >>> voxel_coverage(np.array([[[2.5, 9.0]]]), draws, 0.6)
    0.5
    """
    if len(draws) == 0 or level > highest_level(len(draws)):
        return float("nan")
    real, _, inside = _checked(truth, draws[0], mask)
    drawn = np.asarray(draws)[:, inside]
    if not np.isfinite(drawn).all():
        raise ValueError("draws hold values that are not finite")
    # A million voxels of many draws at once would fill the memory.
    known = real[inside][None]
    parts = [
        covered(central_level(known[:, part], drawn[:, None, part]), level)[0]
        for part in (slice(start, start + _VOXELS_AT_ONCE) for start in range(0, known.shape[1], _VOXELS_AT_ONCE))
    ]
    return float(np.concatenate(parts).mean())


_VOXELS_AT_ONCE = 2**17


def _changes(
    truth: Volume, predicted: Volume, source: Volume, mask: Mask | None, true_source: Volume | None
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return real change, predicted change and noise of the source, of voxels that count, and the source's range."""
    real, said, inside = _checked(truth, predicted, mask)
    before, clean, _ = _checked(source, source if true_source is None else true_source, mask)
    if before.shape != real.shape:
        raise ValueError(f"images of shapes {real.shape} and {before.shape} cannot be compared")
    return (real - clean)[inside], (said - before)[inside], (before - clean)[inside], float(np.ptp(before))


def _without(values: FloatArray, noise: FloatArray) -> FloatArray:
    """Return values less their projection on the noise."""
    power = float(noise @ noise)
    return values - noise * (float(noise @ values) / power) if power else values


def _checked(first: Volume, second: Volume, mask: Mask | None) -> tuple[FloatArray, FloatArray, Mask]:
    if first.ndim != 3 or first.shape != second.shape:
        raise ValueError(f"images of shapes {first.shape} and {second.shape} cannot be compared")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("images hold values that are not finite")
    inside = np.ones(first.shape, bool) if mask is None else np.asarray(mask, bool)
    if inside.shape != first.shape or not inside.any():
        raise ValueError(f"a mask of shape {inside.shape} with {inside.sum()} voxels, for images of {first.shape}")
    return np.asarray(first, np.float64), np.asarray(second, np.float64), inside


def _check_range(data_range: float) -> None:
    if not (np.isfinite(data_range) and data_range > 0):
        raise ValueError(f"the range of intensities must be above 0, got {data_range}")


def _blurred(values: FloatArray) -> FloatArray:
    """Return Gaussian-weighted sums around each voxel; beyond the edge there is nothing."""
    from scipy.ndimage import correlate1d

    at = np.arange(-RADIUS, RADIUS + 1)
    window = np.exp(-(at**2) / (2 * SIGMA**2))
    for axis in range(values.ndim):
        values = correlate1d(values, window / window.sum(), axis=axis, mode="constant")
    return values
