"""Turn labels of any kind into numbers for a network or a regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort.levels import level_key, spellings
from nextscan.errors import CohortError

_MOST_CATEGORIES = 100


@dataclass(frozen=True)
class _Label:
    """One label: its categories (empty if it is a number) or its range, and whether it had gaps."""

    name: str
    categories: tuple[str, ...]
    low: float
    span: float
    has_gaps: bool

    @property
    def columns(self) -> list[str]:
        values = [f"{self.name}={category}" for category in self.categories] or [self.name]
        return values + [f"{self.name} missing"] * self.has_gaps


@dataclass(frozen=True, eq=False)
class LabelEncoder:
    """Labels as columns of numbers, learned on training subjects.

    Numbers map to [0, 1] by their training range, text to one column per category; texts that differ only by case or
    blanks (``11025`` and ``11025.0``, of sex also M and male) are one category. A missing value, an
    unknown category or an absent label takes the training mean of its columns; labels with gaps in
    training have a column that says so beside them (without gaps there is nothing to learn its effect
    from). Columns are ordered by label name, then by category, whatever the order of the table.

    Attributes
    ----------
    names : tuple of str
        Column names.
    fill : ndarray of float, shape (n_columns,)
        Training means of the columns.
    dropped : dict of label name to reason
        Labels to learn nothing from: without any value, or with too many texts (identifiers, dates).

    Examples
    --------
    >>> table = pd.DataFrame({"sex": ["F", "M", None], "age": [60.0, 50.0, 70.0]})
    >>> encoder = LabelEncoder.fit(table)
    >>> encoder.names
    ('age', 'sex=F', 'sex=M', 'sex missing')
    >>> encoder.transform(table).tolist()
    [[0.5, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.5, 0.5, 1.0]]
    """

    labels: tuple[_Label, ...]
    fill: FloatArray
    dropped: dict[str, str]

    @classmethod
    def fit(cls, labels: pd.DataFrame) -> Self:
        """Learn categories and ranges from training rows.

        Parameters
        ----------
        labels : DataFrame, shape (n, n_labels)
            Numbers, booleans or text; missing allowed.
        """
        learned: list[_Label] = []
        dropped: dict[str, str] = {}
        for name in sorted(labels.columns, key=str):
            column = labels[name]
            present = column.dropna()
            gaps = len(present) < len(column)
            if present.empty:
                dropped[str(name)] = "no value in training"
            elif pd.api.types.is_numeric_dtype(column):
                low, high = float(present.min()), float(present.max())
                learned.append(_Label(name, (), low, (high - low) or 1.0, gaps))
            else:
                counts = present.astype(str).value_counts()
                usual = spellings({str(text): int(count) for text, count in counts.items()}, str(name))
                categories = tuple(sorted(set(usual.values())))
                if len(categories) > min(_MOST_CATEGORIES, max(10, len(present) / 5)):
                    dropped[str(name)] = "too many different texts"
                else:
                    learned.append(_Label(name, categories, 0.0, 1.0, gaps))
        encoder = cls(tuple(learned), np.zeros(0), dropped)
        values = encoder._columns(labels)
        mean = np.nanmean(values, axis=0) if values.size else np.zeros(values.shape[1])
        return cls(encoder.labels, mean, dropped)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns `transform` returns."""
        return tuple(column for label in self.labels for column in label.columns)

    def transform(self, labels: pd.DataFrame) -> FloatArray:
        """Encode rows; labels unknown to `fit` are ignored.

        Returns
        -------
        ndarray of float, shape (n, n_columns)
            Without missing values; numbers beyond the training range lie outside [0, 1].

        Raises
        ------
        CohortError
            If a label that was a number in training now holds text.
        """
        values = self._columns(labels)
        return np.where(np.isnan(values), self.fill, values)

    def _columns(self, labels: pd.DataFrame) -> FloatArray:
        blocks = [np.zeros((len(labels), 0))]
        for label in self.labels:
            column = labels.get(label.name)
            if column is None:
                column = pd.Series(np.full(len(labels), np.nan))
            if label.categories:
                text = _spelled(column.astype(str), label)
                values = (text[:, None] == np.array(label.categories)[None, :]).astype(np.float64)
                values[(values.sum(axis=1) == 0) | column.isna().to_numpy()] = np.nan
            else:
                values = (_numbers(column, label.name)[:, None] - label.low) / label.span
            blocks.append(values)
            if label.has_gaps:
                blocks.append(np.isnan(values[:, :1]).astype(np.float64))
        return np.concatenate(blocks, axis=1)

    def state(self) -> dict[str, Any]:
        """Return what was learned, as arrays, numbers and strings."""
        return {
            "labels": [dict(vars(label)) for label in self.labels],
            "fill": self.fill,
            "dropped": self.dropped,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the encoder from `state`."""
        labels = tuple(_Label(**{**label, "categories": tuple(label["categories"])}) for label in state["labels"])
        return cls(labels, state["fill"], dict(state["dropped"]))


def _spelled(column: pd.Series, label: _Label) -> NDArray[np.str_]:
    """Return texts as the categories are spelled; others stay."""
    keys = {level_key(category, label.name): category for category in label.categories}
    known = {text: keys.get(level_key(text, label.name), text) for text in column.unique()}
    exact = {category: category for category in label.categories}
    return column.map(known | exact).to_numpy(dtype=str)


def _numbers(column: pd.Series, name: str) -> FloatArray:
    try:
        values: FloatArray = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise CohortError(
            f"label {name} was a number in training and is text now ({error}); use the same coding"
        ) from error
    return values
