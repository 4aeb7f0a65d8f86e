import gzip
from pathlib import Path

import pytest

from nextscan.cohort.known import Known
from nextscan.errors import CohortError, SchemaError
from nextscan.reading import read_cohort
from nextscan.reading.formats.cells import Cells
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import Table
from nextscan.reading.schema import TableSchema

TEXT = "id;site;thick\n1;Münster;2,5\n2;Århus;3,5\n"


def opened(folder: Path, content: bytes, name: str = "study.csv", **schema: str) -> Table:
    (folder / name).write_bytes(content)
    return open_table(folder / name, TableSchema(**schema) if schema else None)


def read(table: Table) -> tuple[list[float], list[str]]:
    (block,) = list(Cells(table, ["thick"], ["site"]))
    return block.numbers[:, 0].tolist(), block.texts["site"].tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_same_table_in_every_encoding_and_with_every_end_of_line(tmp_path: Path, encoding: str, end: str) -> None:
    table = opened(tmp_path, TEXT.replace("\n", end).encode(encoding))
    assert read(table) == ([2.5, 3.5], ["Münster", "Århus"])
    told = any("Windows-1252" in note and "Münster" in note for note in table.notes)
    assert told == (encoding in ("cp1252", "latin-1"))


def test_the_schema_names_encoding_and_delimiter(tmp_path: Path) -> None:
    assert read(opened(tmp_path, TEXT.encode("cp1250", "replace"), encoding="cp1250"))[1][0] == "Münster"
    tabs = TEXT.replace(";", "\t").encode()
    assert opened(tmp_path, tabs, delimiter="tab").columns == ("id", "site", "thick")
    with pytest.raises(CohortError, match="expected columns separated by ';'"):
        opened(tmp_path, tabs, delimiter=";")
    with pytest.raises(SchemaError, match="line 2: is not utf-8 text, as the schema says"):
        opened(tmp_path, TEXT.encode("latin-1"), encoding="utf-8")


@pytest.mark.parametrize("name", ["study.csv.gz", "study.tsv.gz", "study.txt"])
def test_gzip_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    table = opened(tmp_path, gzip.compress(TEXT.encode()), name)
    assert read(table) == ([2.5, 3.5], ["Münster", "Århus"])
    assert table.place(0) == "line 2"


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="cannot be read"):
        opened(tmp_path, gzip.compress(TEXT.encode() * 9)[:40], "study.csv.gz")


def test_a_line_for_excel_and_blank_lines_stand_before_the_header(tmp_path: Path) -> None:
    table = opened(tmp_path, b"sep=|\n\nid|site|thick\n1|a;b|2.5\n")
    assert (table.columns, table.place(0)) == (("id", "site", "thick"), "line 4")
    assert read(table) == ([2.5], ["a;b"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id,a\n1,2\x003\n", "line 2: holds NUL bytes: is a binary file, or damaged"),
        ("id,a\n1,2\n".encode("utf-16-le"), 'encoding = "utf-16-le"'),
        (b"id,a\n1,\x81\xfa\n", 'encoding = "latin-1"'),
    ],
)
def test_what_is_no_text_is_refused_with_the_key_that_helps(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(CohortError, match=says):
        opened(tmp_path, content)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("study.sav", b"$FL2@(#) SPSS DATA FILE\0", r"an SPSS file; .*pd.read_spss\('study.sav'\).to_csv\('study.csv'"),
        ("study.csv", b"$FL2@(#) SPSS DATA FILE\0", "an SPSS file"),
        ("study.dta", b"<stata_dta><header>", r"a Stata file; .*pd.read_stata"),
        ("study.rds", gzip.compress(b"X\n\0\0\0\x03", mtime=0), r'an R file; .*readRDS\("study.rds"\)'),
        ("study.RData", gzip.compress(b"RDX3\nX\n", mtime=0), r'an R file; .*load\("study.RData"\)'),
        ("study.mat", b"MATLAB 5.0 MAT-file\0", "a MATLAB file; .*writetable"),
        ("study.sas7bdat", b"\0\0\0\0", r"a SAS file; .*pd.read_sas"),
        ("study.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "an old Excel file"),
        ("study.zip", b"PK\x03\x04\0\0", "is a ZIP archive; unpack it"),
    ],
)
def test_files_of_other_programs_are_named_with_the_line_that_converts(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    with pytest.raises(CohortError, match=says):
        opened(tmp_path, content, name)


def test_text_that_is_called_xls_is_read(tmp_path: Path) -> None:
    assert opened(tmp_path, TEXT.replace(";", "\t").encode(), "study.xls").columns == ("id", "site", "thick")


def test_unquoted_decimal_commas_between_commas_are_named(tmp_path: Path) -> None:
    table = opened(tmp_path, b"id,a,b\n1,2,5,3,5\n2,2,6,3,1\n")
    with pytest.raises(CohortError, match="decimal commas between commas"):
        list(Cells(table, ["a"], ["id"]))


def test_a_model_does_not_remember_how_its_file_was_written(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id;visit;thick;kind\na;1;2,513;x\na;2;2,498;x\nb;1;2,6;y\nb;2;2,5;y\n")
    (tmp_path / "train.toml").write_text('decimal = ","\ndelimiter = ";"\nlabels = ["kind"]\n')
    train = read_cohort(tmp_path / "train.csv")
    assert set(train.reading["schema"]) == {"labels"}
    (tmp_path / "new.csv").write_text("id,visit,thick,kind\nc,1,2.513,x\n")
    known = Known("model", train.feature_names, {"kind": ("x", "y")}, train.reading)
    assert read_cohort(tmp_path / "new.csv", like=known).features.tolist() == [[2.513]]


def test_columns_a_model_has_as_features_are_no_pairs(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("id,thick_t1,thick_t2\nc,2.5,2.4\nd,2.6,2.5\n")
    known = Known("model", ("thick_t1", "thick_t2"), {})
    assert read_cohort(tmp_path / "new.csv", like=known).n_visits == 2
    known = Known("model", ("thick",), {})
    assert read_cohort(tmp_path / "new.csv", like=known).n_visits == 4
