"""A small finished run."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import tiny_cohort
from study.shift_imputer import Shift


@pytest.fixture
def fits() -> list[int]:
    """Return the list of seeds `Shift` was fitted with, emptied."""
    Shift.fits.clear()
    return Shift.fits


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small finished run; do not change it."""
    from nextscan.study import evaluate

    return evaluate(
        tiny_cohort(),
        {"near": Shift(), "far": Shift(offset=1.0)},
        out=tmp_path_factory.mktemp("runs") / "small",
        n_folds=3,
        repeats=2,
        seeds=2,
        draws=9,
        save_draws=True,
    )
