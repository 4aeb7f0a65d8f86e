"""How the run came about, for the person who has to repeat or review it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from nextscan.report.methods import part, title
from nextscan.report.page import (
    Block,
    Cell,
    Column,
    Definitions,
    Fact,
    Facts,
    Fold,
    Notice,
    Section,
    Table,
    number_cell,
)
from nextscan.report.run_folder import Run
from nextscan.wording import NONE, capital, count, decimals, duration, number, percent


def record(run: Run) -> Section:
    """Return the section on settings, versions, seeds, times, choices made and failures."""
    told = run.record
    jobs = [job for job in told.get("jobs", ()) if isinstance(job, dict)]
    blocks: list[Block] = [
        Notice(
            f"{capital(title(str(failure.get('method'))))} failed (repeat {failure.get('repeat')}, fold "
            f"{failure.get('fold')}) and is left out: {failure.get('error')}"
        )
        for failure in told.get("failed", ())
    ]
    if not told.get("finished"):
        blocks.append(Notice("The run is not marked as finished: numbers may be those of an earlier call."))
    blocks.append(Facts(_facts(told, jobs)))
    if jobs:
        blocks.append(_methods(run, jobs))
    settings = dict(told.get("settings", {})) | {"training seeds": told.get("seeds", [])}
    blocks.append(
        Definitions(
            [
                ("Command", str(told.get("command") or "called from Python")),
                ("Settings", _pairs(settings)),
                ("Versions", _pairs(told.get("versions", {}))),
                *([("Machine", _pairs(told["machine"]))] if told.get("machine") else []),
                ("Fingerprint of the cohort", str(run.cohort.get("fingerprint", NONE))),
                ("Started, finished", f"{told.get('started', NONE)}, {told.get('finished') or NONE}"),
                (
                    "More numbers",
                    f"scores.csv also holds {count(run.n_single_scores)} rows of single folds and seeds",
                ),
            ]
        )
    )
    settings_of = [
        (capital(title(method)), _pairs(parameters))
        for method, parameters in told.get("methods", {}).items()
        if parameters
    ]
    if settings_of:
        blocks.append(Fold("Settings of each method", [Definitions(settings_of)]))
    if jobs:
        blocks.append(Fold(f"All {count(len(jobs))} fits", [_jobs(jobs)]))
    return Section("record", "Run record", blocks)


def _facts(told: Mapping[str, Any], jobs: list[dict[str, Any]]) -> list[Fact]:
    facts = []
    try:
        began, ended = (datetime.fromisoformat(str(told.get(key))) for key in ("started", "finished"))
        facts.append(Fact("Last call", duration((ended - began).total_seconds())))
    except ValueError:
        pass
    fit = sum(_known(job.get("seconds_fit") for job in jobs))
    impute = sum(_known(job.get("seconds_impute") for job in jobs))
    settings = told.get("settings", {})
    facts += [
        Fact("Fits", count(len(jobs)), f"{duration(fit)} fitting, {duration(impute)} imputing"),
        Fact("Folds", str(settings.get("n_folds", NONE)), f"repeated {settings.get('repeats', NONE)}×"),
        Fact("Draws per visit", str(settings.get("draws", NONE)), "the same for every method"),
        Fact("Training seeds", count(len(told.get("seeds", ())))),
    ]
    return facts


def _methods(run: Run, jobs: list[dict[str, Any]]) -> Table:
    columns = [
        Column("Method", numeric=False),
        Column("Fits"),
        Column("Seconds per fit"),
        Column("Seconds to impute"),
        Column("Pairs to learn from"),
        Column("Steps skipped", hint="Steps whose gradient was too large, mean over fits"),
        Column("Subjects without a follow-up", numeric=False, hint="Whether the unpaired pool was used, and why"),
    ]
    rows = []
    for method in run.methods:
        own = [job for job in jobs if job.get("method") == method]
        if not own:
            continue
        records = [job.get("record", {}) for job in own]
        skipped = _mean(record.get("skipped_fraction") for record in records)
        told, why = _pool(records)
        rows.append(
            [
                Cell(capital(title(method)), detail=part(method)),
                Cell(count(len(own)), sort=float(len(own))),
                *(_seconds(own, key) for key in ("seconds_fit", "seconds_impute")),
                number_cell(_mean(record.get("n_pairs") for record in records), 0),
                Cell(percent(skipped), sort=skipped) if np.isfinite(skipped) else Cell(NONE),
                Cell(told, detail=why),
            ]
        )
    return Table("Cost and choices, mean over fits", columns, rows, name="methods")


def _pool(records: list[dict[str, Any]]) -> tuple[str, str]:
    """Say how often the pool of unpaired subjects was used, and the scores that decided."""
    pools = [record["pool"] for record in records if isinstance(record.get("pool"), dict)]
    if not pools:
        return NONE, ""
    if not any(pool.get("available") for pool in pools):
        return "none there", ""
    used = sum(bool(pool.get("used")) for pool in pools)
    told = f"used in {used} of {len(pools)} fits" if 0 < used < len(pools) else "used" if used else "not used"
    for name in ("validation_score", "energy_score"):
        means = {
            side: _mean(pool[name].get(side) for pool in pools if isinstance(pool.get(name), dict))
            for side in ("with", "without")
        }
        if all(np.isfinite(value) for value in means.values()):
            words = name.replace("_", " ") if name == "validation_score" else "held-out energy score"
            places = decimals(means.values(), significant=4)
            return told, f"{words} {number(means['with'], places)} with, {number(means['without'], places)} without"
    return told, "as set" if used in (0, len(pools)) else ""


def _jobs(jobs: list[dict[str, Any]]) -> Table:
    columns = [Column("Method", numeric=False), Column("Seed"), Column("Repeat"), Column("Fold")]
    columns += [Column("Seconds to fit"), Column("Seconds to impute"), Column("Record", numeric=False)]
    rows = []
    for job in jobs:
        known = {
            name: value
            for name, value in job.get("record", {}).items()
            if name not in ("settings", "learning", "seed") and not isinstance(value, list | dict)
        }
        rows.append(
            [
                Cell(str(job.get("method"))),
                *(Cell(str(job.get(key)), sort=_sortable(job.get(key))) for key in ("seed", "repeat", "fold")),
                *(_seconds([job], key) for key in ("seconds_fit", "seconds_impute")),
                Cell(_pairs(known)),
            ]
        )
    return Table("Every fit", columns, rows, shown=15)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in values.items()) or NONE


def _word(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unset"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _known(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | float)]


def _mean(values: Iterable[Any]) -> float:
    known = _known(values)
    return float(np.mean(known)) if known else float("nan")


def _seconds(jobs: list[dict[str, Any]], key: str) -> Cell:
    return number_cell(_mean(job.get(key) for job in jobs))


def _sortable(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
