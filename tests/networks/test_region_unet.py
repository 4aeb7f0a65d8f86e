"""The network that tells regions: shapes, and that it knows where a voxel lies."""

import pytest
import torch

from nextscan.errors import SettingError
from nextscan.networks.region_unet import RegionUNet


@pytest.mark.parametrize("shape", [(8, 8, 4), (9, 7, 3)])
@pytest.mark.parametrize("channels", [(4, 8), (4, 8, 8)])
def test_any_shape_comes_back(shape, channels):
    network = RegionUNet(n_outputs=3, channels=channels)
    out = network(torch.randn(2, 1, *shape))
    assert out.shape == (2, 3, *shape)
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_it_knows_where_a_voxel_lies():
    network = RegionUNet(n_outputs=2, channels=(4, 8))
    out = network(torch.zeros(1, 1, 8, 8, 4))
    assert out.std() > 0


def test_images_do_not_depend_on_their_company():
    network = RegionUNet(n_outputs=2, channels=(4, 8)).eval()
    images = torch.randn(3, 1, 8, 8, 4)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=1e-4, atol=1e-5)


def test_widths_must_fit_the_groups():
    with pytest.raises(SettingError, match="multiples of 4"):
        RegionUNet(n_outputs=2, channels=(4, 6))
