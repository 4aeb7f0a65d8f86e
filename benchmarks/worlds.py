"""How far the baselines lie above the oracle in the simulated worlds, by pairs in training.

    python benchmarks/worlds.py                       # both worlds, 12,000 x 200
    python benchmarks/worlds.py --world linear --pairs 80 240 --seeds 5

The linear world is set so that carry forward lies 25 to 30 % above the oracle's energy score and ridge near
16, 9 and 4.6 % at 80, 240 and 1,160 pairs; the hard world so that the best baseline stays at least 5 % above
it even at 4,000 pairs in training (5,000 before a fifth is held out).
"""

from __future__ import annotations

import argparse

import numpy as np

from nextscan.cohort import Cohort, hide
from nextscan.imputers import BASELINES, make_imputer
from nextscan.metrics import energy_score
from nextscan.simulating import simulate

PAIRS = {"linear": (80, 240, 1160), "hard": (240, 1160, 4000)}


def excess_energy(
    cohort: Cohort,
    *,
    n_train: int,
    n_test: int,
    methods: tuple[str, ...] = BASELINES,
    draws: int = 40,
    seed: int = 0,
) -> dict[str, float]:
    """Return each method's mean energy score over the oracle's, less one.

    Parameters
    ----------
    cohort : Cohort
        Simulated. The last `n_test` paired subjects are scored, the first `n_train` train, together with
        all unpaired ones; the unit of a feature is its spread at their context visits.
    """
    paired = np.flatnonzero(cohort.is_paired)
    task = hide(cohort.select_subjects(paired[-n_test:]))
    train = cohort.select_subjects(np.setdiff1d(np.arange(cohort.n_subjects), paired[n_train:]))
    first = train.select_subjects(train.is_paired)
    unit = first.features[np.flatnonzero(np.diff(first.subject_of, prepend=-1))].std(axis=0, ddof=1)
    scores = {}
    for method in ("oracle", *methods):
        result = make_imputer(method).fit(train).impute(task.shown, draws, seed=seed)
        scores[method] = float(np.mean(energy_score(task.truth / unit, result.draws / unit)))
    return {method: scores[method] / scores["oracle"] - 1 for method in methods}


def main() -> None:
    """Print one table per world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=list(PAIRS), nargs="*", default=list(PAIRS))
    parser.add_argument("--pairs", type=int, nargs="*", help="pairs in training")
    parser.add_argument("--subjects", type=int, default=12_000)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--test", type=int, default=300, help="subjects to score")
    parser.add_argument("--seeds", type=int, default=3, help="cohorts, each of its own world")
    arguments = parser.parse_args()
    for world in arguments.world:
        sizes = arguments.pairs or PAIRS[world]
        table = np.empty((arguments.seeds, len(sizes), len(BASELINES)))
        for seed in range(arguments.seeds):
            cohort = simulate(
                n_subjects=arguments.subjects,
                n_features=arguments.features,
                n_pairs=max(sizes) + arguments.test,
                world=world,
                seed=seed,
            )
            for row, n_train in enumerate(sizes):
                excess = excess_energy(cohort, n_train=n_train, n_test=arguments.test, seed=seed)
                table[seed, row] = [100 * excess[method] for method in BASELINES]
        print(f"\n{world} world, {arguments.subjects:,} x {arguments.features}: % above the oracle (mean, sd of seeds)")
        print(f"{'pairs':>8s}" + "".join(f"{method:>22s}" for method in BASELINES))
        for n_train, rows in zip(sizes, table.swapaxes(0, 1), strict=True):
            cells = zip(rows.mean(axis=0), rows.std(axis=0), strict=True)
            print(f"{n_train:8d}" + "".join(f"{mean:14.1f} ± {sd:5.1f}" for mean, sd in cells))


if __name__ == "__main__":
    main()
