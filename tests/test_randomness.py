"""Counter-based bits: known answers, the same in NumPy and torch, and no visible structure."""

import numpy as np
import pytest
import torch

from nextscan.randomness import bits, mix, normal, subject_keys, uniform


def test_mix_is_splitmix64() -> None:
    """The first outputs of SplitMix64 seeded with 0, from its published reference implementation."""
    golden = 0x9E3779B97F4A7C15
    states = np.array([(i * golden) % 2**64 for i in (1, 2, 3)], np.uint64).view(np.int64)
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert mix(states.copy()).view(np.uint64).tolist() == expected


def test_numpy_and_torch_agree() -> None:
    keys = np.arange(-50, 50)
    assert bits(keys, 3, 9).tolist() == bits(torch.from_numpy(keys), 3, 9).tolist()


def test_keys_are_not_changed() -> None:
    keys = np.arange(5)
    bits(keys, 1)
    assert keys.tolist() == list(range(5))


def test_uniform_is_uniform_along_every_counter() -> None:
    keys = subject_keys(f"sub-{i}" for i in range(2000))
    numbers = np.stack([uniform(keys, seed, draw) for seed in (0, 1) for draw in (0, 1)])
    assert (numbers > 0).all()
    assert (numbers < 1).all()
    assert numbers.mean(1) == pytest.approx(0.5, abs=0.03)
    assert numbers.var(1) == pytest.approx(1 / 12, rel=0.08)
    assert np.abs(np.corrcoef(numbers) - np.eye(4)).max() < 0.08


def test_subject_keys_know_the_whole_name() -> None:
    assert len(set(subject_keys(["1", "01", "1 ", "sub-1"]).tolist())) == 4
    assert subject_keys(["a", "b"]).tolist() == [subject_keys([name])[0] for name in "ab"]


def test_normal_numbers_are_standard_and_keyed() -> None:
    keys = subject_keys([f"sub-{i}" for i in range(2000)])
    drawn = normal(keys, 7, 1, size=51)
    assert drawn.shape == (2000, 51)
    assert abs(drawn.mean()) < 4 / np.sqrt(drawn.size)
    np.testing.assert_allclose([(drawn**2).mean(), (drawn**4).mean()], [1, 3], rtol=0.03)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(51)).max() < 0.11
    assert np.array_equal(normal(keys[5:6], 7, 1, size=51), drawn[5:6])
    assert np.abs(np.corrcoef(drawn.ravel(), normal(keys, 7, 2, size=51).ravel())[0, 1]) < 0.02
