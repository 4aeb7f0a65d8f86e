"""Several tables as one cohort: shared features, agreeing labels, no subject twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import IntArray
from nextscan.cohort.findings import Finding
from nextscan.cohort.ties import improbable_ties
from nextscan.errors import CohortError, some
from nextscan.reading.columns.labels import conflict, unified
from nextscan.reading.columns.people import variants
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.repeats import digests, without_repeats
from nextscan.reading.times.order import in_order


def join_unpaired(main: VisitRows, pools: list[VisitRows]) -> VisitRows:
    """Add cross-sectional tables to the main one.

    - Tables of images have volumes in common; to the others applies:
    - Only features that all tables have are kept; the others are named in the notes.
    - A feature that is constant in a pool table and varies in the main one was filled upstream: it is
      missing there, with a warning.
    - A label that the tables code differently (M/F here, 0/1 there) is dropped everywhere, with a
      warning; labels that only pool tables have are left out.
    - Of a subject with several visits in a pool table, the first is kept, with a warning.
    - A scan that an earlier table holds already is left out, with a warning.

    Raises
    ------
    CohortError
        If no feature is shared, a feature has two units, or a subject is in two tables with different scans.
    """
    pools = [_first_visits(without_repeats(pool)) for pool in pools]
    shared = [name for name in main.feature_names if all(name in set(pool.feature_names) for pool in pools)]
    with_images = main.has_volume.any()
    if with_images and (without := [pool.source for pool in pools if not pool.has_volume.any()]):
        raise CohortError(f"{some(without)}: has no images, {main.source} has; leave the table out")
    if not shared and not with_images:
        raise CohortError(
            f"{main.source}: shares no feature with {some(pool.source for pool in pools)}; "
            f"the first has {some(main.feature_names, 3)}; names of columns must agree but for case and punctuation"
        )
    notes = [] if with_images and not shared else [f"{len(shared)} features shared by {1 + len(pools)} tables"]
    for pool in pools:
        lacking = [name for name in main.feature_names if name not in set(pool.feature_names)]
        if lacking:
            notes.append(f"{Path(pool.source).name} lacks {len(lacking)} features, left out: {', '.join(lacking)}")
        if more := [role for role in pool.files if role not in main.files and with_images]:
            notes.append(f"{Path(pool.source).name}: files that {Path(main.source).name} lacks, left out: {some(more)}")
    main = main.with_features(shared)
    _check_units(main, pools)
    pools = [_without_filled(main, pool.with_features(shared)) for pool in pools]
    joined = _stack([main, *pools], *_agreeing_labels(main, pools))
    origin = np.repeat(np.arange(1 + len(pools)), [len(main), *map(len, pools)])
    return _without_known_scans(joined, origin, [main, *pools]).telling(notes)


def _check_units(main: VisitRows, pools: list[VisitRows]) -> None:
    for pool in pools:
        for name, unit in main.units.items():
            if pool.units.get(name, unit) != unit:
                raise CohortError(
                    f"{pool.source}: feature {name} is in {pool.units[name]}, in {main.source} it is in {unit}; "
                    "convert the column, or correct its unit in the schema"
                )


def _first_visits(pool: VisitRows) -> VisitRows:
    pool = pool.take(~pool.is_request)
    if not len(pool):
        raise CohortError(f"{pool.source}: no row has any feature of the main table; leave the table out")
    pool = in_order(pool)
    later = pd.Series(pool.subjects).duplicated().to_numpy()
    if not later.any():
        return pool
    line = (
        f"{pool.source}: {int(later.sum())} further visits left out: a table of unpaired subjects counts as "
        "cross-sectional"
    )
    cure = "make it the main table to use its follow-ups"
    return pool.take(~later).telling(findings=[Finding("warning", "pool-follow-ups", line, cure=cure)])


def _without_filled(main: VisitRows, pool: VisitRows) -> VisitRows:
    """Make features missing that are constant in the pool table though they vary in the main one."""
    with np.errstate(invalid="ignore"):
        varies = np.fmin.reduce(main.features, axis=0) < np.fmax.reduce(main.features, axis=0)
        low, high = np.fmin.reduce(pool.features, axis=0), np.fmax.reduce(pool.features, axis=0)
    filled = np.flatnonzero(varies & (low == high) & (len(pool) > 1))
    if not len(filled):
        return pool
    features = pool.features.copy()
    features[:, filled] = np.nan
    names = [f"{pool.feature_names[i]} = {low[i]:g}" for i in filled]
    line = f"{pool.source}: columns with one value for everybody ({some(names, 20)}) vary in {main.source}"
    columns = tuple(pool.feature_names[i] for i in filled)
    cure = "read as filled in upstream and taken as missing"
    return replace(pool, features=features).telling(
        findings=[Finding("warning", "filled-in", line, columns, cure=cure)]
    )


def _agreeing_labels(main: VisitRows, pools: list[VisitRows]) -> tuple[list[str], list[str], list[Finding]]:
    """Return the labels to keep, with notes and findings about the others."""
    keep, notes, findings = list(main.labels), [], []
    for pool in pools:
        only = [name for name in pool.labels if name not in main.labels]
        if only:
            notes.append(
                f"{Path(pool.source).name}: labels that {Path(main.source).name} lacks, left out: {some(only)}"
            )
    for name in main.labels:
        coded = [(part, part.labels[name]) for part in (main, *pools) if name in part.labels]
        for i, (part, values) in enumerate(coded):
            before = [(other, how) for other, seen in coded[:i] if (how := conflict(name, seen, values))]
            if before:
                other, how = before[0]
                keep.remove(name)
                line = f"{part.source}: label {name} is coded differently than in {other.source} ({how})"
                cure = "the label is dropped; give its codes per file in a schema to keep it"
                findings.append(Finding("warning", "label-conflict", line, (name,), cure=cure))
                break
    return keep, notes, findings


def _stack(parts: list[VisitRows], labels: list[str], notes: list[str], findings: list[Finding]) -> VisitRows:
    main = parts[0]
    lengths = np.cumsum([0, *map(len, parts)])

    def place(row: int) -> str:
        part = int(np.searchsorted(lengths, row, side="right")) - 1
        return f"{Path(parts[part].source).name} {parts[part].place(int(parts[part].rows[row - lengths[part]]))}"

    visits = [part.visits if part.visits is not None else np.full(len(part), "1", dtype=object) for part in parts]
    times = [part.time if part is main else np.full(len(part), np.nan) for part in parts]
    return VisitRows(
        source=", ".join(part.source for part in parts),
        subjects=np.concatenate([part.subjects for part in parts]),
        visits=None if main.visits is None else np.concatenate(visits),
        time=np.concatenate(times),
        time_kind=main.time_kind,
        time_unit=main.time_unit,
        period=main.period,
        regions=main.regions,
        time_column=main.time_column,
        aside=None if main.aside is None else np.append(main.aside, np.full(lengths[-1] - len(main), np.nan)),
        visit_column=main.visit_column,
        features=np.concatenate([part.features for part in parts]),
        feature_names=main.feature_names,
        labels=_joined_labels(parts, labels),
        rows=np.arange(lengths[-1]),
        place=place,
        units={name: unit for part in reversed(parts) for name, unit in part.units.items()},
        label_columns=main.label_columns,
        files={
            role: np.concatenate([part.files.get(role, np.full(len(part), "", dtype=object)) for part in parts])
            for role in main.files
        },
        notes=tuple(line for part in parts for line in part.notes) + tuple(notes),
        findings=tuple(line for part in parts for line in part.findings) + tuple(findings),
    )


def _joined_labels(parts: list[VisitRows], names: list[str]) -> pd.DataFrame:
    """Put labels below each other, with levels that differ only by case or blanks spelled in one way."""
    labels = pd.concat([part.labels.reindex(columns=names) for part in parts], ignore_index=True)
    words = [name for name in labels if not pd.api.types.is_numeric_dtype(labels[name])]
    return labels.assign(**{name: unified(labels[name], name) for name in words})


def _without_known_scans(joined: VisitRows, origin: IntArray, parts: list[VisitRows]) -> VisitRows:
    """Leave out scans of pool tables that an earlier table has; refuse subjects that are in two tables."""
    keys = digests(joined)
    digest = pd.Series(keys)
    telling = improbable_ties(joined.features, keys, joined.subjects, ~joined.is_request)[1]
    first = digest[telling].groupby(digest[telling]).transform(lambda same: same.index[0]).reindex(digest.index)
    known = telling & (origin > np.where(first.isna(), origin, origin[first.fillna(0).astype(int)]))
    findings = []
    for i in np.unique(origin[known]):
        rows = np.flatnonzero(known & (origin == i))
        earlier = int(first[rows[0]])
        line = (
            f"{parts[i].source}: {len(rows)} scans are in an earlier table too and left out "
            f"({some(joined.subjects[rows], 3)}; {joined.subjects[earlier]} in {parts[origin[earlier]].source})"
        )
        findings.append(Finding("warning", "known-scans", line, subjects=tuple(joined.subjects[rows])))
    joined, origin = joined.take(~known), origin[~known]
    tables_of = pd.Series(origin).groupby(joined.subjects).agg(["min", "max"])
    clash = tables_of[tables_of["min"] != tables_of["max"]]
    if len(clash):
        one, other = (parts[i].source for i in clash.iloc[0])
        raise CohortError(
            f"{other}: {len(clash)} subjects are in {one} too, with other scans: {some(clash.index, 3)}; if they are "
            f'other people, give the file a subject_prefix in a schema ([files."{Path(other).name}"]), else remove them'
        )
    alike = [group for group in variants(pd.unique(pd.Series(joined.subjects))) if _of_several(group, tables_of)]
    if alike:
        line = f"{joined.source}: people of several tables whose names are equal but for how they are written: "
        every = tuple(name for group in alike for name in group)
        cure = "if they are one person, leave the row of the pool out: it tells of people held out"
        text = line + some((" = ".join(group) for group in alike), 3)
        findings.append(Finding("warning", "same-person", text, subjects=every, cure=cure))
    return joined.telling(findings=findings)


def _of_several(group: list[str], tables_of: pd.DataFrame) -> bool:
    return bool(tables_of.loc[group, "min"].nunique() > 1)
