"""Fixtures for all tests."""

from pathlib import Path

import pytest

from nextscan.cohort import Cohort
from samples import tiny_cohort


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with real data, or skip: it is not part of the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is not here")
    return folder


@pytest.fixture
def cohort() -> Cohort:
    """Return a small cohort, made anew for each test."""
    return tiny_cohort()
