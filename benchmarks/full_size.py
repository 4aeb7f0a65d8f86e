"""How long `anchored` takes at the size of UK Biobank, and how much memory.

    python benchmarks/full_size.py                       # half an hour on 2 cores

The world is `hard`, where networks are kept: where nothing is kept, imputing is quicker.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from nextscan.imputers import make_imputer
from nextscan.simulating import simulate


def main() -> None:
    """Simulate, fit, impute, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="anchored")
    parser.add_argument("--subjects", type=int, default=41_706)
    parser.add_argument("--features", type=int, default=769)
    parser.add_argument("--pairs", type=int, default=4_997)
    parser.add_argument("--imputed", type=int, default=4_000, help="people to impute, 10 draws each")
    arguments = parser.parse_args()
    cohort = simulate(
        n_subjects=arguments.subjects, n_features=arguments.features, n_pairs=arguments.pairs, world="hard", seed=0
    )
    started = time.perf_counter()
    model = make_imputer(arguments.method).fit(cohort, seed=1)
    seconds, kept = time.perf_counter() - started, model.record_.get("kept")
    print(f"fit: {seconds:.0f} s, {peak():.1f} GiB; kept: {kept}", flush=True)
    single = np.flatnonzero(~cohort.is_paired)[: arguments.imputed]
    started = time.perf_counter()
    model.impute(cohort.select_subjects(single), 10, at_years=[2.0])
    print(f"impute {len(single):,} x 10 draws: {time.perf_counter() - started:.0f} s, {peak():.1f} GiB")


def peak() -> float:
    """Return the largest memory so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
