"""The conditioner of sequences: what it may depend on, and that it reaches every voxel."""

import pytest
import torch

from nextscan.networks.sequence_conditioner import SequenceConditioner


def conditioner(**changes) -> SequenceConditioner:
    torch.manual_seed(0)
    return SequenceConditioner(**{"n_time": 3, "n_target": 2, "width": 24, "n_heads": 2, "n_outputs": 2} | changes)


def inputs(shape=(10, 9, 5), n_frames=4):
    torch.manual_seed(1)
    mask = torch.tensor([[True] * n_frames, [True] + [False] * (n_frames - 1)])
    return torch.randn(2, n_frames, *shape), mask, torch.randn(2, n_frames, 3), torch.randn(2, 2)


@pytest.mark.parametrize("shape", [(8, 8, 4), (10, 9, 5)])
def test_any_grid_comes_back_in_its_shape(shape):
    volume, code = conditioner()(*inputs(shape))
    assert volume.shape == (2, 2, *shape)
    assert code.shape == (2, 24)


def test_missing_images_are_not_looked_at():
    frames, mask, when, wanted = inputs()
    network = conditioner()
    volume, code = network(frames, mask, when, wanted)
    other = frames.clone()
    other[1, 1:] = float("nan")
    when[1, 1:] = 1e6
    again, same = network(other, mask, when, wanted)
    torch.testing.assert_close(again, volume)
    torch.testing.assert_close(same, code)


def test_the_order_of_images_does_not_matter_and_their_times_do():
    frames, mask, when, wanted = inputs()
    network = conditioner()
    volume, _ = network(frames, mask, when, wanted)
    turned, _ = network(frames.flip(1), mask.flip(1), when.flip(1), wanted)
    torch.testing.assert_close(turned, volume, atol=1e-5, rtol=1e-5)
    later, _ = network(frames, mask, when + 1, wanted)
    assert (later[0] - volume[0]).abs().max() > 1e-4


def test_every_parameter_gets_a_gradient():
    network = conditioner()
    volume, code = network(*inputs())
    (volume.square().sum() + code.square().sum()).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_examples_do_not_see_each_other():
    frames, mask, when, wanted = inputs()
    network = conditioner()
    volume, _ = network(frames, mask, when, wanted)
    alone, _ = network(frames[1:], mask[1:], when[1:], wanted[1:])
    torch.testing.assert_close(alone, volume[1:], atol=1e-5, rtol=1e-5)


def test_patches_reach_their_own_voxels():
    """Without attention over space and time, a patch of the output depends on its own patch alone."""
    frames, mask, when, wanted = inputs((8, 8, 4))
    network = conditioner(n_temporal=0, n_spatial=0)
    volume, _ = network(frames, mask, when, wanted)
    frames = frames.clone()
    frames[0, 0, 4:8, 0:4, 2:4] += 1
    changed = (network(frames, mask, when, wanted)[0] - volume).abs()[0].sum(0) > 1e-7
    expected = torch.zeros(8, 8, 4, dtype=torch.bool)
    expected[4:8, 0:4, 2:4] = True
    assert (changed <= expected).all()
    assert changed.sum() > 0.9 * expected.sum()


def test_time_grows_in_proportion_to_images():
    """Counted, not timed: twice the images, at most twice the products."""
    from torch.utils.flop_counter import FlopCounterMode

    def products(n_frames: int) -> int:
        network = conditioner()
        with FlopCounterMode(display=False) as counter:
            network(*inputs((8, 8, 4), n_frames))
        return counter.get_total_flops()

    few, more, most = products(4), products(8), products(16)
    assert most - more == pytest.approx(2 * (more - few), rel=0.01)
