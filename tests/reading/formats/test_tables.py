from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nextscan.errors import CohortError
from nextscan.reading.formats.cells import Cells, Missing
from nextscan.reading.formats.opening import open_table
from nextscan.reading.formats.tables import Table, numbers_or_missing, to_number, to_numbers, to_texts


def table_of(folder: Path, content: str | bytes, name: str = "study.csv") -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_table(path)


@pytest.mark.parametrize(
    ("delimiter", "words"),
    [(",", "comma"), ("\t", "tab"), (";", "semicolon"), ("|", "bar"), (" ", "space")],
)
def test_delimiter_is_found_whatever_the_suffix(tmp_path: Path, delimiter: str, words: str) -> None:
    rows = [["id", "volume", "age"], ["1", "2.5", "60"], ["2", "3.5", "70"]]
    table = table_of(tmp_path, "\n".join(delimiter.join(row) for row in rows), "study.tsv")
    assert table.form == f"{words}-separated"
    assert table.columns == ("id", "volume", "age")


def test_delimiter_that_cuts_rows_alike_beats_one_that_is_in_names(tmp_path: Path) -> None:
    table = table_of(tmp_path, 'id;"a, of b, of c";d\n1;2;3\n4;5;6\n')
    assert table.columns == ("id", "a, of b, of c", "d")


def test_byte_order_mark_blank_lines_and_carriage_returns(tmp_path: Path) -> None:
    table = table_of(tmp_path, b"\xef\xbb\xbfid,a\r\n1,2\r\n\r\n3,4\r\n")
    assert table.columns == ("id", "a")
    block = next(iter(Cells(table, ["a"], ["id"])))
    assert block.numbers[:, 0].tolist() == [2, 4]
    assert block.texts["id"].tolist() == ["1", "3"]


def test_place_names_the_line_as_an_editor_shows_it(tmp_path: Path) -> None:
    assert table_of(tmp_path, "id,a\n1,2\n").place(0) == "line 2"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the file is empty"),
        ("id\n1\n", "only one column, 'id'"),
        ("id,a,a\n1,2,3\n", "column names appear twice: a"),
        (b"id,a\n1,\x81\xe9\n", "line 2: is not UTF-8 text"),
        (b"id,a\n1,\x00\n", "line 2: holds NUL bytes: is a binary file, or damaged"),
    ],
)
def test_refused_at_the_head(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(CohortError, match=says):
        table_of(tmp_path, content)


def test_bytes_beyond_the_head_must_be_utf8_too(tmp_path: Path) -> None:
    lines = b"id,a\n" + b"12345678,1.5\n" * 400_000 + b"1,\xe9\n"
    with pytest.raises(CohortError, match="is not UTF-8 text"):
        list(Cells(table_of(tmp_path, lines), ["a"], ["id"]))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,a\n1,2\n3\n", r"line 3: 1 cells where the header has 2; the delimiter was taken to be a comma"),
        ("id,a\n1,2\n3,4,5\n", r"line 3: 3 cells where the header has 2 \(one cell more: row names"),
        ("id,a\n", "the table has a header and no rows"),
        ("id,a\n1,2\n2,three\n3,4\n", "line 3, column a: expected a number, found 'three'"),
        ("id;a\n1;2.5\n2;2,5\n3;4\n", r"line 3, column a: .* found '2,5' \(if it is a number: give decimal"),
        ("id,a\n1,2\n2,-inf\n", "line 3, column a: the value is infinite"),
    ],
)
def test_refused_in_the_body(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(CohortError, match=says):
        list(Cells(table_of(tmp_path, content), ["a"], ["id"]))


def test_kinds_are_settled_by_the_values(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,number,word,nothing\n1,2.5,x,\n2,NA,y,n/a\n3,1e3,,NaN\n")
    cells = Cells(table, ["number", "word", "nothing"], ["id"])
    (block,) = list(cells)
    assert cells.kinds == {"number": "number", "word": "text", "nothing": "empty"}
    np.testing.assert_array_equal(block.numbers[:, 0], [2.5, np.nan, 1000])
    assert block.texts["word"].tolist() == ["x", "y", None]


def test_missing_codes_in_numbers_and_texts(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,a,g\n1,-999,unknown\n2,unknown,M\n3,4,-999\n")
    cells = Cells(table, ["a"], ["g"], Missing.of([-999, "unknown"]))
    (block,) = list(cells)
    np.testing.assert_array_equal(block.numbers[:, 0], [np.nan, np.nan, 4])
    assert block.texts["g"].tolist() == [None, "M", None]


def test_verbatim_batches_keep_every_cell_to_the_letter(tmp_path: Path) -> None:
    table = table_of(tmp_path, 'id,a\n" 1",2.50\nNA,\n')
    (batch,) = list(table.batches(verbatim=True))
    assert batch.to_pydict() == {"id": [" 1", "NA"], "a": ["2.50", ""]}


def test_numbers_of_arrow_types() -> None:
    assert to_numbers(pa.array([True, None])).tolist()[0] == 1
    assert to_numbers(pa.array([1, 2], pa.int16())).tolist() == [1, 2]
    assert to_numbers(pa.array([" 1.5", "2"]).dictionary_encode()).tolist() == [1.5, 2]
    assert to_numbers(pa.array(["x"])) is None
    assert to_numbers(pa.array([0], pa.date32())) is None
    np.testing.assert_array_equal(numbers_or_missing(pa.array(["x", "2", None])), [np.nan, 2, np.nan])


def test_texts_of_whole_floats_have_no_point() -> None:
    assert to_texts(pa.array([1000001.0, None])).tolist() == ["1000001", None]
    assert to_texts(pa.array([1.5, 2.0])).tolist() == ["1.5", "2"]
    assert to_texts(pa.array(["  a ", ""])).tolist() == ["a", None]


def test_truncated_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.parquet"
    path.write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(CohortError, match=r"is not a whole Parquet file \(truncated\?\)"):
        open_table(path)


def test_to_number_knows_what_a_number_is() -> None:
    assert [to_number(text) for text in ("1", " 2.5 ", "x", "1_0", None)] == [1.0, 2.5, None, None, None]
