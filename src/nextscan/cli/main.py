"""The `nextscan` command: its subcommands, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from nextscan.cli import demo, describe, evaluate, fit, impute, report, simulate
from nextscan.cli.cautions import Caution
from nextscan.errors import NextscanError, NextscanWarning, is_out_of_memory

DEBUG = "NEXTSCAN_DEBUG"
_RESUMABLE = ("fit", "evaluate", "demo")

app = typer.Typer(
    name="nextscan",
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="`nextscan COMMAND --help` explains a command and shows examples. Start with `nextscan demo`.",
)
for command in (
    demo.demo,
    describe.describe,
    evaluate.evaluate,
    fit.fit,
    impute.impute,
    report.report,
    simulate.simulate,
):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from nextscan import __version__

        print(f"nextscan {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Impute the follow-up scan that was never taken, with honest uncertainty.

    From a table in which most people were scanned once and a few again, nextscan learns how scans
    change, draws the missing visit, and reports how good that is against carrying the last scan forward.

        nextscan describe cohort.csv                          what is in the table?
        nextscan evaluate cohort.csv --out study              which method is right for it?
        nextscan fit cohort.csv --out model                   learn from everybody with two visits
        nextscan impute model cohort.csv --out completed.csv  draw the visits that are missing
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done. 2: an input, a setting or an output is not as it must be; one line on stderr says which
    and what to do. 130: interrupted. 1: a defect in nextscan; with ``NEXTSCAN_DEBUG=1`` it shows where.
    """
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    said: set[str] = set()

    def note(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, NextscanWarning) and str(message) not in said:
            said.add(str(message))
            _say(f"{'warning' if issubclass(category, Caution) else 'note'}: {message}")

    with warnings.catch_warnings():
        if not os.environ.get(DEBUG):
            warnings.simplefilter("ignore")
        warnings.simplefilter("always", NextscanWarning)
        warnings.showwarning = note
        try:
            code = app(given, prog_name="nextscan", standalone_mode=False)
        except Exception as error:
            return _explain(error)
    if code == 130:
        again = "; the same command goes on where it stopped" if given[0] in _RESUMABLE else ""
        _say(f"stopped{again}")
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> int:
    """Print one line about an error and return the exit code."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if isinstance(error, NextscanError):
        _say(f"error: {error}")
        return 2
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "nextscan"
        _say(f"error: {error.format_message().rstrip('.')}; see {command} --help")
        return 2
    if is_out_of_memory(error):
        _say("error: not enough memory; use fewer draws, a smaller cohort or a larger machine")
        return 2
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        remedy = "; free some space and run the command again" if error.errno == errno.ENOSPC else ""
        _say(f"error: {where}{error.strerror}{remedy}")
        return 2
    _say(
        f"error: nextscan failed unexpectedly ({type(error).__name__}: {error}); "
        f"please report it with what {DEBUG}=1 shows"
    )
    return 1


def _say(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run())
