"""What held-out pairs tell of a method's errors, and how wide an interval must be to keep its level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.errors import SettingError

Over = Literal["visit", "subject"]
_MOST_GROUPS = 20
_LEAST_SD = 0.1  # of the root mean square over held-out visits
_MISSING = "missing"
GAP = "gap"


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """Errors of visits that were held out, in predictive standard deviations.

    They make conformal intervals: mean ± q sd, where q is a quantile of the absolute errors of held-out
    subjects. Absolute, not signed: the interval is symmetric about the mean, and half as many held-out
    subjects as for two separate tails suffice (19 at 95 %).

    What holds: if subjects are exchangeable, an interval learned from K held-out subjects holds the value
    of one more with a probability of at least its level. Visits of one subject resemble each other, so each
    subject has the same weight, however many of its visits were held out (hierarchical conformal prediction).
    Errors are of fits without the subject, on fewer subjects than the final fit, which makes intervals
    rather too wide than too narrow; the strict bound for such cross-fitting is lower (for error rate a, 2a).
    The level holds on average over subjects, for each feature by itself; with `by`, on average over each
    group.

    Attributes
    ----------
    errors : ndarray of float32, shape (n_visits, n_features)
        (truth - predictive mean) / predictive sd, signed; NaN where the truth was missing.
    subject : ndarray of str, shape (n_visits,)
    labels : DataFrame, n_visits rows
        Of the subject and of its context visit.
    gap : ndarray of float, shape (n_visits,)
        Years from context to the held-out visit.
    least_sd : ndarray of float, shape (n_features,)
        A smaller predictive sd counts as this: a prediction all at zero is not certain.
    nonnegative : ndarray of bool, shape (n_features,)
        Whether training saw nothing below zero, so that intervals do not go there.
    n_draws : int
        The sd was that of so many draws.

    References
    ----------
    Lei et al. (2018), J. Am. Stat. Assoc. 113; Vovk (2012), group-conditional; Barber et al. (2021), Ann.
    Stat. 49, cross-fitting; Lee, Barber & Willett (2023), arXiv:2306.06342, repeated measurements.
    """

    errors: NDArray[np.float32]
    subject: NDArray[np.str_]
    labels: pd.DataFrame
    gap: FloatArray
    least_sd: FloatArray
    nonnegative: BoolArray
    n_draws: int
    _known: dict[tuple[float, str | None, int], FloatArray] = field(default_factory=dict, init=False)

    @classmethod
    def of(
        cls,
        truth: FloatArray,
        mean: FloatArray,
        sd: FloatArray,
        *,
        subject: NDArray[np.str_],
        labels: pd.DataFrame,
        gap: FloatArray,
        nonnegative: BoolArray,
        n_draws: int,
    ) -> Self:
        """Standardise the errors of held-out visits; arrays are of shape (n_visits, n_features)."""
        least = _LEAST_SD * np.sqrt(np.mean(sd**2, axis=0))
        least = np.maximum(least, 1e-6 * np.abs(mean).max(axis=0))  # constant features: rounding only
        least = np.where(least > 0, least, 1.0)
        errors = ((truth - mean) / np.maximum(sd, least)).astype(np.float32)
        return cls(errors, subject, labels.reset_index(drop=True), gap, least, nonnegative, n_draws)

    def __repr__(self) -> str:
        n_visits, n_features = self.errors.shape
        n_subjects = len(np.unique(self.subject))
        return f"<Calibration by {n_visits:,} held-out visits of {n_subjects:,} subjects, {n_features:,} features>"

    def interval(
        self, mean: FloatArray, sd: FloatArray, factor: FloatArray, of: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return mean ± factor x sd, not below zero where training saw nothing below.

        Parameters
        ----------
        mean, sd : ndarray, shape (n_targets, n_features)
        factor, of : ndarray
            From `factors`.
        """
        half = factor[of] * np.maximum(sd, self.least_sd)
        floor = np.where(self.nonnegative, 0.0, -np.inf)
        return np.maximum(mean - half, floor), np.maximum(mean + half, floor)

    def factors(
        self,
        level: float,
        subject: NDArray[np.str_],
        labels: pd.DataFrame | None = None,
        gap: FloatArray | None = None,
        *,
        by: str | None = None,
        over: Over = "visit",
    ) -> tuple[FloatArray, IntArray]:
        """Return how many sd an interval reaches to each side.

        Parameters
        ----------
        level : float
        subject : ndarray of str, shape (n_targets,)
        labels : DataFrame, n_targets rows
            Of the visits that targets start from; needed for `by`.
        gap : ndarray of float, shape (n_targets,), optional
            Years from there; needed for ``by="gap"``.
        by : str, optional
            A label, or ``gap``: only held-out subjects of the target's own group count. Groups are the
            values; of a number with more than 20 they are the thirds of the held-out visits.
        over : "visit" or "subject"
            Whether the level is that of one visit, or of all imputed visits of a subject at once. For m
            visits the latter needs held-out subjects with m held-out visits or more; each counts by its
            largest error.

        Returns
        -------
        factor : ndarray of float, shape (n_kinds, n_features)
        of : ndarray of int, shape (n_targets,)
            Which row of `factor` is a target's.

        Raises
        ------
        SettingError
            If the level is not in (0, 1), the label is unknown or has too many values, or there are too
            few held-out subjects: the message says how many there must be. Nothing falls back silently.
        """
        if not 0 < level < 1:
            raise SettingError(f"an interval level lies between 0 and 1, got {level:g}")
        if over not in ("visit", "subject"):
            raise SettingError(f"over must be visit or subject, got {over!r}")
        group: list[str | None] = [None] * len(subject)
        own: list[str | None] = [None] * len(self.subject)
        if by is not None:
            own, group = self._groups(by, _label(by, labels, gap))
        count = np.ones(len(subject), int)
        if over == "subject":
            _, position, visits = np.unique(subject, return_inverse=True, return_counts=True)
            count = visits[position]
        kinds = list(zip(group, count.tolist(), strict=True))
        distinct = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
        first = {kind: str(name) for kind, name in zip(reversed(kinds), subject[::-1], strict=True)}
        found = [self._factor(level, value, n if over == "subject" else 0, by, own, first) for value, n in distinct]
        factor = np.array(found).reshape(len(distinct), self.errors.shape[1])
        return factor, np.array([distinct[kind] for kind in kinds], np.intp)

    def _groups(self, by: str, wanted: pd.Series | None) -> tuple[list[str | None], list[str | None]]:
        """Return the groups of held-out visits and of targets."""
        held_out = _label(by, self.labels, self.gap)
        if held_out is None:
            there = ", ".join(map(str, [*self.labels.columns, GAP]))
            raise SettingError(f"by={by}: the calibration knows no such label; there are: {there}")
        if wanted is None:
            raise SettingError(f"by={by}: the imputed subjects have no label {by}; add it or leave by out")
        n_values = held_out.nunique()
        if n_values > _MOST_GROUPS and not pd.api.types.is_numeric_dtype(held_out):
            raise SettingError(
                f"by={by}: {n_values} different values; by needs a label with at most {_MOST_GROUPS}, such as sex, or "
                "numbers"
            )
        if n_values <= _MOST_GROUPS and by != GAP:
            return [*groups_of_label(held_out)], [*groups_of_label(wanted)]
        cuts = np.nanquantile(held_out.to_numpy(np.float64), [1 / 3, 2 / 3]) if n_values else np.zeros(2)
        return _thirds(held_out, cuts), _thirds(wanted, cuts)

    def _factor(
        self,
        level: float,
        value: str | None,
        n_visits: int,
        by: str | None,
        own: Sequence[str | None],
        first: dict[tuple[str | None, int], str],
    ) -> FloatArray:
        """Return the factor of one group and number of visits (0: any one visit), shape (n_features,)."""
        key = (level, None if by is None else f"{by}={value}", n_visits)
        if key not in self._known:
            rows = np.flatnonzero([group == value for group in own])
            scores, weights, n_subjects = self._scores(rows, n_visits)
            needed = int(np.ceil(level / (1 - level) - 1e-9))
            if n_subjects.min() < needed:
                of_group = "" if by is None else f" with {by} {value}"
                several = f" and {n_visits} or more held-out visits" if n_visits > 1 else ""
                who = "" if by is None and n_visits < 2 else f" for subject {first[value, max(n_visits, 1)]}"
                remedy = "ask for a lower level" if by is None else "leave by out, or ask for a lower level"
                if n_visits > 1:
                    remedy += ", calibrate with visits='later', or ask for one visit at a time (over='visit')"
                raise SettingError(
                    f"a {level:.0%} conformal interval{who} needs at least {needed} held-out subjects{of_group}"
                    f"{several}, there are {n_subjects.min()}; {remedy}"
                )
            self._known[key] = _quantile(scores, weights, level)
        return self._known[key]

    def _scores(self, rows: IntArray, n_visits: int) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return scores and weights, shape (n, n_features), and the number of subjects of each feature.

        A subject's weights add up to 1 / (number of subjects + 1); the last part is that of the target.
        """
        rows = rows[np.argsort(self.subject[rows], kind="stable")]
        scores: FloatArray = np.abs(self.errors[rows]).astype(np.float64)
        seen = ~np.isnan(scores)
        if not len(rows):
            return scores, scores, np.zeros(scores.shape[1], np.intp)
        _, start, of = np.unique(self.subject[rows], return_index=True, return_inverse=True)
        visits = np.add.reduceat(seen, start, axis=0, dtype=np.intp)
        if n_visits:
            enough = visits >= n_visits
            largest = np.maximum.reduceat(np.where(seen, scores, -np.inf), start, axis=0)
            n_subjects = enough.sum(axis=0)
            return np.where(enough, largest, np.nan), enough / (n_subjects + 1), n_subjects
        n_subjects = (visits > 0).sum(axis=0)
        return scores, seen / np.maximum(visits, 1)[of] / (n_subjects + 1), n_subjects

    def state(self) -> dict[str, Any]:
        """Return what was learned, as arrays and lists of texts."""
        return {
            "errors": self.errors,
            "subject": self.subject.tolist(),
            "labels": {str(name): _plain(values) for name, values in self.labels.items()},
            "gap": self.gap,
            "least_sd": self.least_sd,
            "nonnegative": self.nonnegative,
            "n_draws": self.n_draws,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the calibration from `state`."""
        labels = pd.DataFrame(state["labels"], index=range(len(state["subject"])))
        return cls(**state | {"subject": np.array(state["subject"], str), "labels": labels})


def groups_of_label(values: pd.Series) -> list[str]:
    """Name the group of each value of a label; numbers and their texts are the same group.

    >>> groups_of_label(pd.Series([1.0, None, 2.5])), groups_of_label(pd.Series(["F", "1"]))
    (['1', 'missing', '2.5'], ['F', '1'])
    """
    return [
        _MISSING if pd.isna(value) else f"{value:.15g}" if isinstance(value, float | np.floating) else str(value)
        for value in values
    ]


def _label(by: str, labels: pd.DataFrame | None, gap: FloatArray | None) -> pd.Series | None:
    if labels is not None and by in labels:
        return labels[by]
    return pd.Series(gap) if by == GAP and gap is not None else None


def _thirds(values: pd.Series, cuts: FloatArray) -> list[str | None]:
    low, high = cuts
    names = [f"below {low:.3g}", f"from {low:.3g} to {high:.3g}", f"above {high:.3g}"]
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    return [_MISSING if np.isnan(number) else names[int(number >= low) + int(number > high)] for number in numbers]


def _quantile(scores: FloatArray, weights: FloatArray, level: float) -> FloatArray:
    """Return per feature the least score at or below which lies weight `level`.

    With equal weights 1 / (n + 1) it is the score at position ceil((n + 1) level).
    """
    order = np.argsort(scores, axis=0, kind="stable")  # missing ones come last, with weight 0
    reached = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0) >= level - 1e-9
    at = np.take_along_axis(order, reached.argmax(axis=0)[None], axis=0)
    quantile: FloatArray = np.take_along_axis(scores, at, axis=0)[0]
    return quantile


def _plain(values: pd.Series) -> list[float | str | None]:
    """Return texts and numbers for JSON; True and False become texts, as the names of their groups are."""
    return [
        None
        if pd.isna(v)
        else float(v)
        if isinstance(v, int | float | np.number) and v is not True and v is not False
        else str(v)
        for v in values
    ]
