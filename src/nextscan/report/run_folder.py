"""Read the folder `nextscan evaluate` leaves, and say in one line what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.errors import RunFolderError, some
from nextscan.report.films.kept import Clock, KeptFilm, read_films
from nextscan.report.methods import ORACLE, baselines, candidates
from nextscan.report.volumes.examples import AGAIN, VolumeExample, read_examples

Values = NDArray[np.float32]

_KEYS = ["method", "seed", "repeat", "fold"]
_COLUMNS = {
    "scores.csv": [*_KEYS, "group", "metric", "value", "low", "high", "n"],
    "subject_scores.parquet": [*_KEYS, "subject", "visit", "metric", "value"],
    "differences.csv": ["metric", "method", "role", "against", "difference", "low", "high", "n"],
    "feature_differences.csv": ["metric", "feature", "method", "against", "value", "low", "high", "p", "q", "n"],
    "feature_scores.csv": ["method", "feature", "metric", "value"],
    "predictions.parquet": ["method", "fold", "subject", "visit", "years", "gap", "kind"],
    "fans.parquet": ["method", "subject", "visit", "years", "feature", "quantile", "value"],
    "calibration.csv": ["method", "level", "coverage", "low", "high", "n"],
    "learning.csv": [*_KEYS, "epoch", "step", "train_loss", "validation_score", "skipped", "clipped"],
    "frame_scores.csv": ["method", "metric", "frame", "time", "horizon", "value", "low", "high", "n"],
    "curves.parquet": [
        *("method", "subject", "frame", "time", "given", "truth", "value"),
        *(f"q{level}" for level in (0.1, 0.25, 0.5, 0.75, 0.9)),
    ],
}
_NUMBERS = {
    "value", "low", "high", "n", "p", "q", "years", "gap", "quantile", "level", "coverage", "train_loss", "difference",
    "time", "horizon", "truth", "q0.1", "q0.25", "q0.5", "q0.75", "q0.9",
}  # fmt: skip
OVERALL = "all"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted and real follow-ups of the test subjects, one row per target visit, native units.

    Attributes
    ----------
    targets : DataFrame
        subject, visit, years, gap, fold of each target.
    feature_names : tuple of str
    context, truth : ndarray of float32, shape (n_targets, n_features)
        The visit each prediction starts from, and the hidden one; NaN where missing.
    history : DataFrame
        Every visit shown: subject, visit, years; in the order of `history_values`.
    history_values : ndarray of float32, shape (n_shown_visits, n_features)
    """

    targets: pd.DataFrame
    feature_names: tuple[str, ...]
    context: Values
    truth: Values
    history: pd.DataFrame
    history_values: Values
    _rows: dict[tuple[str, str], NDArray[np.intp]]
    _values: Values

    def of(self, kind: str, method: str) -> Values | None:
        """Return "mean" or "draw" of a method, shape (n_targets, n_features), or None if it has none."""
        rows = self._rows.get((kind, method))
        if rows is None:
            return None
        values = np.full(self.truth.shape, np.nan, np.float32)
        values[rows >= 0] = self._values[rows[rows >= 0]]
        return values

    @cached_property
    def real_change(self) -> Values:
        """Real follow-up less context, shape (n_targets, n_features)."""
        change: Values = self.truth - self.context
        return change

    @cached_property
    def mean_change_in_sd(self) -> FloatArray:
        """Mean real change in standard deviations of the context, shape (n_features,); NaN if constant."""
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = _column(np.nanstd, self.context)
            return np.where(sd > 0, _column(np.nanmean, self.real_change) / sd, np.nan)

    def most_changing(self, limit: int) -> list[int]:
        """Return positions of the features with the largest mean change for its spread over subjects."""
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = _column(np.nanstd, self.real_change)
            effect = np.abs(_column(np.nanmean, self.real_change)) / spread
        order = np.argsort(-np.nan_to_num(effect, nan=-1, posinf=-1), kind="stable")
        return [int(i) for i in order[:limit] if np.isfinite(effect[i])]


def _column(function: Callable[..., Any], values: Values) -> FloatArray:
    """Apply a nan-function per column; a column without any value gives NaN, without a warning."""
    result = np.full(values.shape[1], np.nan)
    some_value = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(values.shape[1], bool)
    result[some_value] = function(values[:, some_value], axis=0, dtype=np.float64)
    return result


@dataclass(frozen=True, eq=False)
class Run:
    """What a run folder holds; optional parts are None where their file is missing.

    Attributes
    ----------
    folder : Path
    record : dict
        `run.json`.
    scores : DataFrame
        The pooled rows of `scores.csv` (all folds, repeats and seeds).
    n_single_scores : int
        How many rows of single folds and seeds `scores.csv` holds besides.
    methods : tuple of str
        Best energy score first, the oracle last.
    examples : tuple of VolumeExample, optional
        Images of a few subjects, where the cohort has images.
    films : tuple of KeptFilm, optional
        Films of a few subjects, where the cohort has films.
    frame_scores, curves : DataFrame, optional
        Of films as well.
    individuals : bool
        Whether values of single people may be shown.
    """

    folder: Path
    record: dict[str, Any]
    scores: pd.DataFrame
    n_single_scores: int
    methods: tuple[str, ...]
    subject_scores: pd.DataFrame | None
    feature_scores: pd.DataFrame | None
    predictions: Predictions | None
    fans: pd.DataFrame | None
    calibration: pd.DataFrame | None
    learning: pd.DataFrame | None
    differences: pd.DataFrame | None = None
    feature_differences: pd.DataFrame | None = None
    examples: tuple[VolumeExample, ...] | None = None
    films: tuple[KeptFilm, ...] | None = None
    frame_scores: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    individuals: bool = True

    @property
    def simulated(self) -> bool:
        """Return whether there are no real people in it."""
        return bool(self.cohort.get("simulated"))

    @property
    def cohort(self) -> dict[str, Any]:
        """Return the cohort's part of the record."""
        cohort: dict[str, Any] = self.record["cohort"]
        return cohort

    @property
    def of_images(self) -> bool:
        """Return whether the cohort has images, whose regions are the features."""
        return self.record.get("kind") == "volumes"

    @property
    def of_films(self) -> bool:
        """Return whether the cohort has films, whose volumes at hidden frames are the features."""
        return self.record.get("kind") == "sequences"

    @property
    def clock(self) -> Clock:
        """Return how times of films are told."""
        return Clock.of(self.record.get("period", 1.0), self.record.get("time_unit"))

    def pooled(self, metric: str, group: str = OVERALL) -> pd.DataFrame:
        """Return value, low, high, n of a metric, one row per method that has one, indexed by method."""
        rows = self.scores[(self.scores["metric"] == metric) & (self.scores["group"] == group)]
        return rows.set_index("method")[["value", "low", "high", "n"]].reindex(
            [method for method in self.methods if method in set(rows["method"])]
        )

    def of_features(self, metric: str, method: str = "", against: str = "") -> pd.DataFrame | None:
        """Return value, low, high, q, n of `feature_differences.csv`, indexed by feature; None if not there."""
        table = self.feature_differences
        if table is None:
            return None
        rows = table[(table["metric"] == metric) & (table["method"] == method) & (table["against"] == against)]
        return rows.set_index("feature")[["value", "low", "high", "q", "n"]] if len(rows) else None


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    RunFolderError
        If the folder, `run.json` or `scores.csv` is missing, or any file cannot be read as what it is.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: no such folder; give the --out folder of `nextscan evaluate`")
    record = _read_record(folder / "run.json")
    scores = _read_table(folder / "scores.csv")
    if scores is None:
        raise RunFolderError(f"{folder / 'scores.csv'}: not found; the run has not finished: {AGAIN}")
    for column in ("seed", "repeat", "fold", "group"):
        scores[column] = scores[column].fillna(OVERALL).astype(str)
    whole = (scores[["seed", "repeat", "fold"]] == "all").all(axis=1)
    if not whole.any():
        raise RunFolderError(f"{folder / 'scores.csv'}: holds no rows pooled over folds and seeds: {AGAIN}")
    pooled = scores[whole].reset_index(drop=True)
    twice = pooled.duplicated(["method", "group", "metric"])
    if twice.any():
        row = pooled[twice].iloc[0]
        raise RunFolderError(
            f"{folder / 'scores.csv'}: {row['metric']} of {row['method']} stands twice (group {row['group']}): {AGAIN}"
        )
    return Run(
        folder=folder,
        record=record,
        scores=pooled,
        n_single_scores=int((~whole).sum()),
        methods=_by_energy(pooled),
        subject_scores=_read_table(folder / "subject_scores.parquet"),
        differences=_read_table(folder / "differences.csv"),
        feature_scores=_read_table(folder / "feature_scores.csv"),
        feature_differences=_read_feature_differences(folder / "feature_differences.csv"),
        predictions=_read_predictions(folder / "predictions.parquet"),
        fans=_read_table(folder / "fans.parquet"),
        calibration=_read_table(folder / "calibration.csv"),
        learning=_read_table(folder / "learning.csv"),
        examples=read_examples(folder),
        films=read_films(folder),
        frame_scores=_read_table(folder / "frame_scores.csv"),
        curves=_read_table(folder / "curves.parquet"),
    )


def _by_energy(pooled: pd.DataFrame) -> tuple[str, ...]:
    rows = pooled[(pooled["metric"] == "energy_score") & (pooled["group"] == OVERALL)]
    energy = rows.set_index("method")["value"].to_dict()
    methods = list(dict.fromkeys(pooled["method"]))

    def rank(method: str) -> tuple[bool, bool, float]:
        value = energy.get(method, np.nan)
        return method == ORACLE, not np.isfinite(value), value if np.isfinite(value) else 0.0

    return tuple(sorted(methods, key=rank))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(f"{path}: not found; {path.parent} is not the folder of an evaluation") from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: cannot be read ({error}): {AGAIN}") from error
    if not isinstance(record, dict) or not isinstance(record.get("cohort"), dict):
        raise RunFolderError(f"{path}: does not hold the record of a run (no cohort in it): {AGAIN}")
    return record


def _read_table(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        frame = (
            pd.read_csv(path, keep_default_na=False, na_values=[""]) if path.suffix == ".csv" else pd.read_parquet(path)
        )
    except (OSError, ValueError) as error:  # pyarrow's and pandas' parser errors are ValueErrors
        raise RunFolderError(f"{path}: cannot be read ({str(error).splitlines()[0]}): {AGAIN}") from error
    lacking = [column for column in _COLUMNS[path.name] if column not in frame.columns]
    if lacking:
        raise RunFolderError(f"{path}: lacks column {some(lacking)}: {AGAIN}")
    for column in _NUMBERS.intersection(_COLUMNS[path.name]):
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[column]):
            raise RunFolderError(f"{path}: column {column} holds something that is not a number: {AGAIN}")
    return frame


def _read_feature_differences(path: Path) -> pd.DataFrame | None:
    frame = _read_table(path)
    if frame is None:
        return None
    for column in ("feature", "method", "against"):  # a column of empty cells is read as numbers
        frame[column] = frame[column].astype(object).where(frame[column].notna(), "").astype(str)
    return frame


def _read_predictions(path: Path) -> Predictions | None:
    frame = _read_table(path)
    if frame is None:
        return None
    head = frame[_COLUMNS[path.name]].reset_index(drop=True)
    names = tuple(str(name) for name in frame.columns if name not in head.columns)
    try:
        values = frame[list(names)].to_numpy(np.float32)
    except ValueError as error:
        raise RunFolderError(f"{path}: a feature holds text, not numbers ({error}): {AGAIN}") from error
    del frame
    head["method"] = head["method"].fillna("")
    head["subject"], head["visit"] = head["subject"].astype(str), head["visit"].astype(str)
    real = head[head["kind"] == "truth"]
    shown = head[head["kind"] == "context"].sort_values("years", kind="stable")
    if real.empty or shown.empty or not set(real["subject"]) <= set(shown["subject"]):
        raise RunFolderError(f"{path}: lacks the context or the true visit of some subject: {AGAIN}")
    last = shown.groupby("subject").tail(1)
    context = pd.Series(last.index, index=last["subject"])[real["subject"]].to_numpy()
    position = pd.MultiIndex.from_frame(real[["subject", "visit"]])
    if position.has_duplicates:
        subject, visit = position[position.duplicated()][0]
        raise RunFolderError(f"{path}: the true visit {visit} of subject {subject} stands twice: {AGAIN}")
    rows: dict[tuple[str, str], NDArray[np.intp]] = {}
    predicted = head[head["kind"].isin(("mean", "draw"))]
    for (kind, method), part_rows in predicted.groupby(["kind", "method"]):
        found = position.get_indexer(pd.MultiIndex.from_frame(part_rows[["subject", "visit"]]))
        at = np.full(len(real), -1, np.intp)
        at[found[found >= 0]] = part_rows.index.to_numpy()[found >= 0]
        rows[str(kind), str(method)] = at
    return Predictions(
        targets=real[["subject", "visit", "years", "gap", "fold"]].reset_index(drop=True),
        feature_names=names,
        context=values[context],
        truth=values[real.index],
        history=shown[["subject", "visit", "years"]].reset_index(drop=True),
        history_values=values[shown.index],
        _rows=rows,
        _values=values,
    )


def featured(run: Run, *, limit: int = 3) -> list[str]:
    """Return the methods worth a figure of their own: those that are no baseline, then the best baseline."""
    ours = candidates(run.methods)[:limit]
    return ours + baselines(run.methods)[: max(1, 2 - len(ours))]
