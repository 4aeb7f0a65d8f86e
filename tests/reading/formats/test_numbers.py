import pyarrow as pa
import pytest

from nextscan.reading.formats.numbers import PLAIN, Forms, NumberForm, number_forms


def forms(columns: dict[str, list[str | None]], decimal: str | None = None, thousands: str | None = None) -> Forms:
    return number_forms({name: pa.array(cells, pa.string()) for name, cells in columns.items()}, decimal, thousands)


def plain(columns: dict[str, list[str | None]], decimal: str | None = None) -> dict[str, list[str | None]]:
    found = forms(columns, decimal)
    assert not found.unclear
    return {name: found[name].plain(pa.array(cells, pa.string())).to_pylist() for name, cells in columns.items()}


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["2,71", "3,0", None], ["2.71", "3.0", None]),
        (["1,204.5", "870.25"], ["1204.5", "870.25"]),
        (["1.204,5", "870,25"], ["1204.5", "870.25"]),
        (["12 345", "987"], ["12345", "987"]),
        (["1\u00a0204,5", "870,25"], ["1204.5", "870.25"]),
        (["1'204.5", "870"], ["1204.5", "870"]),
        (["1\u2019204", "870"], ["1204", "870"]),
        (["1,234,567", "950,000"], ["1234567", "950000"]),
        (["1.234.567", "950.000"], ["1234567", "950000"]),
        (["12,5 %", "9,1%"], ["12.5", "9.1"]),
        (["41%", "0"], ["41", "0"]),
        (["4010 mm3", "3988 mm\u00b3"], ["4010", "3988"]),
        (["3.9 mL", "4.1 ml"], ["3.9", "4.1"]),
        (["1,5E+03", "2,25"], ["1.5E+03", "2.25"]),
        (["\u22120.4", "1.2"], ["-0.4", "1.2"]),
        (["0,513", "0,498"], ["0.513", "0.498"]),  # nothing of thousands starts with 0
    ],
)
def test_one_column_tells_how_its_numbers_are_written(cells: list[str | None], read: list[str | None]) -> None:
    assert plain({"a": cells})["a"] == read


def test_another_column_tells_what_three_digits_behind_a_comma_are() -> None:
    unclear = {"thick": ["2,513", "2,498"]}
    assert "may have decimal commas or separators of thousands" in forms(unclear).unclear["thick"]
    assert plain(unclear | {"b": ["1,5", "0,25"]})["thick"] == ["2.513", "2.498"]
    assert plain(unclear | {"b": ["1.5", "0.25"]})["thick"] == ["2513", "2498"]
    assert plain(unclear, decimal=",")["thick"] == ["2.513", "2.498"]
    assert plain(unclear, decimal=".")["thick"] == ["2513", "2498"]
    assert forms(unclear, thousands=",").of["thick"] == NumberForm(".", ",")


def test_points_separate_thousands_only_beside_decimal_commas() -> None:
    assert plain({"a": ["3.912", "4.120"]})["a"] == ["3.912", "4.120"]
    assert plain({"a": ["3.912", "4.120"], "b": ["2,5", "2,75"]})["a"] == ["3912", "4120"]
    assert plain({"a": ["3.912", "4.120"], "b": ["0.48", "2.5"]}, decimal=",")["a"] == ["3.912", "4.120"]


@pytest.mark.parametrize(
    "cells",
    [
        ["1,2", "1,2,5", "3"],  # several answers
        ["01.02.2020", "03.04.2021"],
        ["1.5T", "3T"],
        ["12m", "24m"],
        ["10.1.3.4", "10.1.3.5"],
        ["A,1", "B,2"],
        ["3.2", "unknown"],
        ["12.5", "13", "1e4", "-0.5"],
    ],
)
def test_other_texts_and_plain_numbers_stay(cells: list[str | None]) -> None:
    assert plain({"a": cells, "b": ["x", "y"]})["a"] == cells
    assert not forms({"a": cells}).notes


def test_small_codes_beside_decimal_points_are_words_and_said_to_be() -> None:
    found = forms({"drugs": ["1,2", "3"], "b": ["2.51", "2.4"]})
    assert found["drugs"] == PLAIN
    assert found.notes == ["texts such as 1,2 in drugs are read as words: other columns have decimal points"]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["3,2", "3.1"], r"written in several ways ('3,2', '3.1')"),
        (["2,51", "2,4", "2.513"], r"written in several ways ('2,51', '2.513')"),
        (["3900 mm3", "3.9 ml"], "the unit ml and mm3"),
        (["3900 mm3", "3850"], "others (3850) none"),
        (["35%", "0.35"], "others (0.35) none"),
    ],
)
def test_mixed_columns_are_unclear(cells: list[str | None], says: str) -> None:
    assert says in forms({"a": cells}).unclear["a"]


def test_few_odd_cells_are_left_to_whoever_names_their_lines() -> None:
    for odd in ("2,5", "2.5mm", "2.5 %"):
        cells = ["2.51", "2.4", "2.6", odd]
        assert not forms({"a": cells}).unclear
        assert plain({"a": cells})["a"] == cells


def test_imputed_numbers_are_written_as_the_column_writes_them() -> None:
    values = pa.array(["3870.25", None])
    assert NumberForm(",", ".", "mm3", " mm3").write(values).to_pylist() == ["3870,25 mm3", None]
    assert PLAIN.write(values).to_pylist() == ["3870.25", None]


def test_names_are_read_to_the_letter() -> None:
    found = forms({"id": ["1,5", "2,5"], "a": ["3,2", "3,1"]}).without(["id"])
    assert found["id"] == PLAIN
    assert found.notes == ["numbers with decimal commas in a"]
