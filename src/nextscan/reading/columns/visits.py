"""What every reader returns: one row per visit, in the order of the file, before anything is decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.reading.formats.tables import Texts
from nextscan.reading.times.dates import day_of


@dataclass(frozen=True, eq=False)
class VisitRows:
    """Rows of visits as a reader understood them.

    Attributes
    ----------
    source : str
        The file or folder.
    subjects : ndarray of str
    visits : ndarray of str, or None
        None where the table does not name visits.
    time : ndarray of float
        In `time_unit`, counted from anywhere; NaN where unknown.
    time_kind : str
        ``years``, ``age``, ``date``, ``visit`` where a schema says that there is none, or empty where the table has
        no time.
    features : ndarray of float, shape (n, n_features)
    feature_names : tuple of str
    labels : DataFrame of n rows
        Of subjects and visits alike.
    rows : ndarray of int
        Row of the table, counted from 0.
    place : callable
        Names a row for the user.
    units : mapping of feature name to unit
    files : mapping of role to ndarray of str
        Paths by role, see `nextscan.cohort.cohort.ROLES`; empty where a row has none.
    period : float or None
        Where time is a circle, how long it takes around, see `nextscan.cohort.cohort.Cohort`: then times are places on
        it, and the first visit need not be at 0.
    regions : mapping of name to int
        What values of label maps mean, where the layout or a schema tells.
    visit_column, time_column : str
        The columns that name visits and tell when they were, for messages.
    aside : ndarray of float, or None
        Times of people of whom `time` tells nothing, by another column: in years, for each person from anywhere.
    label_columns : mapping of label to column
        Where they are called differently, for messages.
    notes : tuple of str
        What was understood.
    findings : tuple of Finding
        What the user should check.
    """

    source: str
    subjects: Texts
    visits: Texts | None
    time: FloatArray
    time_kind: str
    features: FloatArray
    feature_names: tuple[str, ...]
    labels: pd.DataFrame
    rows: IntArray
    place: Callable[[int], str]
    units: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Texts] = field(default_factory=dict)
    time_unit: str = "years"
    period: float | None = None
    regions: Mapping[str, int] = field(default_factory=dict)
    visit_column: str = ""
    time_column: str = ""
    aside: FloatArray | None = None
    label_columns: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.subjects)

    def where(self, row: int) -> str:
        """Name a row of this object: file and line."""
        return f"{self.source}, {self.place(int(self.rows[row]))}"

    @property
    def clock(self) -> FloatArray:
        """Times that can be compared within a person: `time`, else `aside`."""
        return self.time if self.aside is None else np.where(np.isnan(self.time), self.aside, self.time)

    def moment(self, row: int) -> str:
        """Say when a row was, as ``age 61.5`` or ``date 2016-05-04``; empty where unknown."""
        time = float(self.time[row])
        if np.isnan(time):
            aside = float(self.clock[row])
            return "" if np.isnan(aside) else f"{aside:.6g} by another column"
        if self.time_kind == "date":
            return f"date {day_of(time):%Y-%m-%d}"
        kind = self.time_kind if self.time_unit == "years" else self.time_unit
        return f"{kind or 'time'} {time:.6g}"

    def take(self, keep: BoolArray | IntArray) -> VisitRows:
        """Return some rows, in the given order."""
        return replace(
            self,
            subjects=self.subjects[keep],
            visits=None if self.visits is None else self.visits[keep],
            time=self.time[keep],
            aside=None if self.aside is None else self.aside[keep],
            features=self.features[keep],
            labels=self.labels.iloc[np.arange(len(self))[keep]].reset_index(drop=True),
            rows=self.rows[keep],
            files={role: paths[keep] for role, paths in self.files.items()},
        )

    def with_features(self, names: Sequence[str]) -> VisitRows:
        """Return the same rows with some of the features, in the given order."""
        if list(self.feature_names) == list(names):
            return self
        position = {name: i for i, name in enumerate(self.feature_names)}
        units = {name: self.units[name] for name in names if name in self.units}
        features = self.features[:, [position[name] for name in names]]
        return replace(self, features=features, feature_names=tuple(names), units=units)

    def labels_at(self, at: IntArray) -> pd.DataFrame:
        """Return the labels of some rows; those of row -1 are missing."""
        labels = self.labels.iloc[at].set_axis(range(len(at)), axis=0)
        labels.loc[at < 0] = None
        return labels

    def telling(self, notes: Sequence[str] = (), findings: Sequence[Finding] = ()) -> VisitRows:
        """Return the same rows with more notes and findings."""
        return replace(self, notes=(*self.notes, *notes), findings=(*self.findings, *findings))

    @property
    def is_request(self) -> BoolArray:
        """Tell which rows hold neither a feature nor a volume."""
        return np.asarray(np.isnan(self.features).all(axis=1)) & ~self.has_volume

    @property
    def has_volume(self) -> BoolArray:
        """Tell which rows have an image."""
        return np.asarray(self.files["volume"] != "") if "volume" in self.files else np.zeros(len(self), bool)
