import pytest

from nextscan.cli.main import run
from nextscan.reading import read_cohort


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_simulate_brains_writes_a_bids_folder(folder, capsys):
    assert run(["simulate", "brains", "heads", "--subjects", "3", "--shape", "8,10,8", "--seed", "2"]) == 0
    assert capsys.readouterr().out == "cohort: heads (3 people, 3 with a follow-up, 9 images of 8×10×8)\n"
    assert read_cohort(folder / "heads").has_volume.all()
    assert run(["simulate", "brains", "--out", "others", "--subjects", "1", "--shape", "8,10,8"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["heads", "others"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["brains"], "simulate brains needs the folder to write"),
        (["brains", "a", "--out", "b"], "a and b: simulate brains writes one folder"),
        (["brains", "a", "--features", "3"], "--features belongs to a table; leave it out"),
        (["brains", "a", "--shape", "8,8"], "--shape is three whole numbers, as in 32,40,32; got 8,8"),
        (["brains", "a", "--shape", "2,2,2"], "a shape is three numbers from 8 to 512"),
        (["--out", "a.csv", "--shape", "8,8,8"], "--shape belongs to images; leave it out"),
        ([], "simulate needs the table to write, as in --out cohort.parquet"),
        (["table", "a"], "a: a table is named by --out"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, capsys, arguments, message):
    assert run(["simulate", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert list(folder.iterdir()) == []
