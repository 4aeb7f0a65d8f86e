"""Adam for R replicas side by side: each has its own moments and step count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from nextscan.training.gradient_policy import Decision


class ReplicaAdam:
    """Adam (Kingma & Ba 2015), fused, with a scale and a skip per replica.

    Parameters
    ----------
    parameters : sequence of Tensor
        Each of shape (R, ...); without a replica axis of any shape.
    learning_rate : float
        May be changed between steps.
    weight_decay : float
        Decoupled (Loshchilov & Hutter 2019), of matrices and kernels only: biases and scales are left alone.
    replicas : bool
        Whether the parameters have a replica axis; without one R = 1, and everything here sees them
        through views of shape (1, ...).
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        replicas: bool = True,
    ) -> None:
        self.learned, self.replicas = list(parameters), replicas
        self.parameters = self.learned if replicas else [p.detach()[None] for p in self.learned]
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        # One count per parameter, as the fused kernel advances each; they are equal within a replica.
        device = self.parameters[0].device
        self.steps = torch.zeros(len(self.parameters[0]), len(self.parameters), dtype=torch.float32, device=device)

    def norms(self) -> Tensor:
        """Return ‖g‖₂ over all parameters of each replica, shape (R,)."""
        squares = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in self._gradients()]
        return torch.linalg.vector_norm(torch.stack(squares), dim=0)

    @torch.no_grad()
    def step(self, decision: Decision) -> None:
        """Update the replicas that are not skipped, with scaled gradients."""
        if self.weight_decay:
            kept = 1 - self.learning_rate * self.weight_decay * (~decision.skip).to(self.parameters[0].dtype)
            for matrix in (p for p in self.parameters if p.ndim > 2):
                matrix.mul_(kept.view(-1, *[1] * (matrix.ndim - 1)))
        gradients = self._gradients()
        for replica in range(len(self.steps)):
            adam(
                [p[replica] for p in self.parameters],
                [g[replica] for g in gradients],
                [m[replica] for m in self.first],
                [m[replica] for m in self.second],
                [],
                list(self.steps[replica]),
                fused=True,
                # The kernel divides by grad_scale and leaves everything alone where found_inf is 1.
                grad_scale=decision.scale[replica].reciprocal().float(),
                found_inf=decision.skip[replica].float(),
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self.learning_rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )

    def state(self) -> dict[str, Tensor]:
        """Return moments and step counts by name, for a checkpoint."""
        moments = {f"first.{i}": m for i, m in enumerate(self.first)}
        return moments | {f"second.{i}": m for i, m in enumerate(self.second)} | {"steps": self.steps}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take moments and step counts back from `state`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    def _gradients(self) -> list[Tensor]:
        gradients = [p.grad for p in self.learned]
        if any(g is None for g in gradients):
            raise RuntimeError("a parameter took no part in the loss")
        return [g if self.replicas else g[None] for g in gradients if g is not None]
