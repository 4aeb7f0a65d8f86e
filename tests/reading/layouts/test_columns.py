"""Columns of long tables that are no measures of images, and labels as people write them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextscan.cohort import Cohort
from nextscan.describing import describe
from nextscan.errors import SchemaError
from nextscan.reading import read_cohort

Read = Callable[..., Cohort]
pytestmark = pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")


def study(columns: dict[str, Callable[[int, int], object]], people: int = 12, visits: int = 2) -> str:
    """Write a table of people with a hippocampus and further columns, each told by person and visit."""
    generator = np.random.default_rng(7)
    size = generator.normal(4000, 300, people)
    lines = [",".join(["subject", "visit", "years", "hippocampus", *columns])]
    for i in range(people):
        for v in range(visits):
            years = round(v * (1.1 + 0.13 * (i % 7)), 3)
            own = [str(make(i, v)) for make in columns.values()]
            lines.append(",".join([f"s{i:02d}", f"v{v}", str(years), f"{size[i] - 37.3 * years - i:.1f}", *own]))
    return "\n".join(lines) + "\n"


def gap(i: int, v: int) -> float:
    return v * (1.1 + 0.13 * (i % 7))


def codes(cohort: Cohort) -> set[str]:
    quiet = {"doubtful-columns"}
    return {finding.code for finding in cohort.findings if finding.code not in quiet}


# -- what is a feature ----------------------------------------------------------------------------


def test_clinical_scores_become_labels_of_visits(read: Read) -> None:
    cohort = read(
        study({"MMSE": lambda i, v: 29 - v - i % 3, "CDR-SB": lambda i, v: v / 2, "adas_13": lambda i, v: 9 + i})
    )
    assert cohort.feature_names == ("hippocampus",)
    assert {"MMSE", "CDR-SB"} <= set(cohort.visit_labels)
    (finding,) = [finding for finding in cohort.findings if finding.code == "clinical-scores"]
    assert finding.columns == ("MMSE", "CDR-SB", "adas_13")
    assert finding.level == "note"


def test_who_has_only_scores_keeps_them_and_a_schema_overrules(read: Read) -> None:
    only = "id,years,MMSE,MoCA\na,0,29,27\na,1,28,26\nb,0,25,21\nb,2,22,18\n"
    assert read(only).feature_names == ("MMSE", "MoCA")
    named = read(study({"MMSE": lambda i, v: 29 - v}), schema='features = ["MMSE"]')
    assert named.feature_names == ("MMSE",)


@pytest.mark.parametrize("name", ["hippocampus_bl", "hippocampus.bl", "baseline_hippocampus", "start_size"])
def test_copies_of_the_first_visit_are_left_out(read: Read, name: str) -> None:
    table = pd.read_csv(pd.io.common.StringIO(study({"putamen": lambda i, v: 5100.5 + 13 * i + v * (i % 4)})))
    table[name] = table.groupby("subject")["hippocampus"].transform("first")
    cohort = read(table.to_csv(index=False))
    assert cohort.feature_names == ("hippocampus", "putamen")
    (finding,) = [finding for finding in cohort.findings if finding.code == "baseline-copies"]
    assert finding.columns == (name,)
    assert f"{name} (hippocampus)" in finding.text


def test_a_score_of_the_first_visit_alone_is_a_label(read: Read) -> None:
    cohort = read(study({"FSIQ_bl": lambda i, v: 101 + i}))
    assert cohort.labels["FSIQ_bl"].tolist() == list(range(101, 113))


def test_a_size_that_processing_made_equal_is_no_copy_and_no_identifier(read: Read) -> None:
    cohort = read(study({"eTIV": lambda i, v: 1400 + 17 * i, "IntracranialVolume": lambda i, v: 1400000 + 170 * i}))
    assert cohort.feature_names == ("hippocampus", "eTIV", "IntracranialVolume")
    assert codes(cohort) == set()


@pytest.mark.parametrize(
    ("name", "make", "unit"),
    [
        ("xm", lambda i, v: round(12 * gap(i, v), 2), "months"),
        ("how_old", lambda i, v: round(61.3 + i + gap(i, v), 3), "years"),
        ("how_old_whole", lambda i, v: int(61 + 1.37 * i + gap(i, v)), "years"),
        ("xd", lambda i, v: round(365.25 * gap(i, v)), "days"),
    ],
)
def test_what_grows_as_time_does_is_left_out(
    read: Read, name: str, make: Callable[[int, int], float], unit: str
) -> None:
    cohort = read(study({name: make}))
    assert cohort.feature_names == ("hippocampus",)
    (finding,) = [finding for finding in cohort.findings if finding.code == "times-left-out"]
    assert f"{name} ({unit})" in finding.text


def test_what_starts_at_zero_and_grows_is_time_of_unknown_unit(read: Read) -> None:
    rows = "".join(f"p{i},s{v},{3900 - 9 * i - v},{v * (300 + 7 * i)}\n" for i in range(4) for v in (1, 0))
    cohort = read("subject,session,hippocampus,elapsed\n" + rows)
    assert cohort.feature_names == ("hippocampus",)
    (finding,) = [finding for finding in cohort.findings if finding.code == "time-columns"]
    assert finding.level == "warning"
    assert '[time] column = "elapsed"' in finding.cure


def test_numbers_of_people_rows_and_visits_are_left_out(read: Read) -> None:
    cohort = read(
        study({"register": lambda i, v: 70211 + 31 * i, "nth": lambda i, v: v + 1, "counter": lambda i, v: 2 * i + v})
    )
    assert cohort.feature_names == ("hippocampus",)
    (finding,) = [finding for finding in cohort.findings if finding.code == "identifier-columns"]
    assert set(finding.columns) == {"register", "nth", "counter"}


def test_ventricles_and_new_lesions_that_grow_are_features(read: Read) -> None:
    cohort = read(
        study(
            {"ventricles": lambda i, v: 20 + i % 5 + 2.1 * v + i * v / 9, "new_lesion_volume": lambda i, v: v * (i + 2)}
        )
    )
    assert cohort.feature_names == ("hippocampus", "ventricles", "new_lesion_volume")
    assert codes(cohort) == set()


def test_doubtful_columns_are_all_named(read: Read) -> None:
    more = {f"sleep_score_{k}": (lambda i, v, k=k: round(3.1 * i + k + v * 0.7, 2)) for k in range(23)}
    cohort = read(
        study(more | {"weightedness": lambda i, v: (i + v) % 4, "birth_length": lambda i, v: 49.5 + i % 6 / 2})
    )
    (finding,) = [finding for finding in cohort.findings if finding.code == "doubtful-columns"]
    assert len(finding.columns) == 25
    text = str(describe(cohort))
    assert all(f"sleep_score_{k}" in text for k in range(23))
    assert "only whole numbers from 0 to 3: weightedness" in " ".join(text.split())
    assert "the same at all visits of a person: birth_length" in " ".join(text.split())


# -- categories -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label", "make", "levels"),
    [
        ("site", "site", lambda i, v: 101 + 13 * (i % 9), {str(101 + 13 * k) for k in range(9)}),
        ("Scanner ID", "scanner_id", lambda i, v: f"{35008 + i % 2}" + v * ".0", {"35008", "35009"}),
        ("DX", "dx", lambda i, v: 1 + i % 3, {"1", "2", "3"}),
        ("MagneticFieldStrength", "MagneticFieldStrength", lambda i, v: 1.5 if i % 2 else "3.0", {"1.5", "3"}),
        ("race", "race", lambda i, v: ("White", "white", "Black ")[i % 3], {"White", "Black"}),
        ("PTGENDER", "sex", lambda i, v: ("Male", "male", "Female")[i % 3], {"Male", "Female"}),
        ("M/F", "sex", lambda i, v: ("M", "F", "Female")[i % 3], {"M", "F"}),
        ("sex (1=male; 2=female)", "sex", lambda i, v: 1 + i % 2, {"male", "female"}),
        ("is_female", "sex", lambda i, v: i % 2, {"male", "female"}),
        ("gender", "sex", lambda i, v: 1 + i % 2, {"1", "2"}),
    ],
)  # fmt: skip
def test_categories_whatever_their_digits(
    read: Read, name: str, label: str, make: Callable[[int, int], object], levels: set[str]
) -> None:
    cohort = read(study({name: make}))
    assert cohort.feature_names == ("hippocampus",)
    assert set(cohort.labels[label]) == levels
    assert "site-change" not in {finding.code for finding in describe(cohort).findings}


def test_quantities_stay_numbers(read: Read) -> None:
    cohort = read(
        study(
            {"education": lambda i, v: 9 + i % 5, "handedness": lambda i, v: 8.5 * i - 40, "apoe4": lambda i, v: i % 3}
        )
    )
    assert all(pd.api.types.is_numeric_dtype(cohort.labels[name]) for name in ("education", "handedness", "apoe4"))


def test_a_change_of_field_strength_is_one_of_scanner(read: Read) -> None:
    cohort = read(study({"field_strength": lambda i, v: 3 if v and i < 4 else 1.5}))
    (finding,) = describe(cohort).of("site-change")
    assert finding.columns == ("field_strength",)
    assert "1.5 → 3 (4)" in finding.text


def test_a_dictionary_beside_the_table_tells_the_sexes(tmp_path: Path, read: Read) -> None:
    (tmp_path / "study.json").write_text('{"sex": {"Levels": {"1": "Male", "2": {"Description": "Female"}}}}')
    cohort = read(study({"sex": lambda i, v: 1 + i % 2}))
    assert cohort.labels["sex"].tolist() == ["male", "female"] * 6
    assert any("sex: 1 = male, 2 = female" in note for note in cohort.notes)


def test_kind_and_missing_of_a_label(read: Read) -> None:
    table = study(
        {"ward": lambda i, v: 1 + i % 4, "site": lambda i, v: i % 3, "alcohol": lambda i, v: 99 if i == 3 else i}
    )
    cohort = read(
        table,
        schema="""
        features = ["hippocampus"]
        [labels]
        ward = { kind = "category" }
        site = { kind = "number" }
        alcohol = { missing = [99] }
        """,
    )
    assert set(cohort.labels["ward"]) == {"1", "2", "3", "4"}
    assert cohort.labels["site"].dtype == float
    assert np.isnan(cohort.labels["alcohol"][3])
    with pytest.raises(SchemaError, match="line 2, column hospital: expected a number, found 'A'"):
        read(study({"hospital": lambda i, v: "A"}), schema='[labels]\nhospital = { kind = "number" }')


def test_codes_and_years_of_one_label_in_two_tables(tmp_path: Path, read: Read) -> None:
    pool = tmp_path / "pool.csv"
    pool.write_text("subject,PTEDUCAT,M/F,hippocampus\nx,2,Male,3900\ny,4,Female,4000\nz,5,Male,4100\n")
    own = {"PTEDUCAT": lambda i, v: 9 + i % 8, "M/F": lambda i, v: "MF"[i % 2]}
    cohort = read(study(own), unpaired=pool)
    assert list(cohort.labels) == ["sex"]
    assert set(cohort.labels["sex"]) == {"M", "F"}
    (finding,) = [finding for finding in cohort.findings if finding.code == "label-conflict"]
    assert "9/10/11/12/... against 2/4/5" in finding.text
    mapped = read(
        study(own),
        unpaired=pool,
        schema='[files."pool.csv".labels.PTEDUCAT]\ncodes = { 2 = 9, 4 = 13, 5 = 16 }\n[labels.PTEDUCAT]\n'
        '[labels.sex]\ncolumn = "M/F"\n',
    )
    assert {9, 13, 16} <= set(mapped.labels["PTEDUCAT"])


# -- codes for missing values ---------------------------------------------------------------------


def test_codes_for_missing_are_told_with_the_line_that_removes_them(read: Read) -> None:
    own = {"education": lambda i, v: -9 if i == 2 else 10 + i % 7, "apoe4": lambda i, v: -4 if i == 5 else i % 3}
    own |= {"thickness": lambda i, v: -9 if i == 4 else round(2.5 + i / 40 + v / 90, 3)}
    cohort = read(study(own))
    labels, features = [finding for finding in cohort.findings if finding.code == "missing-codes"]
    assert (labels.columns, features.columns) == (("education", "apoe4"), ("thickness",))
    assert labels.cure.endswith("missing = [-9, -4]")
    cured = read(study(own), schema="missing = [-9, -4]")
    assert not codes(cured)
    assert np.isnan(cured.labels["education"][2])
    assert np.isnan(cured.features).sum() == 2


def test_a_code_that_is_a_value_elsewhere_is_removed_in_its_column_alone(read: Read) -> None:
    own = {"education": lambda i, v: 99 if i == 2 else 10 + i % 7, "weight": lambda i, v: 60 + 3 * (i + 2) + v * 0.5}
    (finding,) = [finding for finding in read(study(own)).findings if finding.code == "missing-codes"]
    line = finding.cure.partition("schema: ")[2]
    assert line == "missing_in = { education = [99] }"
    cohort, cured = read(study(own)), read(study(own), schema=line)
    assert "missing-codes" not in codes(cured)
    assert (list(cured.labels), cured.feature_names) == (list(cohort.labels), cohort.feature_names)
    assert np.isnan(cured.labels["education"][2])
    np.testing.assert_array_equal(cured.features, cohort.features)


def test_an_age_of_999_that_is_the_time_is_removed_by_the_line_told(read: Read) -> None:
    table = study({"age": lambda i, v: 999 if (i, v) == (3, 1) else 61 + i + v}).replace("years,", "remark,")
    (finding,) = [finding for finding in read(table).findings if finding.code == "missing-codes"]
    assert finding.cure.endswith(": missing = [999]")
    assert "missing-codes" not in codes(read(table, schema="missing = [999]"))


def test_the_usual_code_of_an_unknown_sex(read: Read) -> None:
    (finding,) = [f for f in read(study({"sex": lambda i, v: (1, 2, 9)[i % 3]})).findings if f.code == "missing-codes"]
    assert "sex is 9 in 8 rows, otherwise 1, 2" in finding.text
    assert not codes(read(study({"sex": lambda i, v: (0, 1, 2)[i % 3]})))


def test_codes_among_the_names_of_groups(read: Read) -> None:
    own = {"sex": lambda i, v: "-9" if i == 1 else "MF"[i % 2], "race": lambda i, v: 99 if i == 3 else 1 + i % 4}
    own |= {"site": lambda i, v: 99 if i % 2 else 7, "group": lambda i, v: 1 if i % 2 else -1}
    (finding,) = [finding for finding in read(study(own)).findings if finding.code == "missing-codes"]
    assert finding.columns == ("sex", "race")


def parquet(tmp_path: Path, **columns: pa.Array) -> Path:
    path = tmp_path / "study.parquet"
    fixed = {"subject": pa.array(["a", "a", "b", "b"]), "visit": pa.array(["1", "2", "1", "2"])}
    pq.write_table(pa.table({**fixed, "hippo": pa.array([3900.0, 3850, 4000, 3950]), **columns}), path)
    (tmp_path / "study.toml").write_text('missing = [-999, "unknown"]\n')
    return path


NUMBERS = [12, 12, -999, -999]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(NUMBERS, pa.int64()),
        pa.array(NUMBERS, pa.int16()),
        pa.array(NUMBERS, pa.float64()),
        pa.array(NUMBERS, pa.float32()),
        pa.array(np.array(NUMBERS, np.float16)),
        pa.array([float("nan") if n < 0 else n for n in NUMBERS], pa.float64()),
        pa.array(NUMBERS, pa.decimal128(8, 2)),
        pa.array(["12", "12", "-999", "-999.0"]),
        pa.array(["12", "12", "-999.00", "unknown"], pa.large_string()),
        pa.array(["12", "12", "-999", "NA"]).dictionary_encode(),
        pa.array(["12", "12", " -999 ", ""], pa.large_string()).dictionary_encode(),
        pa.array(NUMBERS, pa.int64()).dictionary_encode(),
        pa.array([12, 12, None, None], pa.int8()),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["education", "site", "thickness", "years"])
def test_codes_of_a_schema_in_every_type_of_column(tmp_path: Path, cells: pa.Array, name: str) -> None:
    if name == "years":
        cells = pa.concat_arrays([cells.slice(0, 1), cells.slice(2, 1), cells.slice(0, 1), cells.slice(3, 1)])
    cohort = read_cohort(parquet(tmp_path, **{name: cells}))
    if name == "education":
        np.testing.assert_array_equal(cohort.labels[name], [12, np.nan])
    elif name == "site":
        assert cohort.labels[name].fillna("").tolist() == ["12", ""]
    elif name == "thickness":
        np.testing.assert_array_equal(cohort.features[:, 1], [12, 12, np.nan, np.nan])
    else:
        assert np.isnan(cohort.years).tolist() == [False, True, False, True]


@pytest.mark.parametrize("written", ["-999", "-999.0", "-999.00", " -999", "unknown"])
def test_codes_of_a_schema_in_text_tables_and_never_in_names(read: Read, written: str) -> None:
    cohort = read(
        f"subject,visit,years,education,site,hippo\n-999,1,0,{written},{written},3900\n-999,2,{written},{written},A,3850\n"
        f"b,1,0,12,A,4000\nb,2,2,12,A,{written}\n",
        schema='missing = [-999.0, "unknown"]',
    )
    assert cohort.subjects.tolist() == ["-999", "b"]
    assert np.isnan(cohort.years).tolist() == [False, True, False, False]
    assert np.isnan(cohort.labels["education"]).tolist() == [True, False]
    assert set(cohort.visit_labels["site"].dropna()) == {"A"}
    assert np.isnan(cohort.features[3, 0])


def test_nested_columns_are_left_out_with_a_note(tmp_path: Path) -> None:
    cells = {
        "trace": pa.array([[1.0, 2.0]] * 4),
        "where": pa.array([{"x": 1}] * 4),
        "pairs": pa.array([[("k", 1)]] * 4, pa.map_(pa.string(), pa.int8())),
    }
    cohort = read_cohort(parquet(tmp_path, **cells))
    assert cohort.feature_names == ("hippo",)
    assert any("left out, columns of lists or structures: trace, where, pairs" in note for note in cohort.notes)


def test_changes_between_visits_are_no_features(read: Read) -> None:
    hip = [[4000.0 + 9 * i, 3900.0 + 8 * i] for i in range(12)]
    long = "ID,age,hip,vent,hip_change\n" + "".join(
        f"s{i},{70 + i + v},{hip[i][v]},{30 + i + v * (1 + i % 3) / 2},{hip[i][v] - hip[i][0]}\n"
        for i in range(12)
        for v in (0, 1)
    )
    cohort = read(long)
    assert cohort.feature_names == ("hip", "vent")
    (finding,) = [finding for finding in cohort.findings if finding.code == "change-columns"]
    assert (finding.level, finding.columns) == ("warning", ("hip_change",))
    assert "0 at everybody's first visit: hip_change" in finding.text
    assert 'exclude = ["hip_change"]' in finding.cure
    assert "change-columns" not in codes(read(long, schema='exclude = ["hip_change"]'))
    assert read(long, schema='features = ["hip*"]').feature_names == ("hip", "hip_change")


def test_a_change_in_a_table_with_one_row_per_subject(read: Read) -> None:
    wide = "ID,age_t1,age_t2,hip_t1,hip_t2,vent_t1,vent_t2,hip_pct_change\n" + "".join(
        f"s{i},{70 + i},{71 + i},{4000 + 9 * i},{3900 + 8 * i},{30 + i},{30.5 + i + i % 3},{-2.5 - i / 7:.2f}\n"
        for i in range(12)
    )
    cohort = read(wide)
    assert cohort.feature_names == ("hip", "vent")
    assert "hip_pct_change" not in [*cohort.labels, *cohort.visit_labels]
    (finding,) = [finding for finding in cohort.findings if finding.code == "change-columns"]
    assert 'exclude = ["hip_pct_change"]' in finding.cure
    kept = read(wide, schema="[labels]\nhip_pct_change = {}\n")
    (finding,) = [finding for finding in kept.findings if finding.code == "future-label"]
    assert finding.columns == ("hip_pct_change",)
