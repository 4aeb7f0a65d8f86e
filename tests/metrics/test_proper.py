"""Proper scores against brute force, scoringrules and closed forms."""

import numpy as np
import pytest
import scoringrules
from scipy import stats

from nextscan.metrics import central_level, coverage, covered, crps, energy_score, highest_level


def brute_crps(truth: float, draws: np.ndarray) -> float:
    k = len(draws)
    apart = sum(abs(draws[i] - draws[j]) for i in range(k) for j in range(k))
    return np.abs(draws - truth).mean() - apart / (2 * k * (k - 1))


def test_crps_is_the_fair_estimate() -> None:
    generator = np.random.default_rng(1)
    truth, draws = generator.normal(size=(3, 4)), generator.normal(size=(7, 3, 4))
    scores = crps(truth, draws)
    assert scores[1, 2] == pytest.approx(brute_crps(truth[1, 2], draws[:, 1, 2]), abs=1e-12)
    fair = scoringrules.crps_ensemble(truth, draws, m_axis=0, estimator="fair", backend="numpy")
    np.testing.assert_allclose(scores, fair, atol=1e-12)


def test_crps_of_a_gaussian_does_not_depend_on_the_number_of_draws() -> None:
    generator = np.random.default_rng(2)
    truth = np.full((60_000, 1), 0.7)
    closed = 0.7 * (2 * stats.norm.cdf(0.7) - 1) + 2 * stats.norm.pdf(0.7) - 1 / np.sqrt(np.pi)
    for k in (2, 3, 10):
        draws = generator.normal(size=(k, 60_000, 1))
        assert crps(truth, draws).mean() == pytest.approx(closed, abs=0.012)
        # The usual, unfair estimate is off by E|X - X'| / (2 K), far beyond the tolerance.
        unfair = scoringrules.crps_ensemble(truth, draws, m_axis=0, estimator="nrg", backend="numpy").mean()
        assert abs(unfair - closed) > 0.04


def test_energy_score_is_the_fair_estimate() -> None:
    generator = np.random.default_rng(3)
    truth, draws = generator.normal(size=(5, 6)) + 1e3, generator.normal(size=(9, 5, 6)) + 1e3
    fair = scoringrules.es_ensemble(truth, draws.transpose(1, 0, 2), estimator="fair", backend="numpy")
    np.testing.assert_allclose(energy_score(truth, draws), fair, rtol=1e-10)
    i = 2
    apart = np.linalg.norm(draws[:, None, i] - draws[None, :, i], axis=-1).sum()
    brute = np.linalg.norm(draws[:, i] - truth[i], axis=-1).mean() - apart / (2 * 9 * 8)
    assert energy_score(truth, draws)[i] == pytest.approx(brute, rel=1e-10)


def test_energy_score_expectation_is_the_closed_form_of_a_gaussian() -> None:
    generator = np.random.default_rng(4)
    n, d = 20_000, 3
    truth = generator.normal(size=(n, d))
    apart = np.sqrt(2) * stats.chi(d).mean()  # E||X - X'|| of two standard Gaussian vectors
    for k in (2, 5):
        scores = energy_score(truth, generator.normal(size=(k, n, d)))
        assert scores.mean() == pytest.approx(apart / 2, abs=0.02)


def test_one_feature_energy_score_is_crps() -> None:
    generator = np.random.default_rng(5)
    truth, draws = generator.normal(size=(8, 1)), generator.normal(size=(6, 8, 1))
    np.testing.assert_allclose(energy_score(truth, draws), crps(truth, draws)[:, 0], atol=1e-12)


def test_missing_truth_is_left_out() -> None:
    generator = np.random.default_rng(6)
    truth, draws = generator.normal(size=(2, 4)), generator.normal(size=(5, 2, 4))
    truth[0, 1] = np.nan
    kept = [0, 2, 3]
    assert energy_score(truth, draws)[0] == pytest.approx(energy_score(truth[:1, kept], draws[:, :1, kept])[0])
    assert np.isnan(crps(truth, draws)[0, 1])
    assert np.isnan(coverage(truth, draws, 0.5)[0, 1])
    truth[0] = np.nan
    assert np.isnan(energy_score(truth, draws)[0])


@pytest.mark.parametrize("score", [crps, energy_score, central_level])
def test_order_of_draws_does_not_matter(score) -> None:
    generator = np.random.default_rng(7)
    truth, draws = generator.normal(size=(4, 3)), generator.normal(size=(6, 4, 3))
    np.testing.assert_allclose(score(truth, draws), score(truth, draws[::-1]), atol=1e-12)


def test_one_draw_is_refused() -> None:
    for score in (crps, energy_score):
        with pytest.raises(ValueError, match="at least two draws, got 1"):
            score(np.zeros((1, 1)), np.zeros((1, 1, 1)))


@pytest.mark.parametrize("n_draws", [9, 39, 40])
def test_coverage_agrees_with_weibull_quantiles(n_draws: int) -> None:
    generator = np.random.default_rng(8)
    # Whole numbers make ties between draws and with the truth; the other half has none.
    truth = np.hstack([generator.normal(size=(200, 3)), generator.integers(-3, 3, (200, 3))])
    draws = np.concatenate(
        [generator.normal(size=(n_draws, 200, 3)), generator.integers(-3, 3, (n_draws, 200, 3))], axis=-1
    )
    for level in (0.05, 0.35, 0.5, 0.8):
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
        inside = (low - 1e-12 <= truth) & (truth <= high + 1e-12)
        np.testing.assert_array_equal(coverage(truth, draws, level), inside)


def test_coverage_keeps_its_level_for_few_draws() -> None:
    generator = np.random.default_rng(9)
    truth, draws = generator.normal(size=(100_000, 1)), generator.normal(size=(9, 100_000, 1))
    for level in (0.8, 0.4):
        assert coverage(truth, draws, level).mean() == pytest.approx(level, abs=0.006)


def test_a_level_beyond_the_draws_is_refused() -> None:
    assert highest_level(39) == pytest.approx(0.95)
    with pytest.raises(ValueError, match="95% interval needs more than 38 draws"):
        coverage(np.zeros((1, 1)), np.zeros((38, 1, 1)), 0.95)


def test_truth_beyond_all_draws_is_never_covered() -> None:
    levels = central_level(np.array([[5.0, np.nan]]), np.arange(3.0)[:, None, None] * np.ones(2))
    assert levels[0, 0] == np.inf
    np.testing.assert_array_equal(covered(levels, 0.99), [[0.0, np.nan]])
