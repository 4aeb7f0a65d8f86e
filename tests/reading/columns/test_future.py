import numpy as np
import pandas as pd
import pytest

from nextscan.reading.columns.future import future_labels
from nextscan.reading.columns.visits import VisitRows

POSITION = np.array([0, 0, 1, 1, 2, 2, 3])
DX = pd.DataFrame({"dx": ["CN", "MCI", "MCI", "AD", "CN", "CN", "AD"]})


def found(name: str, values: list[object], of_visit: pd.DataFrame | None = None, position: np.ndarray = POSITION):
    visits = pd.DataFrame(index=range(len(position))) if of_visit is None else of_visit
    n = len(position)
    nobody = np.array([str(i) for i in position], dtype=object)
    rows = VisitRows(
        "t.csv", nobody, None, np.zeros(n), "", np.zeros((n, 0)), (), visits, np.arange(n), lambda row: f"line {row}"
    )
    return future_labels(rows, pd.DataFrame({name: values}), visits, position)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Group", ["Nondemented", "Converted", "Demented", "Nondemented"]),
        ("class", ["sMCI", "pMCI", "sMCI", "CN"]),
        ("path", ["MCI to AD", "stable", "stable", "stable"]),
        ("dx_last", ["MCI", "AD", "CN", "AD"]),
        ("diagnosis at final visit", ["MCI", "AD", "CN", "AD"]),
        ("hip_pct_change", [-3.1, -0.4, -2.2, -1.0]),
        ("atrophy_rate", [-3.1, -0.4, -2.2, -1.0]),
        ("converter", [0.0, 1.0, 0.0, 0.0]),
        ("DX_m24", ["MCI", "AD", "CN", "AD"]),
        ("outcome3", ["non-converter", "converter", "non-converter", "non-converter"]),
    ],
)
def test_labels_that_tell_what_became_of_people(name: str, values: list[object]) -> None:
    (finding,) = found(name, values)
    assert (finding.level, finding.code, finding.columns) == ("warning", "future-label", (name,))
    assert f'exclude = ["{name}"]' in finding.cure


def test_a_label_that_is_the_last_diagnosis_of_everybody() -> None:
    (finding,) = found("state", ["MCI", "AD", "CN", "AD"], DX)
    assert "what dx says at everyone's last visit" in finding.text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("group", ["patient", "control", "control", "patient"]),
        ("dx_bl", ["CN", "MCI", "CN", "AD"]),
        ("ms_type", ["RRMS", "secondary progressive", "RRMS", "primary progressive"]),
        ("diagnosis", ["Progressive supranuclear palsy", "MCIs", "CN", "stable angina"]),
        ("last_name_initial", ["A", "B", "C", "D"]),
        ("sex", ["F", "M", "F", "M"]),
        ("final_height", [170.0, 180.0, 165.0, 166.0]),
    ],
)
def test_what_was_known_at_first_is_no_future(name: str, values: list[object]) -> None:
    assert found(name, values, DX) == []


def test_where_nobody_comes_back_there_is_no_future() -> None:
    assert found("Group", ["Converted", "CN"], position=np.array([0, 1])) == []
