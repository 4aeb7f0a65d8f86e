"""Whether to use a method: what it beats, what was kept of it, and what follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from nextscan.report.comparison import Difference, against
from nextscan.report.methods import CARRY_FORWARD, COPY_SOURCE, baselines, candidates, part, title
from nextscan.report.run_folder import Run
from nextscan.wording import capital, count, decimals, interval, listed, number, percent

MIXED_FACTOR = "mixed-factor"
VERBS = {"lower": "beats", "tied": "is not clearly different from", "higher": "loses to"}


def closed_form(run: Run) -> list[str]:
    """Return the baselines and `mixed-factor`, best energy score first."""
    return [method for method in run.methods if part(method) == "baseline" or method == MIXED_FACTOR]


def whether(run: Run) -> list[str]:
    """Return a paragraph for each method under test; one for the best baseline if there is none."""
    ours = candidates(run.methods) or closed_form(run)[:1]
    return [paragraph for method in ours if (paragraph := _case(run, method))]


def _case(run: Run, method: str) -> str:
    simple = [other for other in closed_form(run) if other != method]
    best = baselines(simple)[:1]
    named = [CARRY_FORWARD, COPY_SOURCE, *best, *([MIXED_FACTOR] if MIXED_FACTOR in simple else [])]
    found = {
        other: difference
        for other in dict.fromkeys(named)
        if other != method and (difference := against(run, "energy_score", method, other)) is not None
        if difference.outcome in VERBS
    }
    if not found:
        return ""
    said = [_compared(other, difference, best=other in best) for other, difference in found.items()]
    n = max(difference.n for difference in found.values())
    over = f"(energy score, paired 95% intervals over {count(n)} subjects)"
    sentences = [f"{capital(title(method))} {listed(said)} {over}.", *_kept(run, method)]
    advice = _advice(method, found, [other for other in simple if other in found])
    return Markup("{} <strong>{}</strong>").format(" ".join(sentences), advice)


def _compared(other: str, difference: Difference, *, best: bool) -> str:
    name = f"the best baseline, {title(other)}," if best else title(other)
    verb, value, low, high = VERBS[difference.outcome], difference.value, difference.low, difference.high
    if difference.outcome == "lower":
        value, low, high = -value, -high, -low
    by = "by " if difference.outcome != "tied" else ""
    return f"{verb} {name} {by}{percent(value)} ({interval(100 * low, 100 * high, 1)})"


def _advice(method: str, found: Mapping[str, Difference], simple: list[str]) -> str:
    """Return the consequence; `simple` are the rivals, best first."""
    carried = found.get(CARRY_FORWARD) or found.get(COPY_SOURCE)
    better = [other for other in simple if found[other].outcome == "higher"]
    as_good = [other for other in simple if found[other].outcome == "tied"]
    if better:
        return f"Use {title(better[0])} instead: it predicts better and is simpler."
    if carried is not None and carried.outcome == "tied":
        return "Do not use it: carrying the last scan forward does as well."
    if as_good and part(method) == "method":
        return f"It may be used, but {title(as_good[0])}, which is simpler, does as well."
    if as_good:
        return f"It may be used; {title(as_good[0])} does as well."
    return "Use it: its lead over all of these is beyond chance."


def _kept(run: Run, method: str) -> list[str]:
    """Say what was added to a method's anchor, if its records tell."""
    records = [
        job["record"]
        for job in run.record.get("jobs", ())
        if isinstance(job, dict) and job.get("method") == method and isinstance(job.get("record"), dict)
    ]
    records = [record for record in records if isinstance(record.get("kept"), list)]
    if not records:
        return []
    said = []
    weights = _means((record.get("weights") for record in records), len(records))
    if weights:
        parts = [f"{title(name)} {percent(weight, 0)}" for name, weight in weights.items() if weight > 0.005]
        said.append(f"Its closed-form anchor is {listed(parts)}.")
    n = len(records)
    stages = dict.fromkeys(str(stage) for record in records for stage in record["kept"])
    if stages:
        times = [f"{stage} in {sum(stage in record['kept'] for record in records)} of {n} fits" for stage in stages]
        said.append(f"Added to the anchor, because held-out subjects proved a gain: {listed(times)}.")
    if "diffusion" not in stages:
        said.append("The diffusion was kept in no fit: the anchor stood.")
    gains = _gains(records)
    if gains:
        said.append(f"Mean held-out gain in energy score: {listed(gains)}.")
    return said


def _gains(records: list[dict[str, Any]]) -> list[str]:
    """Return stage, mean gain and mean standard error of each stage."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        gain = record.get("gain")
        for stage, told in gain.items() if isinstance(gain, dict) else ():
            if isinstance(told, dict) and isinstance(told.get("gain"), int | float):
                error = told.get("se")
                known = float(error) if isinstance(error, int | float) else np.nan
                found.setdefault(str(stage), []).append((float(told["gain"]), known))
    said = []
    for stage, pairs in found.items():
        value, error = np.mean(pairs, axis=0)
        places = decimals([abs(value), error if np.isfinite(error) else 0.0], significant=2)
        ends = f" (standard error of one fit {number(float(error), places)})" if np.isfinite(error) else ""
        said.append(f"{stage} {number(float(value), places)}{ends}")
    return said


def _means(parts: Iterable[Any], n: int) -> dict[str, float]:
    """Average numbers by name over n fits; a name that is absent counts as zero."""
    total: dict[str, float] = {}
    for told in parts:
        for name, value in told.items() if isinstance(told, dict) else ():
            if isinstance(value, int | float):
                total[str(name)] = total.get(str(name), 0.0) + float(value) / n
    return dict(sorted(total.items(), key=lambda item: -item[1]))
