"""The U-Net on volumes: patches, zero start, conditions, independence in the batch, checkpointing."""

import pytest
import torch
from torch import nn

from nextscan.errors import SettingError
from nextscan.networks.volume_unet import VolumeUNet

SMALL = {"channels": (8, 16), "attention": (False, True)}


def network(**settings):
    torch.manual_seed(0)
    return VolumeUNet(**{**SMALL, "n_numbers": 3, **settings})


def awake(net):
    """Give zero-initialised layers weights, so that everything matters."""
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.normal_(0, 0.1)
    return net


def inputs(batch=2, shape=(8, 8, 8)):
    torch.manual_seed(1)
    x, source = torch.randn(2, batch, 1, *shape)
    return x, torch.rand(batch), source, torch.randn(batch, 3)


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 7, 9)])
def test_folding_is_undone_whatever_the_shape(patch, shape):
    net = network(patch=patch)
    x = torch.randn(2, 1, *shape)
    folded = net._fold(x)
    assert folded.shape[1] == patch**3
    assert all(n % 2 == 0 for n in folded.shape[2:])  # two resolutions
    assert torch.equal(net._unfold(folded, shape), x)


def test_a_patch_holds_neighbours():
    x = torch.arange(64.0).reshape(1, 1, 4, 4, 4)
    folded = network(patch=2)._fold(x)
    assert set(folded[0, :, 0, 0, 0].tolist()) == {0, 1, 4, 5, 16, 17, 20, 21}


@pytest.mark.parametrize("settings", [{}, {"patch": 2}, {"n_outputs": 2}, {"concatenate": True}])
def test_the_output_is_exactly_zero_at_first(settings):
    x, level, source, numbers = inputs()
    out = network(**settings)(x, level, source, numbers)
    assert out.shape == (2, settings.get("n_outputs", 1), 8, 8, 8)
    assert not out.any()


@pytest.mark.parametrize("settings", [{}, {"patch": 2, "n_outputs": 2}, {"concatenate": True}])
def test_every_parameter_and_every_input_takes_part(settings):
    net = awake(network(**settings))
    given = [part.requires_grad_() for part in inputs()]
    net(*given).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert all(part.grad.any() for part in given)


def test_networks_without_source_or_numbers_take_none():
    net = awake(network(n_sources=0, n_numbers=0))
    x, level, _, _ = inputs()
    assert net(x, level).any()


def test_examples_of_a_batch_do_not_meet():
    net = awake(network(patch=2)).double()
    whole = tuple(part.double() for part in inputs(batch=3))
    alone = net(*(part[1:2] for part in whole))
    torch.testing.assert_close(net(*whole)[1:2], alone, rtol=1e-9, atol=1e-12)


def test_checkpointing_changes_neither_output_nor_gradient():
    plain, saving = awake(network()), awake(network(checkpointing=True))
    saving.load_state_dict(plain.state_dict())
    for net in (plain, saving):
        net(*inputs()).square().sum().backward()
    assert torch.equal(plain(*inputs()), saving(*inputs()))
    for p, q in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_conditions_are_added_or_are_channels():
    added, channels = network(), network(concatenate=True)
    assert isinstance(added.source, nn.Conv3d)
    assert added.blocks.conv_in.conv.in_channels == 1
    assert channels.blocks.conv_in.conv.in_channels == 1 + 1 + 3
    assert not hasattr(channels, "source")


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(SettingError, match="multiples of 8"):
        VolumeUNet(channels=(12, 16), attention=(False, False))
    with pytest.raises(SettingError, match="one choice of attention each"):
        VolumeUNet(channels=(8, 16), attention=(False,))
