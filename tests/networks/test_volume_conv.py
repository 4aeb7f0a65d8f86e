"""The small network of expected change."""

import pytest
import torch

from nextscan.errors import SettingError
from nextscan.networks.volume_conv import VolumeConvNet


def made(**settings):
    torch.manual_seed(0)
    network = VolumeConvNet(**settings)
    torch.nn.init.normal_(network.out.weight)
    return network


def test_it_starts_at_zero():
    out = VolumeConvNet(n_numbers=3, n_outputs=2)(torch.randn(2, 1, 8, 10, 12), torch.randn(2, 3))
    assert out.shape == (2, 2, 8, 10, 12)
    assert not out.any()


@pytest.mark.parametrize("channels", [(8,), (4, 8), (4, 8, 16)])
@pytest.mark.parametrize("shape", [(8, 8, 8), (7, 9, 5)])
def test_any_shape_and_depth_gives_its_own_shape(channels, shape):
    network = made(n_numbers=2, channels=channels)
    out = network(torch.randn(1, 1, *shape), torch.randn(1, 2))
    assert out.shape == (1, 1, *shape)
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_numbers_change_the_output_and_may_be_left_out():
    volume = torch.randn(1, 1, 8, 8, 8)
    network = made(n_numbers=2)
    one, other = (network(volume, torch.full((1, 2), value)) for value in (0.0, 1.0))
    assert not torch.allclose(one, other)
    assert made()(volume).any()


def test_widths_that_do_not_fit_are_refused():
    for channels in ((8, 30), ()):
        with pytest.raises(SettingError, match="the last of the channels must be a multiple of 4"):
            VolumeConvNet(channels=channels)
