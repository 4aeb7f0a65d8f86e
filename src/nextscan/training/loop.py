"""The training loop: any network, any loss, R replicas side by side or many processes, exact resume."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from nextscan.arrays import Progress
from nextscan.errors import SettingError, TrainingError, some
from nextscan.training.batches import Batch, Batches
from nextscan.training.checkpoint import read_checkpoint, write_checkpoint
from nextscan.training.optimiser import ReplicaAdam
from nextscan.training.problem import Problem, TrainingResult
from nextscan.training.processes import Processes, together
from nextscan.training.settings import TrainingSettings


def train(
    network: nn.Module,
    problem: Problem,
    settings: TrainingSettings,
    *,
    seeds: Sequence[int],
    replicas: bool = True,
    fingerprint: str = "",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train R replicas, one per seed; replica r is what the run with its seed alone would give.

    A network without a replica axis is the case R = 1. Under ``torchrun`` several processes train such
    a network together: each step's examples are shared out, gradients are reduced before the policy
    sees their norm, process 0 validates, writes the checkpoint and reports, and every process returns
    the same result. How many there are changes the result by rounding only.

    Parameters
    ----------
    network : Module
        Parameters that require a gradient have a leading axis of length R, or `replicas` is False.
        Running statistics are refused: they are not parameters, and would escape averages and checkpoints.
    problem : Problem
    settings : TrainingSettings
    seeds : sequence of int
        One per replica; shuffles and noise of replica r depend on seed r, the epoch and nothing else.
    replicas : bool
        Whether the network has a replica axis.
    fingerprint : str
        Names data and settings; a checkpoint with another fingerprint is an error.
    checkpoint : path, optional
        File for the state of training. If it exists, training resumes there, bit for bit. Seen by
        process 0 only.
    progress : callable, optional
        Gets ``{"phase": "estimate" | "training" | "done", "epoch", "epochs", "seconds",
        "remaining_seconds", "train_loss", "validation_score", "skipped"}``.

    Raises
    ------
    TrainingError
        If every step of an epoch is skipped or not finite for some replica, a parameter takes no part
        in the loss, or another process failed.
    SettingError
        If network, seeds and processes do not fit together.
    """
    with together() as here:
        run = _Run(network, problem, settings, seeds, replicas, progress, here)
        found = here.first(lambda: read_checkpoint(checkpoint, fingerprint) if _exists(checkpoint) else None)
        if found is not None:
            run.restore(*found)
        else:
            run.prepare()
        while not run.finished:
            run.one_epoch()
            here.first(lambda: run.save(checkpoint, fingerprint))
        run.report("done", remaining=0.0)
        return run.result()


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        network: nn.Module,
        problem: Problem,
        settings: TrainingSettings,
        seeds: Sequence[int],
        replicas: bool,
        progress: Progress | None,
        here: Processes,
    ) -> None:
        self.network, self.problem, self.settings, self.here = network, problem, settings, here
        self.seeds, self.progress = list(seeds), progress if here.is_first else None
        learned = {name: p for name, p in network.named_parameters() if p.requires_grad}
        _check_axes(network, learned, n_seeds=len(self.seeds), replicas=replicas, n_processes=here.size)
        first = next(iter(learned.values()))
        self.device = first.device
        self.batches = Batches(
            problem.n_examples, settings, seeds=self.seeds, replicas=replicas, device=self.device, processes=here
        )
        self.trained = here.wrap(network)
        self.optimiser = ReplicaAdam(
            list(learned.values()),
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            replicas=replicas,
        )
        # Values with a leading replica axis, of length 1 where the network has none.
        self.named: dict[str, Tensor] = dict(zip(learned, self.optimiser.parameters, strict=True))
        self.plain = not replicas
        # With averaging, validation sees the average; otherwise `kept` is the parameters themselves.
        self.kept = self._copy() if settings.average is not None else self.named
        self.best = self._copy()
        n = len(self.seeds)
        self.best_score = torch.full((n,), -torch.inf, dtype=torch.float64)
        self.best_epoch = torch.zeros(n, dtype=torch.long)
        self.active = torch.ones(n, dtype=torch.bool)
        self.thresholds = torch.full((2, n), torch.inf, dtype=first.dtype, device=self.device)
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.n_steps = self.batches.n_steps
        self.saved_at = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done or every replica has stopped."""
        return self.epoch >= self.settings.epochs or not bool(self.active.any())

    def _copy(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.named.items()}

    def _precision(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _loss(self, batch: Batch) -> Tensor:
        """Return this batch's part of the mean loss of its step, per replica."""
        with self._precision():
            loss = self.problem.loss(self.trained, batch.examples, batch.generators)
        loss = loss.mean(dim=1)
        return loss if batch.share == 1 else loss * batch.share

    def _gradient(self, batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Compute the gradient of a step; return this process' part of its loss, and the norms."""
        self.network.zero_grad(set_to_none=True)
        losses = []
        with self.here.agreed():
            for batch in batches[:-1]:
                with self.here.apart(self.trained):
                    losses.append(self._loss(batch))
                    losses[-1].sum().backward()
                    losses[-1] = losses[-1].detach()
            losses.append(self._loss(batches[-1]))
        losses[-1].sum().backward()  # replicas share no parameter, so each gets the gradient of its own mean
        if self.epoch == 0:
            idle = [name for name, p in self.network.named_parameters() if p.requires_grad and p.grad is None]
            if idle:
                raise TrainingError(f"{some(idle)} took no part in the loss; leave out what is not used")
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum(0)
        return loss.detach(), self.here.as_first(self.optimiser.norms())

    def prepare(self) -> None:
        """Score the untrained network, find thresholds, estimate how long training can take."""
        self._validate()
        started = time.monotonic()
        steps = self.batches.epoch(self.epoch, purpose=1)
        if not self.settings.policy.needs_preliminary_pass:
            steps = islice(steps, 2)
        norms = torch.stack([self._gradient(batches)[1] for batches in steps])
        self.thresholds = self.settings.policy.thresholds(norms).clone()
        per_step = (time.monotonic() - started) / len(norms)
        started = time.monotonic()
        self._score()
        per_epoch = per_step * self.n_steps + time.monotonic() - started
        self.report("estimate", remaining=per_epoch * self.settings.epochs)

    def one_epoch(self) -> None:
        """Make one pass over the data, validate, keep the best."""
        started = time.monotonic()
        self.epoch += 1
        replicas = len(self.seeds)
        total = torch.zeros(replicas, device=self.device, dtype=torch.float64)
        skipped = torch.zeros(replicas, device=self.device, dtype=torch.long)
        clipped = torch.zeros(replicas, device=self.device, dtype=torch.long)
        stopped = ~self.active.to(self.device)
        steps = self.batches.epoch(self.epoch, purpose=0)
        for step, batches in enumerate(steps, start=(self.epoch - 1) * self.n_steps):
            loss, norms = self._gradient(batches)
            decision = self.settings.policy.decide(norms, self.thresholds)
            skipped += decision.skip
            clipped += decision.clipped
            total += torch.where(decision.skip, 0.0, loss)
            self.optimiser.learning_rate = self.settings.rate(step, self.settings.epochs * self.n_steps)
            self.optimiser.step(decision._replace(skip=decision.skip | stopped))
            self._average(step)
        self._check(skipped)
        # Each process has the mean over its own share, weighted so that the mean over processes is that of the step.
        total = self.here.sum(total) / self.here.size
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
        return self.here.first(self._score_here)

    def _score_here(self) -> Tensor:
        trained = None if self.kept is self.named else self._copy()
        if trained is not None:
            self._put(self.kept)
        with self._precision():
            scores = self.problem.validation_score(self.network).double().cpu()
        if trained is not None:
            self._put(trained)
        return scores

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.named.items():
            parameter.copy_(values[name])

    @torch.no_grad()
    def _validate(self) -> Tensor:
        scores = self._score()
        patience = self.settings.patience
        better = self.active if patience is None else self.active & (scores > self.best_score)
        for name, value in self.kept.items():
            for replica in better.nonzero().flatten().tolist():
                self.best[name][replica] = value[replica]
        self.best_score = torch.where(better, scores, self.best_score)
        self.best_epoch = torch.where(better, self.epoch, self.best_epoch)
        if patience is not None:
            self.active = self.active & (self.epoch - self.best_epoch < patience)
        return scores

    def report(self, phase: str, *, remaining: float) -> None:
        """Tell the progress callback where training stands."""
        if self.progress is None:
            return
        last = self.history[-1] if self.history else {}
        numbers = ("train_loss", "validation_score", "skipped")
        told: dict[str, Any] = {key: float(np.mean(last[key])) for key in numbers if key in last}
        where = {"phase": phase, "epoch": self.epoch, "epochs": self.settings.epochs}
        self.progress({**where, "seconds": self.seconds, "remaining_seconds": remaining, **told})

    def result(self) -> TrainingResult:
        """Return what was found."""
        return TrainingResult(
            best={name: (value[0] if self.plain else value).clone() for name, value in self.best.items()},
            best_score=self.best_score.cpu().numpy(),
            best_epoch=self.best_epoch.cpu().numpy(),
            thresholds=self.thresholds.cpu().numpy(),
            history=self.history,
        )

    def save(self, checkpoint: Path | None, fingerprint: str) -> None:
        """Write a checkpoint if one is due."""
        due = self.finished or time.monotonic() - self.saved_at >= self.settings.checkpoint_seconds
        if checkpoint is not None and due:
            write_checkpoint(checkpoint, fingerprint, *self.state())
            self.saved_at = time.monotonic()

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
        self.epoch, self.seconds, self.history = (document[name] for name in ("epoch", "seconds", "history"))


def _exists(checkpoint: Path | None) -> TypeGuard[Path]:
    return checkpoint is not None and checkpoint.exists()


def _check_axes(
    network: nn.Module, learned: Mapping[str, Tensor], *, n_seeds: int, replicas: bool, n_processes: int
) -> None:
    if not learned:
        raise SettingError("the network has no parameter that requires a gradient")
    statistics = [name for name, module in network.named_modules() if getattr(module, "running_mean", None) is not None]
    if statistics:
        raise SettingError(f"{some(statistics)} keeps running statistics; normalise by group or instance instead")
    if not replicas:
        if n_seeds != 1:
            raise SettingError(f"a network without a replica axis trains with one seed, got {n_seeds}")
        return
    if n_processes > 1:
        raise SettingError(
            f"networks with a replica axis train in one process, but torchrun started {n_processes}: start without it"
        )
    wrong = [name for name, p in learned.items() if p.ndim == 0 or len(p) != n_seeds]
    if wrong:
        raise SettingError(f"{n_seeds} seeds, but the replica axis of {some(wrong)} has another length")
