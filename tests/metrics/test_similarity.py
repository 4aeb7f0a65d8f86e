"""Per-subject closeness against NumPy and SciPy, one draw at a time."""

import numpy as np
import pytest
from scipy.spatial import distance

from nextscan.metrics import cosine_distance, euclidean, pearson_per_subject

REFERENCE = {
    euclidean: distance.euclidean,
    cosine_distance: distance.cosine,
    pearson_per_subject: lambda a, b: np.corrcoef(a, b)[0, 1],
}


@pytest.mark.parametrize("score", REFERENCE)
def test_average_over_draws_of_the_textbook_value(score) -> None:
    generator = np.random.default_rng(1)
    truth = generator.normal(size=(4, 7))
    draws = generator.normal(size=(3, 4, 7)) + truth
    expected = [np.mean([REFERENCE[score](truth[i], draw[i]) for draw in draws]) for i in range(4)]
    np.testing.assert_allclose(score(truth, draws), expected, rtol=1e-12)
    np.testing.assert_allclose(score(truth, draws[::-1]), expected, rtol=1e-12)


@pytest.mark.parametrize("score", REFERENCE)
def test_missing_truth_is_left_out(score) -> None:
    generator = np.random.default_rng(2)
    truth, draws = generator.normal(size=(2, 6)), generator.normal(size=(3, 2, 6))
    expected = score(truth[:, 2:], draws[:, :, 2:])
    truth[:, :2] = np.nan
    np.testing.assert_allclose(score(truth, draws), expected, rtol=1e-12)
    truth[0] = np.nan
    assert np.isnan(score(truth, draws)[0])


def test_perfect_and_opposite_draws() -> None:
    truth = np.array([[1.0, 2.0, 4.0]])
    assert pearson_per_subject(truth, 3 * truth[None] + 5) == pytest.approx([1.0])
    assert pearson_per_subject(truth, -truth[None]) == pytest.approx([-1.0])
    assert cosine_distance(truth, -truth[None]) == pytest.approx([2.0])
    assert euclidean(truth, truth[None]) == pytest.approx([0.0])


def test_a_vector_without_direction_has_no_correlation() -> None:
    assert np.isnan(pearson_per_subject(np.array([[1.0, 2.0]]), np.zeros((1, 1, 2)))[0])
