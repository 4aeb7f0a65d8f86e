"""How errors, notes and interruptions end: one line on stderr and an exit code."""

import errno
import os
import subprocess
import sys
import warnings

import pytest

import nextscan.report
from nextscan.cli.main import app, run
from nextscan.errors import NextscanError, NextscanWarning

COMMANDS = ["demo", "describe", "evaluate", "fit", "impute", "report", "simulate"]


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes `nextscan report` raise what it is given."""

    def fail(error: BaseException) -> None:
        def write_report(_run, **_):
            raise error

        monkeypatch.setattr(nextscan.report, "write_report", write_report, raising=False)

    return fail


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (NextscanError("a.csv: no subject\n column"), 2, "error: a.csv: no subject column"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), 2, "error: a.csv: Permission denied"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "error: No space left on device; free some space and run the command again",
        ),
        (MemoryError(), 2, "error: not enough memory; use fewer draws, a smaller cohort or a larger machine"),
        (
            KeyError("x"),
            1,
            "error: nextscan failed unexpectedly (KeyError: 'x'); please report it with what NEXTSCAN_DEBUG=1 shows",
        ),
    ],
)
def test_an_error_is_one_line(failing, capsys, error, code, line):
    failing(error)
    assert run(["report", "study"]) == code
    assert capsys.readouterr() == ("", line + "\n")


def test_debug_shows_where_a_defect_is(failing, capsys, monkeypatch):
    monkeypatch.setenv("NEXTSCAN_DEBUG", "1")
    failing(KeyError("x"))
    assert run(["report", "study"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_says_whether_the_command_resumes(failing, capsys):
    failing(KeyboardInterrupt())
    assert run(["report", "study"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_an_interrupted_evaluation_says_how_to_go_on(monkeypatch, capsys):
    monkeypatch.setattr("nextscan.cli.evaluate.check_folder", _interrupt)
    assert run(["evaluate", "cohort.csv", "--out", "study"]) == 130
    assert capsys.readouterr().err == "stopped; the same command goes on where it stopped\n"


def _interrupt(_path):
    raise KeyboardInterrupt


def test_notes_are_shown_once_and_other_warnings_not(monkeypatch, capsys):
    def write_report(run, **_):
        for _ in range(2):
            warnings.warn("site differs between visits", NextscanWarning, stacklevel=1)
        warnings.warn("an internal matter of some library", DeprecationWarning, stacklevel=1)
        return run / "report.html"

    monkeypatch.setattr(nextscan.report, "write_report", write_report, raising=False)
    assert run(["report", "study"]) == 0
    assert capsys.readouterr() == ("report: study/report.html\n", "note: site differs between visits\n")


def test_usage_errors_are_one_line_with_the_command_to_ask(capsys):
    assert run(["describ", "a.csv"]) == 2
    assert capsys.readouterr().err == (
        "error: No such command 'describ'. Did you mean 'describe'?; see nextscan --help\n"
    )
    assert run(["describe"]) == 2
    assert capsys.readouterr().err == "error: Missing argument 'TABLE'; see nextscan describe --help\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_examples(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "110")
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"  nextscan {command}" in shown
    assert len(shown.split()) > 40


def test_every_command_is_listed_and_none_is_forgotten(capsys):
    assert sorted(info.callback.__name__ for info in app.registered_commands) == COMMANDS
    assert run([]) == 0
    shown = capsys.readouterr().out
    assert all(f" {command} " in shown for command in COMMANDS)


def test_impute_says_why_one_draw_is_not_enough(capsys):
    assert run(["impute", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "multiple imputation" in shown
    assert "one draw" in shown.lower()


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"nextscan {nextscan.__version__}\n"


def test_a_closed_pipe_is_no_error():
    command = [sys.executable, "-c", "from nextscan.cli.main import run; raise SystemExit(run(['--help']))"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr
