from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NextscanWarning, SchemaError
from nextscan.reading import read_cohort

Read = Callable[..., Cohort]

# field, instance, array -> cells of five participants; the last has no imaging
EXPORT: dict[tuple[int, int, int], list[str]] = {
    (31, 0, 0): ["0", "1", "0", "1", "1"],
    (21022, 0, 0): ["50", "60", "55", "-1", "48"],
    (189, 0, 0): ["-3", "-1", "2.5", "", "0"],
    (20116, 0, 0): ["0", "-3", "1", "2", "0"],
    (53, 0, 0): ["2008-01-01"] * 5,
    (53, 2, 0): ["2016-01-01", "2016-06-01", "2016-01-01", "2017-01-01", ""],
    (53, 3, 0): ["2018-01-01", "", "2019-01-01", "", ""],
    (54, 2, 0): ["11025", "11026", "11025", "11025", ""],
    (54, 3, 0): ["11027", "", "11025", "", ""],
    (25005, 2, 0): ["3500", "3600", "3400", "-1", ""],
    (25005, 3, 0): ["3450", "", "", "", ""],
    (25756, 2, 0): ["-1.5", "0.5", "-1", "1.0", ""],
    (25756, 3, 0): ["-3", "", "", "", ""],
    (25756, 2, 1): ["11", "12", "13", "14", ""],
    (25756, 3, 1): ["15", "", "", "", ""],
    (20252, 2, 0): ["1_20252_2_0.zip", "2_20252_2_0.zip", "", "", ""],
    (4080, 0, 0): ["120", "130", "125", "118", "121"],
    (4080, 2, 0): ["122", "131", "126", "119", ""],
}
SINGLE = {31, 21022, 189}  # without instances in the newest convention


def dash(field: int, instance: int, array: int) -> str:
    return f"{field}-{instance}.{array}"


def dot(field: int, instance: int, array: int) -> str:
    return f"f.{field}.{instance}.{array}"


def new(field: int, instance: int, array: int) -> str:
    return f"p{field}" + (f"_i{instance}" if field not in SINGLE else "") + (f"_a{array}" if field == 25756 else "")


def export(
    name: Callable[[int, int, int], str], eid: str, cells: dict[tuple[int, int, int], list[str]] = EXPORT
) -> str:
    header = ",".join([eid, *(name(*key) for key in cells)])
    lines = [",".join([str(1000001 + i), *(column[i] for column in cells.values())]) for i in range(5)]
    return "\n".join([header, *lines]) + "\n"


@pytest.fixture(params=[(dash, "eid"), (dot, "f.eid"), (new, "eid")], ids=["dash", "dot", "new"])
def cohort(request: pytest.FixtureRequest, read: Read) -> Cohort:
    return read(export(*request.param), "ukb.csv")


def test_imaging_instances_become_visits(cohort: Cohort) -> None:
    assert cohort.subjects.tolist() == ["1000001", "1000002", "1000003", "1000004"]
    assert cohort.visits.tolist() == ["2", "3", "2", "2", "3", "2"]
    assert cohort.is_request.tolist() == [False, False, False, False, True, False]
    np.testing.assert_allclose(cohort.years, [0, 731 / 365.25, 0, 0, 1096 / 365.25, 0])


def test_fields_at_imaging_instances_only_are_features(cohort: Cohort) -> None:
    assert cohort.feature_names == ("25005", "25756", "25756_a1")
    nan = np.nan
    # -1 is a code in 25005, which has no other negative value; in 25756, which has -1.5, it is a measure
    expected = [[3500, -1.5, 11], [3450, -3, 15], [3600, 0.5, 12], [3400, -1, 13], [nan] * 3, [nan, 1, 14]]
    np.testing.assert_array_equal(cohort.features, expected)
    text = "\n".join(cohort.notes)
    assert "codes -1 and -3 read as missing in features: 1 cells" in text
    assert "fields without numbers left out: 20252" in text
    assert "1 participants without imaging skipped" in text


def test_labels_come_from_instance_0_and_codes_are_missing(cohort: Cohort) -> None:
    nan = np.nan
    assert cohort.labels["sex"].tolist() == ["Female", "Male", "Female", "Male"]
    np.testing.assert_array_equal(cohort.labels["age_at_recruitment"], [50, 60, 55, nan])
    np.testing.assert_array_equal(cohort.labels["townsend"], [-3, -1, 2.5, nan])
    assert cohort.labels["smoking"].fillna("").tolist() == ["0", "", "1", "2"]
    assert cohort.visit_labels["site"].tolist() == ["11025", "11027", "11026", "11025", "11025", "11025"]


def test_age_follows_from_recruitment_and_dates(cohort: Cohort) -> None:
    since = np.array([2922, 3653]) / 365.25
    np.testing.assert_allclose(cohort.visit_labels["age"][:2], 50 + since)
    assert np.isnan(cohort.visit_labels["age"][5])


def test_the_three_conventions_give_one_cohort(read: Read) -> None:
    prints = {
        read(export(name, eid), f"{name.__name__}.csv").fingerprint()
        for name, eid in [(dash, "eid"), (dot, "f.eid"), (new, "participant.eid"), (new, "eid")]
    }
    assert len(prints) == 1


def test_age_when_attended_beats_recruitment(read: Read) -> None:
    cells = EXPORT | {
        (21003, 2, 0): ["58.5", "68", "63", "70", ""],
        (21003, 3, 0): ["60.5", "", "-1", "", ""],
    }
    cohort = read(export(dash, "eid", cells), "ukb.csv")
    np.testing.assert_array_equal(cohort.visit_labels["age"], [58.5, 60.5, 68, 63, np.nan, 70])


def test_without_dates_age_gives_the_time_else_it_is_unknown(read: Read) -> None:
    cells = {key: column for key, column in EXPORT.items() if key[0] != 53}
    aged = cells | {(21003, 2, 0): ["58", "68", "63", "70", ""], (21003, 3, 0): ["60.5", "", "", "", ""]}
    assert read(export(dash, "eid", aged), "ukb.csv").years[:2].tolist() == [0, 2.5]
    recruited = aged | {(53, 0, 0): EXPORT[53, 0, 0]}  # a date, but of no imaging visit
    assert read(export(dash, "eid", recruited), "ukb.csv").years[:2].tolist() == [0, 2.5]
    with pytest.warns(NextscanWarning, match=r"field 53 \(dates\) is not in the export; intervals are unknown"):
        cohort = read(export(dash, "eid", cells), "ukb.csv")
    np.testing.assert_array_equal(cohort.years, [0, np.nan, 0, 0, 0])


def test_the_dictionary_names_features_and_gives_units(read: Read, tmp_path: Path) -> None:
    (tmp_path / "dictionary.tsv").write_text(
        "FieldID\tField\tUnits\n25005\tVolume of grey matter\tmm3\n25756\tScanner position\tmm\n31\tSex\t\n"
    )
    cohort = read(export(dash, "eid"), "ukb.csv", dictionary=tmp_path / "dictionary.tsv")
    assert cohort.feature_names == ("Volume of grey matter", "Scanner position", "Scanner position_a1")
    assert cohort.units["Scanner position_a1"] == "mm"
    (tmp_path / "twins.csv").write_text("field_id,title\n25005,Volume\n25756,Volume\n")
    twins = read(export(dash, "eid"), "ukb.csv", dictionary=tmp_path / "twins.csv")
    assert twins.feature_names[:2] == ("Volume (25005)", "Volume (25756)")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "a,b\n1,2\n",
            r"not a data dictionary; expected columns FieldID and Field \(and Units\), found a, b",
        ),
        ("FieldID,Field\nx,y\n", "line 2, column FieldID: 'x' is not a field's number"),
    ],
)
def test_bad_dictionaries(read: Read, tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "dictionary.csv").write_text(content)
    with pytest.raises(CohortError, match=says):
        read(export(dash, "eid"), "ukb.csv", dictionary=tmp_path / "dictionary.csv")


def test_a_schema_chooses_labels_and_features(read: Read) -> None:
    cohort = read(
        export(new, "eid"),
        "ukb.csv",
        schema="""
        features = ["4080", "25756*"]
        exclude = ["25756_a1"]
        [labels.pressure]
        column = "4080"
        [labels.male]
        column = "p31"
        codes = { 0 = "no", 1 = "yes" }
        [units]
        4080 = "mmHg"
        """,
    )
    assert cohort.feature_names == ("4080", "25756")
    assert cohort.labels["pressure"].tolist() == [120, 130, 125, 118]
    assert cohort.labels["male"].tolist() == ["no", "yes", "no", "yes"]
    assert cohort.units == {"4080": "mmHg"}


@pytest.mark.parametrize(
    ("table", "schema", "says", "error"),
    [
        ("eid,31-0.0,53-0.0\n1,0,2010-01-01\n", None, "no column of an imaging instance", CohortError),
        (
            "eid,25005-2.0,25006-2.0\n1,,\n",
            None,
            "no participant has numbers at an imaging instance",
            CohortError,
        ),
        (
            "eid,25005-2.0,25006-2.0\n1,2,3\n2,x,4\n3,4,5\n",
            None,
            "line 3, column 25005-2.0: expected a number",
            CohortError,
        ),
        ("eid,25005-2.0,25006-2.0\n1,2,3\n1,3,4\n", None, "subject 1 has visit 2 twice", CohortError),
        (
            export(dash, "eid"),
            '[labels]\nq = { column = "99" }',
            "labels.q: .* has no column or field 99",
            SchemaError,
        ),
    ],
)
def test_bad_exports(read: Read, table: str, schema: str | None, says: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=says):
        read(table, "ukb.csv", schema=schema)


def test_instances_against_their_dates_are_an_error_to_see(read: Read) -> None:
    table = "eid,53-2.0,53-3.0,25005-2.0,25005-3.0\n1,2018-01-01,2016-01-01,2,3\n"
    says = "time runs backwards for subject 1: visit 2 has date 2018-01-01 and visit 3 date 2016-01-01"
    with pytest.warns(NextscanWarning, match=says):
        cohort = read(table, "ukb.csv")
    assert [(f.level, f.code, f.subjects) for f in cohort.findings] == [("error", "visit-order", ("1",))]


def test_parquet_exports_are_read_alike(read: Read, tmp_path: Path) -> None:
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    text = read(export(new, "eid"), "ukb.csv")
    pq.write_table(pacsv.read_csv(tmp_path / "ukb.csv"), tmp_path / "ukb.parquet")
    typed = read_cohort(tmp_path / "ukb.parquet")
    np.testing.assert_array_equal(typed.features, text.features)
    np.testing.assert_array_equal(typed.years, text.years)
    assert typed.visit_labels["site"].tolist() == text.visit_labels["site"].tolist()


def test_a_diagnosis_after_the_first_imaging_visit_is_not_present_there(tmp_path: Path) -> None:
    (tmp_path / "ukb.csv").write_text(
        "eid,53-2.0,53-3.0,25005-2.0,25005-3.0,25006-2.0,25006-3.0,42006-0.0\n"
        "1,2016-01-01,2018-01-01,1,2,3,4,2017-05-01\n"
        "2,2016-01-01,2018-01-01,5,6,7,8,2015-05-01\n"
        "3,2016-01-01,,9,,8,,\n"
        "4,,,7,,6,,2017-05-01\n"
    )
    (tmp_path / "schema.toml").write_text('[labels.stroke]\ncolumn = "42006"\npresent = true\n')
    cohort = read_cohort(tmp_path / "ukb.csv", tmp_path / "schema.toml")
    assert cohort.labels["stroke"].tolist() == [0, 1, 0, 1]
    assert any("stroke: after the first imaging visit in 1 participants" in note for note in cohort.notes)
    assert any("imaging visit is unknown in 1 participants" in note for note in cohort.notes)
