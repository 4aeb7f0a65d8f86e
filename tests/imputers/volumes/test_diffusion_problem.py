"""Diffusion of volumes against closed forms: white residuals, a linear world, and what chance may do to a pair."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from nextscan.cohort import Cohort, Pairs
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.diffusion_problem import VolumeProblem
from nextscan.imputers.volumes.examples import N_COINS, Condition, PairExamples
from nextscan.imputers.volumes.trained_diffusion import make_process
from nextscan.imputers.volumes.volume_diffusion_settings import PRESETS, VolumeDiffusionSettings
from nextscan.training import TrainingSettings, train

SHAPE = (6, 6, 6)
DEFAULT = VolumeDiffusionSettings()


def zero(x, level, source, numbers):
    """Return what an untrained network returns."""
    return torch.zeros(len(x), 2, *x.shape[2:])


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
    assert torch.equal(process.mean(zero, given)[0], given.source[0])


def test_draws_lie_around_the_mean_before_their_shape_is_learned():
    def knows_the_mean(x, level, source, numbers):
        return zero(x, level, source, numbers) - 0.3 * (level == 1)[:, None, None, None, None]

    process, given = make_process(replace(DEFAULT, grows=False), even(0.05)), condition()
    without, drawn = (
        process.draw(lambda *args, net=net: net(*args)[:, :1], given, key=3, n_draws=4, seed=1)
        for net in (zero, knows_the_mean)
    )
    torch.testing.assert_close(drawn, without + 0.05 * 0.3)
    torch.testing.assert_close(process.mean(lambda *args: knows_the_mean(*args)[:, :1], given), given.source + 0.015)


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
    torch.testing.assert_close(process.unit(source)[0, 0, :, 0, 0], torch.tensor([0.01, 0.01, 0.05, 0.09]))
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


def test_change_grows_with_reach_and_is_left_out_at_zero():
    def network(x, level, source, numbers):
        return torch.cat([torch.full_like(x, 0.25), torch.full_like(x, -1.0)], dim=1)

    process = make_process(DEFAULT, even(0.1))
    for reach in (0.0, 1.0, 2.5):
        given = condition(shape=SHAPE, reach=reach)
        # at level 1 velocity is minus the data
        torch.testing.assert_close(process.mean(network, given), given.source + 0.1 * (reach - 0.25))


# -- a linear world: follow-up = source + reach · slope · source + noise ------------------------------------------


SLOPE, NOISE, OFFSET = -0.4, 0.05, 0.02


def test_an_untrained_network_predicts_the_mean_change_and_at_no_time_the_source():
    expected = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1)) / 20
    process, given = make_process(DEFAULT, even(0.05)), replace(condition(reach=2.0), expected=expected)
    torch.testing.assert_close(process.mean(zero, given), given.source + 2 * expected)
    torch.testing.assert_close(process.growth(zero, given), 2 * expected)
    torch.testing.assert_close(process.volume(process.data(given.source, given), given), given.source)
    now = replace(given, reach=torch.zeros(1))
    torch.testing.assert_close(process.mean(zero, now), given.source)
    torch.testing.assert_close(
        given.repeat(3).where(torch.tensor([True, False, True])).base, given.base.repeat(2, 1, 1, 1, 1)
    )


def test_the_mean_of_a_mirrored_head_is_the_mirrored_mean():
    def lopsided(x, level, source, numbers):
        change = source * torch.linspace(0, 1, source.shape[2])[:, None, None]
        return change.expand(-1, 2, -1, -1, -1)

    process, given = make_process(DEFAULT, even(0.05)), condition()
    mirrored = replace(given, source=given.source.flip(2))
    torch.testing.assert_close(process.mean(lopsided, mirrored), process.mean(lopsided, given).flip(2))
    alone = make_process(replace(DEFAULT, flip=False), even(0.05))
    assert not torch.allclose(alone.mean(lopsided, mirrored), alone.mean(lopsided, given).flip(2))


@dataclass
class LinearWorld:
    """Stands in for `PreparedPairs`."""

    cohort: Cohort
    pairs: Pairs
    volumes: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def make(cls, n, seed):
        generator = np.random.default_rng(seed)
        gap = generator.uniform(0.5, 3.5, n)
        cohort = Cohort(
            name="linear",
            subjects=np.array([f"s{i}" for i in range(n)]),
            subject_of=np.repeat(np.arange(n), 2),
            visits=np.tile(["1", "2"], n),
            years=np.stack([np.zeros(n), gap], axis=1).ravel(),
            features=np.zeros((2 * n, 0)),
            feature_names=(),
            labels=pd.DataFrame({"sex": np.where(np.arange(n) % 2, "F", "M")}),
            files={"volume": np.array([f"{i}.nii" for i in range(2 * n)])},
        )
        pairs = Pairs(np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2), gap)
        volumes = []
        for years in gap:
            source = generator.uniform(-0.5, 0.5, SHAPE)
            target = source * (1 + SLOPE * years / 2) + OFFSET + NOISE * generator.normal(size=SHAPE)
            volumes.append((source.astype(np.float32), target.astype(np.float32)))
        return cls(cohort, pairs, volumes)

    def __len__(self):
        return len(self.pairs)

    def both(self, i, *, backward=False):
        return self.volumes[i][::-1] if backward else self.volumes[i]


class Linear(nn.Module):
    """Affine functions ``f0`` and ``f1`` of noisy data and source, one pair at level 1 and one below."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 2, 3))

    def forward(self, x, level, source, numbers):
        terms = torch.cat([x, source, torch.ones_like(x)], dim=1)
        return torch.einsum("bok,bkxyz->boxyz", self.weight[(level == 1).long()], terms)


def problem(settings, n=64):
    world = LinearWorld.make(n, 0)
    conditions = Conditions.fit(world.cohort, world.pairs, interval=settings.interval, use_labels=True)
    spread = float(np.sqrt(np.mean([np.square(target - source) for source, target in world.volumes])))
    examples = PairExamples(world, conditions, torch.device("cpu"))
    return VolumeProblem(examples, examples, make_process(settings, even(spread)), spread)


def test_the_estimate_at_level_one_is_the_conditional_mean():
    settings = replace(DEFAULT, mean_share=0.5, interval_dropout=0.0, flip=False, backward=False, weight_decay=0.0)
    learned_from = problem(settings)
    network = Linear()
    result = train(
        network,
        learned_from,
        TrainingSettings(epochs=30, batch_size=8, learning_rate=0.2, average=0.9, patience=30, decay="cosine"),
        seeds=[1],
        replicas=False,
    )
    network.load_state_dict(result.best)
    # the regression of the change on source and reach · source, by least squares
    world, unit = learned_from.train.data, learned_from.train.conditions.mean_gap
    source = np.concatenate([pair[0].ravel() for pair in world.volumes]).astype(np.float64)
    change = np.concatenate([pair[1].ravel() for pair in world.volumes]) - source
    reach = np.repeat(world.pairs.gap / unit, np.prod(SHAPE))
    terms = np.stack([source, np.ones_like(source), reach * source, reach], axis=1)
    flat, offset, slope, drift = np.linalg.lstsq(terms, change, rcond=None)[0]
    assert slope == pytest.approx(SLOPE * unit / 2, rel=0.02)
    given = condition(shape=SHAPE, reach=1.7)
    expected = given.source * (1 + flat + 1.7 * slope) + offset + 1.7 * drift
    off = learned_from.process.mean(network, given) - expected
    assert float(off.abs().max()) < 0.02  # a tenth of what is learned, at the voxel farthest off
    assert float((expected - given.source).abs().max()) > 0.2
    assert result.best_score[0] > result.history[0]["validation_score"][0]


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


def test_pairs_are_turned_mirrored_and_hidden_as_often_as_asked():
    made = problem(replace(DEFAULT, interval_dropout=0.3))
    settings = made.process.settings
    n = 64
    coins = np.random.default_rng(1).random((n, N_COINS))
    coins[:, 3:] = 0.5  # in the middle
    given, target = made.train.batch(list(range(n)), coins, settings)
    backward = given.reach < 0
    known = given.numbers[:, -1] == 1
    assert backward.tolist() == (coins[:, 0] < 0.5).tolist()
    assert known.tolist() == ((coins[:, 0] < 0.5) | (coins[:, 1] >= 0.3)).tolist()
    assert (given.reach[~known] == 1).all()
    for i in range(n):
        source, later = made.train.data.both(i, backward=bool(backward[i]))
        if coins[i, 2] < 0.5:
            source, later = source[::-1], later[::-1]
        np.testing.assert_array_equal(given.source[i, 0], source)
        np.testing.assert_array_equal(target[i, 0], later)
    plain, _ = made.train.plain(5)
    np.testing.assert_array_equal(plain.source[0, 0], made.train.data.both(5)[0])


def test_both_images_of_a_pair_are_shifted_alike():
    made = problem(DEFAULT)
    coins = np.full((1, N_COINS), 0.99)
    coins[0, 4:] = 0.0, 0.5  # two voxels one way, two the other, none
    source, later = made.train.data.both(3)
    expecting = replace(made.train, conditions=replace(made.train.conditions, expected=later))
    given, target = expecting.batch([3], coins, made.process.settings)
    for shifted, plain in zip((given.source, target, given.expected), (source, later, later), strict=True):
        np.testing.assert_array_equal(shifted[0, 0, :-2, 2:], plain[2:, :-2])
        np.testing.assert_array_equal(shifted[0, 0, :-2, 1], plain[2:, 0])  # the outermost voxels again
        np.testing.assert_array_equal(shifted[0, 0, -1, 2:], plain[-1, :-2])


def test_the_paper_neither_turns_nor_mirrors_nor_hides():
    made = problem(PRESETS["paper"])
    coins = np.zeros((4, N_COINS))
    given, target = made.train.batch([0, 1, 2, 3], coins, made.process.settings)
    for i in range(4):
        source, later = made.train.data.both(i)
        np.testing.assert_array_equal(given.source[i, 0], source)
        np.testing.assert_array_equal(target[i, 0], later)
    assert (given.reach == 1).all()


def test_most_examples_are_at_level_one():
    levels = []

    def spy(x, level, source, numbers):
        levels.extend(level.tolist())
        return zero(x, level, source, numbers)

    made = problem(DEFAULT)
    generators = [torch.Generator().manual_seed(place) for place in range(400)]
    made.loss(spy, torch.arange(400)[None] % 64, generators)
    share = np.mean(np.array(levels) == 1)
    assert abs(share - DEFAULT.mean_share) < 4 * 0.5 / 20
    rest = np.array(levels)[np.array(levels) < 1]
    assert abs(rest.mean() - 0.5) < 0.1


def test_the_loss_of_the_untrained_network_is_one():
    # of white residuals; where the residual is not white it is one on average over voxels at level 1
    made = problem(replace(DEFAULT, mean_share=0.99, backward=False))
    generators = [torch.Generator().manual_seed(place) for place in range(64)]
    loss = made.loss(zero, torch.arange(64)[None], generators)
    assert loss.shape == (1, 64)
    assert float(loss.mean()) == pytest.approx(1.0, rel=0.05)
    assert torch.equal(made.validation_score(zero), made.validation_score(zero))
