"""Group scores against NumPy, and their pseudo-values against resampling for real."""

import numpy as np
import pytest

from nextscan.metrics import change_correlation, pearson_per_feature, rmse, sd_ratio


def sample(n: int = 30, d: int = 5, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    context = 100 * np.arange(1, d + 1) + generator.normal(size=(n, d))
    truth = context + 0.5 * generator.normal(size=(n, d)) - 0.2
    return context, truth, truth + 0.6 * generator.normal(size=(k, n, d))


def plain_pearson(truth: np.ndarray, draws: np.ndarray) -> float:
    return np.mean([np.corrcoef(truth[:, j], x[:, j])[0, 1] for x in draws for j in range(truth.shape[1])])


def plain_sd_ratio(truth: np.ndarray, draws: np.ndarray) -> float:
    return (draws.std(axis=1) / truth.std(axis=0)).mean()


def plain_rmse(truth: np.ndarray, draws: np.ndarray) -> float:
    return np.sqrt(((draws.mean(axis=0) - truth) ** 2).mean())


SCORES = {
    "pearson": (pearson_per_feature, plain_pearson),
    "sd_ratio": (sd_ratio, plain_sd_ratio),
    "rmse": (lambda truth, draws: rmse(truth, draws.mean(axis=0)), plain_rmse),
}


@pytest.mark.parametrize("name", SCORES)
def test_value_is_the_textbook_value(name: str) -> None:
    score, plain = SCORES[name]
    _, truth, draws = sample()
    assert score(truth, draws).value == pytest.approx(plain(truth, draws), rel=1e-9)
    assert score(truth, draws[::-1]).value == pytest.approx(plain(truth, draws), rel=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_pseudo_values_resample_like_the_score(name: str) -> None:
    score, plain = SCORES[name]
    _, truth, draws = sample(n=80)
    pseudo = score(truth, draws).per_subject
    generator = np.random.default_rng(2)
    rows = generator.integers(80, size=(400, 80))
    real = np.array([plain(truth[i], draws[:, i]) for i in rows])
    quick = pseudo[rows].mean(axis=1)
    assert quick.std() == pytest.approx(real.std(), rel=0.12)
    assert np.corrcoef(real, quick)[0, 1] > 0.95


def test_per_feature_values() -> None:
    _, truth, draws = sample()
    one = draws[:1]
    expected = [np.corrcoef(truth[:, j], one[0, :, j])[0, 1] for j in range(5)]
    np.testing.assert_allclose(pearson_per_feature(truth, one).per_feature, expected, rtol=1e-9)
    expected_rmse = np.sqrt(((one[0] - truth) ** 2).mean(axis=0))
    np.testing.assert_allclose(rmse(truth, one[0]).per_feature, expected_rmse, rtol=1e-12)


def test_change_correlation_is_the_correlation_of_changes() -> None:
    context, truth, draws = sample()
    mean = draws.mean(axis=0)
    score = change_correlation(truth, mean, context)
    assert score.value == pytest.approx(plain_pearson(truth - context, (mean - context)[None]), rel=1e-8)


def test_the_same_change_for_everybody_has_no_correlation() -> None:
    context, truth, _ = sample()
    for mean in (context, context - 0.1 / 3):  # the second has rounding noise in mean - context
        score = change_correlation(truth, mean, context)
        assert np.isnan(score.value)
        assert np.isnan(score.per_subject).all()


def test_missing_truth_is_left_out_per_feature() -> None:
    _, truth, draws = sample()
    kept = np.arange(3, 30)
    expected = pearson_per_feature(truth[kept][:, :1], draws[:, kept, :1]).value
    truth[:3, 0] = np.nan
    score = pearson_per_feature(truth, draws)
    assert score.per_feature[0] == pytest.approx(expected)
    assert score.per_subject.mean() == pytest.approx(np.mean(score.per_feature))
    spread = sd_ratio(truth, draws)
    assert spread.per_feature[0] == pytest.approx((draws[:, kept, 0].std(axis=1) / truth[kept, 0].std()).mean())


def test_constant_features_do_not_count() -> None:
    _, truth, draws = sample()
    without = pearson_per_feature(truth[:, 1:], draws[:, :, 1:]).value
    truth[:, 0] = 0.1
    assert np.isnan(pearson_per_feature(truth, draws).per_feature[0])
    assert pearson_per_feature(truth, draws).value == pytest.approx(without)
    assert np.isnan(sd_ratio(truth, draws).per_feature[0])


def test_a_collapsed_draw_has_no_spread() -> None:
    _, truth, draws = sample()
    assert sd_ratio(truth, np.zeros_like(draws)).value == pytest.approx(0.0)
    assert sd_ratio(truth, 2 * truth[None]).value == pytest.approx(2.0)


def test_perfect_mean_has_no_error() -> None:
    _, truth, _ = sample()
    assert rmse(truth, truth).value == 0.0


def test_a_constant_change_cut_off_at_zero_is_no_knowledge_of_change() -> None:
    rng = np.random.default_rng(5)
    context = np.abs(rng.normal(2.0, 0.3, (60, 2)))
    context[:9, 0] = 0.05  # a loss of 0.1 leads below zero there
    truth = context - 0.1 + rng.normal(0, 0.05, context.shape)
    constant = np.maximum(context - 0.1, 0.0)
    assert np.isnan(change_correlation(truth, constant, context).value).all()
    told = context - 0.1 + 0.5 * (truth - context + 0.1)
    assert change_correlation(truth, told, context).value > 0.9
