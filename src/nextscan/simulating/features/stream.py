"""Draw simulated cohorts, a fixed number of subjects at a time, into memory or into a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, Progress
from nextscan.atomic import atomic_path
from nextscan.cohort.cohort import Cohort, concatenate
from nextscan.errors import SettingError
from nextscan.randomness import bits, normal, subject_keys, uniform
from nextscan.simulating.features.labels import NORMALS, draw_labels, standardised
from nextscan.simulating.features.law import Law
from nextscan.simulating.features.regions import regions
from nextscan.simulating.features.worlds import World, make_law
from nextscan.simulating.law_file import recipe, save_law

TILE = 256  # subjects computed together, always as many: a matrix product depends on its number of rows
_TILES_PER_BLOCK = 8  # written together, as one row group
_WORLD = 0x776F726C64  # keeps these draws apart from all others with the same seed
_PAIRED, _VISITS, _SEX, _LABELS, _FACTORS, _SPECIFIC, _NOISE, _TAIL, _GAP, _MISSING = range(10)


@overload
def simulate(
    out: None = None,
    *,
    n_subjects: int = ...,
    n_features: int = ...,
    n_pairs: int = ...,
    n_visits: int = ...,
    world: World = ...,
    missing: float = ...,
    seed: int = ...,
    progress: Progress | None = ...,
) -> Cohort: ...


@overload
def simulate(
    out: str | Path,
    *,
    n_subjects: int = ...,
    n_features: int = ...,
    n_pairs: int = ...,
    n_visits: int = ...,
    world: World = ...,
    missing: float = ...,
    seed: int = ...,
    progress: Progress | None = ...,
) -> Path: ...


def simulate(
    out: str | Path | None = None,
    *,
    n_subjects: int = 41_706,
    n_features: int = 769,
    n_pairs: int = 4_997,
    n_visits: int = 2,
    world: World = "linear",
    missing: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Cohort | Path:
    """Make a UK-Biobank-like cohort whose law is known, in memory or as a table.

    A subject's labels and features depend on the world, the seed and the subject's number only, not on
    how many others there are. The table streams to disk; its law lies beside it as ``STEM.law.npz``.

    Parameters
    ----------
    out : path, optional
        Table to write, long form: ``.parquet``, ``.csv`` or ``.tsv``. Without it, nothing is written.
    n_subjects, n_features : int
    n_pairs : int
        Subjects with more than one visit.
    n_visits : int
        Most visits of a subject; above 2, those with pairs have 2 up to this many, at irregular times.
    world : {"linear", "hard"}
        ``linear``: Gaussian. ``hard``: from the second visit on change is not linear in the state, tails
        are heavy and spread is unequal; see `Law`.
    missing : float
        Share of cells missing at random.
    seed : int
    progress : callable, optional
        Called with ``{"phase", "done", "total"}``, counting subjects.

    Returns
    -------
    Cohort, or Path of the written table
        A cohort in memory carries the recipe of its law; `load_law` reads both.

    Raises
    ------
    SettingError
        If a number is out of range or the world unknown.
    OutputError
        If the table or its law cannot be written.

    Examples
    --------
    >>> cohort = simulate(n_subjects=100, n_features=20, n_pairs=30, seed=1)
    >>> cohort.n_visits, cohort.feature_names[0]
    (130, 'lh_substantia_nigra_pars_compacta_medial_volume')
    """
    if n_subjects < 1 or n_features < 1 or not 0 <= n_pairs <= n_subjects:
        raise SettingError(
            "simulate needs n_subjects >= 1, n_features >= 1 and 0 <= n_pairs <= n_subjects, "
            f"got {n_subjects=}, {n_features=}, {n_pairs=}"
        )
    if n_visits < 2 or not 0 <= missing < 1:
        raise SettingError(f"simulate needs n_visits >= 2 and 0 <= missing < 1, got {n_visits=}, {missing=}")
    law = make_law(world, n_features=n_features, seed=seed)
    if n_visits > 2 and not law.is_linear:
        raise SettingError(f"the {world} world has an exact law for 2 visits only, got {n_visits=}; use world='linear'")
    visits_of = _visits_of(n_subjects, n_pairs, n_visits, seed)
    tiles = _tiles(law, visits_of, missing, seed, progress)
    if out is None:
        return concatenate(*tiles)
    return _write(Path(out), law, tiles)


def subject_names(start: int, stop: int) -> list[str]:
    """Return the names of subjects by number, from 0."""
    return [f"sub-{number:06d}" for number in range(start + 1, stop + 1)]


def _visits_of(n_subjects: int, n_pairs: int, n_visits: int, seed: int) -> NDArray[np.intp]:
    """Choose who comes back, at random, and how often."""
    keys = subject_keys(subject_names(0, n_subjects))
    back = np.argsort(bits(keys, _WORLD, seed, _PAIRED), kind="stable")[:n_pairs]
    visits = np.ones(n_subjects, np.intp)
    visits[back] = 2 + np.floor(uniform(keys[back], _WORLD, seed, _VISITS) * (n_visits - 1)).astype(np.intp)
    return visits


def _tiles(
    law: Law, visits_of: NDArray[np.intp], missing: float, seed: int, progress: Progress | None
) -> Iterator[Cohort]:
    for start in range(0, len(visits_of), TILE):
        stop = min(start + TILE, len(visits_of))
        yield _tile(law, start, visits_of[start:stop], missing, seed)
        if progress is not None:
            progress({"phase": "simulating", "done": stop, "total": len(visits_of)})


def _tile(law: Law, start: int, visits_of: NDArray[np.intp], missing: float, seed: int) -> Cohort:
    """Draw up to `TILE` subjects; the last tile of a cohort is drawn whole and cut."""
    n_features, n_stable, n_slopes = len(law.feature_names), len(law.loading), len(law.slope)
    names = np.array(subject_names(start, start + TILE))
    keys = subject_keys(names)
    at = (_WORLD, seed)
    labels = draw_labels(normal(keys, *at, _LABELS, size=NORMALS), uniform(keys, *at, _SEX))
    y = standardised(labels, law.standard)
    factors = normal(keys, *at, _FACTORS, size=n_stable + n_slopes)
    stable, slopes = factors[:, :n_stable], factors[:, n_stable:]
    specific = np.sqrt(law.specific_variance) * normal(keys, *at, _SPECIFIC, size=n_features)
    level = law.stable(y, stable) + specific
    change = law.yearly_change(y, stable, slopes)

    n = len(visits_of)
    subject_of = np.repeat(np.arange(n), visits_of)
    number = np.arange(len(subject_of)) - np.repeat(np.cumsum(visits_of) - visits_of, visits_of)
    own, later = keys[subject_of], number > 0
    gap = np.where(later, np.round(law.gaps(uniform(own, *at, _GAP, number)), 3), 0.0)
    years = np.cumsum(gap) - np.repeat(
        np.cumsum(np.bincount(subject_of, gap)) - np.bincount(subject_of, gap), visits_of
    )
    years = np.where(later, np.round(years, 3), 0.0)
    noisier = law.noise_scale(y, stable, uniform(keys, *at, _TAIL))[subject_of]
    noise = np.where(later[:, None], noisier, 1.0) * normal(own, *at, _NOISE, number, size=n_features)
    value = level[subject_of] + years[:, None] * change[subject_of] + np.sqrt(law.noise_variance) * noise
    features = _measured(law.centre + law.scale * value)
    if missing:
        gone = uniform(own[:, None], *at, _MISSING, number[:, None], np.arange(n_features)) < missing
        gone[gone.all(axis=1), 0] = False  # a visit without any value would be a request
        features[gone] = np.nan
    age = labels.pop("age")[:n][subject_of].astype(np.float64) + years
    return Cohort(
        name=f"simulated {law.world} world",
        subjects=names[:n],
        subject_of=subject_of,
        visits=(number + 1).astype(str),
        years=years,
        features=features,
        feature_names=law.feature_names,
        labels=pd.DataFrame({name: values[:n] for name, values in labels.items()}),
        visit_labels=pd.DataFrame({"age": np.round(age, 3)}),
        units={region.name: region.unit for region in regions(n_features)},
        law=recipe(law),
        notes=(f"simulated: {law.world} world, seed {law.seed}",),
    )


def _measured(values: FloatArray) -> FloatArray:
    """Return values to the seven digits a scanner's table has at best, so that files stay small."""
    return values.astype(np.float32).astype(np.float64)


def _write(out: Path, law: Law, tiles: Iterator[Cohort]) -> Path:
    """Write the law, then the table beside it, each whole or not at all."""
    if out.suffix not in (".parquet", ".csv", ".tsv"):
        raise SettingError(f"{out}: a cohort is written as .parquet, .csv or .tsv; choose one of these endings")
    with atomic_path(out) as beside:
        if out.suffix == ".parquet":
            _write_parquet(beside, tiles)
        else:
            separator = "," if out.suffix == ".csv" else "\t"
            for i, frame in enumerate(_blocks(tiles)):
                frame.to_csv(beside, sep=separator, index=False, mode="a", header=i == 0, float_format="%.9g")
        save_law(out.with_suffix(".law.npz"), law)
    return out


def _blocks(tiles: Iterator[Cohort]) -> Iterator[pd.DataFrame]:
    while block := [tile.to_frame() for tile in islice(tiles, _TILES_PER_BLOCK)]:
        yield pd.concat(block, ignore_index=True)


def _write_parquet(path: Path, tiles: Iterator[Cohort]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writer = None
        for frame in _blocks(tiles):
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if writer is None:
                writer = stack.enter_context(pq.ParquetWriter(path, table.schema, use_dictionary=["subject", "visit"]))
            writer.write_table(table, row_group_size=len(frame))
