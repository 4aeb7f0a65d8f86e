"""What every estimator has in common, whatever it imputes: settings, the verb `fit`, direction, saving."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, overload

import numpy as np

from nextscan.cohort import Cohort, Targets
from nextscan.cohort.findings import refuse_errors
from nextscan.cohort.known import Known
from nextscan.errors import CohortError, NotFittedError, SettingError, some
from nextscan.preprocess import LabelEncoder

Progress = Callable[[Mapping[str, Any]], None]


class Estimator:
    """Settings by constructor, learned names with a trailing underscore, as in scikit-learn.

    Constructors only store: they are those of dataclasses, whose fields are the settings. `Imputer` (features) and
    `VolumeImputer` (images) build on it: each checks its cohorts in ``_begin``, and says what a model folder holds in
    ``_saved`` and ``_take_saved``. What a method itself has learned lies there under the names in ``_LEARNED``;
    ``_PARTS`` are the classes of those that have a state of their own.

    Attributes
    ----------
    minimum_pairs : int
        Fewer pairs of visits are refused.
    predicts_backward : bool
        Whether visits before the first observed one can be imputed; `impute` refuses them otherwise.
    uses_time : bool
        Whether the time of the target changes the prediction.
    reading_ : mapping
        How the training table was read, see `Cohort.reading`.
    record_ : dict
        What happened in `fit`, ready for JSON: pairs and subjects used, choices made.
    """

    name: ClassVar[str]
    uses_unpaired: ClassVar[bool] = False
    minimum_pairs: ClassVar[int] = 2
    predicts_backward: ClassVar[bool] = False
    uses_time: ClassVar[bool] = False

    record_: dict[str, Any]

    reading_: Mapping[str, Any]

    _LEARNED: ClassVar[tuple[str, ...]]
    _PARTS: ClassVar[Mapping[str, Any]] = {}

    # -- settings ---------------------------------------------------------------------------------

    @classmethod
    def setting_names(cls) -> tuple[str, ...]:
        """Return the names of the constructor's arguments, those that a method has from its base last."""
        own = inspect.get_annotations(cls)
        return tuple(sorted(inspect.signature(cls).parameters, key=lambda name: name not in own))

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
        CohortError
            If the cohort does not hold what the method learns from, or has a finding that is an error.
        TooFewPairsError
            If fewer than `minimum_pairs` pairs of visits are there to learn from.
        """
        for part in (train, validation):
            if part is not None:
                refuse_errors(part.findings)
        folder = None if checkpoint is None else Path(checkpoint)
        if seeds is not None:
            models = self._fit_each(train, validation, list(seeds), folder, progress)
            for model in models:
                model.reading_ = dict(train.reading)
            self._end(models, train)
            return models
        self.reading_ = dict(train.reading)
        self._begin(train, validation, seed)
        self._fit(train, validation, seed, folder, progress)
        self._end([self], train)
        return self

    def _begin(self, train: Cohort, validation: Cohort | None, seed: int) -> None:
        """Check the cohorts and note what every imputer needs to know of them."""
        raise NotImplementedError

    def _end(self, models: Sequence[Self], train: Cohort) -> None:
        """Add to fitted models what is the same for all seeds."""

    def _fit_each(
        self,
        train: Cohort,
        validation: Cohort | None,
        seeds: list[int],
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> list[Self]:
        """Fit one imputer per seed, all but its end; methods whose seeds train side by side do it at once."""
        models = []
        for seed in seeds:
            model = self.clone()
            model._begin(train, validation, seed)
            model._fit(train, validation, seed, None if checkpoint is None else checkpoint / f"seed-{seed}", progress)
            models.append(model)
        return models

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        raise NotImplementedError

    def _check_fitted(self) -> None:
        if not hasattr(self, "record_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted yet; call fit(train, validation) first")

    # -- names ------------------------------------------------------------------------------------

    def _label_encoder(self) -> LabelEncoder | None:
        """Return what encodes the labels that predictions depend on; None if they depend on none."""
        return getattr(self, "labels_", None)

    def _features(self) -> tuple[str, ...]:
        """Return the names of the features learned from."""
        return ()

    @property
    def known(self) -> Known:
        """The names of this model, by which the table to impute is read."""
        self._check_fitted()
        encoder = self._label_encoder()
        labels = {} if encoder is None else {label.name: label.categories for label in encoder.labels}
        return Known(f"the {self.name} model", self._features(), labels, self.reading_)

    # -- impute -----------------------------------------------------------------------------------

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

    # -- save -------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Return what was learned: nested dicts of arrays, numbers, strings."""
        learned = {name: getattr(self, _attribute(name)) for name in self._LEARNED}
        return {name: value.state() if name in self._PARTS else value for name, value in learned.items()}

    def _restore(self, state: dict[str, Any]) -> None:
        """Undo `_state`."""
        for name in self._LEARNED:
            part = self._PARTS.get(name)
            setattr(self, _attribute(name), state[name] if part is None else part.from_state(state[name]))

    def _saved(self) -> dict[str, Any]:
        """Return what a model folder holds besides name and settings: nested dicts of arrays, numbers, strings."""
        raise NotImplementedError

    def _take_saved(self, state: dict[str, Any]) -> None:
        """Undo `_saved`."""
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Write a model folder: `model.json` and `arrays.safetensors`; read it with `nextscan.load`.

        The folder appears whole or not at all.
        """
        from nextscan.imputers.model_folder import write_model

        self._check_fitted()
        write_model(Path(path), name=self.name, params=self.get_params(), state=self._saved())


def _attribute(name: str) -> str:
    return f"{name.removesuffix('_')}_"
