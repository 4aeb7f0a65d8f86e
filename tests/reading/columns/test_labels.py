import numpy as np
import pandas as pd
import pytest

from nextscan.reading.columns.labels import as_label, conflict, label_name


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (["M", "F"], [0.0, 1.0], "F/M against 0/1"),
        (["M", "F"], ["male", "female"], ""),
        (["M", "F"], ["m", "Female"], ""),
        ([0.0, 1.0], [1.0, 2.0], "0/1 against 1/2"),
        (["HC", "MDD"], ["control", "patient"], "HC/MDD against control/patient"),
        (["M"], ["F"], ""),
        (["M", "F"], ["M", None], ""),
        ([0.0, 1.0], [1.0, 1.0], ""),
        ([1.5, 2.5], [3.5, 4.5], ""),
        ([None, None], ["x", "y"], ""),
        (list(map(float, range(11))), list(map(float, range(5, 30))), ""),
    ],
)
def test_codings_that_conflict(first: list, second: list, clash: str) -> None:
    assert conflict("sex", pd.Series(first), pd.Series(second)) == clash


def test_sites_and_quantities_are_never_codes() -> None:
    assert conflict("site", pd.Series(["A", "B"]), pd.Series(["C", "D"])) == ""
    assert conflict("age", pd.Series([60.0, 61.0]), pd.Series([20.0, 21.0])) == ""
    assert conflict("age", pd.Series([60.0, 61.0]), pd.Series(["old", "young"])) == "60/61 against old/young"


def test_labels_are_numbers_if_all_values_are() -> None:
    numbers = as_label(np.array(["1", None, "2.5"], dtype=object))
    words = as_label(np.array(["1", None, "x"], dtype=object))
    np.testing.assert_array_equal(numbers, [1, np.nan, 2.5])
    assert words[[0, 2]].tolist() == ["1", "x"]
    assert words.isna().tolist() == [False, True, False]


def test_known_labels_are_in_lower_case() -> None:
    assert [label_name(name) for name in ("SEX", "Field Strength", "WardName")] == [
        "sex",
        "field_strength",
        "WardName",
    ]
