"""Sums over the observed visits of each subject: all that a mixed-effects model needs to know of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray

_BLOCK = 4096  # subjects with gaps at a time: each has a precision matrix of its own
_FEW_VISITS, _FEW_SUBJECTS = 3, 64  # above that number of visits, fewer subjects are no group of their own


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over observed visits of subjects whose likelihood is computed together.

    Attributes
    ----------
    design : Tensor, shape (n, q)
    count, time, time2 : Tensor, shape (n, p), or (n, 1) where all features were seen at the same visits
        Visits, sum of their years, sum of squared years.
    value, time_value, square : Tensor, shape (n, p)
        Sums of x, of years times x, of x².
    n_subjects : int
        How many subjects the rows stand for: `compressed` rows are fewer.
    """

    design: Tensor
    count: Tensor
    time: Tensor
    time2: Tensor
    value: Tensor
    time_value: Tensor
    square: Tensor
    n_subjects: int

    @cached_property
    def shared(self) -> bool:
        """Whether all subjects have the same cells at the same times, hence the same precision."""
        return all(bool((part == part[:1]).all()) for part in (self.count, self.time, self.time2))

    @property
    def visits(self) -> Tensor:
        """`count`, in a single row where all subjects have the same."""
        return self.count[:1] if self.count.shape[1] == 1 or self.shared else self.count

    def select(self, rows: Tensor) -> Sums:
        """Return the sums of some subjects."""
        parts = {part.name: getattr(self, part.name)[rows] for part in fields(self) if part.name != "n_subjects"}
        return Sums(**parts, n_subjects=len(rows))

    @cached_property
    def products(self) -> Products:
        """Cross products over subjects, of features seen at the same visits."""
        level = torch.cat([self.count * self.design, self.time * self.design], dim=1)
        drift = torch.cat([self.time * self.design, self.time2 * self.design], dim=1)
        return Products(
            level=level,
            drift=drift,
            square=self.square.sum(dim=0),
            value_square=self.value.square().sum(dim=0),
            design_square=torch.cat([self.design.T @ level, self.design.T @ drift]),
            level_square=level.T @ level,
            design_value=torch.cat([self.design.T @ self.value, self.design.T @ self.time_value]),
            level_value=level.T @ self.value,
        )


@dataclass(frozen=True, eq=False)
class Products:
    """Cross products with which a likelihood needs no array of subjects by features of its own.

    With effects Θ = (level, drift) stacked, shape (2 q, p), the sums of what they leave are
    ``value - level @ Θ`` and ``time_value - drift @ Θ``.

    Attributes
    ----------
    level, drift : Tensor, shape (n, 2 q)
    square, value_square : Tensor, shape (p,)
        Σ square and Σ value² over subjects.
    design_square, level_square : Tensor, shape (2 q, 2 q)
        Of the squares of fitted values: summed over visits, and of sums over visits.
    design_value, level_value : Tensor, shape (2 q, p)
        The same with the data.
    """

    level: Tensor
    drift: Tensor
    square: Tensor
    value_square: Tensor
    design_square: Tensor
    level_square: Tensor
    design_value: Tensor
    level_value: Tensor


def sums(values: FloatArray, years: FloatArray, subject_of: NDArray[np.intp], design: FloatArray) -> Sums:
    """Sum over the visits of each subject.

    Parameters
    ----------
    values : ndarray, shape (n_visits, p)
        NaN where missing.
    years : ndarray, shape (n_visits,)
    subject_of : ndarray of int, shape (n_visits,)
        Position of each visit's subject in `design`: never decreasing, every subject at least once.
    design : ndarray, shape (n, q)
    """
    seen = ~np.isnan(values)
    filled = np.where(seen, values, 0.0)
    t = years[:, None]
    starts = np.flatnonzero(np.diff(subject_of, prepend=-1))

    def add(part: FloatArray) -> Tensor:
        return torch.from_numpy(np.add.reduceat(part, starts, axis=0))

    weights = seen.astype(np.float64)
    return Sums(
        design=torch.from_numpy(design),
        count=add(weights),
        time=add(weights * t),
        time2=add(weights * t**2),
        value=add(filled),
        time_value=add(filled * t),
        square=add(filled**2),
        n_subjects=len(design),
    )


def groups(whole: Sums) -> Iterator[tuple[Tensor, Sums]]:
    """Split subjects by what their precision costs: (rows, sums) by number of visits, by pattern of gaps, the rest.

    Numbers of visits that few subjects have go with the gaps: many small groups take longer.
    """
    several = whole.count.shape[1] > 1  # a single feature has no gaps
    uniform = torch.ones(len(whole.count), dtype=torch.bool)
    for weights in (whole.count, whole.time, whole.time2):
        uniform &= (weights == weights[:, :1]).all(dim=1)
    for count in whole.count[uniform, 0].unique().tolist():
        alike = uniform & (whole.count[:, 0] == count)
        if several and count > _FEW_VISITS and alike.sum() < _FEW_SUBJECTS:
            uniform &= ~alike
            continue
        rows = torch.nonzero(alike).flatten()
        part = whole.select(rows)
        yield rows, replace(part, count=part.count[:, :1], time=part.time[:, :1], time2=part.time2[:, :1])
    gappy = torch.nonzero(~uniform).flatten()
    for rows in _alike(whole, gappy):
        gappy = gappy[~torch.isin(gappy, rows)]
        yield rows, whole.select(rows)
    for rows in gappy.split(_BLOCK) if len(gappy) else ():
        yield rows, whole.select(rows)


def _alike(whole: Sums, rows: Tensor) -> Iterator[Tensor]:
    """Yield subjects with one visit, at time 0, that lack the same features: a site or a protocol often does."""
    single = rows[(whole.count[rows] <= 1).all(dim=1) & (whole.time[rows] == 0).all(dim=1)]
    if not len(single):
        return
    _, pattern, number = torch.unique(whole.count[single], dim=0, return_inverse=True, return_counts=True)
    for which in torch.nonzero(number >= _FEW_SUBJECTS).flatten().tolist():
        yield single[pattern == which]


def compressed(part: Sums) -> Sums:
    """Replace many subjects with one visit at time 0 by at most p + q rows with the same cross products."""
    joint = torch.cat([part.value, part.design], dim=1)
    single = part.shared and part.count[0].max() <= 1 and not part.time[0].any()
    if not single or len(joint) <= joint.shape[1]:
        return part
    value, design = torch.linalg.qr(joint, mode="r").R.split([part.value.shape[1], part.design.shape[1]], dim=1)
    few = part.select(torch.arange(len(value)))
    return replace(
        few,
        design=design,
        value=value,
        time_value=torch.zeros_like(value),
        square=value**2,
        n_subjects=part.n_subjects,
    )
