"""The law of residuals against laws that are known."""

import numpy as np
import pytest

from nextscan.imputers.anchored.residual_law import Spread, spiked_covariance, spread_out


def test_spikes_are_recovered_and_the_bulk_is_flat() -> None:
    rng = np.random.default_rng(0)
    n, p = 1500, 100
    direction = rng.normal(size=(2, p))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    x = rng.normal(size=(n, p)) + np.sqrt([20.0, 5.0]) * rng.normal(size=(n, 2)) @ direction
    values = np.sort(np.linalg.eigvalsh(spiked_covariance(x)))[::-1]
    assert values[0] == pytest.approx(21, rel=0.15)
    assert values[1] == pytest.approx(6, rel=0.15)
    np.testing.assert_allclose(values[2:], 1, atol=0.05)


def test_pure_noise_gives_the_identity_even_with_more_features_than_residuals() -> None:
    found = spiked_covariance(np.random.default_rng(1).normal(size=(80, 120)))
    np.testing.assert_allclose(found, np.eye(120), atol=0.03)


def test_standard_normal_residuals_leave_the_anchor_as_it_is() -> None:
    z = np.random.default_rng(2).normal(size=(4000, 60))
    spread = Spread.fit(z, np.diag(np.linspace(3, 1, 60)))
    np.testing.assert_allclose(spread.root @ spread.root.T, np.eye(60), atol=0.08)
    assert spread.sizes.std(axis=0).max() < 0.02


def test_sizes_that_all_features_share_are_found_and_draws_have_their_tails() -> None:
    rng = np.random.default_rng(3)
    true = np.where(rng.random(3000) < 0.2, 2.0, 0.7)
    z = true[:, None] * rng.normal(size=(3000, 80))
    spread = Spread.fit(z, np.eye(80))
    np.testing.assert_allclose(
        spread.sizes.std(axis=0) / spread.sizes.mean(axis=0), true.std() / true.mean(), rtol=0.15
    )
    e = spread_out(spread.sizes, 80) * rng.normal(size=(3000, 80))
    drawn = e @ spread.root.T
    assert np.mean(drawn**4) / np.mean(drawn**2) ** 2 == pytest.approx(np.mean(z**4) / np.mean(z**2) ** 2, rel=0.1)


def test_root_and_inverse_belong_together() -> None:
    spread = Spread.fit(np.random.default_rng(4).normal(size=(50, 8)), np.eye(8))
    np.testing.assert_allclose(spread.root @ spread.inverse, np.eye(8), atol=1e-9)
