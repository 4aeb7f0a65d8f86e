import pytest

from nextscan.cli.options import parse_numbers, parse_years
from nextscan.errors import SettingError


def test_numbers_and_ranges():
    assert parse_numbers("7", "--seeds") == (7,)
    assert parse_numbers("1-3, 8", "--seeds") == (1, 2, 3, 8)


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,,2", "3-1", "1,1", "1-3,2"])
def test_what_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(SettingError, match="--seeds"):
        parse_numbers(text, "--seeds")


def test_years():
    assert parse_years("1,2.5", "--at-years") == (1.0, 2.5)
    with pytest.raises(SettingError, match="--at-years: '1;2' must be numbers of years"):
        parse_years("1;2", "--at-years")
