"""The U-Net on feature vectors: size, independence of replicas and examples, gradients."""

import math

import pytest
import torch

from nextscan.networks import FeatureUNet
from nextscan.networks.layers import LayerNorm, Linear, TokenAttention, sinusoidal


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def make(*seeds: int, attention: bool = False, zero_head: bool = False) -> FeatureUNet:
    return FeatureUNet(
        7,
        9,
        generators=generators(*seeds),
        widths=(16, 8),
        embedding=12,
        attention=attention,
        zero_head=zero_head,
    ).double()


def inputs(replicas: int, batch: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, batch, 7, generator=g, dtype=torch.float64).expand(replicas, -1, -1)
    level = torch.rand(1, batch, generator=g, dtype=torch.float64).expand(replicas, -1)
    condition = torch.randn(1, batch, 9, generator=g, dtype=torch.float64).expand(replicas, -1, -1)
    return x, level, condition


def test_has_the_size_of_the_paper() -> None:
    network = FeatureUNet(769, 769 + 14, generators=generators(0))
    n = sum(p.numel() for p in network.parameters())
    assert 4.6e6 < n < 4.8e6, f"about 4.7 million parameters at 769 features, got {n}"


@pytest.mark.parametrize("attention", [False, True])
def test_replica_equals_the_network_alone(attention: bool) -> None:
    together = make(3, 5, 8, attention=attention)
    alone = make(5, attention=attention)
    x, level, condition = inputs(3)
    out = together(x, level, condition)
    expected = alone(x[:1], level[:1], condition[:1])
    torch.testing.assert_close(out[1:2], expected, rtol=0, atol=1e-12)
    assert not torch.allclose(out[0], out[1])


@pytest.mark.parametrize("attention", [False, True])
def test_examples_do_not_see_each_other(attention: bool) -> None:
    network = make(1, attention=attention)
    x, level, condition = inputs(1)
    whole = network(x, level, condition)
    part = network(x[:, 2:3], level[:, 2:3], condition[:, 2:3])
    torch.testing.assert_close(part, whole[:, 2:3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("attention", [False, True])
def test_every_parameter_gets_a_gradient(attention: bool) -> None:
    network = make(1, 2, attention=attention)
    x, level, condition = inputs(2)
    network(x, level, condition).pow(2).sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.flatten(1).any(1).all()]
    assert silent == []


def test_zero_head_predicts_zero() -> None:
    network = make(1, zero_head=True)
    x, level, condition = inputs(1)
    assert network(x, level, condition).abs().max() == 0


@pytest.mark.parametrize("replicas", [1, 2])
def test_conditioned_for_sampling_is_the_same_function(replicas: int) -> None:
    network = make(*range(replicas))
    x, _, condition = inputs(replicas)
    level = torch.tensor(0.3, dtype=torch.float64)
    fixed = network.conditioned(condition)
    torch.testing.assert_close(fixed(x, level), network(x, level.expand(replicas, 5), condition), rtol=0, atol=1e-12)


def test_linear_and_norm_equal_torch() -> None:
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    linear, norm = Linear(4, 3, replicas=2), LayerNorm(4, replicas=2)
    linear.reset(generators(0, 1))
    assert linear.weight.abs().max() <= 0.5  # 1 / sqrt(4)
    for r in range(2):
        expected = torch.nn.functional.linear(x[r], linear.weight[r], linear.bias[r])
        torch.testing.assert_close(linear(x)[r], expected)
        torch.testing.assert_close(norm(x)[r], torch.nn.functional.layer_norm(x[r], (4,)))


def test_attention_mixes_tokens() -> None:
    layer = TokenAttention(8, n_tokens=4)
    for module in (layer.into, layer.out):
        module.reset(generators(0))
    x = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(1))
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v) - v, x)[0, 0, :, 0, 0]
    assert (jacobian.abs() > 0).all()


def test_sinusoidal_by_hand() -> None:
    encoded = sinusoidal(torch.tensor([0.5], dtype=torch.float64), 5, scale=2.0)
    slow = 2.0 * 0.5 / 10_000
    expected = [math.sin(1.0), math.sin(slow), math.cos(1.0), math.cos(slow), 0.0]
    torch.testing.assert_close(encoded[0], torch.tensor(expected, dtype=torch.float64))
