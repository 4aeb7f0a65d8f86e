"""Tables of a study of films: scores frame by frame, and what measuring volumes costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nextscan import metrics
from nextscan.arrays import FloatArray
from nextscan.errors import NextscanError
from nextscan.study.plan import Plan
from nextscan.study.pooling import ALL, subject_rows
from nextscan.study.sequences.films import Films
from nextscan.study.sequences.jobs import averaged, ef_correlation, frames_path
from nextscan.study.sequences.scoring import FRAME_SCORES, curve_scores, curves_of, volume_scores

MEASURING = "segmenter"
"""The row of what measures volumes, in the real frames: no method, but what is left if images were perfect."""

COLUMNS = ("method", "metric", "frame", "time", "horizon", "n_before", "value", "low", "high", "n")

Row = dict[str, Any]


def frame_rows(plan: Plan, methods: Iterable[str], films: Films, folder: Path) -> Iterator[Row]:
    """Yield the rows of ``frame_scores.csv``: each score of each method at each hidden frame.

    ``time``, ``horizon`` (from the nearest frame shown) and ``n_before`` (frames since the last one shown) are averages
    over subjects where these differ. Scores are averaged over repeats and seeds; intervals are a bootstrap over
    subjects.
    """
    for method in methods:
        found = []
        for job in (plan.job(method, s, r, f) for s in plan.seeds_of(method) for r in range(plan.repeats)
                    for f in range(plan.n_folds)):  # fmt: skip
            path = frames_path(folder, job)
            try:
                found.append(pd.read_parquet(path))
            except (OSError, ValueError) as error:
                raise NextscanError(f"{path}: cannot be read; evaluate again in an empty folder") from error
        yield from _rows(method, pd.concat(found, ignore_index=True), plan.seed)
    yield from _rows(MEASURING, _measured(plan, films)[1], plan.seed)


def measuring_rows(plan: Plan, films: Films) -> list[Row]:
    """Return the rows of ``scores.csv`` of what measures, in the real hidden frames of people held out."""
    scores, _ = _measured(plan, films)
    known = {name: values for name, values in scores.items() if not np.isnan(values).all()}
    return subject_rows({"method": MEASURING, "seed": ALL, "repeat": ALL, "fold": ALL}, known, plan.seed)


def _rows(method: str, table: pd.DataFrame, seed: int) -> Iterator[Row]:
    table = table.dropna(subset="value")
    if table.empty:
        return
    where = table.groupby("frame")[["time", "horizon", "n_before"]].mean()
    values = table.groupby(["subject", "metric", "frame"], sort=False)["value"].mean().unstack(["metric", "frame"])
    low, high = metrics.percentile_interval(metrics.resampled_means(values.to_numpy(np.float64), seed=seed))
    known = values.notna().sum().to_numpy()
    ends = {
        column: numbers
        for column, *numbers in zip(values.columns, values.mean().to_numpy(), low, high, known, strict=True)
    }
    order = where.sort_values("time", kind="stable").index
    for name in FRAME_SCORES:
        for frame in order:
            if (name, frame) in ends:
                value, lower, upper, n = ends[name, frame]
                row = (method, name, frame, *where.loc[frame], value, lower, upper, int(n))
                yield dict(zip(COLUMNS, row, strict=True))


def _measured(plan: Plan, films: Films) -> tuple[dict[str, FloatArray], pd.DataFrame]:
    """Score the volumes measured in real frames as if they were predicted: per subject, and per frame."""
    of_repeats, tables = [], []
    for repeat in range(plan.repeats):
        volumes, likeness = films.held_out(repeat)
        scores, truths, said = [], [], []
        for subject, one in films.courses.items():
            measured = volumes[one.rows]
            curves = curves_of(films, one, measured, measured[None, ~one.given], measured[~one.given])
            frames = [
                {name: told[name] for name in ("volume_error", "volume_bias", "muscle_error")}
                | {"dice_cavity": float(alike)}
                for told, alike in zip(volume_scores(films, one, curves), likeness[one.rows[~one.given]], strict=True)
            ]
            ef = {name: curve_scores(films, one, measured, curves)[name] for name in ("ef_error", "ef_bias")}
            scores.append(averaged(frames) | ef)
            truths.append(float(films.ejection(one, films.truth[one.rows, films.cavity])))
            said.append(float(np.median(curves.ef)))
            for k, told in zip(np.flatnonzero(~one.given), frames, strict=True):
                place = {"subject": subject, "frame": str(films.cohort.visits[one.rows[k]])}
                place |= {"time": films.cohort.years[one.rows[k]], "horizon": one.horizon[k]}
                place |= {"n_before": one.n_before[k]}
                tables += [place | {"metric": name, "value": value} for name, value in told.items()]
        names = dict.fromkeys(name for told in scores for name in told)
        found = {name: np.array([told.get(name, np.nan) for told in scores]) for name in names}
        found["ef_correlation"] = ef_correlation(np.array(truths), np.array(said))
        of_repeats.append(found)
    return {name: np.mean([of[name] for of in of_repeats], axis=0) for name in of_repeats[0]}, pd.DataFrame(tables)
