"""What to do with a gradient, given its norm: SECONDGRAM's gradient manipulation and its absence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nextscan.errors import SettingError


class Decision(NamedTuple):
    """What becomes of one step, per replica.

    Attributes
    ----------
    scale : Tensor, shape (R,)
        Factor on the gradient.
    skip : Tensor of bool, shape (R,)
        No update at all: parameters, moments and step count stay.
    clipped : Tensor of bool, shape (R,)
    """

    scale: Tensor
    skip: Tensor
    clipped: Tensor


class GradientPolicy(Protocol):
    """Decide by the norm ‖g‖₂ over all parameters of each replica."""

    @property
    def needs_preliminary_pass(self) -> bool:
        """Whether thresholds come from one pass over the data without updates."""
        ...

    def thresholds(self, norms: Tensor) -> Tensor:
        """Return clip and skip thresholds, shape (2, R), from norms of shape (steps, R)."""
        ...

    def decide(self, norms: Tensor, thresholds: Tensor) -> Decision:
        """Decide one step from norms of shape (R,)."""
        ...


@dataclass(frozen=True)
class ClipAndSkip:
    """SECONDGRAM's rule ("Training gradient manipulation"): skip above τ_skip, clip to τ_clip below it.

    G = ‖g‖₂. If G > τ_skip there is no update; otherwise g ← g · min(1, τ_clip / G). One preliminary
    pass gives τ_clip = mean G and τ_skip = `factor` · max G.

    Parameters
    ----------
    clip, skip : float, optional
        Fixed thresholds; both or neither. Without them the preliminary pass decides.
    factor : float
        Multiple of the largest norm of the preliminary pass above which a step is skipped.
    """

    clip: float | None = None
    skip: float | None = None
    factor: float = 3.0

    def __post_init__(self) -> None:
        if (self.clip is None) != (self.skip is None):
            raise SettingError("give both clip and skip thresholds, or neither")
        if self.clip is not None and self.skip is not None and not 0 < self.clip <= self.skip:
            raise SettingError(f"thresholds must satisfy 0 < clip <= skip, got {self.clip:g} and {self.skip:g}")
        if self.factor <= 0:
            raise SettingError(f"the skip factor must be positive, got {self.factor:g}")

    @property
    def needs_preliminary_pass(self) -> bool:
        """Whether thresholds come from one pass over the data without updates."""
        return self.clip is None

    def thresholds(self, norms: Tensor) -> Tensor:
        """Return τ_clip and τ_skip per replica, shape (2, R), from norms of shape (steps, R)."""
        if self.clip is not None and self.skip is not None:
            fixed = torch.tensor([[self.clip], [self.skip]], dtype=norms.dtype, device=norms.device)
            return fixed.expand(2, norms.shape[1])
        return torch.stack([norms.mean(0), self.factor * norms.amax(0)])

    def decide(self, norms: Tensor, thresholds: Tensor) -> Decision:
        """Skip above τ_skip (and whatever is not finite), scale by min(1, τ_clip / G) below."""
        clip, skip_above = thresholds
        skip = ~(norms <= skip_above)  # a NaN norm compares false, hence is skipped
        clipped = ~skip & (norms > clip)
        return Decision(torch.where(clipped, clip / norms, torch.ones_like(norms)), skip, clipped)


@dataclass(frozen=True)
class Plain:
    """Leave gradients as they are; only a step whose norm is not finite is skipped, and counted."""

    @property
    def needs_preliminary_pass(self) -> bool:
        """Whether thresholds come from one pass over the data without updates."""
        return False

    def thresholds(self, norms: Tensor) -> Tensor:
        """Return infinite thresholds, shape (2, R)."""
        return torch.full((2, norms.shape[1]), torch.inf, dtype=norms.dtype, device=norms.device)

    def decide(self, norms: Tensor, thresholds: Tensor) -> Decision:
        """Keep every finite step."""
        skip = ~torch.isfinite(norms)
        return Decision(torch.ones_like(norms), skip, torch.zeros_like(skip))
