"""The expected change against closed forms: growth with the years, mirror images, regression in a linear world."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from linear_world import SLOPE, linear_examples
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.diffusion.expected_change import ExpectedChange, MeanProblem, unit_of
from nextscan.imputers.volumes.diffusion.held_out import spread_left
from nextscan.imputers.volumes.diffusion.settings import VolumeDiffusionSettings
from nextscan.imputers.volumes.examples import Condition
from nextscan.training import TrainingSettings, train

DEFAULT = VolumeDiffusionSettings()


def condition(reach=1.0):
    source = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5
    return Condition(source, torch.zeros(1, 4), torch.full((1,), reach))


def expecting(settings=DEFAULT, spread=0.1, timed=True):
    conditions = Conditions(settings.interval, None, 2.0, timed)
    return ExpectedChange(settings, conditions, torch.full((4,), spread))


def test_change_grows_with_the_years_and_at_no_time_there_is_none():
    def network(source, numbers):
        return torch.cat([torch.full_like(source, 0.25), torch.full_like(source, -1.0)], dim=1)

    for reach in (-1.0, 0.0, 1.0, 2.5):
        change = expecting().said(network, condition(reach))
        torch.testing.assert_close(change.still, torch.full_like(change.still, 0.025))
        torch.testing.assert_close(change.grown, torch.full_like(change.grown, -0.1 * reach))
    whole = expecting(replace(DEFAULT, grows=False)).said(lambda *given: network(*given)[:, 1:], condition(2.5))
    torch.testing.assert_close(whole.total, torch.full_like(whole.total, -0.1))
    assert not whole.grown.any()


def test_neither_part_knows_the_interval():
    seen = []

    def network(source, numbers):
        seen.append(numbers)
        return torch.zeros(len(source), 2, *source.shape[2:])

    given = replace(condition(), numbers=torch.tensor([[1.0, 2.0, 1.7, 1.0]]))  # two labels, the interval, known
    expecting().said(network, given)
    assert seen[0].tolist() == [[1.0, 2.0]]
    for whole in (expecting(replace(DEFAULT, grows=False)), expecting(timed=False)):
        change = whole.said(lambda *given: network(*given)[:, :1], given)
        assert seen[-1].shape == (1, 4)
        assert not change.grown.any()


def test_the_change_of_a_mirrored_head_is_the_mirrored_change():
    def lopsided(source, numbers):
        change = source * torch.linspace(0, 1, source.shape[2])[:, None, None]
        return change.expand(-1, 2, -1, -1, -1)

    given = condition()
    mirrored = replace(given, source=given.source.flip(2))
    both = expecting()
    torch.testing.assert_close(both.said(lopsided, mirrored).total, both.said(lopsided, given).total.flip(2))
    alone = expecting(replace(DEFAULT, flip=False))
    assert not torch.allclose(alone.said(lopsided, mirrored).total, alone.said(lopsided, given).total.flip(2))


def test_the_unit_is_the_spread_of_the_brightness():
    spread = torch.tensor([0.01, 0.01, 0.05, 0.09])
    torch.testing.assert_close(unit_of(torch.tensor([-1.0, -0.75, 0.25, 0.5, 1.0]), spread)[[0, 2, 4]], spread[1:])
    torch.testing.assert_close(unit_of(torch.tensor([0.5]), spread), torch.tensor([0.07]))


class Linear(nn.Module):
    """Affine functions of the source, f0 and f1 where change grows."""

    def __init__(self, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_outputs, 2))

    def forward(self, source, numbers):
        return torch.einsum("ok,bkxyz->boxyz", self.weight, torch.cat([source, torch.ones_like(source)], dim=1))


@pytest.mark.minutes
def test_it_is_the_regression_of_change_on_the_source():
    settings = replace(DEFAULT, interval_dropout=0.0, flip=False, backward=False, shift=0)
    examples, spread = linear_examples(settings)
    expected = expecting(settings, spread)
    problem = MeanProblem(examples, examples, expected, spread)
    network = Linear(1)
    untrained = problem.loss(network, torch.arange(64)[None], [torch.Generator().manual_seed(i) for i in range(64)])
    assert float(untrained.detach().mean()) == pytest.approx(
        1.0, rel=1e-5
    )  # of the variance of change, before it is known
    how = TrainingSettings(epochs=150, batch_size=8, learning_rate=0.1, average=0.9, patience=None, decay="cosine")
    result = train(network, problem, how, seeds=[1], replicas=False)
    network.load_state_dict(result.best)
    # by least squares on the source
    world = examples.data
    source = np.concatenate([pair[0].ravel() for pair in world.volumes]).astype(np.float64)
    change = np.concatenate([pair[1].ravel() for pair in world.volumes]) - source
    terms = np.stack([source, np.ones_like(source)], axis=1)
    weights = np.linalg.lstsq(terms, change, rcond=None)[0]
    assert weights[0] == pytest.approx(SLOPE * world.pairs.gap.mean() / 2, rel=0.05)
    np.testing.assert_allclose(spread * network.weight.detach().numpy().ravel(), weights, atol=0.005)
    left = change - terms @ weights
    assert float(problem.validation_score(network)[0]) == pytest.approx(-np.mean(left**2) / spread**2, rel=0.01)
    unit = spread_left(lambda given: expected.said(network, given), examples)
    of_voxels = unit_of(torch.from_numpy(source).float(), torch.from_numpy(unit))
    assert float(of_voxels.square().mean().sqrt()) == pytest.approx(left.std(), rel=0.05)


@pytest.mark.minutes
def test_pairs_turned_round_tell_growth_from_what_does_not_depend_on_time():
    # follow-up = source + offset, whatever the interval, and nearly the same one: forward pairs alone cannot tell
    settings = replace(DEFAULT, flip=False, shift=0)
    examples, spread = linear_examples(settings)
    gap = 2 + 0.01 * np.arange(len(examples))
    examples.data.volumes = [(source, source + np.float32(0.1)) for source, _ in examples.data.volumes]
    examples = replace(examples, data=replace(examples.data, pairs=replace(examples.data.pairs, gap=gap)))
    problem = MeanProblem(examples, examples, expecting(settings, spread), spread)
    how = TrainingSettings(epochs=40, batch_size=8, learning_rate=0.1, patience=None, decay="cosine")
    network = Linear(2)
    network.load_state_dict(train(network, problem, how, seeds=[1], replicas=False).best)
    still, grown = (spread * network.weight[:, 1]).tolist()
    assert still == pytest.approx(0.0, abs=0.01)
    assert grown == pytest.approx(0.1 * examples.conditions.mean_gap / gap.mean(), abs=0.02)
