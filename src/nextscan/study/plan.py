"""What an evaluation consists of: methods x seeds x repeats x folds as jobs with names that tell them apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nextscan
from nextscan.cohort import Cohort, shown_visits
from nextscan.errors import SettingError, some
from nextscan.imputers.base import Imputer
from nextscan.imputers.estimator import Estimator
from nextscan.imputers.registry import BASELINES, SEQUENCE_BASELINES, VOLUME_BASELINES, imputer_names, make_imputer
from nextscan.imputers.sequences.volume_ridge import VolumeRidge
from nextscan.stamps import split_frame
from nextscan.study.plugs import load_function

ORACLE = "oracle"
"""The row of whoever knows the law a cohort was simulated from; of images that is one of the other `ORACLES`."""
VOLUME_ORACLE, HEART_ORACLE = "volume-oracle", "heart-oracle"
ORACLES = (ORACLE, VOLUME_ORACLE, HEART_ORACLE)
ALL_BASELINES = (*BASELINES, *VOLUME_BASELINES, *SEQUENCE_BASELINES, VolumeRidge.name)
CLOSED_FORM = (*ALL_BASELINES, *ORACLES)
"""What has no use for several seeds."""
SEGMENTER = "nextscan.metrics.regions:segment"
LEARNED_SEGMENTER = "nextscan.imputers.sequences.segmenter:Segmenter"
"""Of films: learned anew in each fold, from the label maps of its training subjects."""
EXTRACTOR = "nextscan.metrics:volume_descriptor"
DRAWS, VOLUME_DRAWS = 40, 10
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""Of draws, as fans and curves have them."""


@dataclass(frozen=True)
class Job:
    """One method fitted with one seed and scored on one fold.

    Attributes
    ----------
    shown : bool
        Whether its predictions go into the report: the first repeat of the first seed.
    key : str
        Hash of everything its result depends on.
    """

    method: str
    seed: int
    repeat: int
    fold: int
    shown: bool
    key: str

    @property
    def place(self) -> dict[str, Any]:
        """Method, seed, repeat and fold, as tables have them."""
        return {"method": self.method, "seed": self.seed, "repeat": self.repeat, "fold": self.fold}

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{self.method}-seed{self.seed}-repeat{self.repeat}-fold{self.fold}-{self.key}"


@dataclass(frozen=True, eq=False)
class Plan:
    """The settings of an evaluation.

    Attributes
    ----------
    methods : mapping of row name to unfitted imputer
        Requested ones first, then the baselines, then the oracle.
    requested : tuple of str
        Those asked for; the others are there because a table without them tells nothing.
    segmenter, extractor : str
        ``module:function`` of what measures and describes images; empty where features are imputed, the latter also of
        films.
    shown : str
        A rule of `nextscan.cohort.shown_visits`; empty to show all visits but the last.
    of_films : bool
        Whether all frames are imputed that the rule does not show, not the last visit alone.
    """

    methods: Mapping[str, Estimator]
    requested: tuple[str, ...]
    fingerprint: str
    n_folds: int
    repeats: int
    seeds: tuple[int, ...]
    draws: int
    seed: int
    save_draws: bool
    segmenter: str = ""
    extractor: str = ""
    shown: str = ""
    of_films: bool = False

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        methods: Sequence[str] | Mapping[str, Estimator],
        *,
        n_folds: int,
        repeats: int,
        seeds: int | Sequence[int],
        draws: int | None,
        seed: int,
        save_draws: bool,
        segmenter: str = "",
        extractor: str = "",
        shown: str | None = None,
    ) -> Plan:
        """Check the settings and add the rows that are never optional.

        Raises
        ------
        SettingError
        """
        chosen = tuple(range(1, seeds + 1)) if isinstance(seeds, int) else tuple(seeds)
        if not chosen or len(set(chosen)) < len(chosen):
            raise SettingError(f"seeds must be a number above 0 or distinct seeds, got {seeds}")
        if draws is not None and draws < 2:
            raise SettingError(f"scores compare draws with each other and need at least 2, got draws={draws}")
        if isinstance(methods, str):
            methods = [methods]
        asked: dict[str, Estimator] = (
            dict(methods)
            if isinstance(methods, Mapping)
            # The oracle of images has the row of the oracle: whatever looks for it finds it there.
            else {ORACLE if name in ORACLES else name: make_imputer(name) for name in methods}
        )
        for name in asked:
            if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
                raise SettingError(f"method name {name!r}: use letters, digits, '-', '_', '.' and '+', it names files")
        of_images = _of_images(cohort, asked)
        if ORACLE in asked and not cohort.law:
            raise SettingError(
                f"{cohort.source or cohort.name}: the oracle knows only simulated cohorts, and no law lies beside "
                "this one; drop it from the methods"
            )
        shown = (shown or "").strip()
        if shown:
            shown_visits(cohort, shown)  # refuses what is no rule
        of_films = of_images and bool(shown) and holds_films(cohort)
        if of_films:
            segmenter = segmenter or LEARNED_SEGMENTER
            if extractor:
                raise SettingError("an extractor is for single images, and frames of films have no Fréchet distance")
            if segmenter != LEARNED_SEGMENTER:
                load_function(segmenter, what="segmenter")
        elif of_images:
            segmenter, extractor = segmenter or SEGMENTER, extractor or EXTRACTOR
            load_function(segmenter, what="segmenter")
            load_function(extractor, what="extractor")
        elif segmenter or extractor:
            raise SettingError("a segmenter and an extractor are for images; these methods impute features")
        baselines, oracle = (
            (SEQUENCE_BASELINES, HEART_ORACLE)
            if of_films
            else (VOLUME_BASELINES, VOLUME_ORACLE)
            if of_images
            else (BASELINES, ORACLE)
        )
        always = {name: name for name in baselines}
        if cohort.law and oracle in imputer_names():
            always[ORACLE] = oracle
        rows = asked | {name: make_imputer(kind) for name, kind in always.items() if name not in asked}
        if of_films:
            rows |= {VolumeRidge.name: VolumeRidge(shown=shown)}
        return cls(
            methods=rows,
            requested=tuple(asked),
            fingerprint=cohort.fingerprint(),
            n_folds=n_folds,
            repeats=repeats,
            seeds=chosen,
            draws=draws if draws is not None else VOLUME_DRAWS if of_images else DRAWS,
            seed=seed,
            save_draws=save_draws,
            segmenter=segmenter,
            extractor=extractor,
            shown=shown,
            of_films=of_films,
        )

    @property
    def of_images(self) -> bool:
        """Tell whether images are imputed, not features."""
        return bool(self.segmenter)

    def seeds_of(self, method: str) -> tuple[int, ...]:
        """Return the seeds a method is fitted with: closed-form methods have no use for more than one."""
        closed_form = self.methods[method].name in CLOSED_FORM
        return self.seeds[:1] if closed_form else self.seeds

    @property
    def identity(self) -> dict[str, Any]:
        """What all results in one folder must share; methods, seeds and repeats may be added later."""
        return {
            "fingerprint": self.fingerprint,
            "n_folds": self.n_folds,
            "draws": self.draws,
            "seed": self.seed,
            **self._where_needed,
        }

    @property
    def _where_needed(self) -> dict[str, str]:
        """Settings that only some evaluations have: without them those of before stay what they were."""
        images = {"segmenter": self.segmenter, "extractor": self.extractor} if self.of_images else {}
        return images | ({"shown": self.shown} if self.shown else {})

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but cohort and methods, as recorded."""
        return {
            "n_folds": self.n_folds,
            "repeats": self.repeats,
            "draws": self.draws,
            "seed": self.seed,
            "save_draws": self.save_draws,
            **self._where_needed,
        }

    def job(self, method: str, seed: int, repeat: int, fold: int) -> Job:
        """Return one job."""
        shown = repeat == 0 and seed == self.seeds[0]
        key = self.key(method, seed=seed, repeat=repeat, fold=fold, shown=shown)
        return Job(method, seed, repeat, fold, shown, key)

    def shown_jobs(self, method: str) -> list[Job]:
        """Return the jobs of a method whose predictions go into the report, by fold."""
        return [self.job(method, self.seeds[0], 0, fold) for fold in range(self.n_folds)]

    def jobs(self) -> Iterator[Job]:
        """Yield all jobs: by method, seed, repeat, fold."""
        for method in self.methods:
            for seed in self.seeds_of(method):
                for repeat in range(self.repeats):
                    for fold in range(self.n_folds):
                        yield self.job(method, seed, repeat, fold)

    def key(self, method: str, **place: int) -> str:
        """Hash the cohort, the settings, the method with its parameters, and the place in the plan."""
        imputer = self.methods[method]
        content = {
            "nextscan": nextscan.__version__,
            **self.identity,
            "imputer": [imputer.name, imputer.get_params()],
            "place": place,
        }
        return hashlib.blake2b(json.dumps(content, sort_keys=True, default=repr).encode(), digest_size=6).hexdigest()


def holds_films(cohort: Cohort) -> bool:
    """Tell whether the images are frames of films: their time is a circle, or they lie in one file."""
    frames = (split_frame(path)[1] is not None for path in cohort.files_of("volume")[cohort.has_volume].tolist())
    return cohort.period is not None or any(frames)


def _of_images(cohort: Cohort, asked: Mapping[str, Estimator]) -> bool:
    """Tell from the methods, or without any from the cohort, whether images are imputed."""
    where = cohort.source or cohort.name
    features = [name for name, imputer in asked.items() if isinstance(imputer, Imputer)]
    images = [name for name in asked if name not in features]
    if features and images:
        raise SettingError(
            f"{some(features)} imputes features and {some(images)} images: they have no scores in common; evaluate "
            "them apart"
        )
    has_images = bool(cohort.has_volume.any())
    if images and not has_images:
        raise SettingError(f"{where}: holds no images, which {some(images)} imputes; use methods for features")
    if features and not cohort.n_features:
        raise SettingError(
            f"{where}: holds no features, which {some(features)} imputes; use methods for images such as "
            f"{', '.join(imputer_names('volumes'))}"
        )
    return bool(images) or (not features and has_images and not cohort.n_features)
