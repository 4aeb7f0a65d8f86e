"""The spread of people's own rates is found where it is known."""

import numpy as np
import pytest
from scipy import ndimage

from nextscan.imputers.volumes.diffusion.rate_variation import Evidence, RateVariation, waves

SHAPE = (12, 10, 8)


def people(n, overall, regional, *, noise=0.05, seed=0):
    """Return evidence of people whose change is the expected one times a known random factor."""
    generator = np.random.default_rng(seed)
    truth = RateVariation(overall, regional)
    found = []
    for person in range(n):
        expected = generator.normal(size=SHAPE).astype(np.float32) * (generator.random(SHAPE) < 0.2)
        factor = truth.factors(SHAPE, f"sub-{person}", 1, seed)[0]
        error = factor * expected + noise * generator.normal(size=SHAPE)
        found.append(Evidence.of(expected, error.astype(np.float32), np.full(SHAPE, 2.0, np.float32)))
    return found


@pytest.mark.parametrize(("overall", "regional"), [(0.5, 0.2), (0.2, 0.65), (1.0, 0.05)])
def test_known_spreads_are_found(overall, regional):
    found = RateVariation.fit(people(120, overall, regional), [f"sub-{i}" for i in range(120)])
    assert found.overall == pytest.approx(overall, rel=0.35)
    assert found.regional == pytest.approx(regional, rel=0.35)


def test_with_nobody_seen_it_is_what_is_known_before():
    found = RateVariation.fit([], [])
    assert (found.overall, found.regional) == (0.5, 0.3)


def test_noise_alone_makes_spreads_small():
    found = RateVariation.fit(people(120, 0.0, 0.0), [f"sub-{i}" for i in range(120)])
    assert found.overall <= 0.1
    assert found.regional <= 0.15


def test_neighbours_that_err_alike_say_less():
    generator = np.random.default_rng(0)
    shape, names = (16, 16, 16), [f"sub-{i}" for i in range(60)]
    unit = np.ones(shape, np.float32)

    def smooth():
        made = ndimage.gaussian_filter(generator.normal(size=shape), 1.5, mode="wrap")
        return (made / made.std()).astype(np.float32)

    seen, off = [], []
    for _ in names:
        expected, error = smooth(), smooth()
        seen.append(Evidence.of(expected, error, unit))
        off.append(seen[-1].with_error[0] / seen[-1].among[0, 0])
    said = np.mean([1 / each.among[0, 0] for each in seen])
    assert said == pytest.approx(np.var(off), rel=0.35)  # errors of the factor are as large as they are said to be
    assert RateVariation.fit(seen, names).overall <= 0.15
    white = Evidence.of(expected, generator.normal(size=shape).astype(np.float32), unit)
    assert white.among[0, 0] == pytest.approx(np.square(expected, dtype=np.float64).sum(), rel=0.1)


def test_a_subject_with_many_pairs_counts_once():
    few, wild = people(40, 0.2, 0.1), people(1, 1.7, 0.1, seed=3)
    names = [f"sub-{i}" for i in range(40)]
    once = RateVariation.fit([*few, *wild], [*names, "wild"])
    often = RateVariation.fit([*few, *wild * 60], [*names, *["wild"] * 60])
    assert often == once
    assert RateVariation.fit([*few, *wild * 60], [*names, *[f"wild-{i}" for i in range(60)]]).overall > once.overall


def test_factors_have_the_spreads_and_belong_to_subject_seed_and_draw():
    variation = RateVariation(0.4, 0.3)
    factors = variation.factors(SHAPE, "sub-1", 4000, 7)
    assert factors.mean() == pytest.approx(0.0, abs=0.03)
    assert np.square(factors).mean() == pytest.approx(0.4**2 + 0.3**2, rel=0.1)
    assert factors.mean(axis=(1, 2, 3)).std() == pytest.approx(0.4, rel=0.05)
    np.testing.assert_array_equal(variation.factors(SHAPE, "sub-1", 2, 7), factors[:2])
    assert not np.array_equal(variation.factors(SHAPE, "sub-2", 2, 7), factors[:2])
    assert not np.array_equal(variation.factors(SHAPE, "sub-1", 2, 8), factors[:2])


def test_what_is_there_already_is_not_added_again():
    assert RateVariation(0.5, 0.3).less(RateVariation(0.3, 0.5)) == RateVariation(0.4, 0.0)


@pytest.mark.parametrize("factors", [(0.0, 0.0), (1.0, -0.6), (0.1, -1.4, 0.7, 0.2)])
def test_what_is_known_before_is_worth_two_people(factors):
    generator = np.random.default_rng(0)
    unit = np.ones(SHAPE, np.float32)
    seen = []
    for factor in factors:  # large changes, and hardly any noise: factors are known
        expected = 100 * generator.normal(size=SHAPE).astype(np.float32)
        among = Evidence.of(expected, generator.normal(size=SHAPE).astype(np.float32), unit).among
        seen.append(Evidence(among, among[:, 0] * factor))
    closed = np.sqrt((2 * 0.5**2 + np.square(factors).sum()) / (2 + len(factors)))
    found = RateVariation.fit(seen, [f"sub-{i}" for i in range(len(factors))]).overall
    assert found == pytest.approx(closed, rel=0.2)  # a step of the grid


def test_a_bias_that_all_draws_share_is_no_variation():
    generator = np.random.default_rng(0)
    unit = np.ones(SHAPE, np.float32)
    truth = RateVariation(0.3, 0.1)
    around, against_mean = [], []
    for pair in range(12):
        expected = generator.normal(size=SHAPE).astype(np.float32)
        noise = 0.3 * generator.normal(size=(8, *SHAPE)).astype(np.float32)
        draws = (1 + truth.factors(SHAPE, f"sub-{pair}", 8, 0)) * expected + 0.8 * expected + noise
        around += Evidence.among_draws(expected, draws, unit)
        against_mean += [Evidence.of(expected, draw - expected, unit) for draw in draws]
    names = np.repeat([f"sub-{pair}" for pair in range(12)], 8).tolist()
    found = RateVariation.fit(around, names, worth=0.0)
    assert found.overall == pytest.approx(0.3, rel=0.35)
    assert found.regional <= 0.2
    assert RateVariation.fit(against_mean, names, worth=0.0).overall > 0.7
    # so that of the usual variation of people what draws lack is left to add
    assert RateVariation(0.5, 0.3).less(found).overall == pytest.approx(0.4, abs=0.1)


def test_waves_are_orthogonal_over_the_volume():
    flat = waves(SHAPE).reshape(10, -1)
    product = flat @ flat.T / flat.shape[1]
    np.testing.assert_allclose(product, np.diag(np.diag(product)), atol=1e-6)
    assert product[0, 0] == pytest.approx(1)
