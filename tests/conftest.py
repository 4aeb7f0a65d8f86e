"""Fixtures for all tests."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from nextscan.cohort import Cohort
from nextscan.reading import read_cohort
from samples import tiny_cohort

Read = Callable[..., Cohort]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left alone with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("minutes")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """Look less often for garbage, and never among what was imported and collected: it takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a table (and a schema), and reads the cohort."""

    def write_and_read(table: str, name: str = "study.csv", *, schema: str | None = None, **options: object) -> Cohort:
        (tmp_path / name).write_text(table)
        if schema is not None:
            (tmp_path / "schema.toml").write_text(schema)
        return read_cohort(tmp_path / name, None if schema is None else tmp_path / "schema.toml", **options)

    return write_and_read
