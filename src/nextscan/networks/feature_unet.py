"""The U-Net on feature vectors of SECONDGRAM (Theodorou et al. 2025, "UNet autoencoder architecture")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from nextscan.networks.layers import LayerNorm, Linear, TokenAttention, sinusoidal


class _Mlp(nn.Module):
    """Two linear layers with a SiLU between them."""

    def __init__(self, n_in: int, width: int, *, replicas: int) -> None:
        super().__init__()
        self.first = Linear(n_in, width, replicas=replicas)
        self.second = Linear(width, width, replicas=replicas)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(functional.silu(self.first(x)))


class _Block(nn.Module):
    """A down or an up block: the input and the embedding meet at the block's width.

    Its own linear map of the embedding is part of `FeatureUNet.conditions`.
    """

    def __init__(self, n_in: int, n_out: int, embedding: int, *, replicas: int) -> None:
        super().__init__()
        self.norm = LayerNorm(n_in, replicas=replicas)
        self.squeeze = Linear(n_in, embedding, replicas=replicas)
        self.widen = Linear(embedding, n_out, replicas=replicas)
        self.widen_condition = Linear(embedding, n_out, replicas=replicas)
        self.mix = Linear(n_out, n_out, replicas=replicas)

    def forward(self, x: Tensor, condition: Tensor, skip: Tensor | None = None) -> Tensor:
        hidden = self.widen(functional.silu(self.squeeze(self.norm(x))))
        hidden = hidden + self.widen_condition(functional.silu(condition))
        if skip is not None:
            hidden = hidden + skip
        return functional.silu(self.mix(hidden))


class _Residual(nn.Module):
    """Two linear layers, SiLU, added back."""

    def __init__(self, width: int, *, replicas: int) -> None:
        super().__init__()
        self.first = Linear(width, width, replicas=replicas)
        self.second = Linear(width, width, replicas=replicas)

    def forward(self, x: Tensor) -> Tensor:
        return x + functional.silu(self.second(self.first(x)))


class FeatureUNet(nn.Module):
    """Predict from a noisy feature vector, its level and a condition vector.

    Three down blocks, residual blocks at the narrowest width, three up blocks with added skip
    connections, a final linear map. The embedding is MLP(encoded level) + MLP(condition).

    Parameters
    ----------
    n_features, n_condition : int
    widths : sequence of int
        Outputs of the down blocks.
    embedding : int
        Width of the embedding.
    n_residual : int
    attention : bool
        Self-attention among parts of the narrowest vector; the text names attention layers, the
        released network has none.
    level_scale : float
        Highest frequency of the encoding of the level.
    zero_head : bool
        Start with the final map at zero, so that the untrained network predicts exactly zero.
    generators : sequence of torch.Generator
        One per replica; initial weights of replica r depend on generator r only.

    **Shape** ``(R, B, n_features), (R, B), (R, B, n_condition) -> (R, B, n_features)``
    """

    def __init__(
        self,
        n_features: int,
        n_condition: int,
        *,
        generators: Sequence[torch.Generator],
        widths: Sequence[int] = (512, 256, 128),
        embedding: int = 256,
        n_residual: int = 2,
        attention: bool = False,
        level_scale: float = 1.0,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        replicas = len(generators)
        self.n_features, self.level_scale = n_features, level_scale
        self.level_mlp = _Mlp(n_features, embedding, replicas=replicas)
        self.condition_mlp = _Mlp(n_condition, embedding, replicas=replicas)
        sizes = (n_features, *widths)
        steps = list(pairwise(sizes))
        self.down = nn.ModuleList(_Block(n_in, n_out, embedding, replicas=replicas) for n_in, n_out in steps)
        middle: list[nn.Module] = [_Residual(widths[-1], replicas=replicas) for _ in range(n_residual)]
        if attention:
            middle.insert(1, TokenAttention(widths[-1], replicas=replicas))
        self.middle = nn.Sequential(*middle)
        self.up = nn.ModuleList(_Block(n_out, n_in, embedding, replicas=replicas) for n_in, n_out in reversed(steps))
        # The linear maps of the embedding in all blocks, as one matrix product.
        self.conditions = Linear(embedding, 2 * len(steps) * embedding, replicas=replicas)
        self.head = Linear(n_features, n_features, replicas=replicas)
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset(generators)
        if zero_head:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Predict, each example at its own level."""
        return self._predict(x, self.conditions(self.condition_mlp(condition) + self._embedded(level)))

    def conditioned(self, condition: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Return ``predict(x, level)`` for sampling, where all examples share one level of shape ().

        The same numbers as `forward`; what does not depend on x and level is computed once, which saves a
        fifth of the work at 769 features.
        """
        conditions = self.conditions
        fixed = torch.matmul(self.condition_mlp(condition), conditions.weight.transpose(1, 2))

        def predict(x: Tensor, level: Tensor) -> Tensor:
            return self._predict(x, fixed + conditions(self._embedded(level.expand(len(x), 1))))

        return predict

    def _embedded(self, level: Tensor) -> Tensor:
        embedded: Tensor = self.level_mlp(sinusoidal(level, self.n_features, scale=self.level_scale))
        return embedded

    def _predict(self, x: Tensor, conditions: Tensor) -> Tensor:
        blocks = iter(conditions.chunk(len(self.down) + len(self.up), dim=-1))
        skips = []
        for block in self.down:
            skips.append(x)
            x = block(x, next(blocks))
        x = self.middle(x)
        for block in self.up:
            x = block(x, next(blocks), skips.pop())
        predicted: Tensor = self.head(x)
        return predicted
