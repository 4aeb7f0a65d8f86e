"""Compare nextscan's training loop with a plain one, side by side in one run, and with the machine's limit.

    python benchmarks/training_speed.py                  full size, three epochs of each, about 5 minutes
    python benchmarks/training_speed.py --quality        adds time to quality: the plain loop for 60 epochs
    python benchmarks/training_speed.py --seeds          adds eight seeds at once against eight runs

Prints JSON at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from plain_loop import PlainLoop

from nextscan import Secondgram
from nextscan.cohort import Cohort, folds, pairs
from nextscan.imputers.secondgram.encoding import Encoding
from nextscan.imputers.secondgram.training import PairProblem
from nextscan.metrics import energy_score
from nextscan.networks import FeatureUNet
from nextscan.networks.layers import Linear
from nextscan.preprocess import context_rows
from nextscan.simulating import simulate
from nextscan.training import ClipAndSkip, TrainingSettings, train


def matrix_rate(dtype: torch.dtype = torch.float32, n: int = 2048) -> float:
    """Return the machine's rate of a square matrix product, operations per second (median of 15)."""
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    times = []
    for _ in range(15):
        started = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - started)
    return 2 * n**3 / median(times)


def operations(network: FeatureUNet, n_examples: int) -> float:
    """Return the floating-point operations of the matrix products of one pass over the examples.

    Forward, gradient of the weight, and gradient of the input where something before it learns.
    """
    total = 0
    for name, module in network.named_modules():
        if isinstance(module, Linear):
            leaf = name in ("level_mlp.first", "condition_mlp.first")
            total += 2 * module.weight[0].numel() * (2 if leaf else 3)
    return float(total * n_examples)


class TrainingOnly:
    """A problem without validation, to time the training steps alone."""

    def __init__(self, problem: PairProblem) -> None:
        self.problem, self.loss, self.n_examples = problem, problem.loss, problem.n_examples

    def validation_score(self, network: FeatureUNet) -> torch.Tensor:
        """Score nothing."""
        return torch.zeros(len(next(network.parameters())))


def new_network(encoding: Encoding, seeds: list[int]) -> FeatureUNet:
    """Return the network of the released code for these data."""
    n = encoding.offset.shape[1]
    return FeatureUNet(n, n + encoding.n_extra, generators=[torch.Generator().manual_seed(seed) for seed in seeds])


def epoch_seconds(problem: PairProblem | TrainingOnly, encoding: Encoding, seeds: list[int]) -> float:
    """Train a new network for one epoch and return its seconds."""
    settings = TrainingSettings(epochs=1, policy=ClipAndSkip(0.3, 1.8))
    return float(train(new_network(encoding, seeds), problem, settings, seeds=seeds).history[0]["seconds"])


def plain_subjects(cohort: Cohort, encoding: Encoding) -> list[tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]]:
    """Return the cohort as a list of triples, first visits first."""
    follow_up = {int(c): int(t) for c, t in zip(pairs(cohort).context, pairs(cohort).target, strict=True)}
    rows = context_rows(cohort)
    first = torch.from_numpy(encoding.scaled(cohort.features[rows], 0))
    labels = torch.from_numpy(encoding.extra(cohort.labels_at(rows), np.full(len(rows), np.nan)))
    second = torch.from_numpy(encoding.scaled(cohort.features[list(follow_up.values())], 1))
    place = {row: i for i, row in enumerate(follow_up)}
    return [(first[i], second[place[int(row)]] if int(row) in place else None, labels[i]) for i, row in enumerate(rows)]


def plain_energy(loop: PlainLoop, encoding: Encoding, task: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    """Return the energy score of 10 draws of the plain loop's network on the validation pairs."""
    truth, centre, unit = task
    first = torch.stack([s[0] for s in loop.validation])
    labels = torch.stack([s[2] for s in loop.validation])
    state = torch.get_rng_state()
    made = torch.stack([loop.sample(first, labels) for _ in range(10)]).numpy()
    torch.set_rng_state(state)
    draws = encoding.native(made, first.numpy())
    return float(energy_score((truth - centre) / unit, (draws - centre) / unit).mean())


def time_to_quality(train_set: Cohort, validation: Cohort, encoding: Encoding, plain: PlainLoop, epochs: int) -> dict:
    """Train the plain loop, then `default` until it reaches the plain loop's best validation energy score."""
    found = pairs(validation)
    first = train_set.features[pairs(train_set).context]
    task = (validation.features[found.target], first.mean(0), first.std(0))
    seconds, best = 0.0, (np.inf, 0.0, 0)
    for epoch in range(1, epochs + 1):
        seconds += sum(plain.epoch()[:2])
        if epoch % 5 == 0 or epoch == 1:
            best = min(best, (plain_energy(plain, encoding, task), seconds, epoch))
            print(f"plain epoch {epoch}: {seconds:.0f} s, best energy score {best[0]:.3f}", flush=True)
    reached: list[tuple[float, float]] = []
    for n_epochs in (1, 2, 4):
        started = time.perf_counter()
        model = Secondgram(epochs=n_epochs, unpaired="ignore").fit(train_set, validation, seed=1)
        elapsed = time.perf_counter() - started
        shown = validation.select_subjects(validation.is_paired)
        features = shown.features.copy()
        features[pairs(shown).target] = np.nan
        draws = model.impute(replace(shown, features=features), 10, seed=1).draws
        score = float(energy_score((task[0] - task[1]) / task[2], (draws - task[1]) / task[2]).mean())
        reached.append((score, elapsed))
        print(f"default, {n_epochs} epochs: {elapsed:.0f} s, energy score {score:.3f}", flush=True)
        if score <= best[0]:
            break
    return {
        "plain_epochs": epochs,
        "plain_seconds": seconds,
        "plain_best_energy_score": best[0],
        "plain_best_at_seconds": best[1],
        "default_energy_score": reached[-1][0],
        "default_seconds": reached[-1][1],
        "default_share_of_plain_time": reached[-1][1] / best[1],
    }


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=41_706)
    parser.add_argument("--features", type=int, default=769)
    parser.add_argument("--pairs", type=int, default=4_997)
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each loop, in turn")
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--seeds", action="store_true")
    chosen = parser.parse_args()
    cohort = simulate(n_subjects=chosen.subjects, n_features=chosen.features, n_pairs=chosen.pairs)
    split = next(iter(folds(cohort, 5)))
    settings = Secondgram(preset="paper", attention=False, per_visit_scale=False, sampling_steps=99)
    encoding = Encoding.fit(split.train, settings.settings)
    problem = PairProblem.make(
        settings._process(), encoding, split.train, split.validation, use_unpaired=True, device=torch.device("cpu")
    )
    validation = [s for s in plain_subjects(split.validation, encoding) if s[1] is not None]
    plain = PlainLoop(plain_subjects(split.train, encoding), validation, new_network(encoding, [0]))
    network = new_network(encoding, [0])
    work = operations(network, problem.n_examples)
    out: dict[str, object] = {
        "threads": torch.get_num_threads(),
        "examples": problem.n_examples,
        "validation_pairs": len(validation),
        "parameters": sum(p.numel() for p in network.parameters()),
        "operations_per_epoch": work,
        "bfloat16_over_float32": matrix_rate(torch.bfloat16) / matrix_rate(),
    }
    rows = []
    for _ in range(chosen.epochs):
        theirs = plain.epoch()
        rate = matrix_rate()
        ours = epoch_seconds(problem, encoding, [0])
        only = epoch_seconds(TrainingOnly(problem), encoding, [0])
        rate = (rate + matrix_rate()) / 2
        rows.append((theirs[0], theirs[1], ours, only, rate, (theirs[0] + theirs[1]) / ours, work / only / rate))
        print(
            "plain {:.1f} + {:.1f} s, ours {:.1f} s (training {:.1f}), ratio {:.2f}".format(*rows[-1][:4], rows[-1][5])
        )
    names = (
        "plain_training_seconds",
        "plain_validation_seconds",
        "seconds",
        "training_seconds",
        "matrix_rate",
        "plain_over_ours",
        "fraction_of_matrix_rate",
    )
    out |= {name: median(row[i] for row in rows) for i, name in enumerate(names)}
    if chosen.seeds:
        small = PairProblem.make(
            settings._process(),
            encoding,
            split.train.select_subjects(split.train.is_paired),
            split.validation,
            use_unpaired=False,
            device=torch.device("cpu"),
        )
        alone = sum(epoch_seconds(small, encoding, [seed]) for seed in range(8))
        at_once = epoch_seconds(small, encoding, list(range(8)))
        out |= {"eight_runs_seconds": alone, "eight_at_once_seconds": at_once, "saved": 1 - at_once / alone}
    if chosen.quality:
        plain = PlainLoop(plain_subjects(split.train, encoding), validation, new_network(encoding, [1]), seed=1)
        out |= time_to_quality(split.train, split.validation, encoding, plain, 60)
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
