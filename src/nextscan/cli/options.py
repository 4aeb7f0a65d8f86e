"""Arguments and options that several commands share, each explained once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from nextscan.errors import NextscanWarning, SettingError

if TYPE_CHECKING:
    from nextscan.cohort import Cohort
    from nextscan.imputers.estimator import Estimator

Command = TypeVar("Command", bound=Callable[..., None])

Table = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        show_default=False,
        help="The cohort: a long table (one row per subject and visit; CSV, TSV, Parquet), a wide UK-Biobank "
        "export, a FreeSurfer group table or a folder of them; or images: a BIDS folder, a folder of films of hearts "
        "(ACDC, M&Ms, or a 4-D file a subject), or a long table with paths in a column `volume`.",
    ),
]
Draws = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        show_default="40; of images 10",
        help="Plausible versions of each missing visit. A 95 % interval needs at least 39.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already and that nextscan did not write.")
]
Individuals = Annotated[
    bool,
    typer.Option(
        "--individuals",
        help="Show names and values of single people on the page: their trajectories, points and images. Keep such a "
        "page where the data are kept.",
    ),
]
Jobs = Annotated[int, typer.Option(metavar="N", min=1, help="Processes side by side; results do not depend on it.")]


@dataclass(frozen=True)
class ReadOptions:
    """How to read a cohort; `with_read_options` makes an option of each field."""

    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="A TOML file that says which columns are subject, visit, time, labels and features, where "
            "inference is not enough.",
        ),
    ] = None
    unpaired: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="TABLE",
            show_default=False,
            help="A cross-sectional table to learn from as well: subjects scanned once. Features both tables "
            "have are kept, the others listed. Repeatable.",
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FEATURE",
            show_default=False,
            help="A feature to leave out, by name or pattern (`lh_*`). Intracranial volume from a longitudinal "
            "stream is equal at both visits by construction and belongs here. Repeatable.",
        ),
    ] = None
    dictionary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="For UK-Biobank exports: your own data dictionary, which gives the fields their names.",
        ),
    ] = None
    participants: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="A table of subject labels (`participants.tsv`) to join to the features.",
        ),
    ] = None
    suffix: Annotated[
        str | None,
        typer.Option(
            metavar="SUFFIX",
            show_default=False,
            help="Of a BIDS folder with several kinds of images: which to take, as in `T1w` or `desc-preproc_T1w`.",
        ),
    ] = None

    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            show_default=False,
            help="Go on in spite of an error in the data: its message ends in its code, such as `impossible-gap`. "
            "Repeatable.",
        ),
    ] = None

    def read(self, table: Path, like: Estimator | None = None) -> Cohort:
        """Read the cohort they describe, by the names of a model if one is given; its findings are not told yet."""
        from nextscan.reading import read_cohort

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NextscanWarning)  # they are among the findings of the cohort
            return read_cohort(
                table,
                self.schema,
                unpaired=self.unpaired or (),
                exclude=self.exclude or (),
                dictionary=self.dictionary,
                participants=self.participants,
                suffix=self.suffix,
                allow=self.allow or (),
                like=like,
            )

    def repeated(self) -> list[str]:
        """Return the options that reading the same cohort again needs, as they are written."""
        again = {"schema": self.schema, "dictionary": self.dictionary, "participants": self.participants}
        given = {name: value for name, value in {**again, "suffix": self.suffix}.items() if value is not None}
        return [part for name, value in given.items() for part in (f"--{name}", str(value))]

    def files(self, table: Path) -> list[Path | None]:
        """Return what is read, and so must not be written to."""
        return [table, self.schema, self.dictionary, self.participants, *(self.unpaired or ())]


def with_read_options(*, but: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Give a command, where its parameter ``reading`` stands, an option for each field of `ReadOptions`."""
    options = {
        name: option for name, option in signature(ReadOptions, eval_str=True).parameters.items() if name not in but
    }

    def decorate(command: Command) -> Command:
        own = signature(command, eval_str=True).parameters.values()
        shown = [part for each in own for part in (options.values() if each.name == "reading" else [each])]

        @wraps(command)
        def run(*given: Any, **named: Any) -> None:
            reading = ReadOptions(**{name: named.pop(name) for name in options if name in named})
            command(*given, reading=reading, **named)

        run.__signature__ = Signature(shown)  # type: ignore[attr-defined]
        return cast(Command, run)

    return decorate


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers and ranges, as in ``1-5,8``.

    >>> parse_numbers("1-3,8", "--seeds")
    (1, 2, 3, 8)
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise SettingError(f"{option}: {part.strip() or text!r} is not a whole number or a range such as 1-5")
        numbers.extend(range(int(first), int(last if dash else first) + 1))
    if not numbers or len(set(numbers)) < len(numbers):
        raise SettingError(f"{option}: {text!r} must name at least one number and none twice")
    return tuple(numbers)


def parse_years(text: str, option: str) -> tuple[float, ...]:
    """Read times in years, as in ``1,2.5,5``.

    >>> parse_years("1,2.5", "--at-years")
    (1.0, 2.5)
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SettingError(f"{option}: {text!r} must be numbers of years with commas between, as in 1,2,5") from None
