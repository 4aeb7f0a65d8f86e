"""`nextscan fit`."""

from __future__ import annotations

import shlex
import shutil
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscan.cli.cautions import caution, warn_of_data
from nextscan.cli.options import ReadOptions, Table, with_read_options
from nextscan.cli.outputs import TABLE_SUFFIXES, check_folder, is_first_process
from nextscan.cli.progress import show_progress
from nextscan.cli.settings import build_method
from nextscan.errors import NextscanWarning, OutputError, SettingError

if TYPE_CHECKING:
    from nextscan.cohort import Cohort
    from nextscan.imputers.registry import Kind
    from nextscan.imputers.volumes.base import VolumeImputer


@with_read_options()
def fit(
    table: Table,
    out: Annotated[Path, typer.Option(metavar="MODEL", show_default=False, help="The model folder to write.")],
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="anchored; of images volume-diffusion",
            help="How to learn change; `nextscan evaluate --help` lists the methods.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            show_default=False,
            help="A setting of the method, as in `--set epochs=100`. Repeatable.",
        ),
    ] = None,
    reading: ReadOptions = ReadOptions(),
    validation_fraction: Annotated[
        float,
        typer.Option(
            metavar="P",
            min=0.0,
            max=0.9,
            help="Share of subjects held out to choose the best moment of training.",
        ),
    ] = 0.1,
    conformal: Annotated[
        bool,
        typer.Option(
            "--conformal",
            help="Also learn how far off predictions of held-out pairs are, for `nextscan impute --interval "
            "conformal`: refits the method 5 times, which takes about five times as long again; anchored has it "
            "from its own folds, with or without this.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed, data and settings give the same model.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model of another method that is in the place.")
    ] = False,
) -> None:
    """Learn how scans change, from everybody with two visits or more: of tables, or of images.

    Subjects scanned once help the methods that can use them; whether they did is decided on held-out
    pairs and recorded. Methods for images learn from pairs alone. The model folder holds arrays and JSON
    only, nothing that runs when it is read.

    What `nextscan describe` warns of is said first, on stderr.

    Training is saved as it goes: after an interruption the same command goes on where it stopped.

    Networks for images train on several GPUs under `torchrun`, each process on its own.

        nextscan fit cohort.csv --out model
        nextscan fit cohort.csv --method feature-regression --out model
        nextscan fit cohort.csv --method ridge --conformal --out model
        nextscan fit pairs.csv --unpaired others.csv --set epochs=200 --seed 1 --out model
        nextscan fit brains --out model
        nextscan fit brains --method volume-diffusion --set shape=128,160,128 --set precision=bfloat16 --out model
        torchrun --nproc-per-node 4 -m nextscan fit brains --set batch_size=1 --set accumulate=4 --out model
    """
    from nextscan.cohort import split_validation
    from nextscan.imputers.model_folder import check_model_place, method_in

    model = None if method is None else build_method(method, set_ or ())
    check_folder(out)
    check_model_place(out)
    there = method_in(out)
    cohort = reading.read(table)
    if model is None:
        model = build_method("volume-diffusion" if cohort.has_volume.any() else "anchored", set_ or ())
    images = check_kind(model.name, cohort, table) == "volumes"
    if images and conformal:
        raise SettingError("--conformal is for tables; the intervals of images come from draws: leave it out")
    if there not in (None, model.name) and not overwrite:
        raise OutputError(
            f"{out}: holds a fitted {there} model, and this one is {model.name}; choose another place, or replace it "
            "with --overwrite"
        )
    warn_of_data(cohort, table)
    train, validation = split_validation(cohort, fraction=validation_fraction, seed=seed)
    state = out.with_name(f".{out.name}.training")
    with show_progress() if is_first_process() else nullcontext() as progress:
        model.fit(train, validation, seed=seed, checkpoint=state, progress=progress)
        if conformal and model.calibration_ is None:
            model.calibrate(train, validation, seed=seed, checkpoint=state, progress=progress)
    if not is_first_process():
        return
    model.save(out)
    shutil.rmtree(state, ignore_errors=True)
    what = f"images at {'x'.join(map(str, model.preparer_.shape))}" if images else f"{cohort.n_features} features"
    if images:
        tell_pairs(model)
    print(f"model: {out} ({method or model.name}, {model.record_['n_pairs']} pairs, {what})")
    # Where everybody has a follow-up no image is missing, so times are asked for; rows of a table may ask themselves.
    suffix = table.suffix.lower() if table.suffix.lower() in TABLE_SUFFIXES else ".csv"
    times = "--at-years 1,2,5" if cohort.period is None else "--at 0.35,0.5"
    asked = f"{times} --out completed" if images else f"--out completed{suffix}"
    again = shlex.join(["nextscan", "impute", str(out), str(table), *reading.repeated()])
    print(f"next:  {again} {asked}")


def tell_pairs(model: VolumeImputer) -> None:
    """Say of a fitted model of images what is easily taken for more than it is."""
    once = model.record_["n_subjects"] - model.record_["n_paired_subjects"]
    if once:
        warnings.warn(
            f"{once:,} of {model.record_['n_subjects']:,} subjects have no two images: {model.name} learns change from "
            "pairs alone; single images can be imputed, and count for the shape of the grid",
            NextscanWarning,
            stacklevel=2,
        )
    if model.record_.get("best_epoch") == 0:
        caution(
            "no epoch of training predicted the held-out pairs better than the untrained network, which is what is "
            "kept: use copy-source or volume-mean-change, or fit on more pairs"
        )


def check_kind(method: str, cohort: Cohort, table: Path) -> Kind:
    """Return what a method learns from; refuse one for tables where there are images only, and the reverse.

    Raises
    ------
    SettingError
    """
    from nextscan.imputers import kind_of

    kind = kind_of(method)
    if kind == "volumes" and not cohort.has_volume.any():
        raise SettingError(
            f"{table}: {method} learns from images, and this cohort is a table of features; leave --method out, or "
            "give a method for tables such as anchored"
        )
    if kind == "features" and not cohort.n_features:
        raise SettingError(
            f"{table}: {method} learns from tables of features, and this cohort holds images; leave --method out, or "
            "give a method for images such as volume-diffusion"
        )
    return kind
