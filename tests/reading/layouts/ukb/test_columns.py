from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import SchemaError
from nextscan.reading.layouts.ukb.columns import bare_title, export_columns, is_ukb
from nextscan.reading.layouts.ukb.fields import read_dictionary

Read = Callable[..., Cohort]
WARNED = pytest.mark.filterwarnings("ignore:.*field 53")


@pytest.mark.parametrize(
    "columns",
    [
        ["eid", "31-0.0", "53-2.0", "53-3.0", "25019-2.0", "25019-3.0"],
        ["n_eid", "n_31_0_0", "ts_53_2_0", "ts_53_3_0", "n_25019_2_0", "n_25019_3_0"],
        ["eid", "sex_f31_0_0", "date_of_visit_f53_2_0", "date_of_visit_f53_3_0", "vol_f25019_2_0", "vol_f25019_3_0"],
        ["participant.eid", "participant.p31", *(f"participant.p{f}_i{i}" for f in (53, 25019) for i in (2, 3))],
        [
            "Participant ID",
            "Sex",
            *(f"{t} | Instance {i}" for t in ("Date of attending assessment centre", "Volume") for i in (2, 3)),
        ],
        [
            "Participant.ID",
            "Sex",
            *(f"{t}...Instance.{i}" for t in ("Date.of.attending.assessment.centre", "Volume") for i in (2, 3)),
        ],
        [
            "participant_id",
            "sex",
            *(f"{t}_instance_{i}" for t in ("date_of_attending_assessment_centre", "volume") for i in (2, 3)),
        ],
    ],
)
def test_one_export_however_its_columns_are_called(read: Read, columns: list[str]) -> None:
    assert is_ukb(columns)
    rows = "1000001,0,2015-01-01,2017-01-01,3510,3480\n1000002,1,2016-01-01,,3620,\n1000003,1,2016-01-01,,3590,\n"
    cohort = read(f"{','.join(columns)}\n{rows}")
    assert cohort.visits.tolist() == ["2", "3", "2", "2"]
    assert cohort.features[:, 0].tolist() == [3510, 3480, 3620, 3590]
    assert cohort.years[1] == pytest.approx(2, abs=0.01)
    assert len(cohort.labels["sex"].unique()) == 2


@WARNED
def test_arrays_of_titles_and_new_columns(read: Read) -> None:
    columns = [f"ICA amplitude | Instance 2 | Array {i}" for i in (0, 1)]
    export = export_columns(["Participant ID", *columns])
    field = export.found[0].field
    assert export.name(field, 3, 1) == "ICA amplitude | Instance 3 | Array 1"
    cohort = read("\n".join([",".join(["Participant ID", *columns]), "1000001,1.5,2.5", "1000002,1.25,2.75", ""]))
    assert cohort.feature_names == ("ICA amplitude", "ICA amplitude_a1")


@WARNED
def test_titles_and_a_dictionary_of_fields_agree(read: Read, tmp_path: Path) -> None:
    (tmp_path / "fields.tsv").write_text("FieldID\tField\tUnits\n25019\tVolume (left)\tmm3\n")
    options = {"dictionary": tmp_path / "fields.tsv"}
    by_title = read("Participant ID,Volume (left) | Instance 2\n1000001,3500\n1000002,3600\n", **options)
    by_number = read("eid,p25019_i2\n1000001,3500\n1000002,3600\n", **options)
    assert by_title.feature_names == by_number.feature_names == ("Volume (left)",)
    assert by_title.units == by_number.units == {"Volume (left)": "mm3"}


def test_the_dictionary_of_the_research_analysis_platform(tmp_path: Path) -> None:
    path = tmp_path / "app.data_dictionary.csv"
    path.write_text(
        "entity,name,type,primary_key_type,title,units\n"
        "participant,eid,string,global,Participant ID,\n"
        "participant,p31,integer,,Sex,\n"
        "participant,p25010_i2,float,,Volume of brain | Instance 2,mm3\n"
        "participant,p25010_i3,float,,Volume of brain | Instance 3,mm3\n"
        "participant,p25756_i2_a1,float,,Position | Instance 2 | Array 1,mm\n"
        "olink_instance_0,a1bg,float,,A1BG,\n"
    )
    dictionary = read_dictionary(path)
    assert dictionary.titles == {31: "Sex", 25010: "Volume of brain", 25756: "Position"}
    assert dictionary.units == {25010: "mm3", 25756: "mm"}
    assert bare_title("Sex") == "Sex"


@pytest.mark.parametrize(
    "columns",
    [
        ["participant_id", "session", "age", "hippocampus"],
        ["subject", "first_instance_2", "b"],
        ["participant_id", "age", "instance_2_count", "a", "b", "c"],
        ["id", "vol_f1", "vol_f2"],
    ],
)
def test_other_tables_are_no_exports(columns: list[str]) -> None:
    assert not is_ukb(columns)


def test_an_instance_without_imaging_is_no_visit(read: Read) -> None:
    cohort = read(
        "eid,p53_i2,p53_i3,p25010_i2,p25010_i3,p12188_i2,p12188_i3,p25903_i2,p25903_i3\n"
        "1000001,2015-05-02,2017-05-02,1200,1190,1,1,0,1\n"  # seen twice
        "1000002,2015-05-02,2017-05-02,1300,,1,1,1,0\n"  # came, was not scanned: a request
        "1000003,2015-05-02,,1250,,1,,0,0\n"  # a code alone
        "1000004,,2017-05-02,,1280,,1,,1\n"  # first scanned at instance 3
    )
    assert cohort.subject_names(np.arange(cohort.n_visits)).tolist() == [f"100000{i}" for i in (1, 1, 2, 2, 3, 4)]
    assert cohort.visits.tolist() == ["2", "3", "2", "3", "2", "3"]
    assert cohort.is_request.tolist() == [False, False, False, True, False, False]
    assert "12188" not in cohort.feature_names


@WARNED
def test_small_counts_and_measures_below_ten_make_visits(read: Read) -> None:
    cohort = read("eid,p1_i2,p1_i3,p2_i2,p2_i3\n1000001,2.5,2.25,1,1\n1000002,2.75,2.5,2,\n1000003,2.5,,3,\n")
    assert cohort.observed_visits.tolist() == [2, 2, 1]
    counts = read("eid,p1_i2,p1_i3\n1000001,2,3\n1000002,1,1\n1000003,4,\n")
    assert counts.observed_visits.tolist() == [2, 2, 1]


@pytest.mark.parametrize("date", ["1900-01-01", "1901-01-01", "1902-02-02", "1903-03-03", "1909-09-09", "2037-07-07"])
def test_placeholder_dates_are_no_history(read: Read, date: str) -> None:
    export = f"eid,p53_i2,p25010_i2,p131036\n1000001,2015-01-01,1200,{date}\n1000002,2015-01-01,1300,2009-04-03\n"
    schema = '[labels]\ndementia = { column = "131036", present = true }\n'
    assert read(export, schema=schema).labels["dementia"].tolist() == [0, 1]
    long = f"id,vol,diagnosed\na,1200,{date}\nb,1300,1902-02-03\n"
    schema = '[labels]\ndementia = { column = "diagnosed", present = true }\n'
    assert read(long, schema=schema).labels["dementia"].tolist() == [0, 1]


@WARNED
@pytest.mark.parametrize("key", ["features", "exclude"])
def test_a_pattern_that_fits_nothing_names_the_nearest(read: Read, key: str) -> None:
    with pytest.raises(SchemaError, match=f"{key}: no column fits Volumes of brain; did you mean Volume of brain"):
        read("Participant ID,Volume of brain | Instance 2\n1,2\n2,3\n", schema=f'{key} = ["Volumes of brain"]\n')
    with pytest.raises(SchemaError, match=r"features: no field of an imaging instance fits p31"):
        read("eid,p31,p25010_i2\n1000001,0,3\n1000002,1,4\n", schema='features = ["p31"]\n')
