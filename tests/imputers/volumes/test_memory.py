"""Memory of training: the estimate against what was measured, and what is said when it runs out."""

from pathlib import Path

import pytest

import nextscan
from image_samples import bids
from nextscan.cli.main import run
from nextscan.errors import NextscanWarning, NotEnoughMemoryError, is_out_of_memory
from nextscan.imputers.volumes import memory
from nextscan.imputers.volumes.memory import Footprint, free_gib, plan
from nextscan.networks.volume_conv import VolumeConvNet
from nextscan.networks.volume_unet import VolumeUNet

CPU = "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: tried to allocate 1"
TINY = {"epochs": 1, "channels": (8, 16), "attention": (False, False), "examples_per_epoch": 2}
DEFAULT = {"batch_size": 4, "channels": (16, 32, 64), "patch": 2, "mean_channels": (8, 32)}
UNET = {"shape": (64, 80, 64), "batch_size": 2, "channels": (16, 32, 64)}
MEAN = {"shape": (64, 80, 64), "batch_size": 2, "channels": (), "mean_channels": (8, 32)}
ONE, ONE_MEAN = UNET | {"batch_size": 1}, MEAN | {"batch_size": 1}


@pytest.mark.parametrize(
    ("measured", "what"),
    [  # the table in the README, and two fits of the default method
        (0.79, ONE_MEAN | {"shape": (96, 112, 96)}),
        (1.70, ONE_MEAN | {"shape": (128, 160, 128)}),
        (0.64, ONE | {"patch": 2, "shape": (96, 112, 96)}),
        (1.30, ONE | {"patch": 2, "shape": (128, 160, 128)}),
        (0.85, ONE | {"patch": 2, "shape": (128, 160, 128), "bfloat16": True, "checkpointing": True}),
        (1.91, ONE | {"shape": (80, 96, 80)}),
        (2.08, UNET),
        (1.64, UNET | {"checkpointing": True}),
        (1.32, UNET | {"bfloat16": True}),
        (1.12, UNET | {"bfloat16": True, "checkpointing": True}),
        (0.43, UNET | {"patch": 2}),
        (0.29, UNET | {"patch": 2, "bfloat16": True, "checkpointing": True}),
        (0.57, MEAN),
        (0.35, MEAN | {"bfloat16": True}),
        (1.12, UNET | {"patch": 2, "mean_channels": (8, 32), "batch_size": 4}),
        (
            1.92,
            UNET | {"patch": 2, "mean_channels": (8, 32), "batch_size": 4, "bfloat16": True, "shape": (96, 112, 96)},
        ),
        (21.0, {"shape": (128, 160, 128), "batch_size": 1, "channels": (32, 64, 128, 256), "n_residual": 2}),
    ],
)
def test_the_estimate_is_near_what_was_measured(measured: float, what: dict) -> None:
    assert 1 / 1.12 < Footprint(**what).gib / measured < 1.12


def test_what_does_not_fit_comes_with_switches_that_do() -> None:
    need = Footprint((176, 208, 176), 4, (16, 32, 64), patch=1)
    said, cure = plan(need, (1.0, 1.0, 1.0), 12.0)
    assert said.startswith("grid 176 x 208 x 176 at 1 x 1 x 1 mm: training takes about ")
    assert "12.0 GiB are free" in said
    assert cure.startswith("--set ")
    assert "spacing=2.5,2.5,2.5" in cure or "spacing=2,2,2" in cure
    assert plan(need, (1.0, 1.0, 1.0), 1000.0)[1] == plan(need, (1.0, 1.0, 1.0), None)[1] == ""


def test_a_suggested_spacing_fits() -> None:
    need = Footprint((176, 208, 176), 4, (16, 32, 64), patch=2, mean_channels=(8, 32), bfloat16=True)
    for free in (0.5, 1.0, 3.0, 10.0):
        name, coarser = memory._coarser(need, (1.0, 1.0, 1.0), free)
        assert coarser.gib <= free, (free, name)


def test_memory_of_this_machine_is_known() -> None:
    free = free_gib()
    assert free is None or 0 < free < 2**15


class OutOfMemoryError(RuntimeError):
    """Named as that of torch."""


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(CPU),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        MemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.05 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_memory_that_runs_out_is_known_whoever_says_so(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes"), ValueError("out of memory"), OSError("disk")])
def test_other_errors_are_others(error: Exception) -> None:
    assert not is_out_of_memory(error)


def failing(error: Exception):
    def forward(*_: object, **__: object) -> None:
        raise error

    return forward


@pytest.mark.parametrize("error", [RuntimeError(CPU), MemoryError(), OutOfMemoryError("CUDA out of memory.")])
def test_training_that_runs_out_names_the_switches(tmp_path: Path, monkeypatch, error: Exception) -> None:
    cohort = nextscan.read_cohort(bids(tmp_path / "brains"))
    monkeypatch.setattr(VolumeConvNet, "forward", failing(error))
    with pytest.raises(NotEnoughMemoryError, match=r"training: not enough memory; --set .*batch_size=1") as caught:
        nextscan.VolumeDiffusion(**TINY, patch=1, shape=(64, 64, 64)).fit(cohort)
    for switch in ("precision=bfloat16", "patch=2", "checkpointing=true", "spacing="):
        assert switch in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_ends_with_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    bids(tmp_path / "brains")
    monkeypatch.setattr(VolumeConvNet, "forward", failing(RuntimeError(CPU)))
    settings = ["--set", "epochs=1", "--set", "channels=8,16", "--set", "attention=false,false"]
    assert run(["fit", "brains", "--out", "model", *settings]) == 2
    error = capsys.readouterr().err
    assert "error: training: not enough memory; --set " in error
    assert "report it" not in error
    assert "grid 16 x" in error or "GiB (within a quarter)" in error  # told before the training


@pytest.mark.minutes
def test_too_large_a_grid_is_told_before_the_training(tmp_path: Path, monkeypatch) -> None:
    cohort = nextscan.read_cohort(bids(tmp_path / "brains"))
    monkeypatch.setattr("nextscan.imputers.volumes.learned.free_gib", lambda device: 0.101)
    with pytest.warns(NextscanWarning, match=r"0.1 GiB are free; --set .* takes "):
        nextscan.VolumeDiffusion(**TINY).fit(cohort)


def test_other_errors_of_training_are_left_as_they_are(tmp_path: Path, monkeypatch) -> None:
    cohort = nextscan.read_cohort(bids(tmp_path / "brains"))
    monkeypatch.setattr(VolumeConvNet, "forward", failing(RuntimeError("shapes do not fit")))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        nextscan.VolumeDiffusion(**TINY).fit(cohort)


@pytest.mark.minutes
def test_drawing_that_runs_out_is_one_line(tmp_path: Path, monkeypatch) -> None:
    cohort = nextscan.read_cohort(bids(tmp_path / "brains"))
    model = nextscan.VolumeDiffusion(**TINY).fit(cohort)
    monkeypatch.setattr(VolumeUNet, "forward", failing(RuntimeError(CPU)))
    with pytest.raises(NotEnoughMemoryError, match="imputing sub-03: not enough memory"):
        model.impute(cohort, 2, missing_labels="ignore")[0]
