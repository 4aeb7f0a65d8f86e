"""Groups of test subjects for whom calibration is looked at separately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray
from nextscan.cohort import Task

SMALLEST = 100
"""Below this many test subjects the coverage of a group says too little."""

_LABELS = ("sex", "gender", "diagnosis", "dx", "group")
_THIRDS = ("age", "gap")


@dataclass(frozen=True, eq=False)
class Group:
    """Some of the test subjects.

    Attributes
    ----------
    name : str
        As ``sex=F`` or ``age 45-58 (lowest third)``.
    member : ndarray of bool, shape (n_subjects,)
    """

    name: str
    member: BoolArray


def groups_of(task: Task) -> list[Group]:
    """Return the groups by sex and diagnosis, and by thirds of age and of gap, that are large enough.

    Sex may be called gender, and diagnosis dx or group. Labels are those of the visit shown last, so that
    nothing of the hidden visit is used but its time.
    """
    labels = task.shown.labels_at(task.targets.context)
    named = {str(column).lower(): labels[column] for column in labels.columns}
    found: list[Group] = []
    for column in _LABELS:
        if column in named:
            values = named[column]
            found += [Group(f"{column}={value}", (values == value).to_numpy(bool)) for value in _distinct(values)]
    numbers = {"gap": task.targets.gap}
    if "age" in named:
        numbers["age"] = pd.to_numeric(named["age"], errors="coerce").to_numpy(np.float64)
    for name in _THIRDS:
        if name in numbers:
            found += _thirds(name, numbers[name])
    return [group for group in found if group.member.sum() >= SMALLEST]


def _distinct(values: pd.Series) -> list[object]:
    return sorted(values.dropna().unique().tolist(), key=str)


def _thirds(name: str, values: NDArray[np.float64]) -> list[Group]:
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    cuts = np.quantile(known, [1 / 3, 2 / 3])
    third = np.where(np.isnan(values), -1, np.searchsorted(cuts, values, side="right"))
    members = [third == i for i in range(3)]
    if not all(member.any() for member in members):
        return []  # too many equal values to cut
    spans = [f"{values[member].min():.3g}-{values[member].max():.3g}" for member in members]
    places = ("lowest", "middle", "highest")
    return [
        Group(f"{name} {span} ({place} third)", member)
        for span, place, member in zip(spans, places, members, strict=True)
    ]
