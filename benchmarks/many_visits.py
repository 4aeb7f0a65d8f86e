"""How well later visits are predicted from 1, 2, 3, ... irregular past visits, at known years.

    pip install -c constraints.txt ".[bench]"
    python benchmarks/many_visits.py FOLDER           # holds alzheimer.csv and parkinson-putamen.csv
    python benchmarks/many_visits.py                  # the simulated cohort alone

The tables are synthetic cohorts from leaspy (github.com/aramis-lab/leaspy, src/leaspy/datasets/data, Clear
BSD licence): about ten visits of 200 subjects each, values between 0 and 1 that follow logistic curves. The
simulated cohort is a linear world, whose law is known: `oracle` is the best possible. Subjects are held out
by five folds. Printed are RMSE of the mean and CRPS of the draws, averaged over features, in units of the
spread of training visits, in Markdown: by number of past visits, for the same target visits in every
column; and by years from the last past visit, over all numbers of past visits, with the paired difference to the
linear mixed model (95 % interval over subjects).
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.cohort import Cohort, Task, folds, hide
from nextscan.imputers import Imputer, make_imputer
from nextscan.metrics import crps
from nextscan.preprocess import LabelEncoder
from nextscan.reading import read_cohort
from nextscan.simulating import simulate

FloatArray = NDArray[np.float64]
PAST = (1, 2, 3, 4, 5)
WITH_TIME = ("age", "sex")  # labels whose product with time is a fixed effect of the linear mixed model
REFERENCE = "linear mixed model"
HORIZONS = (0.0, 1.0, 2.0, 4.0, 7.0, np.inf)


@dataclass(frozen=True)
class LinearMixedModels:
    """Per feature: labels, time, and time by age and sex fixed, intercept and slope in time random; by statsmodels.

    The law of a new subject's visit is Gaussian, exact given the fitted parameters: random effects and
    measurement noise conditioned on the past visits.
    """

    encoder: LabelEncoder
    columns: NDArray[np.intp]
    spread: FloatArray
    fixed: FloatArray
    random: FloatArray
    noise: FloatArray
    floor: FloatArray

    @classmethod
    def fit(cls, train: Cohort) -> Self:
        """Fit one model per feature by restricted maximum likelihood."""
        from statsmodels.regression.mixed_linear_model import MixedLM

        encoder = LabelEncoder.fit(train.labels_at(first_visits(train)))
        spread = np.nanstd(train.features, axis=0)
        fixed, random, noise = [], [], []
        design, time = cls._designs(encoder, train)
        columns = np.flatnonzero(np.abs(np.linalg.qr(design, mode="r").diagonal()) > 1e-6)  # not of the others' span
        design = design[:, columns]
        for feature, sd in zip(train.features.T, spread, strict=True):
            seen = ~np.isnan(feature)
            model = MixedLM(feature[seen] / sd, design[seen], groups=train.subject_of[seen], exog_re=time[seen])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of variances at zero, which are an answer too
                found = model.fit(reml=True, method=["lbfgs", "powell"])
            fixed.append(found.fe_params)
            random.append(found.cov_re)
            noise.append(found.scale)
        floor = np.where(np.nanmin(train.features, axis=0) >= 0, 0.0, -np.inf)
        return cls(encoder, columns, spread, np.array(fixed), np.array(random), np.array(noise), floor)

    @staticmethod
    def _designs(encoder: LabelEncoder, cohort: Cohort) -> tuple[FloatArray, FloatArray]:
        """Return the columns of fixed and of random effects, a row per visit."""
        labels = encoder.transform(cohort.labels_at(first_visits(cohort)))[cohort.subject_of]
        time = np.column_stack([np.ones(cohort.n_visits), cohort.years])
        products = [labels[:, place] * cohort.years for place, name in enumerate(encoder.names) if name in WITH_TIME]
        return np.column_stack([time, labels, *products]), time

    def impute(self, cohort: Cohort, rows: NDArray[np.intp], n_draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
        """Return draws, shape (n_draws, n_rows, n_features), and means of the visits of known years."""
        design, time = self._designs(self.encoder, cohort)
        expected = design[:, self.columns] @ self.fixed.T
        residual = cohort.features / self.spread - expected
        mean, sd = np.empty((2, cohort.n_visits, cohort.n_features))
        for i in range(cohort.n_subjects):
            visits = np.flatnonzero(cohort.subject_of == i)
            for j, (random, noise) in enumerate(zip(self.random, self.noise, strict=True)):
                seen = visits[~np.isnan(residual[visits, j])]
                gain = random @ time[seen].T
                gain = np.linalg.solve(time[seen] @ gain + noise * np.eye(len(seen)), gain.T).T
                left = random - gain @ time[seen] @ random
                mean[visits, j] = expected[visits, j] + time[visits] @ gain @ residual[seen, j]
                sd[visits, j] = np.sqrt(np.einsum("ij,jk,ik->i", time[visits], left, time[visits]) + noise)
        normal = np.random.default_rng(seed).normal(size=(n_draws, len(rows), cohort.n_features))
        draws = (mean[rows] + sd[rows] * normal) * self.spread
        return np.maximum(draws, self.floor), np.maximum(mean[rows] * self.spread, self.floor)


def first_visits(cohort: Cohort) -> NDArray[np.intp]:
    """Return the row of each subject's first visit."""
    return np.flatnonzero(np.diff(cohort.subject_of, prepend=-1))


def scores(cohort: Cohort, methods: list[str], n_draws: int) -> pd.DataFrame:
    """Score every later visit of held-out subjects: method, past, horizon, number of the visit, squares, crps."""
    found = []
    for split in folds(cohort, 5, validation_fraction=0.0):
        unit = np.nanstd(split.train.features, axis=0)
        models = {
            name: LinearMixedModels.fit(split.train) if name == REFERENCE else make_imputer(name) for name in methods
        }
        for name, model in models.items():
            if not isinstance(model, LinearMixedModels):
                model.fit(split.train)
                print(f"<!-- {name}, fold {split.fold}: {chosen(model.record_)} -->", flush=True)
            for past in PAST:
                task = hide(split.test, past)
                draws, mean = predicted(model, task, n_draws, past)
                number = task.targets.row - first_visits(task.shown)[task.shown.subject_of[task.targets.row]] + 1
                found.append(
                    pd.DataFrame(
                        {
                            "method": name,
                            "subject": task.targets.subject,
                            "past": past,
                            "horizon": task.targets.gap,
                            "number": number,
                            "square": np.nanmean(((mean - task.truth) / unit) ** 2, axis=1),
                            "crps": np.nanmean(crps(task.truth / unit, draws / unit), axis=1),
                        }
                    )
                )
    return pd.concat(found, ignore_index=True)


def chosen(record: dict[str, object]) -> str:
    """Say what a fit chose."""
    words = (f"{key.removeprefix('chosen_')} {value}" for key, value in record.items() if key.startswith("chosen_"))
    return ", ".join(words) or "nothing to choose"


def predicted(model: Imputer | LinearMixedModels, task: Task, n_draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return draws and means of the hidden visits."""
    if isinstance(model, LinearMixedModels):
        return model.impute(task.shown, task.targets.row, n_draws, seed)
    result = model.impute(task.shown, n_draws, seed=seed)
    return np.asarray(result.draws, np.float64), result.mean()


def table(frame: pd.DataFrame, by: str, score: str, title: str) -> str:
    """Return a Markdown table of one score: a row per method, a column per group."""
    grouped = frame.groupby(["method", by], observed=True, sort=False)
    values = np.sqrt(grouped["square"].mean()) if score == "RMSE" else grouped["crps"].mean()
    wide = values.unstack().reindex(frame["method"].unique())
    counts = frame[frame["method"] == frame["method"].iloc[0]].groupby(by, observed=True).size()
    wide = wide[counts.index]
    lines = [f"| {score}, {title} | " + " | ".join(f"{name} (n = {counts[name]:,})" for name in wide.columns) + " |"]
    lines.append("|---|" + "--:|" * wide.shape[1])
    for method, row in wide.iterrows():
        lines.append(f"| {method} | " + " | ".join(f"{value:.4f}" for value in row) + " |")
    return "\n".join(lines)


def differences(frame: pd.DataFrame) -> str:
    """Return a Markdown table of CRPS less that of the reference by horizon: mean over subjects, 95 % interval."""
    of_subject = frame.groupby(["method", "years", "subject"], observed=True)["crps"].mean()
    lines = []
    for method in frame["method"].unique():
        less = (of_subject[method] - of_subject[REFERENCE]).groupby("years", observed=True)
        half = 1.96 * less.sem()
        cells = [f"{mean:+.4f} ± {half[name]:.4f}" for name, mean in less.mean().items()]
        if not lines:
            lines += ["| CRPS less that of the linear mixed model | " + " | ".join(map(str, less.groups)) + " |"]
            lines += ["|---|" + "--:|" * len(cells)]
        if method != REFERENCE:
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(cohort: Cohort, methods: list[str], n_draws: int) -> None:
    """Print the tables of one cohort."""
    print(f"\n## {cohort.name}: {cohort.n_subjects} subjects, {cohort.n_visits:,} visits\n", flush=True)
    frame = scores(cohort, methods, n_draws)
    ends = [f"{low:g} to {high:g} y" for low, high in pairwise(HORIZONS[:-1])]
    frame["years"] = pd.cut(frame["horizon"], HORIZONS, labels=[*ends, f"above {HORIZONS[-2]:g} y"])
    same = frame[frame["number"] > max(PAST)]
    for score in ("RMSE", "CRPS"):
        print("\n" + table(same, "past", score, f"visits after number {max(PAST)}, by past visits"))
    for score in ("RMSE", "CRPS"):
        print("\n" + table(frame, "years", score, "all later visits, by horizon"))
    if REFERENCE in methods:
        print("\n" + differences(frame))


def main() -> None:
    """Print the tables of every cohort."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where alzheimer.csv and parkinson-putamen.csv lie")
    parser.add_argument("--methods", nargs="*", default=["carry-forward", REFERENCE, "mixed-factor"])
    parser.add_argument("--cohorts", nargs="*", default=["alzheimer", "parkinson-putamen", "simulated"])
    parser.add_argument("--draws", type=int, default=200)
    arguments = parser.parse_args()
    for name in arguments.cohorts:
        if name == "simulated":
            world = simulate(n_subjects=600, n_features=20, n_pairs=400, n_visits=8, seed=1)
            report(world, [*arguments.methods, "oracle"], arguments.draws)
        elif arguments.folder is not None:
            report(
                read_cohort(arguments.folder / f"{name}.csv", Path(__file__).with_name("leaspy.toml")),
                arguments.methods,
                arguments.draws,
            )


if __name__ == "__main__":
    main()
