"""The training loop: any network, any loss, R replicas side by side, exact resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nextscan.errors import SettingError, TrainingError, some
from nextscan.randomness import bits
from nextscan.training.checkpoint import read_checkpoint, write_checkpoint
from nextscan.training.gradient_policy import GradientPolicy, Plain
from nextscan.training.optimiser import ReplicaAdam

Progress = Callable[[Mapping[str, Any]], None]


class Problem(Protocol):
    """What a network learns: examples, a loss, and a score on validation subjects."""

    @property
    def n_examples(self) -> int:
        """Number of examples in an epoch."""
        ...

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each example, shape (R, B), for example indices of shape (R, B).

        Randomness of replica r comes from generator r only.
        """
        ...

    def validation_score(self, network: Any) -> Tensor:
        """Return one score per replica, shape (R,); higher is better."""
        ...


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    epochs : int
        At most this many passes over the data.
    batch_size : int
    learning_rate : float
    weight_decay : float
        Of matrices; see `ReplicaAdam`.
    patience : int
        Stop a replica after this many epochs without a better validation score.
    average : float, optional
        Decay of an exponential moving average of the parameters, which is then validated and kept.
    policy : GradientPolicy
    checkpoint_seconds : float
        Write a checkpoint after an epoch once this much time has gone by since the last.
    """

    epochs: int = 300
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    patience: int = 50
    average: float | None = None
    policy: GradientPolicy = field(default_factory=Plain)
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise SettingError(f"learning_rate must be positive, got {self.learning_rate:g}")
        if self.average is not None and not 0 <= self.average < 1:
            raise SettingError(f"average must be in [0, 1), got {self.average:g}")


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What training found, per replica.

    Attributes
    ----------
    best : dict of name to Tensor, shape (R, ...)
        Parameters with the best validation score.
    best_score : ndarray, shape (R,)
    best_epoch : ndarray of int, shape (R,)
        0 where no epoch beat the untrained network.
    thresholds : ndarray, shape (2, R)
    history : list of dict
        One per epoch: epoch, step, seconds, and per replica train_loss, validation_score, skipped, clipped.
    """

    best: dict[str, Tensor]
    best_score: np.ndarray
    best_epoch: np.ndarray
    thresholds: np.ndarray
    history: list[dict[str, Any]]

    def learning(self, replica: int) -> list[dict[str, Any]]:
        """Return the history of one replica, up to the epoch at which it stopped."""
        return [
            {key: value[replica] if isinstance(value, list) else value for key, value in row.items() if key != "active"}
            for row in self.history
            if row["active"][replica]
        ]

    def skipped_fraction(self, replica: int) -> float:
        """Return the fraction of steps skipped."""
        rows = self.learning(replica)
        return sum(row["skipped"] for row in rows) / max(1, sum(row["steps"] for row in rows))


def train(
    network: nn.Module,
    problem: Problem,
    settings: TrainingSettings,
    *,
    seeds: Sequence[int],
    fingerprint: str = "",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train R replicas, one per seed; replica r is what the run with its seed alone would give.

    Parameters
    ----------
    network : Module
        Parameters have a leading axis of length R.
    problem : Problem
    settings : TrainingSettings
    seeds : sequence of int
        One per replica; shuffles and noise of replica r depend on seed r, the epoch and nothing else.
    fingerprint : str
        Names data and settings; a checkpoint with another fingerprint is an error.
    checkpoint : path, optional
        File for the state of training. If it exists, training resumes there, bit for bit.
    progress : callable, optional
        Gets ``{"phase": "estimate" | "training" | "done", "epoch", "epochs", "seconds",
        "remaining_seconds", "train_loss", "validation_score", "skipped"}``.

    Raises
    ------
    TrainingError
        If every step of an epoch is skipped or not finite for some replica.
    """
    run = _Run(network, problem, settings, seeds, progress)
    if checkpoint is not None and checkpoint.exists():
        run.restore(*read_checkpoint(checkpoint, fingerprint))
    else:
        run.prepare()
    saved_at = time.monotonic()
    while run.epoch < settings.epochs and bool(run.active.any()):
        run.one_epoch()
        due = time.monotonic() - saved_at >= settings.checkpoint_seconds
        finished = run.epoch == settings.epochs or not bool(run.active.any())
        if checkpoint is not None and (due or finished):
            write_checkpoint(checkpoint, fingerprint, *run.state())
            saved_at = time.monotonic()
    run.report("done", remaining=0.0)
    return TrainingResult(
        best={name: tensor.clone() for name, tensor in run.best.items()},
        best_score=run.best_score.cpu().numpy(),
        best_epoch=run.best_epoch.cpu().numpy(),
        thresholds=run.thresholds.cpu().numpy(),
        history=run.history,
    )


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        network: nn.Module,
        problem: Problem,
        settings: TrainingSettings,
        seeds: Sequence[int],
        progress: Progress | None,
    ) -> None:
        self.network, self.problem, self.settings = network, problem, settings
        self.seeds, self.progress = list(seeds), progress
        self.named = dict(network.named_parameters())
        first = next(iter(self.named.values()))
        self.device = first.device
        replicas = len(self.seeds)
        wrong = [name for name, p in self.named.items() if len(p) != replicas]
        if wrong:
            raise SettingError(f"{replicas} seeds, but the replica axis of {some(wrong)} has another length")
        self.optimiser = ReplicaAdam(
            list(self.named.values()), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        # With averaging, validation sees the average; otherwise `kept` is the parameters themselves.
        self.kept = self._copy() if settings.average is not None else self.named
        self.best = self._copy()
        self.best_score = torch.full((replicas,), -torch.inf, dtype=torch.float64)
        self.best_epoch = torch.zeros(replicas, dtype=torch.long)
        self.active = torch.ones(replicas, dtype=torch.bool)
        self.thresholds = torch.full((2, replicas), torch.inf, dtype=first.dtype, device=self.device)
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.n_steps = -(-problem.n_examples // settings.batch_size)
        if not problem.n_examples:
            raise TrainingError("there is no example to train on")

    def _copy(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.named.items()}

    def _generators(self, purpose: int) -> list[torch.Generator]:
        """Return fresh generators of this epoch, so that a resumed epoch repeats the interrupted one."""
        chosen = []
        for seed in self.seeds:
            key = bits(np.array([seed], np.int64), self.epoch, purpose)
            chosen.append(torch.Generator(self.device).manual_seed(int(key[0]) & (2**63 - 1)))
        return chosen

    def _batches(self, generators: Sequence[torch.Generator]) -> Sequence[Tensor]:
        n = self.problem.n_examples
        order = torch.stack([torch.randperm(n, generator=g, device=self.device) for g in generators])
        return order.split(self.settings.batch_size, dim=1)

    def _gradient(self, examples: Tensor, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        self.network.zero_grad(set_to_none=True)
        loss = self.problem.loss(self.network, examples, generators).mean(dim=1)
        loss.sum().backward()  # replicas share no parameter, so each gets the gradient of its own mean
        return loss.detach(), self.optimiser.norms()

    def prepare(self) -> None:
        """Score the untrained network, find thresholds, estimate how long training can take."""
        self._validate()
        started = time.monotonic()
        generators = self._generators(purpose=1)
        batches = self._batches(generators)
        if not self.settings.policy.needs_preliminary_pass:
            batches = batches[:2]
        norms = torch.stack([self._gradient(examples, generators)[1] for examples in batches])
        self.thresholds = self.settings.policy.thresholds(norms).clone()
        per_step = (time.monotonic() - started) / len(batches)
        started = time.monotonic()
        self._score()
        per_epoch = per_step * self.n_steps + time.monotonic() - started
        self.report("estimate", remaining=per_epoch * self.settings.epochs)

    def one_epoch(self) -> None:
        """Make one pass over the data, validate, keep the best."""
        started = time.monotonic()
        self.epoch += 1
        generators = self._generators(purpose=0)
        replicas = len(self.seeds)
        total = torch.zeros(replicas, device=self.device, dtype=torch.float64)
        skipped = torch.zeros(replicas, device=self.device, dtype=torch.long)
        clipped = torch.zeros(replicas, device=self.device, dtype=torch.long)
        stopped = ~self.active.to(self.device)
        for step, examples in enumerate(self._batches(generators), start=(self.epoch - 1) * self.n_steps):
            loss, norms = self._gradient(examples, generators)
            decision = self.settings.policy.decide(norms, self.thresholds)
            skipped += decision.skip
            clipped += decision.clipped
            total += torch.where(decision.skip, 0.0, loss)
            self.optimiser.step(decision._replace(skip=decision.skip | stopped))
            self._average(step)
        self._check(skipped)
        taken = (self.n_steps - skipped).clamp(min=1)
        active = self.active.clone()
        scores = self._validate()
        elapsed = time.monotonic() - started
        self.seconds += elapsed
        row = {
            "epoch": self.epoch,
            "step": self.epoch * self.n_steps,
            "steps": self.n_steps,
            "seconds": self.seconds,
            "active": active.tolist(),
            "train_loss": (total / taken).tolist(),
            "validation_score": scores.tolist(),
            "skipped": skipped.tolist(),
            "clipped": clipped.tolist(),
        }
        self.history.append(row)
        self.report("training", remaining=self.seconds / self.epoch * (self.settings.epochs - self.epoch))

    @torch.no_grad()
    def _average(self, step: int) -> None:
        if self.settings.average is not None:
            # Early averages would remember the initial weights for long; the decay grows into its value.
            decay = min(self.settings.average, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.kept.values()), list(self.named.values()), 1 - decay)

    def _check(self, skipped: Tensor) -> None:
        hopeless = (skipped.cpu() == self.n_steps) & self.active
        if hopeless.any():
            seeds = [seed for seed, bad in zip(self.seeds, hopeless.tolist(), strict=True) if bad]
            raise TrainingError(
                f"epoch {self.epoch}: all {self.n_steps} steps were skipped for seed {some(seeds)}; the loss "
                "is not finite or the skip threshold is too low: check the features, or lower the learning rate"
            )

    @torch.no_grad()
    def _score(self) -> Tensor:
        if self.kept is self.named:
            return self.problem.validation_score(self.network).double().cpu()
        trained = self._copy()
        self._put(self.kept)
        scores = self.problem.validation_score(self.network).double().cpu()
        self._put(trained)
        return scores

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.named.items():
            parameter.copy_(values[name])

    @torch.no_grad()
    def _validate(self) -> Tensor:
        scores = self._score()
        better = self.active & (scores > self.best_score)
        for name, value in self.kept.items():
            for replica in better.nonzero().flatten().tolist():
                self.best[name][replica] = value[replica]
        self.best_score = torch.where(better, scores, self.best_score)
        self.best_epoch = torch.where(better, self.epoch, self.best_epoch)
        self.active = self.active & (self.epoch - self.best_epoch < self.settings.patience)
        return scores

    def report(self, phase: str, *, remaining: float) -> None:
        """Tell the progress callback where training stands."""
        if self.progress is None:
            return
        last = self.history[-1] if self.history else {}
        self.progress(
            {
                "phase": phase,
                "epoch": self.epoch,
                "epochs": self.settings.epochs,
                "seconds": self.seconds,
                "remaining_seconds": remaining,
                **{
                    key: float(np.mean(last[key]))
                    for key in ("train_loss", "validation_score", "skipped")
                    if key in last
                },
            }
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything a later process needs to go on: tensors and a JSON document."""
        tensors = {f"network.{name}": p.detach() for name, p in self.named.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"optimiser.{name}": tensor for name, tensor in self.optimiser.state().items()}
        if self.kept is not self.named:
            tensors |= {f"kept.{name}": tensor for name, tensor in self.kept.items()}
        for name in ("best_score", "best_epoch", "active", "thresholds"):
            tensors[name] = getattr(self, name)
        return tensors, {"epoch": self.epoch, "seconds": self.seconds, "history": self.history}

    def restore(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Take the state back."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimiser": {}, "kept": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            if part in parts:
                parts[part][name] = tensor.to(self.device)
        self._put(parts["network"])
        self.optimiser.restore(parts["optimiser"])
        self.best = {name: parts["best"][name] for name in self.named}
        if self.kept is not self.named:
            self.kept = {name: parts["kept"][name] for name in self.named}
        for name in ("best_score", "best_epoch", "active"):
            setattr(self, name, tensors[name])
        self.thresholds = tensors["thresholds"].to(self.device)
        self.epoch, self.seconds, self.history = (
            document["epoch"],
            document["seconds"],
            list(document["history"]),
        )


def settings_document(settings: TrainingSettings) -> dict[str, Any]:
    """Return settings as plain values, for run records and fingerprints."""
    document = asdict(settings)
    document["policy"] = {"kind": type(settings.policy).__name__, **document["policy"]}
    return document
