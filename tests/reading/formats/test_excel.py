import datetime
import sys
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from nextscan.errors import CohortError, NextscanWarning, SchemaError
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


def test_formulas_that_were_never_worked_out_are_told(tmp_path: Path) -> None:
    rows = [["id", "visit", "left", "total"], ["a", 1, 2.5, "=C2*2"], ["a", 2, 2.25, "=C3*2"], ["b", 1, 2.75, 5.5]]
    path = workbook(tmp_path / "study.xlsx", {"MRI": rows})
    with pytest.warns(NextscanWarning, match=r"sheet MRI: 2 formulas without a saved value.*D2 =C2\*2, D3 =C3\*2"):
        cohort = read_cohort(path)
    assert np.isnan(cohort.features[:2, 1]).all()
    (finding,) = (finding for finding in cohort.findings if finding.code == "formulas")
    assert (finding.level, finding.cure.split(",")[0]) == (
        "warning", "open the workbook in Excel or LibreOffice and save it there"
    )  # fmt: skip


def test_formulas_with_values_and_gaps_without_formulas_say_nothing(tmp_path: Path) -> None:
    rows = [["id", "visit", "left", "total"], ["a", 1, 2.5, None], ["a", 2, 2.25, 4.5], ["b", 1, 2.75, 5.5]]
    path = workbook(tmp_path / "study.xlsx", {"MRI": rows})
    assert read_cohort(path).findings == ()
    parts = {}
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert b"<v>4.5</v>" in parts[sheet]
    parts[sheet] = parts[sheet].replace(b"<v>4.5</v>", b"<f>C3*2</f><v>4.5</v>")
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)
    cohort = read_cohort(path)
    assert (cohort.features[1, 1], cohort.findings) == (4.5, ())
