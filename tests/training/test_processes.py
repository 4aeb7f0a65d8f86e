"""Several processes train one network: the same curve as one, the same resume, and none left waiting."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from nextscan.errors import SettingError
from nextscan.training import TrainingSettings, together, train
from nextscan.training.processes import Processes
from training import plain_toy, toy

# Two processes add the same gradients in another order, in float32: the tolerance of the loss after each of
# the first epochs. Adam and the skip rule amplify rounding, so that long runs drift.
TOLERANCE = 1e-5


def start(out: Path, cases: list[dict[str, Any]], *, size: int) -> list[subprocess.Popen[str]]:
    """Start the processes as torchrun would, each an own child that can be killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(size):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, **{name: str(value) for name, value in place.items()}, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, plain_toy.__file__, str(out), json.dumps(cases)]
        started.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    return started


def finish(started: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Return exit status and output of each process; one that stands still (not: that starts slowly) fails the test."""
    ended = []
    try:
        for process in started:
            text, _ = process.communicate(timeout=300)
            ended.append((process.returncode, text))
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return ended


def outcomes(out: Path, *, size: int) -> list[list[dict[str, Any]]]:
    return [torch.load(f"{out}-{rank}", weights_only=True) for rank in range(size)]


def assert_same_curve(one: dict[str, Any], other: dict[str, Any]) -> None:
    for name in ("train_loss", "validation_score", "thresholds"):
        torch.testing.assert_close(torch.tensor(one[name]), torch.tensor(other[name]), rtol=TOLERANCE, atol=0)
    assert one["skipped"] == other["skipped"]


def assert_identical(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["train_loss"] == other["train_loss"]
    assert one["validation_score"] == other["validation_score"]
    for name, value in one["best"].items():
        assert torch.equal(value, other["best"][name]), name


# Steps of 8 out of 21 examples, the last of 5: shares are uneven, and so are the batches within them.
CURVE = {"batch_size": 8, "average": 0.9}
ACCUMULATED = {"batch_size": 2, "accumulate": 4, "average": 0.9}
LONG = {**ACCUMULATED, "epochs": 30}
UNSHARED = {"batch_size": 4, "epochs": 2}  # the last step of an epoch has one example
BROKEN = {**CURVE, "broken": True}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str]]]:
    """The checkpoint of two processes of which one was killed, and how both ended."""
    folder = tmp_path_factory.mktemp("killed")
    file = folder / "a.ckpt"
    started = start(folder / "out", [{**LONG, "file": str(file)}], size=2)
    deadline = time.monotonic() + 300
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.Random(3).uniform(0.05, 0.15))
    started[0].send_signal(signal.SIGKILL)
    return file, finish(started)  # the other one ends by itself: its connection is gone


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, killed: tuple[Path, Any]) -> list[list[dict[str, Any]]]:
    """What two processes found for several cases, one after the other, under torchrun itself."""
    folder = tmp_path_factory.mktemp("two")
    damaged = folder / "damaged.ckpt"
    damaged.write_bytes(b"no checkpoint")
    cases = [BROKEN, {**CURVE, "file": str(damaged)}, CURVE, ACCUMULATED, LONG, {**CURVE, "batch_size": 1}, UNSHARED]
    resumed = {**LONG, "file": str(killed[0])}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [plain_toy.__file__, str(folder / "out"), json.dumps([*cases, resumed])]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return outcomes(folder / "out", size=2)


@pytest.mark.minutes
def test_two_processes_give_the_curve_of_one(two: list[list[dict[str, Any]]]) -> None:
    one = plain_toy.outcome(**CURVE)
    for case in (2, 3):
        first, second = two[0][case], two[1][case]
        assert_same_curve(one, first)
        assert_identical(first, second)
        for name, value in first["best"].items():
            torch.testing.assert_close(value, one["best"][name], rtol=1e-3, atol=1e-5)


@pytest.mark.minutes
def test_an_error_in_one_process_reaches_all(two: list[list[dict[str, Any]]]) -> None:
    """... and leaves them fit for what comes next: the other cases ran afterwards."""
    assert two[1][0]["error"] == "sub-03 ses-02: the image cannot be read"
    assert two[0][0]["error"] == "process 1 of 2 stopped: sub-03 ses-02: the image cannot be read"
    for found in two:
        assert "damaged.ckpt: cannot be read as a checkpoint" in found[1]["error"]
        assert found[5]["error"].startswith("a step of 1 examples cannot be shared among 2 processes")


@pytest.mark.minutes
def test_a_process_without_a_share_takes_part(two: list[list[dict[str, Any]]]) -> None:
    for found in two:
        assert_same_curve(plain_toy.outcome(**UNSHARED), found[6])


@pytest.mark.minutes
def test_killed_processes_resume_bit_for_bit(killed: tuple[Path, Any], two: list[list[dict[str, Any]]]) -> None:
    _, ended = killed
    assert [status == 0 for status, _ in ended] == [False, False], ended
    for found in two:
        assert_identical(two[0][4], found[7])


def test_alone_nothing_happens() -> None:
    with together() as here:
        assert (here.rank, here.size, here.is_first) == (0, 1, True)
        assert here.device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert not torch.distributed.is_initialized()


def test_what_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from nextscan.training import batches, loop

    shared = {"seeds": [1], "replicas": False, "device": torch.device("cpu")}
    with pytest.raises(SettingError, match="a step of 2 examples cannot be shared among 3 processes"):
        batches.Batches(9, TrainingSettings(batch_size=2), processes=Processes(0, 3), **shared)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=r"WORLD_SIZE is 2, but RANK and .* is not set: start .* with torchrun"):
        plain_toy.run()
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(SettingError, match="WORLD_SIZE must be a whole number, got 'two'"):
        plain_toy.run()

    class Two:
        def __enter__(self) -> Processes:
            return Processes(0, 2)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(loop, "together", Two)
    with pytest.raises(SettingError, match="replica axis train in one process, but torchrun started 2"):
        train(toy.network(1, 2), toy.Toy(), TrainingSettings(), seeds=[1, 2])
