"""`nextscan simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from nextscan.cli.outputs import TABLE_SUFFIXES, check_file
from nextscan.cli.progress import show_progress
from nextscan.errors import SettingError

_SUBJECTS, _FEATURES, _PAIRS = 41_706, 769, 4_997
_BRAINS, _SHAPE = 40, "32,40,32"
_Number = TypeVar("_Number", int, float)
_HEARTS, _HEART_SHAPE, _FRAMES = 60, "32,32,8", 12


def simulate(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="The table to write (.parquet, .csv or .tsv)."),
    ] = None,
    subjects: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default=False, help="People in the cohort; else 41,706, 40 with brains, 60 with hearts."
        ),
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
        typer.Option(
            metavar="X,Y,Z", show_default=False, help="Of images: voxels; else 32,40,32, or 32,32,8 of hearts."
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z", show_default=False, help="Of hearts: mm; else such that the largest fits."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", show_default=False, help="Of hearts: images of a beat; else 12.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SHARE,...",
            show_default=False,
            help="Of hearts: how many are NOR, DCM, HCM, MINF and RV, as in NOR=2,DCM=1; else as many of each.",
        ),
    ] = None,
    layout: Annotated[
        Literal["table", "acdc"] | None,
        typer.Option(
            metavar="table|acdc",
            show_default=False,
            help="Of hearts: `table`, hearts.csv and 4-D images; or `acdc`, the folders and files of ACDC.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same people.")] = 0,
    what: Annotated[
        Literal["table", "brains", "hearts"],
        typer.Argument(metavar="brains|hearts", show_default=False, help="Images of heads or hearts, not a table."),
    ] = "table",
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", show_default=False, help="The folder to write, for brains and hearts."),
    ] = None,
) -> None:
    """Make a cohort whose true law is known: a UK-Biobank-like table, or images of brains or hearts.

    The law is written beside the data. With it `nextscan evaluate` adds the `oracle` row, the best score
    anybody could reach, so you see how far a method is from the limit and not only from another.

    Brains are a BIDS folder of T1-weighted heads that age over two to four irregular visits; images without
    noise, label maps and exact volumes of regions lie in its `derivatives/truth`.

    Hearts are short-axis images of a beat, normal or ill, with the same truth of every frame.

        nextscan simulate --out cohort.parquet
        nextscan simulate --subjects 2000 --features 100 --pairs 300 --world hard --out small.csv
        nextscan simulate brains heads --subjects 40 --shape 32,40,32
        nextscan simulate hearts hearts --subjects 60 --frames 12
    """
    of_hearts = {"spacing": spacing, "frames": frames, "groups": groups, "layout": layout}
    if what != "hearts":
        _refuse("hearts", **of_hearts)
    if what != "table":
        _refuse("a table", features=features, pairs=pairs, world=world)
        place = _folder(what, folder, out)
        if what == "brains":
            _simulate_brains(place, _BRAINS if subjects is None else subjects, shape or _SHAPE, seed)
            return
        _simulate_hearts(
            place,
            subjects=_HEARTS if subjects is None else subjects,
            frames=_FRAMES if frames is None else frames,
            shape=shape or _HEART_SHAPE,
            spacing=spacing,
            groups=groups,
            layout=layout or "table",
            seed=seed,
        )
        return
    _refuse("images", shape=shape)
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


def _folder(what: str, folder: Path | None, out: Path | None) -> Path:
    """Return the one folder to write."""
    if out is not None and folder is not None:
        raise SettingError(f"{folder} and {out}: simulate {what} writes one folder; give one of them")
    if folder is None and out is None:
        name = "heads" if what == "brains" else what
        raise SettingError(f"simulate {what} needs the folder to write, as in: nextscan simulate {what} {name}")
    return folder or out  # type: ignore[return-value]


def _simulate_brains(out: Path, subjects: int, shape: str, seed: int) -> None:
    from nextscan.simulating import simulate_brains

    x, y, z = _three(shape, "--shape", "whole numbers", _SHAPE, int)
    with show_progress() as progress:
        cohort = simulate_brains(out, n_subjects=subjects, shape=(x, y, z), seed=seed, progress=progress)
    print(
        f"cohort: {out} ({cohort.n_subjects:,} people, {int(cohort.is_paired.sum()):,} with a follow-up, "
        f"{cohort.n_visits:,} images of {x}×{y}×{z})"
    )


def _simulate_hearts(
    out: Path,
    *,
    subjects: int,
    frames: int,
    shape: str,
    spacing: str | None,
    groups: str | None,
    layout: Literal["table", "acdc"],
    seed: int,
) -> None:
    from nextscan.simulating import simulate_hearts

    x, y, z = _three(shape, "--shape", "whole numbers", _HEART_SHAPE, int)
    apart = None if spacing is None else _three(spacing, "--spacing", "numbers of mm", "5,5,18", float)
    with show_progress() as progress:
        cohort = simulate_hearts(
            out,
            n_subjects=subjects,
            n_frames=frames,
            shape=(x, y, z),
            spacing=apart,
            groups=None if groups is None else _shares(groups),
            layout=layout,
            seed=seed,
            progress=progress,
        )
    print(
        f"cohort: {out} ({cohort.n_subjects:,} people, {frames:,} frames each, {cohort.n_visits:,} images "
        f"of {x}×{y}×{z})"
    )


def _three(text: str, option: str, what: str, example: str, kind: type[_Number]) -> tuple[_Number, _Number, _Number]:
    try:
        x, y, z = (kind(part) for part in text.split(","))
    except ValueError:
        raise SettingError(f"{option} is three {what}, as in {example}; got {text}") from None
    return x, y, z


def _shares(text: str) -> dict[str, float]:
    try:
        return {name.strip().upper(): float(share) for name, share in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise SettingError(f"--groups is names and shares, as in NOR=2,DCM=1; got {text}") from None
