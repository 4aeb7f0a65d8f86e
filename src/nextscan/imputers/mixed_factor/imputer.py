"""Mixed-factor: a multivariate mixed-effects factor model of all visits of all subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Split, Targets, Task, folds, hide, merge, pairs
from nextscan.diffusion import counter_normal
from nextscan.errors import SettingError, TooFewPairsError, some
from nextscan.imputers.base import Imputer, Progress
from nextscan.imputers.mixed_factor.effects import MixedEffects, Posterior
from nextscan.imputers.mixed_factor.effects_fit import Moments, maximise
from nextscan.imputers.mixed_factor.logistic_curves import bent, can_curve, straightened
from nextscan.imputers.mixed_factor.predictive import Predictive
from nextscan.imputers.mixed_factor.visit_sums import Sums, compressed, groups, sums
from nextscan.imputers.mixed_factor.visit_times import (
    filled_years,
    first_visits,
    label_rates,
    labels_at_start,
    target_years,
)
from nextscan.imputers.stages import Stages, fingerprint
from nextscan.preprocess import LabelEncoder
from nextscan.randomness import subject_keys

_FACTORS, _OWN, _NOISE = range(3)  # what a stream of random numbers is for
_RANKS, _SLOPES = (2, 5, 10, 20, 40), (0, 2, 5, 10)
_DRAWS_TO_CHOOSE = 30
_CANDIDATES = 10  # fits to choose by, usually
_MANY_PAIRS = 600
_MOST_WITH_GAPS = 1000  # single visits whose gaps are nobody else's: each costs as much as many without


@dataclass(eq=False, repr=False)
class MixedFactor(Imputer):
    """Predict by the Gaussian law of a factor model with individual slopes, fitted to everybody's visits.

    Each visit is a level by labels, plus years times a drift by labels, plus stable factors, plus years
    times slope factors, plus a stable part and measurement noise of each feature; see
    `nextscan.imputers.mixed_factor.effects`. Any number of visits, at any times, with any cells missing, of
    paired and unpaired subjects, inform the fit, and all visits of a subject its prediction. Mean and
    draws are those of the fitted law, exactly.

    Parameters
    ----------
    n_factors, n_slopes : int, optional
        Ranks of the stable part and of the slopes; by default what scores best on held-out visits.
    unpaired : "auto", "use" or "ignore"
        Whether subjects with a single visit inform the fit; "auto" decides by held-out visits. Where
        they do, their level may differ from the others' by a constant.
    curve : "auto", "linear" or "logistic"
        Whether features whose values all lie between 0 and 1 change along straight lines or level off at
        both ends; "auto" decides by held-out visits where most people with a follow-up have three or more,
        and is linear else. Other features are always linear. Logistic means are those of the draws.

    Notes
    -----
    Time starts at a subject's first visit. An unknown time of a visit seen is taken as evenly spaced
    between its neighbours, or a mean gap after the visit before; that of a target is drawn from the gaps
    seen in training.
    """

    name: ClassVar[str] = "mixed-factor"
    uses_unpaired: ClassVar[bool] = True
    uses_time: ClassVar[bool] = True
    predicts_backward: ClassVar[bool] = True
    minimum_pairs: ClassVar[int] = 5
    _LEARNED: ClassVar[tuple[str, ...]] = (
        *("labels", "model", "mean_", "scale_", "curved_", "gaps_", "span_"),
        *("label_mean_", "label_scale_", "label_rates_"),
    )
    _PARTS: ClassVar[dict[str, Any]] = {"labels": LabelEncoder, "model": MixedEffects}

    n_factors: int | None = None
    n_slopes: int | None = None
    unpaired: str = "auto"
    curve: str = "auto"

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        if self.unpaired not in ("auto", "use", "ignore"):
            raise SettingError(f"unpaired must be auto, use or ignore, got {self.unpaired!r}")
        if self.curve not in ("auto", "linear", "logistic"):
            raise SettingError(f"curve must be auto, linear or logistic, got {self.curve!r}")
        cohort = merge(train, validation)
        cohort = cohort.select_visits(~cohort.is_request)
        if {None, "auto"} & set(self.get_params().values()):  # with all chosen it is a fold of a fit that was checked
            check_follow_ups(cohort, self.minimum_pairs)
        stages = Stages(checkpoint, fingerprint(cohort, self.get_params(), seed), _CANDIDATES, progress)
        chosen, tried = self.choose(cohort, stages.number)
        self._learn(cohort, **chosen)
        self.record_ |= {f"chosen_{name}": value for name, value in chosen.items()}
        self.record_["held_out_energy_score"] = tried

    def choose(
        self, cohort: Cohort, once: Callable[[str, Callable[[], float]], float] = lambda _, make: make()
    ) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
        """Return all settings, open ones chosen one after the other by held-out energy scores, and those scores.

        Parameters
        ----------
        once : callable
            Computes the score of a name, or knows it: `nextscan.imputers.stages.Stages.number`.
        """
        many = (cohort.observed_visits > 2).sum() > cohort.is_paired.sum() / 2
        grid: dict[str, list[Any]] = {
            "n_factors": _ranks(_RANKS, cohort),
            "n_slopes": _ranks(_SLOPES if many else _SLOPES[:-1], cohort),
            "unpaired": ["use", "ignore"],
            "curve": ["linear", "logistic"],
        }
        chosen = self.get_params()
        if not (~cohort.is_paired).any():
            chosen["unpaired"] = "ignore"
        if chosen["curve"] == "auto" and not (many and can_curve(cohort.features).any()):
            chosen["curve"] = "linear"
        chosen |= {name: grid[name][0] for name in grid if chosen[name] is None and len(grid[name]) == 1}
        undecided = [name for name, value in chosen.items() if value in (None, "auto")]
        start = {name: len(grid[name]) // 2 for name in (("n_factors", "n_slopes") if many else ("n_factors",))}
        chosen |= {name: grid[name][start.get(name, 0)] for name in undecided}
        tasks = [(split.train, _hidden(split.test)) for split in _inner_folds(cohort)] if undecided else []
        tried = {}
        for name in undecided:
            scores = {}
            for value in grid[name]:
                candidate = type(self)(**{**chosen, name: value})
                scores[value] = once(f"choosing {name} {value}", partial(_held_out, candidate, tasks))
            chosen[name] = min(scores, key=scores.__getitem__)
            tried[name] = {str(value): score for value, score in scores.items()}
        return chosen, tried

    def _learn(self, cohort: Cohort, n_factors: int, n_slopes: int, unpaired: str, curve: str) -> None:
        if unpaired == "ignore":
            cohort = cohort.select_subjects(cohort.is_paired)
        first = first_visits(cohort)
        constant = np.nanmax(cohort.features, axis=0) == np.nanmin(cohort.features, axis=0)
        self.curved_: NDArray[np.bool_] = can_curve(cohort.features) & ~constant & (curve == "logistic")
        features = straightened(cohort.features, self.curved_)
        # Later visits stand in for a feature that all first visits lack, or of which all are alike.
        alike = (~np.isnan(features[first])).sum(axis=0) < 2
        alike[~alike] = np.nanstd(features[first][:, ~alike], axis=0) < 1e-9 * np.nanstd(features[:, ~alike], axis=0)
        typical = np.where(alike & ~np.isin(np.arange(len(features)), first)[:, None], features, np.nan)
        typical[first] = features[first]
        self.mean_: FloatArray = np.nanmean(typical, axis=0)
        self.scale_: FloatArray = np.where(constant, 0.0, np.nanstd(typical, axis=0))
        found = pairs(cohort)
        known = found.gap[np.isfinite(found.gap)]
        self.gaps_: FloatArray = known if len(known) else np.ones(1)
        self.label_rates_ = label_rates(cohort)
        years = self._years(cohort)
        paired, last = cohort.is_paired, np.append(first[1:], cohort.n_visits) - 1
        # The unit of time within: with it, drifts and slopes are about as large as levels and loadings.
        self.span_ = float((years[last] - years[first])[paired].mean()) or 1.0
        labels = labels_at_start(cohort, years, self.label_rates_)
        self.labels_ = LabelEncoder.fit(labels)
        encoded = self.labels_.transform(labels)
        self.label_mean_: FloatArray = encoded.mean(axis=0)
        label_spread = encoded.std(axis=0)
        self.label_scale_: FloatArray = np.where(label_spread > 1e-12, label_spread, 1.0)
        z, years, design = self.scaled(cohort.features), years / self.span_, self._design(cohort)
        n_columns = design.shape[1]
        if not cohort.is_paired.all():  # a level of their own, which predictions leave out
            design = np.column_stack([design, np.where(cohort.is_paired, 0.0, 1.0)])
        moments = Moments(
            z[found.target] - z[found.context],
            (z[last] - z[first])[paired],
            (years[last] - years[first])[paired],
            design[paired],
        )
        at_first = np.nan_to_num(z[first])
        level = np.asarray(np.linalg.lstsq(design, at_first, rcond=1e-8)[0], np.float64)
        left: FloatArray = at_first - design @ level
        data = _fitted_on(sums(z, years, cohort.subject_of, design), paired)
        covariance, prior = np.asarray(left.T @ left / len(left), np.float64), moments.prior()
        fitted = maximise(moments.start(prior, covariance, level, n_factors, n_slopes), data, prior)
        self.model_ = replace(fitted, level=fitted.level[:n_columns], drift=fitted.drift[:n_columns])

    def scaled(self, values: FloatArray) -> FloatArray:
        """Return native values in units of `scale_` around `mean_`, where they are curved on a straight scale."""
        unit = np.where(self.scale_ > 0, self.scale_, 1.0)
        scaled: FloatArray = (straightened(values, self.curved_) - self.mean_) / unit
        return scaled

    def native(self, scaled: NDArray[Any]) -> NDArray[Any]:
        """Undo `scaled`; the type is kept."""
        values = scaled * self.scale_.astype(scaled.dtype) + self.mean_.astype(scaled.dtype)
        return bent(values, self.curved_)

    def _years(self, cohort: Cohort) -> FloatArray:
        return filled_years(cohort, float(self.gaps_.mean()))

    def _design(self, cohort: Cohort) -> FloatArray:
        labels = labels_at_start(cohort, self._years(cohort), self.label_rates_)
        return np.column_stack([np.ones(cohort.n_subjects), self.standardised(labels)])

    def standardised(self, labels: pd.DataFrame) -> FloatArray:
        """Encode labels, shape (n, n_columns), with mean 0 and spread 1 over the subjects of the fit."""
        encoded: FloatArray = (self.labels_.transform(labels) - self.label_mean_) / self.label_scale_
        return encoded

    @torch.no_grad()
    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[NDArray[np.floating], FloatArray | None]:
        at_years = target_years(cohort, wanted, self.gaps_, n_draws, seed)
        drawn_at, mean_at = (torch.from_numpy(part / self.span_) for part in at_years)
        names = [f"{subject}\n{visit}" for subject, visit in zip(wanted.subject, wanted.visit, strict=True)]
        subject_key, visit_key = (torch.from_numpy(subject_keys(part)) for part in (wanted.subject, names))
        noise_sd, width = self.model_.noise.sqrt(), cohort.n_features
        draws = np.empty((n_draws, len(wanted), width), np.float32)
        mean = np.empty((len(wanted), width))
        for here, known, local in self._known(cohort, wanted):
            mean[here] = self.model_.visit(known, known.root.backward(known.whitened), local, mean_at[here]).numpy()
            keys = torch.zeros(len(known.whitened), dtype=torch.int64).index_put((local,), subject_key[here])
            for draw in range(n_draws):
                normal = partial(_normal, seed, draw)
                scores = known.root.backward(known.whitened + normal(keys, _FACTORS, known.n_scores))
                x = self.model_.visit(known, scores, local, drawn_at[draw, here])
                x += (known.own_sd * normal(keys, _OWN, width))[local]
                x += noise_sd * normal(visit_key[here], _NOISE, width)
                draws[draw, here] = self.native(x.numpy())
        return draws, None if self.curved_.any() else self.native(mean)

    @torch.no_grad()
    def scores(self, cohort: Cohort, wanted: Targets) -> Tensor:
        """Return the expected factors of each target's subject, stable ones and slopes, shape (n_targets, rank)."""
        result = torch.empty(len(wanted), self.model_.rank, dtype=torch.float64)
        for here, known, local in self._known(cohort, wanted):
            result[here] = known.root.backward(known.whitened)[local]
        return result

    @torch.no_grad()
    def expected(self, cohort: Cohort, wanted: Targets, gap: FloatArray) -> Tensor:
        """Return the means of `predictive`, shape (n_targets, p)."""
        at = self._at(cohort, wanted, gap)
        result = torch.empty(len(wanted), cohort.n_features, dtype=torch.float64)
        for here, known, local in self._known(cohort, wanted):
            result[here] = self.model_.visit(known, known.root.backward(known.whitened), local, at[here])
        return result

    @torch.no_grad()
    def predictive(self, cohort: Cohort, wanted: Targets, gap: FloatArray) -> Predictive:
        """Return the law of each target at these gaps, shape (n_targets,), in units of `scale_` around `mean_`.

        These are native values where no feature is curved, else on the scale that straightens it.
        """
        n, width, at = len(wanted), cohort.n_features, self._at(cohort, wanted, gap)
        shapes = ((n, width), (n, self.model_.rank, width), (n, width))
        law = Predictive(*(torch.empty(*shape, dtype=torch.float64) for shape in shapes))
        for here, known, local in self._known(cohort, wanted):
            found = self.model_.predictive(known, local, at[here])
            for name, value in vars(found).items():
                getattr(law, name)[here] = value
        return law

    def _at(self, cohort: Cohort, wanted: Targets, gap: FloatArray) -> Tensor:
        return torch.from_numpy((self._years(cohort)[wanted.context] + gap) / self.span_)

    def _known(self, cohort: Cohort, wanted: Targets) -> Iterator[tuple[Tensor, Posterior, Tensor]]:
        """Yield rows of targets, what is known of a group of subjects, and each target's subject among them."""
        needed = np.unique(cohort.subject_of[wanted.context])
        part_of = cohort.select_subjects(needed)
        years = self._years(part_of) / self.span_
        whole = sums(self.scaled(part_of.features), years, part_of.subject_of, self._design(part_of))
        of = torch.from_numpy(np.searchsorted(needed, cohort.subject_of[wanted.context]))
        for rows, part in groups(whole):
            place = torch.full((part_of.n_subjects,), -1).index_put((rows,), torch.arange(len(rows)))
            here = torch.nonzero(place[of] >= 0).flatten()
            yield here, self.model_.posterior(part), place[of[here]]


def check_follow_ups(cohort: Cohort, minimum: int) -> None:
    """Refuse features that hardly anybody has at two visits: nothing tells their noise from their change."""
    found = pairs(cohort)
    both = ~np.isnan(cohort.features[found.context]) & ~np.isnan(cohort.features[found.target])
    few = both.sum(axis=0) < minimum
    if few.any():
        names = np.asarray(cohort.feature_names)[few]
        raise TooFewPairsError(
            f"{cohort.source or cohort.name}: feature {some(names)} was measured at fewer than {minimum} pairs of "
            "visits, too few to learn from; exclude it"
        )


def _fitted_on(whole: Sums, paired: NDArray[np.bool_]) -> list[Sums]:
    """Return what the likelihood is made of; of single visits with scattered gaps, which are dear, only some."""
    data, spare = [], _MOST_WITH_GAPS
    for rows, part in groups(whole):
        if part.count.shape[1] > 1 and not part.shared:
            alone = np.flatnonzero(~paired[rows.numpy()])
            chosen = np.random.default_rng(0).permutation(alone)[:spare]
            spare -= len(chosen)
            kept = np.union1d(np.flatnonzero(paired[rows.numpy()]), chosen)
            part = part.select(torch.from_numpy(kept))
        if len(part.value):
            data.append(compressed(part))
    return data


def _ranks(ranks: Sequence[int], cohort: Cohort) -> list[int]:
    """Return the ranks that features and subjects allow."""
    allowed = {min(rank, cohort.n_features) for rank in ranks if rank <= max(cohort.n_subjects // 4, ranks[0])}
    return sorted(allowed)


def _hidden(test: Cohort) -> Task:
    """Hide the later visits of each subject, after the first visit, the second and so on in turn."""
    test = test.select_visits(~test.is_request)
    test = test.select_subjects(test.is_paired)
    return hide(test, 1 + np.arange(test.n_subjects) % (test.observed_visits - 1))


def _inner_folds(cohort: Cohort) -> Iterator[Split]:
    """Yield four folds; with many pairs the first is enough to choose by."""
    n = int(cohort.is_paired.sum())
    return islice(folds(cohort, min(4, n), seed=1, validation_fraction=0.0), 1 if n > _MANY_PAIRS else None)


def _held_out(model: MixedFactor, tasks: Sequence[tuple[Cohort, Task]]) -> float:
    """Return the mean energy score of a model's draws for held-out visits."""
    from nextscan.metrics import energy_score

    scores = []
    for train, task in tasks:
        draws = model.fit(train).impute(task.shown, _DRAWS_TO_CHOOSE, missing_labels="ignore").draws
        sd = np.nanstd(train.features[first_visits(train)], axis=0)
        unit = np.where(sd > 0, sd, 1.0)
        scores.append(np.nanmean(energy_score(task.truth / unit, draws / unit)))
    return float(np.mean(scores))


def _normal(seed: int, draw: int, keys: Tensor, purpose: int, width: int) -> Tensor:
    return counter_normal(keys, seed, draw, purpose, (width,), dtype=torch.float64)
