"""Long fits in stages: each is kept in a file when done, so that an interrupted fit goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nextscan
from nextscan.cohort import Cohort
from nextscan.errors import TrainingError
from nextscan.imputers.estimator import Progress
from nextscan.imputers.model_folder import FORMAT, join_state, split_state
from nextscan.training.checkpoint import read_checkpoint, write_checkpoint


class Stages:
    """Do named stages once.

    Parameters
    ----------
    folder : Path, optional
        Where their results go; without it nothing is kept.
    fingerprint : str
        Of data and settings; results of others are an error.
    total : int
        Number of stages, for progress.
    progress : callable, optional
        Gets ``{"phase", "done", "total", "remaining_seconds"}`` before each stage.
    """

    def __init__(self, folder: Path | None, fingerprint: str, total: int, progress: Progress | None) -> None:
        self.folder, self.fingerprint, self.total, self.progress = folder, fingerprint, total, progress
        self.done = self.worked = 0
        self.seconds = 0.0

    def __call__(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the result of a stage: nested dicts of arrays, numbers and strings."""
        if self.progress is not None:
            self.total = max(self.total, self.done + 1)
            left = None if not self.worked else self.seconds / self.worked * (self.total - self.done)
            self.progress({"phase": name, "done": self.done, "total": self.total, "remaining_seconds": left})
        self.done += 1
        file = self.file(name)
        if file is not None and file.exists():
            try:
                tensors, document = read_checkpoint(file, self.fingerprint)
            except TrainingError as error:
                raise TrainingError(
                    f"{self.folder}: holds an interrupted fit of other data, settings or seed, or is damaged; remove "
                    "the folder to start anew"
                ) from error
            known: dict[str, Any] = join_state(document, {key: value.numpy() for key, value in tensors.items()})
            return known
        started = time.monotonic()
        result = make()
        self.worked += 1
        self.seconds += time.monotonic() - started
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            arrays: dict[str, np.ndarray] = {}
            document = split_state(result, "", arrays)
            tensors = {key: torch.from_numpy(np.array(value)) for key, value in arrays.items()}
            write_checkpoint(file, self.fingerprint, tensors, document)
        return result

    def number(self, name: str, make: Callable[[], float]) -> float:
        """Return the result of a stage that is a number."""
        return float(self(name, lambda: {"value": make()})["value"])

    def file(self, name: str) -> Path | None:
        """Return the file of a stage."""
        return None if self.folder is None else self.folder / f"{name.replace(' ', '-')}.ckpt"


def fingerprint(cohort: Cohort, params: dict[str, Any], seed: int) -> str:
    """Name data, settings and the version of the code: stages of others are not to be gone on from."""
    content = json.dumps([nextscan.__version__, FORMAT, cohort.fingerprint(), params, seed], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
