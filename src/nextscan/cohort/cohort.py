"""The `Cohort`: subjects, their visits, what was measured and when."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, some
from nextscan.stamps import content_stamp

Files = Mapping[str, NDArray[np.str_]]

ROLES = ("volume", "transform", "mask", "segmentation", "noise_free")
"""What files belong to a visit: the image; an ITK transform of it to the subject's common space; a brain mask; a label
map; and, of simulated visits, the image without noise, for scores alone."""


@dataclass(frozen=True, eq=False, repr=False)
class Cohort:
    """Subjects seen at one or many visits; visits of a subject are adjacent and in order of time.

    Parameters
    ----------
    name : str
        Shown in tables and reports.
    subjects : ndarray of str, shape (n_subjects,)
        Distinct names.
    subject_of : ndarray of int, shape (n_visits,)
        Position in `subjects` of each visit; never decreasing, every subject at least once.
    visits : ndarray of str, shape (n_visits,)
        Visit names, distinct within a subject.
    years : ndarray of float, shape (n_visits,)
        Time since the subject's first visit, or where time is a circle the place on it, in `time_unit`; NaN where
        unknown.
    features : ndarray of float64, shape (n_visits, n_features)
        In native units; NaN where missing. A row without any value, and without a volume, is a *request*:
        impute this visit.
    feature_names : tuple of str
    labels : DataFrame, n_subjects rows in the order of `subjects`
        What belongs to a subject (sex, diagnosis); numbers or strings; missing allowed.
    visit_labels : DataFrame, n_visits rows in the order of `visits`
        What belongs to a visit (age, site, scanner); missing allowed.
    files : mapping of role to ndarray of str, shape (n_visits,)
        Paths by role, see `ROLES`; empty where a visit has none.
    units : mapping of feature name to unit
        Only where known.
    time_unit : str
    period : float or None
        Where time is a circle, how long it takes around, in `time_unit`: 1 for the frames of a beat in ``cycle``,
        whose last frames are nearest to the first. None where it is a line.
    source : str
        The file or files read, for error messages.
    law : str
        Path of the law a simulated cohort was drawn from, or how to make it again; empty for real data.
    notes : tuple of str
        How the source was understood: shown by `nextscan describe`, kept in run records.
    findings : tuple of Finding
        What reading it brought up that the user should know; errors among them are refused by `fit`.
    reading : mapping
        How it was read, ready for JSON: ``schema`` (its keys), ``dictionary`` (titles and units of fields),
        ``suffix`` of images, ``regions`` (values of label maps: ``{"LV": 3, "MYO": 2, "RV": 1}``). Models remember it,
        so that other tables are read alike.
    """

    name: str
    subjects: NDArray[np.str_]
    subject_of: IntArray
    visits: NDArray[np.str_]
    years: FloatArray
    features: FloatArray
    feature_names: tuple[str, ...]
    labels: pd.DataFrame = field(default_factory=pd.DataFrame)
    visit_labels: pd.DataFrame = field(default_factory=pd.DataFrame)
    files: Files = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "years"
    period: float | None = None
    source: str = ""
    law: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_subjects, n_visits = len(self.subjects), len(self.visits)
        if self.labels.shape[1] == 0:
            object.__setattr__(self, "labels", pd.DataFrame(index=range(n_subjects)))
        if self.visit_labels.shape[1] == 0:
            object.__setattr__(self, "visit_labels", pd.DataFrame(index=range(n_visits)))
        where = self.source or self.name
        shapes = {
            "subject_of": (self.subject_of.shape, (n_visits,)),
            "years": (self.years.shape, (n_visits,)),
            "features": (self.features.shape, (n_visits, len(self.feature_names))),
            "labels": ((len(self.labels),), (n_subjects,)),
            "visit_labels": ((len(self.visit_labels),), (n_visits,)),
            **{f"files of role {role}": (paths.shape, (n_visits,)) for role, paths in self.files.items()},
        }
        for part, (have, want) in shapes.items():
            if have != want:
                raise CohortError(f"{where}: {part} has shape {have}, expected {want}")
        if unknown := sorted(set(self.files) - set(ROLES)):
            raise CohortError(f"{where}: no file of a visit is a {some(unknown)}; there are {', '.join(ROLES)}")
        if len(set(self.feature_names)) != len(self.feature_names):
            repeated = pd.Index(self.feature_names)
            raise CohortError(f"{where}: repeated feature names: {some(repeated[repeated.duplicated()])}")
        both = sorted(set(self.feature_names) & {*self.labels.columns, *self.visit_labels.columns})
        if both:
            raise CohortError(f"{where}: columns are both feature and label: {some(both)}")
        steps = np.diff(self.subject_of)
        every = n_visits and self.subject_of[0] == 0 and self.subject_of[-1] == n_subjects - 1
        if n_visits and not (every and np.isin(steps, (0, 1)).all()):
            raise CohortError(f"{where}: visits must be grouped by subject, in the order of subjects")
        twice = pd.MultiIndex.from_arrays([self.subject_of, self.visits]).duplicated()
        if twice.any():
            row = int(np.flatnonzero(twice)[0])
            raise CohortError(
                f"{where}: subject {self.subjects[self.subject_of[row]]} has visit {self.visits[row]} twice"
            )
        for array in (self.subjects, self.subject_of, self.visits, self.years, self.features, *self.files.values()):
            array.flags.writeable = False

    def __repr__(self) -> str:
        what = f"{np.count_nonzero(self.has_volume):,} volumes, " if self.files else ""
        return (
            f"<Cohort {self.name!r}: {self.n_subjects:,} subjects, {self.n_visits:,} visits, {what}"
            f"{self.n_features:,} features, {int(self.is_paired.sum()):,} with a follow-up>"
        )

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.subjects)

    @property
    def n_visits(self) -> int:
        """Number of visits of all subjects, requests included."""
        return len(self.visits)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.feature_names)

    def files_of(self, role: str) -> NDArray[np.str_]:
        """Return the paths of a role, shape (n_visits,); empty where there is none."""
        return self.files[role] if role in self.files else np.full(self.n_visits, "")

    @property
    def has_volume(self) -> BoolArray:
        """Tell which visits have an image, shape (n_visits,)."""
        return np.asarray(self.files_of("volume") != "")

    def some_volumes(self, most: int) -> IntArray:
        """Return rows of images, one each of so many subjects spread over all, by turns their first and their last."""
        rows = np.flatnonzero(self.has_volume)
        starts = np.flatnonzero(np.diff(self.subject_of[rows], prepend=-1))
        ends = np.append(starts[1:], len(rows)) - 1
        chosen = np.unique(np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(np.intp))
        return rows[np.where(np.arange(len(chosen)) % 2, ends[chosen], starts[chosen])]

    @property
    def is_request(self) -> BoolArray:
        """Tell which visits hold neither a feature nor a volume, shape (n_visits,)."""
        return np.asarray(np.isnan(self.features).all(axis=1)) & ~self.has_volume

    @property
    def observed_visits(self) -> IntArray:
        """Count each subject's visits that are no requests, shape (n_subjects,)."""
        return np.bincount(self.subject_of, weights=~self.is_request, minlength=self.n_subjects).astype(np.intp)

    @property
    def observed_before(self) -> IntArray:
        """Count the subject's observed visits before each observed visit, shape (n_visits,)."""
        counts = self.observed_visits
        return np.asarray(np.cumsum(~self.is_request) - 1 - (np.cumsum(counts) - counts)[self.subject_of])

    @property
    def is_paired(self) -> BoolArray:
        """Tell which subjects have at least two visits that are no requests, shape (n_subjects,)."""
        return np.asarray(self.observed_visits >= 2)

    def subject_names(self, rows: IntArray) -> NDArray[np.str_]:
        """Return the subject name of each visit row."""
        return self.subjects[self.subject_of[rows]]

    def labels_at(self, rows: IntArray) -> pd.DataFrame:
        """Return subject labels and visit labels side by side for visit rows, one row each."""
        of_subject = self.labels.iloc[self.subject_of[rows]].reset_index(drop=True)
        return pd.concat([of_subject, self.visit_labels.iloc[rows].reset_index(drop=True)], axis=1)

    def apart(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Return how long it is from one time to another, the shorter way round where time is a circle.

        >>> beat = Cohort("", np.array(["a"]), np.array([0]), np.array(["1"]), np.zeros(1), np.zeros((1, 0)), (),
        ...     period=1.0)
        >>> beat.apart(np.array([0.0, 0.0]), np.array([0.25, 0.75])).tolist()
        [0.25, -0.25]
        """
        return apart(first, second, self.period)

    def select_visits(self, keep: BoolArray) -> Cohort:
        """Return the cohort of the marked visits; subjects left without a visit disappear.

        `years` keep counting from the first visit of the cohort this one was cut from.
        """
        stay, position = np.unique(self.subject_of[keep], return_inverse=True)
        return replace(
            self,
            subjects=self.subjects[stay],
            subject_of=position.astype(np.intp),
            visits=self.visits[keep],
            years=self.years[keep],
            features=self.features[keep],
            labels=self.labels.iloc[stay].reset_index(drop=True),
            visit_labels=self.visit_labels.loc[keep].reset_index(drop=True),
            files={role: paths[keep] for role, paths in self.files.items()},
            findings=_about(self.findings, self.subjects[stay]),
        )

    def select_subjects(self, keep: BoolArray | Sequence[int] | IntArray) -> Cohort:
        """Return the cohort of some subjects, given by a mask or by positions; order is kept."""
        chosen = np.zeros(self.n_subjects, bool)
        chosen[np.asarray(keep, dtype=None if len(keep) else np.intp)] = True
        return self.select_visits(chosen[self.subject_of])

    def select_features(self, names: Sequence[str]) -> Cohort:
        """Return the cohort with these features, in this order."""
        position = {name: i for i, name in enumerate(self.feature_names)}
        missing = [name for name in names if name not in position]
        if missing:
            raise CohortError(f"{self.source or self.name}: no feature named {some(missing)}")
        columns = [position[name] for name in names]
        units = {name: self.units[name] for name in names if name in self.units}
        return replace(self, features=self.features[:, columns], feature_names=tuple(names), units=units)

    def to_frame(self) -> pd.DataFrame:
        """Return a long table: subject, visit, years, labels, files, features; one row per visit."""
        rows = np.arange(self.n_visits)
        head = pd.DataFrame({"subject": self.subject_names(rows), "visit": self.visits, "years": self.years})
        values = pd.DataFrame(self.features.copy(), columns=list(self.feature_names))
        return pd.concat([head, self.labels_at(rows), pd.DataFrame(dict(self.files)), values], axis=1)

    def fingerprint(self) -> str:
        """Hash names, times, features, labels and files: equal cohorts have equal fingerprints.

        Of a file count its name, its size and its first and last 64 KiB, not where it lies.
        """
        digest = hashlib.blake2b(digest_size=16)
        for names in (self.subjects, self.visits, self.feature_names):
            digest.update("\n".join(names).encode() + b"\0")  # text: the width NumPy stores it in tells nothing
        for array in (self.subject_of, self.years, self.features):
            digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        for frame in (self.labels, self.visit_labels):
            digest.update(frame.to_csv(index=False).encode())
        if self.period is not None:  # of other cohorts it is what it was before there were any
            digest.update(repr(self.period).encode())
        for role, paths in sorted(self.files.items()):
            digest.update(role.encode())
            for path in paths:
                digest.update(_stamp(path))
        return digest.hexdigest()


def concatenate(first: Cohort, *others: Cohort, name: str | None = None) -> Cohort:
    """Stack cohorts with the same features; a label one of them lacks is missing there.

    Raises
    ------
    CohortError
        If features differ or a subject is in two of them.
    """
    cohorts = (first, *others)
    for other in others:
        if other.feature_names != first.feature_names:
            raise CohortError(f"{other.source or other.name}: features differ from those of {first.name}")
    subjects = np.concatenate([c.subjects for c in cohorts])
    names, counts = np.unique(subjects, return_counts=True)
    if (counts > 1).any():
        raise CohortError(f"subjects in more than one cohort: {some(names[counts > 1])}")
    starts = np.cumsum([0, *(c.n_subjects for c in cohorts)])
    return replace(
        first,
        name=name or first.name,
        subjects=subjects,
        subject_of=np.concatenate([c.subject_of + start for c, start in zip(cohorts, starts, strict=False)]),
        visits=np.concatenate([c.visits for c in cohorts]),
        years=np.concatenate([c.years for c in cohorts]),
        features=np.concatenate([c.features for c in cohorts]),
        labels=_stack([c.labels for c in cohorts]),
        visit_labels=_stack([c.visit_labels for c in cohorts]),
        files={
            role: np.concatenate([c.files_of(role) for c in cohorts])
            for role in ROLES
            if any(role in c.files for c in cohorts)
        },
        units={key: unit for c in reversed(cohorts) for key, unit in c.units.items()},
        source=", ".join(dict.fromkeys(c.source for c in cohorts if c.source)),
        notes=tuple(dict.fromkeys(note for c in cohorts for note in c.notes)),
        findings=tuple(dict.fromkeys(finding for c in cohorts for finding in c.findings)),
    )


def apart(first: FloatArray | float, second: FloatArray | float, period: float | None) -> FloatArray:
    """Return how long it is from one time to another, the shorter way round where time is a circle."""
    ahead = np.asarray(second, np.float64) - first
    return ahead if period is None else ahead - period * np.round(ahead / period)


def _about(findings: tuple[Finding, ...], subjects: NDArray[np.str_]) -> tuple[Finding, ...]:
    """Return the findings that concern somebody who is still there, or nobody in particular."""
    if not findings:
        return findings
    there = set(subjects.tolist())
    return tuple(finding for finding in findings if not finding.subjects or there.intersection(finding.subjects))


def _stamp(path: str) -> bytes:
    """Return what tells a file from another of that name without reading all of it."""
    if not path:
        return b"\0"
    size, digest = content_stamp(path)
    return Path(path).name.encode() + b"\0" + str(size).encode() + digest


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    columns = list(dict.fromkeys(column for frame in frames for column in frame.columns))
    return pd.concat([frame.reindex(columns=columns) for frame in frames], ignore_index=True)
