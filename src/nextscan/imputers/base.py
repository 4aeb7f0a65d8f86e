"""What every imputer has in common: settings, checks, physics and saving."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Calibration, Cohort, Imputation, Targets, pairs, targets
from nextscan.errors import CohortError, FeatureMismatchError, NotFittedError, SettingError, TooFewPairsError, some
from nextscan.preprocess import Likeness

Progress = Callable[[Mapping[str, Any]], None]
FloatArray = NDArray[np.float64]


class Imputer:
    """Base of all imputers: a subclass stores settings in its constructor, `_fit`s and `_draw`s.

    Learned names end in ``_``. Constructors only store. A subclass implements

    - ``_fit(train, validation, seed, checkpoint, progress)``, which learns;
    - ``_draw(cohort, wanted, n_draws, seed)`` -> ``(draws, exact_mean or None)`` in native units;
    - ``_state()`` and ``_restore(state)``: what it learned as nested dicts of arrays, numbers, strings.

    Attributes
    ----------
    predicts_backward : bool
        Whether visits before the first observed one can be imputed; `impute` refuses them otherwise.
    uses_time : bool
        Whether the time of the target changes the prediction.
    feature_names_ : tuple of str
    units_ : dict of feature name to unit
    record_ : dict
        What happened in `fit`, ready for JSON: pairs and subjects used, skipped steps, choices made.
    calibration_ : Calibration or None
        Errors of held-out pairs, from `calibrate`; a `_fit` that has them anyway may set it.
    likeness_ : Likeness or None
        How far out a visit lies among those of training; None with fewer than 10 pairs.
    """

    name: ClassVar[str]
    uses_unpaired: ClassVar[bool] = False
    minimum_pairs: ClassVar[int] = 2
    predicts_backward: ClassVar[bool] = False
    uses_time: ClassVar[bool] = False

    feature_names_: tuple[str, ...]
    units_: dict[str, str]
    nonnegative_: NDArray[np.bool_]
    record_: dict[str, Any]
    calibration_: Calibration | None
    likeness_: Likeness | None

    # -- settings ---------------------------------------------------------------------------------

    @classmethod
    def setting_names(cls) -> tuple[str, ...]:
        """Return the names of the constructor's arguments."""
        return tuple(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings as given to the constructor."""
        return {name: getattr(self, name) for name in self.setting_names()}

    def set_params(self, **params: Any) -> Self:
        """Change settings; an unknown name is an error."""
        unknown = sorted(set(params) - set(self.setting_names()))
        if unknown:
            raise SettingError(
                f"{type(self).__name__} has no setting {some(unknown)}; it has {', '.join(self.setting_names())}"
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def clone(self) -> Self:
        """Return an unfitted imputer with the same settings."""
        return type(self)(**self.get_params())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({shown})"

    # -- fit --------------------------------------------------------------------------------------

    @overload
    def fit(
        self,
        train: Cohort,
        validation: Cohort | None = None,
        *,
        seed: int = 0,
        seeds: None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Self: ...

    @overload
    def fit(
        self,
        train: Cohort,
        validation: Cohort | None = None,
        *,
        seeds: Sequence[int],
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> list[Self]: ...

    def fit(
        self,
        train: Cohort,
        validation: Cohort | None = None,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Self | list[Self]:
        """Learn from training subjects, choose on validation subjects.

        Parameters
        ----------
        train, validation : Cohort
            With the same features; without `validation`, methods that need one split it from `train`.
        seed : int
        seeds : sequence of int, optional
            Fit once per seed and return a list of fitted imputers; this one stays unfitted.
        checkpoint : path, optional
            Folder for the state of long training; a second call with the same settings resumes there.
        progress : callable, optional
            Called with a mapping now and then; see `nextscan.training`.

        Raises
        ------
        TooFewPairsError
            If fewer than `minimum_pairs` pairs of visits are there to learn from.
        """
        folder = None if checkpoint is None else Path(checkpoint)
        if seeds is not None:
            models = self._fit_each(train, validation, list(seeds), folder, progress)
            likeness = Likeness.of(train)
            for model in models:
                model.likeness_ = likeness
            return models
        self._begin(train, validation, seed)
        self._fit(train, validation, seed, folder, progress)
        self.likeness_ = Likeness.of(train)
        return self

    def _begin(self, train: Cohort, validation: Cohort | None, seed: int) -> None:
        """Check the cohorts and note what every imputer needs to know of them."""
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

    def _fit_each(
        self,
        train: Cohort,
        validation: Cohort | None,
        seeds: list[int],
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> list[Self]:
        """Fit one imputer per seed; methods whose seeds train side by side do it at once."""
        folders = [None if checkpoint is None else checkpoint / f"seed-{seed}" for seed in seeds]
        return [
            self.clone().fit(train, validation, seed=seed, checkpoint=folder, progress=progress)
            for seed, folder in zip(seeds, folders, strict=True)
        ]

    def _fit(
        self,
        train: Cohort,
        validation: Cohort | None,
        seed: int,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        raise NotImplementedError

    def calibrate(
        self,
        train: Cohort,
        validation: Cohort | None = None,
        *,
        n_folds: int = 5,
        draws: int = 40,
        seed: int = 0,
        visits: Literal["last", "later"] = "last",
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
        from nextscan.imputers.calibrating import calibrate

        self._check_fitted()
        self.calibration_ = calibrate(
            self,
            self._check_features(train),
            None if validation is None else self._check_features(validation),
            n_folds=n_folds,
            draws=draws,
            seed=seed,
            visits=visits,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            progress=progress,
        )
        return self

    # -- impute -----------------------------------------------------------------------------------

    def impute(
        self,
        cohort: Cohort,
        draws: int = 40,
        *,
        seed: int = 0,
        at_years: Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> Imputation:
        """Draw the visits that `nextscan.cohort.targets` lists for the cohort.

        Parameters
        ----------
        cohort : Cohort
            Needs every feature the model was fitted on; more are ignored.
        draws : int
            Draws per target.
        seed : int
            The same seed gives the same draws, whoever else is in the cohort.
        at_years : sequence of float, optional
            Impute these times after the last observed visit instead; negative ones, before it, where the
            imputer `predicts_backward`.

        Returns
        -------
        Imputation
            Native units; values are not below zero where training saw none below zero.

        Raises
        ------
        NotFittedError, FeatureMismatchError, SettingError
        CohortError
            If a target lies before its subject's first observed visit and the method predicts forward only.
        """
        self._check_fitted()
        if draws < 1:
            raise SettingError(f"draws must be at least 1, got {draws}")
        cohort = self._check_features(cohort)
        wanted = targets(cohort, at_years)
        self.check_direction(cohort, wanted)
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

    def _check_fitted(self) -> None:
        if not hasattr(self, "feature_names_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted yet; call fit(train, validation) first")

    def check_direction(self, cohort: Cohort, wanted: Targets) -> None:
        """Refuse targets before the visits they start from, unless the method predicts backward."""
        asked = wanted.row >= 0
        backward = (wanted.gap < 0) | (asked & (wanted.row < wanted.context))
        if self.predicts_backward or not backward.any():
            return
        if (backward & ~asked).any():
            raise SettingError(
                f"{self.name} predicts forward only: at_years counts from the last observed visit, it must not be "
                "negative"
            )
        i = int(np.flatnonzero(backward)[0])
        more = np.count_nonzero(backward) - 1
        raise CohortError(
            f"{cohort.source or cohort.name}: visit {wanted.visit[i]} of subject {wanted.subject[i]}"
            f"{f' (and {more:,} more)' if more else ''} lies before its first observed visit; {self.name} predicts "
            "forward only: leave the row out"
        )

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

    def _state(self) -> dict[str, Any]:
        raise NotImplementedError

    def _restore(self, state: dict[str, Any]) -> None:
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Write a model folder: `model.json` and `arrays.safetensors`; read it with `nextscan.load`.

        The folder appears whole or not at all.
        """
        from nextscan.imputers.model_folder import write_model

        self._check_fitted()
        state = {
            "nonnegative": self.nonnegative_,
            "feature_names": list(self.feature_names_),
            "units": self.units_,
            "record": self.record_,
            "calibration": None if self.calibration_ is None else self.calibration_.state(),
            "likeness": None if self.likeness_ is None else self.likeness_.state(),
            "learned": self._state(),
        }
        write_model(Path(path), name=self.name, params=self.get_params(), state=state)
