from pathlib import Path

import pytest

from nextscan.cli.outputs import TABLE_SUFFIXES, check_file, check_folder
from nextscan.errors import OutputError, SettingError


def test_a_file_that_can_be_written_passes_and_is_not_made(tmp_path):
    assert check_file(tmp_path / "a.csv", TABLE_SUFFIXES) == tmp_path / "a.csv"
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(OutputError, match=r"taken.csv: is a folder"):
        check_file(tmp_path / "taken.csv")
    with pytest.raises(OutputError, match=r"b.csv: there is no folder .*missing"):
        check_file(tmp_path / "missing" / "b.csv")
    with pytest.raises(SettingError, match=r"a.xlsx: the name must end in .csv or .tsv or .parquet"):
        check_file(tmp_path / "a.xlsx", TABLE_SUFFIXES)


def test_a_place_where_nobody_can_write_is_named():
    with pytest.raises(OutputError, match=r"/proc/a\.csv: cannot be written: .*; choose another place"):
        check_file(Path("/proc/a.csv"))


def test_folders_may_be_there_or_not_but_not_be_files(tmp_path):
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert check_folder(tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match=r"file is a file, not a folder"):
            check_folder(path)
