"""What SECONDGRAM trains on: real pairs, visits paired with themselves, generated validation follow-ups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.cohort import Cohort, pairs
from nextscan.diffusion import Path, Sampler, counter_normal, make_denoiser, objective, sample
from nextscan.imputers.secondgram.encoding import Encoding
from nextscan.imputers.secondgram.presets import SecondgramSettings
from nextscan.metrics.proper import energy_score
from nextscan.networks import FeatureUNet
from nextscan.preprocess import context_rows
from nextscan.randomness import subject_keys

_VALIDATION_SEED = 0


@dataclass(frozen=True, eq=False)
class Process:
    """The diffusion process of a model: how data become noise, what is predicted, how draws are made."""

    path: Path
    sampler: Sampler
    settings: SecondgramSettings

    def draw(self, network: FeatureUNet, condition: Tensor, keys: Tensor, draws: Tensor, seed: int) -> Tensor:
        """Sample diffusion targets: start from noise, denoise step by step.

        Parameters
        ----------
        network : FeatureUNet
        condition : Tensor, shape (R, B, n_condition)
        keys, draws : Tensor of int64, shape (B,)
            Subject key and number of the draw: noise depends on these, the seed and the step only.

        Returns
        -------
        Tensor, shape (R, B, n_features)
        """
        settings = self.settings
        width = network.n_features

        def noise(step: int) -> Tensor:
            made = counter_normal(keys, seed, draws, step, (width,), dtype=condition.dtype)
            return made.expand(len(condition), -1, -1)

        x = sample(
            make_denoiser(network.conditioned(condition), self.path, settings.parameterisation),
            self.path,
            self.sampler,
            start=noise(0),
            levels=self.path.sampling_levels(settings.sampling_steps),
            noise=lambda step: noise(step + 1),
        )
        return x.clamp(-1.0, 1.0) if settings.clamp else x


@dataclass(frozen=True, eq=False)
class PairProblem:
    """The training problem of SECONDGRAM, see `nextscan.training.Problem`.

    Attributes
    ----------
    context, target : Tensor, shape (n_examples, n_features)
        Scaled; real pairs first, then visits paired with themselves.
    extra : Tensor, shape (n_examples, n_extra)
    n_pairs : int
    """

    process: Process
    encoding: Encoding
    context: Tensor
    target: Tensor
    extra: Tensor
    n_pairs: int
    validation: _Validation
    offset: Tensor
    slope: Tensor
    whiten: Tensor | None
    colour: Tensor | None

    @classmethod
    def make(
        cls,
        process: Process,
        encoding: Encoding,
        train: Cohort,
        validation: Cohort,
        *,
        use_unpaired: bool,
        device: torch.device,
    ) -> PairProblem:
        """Put the examples on the device once."""
        settings = process.settings
        found = pairs(train)
        parts = _self_conditioned(train, validation, settings, use_unpaired)
        alone = np.concatenate([part.features[rows] for part, rows in parts])
        context = encoding.scaled(np.concatenate([train.features[found.context], alone]), 0)
        # A visit paired with itself stays in the scale of context visits, as a target too.
        target = np.concatenate([encoding.scaled(train.features[found.target], 1), context[len(found) :]])
        labels = pd.concat(
            [train.labels_at(found.context), *(part.labels_at(rows) for part, rows in parts)],
            ignore_index=True,
        )
        extra = encoding.extra(labels, np.concatenate([found.gap, np.full(len(alone), np.nan)]))
        if encoding.flagged:
            extra[len(found) :, -1] = 1.0

        def tensor(array: NDArray[np.floating]) -> Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=device)

        return cls(
            process=process,
            encoding=encoding,
            context=tensor(context),
            target=tensor(target),
            extra=tensor(extra),
            n_pairs=len(found),
            validation=_Validation.make(encoding, train, validation, settings, device),
            offset=tensor(encoding.offset),
            slope=tensor(encoding.slope),
            whiten=None if encoding.whiten is None else tensor(encoding.whiten),
            colour=None if encoding.colour is None else tensor(encoding.colour),
        )

    @property
    def n_examples(self) -> int:
        """Number of examples in an epoch."""
        return len(self.context)

    def loss(self, network: FeatureUNet, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the mean squared error of the prediction for each example, shape (R, B)."""
        shape, width = examples.shape, self.context.shape[1]
        alone = (examples >= self.n_pairs)[..., None]
        condition = self._perturbed(self.context[examples], alone, generators)
        target = self.target[examples]
        if self.whiten is not None:
            kind = alone[..., 0].long()
            target = (target - self.offset[kind] - self.slope[kind] * condition) @ self.whiten.T
        extra = self._hide_years(self.extra[examples], generators)
        level = self.process.path.training_levels(self._uniform(shape, generators))
        noise = self._normal((*shape, width), generators)
        whole = torch.cat([condition, extra], dim=-1)
        return objective(
            lambda x, at: network(x, at, whole),
            self.process.path,
            self.process.settings.parameterisation,
            target,
            level,
            noise,
        )

    def _perturbed(self, context: Tensor, alone: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Noise the context of visits paired with themselves; contexts of real pairs stay as they are."""
        kind = self.process.settings.self_conditioning
        if kind == "none" or self.n_pairs == self.n_examples:
            return context
        noise = self._normal(context.shape, generators)
        if kind == "measured" and self.colour is not None:
            noised = context + noise @ self.colour.T
        else:
            steps = self.process.settings.self_conditioning_steps / self.process.settings.steps
            signal, spread = self.process.path.signal_noise(torch.tensor(steps, dtype=context.dtype))
            coin = self._uniform(context.shape[:2], generators)[..., None] < 0.5
            noised = torch.where(coin, context, signal.to(context) * context + spread.to(context) * noise)
        return torch.where(alone, noised, context)

    def _hide_years(self, extra: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        if not self.encoding.use_years or not self.process.settings.years_dropout:
            return extra
        hidden = self._uniform(extra.shape[:2], generators) < self.process.settings.years_dropout
        end = extra.shape[-1] - self.encoding.flagged
        years = torch.where(hidden[..., None], 0.0, extra[..., end - 2 : end])
        return torch.cat([extra[..., : end - 2], years, extra[..., end:]], dim=-1)

    def _uniform(self, shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
        return self._random(torch.rand, shape, generators)

    def _normal(self, shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
        return self._random(torch.randn, shape, generators)

    def _random(
        self, make: Callable[..., Tensor], shape: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Tensor:
        made = [make(*shape[1:], generator=g, dtype=self.context.dtype, device=g.device) for g in generators]
        return made[0][None] if len(made) == 1 else torch.stack(made)

    @torch.no_grad()
    def validation_score(self, network: FeatureUNet) -> Tensor:
        """Generate the validation follow-ups and score them, shape (R,); higher is better."""
        return self.validation.score(network, self.process, self.encoding)


@dataclass(frozen=True, eq=False)
class _Validation:
    """Validation pairs, ready to be generated after each epoch."""

    condition: Tensor
    context: NDArray[np.float32]
    truth: NDArray[np.floating]
    centre: NDArray[np.floating]
    unit: NDArray[np.floating]
    keys: Tensor

    @classmethod
    def make(
        cls, encoding: Encoding, train: Cohort, validation: Cohort, settings: SecondgramSettings, device: torch.device
    ) -> _Validation:
        found = pairs(validation)
        names = validation.subject_names(found.context)
        keys = subject_keys(names)
        chosen = np.sort(np.argsort(keys, kind="stable")[: settings.validation_pairs])
        context_row, target_row = found.context[chosen], found.target[chosen]
        context = encoding.scaled(validation.features[context_row], 0)
        extra = encoding.extra(validation.labels_at(context_row), found.gap[chosen])
        first = train.features[pairs(train).context]
        sd = np.nanstd(first, axis=0)
        return cls(
            condition=torch.as_tensor(np.concatenate([context, extra], axis=1), device=device),
            context=context,
            truth=encoding.cells.transform(validation.features[target_row]),
            centre=np.nanmean(first, axis=0),
            unit=np.where(sd > 0, sd, 1.0),
            keys=torch.as_tensor(keys[chosen], device=device),
        )

    def score(self, network: FeatureUNet, process: Process, encoding: Encoding) -> Tensor:
        """Return minus the energy score, or the mean per-feature Pearson correlation, per replica."""
        n_draws = process.settings.validation_draws
        which = torch.arange(n_draws, device=self.keys.device).repeat_interleave(len(self.keys))
        condition = self.condition.repeat(n_draws, 1)
        replicas = len(next(network.parameters()))
        made = process.draw(
            network, condition.expand(replicas, -1, -1), self.keys.repeat(n_draws), which, _VALIDATION_SEED
        )
        by_draw = made.unflatten(1, (n_draws, len(self.keys))).cpu().numpy()
        truth = (self.truth - self.centre) / self.unit
        scores = []
        for replica in by_draw:
            draws = (encoding.native(replica, self.context) - self.centre) / self.unit
            if process.settings.selection == "energy":
                scores.append(-float(np.mean(energy_score(truth, draws))))
            else:
                scores.append(_mean_pearson(truth, draws))
        return torch.tensor(scores, dtype=torch.float64)


def _self_conditioned(
    train: Cohort, validation: Cohort, settings: SecondgramSettings, use_unpaired: bool
) -> list[tuple[Cohort, NDArray[np.intp]]]:
    """Return the visits to pair with themselves, as rows of cohorts."""
    if settings.self_conditioning == "none":
        return [(train, np.zeros(0, np.intp))]
    paired = pairs(train).context
    parts = [(train, np.setdiff1d(context_rows(train), paired) if use_unpaired else paired[:0])]
    if settings.self_condition_paired:
        parts.append((train, paired))
    if settings.self_condition_validation and use_unpaired:
        parts.append((validation, np.setdiff1d(context_rows(validation), pairs(validation).context)))
    return parts


def _mean_pearson(truth: NDArray[np.floating], draws: NDArray[np.floating]) -> float:
    """Return the mean over features and draws of the correlation across subjects; 0 where undefined."""
    t = truth - truth.mean(axis=0)
    x = draws - draws.mean(axis=1, keepdims=True)
    spread = np.sqrt((x**2).sum(axis=1) * (t**2).sum(axis=0))
    return float(np.mean((x * t).sum(axis=1) / np.where(spread > 0, spread, 1.0)))
