import datetime
import sys
from pathlib import Path

import openpyxl
import pytest

from nextscan.errors import CohortError, SchemaError
from nextscan.reading import read_cohort

ROWS = [
    ["id", "scan_date", "thick", "site"],
    ["007", datetime.datetime(2015, 3, 1), 2.5, 11025],
    ["007", datetime.datetime(2017, 3, 1), 2.25, 11025],
    ["008", datetime.datetime(2016, 3, 1), 2.75, 11026],
]


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_the_first_sheet_with_a_table_is_read_below_its_title(tmp_path: Path) -> None:
    path = workbook(tmp_path / "study.xlsx", {"About": [["Made in May"]], "MRI": [["Study"], [], *ROWS]})
    cohort = read_cohort(path)
    assert cohort.subjects.tolist() == ["007", "008"]
    assert cohort.features[:, 0].tolist() == [2.5, 2.25, 2.75]
    assert cohort.years[1] == pytest.approx(2, abs=0.01)
    assert any("sheet MRI of 2" in note for note in cohort.notes)


def test_the_schema_names_the_sheet(tmp_path: Path) -> None:
    path = workbook(tmp_path / "study.xlsx", {"a": [["id", "x"], ["1", 5]], "b": [["id", "y"], ["1", 6]]})
    (tmp_path / "study.toml").write_text('sheet = "b"\n')
    assert read_cohort(path).feature_names == ("y",)
    (tmp_path / "study.toml").write_text('sheet = "c"\n')
    with pytest.raises(SchemaError, match="has no sheet c"):
        read_cohort(path)


def test_empty_and_damaged_workbooks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no sheet holds a table"):
        read_cohort(workbook(tmp_path / "empty.xlsx", {"a": [["only a title"]]}))
    (tmp_path / "bad.xlsx").write_bytes(b"PK\x03\x04" + b"x" * 50)
    with pytest.raises(CohortError, match="is not a whole Excel workbook"):
        read_cohort(tmp_path / "bad.xlsx")


def test_without_openpyxl_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "study.xlsx", {"a": ROWS})
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(CohortError, match=r"pip install 'nextscan\[excel\]'"):
        read_cohort(path)
