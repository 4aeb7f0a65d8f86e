"""How close each subject's draws come to the truth: one value per subject, averaged over draws.

In the published comparison these are computed on features scaled to [-1, 1]. All functions take the
truth, shape (n_subjects, n_features), NaN where it was not measured, and draws, shape
(n_draws, n_subjects, n_features). A predictive mean is a single draw: ``mean[None]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray

Draws = NDArray[np.floating]


def euclidean(truth: FloatArray, draws: Draws) -> FloatArray:
    """Return the Euclidean distance of draw and truth over the measured features, shape (n_subjects,).

    >>> euclidean(np.array([[0.0, 0.0, np.nan]]), np.array([[[3.0, 4.0, 9.0]], [[0.0, 1.0, 9.0]]]))
    array([3.])
    """
    real, drawn, _ = _measured(truth, draws)
    return _known(truth, np.sqrt(((drawn - real) ** 2).sum(axis=-1)).mean(axis=0))


def cosine_distance(truth: FloatArray, draws: Draws) -> FloatArray:
    """Return one minus the cosine of draw and truth, shape (n_subjects,).

    >>> cosine_distance(np.array([[1.0, 0.0]]), np.array([[[0.0, 2.0]], [[3.0, 0.0]]]))
    array([0.5])
    """
    real, drawn, _ = _measured(truth, draws)
    return 1 - _cosine(real, drawn)


def pearson_per_subject(truth: FloatArray, draws: Draws) -> FloatArray:
    """Return the correlation of draw and truth over the features of a subject, shape (n_subjects,).

    The text of the SECONDGRAM paper describes this one; its released code computes
    `nextscan.metrics.pearson_per_feature`.
    """
    real, drawn, measured = _measured(truth, draws)
    count = np.maximum(measured.sum(axis=-1, keepdims=True), 1)
    real = np.where(measured, real - real.sum(axis=-1, keepdims=True) / count, 0.0)
    drawn = np.where(measured, drawn - drawn.sum(axis=-1, keepdims=True) / count, 0.0)
    return _cosine(real, drawn)


def _measured(truth: FloatArray, draws: Draws) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    measured = ~np.isnan(truth)
    return np.where(measured, truth, 0.0), np.where(measured, draws, np.float64(0.0)), measured


def _known(truth: FloatArray, values: FloatArray) -> FloatArray:
    return np.where(np.isnan(truth).all(axis=-1), np.nan, values)


def _cosine(real: FloatArray, drawn: FloatArray) -> FloatArray:
    """Return the cosine over the last axis averaged over draws; NaN where a vector is zero."""
    length = np.sqrt((real**2).sum(axis=-1)) * np.sqrt((drawn**2).sum(axis=-1))
    product = np.einsum("nd,knd->kn", real, drawn)
    cosine: FloatArray = np.divide(product, length, out=np.full_like(length, np.nan), where=length > 0)
    average: FloatArray = cosine.mean(axis=0)
    return average
