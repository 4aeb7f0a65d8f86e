"""What an evaluation consists of: methods x seeds x repeats x folds as jobs with names that tell them apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nextscan
from nextscan.cohort import Cohort
from nextscan.errors import SettingError
from nextscan.imputers.base import Imputer
from nextscan.imputers.registry import BASELINES, make_imputer

ORACLE = "oracle"


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
    """

    methods: Mapping[str, Imputer]
    requested: tuple[str, ...]
    fingerprint: str
    n_folds: int
    repeats: int
    seeds: tuple[int, ...]
    draws: int
    seed: int
    save_draws: bool

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        methods: Sequence[str] | Mapping[str, Imputer],
        *,
        n_folds: int,
        repeats: int,
        seeds: int | Sequence[int],
        draws: int,
        seed: int,
        save_draws: bool,
    ) -> Plan:
        """Check the settings and add the rows that are never optional.

        Raises
        ------
        SettingError
        """
        chosen = tuple(range(1, seeds + 1)) if isinstance(seeds, int) else tuple(seeds)
        if not chosen or len(set(chosen)) < len(chosen):
            raise SettingError(f"seeds must be a number above 0 or distinct seeds, got {seeds}")
        if draws < 2:
            raise SettingError(f"scores compare draws with each other and need at least 2, got draws={draws}")
        if isinstance(methods, str):
            methods = [methods]
        asked = dict(methods) if isinstance(methods, Mapping) else {name: make_imputer(name) for name in methods}
        for name in asked:
            if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
                raise SettingError(f"method name {name!r}: use letters, digits, '-', '_', '.' and '+', it names files")
        if ORACLE in asked and not cohort.law:
            raise SettingError(
                f"{cohort.source or cohort.name}: the oracle knows only simulated cohorts, and no law lies beside "
                "this one; drop it from the methods"
            )
        always = (*BASELINES, ORACLE) if cohort.law else BASELINES
        rows = asked | {name: make_imputer(name) for name in always if name not in asked}
        return cls(rows, tuple(asked), cohort.fingerprint(), n_folds, repeats, chosen, draws, seed, save_draws)

    def seeds_of(self, method: str) -> tuple[int, ...]:
        """Return the seeds a method is fitted with: closed-form methods have no use for more than one."""
        closed_form = self.methods[method].name in (*BASELINES, ORACLE)
        return self.seeds[:1] if closed_form else self.seeds

    @property
    def identity(self) -> dict[str, Any]:
        """What all results in one folder must share; methods, seeds and repeats may be added later."""
        return {
            "fingerprint": self.fingerprint,
            "n_folds": self.n_folds,
            "draws": self.draws,
            "seed": self.seed,
        }

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but cohort and methods, as recorded."""
        return {
            "n_folds": self.n_folds,
            "repeats": self.repeats,
            "draws": self.draws,
            "seed": self.seed,
            "save_draws": self.save_draws,
        }

    def job(self, method: str, seed: int, repeat: int, fold: int) -> Job:
        """Return one job."""
        shown = repeat == 0 and seed == self.seeds[0]
        return Job(
            method,
            seed,
            repeat,
            fold,
            shown,
            self.key(method, seed=seed, repeat=repeat, fold=fold, shown=shown),
        )

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
