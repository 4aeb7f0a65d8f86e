from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nextscan.errors import CohortError
from nextscan.reading import read_cohort

FRAME = pd.DataFrame({
    "subject": ["01", "01", "02", "03"],
    "visit": ["bl", "fu", "bl", "bl"],
    "scan_date": pd.to_datetime(["2015-02-01", "2017-02-01", "2016-05-01", "2016-06-01"]),
    "group": pd.Categorical(["patient", "patient", "control", None]),
    "hippo": pd.array([3900, 3805, None, 4011], dtype="Int64"),
    "thick": [2.51, 2.44, 2.6, np.nan],
    "qc": [True, False, True, True],
})  # fmt: skip


def test_a_frame_is_read_as_a_file_of_the_same_content(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "frame.csv", index=False)
    frame, file = read_cohort(FRAME), read_cohort(tmp_path / "frame.csv")
    pd.testing.assert_frame_equal(frame.to_frame(), file.to_frame())
    assert (frame.source, frame.name) == ("DataFrame", "DataFrame")


@pytest.mark.parametrize("levels", [["subject"], ["subject", "visit"]])
def test_names_of_the_index_are_columns(levels: list[str]) -> None:
    same = read_cohort(FRAME.set_index(levels))
    pd.testing.assert_frame_equal(same.to_frame(), read_cohort(FRAME).to_frame(), check_like=True)


def test_an_index_of_texts_without_a_name_holds_the_subjects() -> None:
    frame = FRAME[FRAME["visit"] == "bl"].drop(columns="visit").set_index("subject").rename_axis(None)
    cohort = read_cohort(frame)
    assert cohort.subjects.tolist() == ["01", "02", "03"]
    assert "DataFrame: subject: the index, which has no name" in cohort.notes


def test_numbers_of_a_filtered_frame_are_no_subjects() -> None:
    assert read_cohort(FRAME[FRAME["visit"] == "bl"]).subjects.tolist() == ["01", "02", "03"]


def test_a_category_of_numbers_is_a_label() -> None:
    frame = FRAME.assign(kind=pd.Categorical([5, 5, 7, 9]))
    cohort = read_cohort(frame)
    assert "kind" in cohort.labels
    assert "kind" not in cohort.feature_names


def test_arrow_tables_texts_of_numbers_and_what_cannot_be_a_cell() -> None:
    table = pa.table({"id": ["a", "b"], "x": ["2,5", "NA"], "y": [1.5, 2.5], "z": [[1, 2], [3]]})
    cohort = read_cohort(table)
    assert cohort.feature_names == ("x", "y")
    np.testing.assert_array_equal(cohort.features, [[2.5, 1.5], [np.nan, 2.5]])
    assert any("cells hold several values: z" in note for note in cohort.notes)


def test_frames_serve_as_pools(tmp_path: Path) -> None:
    pool = pd.DataFrame({"subject": ["p1", "p2"], "hippo": [3500.0, 3600.0], "thick": [2.3, 2.4]})
    assert read_cohort(FRAME, unpaired=pool).n_subjects == 5
    assert read_cohort(FRAME, unpaired=[pool, pool.assign(subject=["q1", "q2"], hippo=[3.0, 4.0])]).n_subjects == 7


def test_columns_with_levels_and_empty_frames_are_refused() -> None:
    with pytest.raises(CohortError, match="names of columns have 2 levels"):
        read_cohort(pd.DataFrame({("a", "b"): [1], ("a", "c"): [2]}))
    with pytest.raises(CohortError, match="0 rows"):
        read_cohort(FRAME.iloc[:0])
