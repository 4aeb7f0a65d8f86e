"""What a prediction is conditioned on beside the source volume, as numbers for a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Pairs
from nextscan.preprocess import LabelEncoder

Interval = Literal["unseen", "encoded", "reach"]
_FREQUENCIES = 8  # of the encoding of years: periods from 6 to 640 years


@dataclass(frozen=True, eq=False)
class Conditions:
    """Interval and labels as numbers, learned on training subjects.

    Attributes
    ----------
    interval : "unseen", "encoded" or "reach"
        "encoded": sines and cosines of the years. "reach": the years over their training mean, and whether
        they are known.
    labels : LabelEncoder or None
    mean_gap : float
        Years.
    timed : bool
        Whether the interval is used, and known of any training pair.
    """

    interval: Interval
    labels: LabelEncoder | None
    mean_gap: float
    timed: bool = True

    @classmethod
    def fit(cls, cohort: Cohort, pairs: Pairs, *, interval: Interval, use_labels: bool) -> Self:
        """Learn labels from the visits of the pairs, and the mean of their known intervals."""
        rows = np.unique(np.concatenate([pairs.context, pairs.target]))
        known = pairs.gap[pairs.gap > 0]
        return cls(
            interval=interval,
            labels=LabelEncoder.fit(cohort.labels_at(rows)) if use_labels else None,
            mean_gap=float(known.mean()) if len(known) else 1.0,
            timed=interval == "reach" and bool(len(known)),
        )

    @property
    def n_numbers(self) -> int:
        """Number of columns of `numbers`."""
        n_labels = 0 if self.labels is None else len(self.labels.names)
        return n_labels + {"unseen": 0, "encoded": 2 * _FREQUENCIES, "reach": 2}[self.interval]

    def reach(self, gap: FloatArray) -> NDArray[np.float32]:
        """Return what multiplies change, shape (n,): intervals over their mean, 1 where unknown or not used."""
        if self.interval != "reach":
            return np.ones(len(gap), np.float32)
        return np.where(np.isnan(gap), 1.0, gap / self.mean_gap).astype(np.float32)

    def encode(self, labels: pd.DataFrame) -> FloatArray:
        """Return labels as columns of numbers, shape (n, n_labels)."""
        return np.zeros((len(labels), 0)) if self.labels is None else self.labels.transform(labels)

    def numbers(self, labels: FloatArray, gap: FloatArray) -> NDArray[np.float32]:
        """Put encoded labels and intervals side by side, shape (n, n_numbers).

        The last two columns of "reach" are the interval, 0 where it is unknown, and whether it is known.
        """
        blocks = [labels]
        if self.interval == "encoded":
            angle = gap[:, None] * 100.0 ** -np.linspace(0, 1, _FREQUENCIES)
            blocks += [np.sin(angle), np.cos(angle)]
        elif self.interval == "reach":
            known = np.isfinite(gap)
            blocks.append(np.column_stack([np.where(known, gap, 0.0) / self.mean_gap, known]))
        return np.concatenate(blocks, axis=1).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Return what was learned."""
        labels = None if self.labels is None else self.labels.state()
        return {"interval": self.interval, "labels": labels, "mean_gap": self.mean_gap, "timed": self.timed}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild from `state`."""
        labels = None if state["labels"] is None else LabelEncoder.from_state(state["labels"])
        return cls(**{**state, "labels": labels})
