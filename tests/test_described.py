from pathlib import Path

import pandas as pd
import pytest

import nextscan
from nextscan.errors import CohortError

FRAME = pd.DataFrame({
    "subject": ["A", "A", "B"], "age": [60, 62.5, 71.0], "hippocampus": [3800.5, 3700.5, 3500.5]
})  # fmt: skip


def test_a_cohort_a_frame_and_a_path_are_described_alike(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "DataFrame.csv", index=False)
    cohort = nextscan.read_cohort(FRAME)
    facts = [nextscan.describe(given).facts for given in (cohort, FRAME, tmp_path / "DataFrame.csv")]
    assert facts[0] == facts[1] == facts[2]
    assert facts[0]["visits"]["per_subject"] == {1: 1, 2: 1}


def test_the_pool_is_passed_on() -> None:
    with pytest.raises(CohortError, match="no subject named C"):
        nextscan.describe(FRAME, pool=["C"])
