from pathlib import Path

import pandas as pd
import pytest

from nextscan import simulate
from nextscan.cli.outputs import TABLE_SUFFIXES, check_file, check_folder, is_ours
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


def test_what_the_command_reads_is_never_written_to(tmp_path):
    table = tmp_path / "study.csv"
    table.write_text("subject,visit,imputed,imputed_visit\n")
    (tmp_path / "link.csv").symlink_to(table)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"link.csv: is read by this command, and would be lost"):
            check_file(tmp_path / "link.csv", inputs=[None, table], overwrite=overwrite)


@pytest.mark.parametrize(
    ("name", "content", "ours"),
    [
        ("a.csv", "subject,visit,hippocampus,imputed,imputed_visit\n", True),
        ("a.tsv", "subject\tvisit\tyears\tdraw\thippocampus\n", True),
        ("a.csv", "", True),
        ("a.csv", "subject,visit,hippocampus\n", False),
        ("a.csv", "imputed by hand,visit\n", False),
        ("a.csv", "\xff\xfe;1", False),
        ("a.html", '<html><meta name="generator" content="nextscan">', True),
        ("a.html", "<html>mine</html>", False),
        ("a.parquet", "no parquet", False),
    ],
)
def test_only_what_nextscan_wrote_is_replaced_unasked(tmp_path, name, content, ours):
    path = tmp_path / name
    path.write_text(content)
    assert is_ours(path) == ours
    assert check_file(path, overwrite=True) == path
    if not ours:
        with pytest.raises(OutputError, match=r"was not written by nextscan; choose another name, or .* --overwrite"):
            check_file(path)
    assert path.read_text() == content


def test_tables_of_parquet_and_simulated_ones_are_known(tmp_path):
    draws = pd.DataFrame({"subject": ["a"], "visit": ["2"], "years": [1.0], "draw": [1], "hippocampus": [3.0]})
    draws.to_parquet(tmp_path / "draws.parquet")
    draws.drop(columns="draw").to_parquet(tmp_path / "mine.parquet")
    assert is_ours(tmp_path / "draws.parquet")
    assert not is_ours(tmp_path / "mine.parquet")
    simulate(tmp_path / "cohort.csv", n_subjects=8, n_features=3, n_pairs=4)
    assert is_ours(tmp_path / "cohort.csv")
