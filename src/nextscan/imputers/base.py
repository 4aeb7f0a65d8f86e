"""What every imputer of features has in common: checks, physics, calibration and saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.cohort import Calibration, Cohort, Imputation, Targets, Task, folds, hide, merge, pairs, targets
from nextscan.cohort.known import Known, MissingLabels
from nextscan.errors import CohortError, FeatureMismatchError, SettingError, TooFewPairsError, some
from nextscan.imputers.estimator import Estimator, Progress
from nextscan.imputers.settings import at_least
from nextscan.preprocess import Likeness

__all__ = ["Imputer", "Progress"]

Visits = Literal["last", "later"]


class Imputer(Estimator):
    """Base of all imputers of features: a subclass stores settings in its constructor, `_fit`s and `_draw`s.

    A subclass implements

    - ``_fit(train, validation, seed, checkpoint, progress)``, which learns;
    - ``_draw(cohort, wanted, n_draws, seed)`` -> ``(draws, exact_mean or None)`` in native units;
    - ``_state()`` and ``_restore(state)``: what it learned as nested dicts of arrays, numbers, strings.

    Attributes
    ----------
    feature_names_ : tuple of str
    units_ : dict of feature name to unit
    calibration_ : Calibration or None
        Errors of held-out pairs, from `calibrate`; a `_fit` that has them anyway may set it.
    likeness_ : Likeness or None
        How far out a visit lies among those of training; None with fewer than 10 pairs.
    """

    feature_names_: tuple[str, ...]
    units_: dict[str, str]
    nonnegative_: NDArray[np.bool_]
    calibration_: Calibration | None
    likeness_: Likeness | None

    @property
    def known(self) -> Known:
        """The names of this model, by which the table to impute is read."""
        known, calibration = super().known, self.calibration_
        return known if calibration is None else replace(known, groups=tuple(map(str, calibration.labels)))

    # -- fit --------------------------------------------------------------------------------------

    def _begin(self, train: Cohort, validation: Cohort | None, seed: int) -> None:
        if not train.n_features:
            raise CohortError(
                f"{train.source or train.name}: holds no features, and {self.name} learns from features; for images "
                "use volume-diffusion"
            )
        parts = [train] if validation is None else [train, validation]
        gaps = np.concatenate([pairs(part).gap for part in parts])
        n_pairs = len(gaps)
        if n_pairs < self.minimum_pairs:
            raise TooFewPairsError(
                f"{train.source or train.name}: {self.name} needs at least {self.minimum_pairs} pairs of "
                f"visits to learn from, there are {n_pairs}; use another method or a larger cohort"
            )
        if validation is not None and validation.feature_names != train.feature_names:
            raise FeatureMismatchError(f"{validation.source or validation.name}: features differ from training")
        self.feature_names_ = train.feature_names
        self.units_ = dict(train.units)
        seen = np.concatenate([part.features for part in parts])
        self.nonnegative_ = np.nan_to_num(seen, nan=0.0).min(axis=0, initial=0.0) >= 0
        n_subjects = sum(part.n_subjects for part in parts)
        self.record_ = {"n_pairs": n_pairs, "n_subjects": n_subjects, "seed": seed}
        known = gaps[gaps > 0]
        if len(known):
            self.record_ |= {"mean_gap": float(known.mean()), "gap_range": [float(known.min()), float(known.max())]}
        self.calibration_ = None
        self.likeness_ = None

    def _end(self, models: Sequence[Self], train: Cohort) -> None:
        likeness = Likeness.of(train)
        for model in models:
            model.likeness_ = likeness

    def calibrate(
        self,
        train: Cohort,
        validation: Cohort | None = None,
        *,
        n_folds: int = 5,
        draws: int = 40,
        seed: int = 0,
        visits: Visits = "last",
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn how far off held-out predictions are, for conformal intervals.

        Clones are fitted `n_folds` times, each without a part of the subjects, training and validation
        together, whose visits they then impute; this imputer stays as it was fitted. It takes about
        `n_folds` times as long as `fit`.

        Parameters
        ----------
        train, validation : Cohort
            As given to `fit`.
        n_folds : int
        draws : int
            Per held-out visit. Intervals are made from as many: `impute` with at least these.
        seed : int
            Of the folds and the draws; the clones are fitted with the seed of this imputer.
        visits : "last" or "later"
            Hold out each subject's last visit, given all before; or all after its first, given that one,
            which bands over several visits (`over="subject"`) need.
        checkpoint : path, optional
            As in `fit`.
        progress : callable, optional

        Returns
        -------
        Imputer
            This one.

        Raises
        ------
        NotFittedError, SettingError, TooFewPairsError
        CohortError
            If there are fewer paired subjects than folds.
        """
        self._check_fitted()
        if draws < 2:
            raise SettingError(f"a calibration needs the spread of at least 2 draws, got draws={draws}")
        if visits not in get_args(Visits):
            raise SettingError(f"visits must be last or later, got {visits!r}")
        cohort = merge(self._check_features(train), None if validation is None else self._check_features(validation))
        n_validation = 0 if validation is None else int(validation.is_paired.sum())
        fraction = n_validation / max(int(cohort.is_paired.sum()), 1)
        held_out = []
        for split in folds(cohort, n_folds, seed=seed, validation_fraction=fraction):
            if progress is not None:
                progress({"phase": "calibrating", "done": split.fold, "total": n_folds})
            task = hide(split.test, 1 if visits == "later" else None)
            model = self.clone().fit(
                split.train,
                split.validation if split.validation.n_subjects else None,
                seed=self.record_["seed"],
                checkpoint=None if checkpoint is None else Path(checkpoint) / f"calibration-{split.fold}",
                progress=progress,
            )
            made = model.impute(task.shown, draws, seed=seed, missing_labels="ignore")
            held_out.append((task, made.mean(), made.sd()))
        if progress is not None:
            progress({"phase": "calibrating", "done": n_folds, "total": n_folds})
        self.calibration_ = calibration_of(held_out, nonnegative=self.nonnegative_, n_draws=draws)
        return self

    # -- impute -----------------------------------------------------------------------------------

    def impute(
        self,
        cohort: Cohort,
        draws: int = 40,
        *,
        seed: int = 0,
        at_years: Sequence[float] | None = None,
        missing_labels: MissingLabels = "refuse",
        progress: Progress | None = None,
    ) -> Imputation:
        """Draw the visits that `nextscan.cohort.targets` lists for the cohort.

        Parameters
        ----------
        cohort : Cohort
            Needs every feature the model was fitted on, under whatever role it was read (see `Known.applied`); more
            are ignored, and requests are visits without any of them.
        draws : int
            Draws per target.
        seed : int
            The same seed gives the same draws, whoever else is in the cohort.
        at_years : sequence of float, optional
            Impute these times after the last observed visit instead; negative ones, before it, where the
            imputer `predicts_backward`.
        missing_labels : "refuse", "warn" or "ignore"
            What to do where a label of the model is known of nobody, and everybody would be imputed as the average of
            training: "warn" does so with a warning. "ignore" says nothing of labels that some lack, either.

        Returns
        -------
        Imputation
            Native units; values are not below zero where training saw none below zero.

        Raises
        ------
        NotFittedError, FeatureMismatchError, SettingError
        CohortError
            If a target lies before its subject's first observed visit and the method predicts forward only; if a
            label of the model is known of nobody.

        Warns
        -----
        NextscanWarning
            If labels are missing for some, or have categories that training never saw.
        """
        self._check_fitted()
        at_least(1, draws=draws)
        cohort = self._check_features(self.known.applied(cohort))
        wanted = targets(cohort, at_years)
        self.check_direction(cohort, wanted)
        self.known.check_labels(cohort, wanted, missing_labels)
        values, exact = self._draw(cohort, wanted, draws, seed, progress)
        floor = np.where(self.nonnegative_, 0.0, -np.inf)
        np.maximum(values, floor.astype(values.dtype), out=values)
        context = cohort.features[wanted.context]
        return Imputation(
            method=self.name,
            feature_names=self.feature_names_,
            requested=wanted,
            draws=values,
            context=context,
            exact_mean=None if exact is None else np.maximum(exact, floor),
            seed=seed,
            labels=cohort.labels_at(wanted.context),
            calibration=self.calibration_,
            likeness=None if self.likeness_ is None else self.likeness_.share_as_far(context),
        )

    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[NDArray[np.floating], FloatArray | None]:
        raise NotImplementedError

    def _features(self) -> tuple[str, ...]:
        return self.feature_names_

    def _check_features(self, cohort: Cohort) -> Cohort:
        where = cohort.source or cohort.name
        lacking = sorted(set(self.feature_names_) - set(cohort.feature_names))
        if lacking:
            raise FeatureMismatchError(
                f"{where}: lacks {len(lacking)} of the {len(self.feature_names_)} features the model was fitted "
                f"on: {some(lacking)}; add these columns or fit a model on the features you have"
            )
        cohort = cohort.select_features(self.feature_names_)
        for feature, unit in self.units_.items():
            if cohort.units.get(feature, unit) != unit:
                raise FeatureMismatchError(
                    f"{where}: feature {feature} is in {cohort.units[feature]}, the model was fitted in {unit}; "
                    "convert the column or correct its unit in the schema"
                )
        return cohort

    # -- save -------------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        return {
            "nonnegative": self.nonnegative_,
            "feature_names": list(self.feature_names_),
            "units": self.units_,
            "record": self.record_,
            "reading": self.reading_,
            "calibration": None if self.calibration_ is None else self.calibration_.state(),
            "likeness": None if self.likeness_ is None else self.likeness_.state(),
            "learned": self._state(),
        }

    def _take_saved(self, state: dict[str, Any]) -> None:
        self.feature_names_ = tuple(state["feature_names"])
        self.units_ = state["units"]
        self.nonnegative_ = state["nonnegative"]
        self.record_ = state["record"]
        self.reading_ = state.get("reading", {})  # of no model before it was kept
        calibration, likeness = state.get("calibration"), state.get("likeness")
        self.calibration_ = None if calibration is None else Calibration.from_state(calibration)
        self.likeness_ = None if likeness is None else Likeness.from_state(likeness)
        self._restore(state["learned"])


def calibration_of(
    held_out: Sequence[tuple[Task, FloatArray, FloatArray]], *, nonnegative: NDArray[np.bool_], n_draws: int
) -> Calibration:
    """Return the errors of tasks, each with the mean and the spread of the draws of its targets."""
    tasks, mean, sd = zip(*held_out, strict=True)
    return Calibration.of(
        np.concatenate([task.truth for task in tasks]),
        np.concatenate(mean),
        np.concatenate(sd),
        subject=np.concatenate([task.targets.subject for task in tasks]),
        labels=pd.concat([task.shown.labels_at(task.targets.context) for task in tasks], ignore_index=True),
        gap=np.concatenate([task.targets.gap for task in tasks]),
        nonnegative=nonnegative,
        n_draws=n_draws,
    )
