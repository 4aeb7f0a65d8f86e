"""Films of hearts: a few side by side, volumes over the beat, ejection fractions, and errors by distance in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.report.figures.films import Beat, Ejected, Horizon, beats, ejection, horizon_errors
from nextscan.report.figures.style import SOFT, WIDTH, Look, to_svg
from nextscan.report.films.player import Curve, player
from nextscan.report.methods import COPY_NEAREST, ORACLE, SEGMENTER, baselines, candidates, title, titled_looks
from nextscan.report.page import Block, Notice, Picture, Section
from nextscan.report.people import ASK
from nextscan.report.run_folder import Run
from nextscan.wording import capital, count, listed, number

LEAST = 20
"""People in a group: the average over fewer would tell too much of each."""

_LEAD = (
    "Some frames of each heart were shown to the methods, all others were hidden and imputed. A mean over draws is "
    "smoother than any real image; one draw looks like one."
)
_EF = "ef"
_FILMS, _METHODS, _GROUPS = 3, 6, 5
_BINS = 10  # of distances in time
_SCORES = {"volume_error": "error of the cavity, mL", "nrmse_heart": "NRMSE inside the heart"}
_WIDE, _MIDDLE = ("q0.1", "q0.9"), ("q0.25", "q0.75")


def films(run: Run) -> Section | None:
    """Return the section on films, or None where the cohort has none."""
    if not run.of_films:
        return None
    blocks: list[Block] = []
    if not run.individuals:
        blocks.append(Notice(f"Films and curves are those of single people. {ASK}", "missing"))
    else:
        blocks += [_player(run), *_fans(run)]
    blocks += [_ejection(run), *_horizons(run)]
    return Section("films", "The films", blocks, lead=_LEAD)


def shown_methods(run: Run) -> list[str]:
    """Return the methods that figures have room for: those under test, a copy, the best other baselines, the oracle."""
    ours, simple = candidates(run.methods)[:3], baselines(run.methods)
    plain = [method for method in simple if method != COPY_NEAREST]
    last = [method for method in (COPY_NEAREST, ORACLE) if method in run.methods]
    return [*ours, *plain[: max(1, _METHODS - len(ours) - len(last))], *last]


def _looks(run: Run) -> dict[str, Look]:
    return titled_looks([method for method in run.methods if method != SEGMENTER]) | {
        title(SEGMENTER): Look(SOFT, (0, (1, 2)), ".")
    }


# -- films ------------------------------------------------------------------------------------------


def _player(run: Run) -> Block:
    if not run.films:
        return Notice("Films are missing: films/index.json lists none in the run folder.", "missing")
    there = {method for film in run.films for method in film.predicted}
    methods = [method for method in shown_methods(run) if method in there]
    methods += [method for method in sorted(there - set(methods)) if not methods]
    curves = {
        (beat.subject, method): Curve(beat.truth, beat.value, *beat.bands[0])
        for method in methods
        for beat in curves_of(run, method)
    }
    made = player(run.films[:_FILMS], {method: title(method) for method in methods}, curves=curves)
    return made or Notice("No method has an imputed film among those kept.", "missing")


# -- curves -----------------------------------------------------------------------------------------


def curves_of(run: Run, method: str) -> list[Beat]:
    """Return the curves of the chosen subjects as a method imputes them, in the order of the films."""
    if run.curves is None:
        return []
    table = run.curves[(run.curves["method"] == method) & (run.curves["frame"] != _EF)]
    found = {}
    for subject, rows in table.groupby("subject", sort=False):
        rows = rows.sort_values("time", kind="stable")
        time = rows["time"].to_numpy(float)
        if not np.isfinite(time).all():
            continue
        value = rows["value"].to_numpy(float)
        bands = [
            np.stack([np.where(rows["given"], value, rows[end].to_numpy(float)) for end in ends])
            for ends in (_WIDE, _MIDDLE)
        ]
        found[str(subject)] = Beat(
            subject=str(subject),
            time=run.clock.told(time - time[0]),
            given=rows["given"].to_numpy(bool),
            truth=rows["truth"].to_numpy(float),
            value=value,
            bands=bands,
        )
    order = [film.subject for film in run.films or () if film.subject in found]
    return [found[subject] for subject in [*order, *(name for name in found if name not in order)]]


def _fans(run: Run) -> Iterator[Block]:
    if run.curves is None:
        yield Notice("Curves of volumes are missing: curves.parquet is not in the run folder.", "missing")
        return
    there = set(run.curves.loc[run.curves["frame"] != _EF, "method"])
    ranked = [method for method in [*candidates(run.methods), *baselines(run.methods)] if method in there]
    simple = [method for method in baselines(ranked[1:]) if method != COPY_NEAREST]
    rows = {title(method): curves_of(run, method)[:_FILMS] for method in [*ranked[:1], *simple[:1]]}
    rows = {name: row for name, row in rows.items() if row}
    if not rows:
        yield Notice("Curves of volumes are missing: curves.parquet holds none with known times.", "missing")
        return
    people = [beat.subject for beat in next(iter(rows.values()))]
    yield Picture(
        to_svg(beats(rows, looks=_looks(run), clock=run.clock), "beats"),
        alt=f"Volume of the left chamber over time of {listed(people)}, as imputed by {listed(list(rows))}.",
        caption=(
            f"Volume of the left chamber over time, as imputed by {listed(list(rows))}: the mean, and the middle "
            "50% and 80% of the draws. Filled points are frames that were given, open ones the true volumes of hidden "
            "frames. Volumes are measured in the images, given frames as well."
        ),
    )


# -- ejection fractions -----------------------------------------------------------------------------


def ejected(run: Run, method: str) -> Ejected | None:
    """Return the ejection fractions of all test subjects: median and 80 % interval of the draws."""
    assert run.curves is not None
    table = run.curves[(run.curves["method"] == method) & (run.curves["frame"] == _EF)]
    columns = [table[name].to_numpy(float) for name in ("truth", "q0.5", *_WIDE)]
    known = np.isfinite(columns).all(axis=0)
    if not known.any():
        return None
    real, predicted, low, high = (column[known] for column in columns)
    error = float(np.abs(predicted - real).mean())
    words = f"error {number(error, 1)} points"
    if len(real) > 2 and real.std() > 0 and predicted.std() > 0:
        words += f", correlation {number(float(np.corrcoef(real, predicted)[0, 1]), 2)}"
    return Ejected(real, predicted, low, high, words)


def grouped(one: Ejected) -> Ejected | None:
    """Average over groups of at least `LEAST` people with similar predictions; None where there are too few."""
    groups = min(_GROUPS, len(one.real) // LEAST)
    if not groups:
        return None
    parts = np.array_split(np.argsort(one.predicted, kind="stable"), groups)
    real = np.array([one.real[part].mean() for part in parts])
    half = np.array([1.96 * one.real[part].std(ddof=1) / len(part) ** 0.5 for part in parts])
    predicted = np.array([one.predicted[part].mean() for part in parts])
    return Ejected(real, predicted, real - half, real + half, one.words)


def _ejection(run: Run) -> Block:
    if run.curves is None:
        return Notice("Ejection fractions are missing: curves.parquet is not in the run folder.", "missing")
    found = {title(method): one for method in shown_methods(run) if (one := ejected(run, method)) is not None}
    if not found:
        return Notice("Ejection fractions are missing: curves.parquet holds none that are known.", "missing")
    told = "; ".join(f"{name} {one.words}" for name, one in found.items())
    n = count(max(len(one.real) for one in found.values()))
    if run.individuals:
        return Picture(
            to_svg(ejection(found, looks=_looks(run)), "ejection"),
            alt=f"Predicted against real ejection fraction of {n} test subjects: {told}.",
            caption=(
                f"Ejection fraction of {n} test subjects: the median over draws and the middle 80% of them, each draw "
                "with the fraction of its own whole curve. On the dashed line prediction and reality are the same."
            ),
        )
    averaged = {name: group for name, one in found.items() if (group := grouped(one)) is not None}
    if not averaged:
        return Notice(
            f"Ejection fractions are not shown: there are fewer than {LEAST} people to average over.", "missing"
        )
    return Picture(
        to_svg(ejection(averaged, looks=_looks(run), grouped=True), "ejection"),
        alt=f"Real against predicted ejection fraction, averages over groups of {n} test subjects: {told}.",
        caption=(
            f"Ejection fraction of {n} test subjects in groups with similar predictions, each of at least {LEAST} "
            "people: what was predicted for them on average, and what was real, with its 95% interval. On the dashed "
            "line predictions are right on average. Error and correlation are those over all people."
        ),
    )


# -- errors by distance in time ---------------------------------------------------------------------


def horizons(run: Run, score: str, method: str) -> Horizon | None:
    """Return the errors of a method by time from the nearest given frame, frames of like distance averaged.

    Ends of intervals are averaged as well, which is at least as wide as the interval of the average.
    """
    assert run.frame_scores is not None
    table = run.frame_scores
    rows = table[(table["method"] == method) & (table["metric"] == score)].dropna(subset=["horizon", "value"])
    if rows.empty:
        return None
    apart = run.clock.told(rows["horizon"].to_numpy(float))
    where = apart.round(1) if run.clock.period else apart
    if len(np.unique(where)) > _BINS:  # people with films of different lengths, or many frames
        where = np.ceil(_BINS * apart / apart.max() - 1e-9)
    averaged = [_weighted(rows.assign(apart=apart)[where == at]) for at in np.unique(where)]
    return Horizon(*np.array(averaged).T)


def _weighted(rows: pd.DataFrame) -> FloatArray:
    """Average over frames, each counting for as many subjects as it has."""
    columns = rows[["apart", "value", "low", "high"]].to_numpy(float)
    averaged: FloatArray = np.average(columns, axis=0, weights=rows["n"].to_numpy(float))
    return averaged


def _horizons(run: Run) -> Iterator[Block]:
    if run.frame_scores is None:
        yield Notice("Errors by distance in time are missing: frame_scores.csv is not in the run folder.", "missing")
        return
    methods = [*shown_methods(run), SEGMENTER]
    panels = {
        label: {title(method): line for method in methods if (line := horizons(run, score, method)) is not None}
        for score, label in _SCORES.items()
    }
    panels = {label: lines for label, lines in panels.items() if lines}
    if not panels:
        yield Notice("Errors by distance in time are missing: frame_scores.csv holds none.", "missing")
        return
    strong = [title(method) for method in (methods[0], COPY_NEAREST)]
    looks, unit = _looks(run), run.clock.label
    drawn = [horizon_errors(panels, looks=looks, strong=strong, unit=unit, width=width) for width in (WIDTH, 4.4)]
    yield Picture(
        to_svg(drawn[0], "horizons"),
        narrow=to_svg(drawn[1], "horizons-narrow"),
        alt=_told(panels, unit),
        caption=(
            "Errors of the predictive mean in hidden frames, against their time from the nearest given "
            f"frame. {capital(title(COPY_NEAREST))} is the reference: what changes makes its error. Bands are 95% "
            "intervals over subjects, of the strong lines; the segmenter’s line is what measuring alone costs, in real "
            "frames."
        ),
    )


def _told(panels: Mapping[str, Mapping[str, Horizon]], unit: str) -> str:
    label, lines = next(iter(panels.items()))
    ends = [f"{name} {number(line.value[0])} to {number(line.value[-1])}" for name, line in lines.items()]
    near, far = (next(iter(lines.values())).time[k] for k in (0, -1))
    return f"{capital(label)}, from {number(near)} to {number(far)} {unit} away: {'; '.join(ends)}."
