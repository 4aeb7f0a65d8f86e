"""The mixed-effects factor model against the same law written out as one large Gaussian per subject."""

import numpy as np
import pytest
import torch

from nextscan.imputers.mixed_factor.effects import MixedEffects, Root
from nextscan.imputers.mixed_factor.visit_sums import compressed, groups, sums

P, Q, K, R = 4, 2, 2, 1
YEARS = np.array([0.0, 0.0, 2.0, 0.0, 1.5, 3.0, 0.0, 0.0, 2.5])
SUBJECT = np.array([0, 1, 1, 2, 2, 2, 3, 4, 4])


def model(seed: int = 0) -> MixedEffects:
    rng = np.random.default_rng(seed)

    def made(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    positive = [torch.from_numpy(rng.uniform(0.2, 1.0, P)) for _ in range(2)]
    return MixedEffects(made(Q, P), made(Q, P), made(K, P), made(R, P), made(R, K), *positive)


def visits(with_gaps: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(len(YEARS), P))
    if with_gaps:
        values[rng.random(values.shape) < 0.3] = np.nan
    return values, np.column_stack([np.ones(5), rng.normal(size=5)])


def dense(m: MixedEffects, years: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all cells of one subject's visits, visit after visit."""
    level, drift, loading, slope, coupling, specific, noise = (value.numpy() for value in vars(m).values())
    mean = np.concatenate([z @ level + t * (z @ drift) for t in years])
    load = np.concatenate([np.vstack([loading + t * coupling.T @ slope, t * slope]).T for t in years])
    own = np.kron(np.ones((len(years),) * 2), np.diag(specific)) + np.kron(np.eye(len(years)), np.diag(noise))
    return mean, load @ load.T + own


@pytest.mark.parametrize("with_gaps", [False, True])
def test_likelihood_is_that_of_the_dense_gaussian(with_gaps: bool) -> None:
    values, design = visits(with_gaps)
    expected = 0.0
    for i in range(5):
        mean, covariance = dense(model(), YEARS[i == SUBJECT], design[i])
        x = values[i == SUBJECT].ravel()
        seen = ~np.isnan(x)
        away, seen_covariance = (x - mean)[seen], covariance[np.ix_(seen, seen)]
        expected -= 0.5 * (np.linalg.slogdet(seen_covariance)[1] + away @ np.linalg.solve(seen_covariance, away))
    whole = sums(values, YEARS, SUBJECT, design)
    found = sum(float(model().log_likelihood(part)) for _, part in groups(whole))
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("with_gaps", [False, True])
def test_prediction_is_the_conditional_of_the_dense_gaussian(with_gaps: bool) -> None:
    m, (values, design) = model(), visits(with_gaps)
    for rows, part in groups(sums(values, YEARS, SUBJECT, design)):
        known = m.posterior(part)
        at = torch.full((len(rows),), 4.0, dtype=torch.float64)
        scores = known.root.backward(known.whitened)
        mean = m.visit(known, scores, torch.arange(len(rows)), at)
        for place, i in enumerate(rows.tolist()):
            years = YEARS[i == SUBJECT]
            whole_mean, covariance = dense(m, np.append(years, 4.0), design[i])
            x = values[i == SUBJECT].ravel()
            seen, target = np.flatnonzero(~np.isnan(x)), np.arange(len(x), len(x) + P)
            gain = covariance[np.ix_(target, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
            expected = whole_mean[target] + gain @ (x - whole_mean[: len(x)])[seen]
            np.testing.assert_allclose(mean[place], expected, rtol=1e-9)
            spread = covariance[np.ix_(target, target)] - gain @ covariance[np.ix_(seen, target)]
            alone = Root(*(part[place % len(part)][None] for part in vars(known.root).values()))
            inverse = alone.backward(torch.eye(K + R, dtype=torch.float64)).T
            load = torch.cat(
                [
                    known.kept[place % len(known.kept)] * m.loading,
                    (4.0 - known.kept_time[place % len(known.kept_time)]) * m.slope,
                ]
            )
            own = known.own_sd[place % len(known.own_sd)] ** 2 + m.noise
            np.testing.assert_allclose(load.T @ inverse @ inverse.T @ load + own.diag(), spread, rtol=1e-8)


def test_single_visits_compress_without_loss() -> None:
    rng = np.random.default_rng(2)
    design = np.column_stack([np.ones(50), rng.normal(size=50)])
    ((_, part),) = groups(sums(rng.normal(size=(50, P)), np.zeros(50), np.arange(50), design))
    few = compressed(part)
    assert len(few.value) == P + Q
    assert float(model().log_likelihood(few)) == pytest.approx(float(model().log_likelihood(part)), rel=1e-10)


def test_a_pattern_of_gaps_that_many_share_compresses_without_loss() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(200, P))
    values[::2, 1] = np.nan
    design = np.column_stack([np.ones(200), rng.normal(size=200)])
    whole = sums(values, np.zeros(200), np.arange(200), design)
    parts = [part for _, part in groups(whole)]
    assert [len(part.value) for part in parts] == [100, 100]
    assert parts[1].shared
    fast = sum(float(model().log_likelihood(compressed(part))) for part in parts)
    alone = [part for i in range(200) for _, part in groups(whole.select(torch.tensor([i])))]
    assert fast == pytest.approx(sum(float(model().log_likelihood(part)) for part in alone), rel=1e-10)
