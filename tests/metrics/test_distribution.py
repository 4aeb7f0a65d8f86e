"""Distribution scores against closed forms of Gaussians."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from nextscan.metrics import correlation_matrix, covariate_correlation_gap, frechet_distance, mean_correlation


def textbook(a: np.ndarray, b: np.ndarray) -> float:
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * sqrtm(s @ t).real)


def test_frechet_distance_is_the_textbook_formula() -> None:
    generator = np.random.default_rng(1)
    a = generator.normal(size=(40, 5)) @ generator.normal(size=(5, 5))
    b = generator.normal(size=(60, 5)) + 0.5
    assert frechet_distance(a, b) == pytest.approx(textbook(a, b), rel=1e-8)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b[::-1], a), rel=1e-10)


def test_frechet_distance_of_known_gaussians() -> None:
    generator = np.random.default_rng(2)
    a = generator.normal(size=(200_000, 3))
    b = generator.normal(size=(200_000, 3)) * [1, 2, 3] + [1, 0, 2]
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + 1 + 4, rel=0.01)


def test_frechet_distance_with_fewer_subjects_than_features() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=(6, 9)), generator.normal(size=(7, 9))
    # Rotated into the span of both sets nothing changes, and there are enough subjects.
    basis = np.linalg.svd(np.vstack([a - a.mean(0), b - b.mean(0), a.mean(0) - b.mean(0)]))[2][:9]
    eigen = np.linalg.eigvals(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real
    expected = (
        ((a.mean(0) - b.mean(0)) ** 2).sum()
        + np.cov(a, rowvar=False).trace()
        + np.cov(b, rowvar=False).trace()
        - 2 * np.sqrt(np.maximum(eigen, 0)).sum()
    )
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(a @ basis.T, b @ basis.T) == pytest.approx(expected, rel=1e-5)


def test_missing_values_count_as_the_mean() -> None:
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(20, 3)), generator.normal(size=(20, 3))
    holed, filled = a.copy(), a.copy()
    holed[0, 1] = np.nan
    filled[0, 1] = a[1:, 1].mean()
    assert frechet_distance(holed, b) == pytest.approx(frechet_distance(filled, b))


def test_one_subject_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="at least two subjects, got 1"):
        frechet_distance(np.zeros((1, 2)), np.zeros((3, 2)))


def test_mean_correlation() -> None:
    real = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, np.nan]])  # means 1, 2, 2
    drawn = np.array([[1.0, 5.0, 3.0]])
    assert mean_correlation(real, drawn) == pytest.approx(np.corrcoef([1, 2, 2], [1, 5, 3])[0, 1])
    assert np.isnan(mean_correlation(real, np.zeros((4, 3))))


def test_correlation_matrix_with_gaps_is_pairwise_complete() -> None:
    generator = np.random.default_rng(5)
    values = generator.normal(size=(50, 3)) + 1e4
    values[:, 2] += values[:, 0]
    np.testing.assert_allclose(correlation_matrix(values), np.corrcoef(values, rowvar=False), atol=1e-8)
    values[:10, 0] = np.nan
    values[5:20, 1] = np.nan
    expected = np.corrcoef(values[20:, 0], values[20:, 1])[0, 1]
    assert correlation_matrix(values)[0, 1] == pytest.approx(expected, abs=1e-8)
    assert correlation_matrix(values)[1, 0] == pytest.approx(expected, abs=1e-8)


def test_covariate_correlation_gap() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    y = np.array([1.0, -1.0, -1.0, 1.0])  # uncorrelated with x
    real = np.column_stack([x, x, y])  # r = 1, 0, 0
    drawn = np.column_stack([x, -x, y])  # r = -1, 0, 0
    assert covariate_correlation_gap(real, drawn) == pytest.approx(2 / 3)
    assert covariate_correlation_gap(real, real[::-1]) == pytest.approx(0, abs=1e-12)
    with_constant = np.column_stack([real, np.full(4, 7.0)])
    assert covariate_correlation_gap(with_constant, np.column_stack([drawn, x])) == pytest.approx(2 / 3)
