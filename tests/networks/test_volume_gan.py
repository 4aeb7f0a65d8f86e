"""The adversarial network: who learns from what."""

import pytest
import torch

from nextscan.networks.volume_gan import PatchCritic, VolumeGANNetwork


@pytest.fixture
def judged():
    torch.manual_seed(0)
    network = VolumeGANNetwork(n_numbers=3, channels=(8, 16), attention=(False, False), patch=2)
    noise, source, change = torch.randn(3, 2, 1, 12, 10, 8)
    return network, network(noise, source, torch.randn(2, 3), change)


def test_untrained_it_generates_no_change(judged):
    _, (generated, fooling, telling) = judged
    assert generated.shape == (2, 1, 12, 10, 8)
    assert not generated.any()
    assert fooling.shape == telling.shape == (2,)


def test_generator_and_critic_learn_each_from_its_own_loss(judged):
    network, (_, fooling, telling) = judged
    fooling.sum().backward(retain_graph=True)
    assert all(p.grad is None for p in network.critic.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.generator.parameters())
    network.zero_grad(set_to_none=True)
    telling.sum().backward()
    assert all(p.grad is None for p in network.generator.parameters())
    assert all(p.grad is not None for p in network.critic.parameters())


def test_losses_are_those_of_least_squares(judged, monkeypatch):
    network, _ = judged
    monkeypatch.setattr(network.critic, "forward", lambda volumes: volumes[:, :1])
    noise, source = torch.zeros(2, 2, 1, 8, 8, 8)
    _, fooling, telling = network(noise, source, torch.zeros(2, 3), torch.full((2, 1, 8, 8, 8), 3.0))
    torch.testing.assert_close(fooling, torch.ones(2))  # generated: 0
    torch.testing.assert_close(telling, torch.full((2,), 2.0))  # ((3 - 1)² + 0²) / 2


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 5, 1)])
def test_the_critic_judges_any_grid_by_patches(shape):
    scores = PatchCritic(2, channels=(8, 16))(torch.randn(3, 2, *shape))
    assert scores.shape == (3, 1, *(-(-n // 4) for n in shape))
