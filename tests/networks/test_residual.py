"""The networks of a residual start as nothing, and replicas do not see each other."""

import torch

from nextscan.networks import LocationScale, Shape


def generators(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(n)]


def test_untrained_networks_leave_the_gaussian() -> None:
    location, scale = LocationScale(4, 3, generators=generators(2))(torch.randn(2, 5, 4))
    assert location.shape == (2, 5, 3)
    assert scale.shape == (2, 5, 2)
    assert not location.any()
    assert not scale.any()
    shape = Shape(3, 4, generators=generators(2))
    assert not shape(torch.randn(2, 5, 3), torch.rand(2, 5), torch.randn(2, 5, 4)).any()


def test_replica_is_what_it_is_alone() -> None:
    both, alone = Shape(3, 4, generators=generators(2)), Shape(3, 4, generators=generators(2)[1:])
    for one, other in zip(both.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one[1:], other)
    with torch.no_grad():
        both.head.weight.fill_(0.1)
        alone.head.weight.fill_(0.1)
    x, level, condition = torch.randn(1, 5, 3), torch.rand(1, 5), torch.randn(1, 5, 4)
    twice = (part.expand(2, *part.shape[1:]) for part in (x, level, condition))
    torch.testing.assert_close(both(*twice)[1:], alone(x, level, condition))
