"""Every bad input ends with one helpful line: never a traceback, never a partial file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bad_inputs.cases import CASES, Case
from nextscan.cli.main import run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_bad_input_is_one_line(case: Case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    case.make(tmp_path)
    before = files(tmp_path)
    code = run(case.arguments)
    shown = capsys.readouterr()
    assert (code, len(shown.err.splitlines())) == (0 if case.warns else 2, 1), shown.err
    assert shown.err.startswith("note: " if case.warns else "error: ")
    assert case.says in shown.err
    assert files(tmp_path) == before
    assert case.warns or not shown.out


def test_the_corpus_is_large_and_its_names_are_distinct():
    assert len(CASES) >= 90
    assert len({case.name for case in CASES} | {case.command + case.says for case in CASES}) >= len(CASES)


def nextscan(*arguments: str, cwd: Path, kilobytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real executable, if asked with a limit on the size of files: a disk that fills up."""
    limit = "" if kilobytes is None else f"ulimit -f {kilobytes}; "
    command = f'{limit}exec "$0" -c "import sys; from nextscan.cli.main import run; sys.exit(run())" "$@"'
    shell = ["bash", "-c", command, sys.executable, *arguments]
    return subprocess.run(shell, cwd=cwd, capture_output=True, text=True, check=False, env=os.environ)
