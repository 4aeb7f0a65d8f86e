"""Completed tables of every layout: the user's cells to the letter, imputed numbers as the column writes them."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort, Imputation, targets
from nextscan.errors import NextscanWarning
from nextscan.reading import read_cohort
from nextscan.writing import complete_table


def imputed(cohort: Cohort, at_years: list[float] | None = None) -> Imputation:
    """Return draws whose mean is 0.98 of the context."""
    wanted = targets(cohort, at_years)
    context = cohort.features[wanted.context]
    return Imputation("fan", cohort.feature_names, wanted, np.linspace(0.9, 1.06, 39)[:, None, None] * context, context)


def cells_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


WIDE = (
    "id,sex,age_t1,age_t2,hippo_t1,hippo_t2,amyg_t1,amyg_t2,note\n"
    "001,M,60.0,62,3900.50,3850,1500,1490,first\n"
    "002,F,70,73.0,4000,,1600.0,,\n"
    '003,F,55,,3700,,1400,,"a, b"\n'
)


def test_a_table_of_pairs_is_completed_in_its_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text(WIDE)
    out = complete_table(path, imputed(read_cohort(path)), tmp_path / "out.csv")
    before, after = cells_of(path), cells_of(out)
    assert list(after[0])[:9] == list(before[0])
    for old, new in zip(before, after, strict=True):
        assert {name: new[name] for name in old if old[name]} == {name: old[name] for name in old if old[name]}
    assert [row["imputed_visit"] for row in after] == ["", "t2", "t2"]
    assert float(after[1]["hippo_t2"]) == pytest.approx(0.98 * 4000)
    assert float(after[2]["amyg_t2"]) == pytest.approx(0.98 * 1400)
    assert float(after[1]["hippo_t2__low"]) < 3920 < float(after[1]["hippo_t2__high"])
    assert (after[1]["age_t2"], after[2]["age_t2"]) == ("73.0", "")
    assert after[0]["hippo_t2__low"] == ""
    with pytest.warns(NextscanWarning, match="marked as imputed"):
        again = read_cohort(out)
    assert again.observed_visits.tolist() == [2, 1, 1]


def test_a_time_at_which_nobody_was_seen_gets_columns_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text(WIDE.replace("73.0", ""))
    after = cells_of(complete_table(path, imputed(read_cohort(path), [2.1, 8]), tmp_path / "out.csv"))
    made = [name for name in after[0] if name.startswith("hippo_") and "__" not in name]
    assert made[:2] == ["hippo_t1", "hippo_t2"]
    assert len(made) == 4
    assert after[1]["hippo_t2"] != ""
    assert after[1]["age_t2"] == "72.1"
    assert after[0]["hippo_t2"] == "3850"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_decimal_commas_stay(tmp_path: Path, end: str) -> None:
    path = tmp_path / "study.csv"
    lines = ["id;visit;age;thick;vol", "a;1;60,5;3,20;1.204,5", "a;2;62;;", "b;1;70;3,1;998,25", "b;2;71;3,0;990"]
    path.write_text(end.join([*lines, ""]), newline="")
    out = complete_table(path, imputed(read_cohort(path)), tmp_path / "out.csv")
    after = cells_of(out, ";")
    assert [after[0][name] for name in ("age", "thick", "vol")] == ["60,5", "3,20", "1.204,5"]
    assert (after[1]["thick"], after[1]["vol"]) == ("3,136", "1180,41")
    assert "," in after[1]["thick__low"]
    with pytest.warns(NextscanWarning, match="marked as imputed"):
        again = read_cohort(out)
    assert again.features[0].tolist() == [3.2, 1204.5]
    parquet = pd.read_parquet(complete_table(path, imputed(read_cohort(path)), tmp_path / "out.parquet"))
    assert parquet["thick"].tolist() == pytest.approx([3.2, 3.136, 3.1, 3.0])


def test_quoted_decimal_commas_between_commas_stay_quoted(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text('id,visit,thick\na,1,"3,25"\na,2,\nb,1,"3,5"\nb,2,"3,4"\n')
    out = complete_table(path, imputed(read_cohort(path)), tmp_path / "out.csv", level=None)
    assert [row["thick"] for row in cells_of(out)] == ["3,25", "3,185", "3,5", "3,4"]


def test_units_and_ages_are_written_as_the_table_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text("id,visit,vol,part\na,1,4000 mm3,40%\na,2,,\nb,1,4100 mm3,41%\nb,2,4000 mm3,40%\n")
    cohort = read_cohort(path)
    assert cohort.units == {"vol": "mm3", "part": "%"}
    after = cells_of(complete_table(path, imputed(cohort), tmp_path / "out.csv", level=None))
    assert [after[1][name] for name in ("vol", "part")] == ["3920 mm3", "39.2%"]


def test_compressed_and_western_texts_come_out_as_utf8(tmp_path: Path) -> None:
    text = "id,visit,site,vol\na,1,Köln,4000\na,2,Köln,\nb,1,Århus,4100\nb,2,Århus,4000\n"
    for name, content in {"one.csv.gz": gzip.compress(text.encode()), "two.csv": text.encode("latin-1")}.items():
        (tmp_path / name).write_bytes(content)
        after = cells_of(complete_table(tmp_path / name, imputed(read_cohort(tmp_path / name)), tmp_path / "out.csv"))
        assert [row["site"] for row in after] == ["Köln", "Köln", "Århus", "Århus"]
        assert float(after[1]["vol"]) == pytest.approx(3920)


def test_a_workbook_becomes_a_table(tmp_path: Path) -> None:
    path = tmp_path / "study.xlsx"
    pd.DataFrame({"id": ["a", "a", "b"], "visit": [1, 2, 1], "vol": [4000, None, 4100.5]}).to_excel(path, index=False)
    after = cells_of(complete_table(path, imputed(read_cohort(path)), tmp_path / "out.csv", level=None))
    assert [(row["id"], float(row["vol"])) for row in after[:2]] == [("a", 4000), ("a", pytest.approx(3920))]


def test_names_that_r_has_changed_stay_in_the_table(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text("id,visit,Left.Hippocampus\na,1,4000\na,2,\nb,1,4100\nb,2,4000\n")
    cohort = read_cohort(path)
    assert cohort.feature_names == ("Left-Hippocampus",)
    after = cells_of(complete_table(path, imputed(cohort), tmp_path / "out.csv", level=None))
    assert float(after[1]["Left.Hippocampus"]) == pytest.approx(3920)
    assert "Left-Hippocampus" not in after[0]


def test_titles_of_an_export_name_the_columns_to_come(tmp_path: Path) -> None:
    path = tmp_path / "ukb.csv"
    path.write_text(
        "Participant ID,Volume (left) | Instance 2,Volume (left) | Instance 3\n1000001,4000,3900\n1000002,4100,\n"
    )
    with pytest.warns(NextscanWarning, match="field 53"):
        cohort = read_cohort(path)
    after = cells_of(complete_table(path, imputed(cohort), tmp_path / "out.csv", level=None))
    assert float(after[1]["Volume (left) | Instance 3"]) == pytest.approx(0.98 * 4100)


def test_a_frame_is_completed_as_its_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "a", "b"], "date": pd.to_datetime(["2015-01-01", "2017-01-01", "2016-01-01"])})
    frame["vol"] = [4000.5, np.nan, 4100]
    frame.to_csv(tmp_path / "frame.csv", index=False)
    tables = [
        cells_of(complete_table(source, imputed(read_cohort(source)), tmp_path / "out.csv"))
        for source in (frame, tmp_path / "frame.csv")
    ]
    assert [row["date"] for row in tables[0]] == [row["date"] for row in tables[1]]
    assert [float(row["vol"]) for row in tables[0]] == [float(row["vol"]) for row in tables[1]]
