"""What goes into training and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Problem(Protocol):
    """What a network learns: examples, a loss, and a score on validation subjects."""

    @property
    def n_examples(self) -> int:
        """Number of examples in all."""
        ...

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each example, shape (R, B), for example indices of shape (R, B).

        With a replica axis there is one generator per replica, and the randomness of replica r comes
        from generator r only. Without one (R = 1) there is one generator per example, likewise, so that
        noise does not depend on who else is in the batch; the indices are then on the CPU. The
        network is to be called, never asked for its parts: it may be wrapped.
        """
        ...

    def validation_score(self, network: Any) -> Tensor:
        """Return one score per replica, shape (R,); higher is better."""
        ...


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What training found, per replica.

    Attributes
    ----------
    best : dict of name to Tensor, shape (R, ...)
        Parameters with the best validation score, or of the last epoch (see `TrainingSettings.patience`); of
        the parameter's own shape where the network has no replica axis.
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
