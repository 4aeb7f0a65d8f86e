"""Counter-based noise: normal, independent between names, and the same whoever else is in the batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from nextscan.diffusion import counter_normal, noise
from nextscan.randomness import bits, mix, subject_keys

KEYS = torch.from_numpy(subject_keys([f"sub-{i}" for i in range(64)]))


def flat(*arguments, **options) -> np.ndarray:
    return counter_normal(*arguments, **options).double().numpy().ravel()


def test_is_box_muller_on_the_halves_of_a_splitmix_sequence():
    """Written again with plain integers, one number at a time."""
    start = int(bits(KEYS, 5, 2, 3)[7])
    got = counter_normal(KEYS, 5, 2, 3, (5,), dtype=torch.float64)[7]
    for i in range(3):
        word = np.array([(start + i * 0x9E3779B97F4A7C15) % 2**64], dtype=np.uint64).view(np.int64)
        word = int(mix(word)[0])
        low = (word & 0xFFFFFFFF) - (2**32 if word & 0x80000000 else 0)
        radius = math.sqrt(-2 * math.log(abs(low + 0.5) / 2**31))
        angle = 2 * math.pi * word / 2**64
        assert got[i].item() == pytest.approx(radius * math.cos(angle), abs=1e-12)
        if i < 2:
            assert got[3 + i].item() == pytest.approx(radius * math.sin(angle), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_normal(dtype):
    values = flat(KEYS, 1, 0, 4, (4001,), dtype=dtype)
    assert stats.kstest(values, "norm").pvalue > 0.01
    n = values.size
    assert abs(values.mean()) < 4 / math.sqrt(n)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs((values**4).mean() - 3) < 4 * math.sqrt(96 / n)


def test_squares_of_pairs_are_exponential_and_angles_uniform():
    values = counter_normal(KEYS, 1, 0, 4, (4000,), dtype=torch.float64).numpy()
    first, second = values[:, :2000], values[:, 2000:]
    assert stats.kstest(((first**2 + second**2) / 2).ravel(), "expon").pvalue > 0.01
    assert stats.kstest((np.arctan2(second, first) / math.tau + 0.5).ravel(), "uniform").pvalue > 0.01


def test_the_tails_are_as_heavy_as_they_should_be():
    values = np.abs(flat(KEYS, 3, 0, 0, (40000,)))
    for limit in (3.0, 4.0):
        expected = values.size * 2 * stats.norm.sf(limit)
        assert abs((values > limit).sum() - expected) < 4 * math.sqrt(expected)
    assert 4.6 < values.max() < 6.66


def test_the_largest_radius_is_that_of_31_bits(monkeypatch):
    """Low halves of -1, 0 and the extremes: no infinite and no undefined numbers."""
    words = torch.tensor([0, -1, -(2**31), 2**31 - 1, -(2**63), 2**63 - 1])
    monkeypatch.setattr(noise, "mix", lambda z: words.expand(len(z), -1))
    for dtype in (torch.float32, torch.float64):
        values = counter_normal(torch.tensor([1]), 0, 0, 0, (12,), dtype=dtype)[0]
        radius = torch.hypot(values[:6], values[6:])
        assert values.isfinite().all()
        assert radius.max().item() == pytest.approx(math.sqrt(64 * math.log(2)), rel=1e-6)
        assert radius[2:4].max() < 1e-3


@pytest.mark.parametrize(
    "other",
    [
        lambda: counter_normal(KEYS.roll(1), 1, 0, 4, (2000,)),
        lambda: counter_normal(KEYS + 1, 1, 0, 4, (2000,)),
        lambda: counter_normal(KEYS, 2, 0, 4, (2000,)),
        lambda: counter_normal(KEYS, 1, 1, 4, (2000,)),
        lambda: counter_normal(KEYS, 1, 0, 5, (2000,)),
        lambda: counter_normal(KEYS, 1, 0, 4, (2000,)).roll(1, dims=1),
        lambda: counter_normal(KEYS, 1, 0, 4, (2000,)).roll(1000, dims=1),
        lambda: counter_normal(KEYS, 0, 1, 4, (2000,)),
    ],
    ids=["key", "next key", "seed", "draw", "step", "neighbour", "pair", "swap"],
)
def test_is_independent_of_every_other_name(other):
    one, two = flat(KEYS, 1, 0, 4, (2000,)), other().double().numpy().ravel()
    n = one.size
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / math.sqrt(n)
    assert abs(np.corrcoef(one**2, two**2)[0, 1]) < 4 / math.sqrt(n)


def test_keys_are_independent_of_each_other():
    """The largest of all correlations between 64 keys is as large as chance has it."""
    values = counter_normal(KEYS, 1, 0, 4, (4000,)).double().numpy()
    correlation = np.corrcoef(values)[np.triu_indices(64, 1)]
    assert np.abs(correlation).max() < 4.5 / math.sqrt(4000)
    assert correlation.std() * math.sqrt(4000) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("size", [1, 2, 7, 33, 769])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_does_not_depend_on_the_batch(size, dtype):
    """Bit for bit, whatever the split, the order and the place in the batch."""

    def make(keys):
        return counter_normal(keys, 7, 3, 11, (size,), dtype=dtype)

    whole = make(KEYS)
    order = torch.from_numpy(np.random.default_rng(0).permutation(64))
    assert torch.equal(make(KEYS[order]), whole[order])
    for width in (1, 3, 17):
        assert torch.equal(torch.cat([make(part) for part in KEYS.split(width)]), whole)


def test_does_not_depend_on_the_blocks_it_is_made_in(monkeypatch):
    whole = counter_normal(KEYS, 7, 3, 11, (769,))
    for block in (1, 385, 1000):
        monkeypatch.setattr(noise, "_BLOCK", block)
        assert torch.equal(counter_normal(KEYS, 7, 3, 11, (769,)), whole)


def test_draws_may_differ_within_a_batch():
    draws = torch.arange(64)
    together = counter_normal(KEYS, 7, draws, 1, (5,))
    apart = torch.cat([counter_normal(KEYS[i : i + 1], 7, i, 1, (5,)) for i in range(64)])
    assert torch.equal(together, apart)
    assert not torch.equal(together, counter_normal(KEYS, 7, 0, 1, (5,)))


def test_event_shapes_hold_the_numbers_in_order():
    volume = counter_normal(KEYS, 7, 0, 1, (1, 4, 3, 5))
    assert volume.shape == (64, 1, 4, 3, 5)
    assert torch.equal(volume.reshape(64, 60), counter_normal(KEYS, 7, 0, 1, (60,)))
    assert counter_normal(KEYS, 7, 0, 1, ()).shape == (64,)
    assert counter_normal(KEYS[:0], 7, 0, 1, (3, 2)).shape == (0, 3, 2)


def test_float32_is_float64_rounded():
    single, double = (counter_normal(KEYS, 7, 0, 1, (769,), dtype=d) for d in (torch.float32, torch.float64))
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(single.double(), double, rtol=0, atol=2e-5)


@pytest.mark.gpu
def test_the_device_does_not_matter():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    here, there = counter_normal(KEYS, 7, 0, 1, (769,)), counter_normal(KEYS.cuda(), 7, 0, 1, (769,))
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=2e-5)
