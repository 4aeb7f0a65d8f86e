"""Diffusion of volumes against closed forms: white residuals, and a world whose follow-ups have a known law."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from linear_world import linear_examples
from nextscan.imputers.volumes.diffusion.expected_change import unit_of
from nextscan.imputers.volumes.diffusion.problem import VolumeProblem
from nextscan.imputers.volumes.diffusion.settings import PRESETS, VolumeDiffusionSettings
from nextscan.imputers.volumes.diffusion.trained import make_process
from nextscan.imputers.volumes.examples import Condition
from nextscan.training import TrainingSettings, train

SHAPE = (6, 6, 6)
DEFAULT = VolumeDiffusionSettings()


def zero(x, level, source, numbers):
    """Return what an untrained network returns."""
    return torch.zeros_like(x)


def even(spread):
    """Return one spread whatever the brightness."""
    return np.full(4, spread, np.float32)


def condition(batch=1, shape=(16, 16, 16), reach=1.0):
    generator = torch.Generator().manual_seed(0)
    source = torch.rand(batch, 1, *shape, generator=generator) - 0.5
    return Condition(source, torch.zeros(batch, 2), torch.full((batch,), reach))


@pytest.mark.parametrize(("sampler", "steps"), [("dpm-solver++", DEFAULT.sampling_steps), ("ddim", 150)])
def test_untrained_draws_are_the_source_with_noise_of_the_spread(sampler, steps):
    process = make_process(replace(DEFAULT, sampler=sampler, sampling_steps=steps), even(0.05))
    given = condition()
    draws = process.draw(zero, given, key=3, n_draws=40, seed=1)
    residual = (draws - given.source[0]).double()
    n = residual.numel()
    assert abs(float(residual.mean())) < 5 * 0.05 / n**0.5
    assert float(residual.std()) == pytest.approx(0.05, rel=0.02)  # less what few steps lose
    neighbours = (residual[:, 1:] * residual[:, :-1]).mean() / residual.square().mean()
    assert abs(float(neighbours)) < 5 / n**0.5


def test_draws_lie_around_the_change_that_is_expected():
    process, given = make_process(DEFAULT, even(0.05)), condition()
    expected = torch.randn_like(given.source) / 20
    without, drawn = (process.draw(zero, where, key=3, n_draws=4, seed=1) for where in (given, given.around(expected)))
    inside = (drawn.abs() < 1) & (without.abs() < 1)
    torch.testing.assert_close(drawn[inside], (without + expected[0])[inside])
    around = given.around(expected)
    torch.testing.assert_close(around.repeat(3).middle, around.middle.expand(3, -1, -1, -1, -1))
    torch.testing.assert_close(process.volume(process.data(given.source, around), around), given.source)


def test_velocity_zero_is_the_exact_denoiser_of_white_residuals():
    # E[x0 | x] = a x / (a² + s²) for unit white data, and a² + s² = 1 on the path
    process = make_process(DEFAULT, even(0.05))
    level = torch.linspace(0.1, 1.0, 5)
    a, s = process.path.signal_noise(level)
    torch.testing.assert_close(a**2 + s**2, torch.ones(5))
    x = torch.randn(5, 1, *SHAPE)
    from nextscan.diffusion import to_data

    estimate = to_data("velocity", process.predict(zero, condition(5, SHAPE), x, level), x, a, s)
    torch.testing.assert_close(estimate, a[:, None, None, None, None] * x)


def test_noise_of_draws_has_the_spread_of_the_brightness():
    process = make_process(DEFAULT, np.array([0.01, 0.01, 0.05, 0.09], np.float32))
    source = torch.tensor([-1.0, -0.5, 0.25, 1.0]).reshape(1, 1, 4, 1, 1).expand(1, 1, 4, 20, 20).contiguous()
    torch.testing.assert_close(unit_of(source, process.spread)[0, 0, :, 0, 0], torch.tensor([0.01, 0.01, 0.05, 0.09]))
    given = Condition(source * 0.5, torch.zeros(1, 2), torch.ones(1))
    spread = (process.draw(zero, given, key=3, n_draws=30, seed=1) - given.source[0]).std(dim=(0, 2, 3))
    torch.testing.assert_close(spread, torch.tensor([0.01, 0.01, 0.04, 0.07]), rtol=0.05, atol=0)
    target = source + 0.1
    torch.testing.assert_close(process.volume(process.data(target, given), given), target.clamp(max=1))


def test_draws_belong_to_subject_seed_and_draw():
    process, given = make_process(DEFAULT, even(0.05)), condition(shape=SHAPE)
    four = process.draw(zero, given, key=3, n_draws=4, seed=1)
    torch.testing.assert_close(process.draw(zero, given, key=3, n_draws=2, seed=1), four[:2])
    for other in ({"key": 4, "seed": 1}, {"key": 3, "seed": 2}):
        assert not torch.equal(process.draw(zero, given, n_draws=4, **other), four)
    assert not torch.equal(four[0], four[1])


def test_the_network_sees_no_noise_where_only_noise_is_left():
    seen = []

    def spy(x, level, source, numbers):
        seen.append(x)
        return zero(x, level, source, numbers)

    process = make_process(DEFAULT, even(0.05))
    x, given = torch.randn(2, 1, *SHAPE), condition(2, SHAPE)
    process.predict(spy, given, x, torch.tensor([1.0, 0.5]))
    a = process.path.signal_noise(torch.tensor(0.5))[0]
    assert not seen[0][0].any()
    torch.testing.assert_close(seen[0][1], a * x[1])
    paper = make_process(PRESETS["paper"], even(0.05))
    paper.predict(lambda *given: (seen.append(given[0]), given[0])[1], given, x, torch.tensor([1.0, 0.5]))
    assert torch.equal(seen[1], x)


# -- follow-up = source + reach · slope · source + offset + noise ---------------------------------------------------


class Linear(nn.Module):
    """An affine function of noisy data and source, its weights interpolated between levels."""

    def __init__(self, knots=8):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(knots, 3))

    def forward(self, x, level, source, numbers):
        place = level * (len(self.weight) - 1)
        below = place.floor().long().clamp(max=len(self.weight) - 2)
        weight = torch.lerp(self.weight[below], self.weight[below + 1], (place - below)[:, None])
        return torch.einsum("bk,bkxyz->bxyz", weight, torch.cat([x, source, torch.ones_like(x)], dim=1))[:, None]


def problem(settings, expected=None):
    examples, spread = linear_examples(settings)
    return VolumeProblem(examples, examples, make_process(settings, even(spread)), spread, expected)


@pytest.mark.minutes
@pytest.mark.parametrize("around", [False, True])
def test_draws_have_the_mean_and_the_spread_of_follow_ups(around):
    settings = replace(
        DEFAULT, interval="unseen", backward=False, interval_dropout=0.0, flip=False, shift=0, weight_decay=0.0
    )
    learned_from = problem(settings, (lambda given: torch.full_like(given.source, 0.1)) if around else None)
    network = Linear()
    result = train(
        network,
        learned_from,
        TrainingSettings(epochs=40, batch_size=8, learning_rate=0.1, average=0.9, patience=40, decay="cosine"),
        seeds=[1],
        replicas=False,
    )
    network.load_state_dict(result.best)
    assert result.best_score[0] > result.history[0]["validation_score"][0]
    # change = slope · source + offset + rest, whatever the interval: by least squares
    world = learned_from.train.data
    source = np.concatenate([pair[0].ravel() for pair in world.volumes]).astype(np.float64)
    change = np.concatenate([pair[1].ravel() for pair in world.volumes]) - source
    slope, offset = np.polyfit(source, change, 1)
    rest = float(np.std(change - slope * source - offset))
    given = condition(shape=(12, 12, 12))
    given = given.around(learned_from.expected(given)) if around else given
    draws = learned_from.process.draw(network, given, key=1, n_draws=40, seed=1)
    expected = given.source[0, 0] * (1 + slope) + offset
    assert float((draws.mean(0) - expected).square().mean().sqrt()) < 0.3 * rest
    assert float((draws - draws.mean(0)).square().mean().sqrt()) == pytest.approx(rest, rel=0.15)


def test_an_example_is_the_same_in_any_batch():
    made = problem(DEFAULT)
    network = Linear()
    with torch.no_grad():
        network.weight.normal_(generator=torch.Generator().manual_seed(0))

    def losses(*places):
        generators = [torch.Generator().manual_seed(place) for place in places]
        return made.loss(network, torch.tensor([list(places)]), generators)[0].detach()

    torch.testing.assert_close(losses(4, 9, 30)[1:2], losses(9))
    assert torch.equal(losses(7), losses(7))


def test_examples_are_of_all_levels():
    levels = []

    def spy(x, level, source, numbers):
        levels.extend(level.tolist())
        return zero(x, level, source, numbers)

    made = problem(DEFAULT)
    generators = [torch.Generator().manual_seed(place) for place in range(400)]
    made.loss(spy, torch.arange(400)[None] % 64, generators)
    assert max(abs(np.histogram(levels, 4, (0, 1))[0] - 100)) < 4 * (400 * 0.25 * 0.75) ** 0.5


def test_the_loss_of_the_untrained_network_is_one_for_white_residuals():
    made = problem(replace(DEFAULT, backward=False))
    generators = [torch.Generator().manual_seed(place) for place in range(64)]
    loss = made.loss(zero, torch.arange(64)[None], generators)
    assert loss.shape == (1, 64)
    assert float(loss.mean()) == pytest.approx(1.0, rel=0.1)
    assert torch.equal(made.validation_score(zero), made.validation_score(zero))
