"""How often prediction intervals hold the truth, overall and in groups, in the simulated worlds.

    python benchmarks/coverage.py                                       # both worlds, 2,000 x 40, 600 pairs
    python benchmarks/coverage.py --world hard --methods mixed-factor --by sex

Every pair is in the test set of one of two folds; conformal intervals are calibrated on the training pairs
of the fold. Groups are those of the report: sex, diagnosis, thirds of age and of the gap, of 100 test subjects
or more. Chance alone moves the coverage of the smallest group by about a percentage point.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort, Imputation, folds, hide
from nextscan.imputers import make_imputer
from nextscan.simulating import simulate
from nextscan.study.groups import groups_of

LEVELS = (0.8, 0.95)
DRAWS, CONFORMAL = "draws", "conformal"
SETTINGS: dict[str, dict[str, object]] = {  # what it chooses here; choosing again in each of 12 fits takes minutes
    "mixed-factor": {"n_factors": 20, "n_slopes": 5, "unpaired": "use"}
}


def covered(truth: NDArray[np.float64], made: Imputation, level: float, kind: str) -> NDArray[np.float64]:
    """Return the share of features inside the interval, one per target; `kind` may name a label to group by."""
    if kind == DRAWS:
        low, high = made.interval(level)
    else:
        low, high = made.interval(level, CONFORMAL, by=None if kind == CONFORMAL else kind.rpartition(" ")[2])
    return ((low <= truth) & (truth <= high)).mean(axis=1)


def shares(cohort: Cohort, method: str, kinds: list[str], *, seed: int) -> dict[tuple[str, float], NDArray[np.float64]]:
    """Return the share of features covered, one per subject of `hide(cohort)`, by kind of interval and level."""
    position = {name: i for i, name in enumerate(hide(cohort).targets.subject)}
    found = {(kind, level): np.full(len(position), np.nan) for kind in kinds for level in LEVELS}
    for split in folds(cohort, 2, seed=seed):
        task = hide(split.test)
        model = make_imputer(method, **SETTINGS.get(method, {})).fit(split.train, split.validation, seed=seed)
        if kinds != [DRAWS] and model.calibration_ is None:
            model.calibrate(split.train, split.validation, seed=seed)
        made = model.impute(task.shown, 40, seed=seed)
        rows = [position[name] for name in task.targets.subject]
        for kind, level in found:
            found[kind, level][rows] = covered(task.truth, made, level, kind)
    return found


def main() -> None:
    """Print a Markdown table per world: a row per method, kind of interval and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=["linear", "hard"], nargs="*", default=["linear", "hard"])
    parser.add_argument("--methods", nargs="*", default=["reliability", "ridge", "mixed-factor", "anchored"])
    parser.add_argument("--by", nargs="*", default=["sex", "age", "gap"], help="labels to calibrate by, one at a time")
    parser.add_argument("--subjects", type=int, default=2000)
    parser.add_argument("--features", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for world in arguments.world:
        cohort = simulate(
            n_subjects=arguments.subjects,
            n_features=arguments.features,
            n_pairs=arguments.pairs,
            world=world,
            seed=arguments.seed,
        )
        groups = groups_of(hide(cohort))
        kinds = [DRAWS, CONFORMAL, *(f"{CONFORMAL} by {label}" for label in arguments.by)]
        print(
            f"\n{world} world, {arguments.subjects:,} x {arguments.features}, {arguments.pairs} pairs: coverage in %\n"
        )
        names = [f"{group.name} (n = {group.member.sum()})" for group in groups]
        print("| " + " | ".join(["method", "interval", "level", "all", "worst group: off by", *names]) + " |")
        print("|---|---|--:|--:|---|" + "--:|" * len(names))
        for method in arguments.methods:
            for (kind, level), share in shares(cohort, method, kinds, seed=arguments.seed).items():
                each = np.array([share[group.member].mean() for group in groups])
                worst = int(np.abs(each - level).argmax())
                cells = [f"`{method}`", kind, f"{100 * level:.0f}", f"{100 * share.mean():.1f}"]
                cells += [f"{groups[worst].name}: {100 * (each[worst] - level):+.1f}"]
                print("| " + " | ".join([*cells, *(f"{100 * value:.1f}" for value in each)]) + " |", flush=True)


if __name__ == "__main__":
    main()
