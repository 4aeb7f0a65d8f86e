"""Tables written and read in one go."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nextscan.cohort import Cohort, read_cohort

Read = Callable[..., Cohort]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a table (and a schema), and reads the cohort."""

    def write_and_read(table: str, name: str = "study.csv", *, schema: str | None = None, **options: object) -> Cohort:
        (tmp_path / name).write_text(table)
        if schema is not None:
            (tmp_path / "schema.toml").write_text(schema)
        return read_cohort(tmp_path / name, None if schema is None else tmp_path / "schema.toml", **options)

    return write_and_read
