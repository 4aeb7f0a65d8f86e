"""The anchor: the best closed-form prediction, its members weighted by held-out subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets, Task, folds, hide, pairs
from nextscan.errors import TooFewPairsError
from nextscan.imputers.base import Imputer
from nextscan.imputers.baselines.feature_regression import FeatureRegression
from nextscan.imputers.baselines.mean_change import MeanChange
from nextscan.imputers.baselines.reliability import Reliability
from nextscan.imputers.baselines.ridge import Ridge
from nextscan.imputers.mixed_factor.imputer import MixedFactor
from nextscan.imputers.mixed_factor.predictive import Predictive
from nextscan.imputers.mixed_factor.visit_times import filled_years, target_years
from nextscan.imputers.stages import Stages

COMPANIONS: tuple[type[Imputer], ...] = (Ridge, Reliability, FeatureRegression, MeanChange)
_DEPTHS = (1, 2, 3, 4, 6, 8)  # numbers of visits shown, of which held-out visits are predicted
_CHUNK = 256  # targets at a time: each has a covariance of its own
_LEAST_WEIGHT = 0.01


@dataclass(frozen=True, eq=False)
class Anchor:
    """A mixed-factor model, which gives law and mean, and regressions that share in the mean.

    Regressions know the context visit only. So they share in predictions forward in time from a subject's
    last observed visit; visits in between and before are the mixed-factor model's alone.

    Attributes
    ----------
    model : MixedFactor
    companions : tuple of Imputer
    weights : ndarray of float, shape (1 + n_companions,)
        Of the means, the model's first; they sum to 1.
    rate : ndarray of float, shape (p,)
        Mean change per year of the pairs, native units: what companions that do not use time are corrected by.
    correlated : bool
        False leaves out the covariance between features.
    """

    model: MixedFactor
    companions: tuple[Imputer, ...]
    weights: FloatArray
    rate: FloatArray
    correlated: bool = True

    @classmethod
    def fit(
        cls,
        cohort: Cohort,
        settings: dict[str, Any],
        use: Sequence[type[Imputer]] = COMPANIONS,
        *,
        correlated: bool = True,
    ) -> Self:
        """Fit every member; a companion that has too few pairs is left out.

        Parameters
        ----------
        settings : dict
            Of the mixed-factor model.
        """
        model = MixedFactor(**settings).fit(cohort)
        companions = []
        for make in use:
            try:
                companions.append(make().fit(cohort))
            except TooFewPairsError:
                continue
        return cls(model, tuple(companions), np.eye(1 + len(companions))[0], _yearly_change(cohort), correlated)

    def gaps(self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
        """Return years from context to target: drawn, shape (n_draws, n_targets), and expected, shape (n_targets,).

        They differ where a time is unknown; see `nextscan.imputers.mixed_factor.visit_times.target_years`.
        """
        drawn, expected = target_years(cohort, wanted, self.model.gaps_, n_draws, seed)
        start = filled_years(cohort, float(self.model.gaps_.mean()))[wanted.context]
        return drawn - start, expected - start

    def expected_gaps(self, cohort: Cohort, wanted: Targets) -> FloatArray:
        """Return expected years from context to target, shape (n_targets,)."""
        return self.gaps(cohort, wanted, 1, 0)[1]

    def means(self, cohort: Cohort, wanted: Targets, gap: FloatArray) -> FloatArray:
        """Return each member's mean, shape (1 + n_companions, n_targets, p), native units.

        A companion that does not use time predicts for the mean gap; the mean yearly change takes it to another.
        """
        at = replace(wanted, gap=gap)
        beyond = (gap - self.model.gaps_.mean())[:, None] * self.rate
        found = []
        for companion in self.companions:
            mean = companion._draw(cohort, at, 1, 0, None)[1]
            found.append(mean if companion.uses_time else mean + beyond)
        own = self.native(self.model.expected(cohort, wanted, gap).numpy())
        return np.array([own, *found])

    def mean(self, cohort: Cohort, wanted: Targets, means: FloatArray) -> FloatArray:
        """Return the weighted mean of `means`, native units; the model's alone where companions know too little."""
        forward = is_forward(cohort, wanted, wanted.gap)
        weighted = np.tensordot(self.weights, means, 1)
        return np.where(forward[:, None], weighted, means[0])

    def scaled(self, values: FloatArray) -> Tensor:
        """Return native values in units of the model."""
        return torch.from_numpy(self.model.scaled(values))

    def native(self, scaled: NDArray[Any]) -> NDArray[Any]:
        """Return values in units of the model as native ones, of the same type."""
        return self.model.native(scaled)

    def predictive(
        self, cohort: Cohort, wanted: Targets, gap: FloatArray, means: FloatArray | None = None
    ) -> Iterator[tuple[slice, Predictive]]:
        """Yield the laws of the targets at these gaps, in units of the model, some targets at a time.

        Parameters
        ----------
        means : ndarray, shape (1 + n_companions, n_targets, p), optional
            Of members fitted to other subjects: their mean, with this anchor's covariance.
        """
        for start in range(0, len(wanted), _CHUNK):
            here = slice(start, start + _CHUNK)
            at = replace(wanted.select(here), gap=gap[here])
            law = self.model.predictive(cohort, at, gap[here])
            if means is not None or self.weights[0] < 1:
                own = self.means(cohort, at, gap[here]) if means is None else means[:, here]
                law = replace(law, mean=self.scaled(self.mean(cohort, at, own)))
            yield here, law if self.correlated else law.diagonal()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members, the model's first."""
        return (self.model.name, *(companion.name for companion in self.companions))

    def weights_by_name(self) -> dict[str, float]:
        """Return the weight of each member's mean."""
        return {name: float(weight) for name, weight in zip(self.names, self.weights, strict=True)}

    def state(self) -> dict[str, Any]:
        """Return what was learned, as nested dicts of arrays, numbers, strings."""
        members = (self.model, *self.companions)
        return {
            "weights": self.weights,
            "rate": self.rate,
            "correlated": self.correlated,
            "members": [{"name": m.name, "params": m.get_params(), "state": m._state()} for m in members],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the anchor from `state`."""
        from nextscan.imputers.registry import make_imputer

        members: list[Any] = []
        for member in state["members"]:
            members.append(make_imputer(member["name"], **member["params"]))
            members[-1]._restore(member["state"])
        return cls(members[0], tuple(members[1:]), state["weights"], state["rate"], state["correlated"])


def _yearly_change(cohort: Cohort) -> FloatArray:
    """Return the mean change per year of consecutive visits, shape (p,); 0 where no times are known."""
    found = pairs(cohort)
    change = cohort.features[found.target] - cohort.features[found.context]
    known = ~np.isnan(change) & (found.gap > 0)[:, None]
    years = np.where(known, found.gap[:, None], 0.0).sum(axis=0)
    total = np.where(known, change, 0.0).sum(axis=0)
    return np.divide(total, years, out=np.zeros_like(total), where=years > 0)


def is_forward(cohort: Cohort, wanted: Targets, gap: FloatArray) -> NDArray[np.bool_]:
    """Tell which targets lie after their subject's last observed visit."""
    seen = np.flatnonzero(~cohort.is_request)
    last = np.full(cohort.n_subjects, -1)
    last[cohort.subject_of[seen]] = seen
    return np.asarray((last[cohort.subject_of[wanted.context]] == wanted.context) & (gap >= 0))


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Visits of one fold's subjects, hidden, as members see them that saw none of the fold's subjects.

    Attributes
    ----------
    fold : int
    task : Task
    means : ndarray of float, shape (1 + n_companions, n_targets, p)
        Native units.
    """

    fold: int
    task: Task
    means: FloatArray

    def laws(self, anchor: Anchor) -> Iterator[tuple[slice, Predictive, Tensor]]:
        """Yield rows, laws and truths in units of the anchor.

        The covariance is that of the anchor of all subjects: the residuals of all folds have the same coordinates.
        """
        shown, wanted = self.task.shown, self.task.targets
        truth = anchor.scaled(self.task.truth)
        for here, law in anchor.predictive(shown, wanted, anchor.expected_gaps(shown, wanted), self.means):
            yield here, law, truth[here]


def held_out(
    cohort: Cohort, whole: Anchor, fit: Callable[[Cohort], Anchor], n_folds: int, stages: Stages
) -> tuple[Anchor, list[HeldOut]]:
    """Hide visits of each fold's subjects after 1, 2, 3, 4, 6, 8 visits seen, and fit on the other folds.

    Returns
    -------
    Anchor
        The whole one, without companions that some fold has too few pairs for.
    list of HeldOut
    """
    cases, means = [], []
    for split in folds(cohort, n_folds, seed=1, validation_fraction=0.0):
        hidden = list(tasks(split.test))

        def of_fold(train: Cohort = split.train, hidden: Sequence[Task] = tuple(hidden)) -> dict[str, Any]:
            anchor = fit(train)
            found = [anchor.means(t.shown, t.targets, anchor.expected_gaps(t.shown, t.targets)) for t in hidden]
            return {str(i): dict(zip(anchor.names, part, strict=True)) for i, part in enumerate(found)}

        kept = stages(f"anchor without fold {split.fold + 1}", of_fold)
        cases += [(split.fold, task) for task in hidden]
        means += [kept[str(i)] for i in range(len(hidden))]
    everywhere = [name for name in whole.names if all(name in part for part in means)]
    companions = tuple(member for member in whole.companions if member.name in everywhere)
    anchor = replace(whole, companions=companions, weights=np.eye(1 + len(companions))[0])
    parts = [np.array([part[name] for name in everywhere]) for part in means]
    return anchor, [HeldOut(fold, task, part) for (fold, task), part in zip(cases, parts, strict=True)]


def tasks(cohort: Cohort) -> Iterator[Task]:
    """Yield tasks that show the first visits of each subject and hide the one after them."""
    cohort = cohort.select_visits(~cohort.is_request)
    order = np.arange(cohort.n_visits) - np.searchsorted(cohort.subject_of, cohort.subject_of)
    for depth in _DEPTHS:
        enough = cohort.observed_visits > depth
        if enough.any():
            yield hide(cohort.select_visits(enough[cohort.subject_of] & (order <= depth)))


def weigh(anchor: Anchor, cases: Sequence[HeldOut]) -> Anchor:
    """Weight the members' means so that they come nearest to the held-out truths: Σ‖x - Σ w m‖ is least.

    The distance is the energy score of a point forecast, in units of the model; weights are positive and sum to 1.
    """
    from scipy.optimize import minimize

    if not anchor.companions:
        return anchor
    truth = np.concatenate([case.task.truth for case in cases])
    means = np.concatenate([case.means for case in cases], axis=1)
    truth, means = anchor.scaled(truth).numpy(), np.array([anchor.scaled(part).numpy() for part in means])
    means = np.where(np.isnan(truth), 0.0, means)
    filled = np.nan_to_num(truth)
    _, who, visits = np.unique(
        np.concatenate([case.task.targets.subject for case in cases]), return_inverse=True, return_counts=True
    )
    share = 1 / visits[who]  # each subject counts once

    def weights(x: FloatArray) -> FloatArray:
        w: FloatArray = np.exp(x - x.max())
        return w / w.sum()

    def distance(x: FloatArray) -> float:
        return float(np.average(np.linalg.norm(filled - np.tensordot(weights(x), means, 1), axis=1), weights=share))

    start = np.where(np.arange(len(means)) == 0, 2.0, 0.0)
    found = weights(np.asarray(minimize(distance, start, method="L-BFGS-B").x))
    found = np.where(found < _LEAST_WEIGHT, 0.0, found)
    return replace(anchor, weights=found / found.sum())
