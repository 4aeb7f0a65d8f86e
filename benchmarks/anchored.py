"""What `anchored` is worth: against oracle and baselines in simulated worlds and on a real table, part by part.

    python benchmarks/anchored.py linear hard --out bench             # 12,000 x 200; hours on 2 cores, resumes
    python benchmarks/anchored.py ablation --out bench
    python benchmarks/anchored.py real --table LNM_data.csv --exclude EstimatedTotalIntraCranialVol --out bench
    python benchmarks/anchored.py --out bench                         # only print what is there

Four fifths of the stated pairs train, as in a cross-validation of five folds; 400 other subjects are scored, so that
few pairs do not mean few scores. Every fit is a job kept in --out as soon as it is done.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from nextscan.cohort import Cohort, folds, hide, merge
from nextscan.imputers import BASELINES, make_imputer
from nextscan.metrics import crps, energy_score
from nextscan.metrics.distribution import covariate_correlation_gap
from nextscan.reading import read_cohort
from nextscan.simulating import simulate

PAIRS = {"linear": (100, 300, 1440, 5000), "hard": (1440, 5000)}
METHODS = ("oracle", *BASELINES, "anchored", "mixed-factor")
ABLATIONS: dict[str, dict[str, Any]] = {
    "anchored": {},
    "anchor only": {"network": False, "diffusion": False},
    "no companions": {"companions": False},
    "self-conditioning flagged": {"self_conditioning": "flagged"},
    "no self-conditioning": {"self_conditioning": "none"},
    "no flag": {"self_conditioning": "unflagged"},
    "fixed perturbation": {"self_conditioning": "flagged", "perturbation": 0.5},
    "no out-of-fold": {"out_of_fold": False},
    "no whitening": {"whiten": False},
}
N_TEST, DRAWS = 400, 40
CHOSEN = ("n_factors", "n_slopes", "unpaired", "curve")


def unit_of(train: Cohort) -> np.ndarray:
    """Return the spread of each feature at the first visit of paired subjects."""
    paired = train.select_subjects(train.is_paired)
    sd = np.nanstd(paired.features[np.flatnonzero(np.diff(paired.subject_of, prepend=-1))], axis=0, ddof=1)
    return np.where(sd > 0, sd, 1.0)


def score(train: Cohort, test: Cohort, method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit, impute and score one method."""
    task, unit = hide(test), unit_of(train)
    started = time.perf_counter()
    model = make_imputer(method, **settings).fit(train, seed=1)
    fitted = time.perf_counter() - started
    result = model.impute(task.shown, DRAWS, seed=0)
    truth, draws = task.truth / unit, result.draws / unit
    first = result.draws[0] / unit
    covered = {}
    for level in (0.8, 0.95):
        low, high = result.interval(level)
        covered[f"coverage_{level:.0%}"] = float(np.mean((low <= task.truth) & (task.truth <= high)))
    return {
        "energy": energy_score(truth, draws).tolist(),
        "crps": float(np.mean(crps(truth, draws))),
        "sd_ratio": float(first.std(axis=0).mean() / truth.std(axis=0).mean()),
        "truth": truth.tolist() if method == "anchored" and len(truth) < 100 else None,
        "first_draw": first.tolist() if method == "anchored" and len(truth) < 100 else None,
        **covered,
        "fit_seconds": fitted,
        "kept": model.record_.get("kept"),
        "chosen": {name: model.record_.get(f"chosen_{name}") for name in CHOSEN} if method == "anchored" else None,
        "weights": model.record_.get("weights"),
    }


def world_job(world: str, pairs: int, seed: int, row: str, method: str, settings: dict[str, Any], path: Path) -> None:
    """Score one method in one simulated cohort, unless that is done."""
    if path.exists():
        return
    settings = settings or (chosen_beside(path) if method == "mixed-factor" else {})
    n_train = round(0.8 * pairs)
    cohort = simulate(n_subjects=12_000, n_features=200, n_pairs=n_train + N_TEST, world=world, seed=seed)
    paired = np.flatnonzero(cohort.is_paired)
    train = cohort.select_subjects(np.setdiff1d(np.arange(cohort.n_subjects), paired[n_train:]))
    keep(path, score(train, cohort.select_subjects(paired[n_train:]), method, settings) | {"row": row})


def real_job(
    cohort: Cohort, repeat: int, fold: int, row: str, method: str, settings: dict[str, Any], path: Path
) -> None:
    """Score one method on one fold of a real cohort, unless that is done."""
    if path.exists():
        return
    settings = settings or (chosen_beside(path) if method == "mixed-factor" else {})
    for split in folds(cohort, 5, repeats=repeat + 1, seed=0):
        if (split.repeat, split.fold) == (repeat, fold):
            train = merge(split.train, split.validation)
            keep(
                path, score(train, split.test, method, settings) | {"row": row, "subject": split.test.subjects.tolist()}
            )


def chosen_beside(path: Path) -> dict[str, Any]:
    """Return the ranks that `anchored` chose for its mixed-factor model: choosing again would give the same."""
    beside = path.with_name(path.name.replace("mixed-factor", "anchored"))
    return (json.loads(beside.read_text()).get("chosen") or {}) if beside.exists() else {}


def keep(path: Path, result: dict[str, Any]) -> None:
    """Write a result whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(result))
    beside.rename(path)
    print(f"{path.stem}: {np.mean(result['energy']):.3f} in {result['fit_seconds']:.0f} s", flush=True)


def jobs(arguments: argparse.Namespace) -> Iterator[Any]:
    """Yield what was asked for."""
    for what in arguments.what:
        if what in PAIRS:
            for pairs in arguments.pairs or PAIRS[what]:
                for seed in range(arguments.seeds):
                    for method in METHODS:
                        path = arguments.out / what / f"{pairs}-{seed}-{method}.json"
                        yield delayed(world_job)(what, pairs, seed, method, method, {}, path)
        elif what == "ablation":
            for seed in range(arguments.seeds):
                for row, settings in {"oracle": {}, **ABLATIONS}.items():
                    method = "oracle" if row == "oracle" else "anchored"
                    path = arguments.out / what / f"{1440}-{seed}-{row.replace(' ', '_')}.json"
                    yield delayed(world_job)("hard", 1440, seed, row, method, settings, path)
        else:
            cohort = read_cohort(arguments.table, unpaired=tuple(arguments.unpaired), exclude=tuple(arguments.exclude))
            for repeat in range(3):
                for fold in range(5):
                    for method in METHODS[1:]:
                        path = arguments.out / "real" / f"{repeat}-{fold}-{method}.json"
                        yield delayed(real_job)(cohort, repeat, fold, method, method, {}, path)


def read(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return results by case, by row."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        case = "-".join(path.stem.split("-")[:2])
        found[case][result["row"]] = result
    return {case: rows for case, rows in found.items() if "anchored" in rows}


def interval(values: np.ndarray) -> str:
    """Return mean and 95 % interval over independent values."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.3f} ± {half:.3f}"


def print_world(title: str, cases: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Print excess energy, the paired difference to the best other row, and the share of the gap closed."""
    by_pairs: dict[int, list[dict[str, dict[str, Any]]]] = defaultdict(list)
    for case, rows in cases.items():
        by_pairs[int(case.split("-")[0])].append(rows)
    for pairs, seeds in sorted(by_pairs.items()):
        print(f"\n{title}, {pairs:,} pairs before splitting, {len(seeds)} cohorts: energy score above the oracle, %\n")
        print("| row | % above the oracle | anchored less this row, points | coverage 80 / 95 % | fit, s |")
        print("|---|--:|--:|--:|--:|")
        names = [name for name in seeds[0] if name != "oracle" and all(name in rows for rows in seeds)]
        excess = {n: np.array([100 * (mean(rows[n]) / mean(rows["oracle"]) - 1) for rows in seeds]) for n in names}
        for name in sorted(names, key=lambda name: excess[name].mean()):
            paired = np.concatenate(
                [100 * (energy(r["anchored"]) - energy(r[name])) / mean(r["oracle"]) for r in seeds]
            )
            covered = [np.mean([100 * rows[name][f"coverage_{level}"] for rows in seeds]) for level in ("80%", "95%")]
            seconds = np.mean([rows[name]["fit_seconds"] for rows in seeds])
            less = "" if name == "anchored" else interval(paired)
            shown = f"{excess[name].mean():.2f}" + (f" ({excess[name].min():.2f} to {excess[name].max():.2f})")
            print(f"| `{name}` | {shown} | {less} | {covered[0]:.1f} / {covered[1]:.1f} | {seconds:.0f} |")
        others = [name for name in names if name != "anchored"]
        best = min(others, key=lambda name: excess[name].mean())
        closed = np.array([100 * (1 - a / b) for a, b in zip(excess["anchored"], excess[best], strict=True)])
        kept = [", ".join(rows["anchored"]["kept"] or ["nothing"]) for rows in seeds]
        print(
            f"\ngap from `{best}` to the oracle that `anchored` closes: {interval(closed)} %; kept: {'; '.join(kept)}"
        )


def print_real(cases: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Print scores, paired differences over subjects, and how well draws keep correlations."""
    cases = {case: rows for case, rows in cases.items() if set(METHODS[1:]) <= set(rows)}
    print(f"\nReal table, {len(cases)} folds\n")
    print("| row | energy score | anchored less this row | CRPS | sd ratio | fit, s |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in sorted(METHODS[1:], key=lambda name: np.mean([mean(rows[name]) for rows in cases.values()])):
        by_subject: dict[str, list[float]] = defaultdict(list)
        for rows in cases.values():
            for subject, d in zip(rows[name]["subject"], energy(rows["anchored"]) - energy(rows[name]), strict=True):
                by_subject[subject].append(d)
        difference = np.array([np.mean(values) for values in by_subject.values()])
        cells = [np.mean([rows[name][key] for rows in cases.values()]) for key in ("crps", "sd_ratio", "fit_seconds")]
        score_ = np.mean([mean(rows[name]) for rows in cases.values()])
        less = "" if name == "anchored" else interval(difference)
        print(f"| `{name}` | {score_:.3f} | {less} | {cells[0]:.4f} | {cells[1]:.3f} | {cells[2]:.0f} |")
    gaps, own = [], []
    generator = np.random.default_rng(0)
    for repeat in range(3):
        parts = [rows["anchored"] for case, rows in cases.items() if case.startswith(f"{repeat}-")]
        if len(parts) == 5:
            truth, draw = (np.concatenate([part[key] for part in parts]) for key in ("truth", "first_draw"))
            gaps.append(covariate_correlation_gap(truth, draw))
            again = [truth[generator.integers(len(truth), size=len(truth))] for _ in range(20)]
            own += [covariate_correlation_gap(truth, resample) for resample in again]
    if gaps:
        ratio = np.mean(gaps) / np.mean(own)
        print(
            f"\ncovariate correlation gap {np.mean(gaps):.4f}, of bootstrap resamples {np.mean(own):.4f}: {ratio:.2f} x"
        )


def energy(result: dict[str, Any]) -> np.ndarray:
    """Return energy scores of subjects."""
    return np.asarray(result["energy"])


def mean(result: dict[str, Any]) -> float:
    """Return the mean energy score."""
    return float(energy(result).mean())


def main() -> None:
    """Run what was asked for, then print every table there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["linear", "hard", "ablation", "real", []])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--pairs", type=int, nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--unpaired", type=Path, nargs="*", default=[])
    parser.add_argument("--exclude", nargs="*", default=[])
    arguments = parser.parse_args()
    Parallel(n_jobs=arguments.jobs)(jobs(arguments))
    for title in ("linear", "hard", "ablation"):
        cases = read(arguments.out / title)
        if cases:
            print_world("Hard world, parts" if title == "ablation" else f"{title.capitalize()} world", cases)
    if (arguments.out / "real").is_dir():
        print_real(read(arguments.out / "real"))


if __name__ == "__main__":
    main()
