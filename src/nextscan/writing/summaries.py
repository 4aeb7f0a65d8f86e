"""Means, intervals and yearly change of imputed visits, kept on disk until the table is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.cohort.imputation import Imputation, Method
from nextscan.cohort.task import Targets
from nextscan.errors import CohortError
from nextscan.reading.formats.tables import COMPANIONS


class Summaries:
    """What is written of each target: mean, interval, yearly change.

    Attributes
    ----------
    feature_names : tuple of str
    targets : list of Targets
        One entry per chunk.
    unlike : list of bool or None
        Whether a target's context visit is unlike training; None where that is not known.
    companions : tuple of str
        What is known besides the mean.
    """

    def __init__(self, file: BinaryIO, level: float | None, annual: bool, interval: Method, by: str | None) -> None:
        self.feature_names: tuple[str, ...] = ()
        self.targets: list[Targets] = []
        self.unlike: list[bool | None] = []
        self.companions = () if level is None else COMPANIONS
        self._file, self._level, self._annual, self._interval, self._by = file, level, annual, interval, by

    def add(self, imputation: Imputation) -> None:
        """Append the targets of a chunk.

        Raises
        ------
        CohortError
            If its features are not those of the chunks before.
        """
        if self.targets and imputation.feature_names != self.feature_names:
            raise CohortError("imputations of one table must have the same features")
        self.feature_names = imputation.feature_names
        self.targets.append(imputation.requested)
        known = np.full(len(imputation.requested), np.nan) if imputation.likeness is None else imputation.likeness
        marks = zip(np.isnan(known), imputation.unlike_training.tolist(), strict=True)
        self.unlike += [None if unknown else mark for unknown, mark in marks]
        parts = [imputation.mean()]
        if self._level is not None:
            change = imputation.annual_change() if self._annual else np.full_like(parts[0], np.nan, dtype=np.float64)
            parts += [*imputation.interval(self._level, self._interval, by=self._by), change]
        self._file.write(np.stack(parts, axis=1).astype(np.float64).tobytes())

    def read(self, positions: list[int]) -> FloatArray:
        """Return targets by position: shape (n, parts, n_features); parts are mean, low, high, change."""
        shape = (1 + len(self.companions), len(self.feature_names))
        size = 8 * shape[0] * shape[1]
        found = np.empty((len(positions), *shape))
        for i, position in enumerate(positions):
            self._file.seek(position * size)
            found[i] = np.frombuffer(self._file.read(size)).reshape(shape)
        return found


@contextmanager
def summarise(
    imputations: Iterable[Imputation],
    folder: Path,
    *,
    level: float | None,
    annual: bool = True,
    interval: Method = "draws",
    by: str | None = None,
) -> Iterator[Summaries]:
    """Yield the summaries of all chunks; a chunk's draws are let go of before the next is asked for.

    Parameters
    ----------
    imputations : iterable of Imputation
        Of different targets and the same features.
    folder : Path
        Where the temporary file lies; it has no name and vanishes at the end.
    level : float or None
        Of the intervals; None leaves the companions out.
    annual : bool
        Whether yearly change means anything; otherwise it is missing.
    interval, by
        How intervals are made, as in `Imputation.interval`.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        summaries = Summaries(file, level, annual, interval, by)
        for imputation in imputations:
            summaries.add(imputation)
        yield summaries
