"""Networks of sequences: they start as what is expected without learning, and do not look at what is not there."""

import pytest
import torch

from nextscan.networks.sequence_denoiser import SequenceDenoiser
from nextscan.networks.sequence_fields import SequenceFields

VIEW = {"n_when": 3, "n_wanted": 2, "n_summaries": 2, "token": (4, 4, 2), "width": 24, "n_conditions": 2}
SHAPE, N_GIVEN, N_TIMES = (8, 9, 5), 3, 4


def fields(**changes) -> SequenceFields:
    torch.manual_seed(0)
    return SequenceFields(**VIEW | {"n_fields": 3, "attention": True, "channels": (4, 8), "n_blocks": 2} | changes)


def asked() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    weights = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])[:, None].expand(-1, N_TIMES, -1).clone()
    return {
        "frames": torch.randn(2, N_GIVEN, *SHAPE),
        "mask": torch.tensor([[True] * N_GIVEN, [True, False, False]]),
        "when": torch.randn(2, N_GIVEN, 3),
        "summaries": torch.tensor([[[1 / 3] * 3, [0.0, 0, 1]], [[1.0, 0, 0], [1.0, 0, 0]]]),
        "weights": weights,
        "relative": torch.randn(2, N_TIMES, N_GIVEN, 3),
        "around": torch.zeros(2, N_TIMES, 2, dtype=torch.long),
        "wanted": torch.randn(2, N_TIMES, 2),
    }


@pytest.mark.parametrize("attention", [True, False])
def test_untrained_it_is_what_is_expected_without_learning(attention):
    given = asked()
    found, weights, curves = fields(attention=attention)(**given)
    assert not found.any()
    torch.testing.assert_close(weights, given["weights"])
    assert curves.shape == (2, N_TIMES, 3)
    assert found.shape == (2, 3, *SHAPE)


def trained(**changes) -> SequenceFields:
    network = fields(**changes)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def test_learned_weights_leave_brightness_as_it_is():
    given = asked()
    _, weights, _ = trained()(**given)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, N_TIMES))
    assert (weights[0] - given["weights"][0]).abs().max() > 1e-3
    torch.testing.assert_close(weights[1], given["weights"][1])  # a single image has nothing to share


def test_missing_images_do_not_count():
    given, network = asked(), trained()
    before = network(**given)
    given["frames"][1, 1:] = 7.0
    given["when"][1, 1:] = 7.0
    given["relative"][1, :, 1:] = 7.0
    for one, other in zip(before, network(**given), strict=True):
        torch.testing.assert_close(one, other)


def test_every_parameter_gets_a_gradient():
    network = trained()
    found, weights, curves = network(**asked())
    (found.square().sum() + (weights * torch.randn_like(weights)).sum() + curves.square().sum()).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def denoiser(**changes) -> SequenceDenoiser:
    torch.manual_seed(0)
    unet = {"channels": (8, 16), "unet_attention": (False, False), "n_residual": 1, "patch": 1}
    return SequenceDenoiser(**VIEW | unet | {"attention": True} | changes)


def seen() -> list[torch.Tensor]:
    given = asked()
    names = ("frames", "mask", "relative", "summaries", "around", "wanted")
    of_first = {"relative": given["relative"][:, 0], "around": given["around"][:, 0], "wanted": given["wanted"][:, 0]}
    return [*((given | of_first)[name] for name in names), torch.randn(2, 1, *SHAPE)]


@pytest.mark.parametrize("attention", [True, False])
def test_conditions_can_be_seen_once_for_all_levels(attention):
    network, given = denoiser(attention=attention), seen()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x, level = torch.randn(2, 1, *SHAPE), torch.tensor([0.2, 0.9])
    torch.testing.assert_close(network(x, level, *given), network(x, level, conditions=network.see(*given)))


def test_untrained_the_denoiser_says_nothing():
    assert not denoiser()(torch.randn(2, 1, *SHAPE), torch.ones(2), *seen()).any()


def test_every_block_knows_the_level():
    """In the release the level joins at the bottleneck alone; here no block is the same at two levels."""
    network, given = denoiser(), seen()
    changed = {}

    def record(name):
        return lambda module, inputs, output: changed.setdefault(name, []).append(output.detach())

    every = network.unet.blocks.named_modules()
    blocks = [(name, module) for name, module in every if type(module).__name__.endswith("ResnetBlock")]
    for name, module in blocks:
        module.time_emb_proj.register_forward_hook(record(name))
    x = torch.randn(2, 1, *SHAPE)
    for level in (0.1, 0.9):
        network(x, torch.full((2,), level), *given)
    assert len(blocks) > 4
    assert all((first - second).abs().max() > 1e-4 for first, second in changed.values())
