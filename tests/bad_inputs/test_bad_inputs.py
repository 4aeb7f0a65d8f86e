"""Every bad input ends with one helpful line: never a traceback, never a partial file."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bad_inputs.cases import CASES, Case
from bad_inputs.tables import model
from nextscan.cli.main import run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def besides_warnings(shown: str) -> list[str]:
    """Return the lines of stderr that are not about the quality of the data."""
    return [line for line in shown.splitlines() if not line.startswith("warning: ")]


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_bad_input_is_one_line(case: Case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    case.make(tmp_path)
    before = files(tmp_path)
    code = run(case.arguments)
    shown = capsys.readouterr()
    lines = besides_warnings(shown.err)
    assert files(tmp_path) == before
    if case.warns:  # what is found in a table is a part of its description
        assert (code, lines) == (0, []), shown.err
        assert case.says in " ".join(shown.out.split())
        return
    assert (code, len(lines)) == (2, 1), shown.err
    assert lines[0].startswith("error: ")
    assert case.says in lines[0]
    assert not shown.out


def test_the_corpus_is_large_and_its_names_are_distinct():
    assert len(CASES) >= 90
    assert len({case.name for case in CASES} | {case.command + case.says for case in CASES}) >= len(CASES)


@contextmanager
def full_disk(kilobytes: int) -> Iterator[None]:
    """Limit the size of files that this process writes: a disk that fills up."""
    import matplotlib.font_manager  # noqa: F401  which saves a list of fonts where there is none yet

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kilobytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("command", "kilobytes"),
    [
        ("simulate --subjects 400 --features 40 --pairs 20 --out cohort.csv", 64),
        ("simulate --subjects 400 --features 40 --pairs 20 --out cohort.parquet", 64),
        ("fit table.csv --method feature-regression --out fitted", 1),
        ("impute model table.csv --out completed.csv", 2),
        ("impute model table.csv --out completed.parquet", 2),
        ("impute model table.csv --out completed.csv --save-draws draws.csv", 8),
        ("describe table.csv --html page.html", 16),
        ("evaluate table.csv --methods ridge --folds 3 --out run", 1),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, command, kilobytes):
    monkeypatch.chdir(tmp_path)
    model(tmp_path)
    before = files(tmp_path)
    with full_disk(kilobytes):
        code = run(command.split())
    shown = capsys.readouterr().err
    lines = besides_warnings(shown)
    assert (code, len(lines)) == (2, 1), shown
    assert lines[0].startswith("error: ")
    assert "File too large" in lines[0]
    left = files(tmp_path)
    assert {name: content for name, content in left.items() if not name.startswith("run/")} == before


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of 64 KiB of its own; only the superuser can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_says_so(small_disk, monkeypatch, capsys):
    monkeypatch.chdir(small_disk)
    assert run(["simulate", "--subjects", "900", "--features", "40", "--pairs", "20", "--out", "cohort.csv"]) == 2
    assert capsys.readouterr().err == "error: cohort.csv: cannot be written: No space left on device\n"
    assert files(small_disk) == {}
    monkeypatch.chdir("/")


def test_the_executable_ends_as_the_function_does(tmp_path):
    command = [sys.executable, "-c", "import sys; from nextscan.cli.main import run; sys.exit(run())"]
    done = subprocess.run(
        [*command, "describe", "table.csv"], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: table.csv: cannot be read: No such file or directory\n"


def test_an_interrupted_simulation_leaves_nothing(tmp_path):
    # A suite run in the background ignores interrupts, and its children with it.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}; import sys; from nextscan.cli.main import run; sys.exit(run())"
    command = [sys.executable, "-c", code, "simulate", "--out", "cohort.csv"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not any(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert shown.splitlines()[-1] == "stopped"
    assert files(tmp_path) == {}
