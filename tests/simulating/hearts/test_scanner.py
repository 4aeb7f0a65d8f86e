import numpy as np
import pytest

from nextscan.simulating.hearts.scanner import NOISE, bias, noisy, slice_shifts

SHAPE = (24, 20, 6)


def test_noise_is_rician_and_each_frame_has_its_own():
    images = np.full((*SHAPE, 3), 200, np.float32)
    images[..., 2] = 0
    seen = noisy(images, "sub-001", np.arange(3), seed=1)
    assert (seen[..., 0] - 200).std() == pytest.approx(NOISE, rel=0.05)
    assert np.sqrt(np.square(seen[..., 2]).mean() / 2) == pytest.approx(NOISE, rel=0.05)
    assert abs(np.corrcoef(seen[..., 0].ravel(), seen[..., 1].ravel())[0, 1]) < 0.08
    alone = noisy(images[..., 1:2], "sub-001", np.array([1]), seed=1)
    assert np.array_equal(alone[..., 0], seen[..., 1])
    assert not np.array_equal(noisy(images, "sub-002", np.arange(3), seed=1), seen)


def test_bias_is_smooth_within_a_slice_and_of_a_slice():
    field = np.log(bias("sub-001", SHAPE, seed=1))
    assert 0.02 < field.std() < 0.12
    assert np.abs(np.diff(field, axis=0)).max() < 0.05
    spreads = [np.diff(np.log(bias(f"sub-{i}", (8, 8, 40), seed=1)).mean(axis=(0, 1))).std() for i in range(20)]
    assert np.mean(spreads) == pytest.approx(0.02 * np.sqrt(2), rel=0.2)


def test_slices_are_shifted_by_a_breath():
    shifts = np.array([slice_shifts(f"sub-{i:03d}", 8, seed=3) for i in range(200)])
    assert shifts.std() == pytest.approx(1.0, abs=0.05)
    assert np.abs(shifts).max() <= 2.5
    assert np.array_equal(slice_shifts("sub-001", 4, seed=3), shifts[1, :4])
