import pytest

from nextscan.cli.main import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_simulate_hearts_writes_a_folder(folder, capsys):
    command = ["simulate", "hearts", "hearts", "--subjects", "2", "--frames", "3", "--shape", "16,16,4", "--seed", "2"]
    assert run(command) == 0
    assert capsys.readouterr().out == "cohort: hearts (2 people, 3 frames each, 6 images of 16×16×4)\n"
    assert (folder / "hearts" / "hearts.csv").is_file()
    more = ["--layout", "acdc", "--groups", "dcm=1", "--spacing", "12,12,36", "--out", "others"]
    assert run(["simulate", "hearts", "--subjects", "1", "--frames", "3", "--shape", "16,16,4", *more]) == 0
    assert "Group: DCM" in (folder / "others" / "patient001" / "Info.cfg").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["hearts", "others"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hearts"], "simulate hearts needs the folder to write, as in: nextscan simulate hearts hearts"),
        (["hearts", "a", "--out", "b"], "a and b: simulate hearts writes one folder"),
        (["hearts", "a", "--features", "3"], "--features belongs to a table; leave it out"),
        (["hearts", "a", "--shape", "8,8"], "--shape is three whole numbers, as in 32,32,8; got 8,8"),
        (["hearts", "a", "--spacing", "8"], "--spacing is three numbers of mm, as in 5,5,18; got 8"),
        (["hearts", "a", "--groups", "DCM"], "--groups is names and shares, as in NOR=2,DCM=1; got DCM"),
        (["hearts", "a", "--groups", "ARV=1"], "no group ARV; there are NOR, DCM, HCM, MINF, RV"),
        (["hearts", "a", "--frames", "1"], "a beat has 2 to 500 frames, got 1"),
        (["brains", "a", "--frames", "3"], "--frames belongs to hearts; leave it out"),
        (["--out", "a.csv", "--layout", "acdc"], "--layout belongs to hearts; leave it out"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, capsys, arguments, message):
    assert run(["simulate", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert list(folder.iterdir()) == []
