"""Networks without a replica axis: the same loop, in large steps made of small batches, in few bits."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nextscan.errors import SettingError, TrainingError
from nextscan.training import ClipAndSkip, Plain, TrainingResult, TrainingSettings, train
from training import plain_toy, toy
from training.plain_toy import Network, Volumes


def losses(result: TrainingResult) -> Tensor:
    return torch.tensor([row["train_loss"][0] for row in result.history])


def test_learns_and_keeps_plain_shapes() -> None:
    network = Network()
    result = plain_toy.run(network, epochs=30, average=0.9)
    assert {name: value.shape for name, value in result.best.items()} == {
        name: value.shape for name, value in network.named_parameters()
    }
    # Without the volumes the best guess is 0, at an error of 0.33; with the noise left in place it is 1.
    assert -0.25 < result.best_score[0] < -0.05
    network.load_state_dict(result.best)
    with torch.no_grad():
        score = Volumes().validation_score(network)
    assert result.best_score[0] == pytest.approx(float(score), rel=1e-6)


class WithoutAxis(toy.Toy):
    """The problem of the replica tests, for the network of replica 0 alone."""

    def loss(self, network: nn.Module, examples: Tensor, generators: list[torch.Generator]) -> Tensor:
        return (network(self.x[examples]) - self.y[examples]).pow(2).mean(-1)

    def validation_score(self, network: nn.Module) -> Tensor:
        return -(network(self.x) - self.y).pow(2).mean().detach()[None]


class WithAxis(WithoutAxis):
    def validation_score(self, network: nn.Module) -> Tensor:
        return toy.Toy.validation_score(self, network)


@pytest.mark.parametrize("average", [None, 0.9])
def test_equals_one_replica(average: float | None) -> None:
    """Whole batches, so that shuffles do not matter: every step must be that of a network with the axis."""
    replicated = toy.network(5)
    plain = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        for layer in (0, 2):
            plain[layer].weight.copy_(replicated[layer].weight[0])
            plain[layer].bias.copy_(replicated[layer].bias[0].reshape(-1))
    settings = TrainingSettings(
        epochs=40, batch_size=50, learning_rate=0.05, weight_decay=0.1, average=average, policy=ClipAndSkip(0.5, 100.0)
    )
    one = train(replicated, WithAxis(), settings, seeds=[5])
    two = train(plain, WithoutAxis(), settings, seeds=[5], replicas=False)
    torch.testing.assert_close(losses(one), losses(two), rtol=1e-9, atol=0)
    torch.testing.assert_close(one.best["0.weight"][0], two.best["0.weight"], rtol=1e-8, atol=1e-10)
    assert [r["clipped"] for r in one.history] == [r["clipped"] for r in two.history]
    assert sum(r["clipped"][0] for r in one.history) > 0


@pytest.mark.parametrize("average", [None, 0.9])
def test_resumes_bit_for_bit(tmp_path: Path, average: float | None) -> None:
    settings = {"average": average, "accumulate": 2, "batch_size": 4, "warmup_steps": 5, "epochs": 6}
    whole = plain_toy.run(**settings)

    class Killed(Volumes):
        calls = 0

        def validation_score(self, network: nn.Module) -> Tensor:
            self.calls += 1
            if self.calls == 6:  # two before the first epoch, then one each
                raise KeyboardInterrupt
            return super().validation_score(network)

    with pytest.raises(KeyboardInterrupt):
        plain_toy.run(problem=Killed(), file=tmp_path / "a.ckpt", **settings)
    resumed = plain_toy.run(Network(seed=9), file=tmp_path / "a.ckpt", **settings)
    assert torch.equal(losses(whole), losses(resumed))
    for name, value in whole.best.items():
        assert torch.equal(value, resumed.best[name]), name


@pytest.mark.parametrize(("accumulate", "batch_size"), [(2, 4), (8, 1), (3, 3)])
def test_small_batches_make_the_same_step_as_a_large_one(accumulate: int, batch_size: int) -> None:
    """21 examples: the last step is short, and its batches are uneven."""
    one = plain_toy.run(epochs=5, batch_size=accumulate * batch_size)
    many = plain_toy.run(epochs=5, batch_size=batch_size, accumulate=accumulate)
    torch.testing.assert_close(losses(one), losses(many), rtol=1e-5, atol=0)
    for name, value in one.best.items():
        torch.testing.assert_close(value, many.best[name], rtol=1e-3, atol=1e-5)


def test_small_batches_of_replicas_make_the_same_step() -> None:
    settings = {"learning_rate": 0.02, "epochs": 5}
    one = train(toy.network(1, 2), WithAxis(), TrainingSettings(batch_size=16, **settings), seeds=[1, 2])
    many = train(toy.network(1, 2), WithAxis(), TrainingSettings(batch_size=5, accumulate=4, **settings), seeds=[1, 2])
    other = train(toy.network(1, 2), WithAxis(), TrainingSettings(batch_size=20, **settings), seeds=[1, 2])
    torch.testing.assert_close(losses(many), losses(other), rtol=1e-12, atol=0)
    assert not torch.allclose(losses(many), losses(one))


@pytest.mark.parametrize(("length", "steps"), [(8, 2), (21, 6), (50, 13)])
def test_length_of_an_epoch(length: int, steps: int) -> None:
    seen: list[int] = []

    class Counting(Volumes):
        def loss(self, network: nn.Module, examples: Tensor, generators: list[torch.Generator]) -> Tensor:
            seen.extend(examples[0].tolist())
            return super().loss(network, examples, generators)

    result = plain_toy.run(
        problem=Counting(), epochs=2, batch_size=4, examples_per_epoch=length, policy=ClipAndSkip(1.0, 9.0)
    )
    assert result.history[-1]["step"] == 2 * steps
    first, second = seen[-2 * length : -length], seen[-length:]
    assert first != second
    for epoch in (first, second):
        counts = [epoch.count(example) for example in range(21)]
        assert max(counts) - min(counts) <= 1  # whole shuffles, the last one cut short


def test_learning_rate_rises_and_falls() -> None:
    settings = TrainingSettings(learning_rate=2.0, warmup_steps=4, decay="cosine")
    rates = [settings.rate(step, 12) for step in range(12)]
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert rates[8] == pytest.approx(1.0)  # half way down
    assert all(a > b > 0 for a, b in pairwise(rates[4:]))
    assert TrainingSettings(learning_rate=2.0).rate(11, 12) == 2.0


def test_the_rate_is_used() -> None:
    """Adam's first steps have the length of the rate, whatever the gradient."""
    moved = {}
    for warmup in (0, 10):
        network = Network()
        before = network.outer.bias.detach().clone()
        train(
            network,
            Volumes(),
            TrainingSettings(epochs=1, batch_size=21, learning_rate=0.01, warmup_steps=warmup),
            seeds=[3],
            replicas=False,
        )
        moved[warmup] = float((network.outer.bias.detach() - before).abs())
    assert moved[0] == pytest.approx(0.01, rel=1e-3)
    assert moved[10] == pytest.approx(0.001, rel=1e-3)


def test_bfloat16_with_recomputation_and_accumulation() -> None:
    """All memory savers at once: the master weights stay float32 and the loss is close to the exact one."""
    exact = plain_toy.run(epochs=6)
    recomputed = plain_toy.run(Network(recompute=True), epochs=6, batch_size=4, accumulate=2)
    torch.testing.assert_close(losses(exact), losses(recomputed), rtol=1e-5, atol=0)
    dtypes = set()

    class Spying(Volumes):
        def loss(self, network: nn.Module, examples: Tensor, generators: list[torch.Generator]) -> Tensor:
            dtypes.add(network(self.x[:1]).dtype)
            return super().loss(network, examples, generators)

    network = Network(recompute=True)
    short = plain_toy.run(network, problem=Spying(), epochs=6, batch_size=4, accumulate=2, precision="bfloat16")
    assert dtypes == {torch.bfloat16}
    assert {value.dtype for value in short.best.values()} == {torch.float32}
    assert {p.grad.dtype for p in network.parameters()} == {torch.float32}
    torch.testing.assert_close(losses(exact), losses(short), rtol=0.02, atol=0)
    assert not torch.equal(losses(exact), losses(short))


def test_a_batch_that_is_not_finite_spoils_its_step_only() -> None:
    class Broken(Volumes):
        def loss(self, network: nn.Module, examples: Tensor, generators: list[torch.Generator]) -> Tensor:
            return super().loss(network, examples, generators) * torch.where(examples == 4, torch.nan, 1.0)

    result = plain_toy.run(problem=Broken(), epochs=3, batch_size=2, accumulate=3, policy=Plain())
    assert [row["skipped"] for row in result.history] == [[1], [1], [1]]
    assert torch.isfinite(losses(result)).all()
    assert all(torch.isfinite(value).all() for value in result.best.values())


def test_parameters_that_are_held_fixed_stay_and_are_left_out() -> None:
    network = Network()
    network.inner.requires_grad_(False)
    before = network.inner[0].weight.detach().clone()
    result = plain_toy.run(network, epochs=2)
    assert set(result.best) == {"outer.weight", "outer.bias"}
    assert torch.equal(network.inner[0].weight, before)


def test_what_cannot_be_trained_is_refused() -> None:
    for wrong in ({"accumulate": 0}, {"examples_per_epoch": 0}, {"decay": "step"}, {"precision": "float16"}):
        with pytest.raises(SettingError, match=next(iter(wrong))):
            TrainingSettings(**wrong)
    with pytest.raises(SettingError, match="warmup_steps"):
        TrainingSettings(warmup_steps=-1)
    with pytest.raises(SettingError, match="one seed, got 2"):
        train(Network(), Volumes(), TrainingSettings(), seeds=[1, 2], replicas=False)
    network = Network()
    network.inner[1] = nn.BatchNorm3d(8)
    with pytest.raises(SettingError, match=r"inner\.1 keeps running statistics"):
        train(network, Volumes(), TrainingSettings(), seeds=[1], replicas=False)
    with pytest.raises(SettingError, match="no parameter"):
        train(Network().requires_grad_(False), Volumes(), TrainingSettings(), seeds=[1], replicas=False)
    network = Network()
    network.idle = nn.Linear(2, 2)
    with pytest.raises(TrainingError, match=r"idle\.weight, idle\.bias took no part in the loss"):
        train(network, Volumes(), TrainingSettings(), seeds=[1], replicas=False)
