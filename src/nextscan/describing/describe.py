"""Describe a cohort before anything is learned from it: what was understood, and what may mislead."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, Progress
from nextscan.cohort.cohort import Cohort
from nextscan.describing.columns import constants, correlations, duplicates, missingness, structure
from nextscan.describing.data import Observed, is_of_beats, observe
from nextscan.describing.description import Description, assemble
from nextscan.describing.films import films
from nextscan.describing.images.part import images
from nextscan.describing.jumps import jumps
from nextscan.describing.labels import labels
from nextscan.describing.part import Part
from nextscan.describing.pool import selection, shift
from nextscan.describing.sums import sums
from nextscan.describing.values import extreme_values, impossible_cells
from nextscan.describing.visits import repeatability, repeated_rows, visits
from nextscan.errors import CohortError, some


def describe(cohort: Cohort, *, pool: Iterable[str] | None = None, progress: Progress | None = None) -> Description:
    """Report what a cohort holds and what in it may mislead a study.

    Parameters
    ----------
    cohort : Cohort
    pool : iterable of str, optional
        Subjects to compare, as a pool, with the paired ones; by default everybody with one observed
        visit, if somebody has two. Others with one visit are then compared as drop-outs.
    progress : callable, optional
        Told how many images have been read, of a cohort that has some.

    Returns
    -------
    Description
        `print` it, go through its `findings` and `tables`, or write a page from its `to_dict()`.

    Raises
    ------
    CohortError
        If the cohort holds no visit with features or images, or no subject is called like a member of `pool`.

    Notes
    -----
    The checks, by file of this room: visits and gaps (`visits`); labels and time (`labels`); missing, constant,
    duplicated and nearly duplicated features (`columns`); exact sums (`sums`); impossible and extreme values
    (`values`); repeated rows, features equal at both visits and test–retest reliability (`visits`); scans that do not
    fit the person's others (`jumps`); selection and shift of the pool (`pool`). Cells found impossible are set aside
    for the checks after that one. Images are read one by one and checked (`images`). Of frames of a beat, films and the
    volumes in their label maps are summed up (`films`), and nothing is asked that belongs to visits.

    Examples
    --------
    >>> import numpy as np
    >>> from nextscan.cohort import Cohort
    >>> values = np.random.default_rng(0).normal(100, 5, (80, 4))
    >>> values[:, 3] = values[:, 0] + values[:, 1]
    >>> cohort = Cohort(
    ...     name="example",
    ...     subjects=np.array([f"sub-{i:02d}" for i in range(40)]),
    ...     subject_of=np.repeat(np.arange(40), 2),
    ...     visits=np.tile(["1", "2"], 40),
    ...     years=np.tile([0.0, 2.0], 40),
    ...     features=values,
    ...     feature_names=("left", "right", "other", "total"),
    ... )
    >>> for finding in describe(cohort).of("summing-features"):
    ...     print(finding.level, finding.columns)
    note ('total', 'left', 'right')
    """
    where = cohort.source or cohort.name
    if cohort.is_request.all():
        raise CohortError(f"{where}: no visit with features; nothing to describe")
    data = observe(cohort, _in_pool(cohort, pool))
    told = Part({"simulated": bool(cohort.law)}, cohort.findings)
    parts = [told, visits(data), labels(data)]
    if cohort.has_volume.any():
        parts.append(images(cohort, progress=progress))
    if beats := is_of_beats(cohort):
        parts.append(films(cohort))
    if not cohort.n_features:
        return assemble(cohort.name, cohort.source, cohort.notes, [*parts, Part(plots=_ages(data))])
    gaps = missingness(data)
    wrong, impossible = impossible_cells(data)
    data = data.without(impossible)
    correlation = correlations(data)
    double, copies = duplicates(data, correlation)
    if beats:  # frames change, and are alike, as visits of years are not
        parts += [wrong, gaps, constants(data), double, sums(data, copies), extreme_values(data)]
    else:
        parts += [wrong, repeated_rows(data), gaps, constants(data), double, sums(data, copies)]
        parts += [repeatability(data), jumps(data), extreme_values(data), selection(data), shift(data)]
    parts += [structure(data, correlation), _table(data)]
    return assemble(cohort.name, cohort.source, cohort.notes, parts)


def _in_pool(cohort: Cohort, pool: Iterable[str] | None) -> BoolArray:
    if pool is None:
        return np.asarray((cohort.observed_visits == 1) & cohort.is_paired.any())
    names = {str(name) for name in pool}
    unknown = names - set(cohort.subjects.tolist())
    if unknown:
        raise CohortError(
            f"{cohort.source or cohort.name}: no subject named {some(sorted(unknown))}; "
            "`pool` holds names of subjects of the cohort"
        )
    return np.asarray(np.isin(cohort.subjects, list(names)))


def _table(data: Observed) -> Part:
    unit = pd.Series([data.cohort.units.get(name, "") for name in data.cohort.feature_names], dtype=str)
    return Part(tables={"features": data.summary.assign(unit=unit)}, plots=_ages(data))


def _ages(data: Observed, most: int = 250) -> dict[str, object]:
    """Return ages at the visits of a few paired and a few single subjects, spread over the table."""
    seen = data.cohort.visit_labels.iloc[data.rows]
    if "age" not in seen or not pd.api.types.is_numeric_dtype(seen["age"]):
        return {}
    paired = data.cohort.is_paired
    chosen = [
        group[np.linspace(0, len(group) - 1, min(len(group), most)).astype(np.intp)]
        for group in (np.flatnonzero(paired), np.flatnonzero(~paired))
    ]
    rows = np.flatnonzero(np.isin(data.subject, np.concatenate(chosen)))
    age = seen["age"].to_numpy(float)[rows]
    return {"ages": {"subject": data.subject[rows], "age": age, "paired": paired[data.subject[rows]]}}
