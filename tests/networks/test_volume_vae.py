"""The autoencoder of volumes: shapes, zero start, what takes part."""

import torch

from nextscan.networks.volume_vae import VolumeVAENetwork


def network():
    torch.manual_seed(0)
    return VolumeVAENetwork(latent=4, n_numbers=3, channels=(8, 16), attention=(False, False))


def inputs(batch=2):
    torch.manual_seed(1)
    change, source = torch.randn(2, batch, 1, 8, 8, 8)
    return change, source, torch.randn(batch, 3), torch.randn(batch, 4)


def test_it_starts_as_a_copy_with_codes_of_the_right_length():
    decoded, mean, log_variance, log_noise = network()(*inputs())
    assert decoded.shape == (2, 1, 8, 8, 8)
    assert not decoded.any()
    assert mean.shape == log_variance.shape == (2, 4)
    assert log_noise.exp() == 1


def test_every_parameter_takes_part():
    net = network()
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.normal_(0, 0.1)
    decoded, mean, log_variance, log_noise = net(*inputs())
    ((decoded - 1).square().sum() * (-2 * log_noise).exp() + mean.sum() + log_variance.sum()).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_code_depends_on_the_change_and_the_decoded_change_on_the_code():
    net = network()
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.normal_(0, 0.1)
    change, source, numbers, noise = inputs()
    assert not torch.equal(net.encode(change, source, numbers)[0], net.encode(-change, source, numbers)[0])
    assert not torch.equal(net.decode(noise, source, numbers), net.decode(-noise, source, numbers))
