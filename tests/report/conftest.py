"""Make run folders as `nextscan.study.evaluate` leaves them, from a small world whose truth is known."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import film_runs
from image_runs import NAMES, into_images
from nextscan.study.differences import against_best
from nextscan.study.feature_differences import Predicted, feature_differences

METHODS = (
    "secondgram",
    "carry-forward",
    "mean-change",
    "feature-regression",
    "ridge",
    "reliability",
    "oracle",
)
REGIONS = [
    "hippocampus",
    "amygdala",
    "putamen",
    "pallidum",
    "thalamus",
    "caudate",
    "accumbens",
    "substantia-nigra",
    "insula",
    "precuneus",
    "cuneus",
    "fusiform",
    "lingual",
    "entorhinal",
    "parahippocampal",
    "postcentral",
    "precentral",
    "paracentral",
    "supramarginal",
    "temporal-pole",
]
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def feature_names(n: int) -> list[str]:
    """Return n names as FreeSurfer tables have them."""
    kinds = ("volume", "thickness", "area", "curvature")
    names = [f"{side}_{region}_{kind}" for kind in kinds for region in REGIONS for side in ("lh", "rh")]
    return (names + [f"25{i:03d}-mean-intensity" for i in range(max(0, n - len(names)))])[:n]


def make_run(
    folder: Path,
    n_features: int = 12,
    n_subjects: int = 120,
    *,
    methods: tuple[str, ...] = METHODS,
    n_draws: int = 20,
    n_folds: int = 5,
    seed: int = 3,
) -> Path:
    """Write a whole run folder; scores are computed from the predictions it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    names = feature_names(n_features)
    loading = rng.normal(size=(max(3, n_features // 15), n_features)) * np.linspace(1.2, 0.3, n_features)
    stable = rng.normal(size=(n_subjects, len(loading))) @ loading / 2 + 0.5 * rng.normal(size=(n_subjects, n_features))
    stable /= stable.std(axis=0)
    gap = rng.uniform(1, 4.5, n_subjects)
    drift = -0.12 * rng.gamma(2, 0.5, n_features)
    slope = rng.gamma(4, 0.25, n_subjects)
    noise = rng.uniform(0.2, 0.45, n_features)
    expected = stable + drift * (slope * gap)[:, None]
    first = stable + noise * rng.normal(size=stable.shape)
    truth = expected + noise * rng.normal(size=stable.shape)
    kept = 1 / (1 + noise**2)
    means = {
        "carry-forward": first,
        "mean-change": first + (truth - first).mean(axis=0),
        "feature-regression": kept * first + (truth - kept * first).mean(axis=0),
        "ridge": 0.8 * first + 0.3 * rng.normal(size=first.shape) + drift * 2.6,
        "reliability": kept * first,
        "oracle": 0.6 * expected + 0.4 * (kept * first + drift * gap[:, None]),
    }
    centre, unit = np.full(n_features, 2.5), np.full(n_features, 0.15)
    volume = np.array(["volume" in name for name in names])
    centre[volume], unit[volume] = 3600.0, 420.0
    subjects = np.array([f"sub-{i:04d}" for i in range(n_subjects)])
    fold = np.arange(n_subjects) % n_folds
    head = {"fold": fold, "subject": subjects}
    tables = {name: [] for name in ("scores", "subject", "feature", "predictions", "fans", "calibration", "learning")}

    def predictions(kind: str, method: str, z: np.ndarray, visit: str, years: np.ndarray) -> None:
        values = pd.DataFrame((centre + unit * z).astype(np.float32), columns=names)
        told = pd.DataFrame({"method": method, **head, "visit": visit, "years": years, "gap": gap, "kind": kind})
        tables["predictions"].append(pd.concat([told, values], axis=1))

    predictions("context", "", first, "1", np.zeros(n_subjects))
    predictions("truth", "", truth, "2", gap)
    subject_scores, predicted = {}, {}
    for method in methods:
        mean = means.get(method, means["feature-regression"] + 0.12 * rng.normal(size=first.shape))
        residual = (truth - mean) * (0.93 if method not in means else 1.0)
        draws = mean + residual[rng.integers(0, n_subjects, (n_draws, n_subjects))]
        predictions("mean", method, mean, "2", gap)
        predictions("draw", method, draws[0], "2", gap)
        subject_scores[method], crps = score_method(tables, method, truth, first, mean, draws, head, names)
        predicted[method] = Predicted(mean, crps)
        for subject in range(4):
            ends = np.quantile(draws[:, subject], QUANTILES, axis=0, method="weibull")
            fan = pd.DataFrame(centre + unit * ends, columns=names, index=pd.Index(QUANTILES, name="quantile"))
            fan = fan.rename_axis(columns="feature").stack().rename("value").reset_index()
            tables["fans"].append(fan.assign(method=method, subject=subjects[subject], visit="2", years=gap[subject]))
    for neural in [method for method in methods if method not in means]:
        for k in range(n_folds):
            tables["learning"].append(learning_curve(neural, k, rng))
    scores = pd.DataFrame(tables["scores"])
    scores.insert(0, "study", folder.name)
    scores.insert(1, "cohort", "synthetic")
    scores.to_csv(folder / "scores.csv", index=False)
    pd.concat(tables["subject"]).to_parquet(folder / "subject_scores.parquet")
    pd.DataFrame(against_best(subject_scores)).to_csv(folder / "differences.csv", index=False)
    pairs = [(m, against) for against in ("reliability", "oracle") if against in methods for m in methods]
    pairs += [(m, "mixed-factor") for m in ("secondgram", "anchored") if {m, "mixed-factor"} <= set(methods)]
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    rows = feature_differences(truth, first, predicted, pairs, feature_names=names)
    pd.DataFrame(rows).to_csv(folder / "feature_differences.csv", index=False)
    pd.concat(tables["feature"]).to_csv(folder / "feature_scores.csv", index=False)
    pd.concat(tables["predictions"]).to_parquet(folder / "predictions.parquet")
    pd.concat(tables["fans"]).to_parquet(folder / "fans.parquet")
    pd.DataFrame(tables["calibration"]).to_csv(folder / "calibration.csv", index=False)
    if tables["learning"]:
        pd.concat(tables["learning"]).to_csv(folder / "learning.csv", index=False)
    (folder / "run.json").write_text(json.dumps(run_record(methods, n_subjects, n_features, n_folds)))
    return folder


def score_method(tables, method, truth, first, mean, draws, head, names):
    """Append the scores of one method, in units of the first visit, to the tables; return those of subjects."""
    n = len(truth)
    apart = np.linalg.norm(draws - truth, axis=2).mean(axis=0)
    among = sum(np.linalg.norm(draws - np.roll(draws, k, axis=0), axis=2).mean(axis=0) for k in range(1, len(draws)))
    crps_among = sum(np.abs(draws - np.roll(draws, k, axis=0)).mean(axis=0) for k in range(1, len(draws)))
    crps = np.abs(draws - truth).mean(axis=0) - crps_among / (len(draws) - 1) / 2
    per_subject = {
        "energy_score": apart - among / (len(draws) - 1) / 2,
        "crps": crps.mean(axis=1),
        "rmse": np.sqrt(((mean - truth) ** 2).mean(axis=1)),
    }

    def pearson(a, b):
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))

    of_draw = np.mean([pearson(draw, truth) for draw in draws], axis=0)
    change = pearson(mean - first, truth - first)
    tied = np.all(mean == first)
    inside = {level: _covered(draws, truth, level) for level in LEVELS}
    pooled = {
        **{name: (values.mean(), 1.96 * values.std() / n**0.5) for name, values in per_subject.items()},
        "pearson_per_feature": (of_draw.mean(), 0.01),
        "pearson_per_feature_of_mean": (pearson(mean, truth).mean(), 0.008),
        "euclidean": (np.linalg.norm(draws - truth, axis=2).mean() / 4, 0.05),
        "euclidean_of_mean": (np.linalg.norm(mean - truth, axis=1).mean() / 4, 0.05),
        "coverage_80": (inside[0.8].mean(), 0.01),
        "coverage_95": (inside[0.95].mean(), 0.006),
        "sd_ratio": (np.mean(draws[0].std(axis=0) / truth.std(axis=0)), 0.02),
        "change_correlation": (np.nan if tied else change.mean(), np.nan if tied else 0.03),
        "frechet_distance": (float(((mean.mean(axis=0) - truth.mean(axis=0)) ** 2).sum()), 0.02),
        "covariate_correlation_gap": (
            float(np.abs(np.corrcoef(truth.T) - np.corrcoef(draws[0].T)).mean()),
            0.004,
        ),
    }
    for metric, (value, half) in pooled.items():
        row = {
            "method": method,
            "seed": "all",
            "repeat": "all",
            "fold": "all",
            "group": "all",
            "metric": metric,
        }
        tables["scores"].append({**row, "value": value, "low": value - half, "high": value + half, "n": n})
        for k in np.unique(head["fold"]):
            row = {"method": method, "seed": 1, "repeat": 0, "fold": k, "group": "all", "metric": metric}
            told = {"value": value + 0.01 * k, "low": np.nan, "high": np.nan, "n": n // 5}
            tables["scores"].append({**row, **told})
    for group, rows in {"sex=F": slice(0, None, 2), "sex=M": slice(1, None, 2)}.items():
        for name, level in (("coverage_80", 0.8), ("coverage_95", 0.95)):
            value = inside[level][rows].mean()
            row = {
                "method": method,
                "seed": "all",
                "repeat": "all",
                "fold": "all",
                "group": group,
                "metric": name,
            }
            tables["scores"].append({**row, "value": value, "low": value - 0.02, "high": value + 0.02, "n": n // 2})
    for level in LEVELS:
        value = inside[level].mean()
        row = {
            "method": method,
            "level": level,
            "coverage": value,
            "low": value - 0.012,
            "high": value + 0.012,
            "n": n,
        }
        tables["calibration"].append(row)
    long = pd.DataFrame(per_subject).assign(**head, method=method, seed=1, repeat=0, visit="2")
    keys = ["method", "seed", "repeat", "fold", "subject", "visit"]
    tables["subject"].append(long.melt(keys, var_name="metric"))
    per_feature = {
        "rmse": np.sqrt(((mean - truth) ** 2).mean(axis=0)),
        "crps": crps.mean(axis=0),
        "pearson_per_feature_of_mean": pearson(mean, truth),
        "change_correlation": np.full(len(names), np.nan) if tied else change,
    }
    told = pd.DataFrame({"method": method, "feature": names, **per_feature})
    tables["feature"].append(told.melt(["method", "feature"], var_name="metric"))
    return per_subject, crps


def _covered(draws: np.ndarray, truth: np.ndarray, level: float) -> np.ndarray:
    position = (draws < truth).sum(axis=0) + 0.5
    return np.abs(position / (len(draws) + 1) - 0.5) < level / 2


def learning_curve(method: str, fold: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return a plausible learning curve: loss falls, the score flattens, the first steps are skipped most."""
    epoch = np.arange(1, 61)
    return pd.DataFrame(
        {
            "method": method,
            "seed": 1,
            "repeat": 0,
            "fold": fold,
            "epoch": epoch,
            "step": epoch * 12,
            "train_loss": 0.9 * np.exp(-epoch / 12) + 0.22 + 0.01 * rng.normal(size=60),
            "validation_score": -5.2 * np.exp(-epoch / 9) - 4.1 + 0.03 * rng.normal(size=60),
            "skipped": rng.poisson(3 * np.exp(-epoch / 6)),
            "clipped": rng.poisson(6 * np.exp(-epoch / 30)),
            "seconds": epoch * 0.8,
        }
    )


def run_record(methods, n_subjects: int, n_features: int, n_folds: int) -> dict:
    """Return what `run.json` holds."""
    jobs = []
    for method in methods:
        neural = method not in METHODS[1:]
        for fold in range(n_folds):
            record = {"n_pairs": n_subjects * 4 // 5, "n_subjects": n_subjects + 300, "seed": 1}
            if neural:
                record |= {
                    "skipped_fraction": 0.031 + 0.002 * fold,
                    "pool": {
                        "available": 300,
                        "used": fold != 2,
                        "validation_score": {"with": -4.21, "without": -4.38},
                    },
                    "thresholds": [0.3, 1.8],
                }
            told = {"method": method, "seed": 1, "repeat": 0, "fold": fold}
            jobs.append({**told, "seconds_fit": 48.2 if neural else 0.2, "seconds_impute": 1.1, "record": record})
    return {
        "versions": {"nextscan": "0.1.0", "python": "3.11.9", "numpy": "2.3.1", "torch": "2.13.0"},
        "command": "nextscan evaluate synthetic.csv --methods secondgram --folds 5 --out run",
        "machine": {"system": "Linux", "processor": "x86_64", "cpus": 2},
        "settings": {"n_folds": n_folds, "repeats": 1, "draws": 20, "seed": 0, "save_draws": False},
        "requested": [method for method in methods if method not in METHODS[1:]],
        "failed": [],
        "seeds": [1],
        "cohort": {
            "name": "synthetic",
            "source": "synthetic.csv",
            "n_subjects": n_subjects + 300,
            "n_paired": n_subjects,
            "n_visits": 2 * n_subjects + 300,
            "n_features": n_features,
            "simulated": "oracle" in methods,
            "fingerprint": "5f0c2a9d1be04c77a1d2f7c3e7b4a901",
            "notes": ["subject: column sub_id", "years: from age", "excluded by request: eTIV"],
        },
        "started": "2026-01-12T09:30:00+00:00",
        "finished": "2026-01-12T09:36:41+00:00",
        "methods": {
            method: {"epochs": 300, "preset": "default"} if method == "secondgram" else {} for method in methods
        },
        "jobs": jobs,
    }


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a whole run of 7 methods at 12 features; do not change it."""
    return make_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def wide_run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run at 769 features with few subjects and methods; do not change it."""
    some = ("secondgram", "carry-forward", "feature-regression", "oracle")
    return make_run(tmp_path_factory.mktemp("runs") / "wide", 769, 60, methods=some, n_draws=6)


@pytest.fixture(scope="session")
def image_run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of three methods for images, with example subjects; do not change it."""
    return into_images(make_run(tmp_path_factory.mktemp("runs") / "images", 6, 40, methods=tuple(NAMES)))


@pytest.fixture(scope="session")
def film_run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of four methods for films, with films of three subjects; do not change it."""
    return film_runs.into_films(
        make_run(tmp_path_factory.mktemp("runs") / "films", 6, 64, methods=tuple(film_runs.NAMES))
    )


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a maker of small runs, which makes each kind once; do not change them."""

    @functools.cache
    def made(**settings: Any) -> Path:
        folder = tmp_path_factory.mktemp("runs") / "run"
        return make_run(folder, **{"n_features": 5, "n_subjects": 40, **settings})

    return made


@pytest.fixture
def new_run(made_run: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of runs a test may spoil."""
    return lambda **settings: shutil.copytree(made_run(**settings), tmp_path / "run")


@pytest.fixture
def new_film_run(film_run_folder: Path, tmp_path: Path) -> Path:
    """Return a run of films a test may spoil."""
    return shutil.copytree(film_run_folder, tmp_path / "run")


@pytest.fixture
def new_image_run(image_run_folder: Path, tmp_path: Path) -> Path:
    """Return a run of images a test may spoil."""
    return shutil.copytree(image_run_folder, tmp_path / "run")
