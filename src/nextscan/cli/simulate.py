"""`nextscan simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nextscan.cli.outputs import TABLE_SUFFIXES, check_file
from nextscan.cli.progress import show_progress
from nextscan.errors import SettingError

_SUBJECTS, _FEATURES, _PAIRS = 41_706, 769, 4_997
_BRAINS, _SHAPE = 40, "32,40,32"


def simulate(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="The table to write (.parquet, .csv or .tsv)."),
    ] = None,
    subjects: Annotated[
        int | None,
        typer.Option(metavar="N", show_default=False, help="People in the cohort; else 41,706, or 40 with brains."),
    ] = None,
    features: Annotated[
        int | None,
        typer.Option(metavar="N", show_default=False, help="Of a table: imaging features per visit; else 769."),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(metavar="N", show_default=False, help="Of a table: people with a follow-up; else 4,997."),
    ] = None,
    world: Annotated[
        Literal["linear", "hard"] | None,
        typer.Option(
            metavar="linear|hard",
            show_default=False,
            help="Of a table: `linear`, Gaussian ageing; or `hard`, non-linear, heavy-tailed change of unequal spread.",
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z", show_default=False, help="Of brains: voxels of an image; else 32,40,32."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same people.")] = 0,
    what: Annotated[
        Literal["table", "brains"],
        typer.Argument(metavar="brains", show_default=False, help="Images of heads instead of a table."),
    ] = "table",
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", show_default=False, help="The BIDS folder to write, for brains."),
    ] = None,
) -> None:
    """Make a cohort whose true law is known: a UK-Biobank-like table, or images of brains.

    The law is written beside the data. With it `nextscan evaluate` adds the `oracle` row, the best score
    anybody could reach, so you see how far a method is from the limit and not only from another.

    Brains are a BIDS folder of T1-weighted heads that age over two to four irregular visits; images without
    noise, label maps and exact volumes of regions lie in its `derivatives/truth`.

        nextscan simulate --out cohort.parquet
        nextscan simulate --subjects 2000 --features 100 --pairs 300 --world hard --out small.csv
        nextscan simulate brains heads --subjects 40 --shape 32,40,32
    """
    if what == "brains":
        _refuse("a table", features=features, pairs=pairs, world=world)
        if out is not None and folder is not None:
            raise SettingError(f"{folder} and {out}: simulate brains writes one folder; give one of them")
        _simulate_brains(folder or out, _BRAINS if subjects is None else subjects, shape or _SHAPE, seed)
        return
    _refuse("brains", shape=shape)
    if folder is not None:
        raise SettingError(f"{folder}: a table is named by --out; write --out {folder}")
    if out is None:
        raise SettingError("simulate needs the table to write, as in --out cohort.parquet; or brains and a folder")
    n_subjects, n_features = _SUBJECTS if subjects is None else subjects, _FEATURES if features is None else features
    n_pairs = _PAIRS if pairs is None else pairs
    from nextscan.simulating import simulate as simulate_cohort

    check_file(out, TABLE_SUFFIXES)
    with show_progress() as progress:
        simulate_cohort(
            out,
            n_subjects=n_subjects,
            n_features=n_features,
            n_pairs=n_pairs,
            world=world or "linear",
            seed=seed,
            progress=progress,
        )
    print(f"cohort: {out} ({n_subjects:,} people, {n_pairs:,} with a follow-up, {n_features:,} features)")


def _refuse(other: str, **options: object) -> None:
    """Refuse options that belong to the other kind of cohort."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise SettingError(f"--{given[0]} belongs to {other}; leave it out")


def _simulate_brains(out: Path | None, subjects: int, shape: str, seed: int) -> None:
    from nextscan.simulating import simulate_brains

    if out is None:
        raise SettingError("simulate brains needs the folder to write, as in: nextscan simulate brains heads")
    try:
        x, y, z = (int(part) for part in shape.split(","))
    except ValueError:
        raise SettingError(f"--shape is three whole numbers, as in {_SHAPE}; got {shape}") from None
    with show_progress() as progress:
        cohort = simulate_brains(out, n_subjects=subjects, shape=(x, y, z), seed=seed, progress=progress)
    print(
        f"cohort: {out} ({cohort.n_subjects:,} people, {int(cohort.is_paired.sum()):,} with a follow-up, "
        f"{cohort.n_visits:,} images of {x}×{y}×{z})"
    )
