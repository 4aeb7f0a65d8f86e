"""What a fitted model knows of the table it learned from, so that the table to impute is read by the same names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from nextscan.cohort.cohort import Cohort
from nextscan.cohort.levels import level_key
from nextscan.cohort.task import Targets
from nextscan.errors import CohortError, NextscanWarning, some
from nextscan.wording import counted

MissingLabels = Literal["refuse", "warn", "ignore"]


class Names(Protocol):
    """Names that another table is read by: those of a model, or of the main table of a cohort."""

    @property
    def source(self) -> str:
        """Whose names they are, for messages."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features."""

    @property
    def labels(self) -> Any:
        """Names of the labels: what iterates over them."""


@dataclass(frozen=True)
class Known:
    """Names of a fitted model.

    Attributes
    ----------
    source : str
        What to call the model in messages.
    feature_names : tuple of str
    labels : mapping of label to tuple of str
        Labels that change its predictions, and the categories seen in training; none for a number.
    reading : mapping
        How the training table was read, see `Cohort.reading`.
    groups : tuple of str
        Labels that change no prediction, and that conformal intervals may be asked by.
    """

    source: str
    feature_names: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    reading: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    @property
    def to_read(self) -> Known:
        """The same names with the groups among the labels: those that are looked for in a table."""
        return replace(self, labels={**dict.fromkeys(self.groups, ()), **self.labels})

    def applied(self, cohort: Cohort) -> Cohort:
        """Return the cohort with its columns in the roles they have in the model.

        A column that only this table makes a feature (a label constant within people scanned once looks like one)
        becomes the label it was in training, and a label of numbers the feature it was. A feature that is written
        otherwise than in training (`spelled`) is taken for it, with a warning. Subjects without a value of
        any feature of the model are left out, with a warning: there is nothing to start from.

        Raises
        ------
        CohortError
            If several columns may be one feature, or nobody has a value of any.
        """
        cohort = self._respelled(cohort)
        as_labels = [name for name in self.labels if name in cohort.feature_names]
        held = {*cohort.labels, *cohort.visit_labels}
        as_features = [name for name in self.feature_names if name in held and _numeric(cohort, name)]
        if as_labels or as_features:
            names = [name for name in cohort.feature_names if name not in as_labels]
            labelled = pd.DataFrame({name: _column(cohort, name) for name in as_labels})
            added = [_column(cohort, name) for name in as_features]
            smaller = cohort.select_features(names)
            cohort = replace(
                smaller,
                features=np.column_stack([smaller.features, *added]),
                feature_names=(*names, *as_features),
                labels=cohort.labels.drop(columns=as_features, errors="ignore"),
                visit_labels=pd.concat(
                    [cohort.visit_labels.drop(columns=as_features, errors="ignore"), labelled], axis=1
                ),
            )
        own = [name for name in cohort.feature_names if name in set(self.feature_names)]
        if not own or not self.feature_names:
            return cohort
        seen = replace(cohort.select_features(own), files={}).observed_visits > 0
        if not seen.any():
            raise CohortError(
                f"{cohort.source or cohort.name}: no visit holds a value of any feature of {self.source} "
                f"({some(self.feature_names, 3)}); give at least one scan to start from"
            )
        if not seen.all():
            warnings.warn(
                f"{cohort.source or cohort.name}: {counted(int((~seen).sum()), 'subject')} without a value of any "
                f"feature of {self.source} left out: {some(cohort.subjects[~seen])}; there is no scan to start from",
                NextscanWarning,
                stacklevel=3,
            )
            cohort = cohort.select_subjects(seen)
        return cohort

    def _respelled(self, cohort: Cohort) -> Cohort:
        called = spelled(cohort.feature_names, self.feature_names, of=self.source, where=cohort.source or cohort.name)
        if not called:
            return cohort
        _warn(f"{cohort.source or cohort.name}: {about_spelling(called, self.source)}")
        names = tuple(called.get(name, name) for name in cohort.feature_names)
        units = {called.get(name, name): unit for name, unit in cohort.units.items()}
        return replace(cohort, feature_names=names, units=units)

    def check_labels(self, cohort: Cohort, wanted: Targets, missing_labels: MissingLabels = "refuse") -> None:
        """Warn of labels that the model knows and targets lack, and of categories it never saw.

        Parameters
        ----------
        missing_labels : "refuse", "warn" or "ignore"
            "warn" lets a label pass that no target has; "ignore" says nothing at all.

        Raises
        ------
        CohortError
            If a label of the model is known for no target: everybody would be imputed as the average person.
        """
        if missing_labels == "ignore":
            return
        where, n = cohort.source or cohort.name, len(wanted)
        labels = cohort.labels_at(wanted.context)
        for name, categories in self.labels.items():
            values = labels[name] if name in labels else pd.Series(np.full(n, None, dtype=object))
            missing = values.isna().to_numpy()
            if missing.all() and n:
                text = (
                    f"{where}: label {name}, which {self.source} was fitted with, is "
                    f"{'known for none of the subjects' if name in labels else 'not in the table'}"
                )
                if missing_labels == "refuse":
                    raise CohortError(
                        f"{text}; add it, or impute everybody as the average of training with --allow-missing-labels "
                        "(missing_labels='warn')"
                    )
                _warn(f"{text}: everybody is imputed as the average of training")
                continue
            if missing.any():
                who = dict.fromkeys(wanted.subject[missing].tolist())
                _warn(
                    f"{where}: label {name} is missing for {counted(len(who), 'subject')} ({some(who, 3)}), imputed as "
                    "the average of training; fill it in where you know it"
                )
            if categories:
                text = as_category(values)
                seen = {level_key(category, name) for category in categories}
                new = ~missing & ~text.map(lambda level, name=name: level_key(level, name)).isin(seen).to_numpy()
                if new.any():
                    unseen = some(sorted(set(text[new])))
                    _warn(
                        f"{where}: label {name} has categories that training never saw: {unseen}, "
                        f"for {counted(len(set(wanted.subject[new].tolist())), 'subject')}, imputed as the average of "
                        f"training; it knew {some(categories)}: code them alike"
                    )


def spelled(names: Iterable[str], wanted: Collection[str], *, of: str, where: str) -> dict[str, str]:
    """Return what names are called among wanted ones that differ only in case and punctuation.

    A wanted name that is there to the letter is nobody else's.

    Parameters
    ----------
    names : iterable of str
        Of the columns of a table.
    wanted : collection of str
        Of the features of a model.
    of : str
        The model, for messages.
    where : str
        The table, for messages.

    Raises
    ------
    CohortError
        If several names may be one that is wanted, or one may be several.

    Examples
    --------
    >>> spelled(["hippocampus", "Left.Amygdala", "age"], ["Hippocampus", "Left-Amygdala"], of="a", where="b")
    {'hippocampus': 'Hippocampus', 'Left.Amygdala': 'Left-Amygdala'}
    """
    names = list(names)
    lacking = [name for name in wanted if name not in set(names)]
    if not lacking:
        return {}
    free: dict[str, list[str]] = {}
    for name in names:
        if name not in set(wanted):
            free.setdefault(_folded(name), []).append(name)
    alike: dict[str, list[str]] = {}
    for name in lacking:
        alike.setdefault(_folded(name), []).append(name)
    called: dict[str, str] = {}
    for key, theirs in alike.items():
        mine = free.get(key, [])
        if mine and len(mine) + len(theirs) > 2:
            raise CohortError(
                f"{where}: column{'s' * (len(mine) > 1)} {some(mine)} may be {' or '.join(theirs)} of {of}; "
                f"rename {'one of them' if len(mine) > 1 else 'it'} to {theirs[0]}"
            )
        called |= {mine[0]: theirs[0]} if mine else {}
    return called


def about_spelling(called: Mapping[str, str], source: str) -> str:
    """Say which names were taken for those of a model.

    >>> about_spelling({"hippocampus": "Hippocampus"}, "the model")
    'hippocampus taken for Hippocampus of the model'
    """
    return f"{some([f'{mine} taken for {theirs}' for mine, theirs in called.items()], 8)} of {source}"


def _folded(name: str) -> str:
    """Return letters in lower case and digits; what stands between two digits tells them apart."""
    parts = re.sub(r"[^a-z0-9]+", " ", name.lower())
    return re.sub(r"(?<!\d) | (?!\d)", "", parts)


def as_category(values: pd.Series) -> pd.Series:
    """Return categories as text, whole numbers without a decimal point.

    >>> as_category(pd.Series([11025.0, 11026.0])).tolist()
    ['11025', '11026']
    """
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.map(lambda value: f"{value:.15g}", na_action="ignore").astype(object)
    return values.astype(str)


def _column(cohort: Cohort, name: str) -> Any:
    if name in cohort.feature_names:
        return cohort.features[:, cohort.feature_names.index(name)]
    return cohort.labels_at(np.arange(cohort.n_visits))[name].to_numpy(float, na_value=np.nan)


def _numeric(cohort: Cohort, name: str) -> bool:
    frame = cohort.labels if name in cohort.labels else cohort.visit_labels
    return bool(pd.api.types.is_numeric_dtype(frame[name]))


def _warn(text: str) -> None:
    warnings.warn(text, NextscanWarning, stacklevel=4)
