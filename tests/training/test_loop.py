"""The loop: learns, repeats, resumes bit for bit, keeps the best, and treats seeds as an axis."""

import dataclasses
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nextscan.errors import SettingError, TrainingError
from nextscan.training import Plain, TrainingSettings, settings_document, train
from training import toy


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_learns_the_linear_map() -> None:
    result = toy.run([1], epochs=150)
    assert result.best_score[0] > -0.02
    assert result.history[0]["train_loss"][0] > 10 * result.history[-1]["train_loss"][0]


def test_seed_equals_the_seed_alone() -> None:
    together = toy.run([4, 9, 2], epochs=13)  # 13 epochs of 4 steps: more than 50 steps
    alone = toy.run([9], epochs=13)
    for name, tensor in alone.best.items():
        torch.testing.assert_close(together.best[name][1:2], tensor, rtol=0, atol=1e-5)
    np.testing.assert_allclose(together.thresholds[:, 1], alone.thresholds[:, 0])
    assert [r["skipped"] for r in together.learning(1)] == [r["skipped"] for r in alone.learning(0)]
    assert not torch.allclose(together.best["0.weight"][0], together.best["0.weight"][1])


@pytest.mark.parametrize("average", [None, 0.9])
def test_resumes_bit_for_bit(tmp_path: Path, average: float | None) -> None:
    whole = toy.run([1, 2], epochs=8, average=average)
    toy.run([1, 2], epochs=5, average=average, checkpoint=tmp_path / "a.ckpt")
    resumed = toy.run([1, 2], epochs=8, average=average, checkpoint=tmp_path / "a.ckpt")
    assert same(whole.best, resumed.best)
    assert [row["train_loss"] for row in whole.history] == [row["train_loss"] for row in resumed.history]


@pytest.mark.minutes
def test_survives_kill_at_any_moment(tmp_path: Path) -> None:
    checkpoint = tmp_path / "killed.ckpt"
    clock = random.Random(3)
    epochs = 400
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, toy.__file__, str(checkpoint), str(epochs)], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()  # training has begun
        time.sleep(clock.uniform(0.02, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert checkpoint.exists()
    resumed = toy.run([1, 2], epochs=epochs, average=0.9, checkpoint=checkpoint)
    assert same(resumed.best, toy.run([1, 2], epochs=epochs, average=0.9).best)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    toy.run([1], epochs=2, checkpoint=tmp_path / "a.ckpt")
    with pytest.raises(TrainingError, match="other data, settings or seeds"):
        train(toy.network(1), toy.Toy(), TrainingSettings(epochs=3), seeds=[1], checkpoint=tmp_path / "a.ckpt")


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    toy.run([1], epochs=2, checkpoint=file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(TrainingError, match="cannot be read as a checkpoint"):
        toy.run([1], epochs=3, checkpoint=file)


class Overfitting(toy.Toy):
    """The validation score is best after the second epoch; the first call scores the untrained network."""

    def __init__(self, best_at: int = 2) -> None:
        super().__init__()
        self.scores = iter([-abs(call - best_at) - 1.0 for call in [0, 0, *range(1, 100)]])
        self.seen: list[Tensor] = []

    def validation_score(self, network: nn.Module) -> Tensor:
        self.seen.append(network[0].weight.detach().clone())
        return torch.tensor([next(self.scores)])


def test_keeps_the_best_epoch_and_stops_after_patience() -> None:
    problem = Overfitting()
    result = train(toy.network(1), problem, TrainingSettings(epochs=50, patience=4), seeds=[1])
    assert result.best_epoch.tolist() == [2]
    assert len(result.history) == 2 + 4
    assert torch.equal(result.best["0.weight"], problem.seen[3])  # two calls before the first epoch


def test_untrained_network_is_kept_if_training_never_helps() -> None:
    problem = Overfitting(best_at=0)
    untrained = toy.network(1)[0].weight.detach().clone()
    result = train(toy.network(1), problem, TrainingSettings(epochs=50, patience=3), seeds=[1])
    assert result.best_epoch.tolist() == [0]
    assert torch.equal(result.best["0.weight"], untrained)


def test_without_patience_all_epochs_are_made_and_the_last_is_kept() -> None:
    problem = Overfitting()
    result = train(toy.network(1), problem, TrainingSettings(epochs=10, patience=None), seeds=[1])
    assert result.best_epoch.tolist() == [10]
    assert torch.equal(result.best["0.weight"], problem.seen[-1])


class Diverging(toy.Toy):
    """Losses are not a number in some steps."""

    def __init__(self, which: int) -> None:
        super().__init__()
        self.which, self.calls = which, 0

    def loss(self, network: nn.Module, examples: Tensor, generators: list[torch.Generator]) -> Tensor:
        self.calls += 1
        loss = super().loss(network, examples, generators)
        return loss * torch.nan if self.which == 0 or self.calls % self.which == 0 else loss


def test_steps_that_are_not_finite_are_skipped_and_counted() -> None:
    result = train(toy.network(1), Diverging(3), TrainingSettings(epochs=3, batch_size=5, policy=Plain()), seeds=[1])
    assert all(torch.isfinite(tensor).all() for tensor in result.best.values())
    assert result.skipped_fraction(0) == pytest.approx(1 / 3, abs=0.04)
    assert np.isfinite([row["train_loss"][0] for row in result.history]).all()


def test_gives_up_when_every_step_is_skipped() -> None:
    with pytest.raises(TrainingError, match="epoch 1: all 4 steps were skipped for seed 1"):
        train(toy.network(1), Diverging(0), TrainingSettings(epochs=3, batch_size=16), seeds=[1])


def test_progress_tells_estimate_epochs_and_end() -> None:
    told: list[dict[str, object]] = []
    train(
        toy.network(1),
        toy.Toy(),
        TrainingSettings(epochs=3),
        seeds=[1],
        progress=lambda row: told.append(dict(row)),
    )
    assert [row["phase"] for row in told] == ["estimate", "training", "training", "training", "done"]
    assert told[0]["remaining_seconds"] > 0
    assert told[3]["remaining_seconds"] == 0
    assert told[2]["epoch"] == 2


def test_settings_are_checked_and_recorded() -> None:
    with pytest.raises(SettingError, match="patience"):
        TrainingSettings(patience=0)
    with pytest.raises(SettingError, match="replica axis"):
        train(toy.network(1), toy.Toy(), TrainingSettings(), seeds=[1, 2])
    document = settings_document(dataclasses.replace(TrainingSettings(), epochs=7))
    assert (document["epochs"], document["policy"]) == (7, {"kind": "Plain"})
