from pathlib import Path

import pytest

from nextscan.errors import SchemaError
from nextscan.reading.schema import Schema, fits, matching, nearest, read_schema


def schema_of(folder: Path, content: str) -> Schema:
    path = folder / "schema.toml"
    path.write_text(content)
    return read_schema(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        """
        name = "Study"
        subject = "ID"
        visit = "wave"
        missing = [-999, "unknown"]
        features = ["lh_*", "/_area$/"]
        exclude = ["*_qc"]
        subject_prefix = "s-"
        [time]
        column = "when"
        kind = "age"
        unit = "months"
        [labels]
        sex = { column = "Gender", codes = { M = "male", 1 = "male" } }
        stroke = { column = "42006", present = true }
        [units]
        "lh_*" = "mm"
        [files."pool*.csv"]
        subject = "sub"
        """,
    )
    assert (schema.name, schema.subject, schema.visit) == ("Study", "ID", "wave")
    assert schema.missing == (-999, "unknown")
    assert schema.time is not None
    assert (schema.time.column, schema.time.kind, schema.time.unit) == ("when", "age", "months")
    assert schema.labels is not None
    assert schema.labels["sex"].codes == {"M": "male", "1": "male"}
    assert schema.labels["stroke"].present
    pool = schema.of(Path("folder/pool_2.csv"))
    assert (pool.subject, pool.visit, pool.subject_prefix) == ("sub", "wave", "s-")
    assert schema.of(Path("main.csv")).subject == "ID"


def test_labels_may_be_a_list(tmp_path: Path) -> None:
    labels = schema_of(tmp_path, 'labels = ["sex", "site"]').labels
    assert labels is not None
    assert list(labels) == ["sex", "site"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('subjct = "x"', "schema.toml: unknown key subjct; did you mean subject?"),
        (
            '[time]\ncolum = "x"',
            r"unknown key time.colum; did you mean column\? there are column, kind, unit, format",
        ),
        ("[labels.sex]\ncode = {M = 1}", "unknown key labels.sex.code; did you mean codes?"),
        ('[files."a.csv"]\nnmae = "x"', "unknown key files.a.csv.nmae"),
        ('[files."a.csv".time]\ncolumn = "x"\nkinds = "age"', "files.a.csv.time.kinds; did you mean kind?"),
        ('_path = "x"', "unknown key _path"),
        (
            '[time]\ncolumn = "x"\nkind = "ages"',
            "time.kind: Input should be 'years', 'age', 'date' or 'visit', found 'ages'",
        ),
        ('[time]\nkind = "age"', "time.column: Field required"),
        ('features = ["/(/"]', r"/\(/ is not a regular expression"),
        ("subject =", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(SchemaError, match=says) as raised:
        schema_of(tmp_path, content)
    assert "\n" not in str(raised.value)


def test_missing_file_and_other_encodings(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"no\.toml: cannot be read: No such file"):
        read_schema(tmp_path / "no.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(SchemaError, match="is not valid TOML"):
        read_schema(tmp_path / "latin.toml")


def test_patterns() -> None:
    assert fits("lh_[a]", "lh_[a]")  # the name itself, though a glob would read it otherwise
    assert [fits("lh_*", name) for name in ("lh_insula", "LH_insula")] == [True, False]
    assert [fits(pattern, "lh_insula") for pattern in ("/ins.la$/", "/^ins/")] == [True, False]
    assert matching(["b*", "a"], ["a", "b1", "c", "b2"], "here", SchemaError) == ["a", "b1", "b2"]
    with pytest.raises(SchemaError, match=r"here: no column fits hippo; did you mean Hippo\? there are Hippo"):
        matching(["hippo"], ["Hippo"], "here", SchemaError)
    assert nearest("xyz", ["subject"]) == ""
