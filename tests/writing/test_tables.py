import csv
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nextscan.cohort import Cohort, Imputation, targets
from nextscan.errors import CohortError, NextscanWarning, OutputError, SettingError
from nextscan.reading import read_cohort
from nextscan.writing import complete_table, write_draws
from nextscan.writing.tables import saving_draws

LONG = (
    'participant_id;session_id;age;sex;"note; free";volume;thick\n'
    's2;ses-1;60.0;F;"a ""quoted"" word";3000.50;2.10\n'
    "s1;ses-1;70;M;;0004000;NA\n"
    "s2;ses-2;62.5;F;x;;n/a\n"
    "s3;ses-1;50;M;y;3500;2.3\n"
    "s1;ses-2;71;M;z;3900;2.0\n"
)
N_DRAWS = 39


def imputed(cohort: Cohort, *, at_years: list[float] | None = None, size: int = 10**6) -> Iterator[Imputation]:
    """Yield draws around the context: a fan that each feature scales, the same however it is cut."""
    wanted = targets(cohort, at_years)
    fan = np.linspace(0.9, 1.06, N_DRAWS)[:, None, None]
    for start in range(0, len(wanted), size):
        part = wanted.select(slice(start, start + size))
        context = cohort.features[part.context]
        yield Imputation("fan", cohort.feature_names, part, fan * context, context)


def cells_of(path: Path, delimiter: str) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@pytest.fixture
def long(tmp_path: Path) -> Path:
    path = tmp_path / "study.csv"
    path.write_text(LONG)
    return path


def test_every_observed_cell_is_there_to_the_letter(long: Path, tmp_path: Path) -> None:
    out = complete_table(long, imputed(read_cohort(long)), tmp_path / "completed.csv")
    before, after = cells_of(long, ";"), cells_of(out, ";")
    assert list(after[0])[:7] == list(before[0])
    observed = [{name: row[name] for name in before[0]} for row in after if row["imputed"] == "false"]
    assert observed == [row for i, row in enumerate(before) if i != 2]
    assert {cell for row in after if row["imputed"] == "false" for name, cell in row.items() if "__" in name} == {""}


def test_a_request_is_filled_and_a_single_visit_gets_a_new_row(long: Path, tmp_path: Path) -> None:
    cohort = read_cohort(long)
    after = cells_of(complete_table(long, imputed(cohort), tmp_path / "completed.csv"), ";")
    assert [row["imputed"] for row in after] == ["false", "false", "true", "false", "true", "false"]
    request, added = after[2], after[4]
    assert {name: request[name] for name in ("participant_id", "session_id", "age", "note; free")} == {
        "participant_id": "s2",
        "session_id": "ses-2",
        "age": "62.5",
        "note; free": "x",
    }
    assert float(request["volume"]) == pytest.approx(0.98 * 3000.5, rel=1e-6)
    assert float(request["volume__low"]) == pytest.approx((0.9 + 0.16 / 38) * 3000.5, rel=1e-6)  # 2nd of 39 draws
    assert float(request["volume__high"]) == pytest.approx((1.06 - 0.16 / 38) * 3000.5, rel=1e-6)
    assert float(request["volume__annual_percent"]) == pytest.approx(-2 / 2.5, rel=1e-6)
    assert (request["imputed_visit"], added["imputed_visit"]) == ("ses-2", "imputed")
    # the new row knows the subject, what belongs to the subject, and the features; its time is unknown
    assert [added[name] for name in ("participant_id", "session_id", "age", "sex", "note; free")] == [
        "s3",
        "imputed",
        "",
        "M",
        "",
    ]
    assert (float(added["volume"]), added["volume__annual_percent"]) == (pytest.approx(0.98 * 3500), "")


def test_a_feature_the_context_lacks_stays_empty(long: Path, tmp_path: Path) -> None:
    long.write_text(LONG + "s4;ses-1;40;F;;3100;\n")
    after = cells_of(complete_table(long, imputed(read_cohort(long)), tmp_path / "completed.csv"), ";")
    assert (after[-1]["participant_id"], after[-1]["imputed"], after[-1]["thick"]) == ("s4", "true", "")


@pytest.mark.parametrize(
    ("table", "columns", "cells"),
    [
        ("id,visit,years,a\ns,1,0,2\ns,2,1.5,3\n", ["visit", "years"], ["3", "3.5"]),
        ("id,months,a\ns,3,2\ns,15,3\n", ["months"], ["39"]),
        ("id,session,date,a\ns,x,2020-01-01,2\n", ["session", "date"], ["imputed+2", "2021-12-31"]),
        ("id,session,date,a\ns,x,2021-01-01T18:45:00,2\n", ["date"], ["2023-01-01T00:00:00"]),
        (
            "id,visit,date,age,a\ns,v,01.02.2020,60,2\n",
            ["visit", "date", "age"],
            ["imputed+2", "01.02.2022", "62"],
        ),
    ],
)
def test_times_are_written_as_the_table_writes_them(
    tmp_path: Path, table: str, columns: list[str], cells: list[str]
) -> None:
    path = tmp_path / "study.csv"
    path.write_text(table)
    out = complete_table(path, imputed(read_cohort(path), at_years=[2]), tmp_path / "completed.tsv")
    row = cells_of(out, "\t")[-1]
    assert [row[column] for column in columns] == cells
    assert row["imputed_visit"] == "imputed+2"


def test_several_times_are_several_rows(long: Path, tmp_path: Path) -> None:
    out = complete_table(long, imputed(read_cohort(long), at_years=[1, 5]), tmp_path / "completed.csv")
    after = pd.read_csv(out, sep=";")
    assert after.loc[after["participant_id"] == "s1", "age"].tolist() == [70, 71, 72, 76]
    assert after["imputed"].sum() == 6


def test_chunks_do_not_change_the_table(long: Path, tmp_path: Path) -> None:
    cohort = read_cohort(long)
    whole = complete_table(long, imputed(cohort), tmp_path / "whole.csv").read_bytes()
    parts = list(imputed(cohort, size=1))[::-1]
    assert complete_table(long, parts, tmp_path / "parts.csv").read_bytes() == whole


def test_intervals_can_be_left_out(long: Path, tmp_path: Path) -> None:
    out = complete_table(long, imputed(read_cohort(long)), tmp_path / "completed.csv", level=None)
    assert list(cells_of(out, ";")[0])[7:] == ["imputed", "imputed_visit"]


def test_parquet_keeps_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": np.array([7, 7, 8], np.int64),
            "visit": np.array([1, 2, 1], np.int8),
            "scan_date": pd.to_datetime(["2020-01-01", "2022-01-01", "2021-06-01"]),
            "sex": pd.Categorical(["F", "F", "M"]),
            "count": np.array([20, 22, 41], np.int32),
            "size": np.array([1.5, 2.5, 3.5], np.float32),
            "remark": ["a", None, "c"],
        }
    )
    frame.to_parquet(tmp_path / "study.parquet")
    cohort = read_cohort(tmp_path / "study.parquet")
    out = complete_table(tmp_path / "study.parquet", imputed(cohort, at_years=[1]), tmp_path / "completed.parquet")
    before, after = pq.read_table(tmp_path / "study.parquet"), pq.read_table(out)
    assert after.schema.types[:7] == before.schema.types
    observed = after.filter(pc.invert(after["imputed"])).select(before.column_names)
    assert observed.to_pylist() == before.to_pylist()
    added = after.to_pandas().query("imputed")
    assert added["visit"].tolist() == [3, 2]
    assert added["sex"].tolist() == ["F", "M"]
    assert added["scan_date"].dt.strftime("%Y-%m-%d").tolist() == ["2023-01-01", "2022-06-01"]
    assert added["count"].tolist() == [
        round(0.98 * 22),
        round(0.98 * 41),
    ]  # a column of whole numbers stays one
    np.testing.assert_allclose(added["size"], np.float32([0.98 * 2.5, 0.98 * 3.5]))
    np.testing.assert_allclose(added["count__annual_percent"], [-2, -2])


def test_text_becomes_typed_parquet_and_back(long: Path, tmp_path: Path) -> None:
    cohort = read_cohort(long)
    typed = pd.read_parquet(complete_table(long, imputed(cohort), tmp_path / "completed.parquet"))
    assert typed.dtypes.astype(str).to_dict() | {
        "participant_id": "str",
        "age": "float64",
        "thick": "float64",
    } == (typed.dtypes.astype(str).to_dict())
    assert typed["thick"].isna().tolist() == [False, True, False, False, False, False]
    assert typed["imputed"].dtype == bool
    cohort.to_frame().to_parquet(tmp_path / "study.parquet")
    out = complete_table(tmp_path / "study.parquet", imputed(cohort), tmp_path / "from.csv")
    back = pd.read_csv(out)
    np.testing.assert_array_equal(back.loc[~back["imputed"], "volume"], [3000.5, 4000, 3900, 3500])


WIDE = (
    "eid,p31,p53_i0,p53_i2,p53_i3,p25005_i2,p25005_i3,p25756_i2_a1\n"
    "1,0,2008-01-01,2016-01-01,2018-01-01,3000.0,3100.0,5\n"
    "2,1,2008-01-01,2016-01-01,2019-01-01,4000.0,,6\n"
    "3,1,2008-01-01,2016-01-01,,5000.0,,7\n"
    "4,0,2008-01-01,,,,,\n"
)


def test_a_wide_export_is_filled_in_place(tmp_path: Path) -> None:
    path = tmp_path / "ukb.csv"
    path.write_text(WIDE)
    out = complete_table(path, imputed(read_cohort(path)), tmp_path / "completed.csv")
    before, after = cells_of(path, ","), cells_of(out, ",")
    changed = {
        (row["eid"], name): new[name]
        for row, new in zip(before, after, strict=True)
        for name in row
        if new[name] != row[name]
    }
    assert changed == {("2", "p25005_i3"): "3920", ("3", "p25005_i3"): "4900"}
    assert [row["imputed"] for row in after] == ["false", "true", "true", "false"]
    assert [row["imputed_visit"] for row in after] == ["", "3", "3", ""]
    assert [row["p25756_i3_a1"] for row in after] == ["", "5.88", "6.86", ""]  # a column the export lacks
    assert float(after[1]["p25005_i3__annual_percent"]) == pytest.approx(-2 / (1096 / 365.25), rel=1e-6)
    assert after[2]["p25005_i3__annual_percent"] == ""


def test_a_wide_export_takes_later_visits(tmp_path: Path) -> None:
    path = tmp_path / "ukb.csv"
    path.write_text(WIDE)
    out = complete_table(path, imputed(read_cohort(path), at_years=[1, 2]), tmp_path / "completed.csv", level=None)
    after = cells_of(out, ",")
    assert [row["imputed_visit"] for row in after] == ["4;5", "3;4", "3;4", ""]
    assert [row["p25005_i4"] for row in after] == ["3038", "3920", "4900", ""]
    assert [row["p25005_i5"] for row in after] == ["3038", "", "", ""]
    assert [row["p53_i3"] for row in after] == ["2018-01-01", "2019-01-01", "2016-12-31", ""]


def test_freesurfer_tables_become_one_long_table(tmp_path: Path) -> None:
    (tmp_path / "lh.tsv").write_text("lh.aparc.area\ta\nsub-1_ses-1\t4\nsub-1_ses-2\t5\nsub-2_ses-1\t3\n")
    people = "participant_id\tsession_id\tage\tsex\nsub-1\tses-1\t60\tF\nsub-1\tses-2\t62\tF\nsub-2\tses-1\t70\tM\n"
    (tmp_path / "participants.tsv").write_text(people)
    cohort = read_cohort(tmp_path / "lh.tsv")
    after = cells_of(complete_table(tmp_path / "lh.tsv", imputed(cohort), tmp_path / "completed.csv", level=None), ",")
    assert [tuple(row.values()) for row in after] == [
        ("sub-1", "ses-1", "F", "60", "4", "false", ""),
        ("sub-1", "ses-2", "F", "62", "5", "false", ""),
        ("sub-2", "ses-1", "M", "70", "3", "false", ""),
        ("sub-2", "imputed", "M", "", "2.94", "true", "imputed"),
    ]


@pytest.mark.parametrize("content", [LONG, WIDE], ids=["long", "wide"])
def test_a_completed_table_is_read_without_its_imputed_visits(tmp_path: Path, content: str) -> None:
    path = tmp_path / "study.csv"
    path.write_text(content)
    cohort = read_cohort(path)
    out = complete_table(path, imputed(cohort), tmp_path / "completed.csv")
    with pytest.warns(NextscanWarning, match=r"2 (rows|visits) are marked as imputed"):
        again = read_cohort(out)
    assert again.feature_names == cohort.feature_names
    before, after = (part.select_visits(~part.is_request) for part in (cohort, again))
    pd.testing.assert_frame_equal(after.to_frame(), before.to_frame())
    with pytest.raises(CohortError, match="the table has a column imputed already"):
        complete_table(out, imputed(cohort), tmp_path / "twice.csv")


def test_the_imputation_must_be_of_the_table(long: Path, tmp_path: Path, cohort: Cohort) -> None:
    with pytest.raises(CohortError, match=r"imputed feature feature-0 is not in this table|subject sub-040 is not in"):
        complete_table(long, imputed(cohort), tmp_path / "completed.csv")
    first, second = read_cohort(long), read_cohort(long, exclude="thick")
    with pytest.raises(CohortError, match="imputations of one table must have the same features"):
        complete_table(long, [*imputed(first), *imputed(second)], tmp_path / "completed.csv")
    assert os.listdir(tmp_path) == ["study.csv"]


def test_too_few_draws_for_the_level(long: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="a 99% interval needs at least 199 draws, there are 39"):
        complete_table(long, imputed(read_cohort(long)), tmp_path / "completed.csv", level=0.99)
    assert os.listdir(tmp_path) == ["study.csv"]


@pytest.mark.parametrize(
    ("out", "says", "error"),
    [
        ("no/completed.csv", "there is no folder", OutputError),
        ("completed.xlsx", "must end in .csv, .tsv, .parquet", SettingError),
    ],
)
def test_bad_places(long: Path, tmp_path: Path, out: str, says: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=says):
        complete_table(long, imputed(read_cohort(long)), tmp_path / out)
    with pytest.raises(error, match=says):
        write_draws(imputed(read_cohort(long)), tmp_path / out)
    assert os.listdir(tmp_path) == ["study.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_full_disk_leaves_nothing(long: Path, tmp_path: Path, suffix: str) -> None:
    def full() -> Iterator[Imputation]:
        yield from imputed(read_cohort(long))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / f"completed{suffix}"
    out.write_text("old")
    for write in (lambda: complete_table(long, full(), out), lambda: write_draws(full(), out)):
        with pytest.raises(OutputError, match=rf"completed{suffix}: cannot be written: No space left on device"):
            write()
        assert out.read_text() == "old"
        assert sorted(os.listdir(tmp_path)) == [out.name, "study.csv"]


# -- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_draws_in_long_form(long: Path, tmp_path: Path, suffix: str) -> None:
    (whole,) = imputed(read_cohort(long))
    out = write_draws(whole, tmp_path / f"draws{suffix}")
    frame = pd.read_parquet(out) if suffix == ".parquet" else pd.read_csv(out, sep="," if suffix == ".csv" else "\t")
    pd.testing.assert_frame_equal(frame, whole.to_frame(), check_dtype=False)


def test_draws_of_chunks_are_the_same_rows(long: Path, tmp_path: Path) -> None:
    cohort = read_cohort(long)
    whole = pd.read_parquet(write_draws(imputed(cohort), tmp_path / "whole.parquet"))
    parts = pd.read_parquet(write_draws(imputed(cohort, size=1), tmp_path / "parts.parquet"))
    keys = ["subject", "visit", "draw"]
    pd.testing.assert_frame_equal(whole.set_index(keys).sort_index(), parts.set_index(keys).sort_index())


def test_draws_are_saved_while_the_table_is_completed(long: Path, tmp_path: Path) -> None:
    cohort = read_cohort(long)
    passed_on = saving_draws(imputed(cohort, size=1), tmp_path / "draws.parquet")
    complete_table(long, passed_on, tmp_path / "completed.csv")
    assert len(pd.read_parquet(tmp_path / "draws.parquet")) == 2 * N_DRAWS
    stopped = saving_draws(imputed(cohort, size=1), tmp_path / "half.parquet")
    next(stopped)
    stopped.close()
    assert sorted(os.listdir(tmp_path)) == ["completed.csv", "draws.parquet", "study.csv"]


def test_a_visit_imputed_beside_named_scans_is_named_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "scans.csv"
    path.write_text(
        "id,volume,thick\nA-1_ses-01.long.A-1,3000.5,2.1\nA-1_ses-02.long.A-1,2990.5,2.0\nB-2_ses-01,3100.5,2.3\n"
    )
    out = complete_table(path, imputed(read_cohort(path)), tmp_path / "completed.csv")
    rows = cells_of(out, ",")
    assert [row["id"] for row in rows][-2:] == ["B-2_ses-01", "B-2_ses-imputed"]
    assert rows[-1]["imputed"] == "true"
    with pytest.warns(NextscanWarning, match="1 rows are marked as imputed"):
        assert read_cohort(out).subjects.tolist() == ["A-1", "B-2"]
