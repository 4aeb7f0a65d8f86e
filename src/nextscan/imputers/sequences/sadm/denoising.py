"""What is diffused of a sequence, and how images are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.diffusion import (
    SAMPLERS,
    ContinuousPath,
    Path,
    Sampler,
    counter_normal,
    diffuse,
    expand,
    guided,
    make_denoiser,
    sample,
    training_target,
)
from nextscan.diffusion.samplers import InterpolatedAncestral
from nextscan.imputers.sequences.sadm.films import FilmExamples, Sequences
from nextscan.imputers.sequences.sadm.settings import SADMSettings
from nextscan.imputers.settings import one_of
from nextscan.imputers.volumes.diffusion.expected_change import unit_of
from nextscan.imputers.volumes.examples import coins_of, noise_of

_VALIDATION_SEED = 20_250_105
_VALIDATION = 32  # films
_VALIDATION_LEVEL = 0.5

Around = Callable[[Sequence[int], Sequences], Tensor]
"""Returns what is expected of films, given some of their frames, by who has not learned from them: (B, T, X, Y, Z)."""


@dataclass(frozen=True, eq=False)
class SequenceProcess:
    """Path, sampler, and what goes into and comes out of the network.

    Attributes
    ----------
    settings : SADMSettings
    path : Path
    sampler : Sampler
    spread : Tensor, shape (n_bins,)
        Unit of what the expected image leaves, see `unit_of`; not used where the image itself is diffused.
    """

    settings: SADMSettings
    path: Path
    sampler: Sampler
    spread: Tensor

    @classmethod
    def of(cls, settings: SADMSettings, spread: NDArray[np.float32]) -> SequenceProcess:
        """Return path and sampler of the settings.

        Raises
        ------
        SettingError
            If there is no such sampler.
        """
        one_of(SAMPLERS, sampler=settings.sampler)
        path = (
            ContinuousPath("cosine", log_snr_min=-np.inf) if settings.schedule == "cosine" else ContinuousPath("linear")
        )
        sampler = SAMPLERS[settings.sampler]
        if isinstance(sampler, InterpolatedAncestral):
            sampler = InterpolatedAncestral(v=settings.v)
        return cls(settings, path, sampler, torch.from_numpy(spread))

    def data(self, image: Tensor, expected: Tensor) -> Tensor:
        """Return what is diffused: an image, or what is expected leaves of it, in units of its spread."""
        return (image - expected) / unit_of(expected, self.spread) if self.settings.expected else image

    def image(self, data: Tensor, expected: Tensor) -> Tensor:
        """Undo `data`; prepared images lie in [-1, 1]."""
        whole = expected + unit_of(expected, self.spread) * data if self.settings.expected else data
        return whole.clamp(-1, 1)

    def input(self, x: Tensor, level: Tensor) -> Tensor:
        """Return what the network sees of noisy data: at the noise end of the path, 0."""
        return expand(self.path.signal_noise(level)[0], x) * x if self.path.ends_at_noise else x

    @torch.no_grad()
    def draw(
        self, network: Any, seen: Sequence[Tensor], expected: Tensor, keys: Tensor, step: int, seed: int
    ) -> Tensor:
        """Draw images, shape (N, 1, X, Y, Z).

        Parameters
        ----------
        network : SequenceDenoiser
        seen : sequence of Tensor
            See `Sequences.seen_from`; of one image, or of N.
        expected : Tensor, shape (N, 1, X, Y, Z)
        keys : Tensor of int, shape (N, 2)
            Of the subject, and the number of the draw: noise depends on them, on `step` and on the seed.
        step : int
            Tells images of a film apart.
        """
        shape, weight = tuple(expected.shape[1:]), self.settings.guidance
        clamp = None if self.settings.expected else (-1.0, 1.0)
        several = [part.expand(len(expected), *part.shape[1:]) for part in seen]
        conditions = network.see(*several, expected)
        nothing = network.see(*_unknown(several), torch.zeros_like(expected)) if weight else None

        def predicting(conditions: tuple[Tensor, Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
            def predict(x: Tensor, level: Tensor) -> Tensor:
                level = level.expand(len(x))
                output: Tensor = network(self.input(x, level), level, conditions=conditions).float()
                return output

            return predict

        def noise(at: int) -> Tensor:
            return counter_normal(keys[:, 0], seed, keys[:, 1], (step + 1) * 10_000 + at, shape)

        kind = self.settings.parameterisation
        denoise = make_denoiser(predicting(conditions), self.path, kind, clamp)
        if nothing is not None:
            denoise = guided(denoise, make_denoiser(predicting(nothing), self.path, kind, clamp), weight, clamp=clamp)
        made = sample(
            denoise,
            self.path,
            self.sampler,
            start=noise(-1),
            levels=self.path.sampling_levels(self.settings.sampling_steps),
            noise=noise,
        )
        return self.image(made, expected)


def _unknown(seen: Sequence[Tensor]) -> list[Tensor]:
    """Return conditions of which nothing is known, as guidance needs them."""
    frames, mask, relative, summaries, around, wanted = seen
    nothing = [torch.zeros_like(part) for part in (frames, relative, wanted)]
    return [nothing[0], mask, nothing[1], summaries, around, nothing[2]]


@dataclass(frozen=True, eq=False)
class DenoisingProblem:
    """Diffusion of images of a sequence, see `nextscan.training.Problem`.

    Attributes
    ----------
    train, held_out : FilmExamples
    process : SequenceProcess
    around, around_held_out : callable or None
        See `Around`; None where the image itself is diffused.
    """

    train: FilmExamples
    held_out: FilmExamples
    process: SequenceProcess
    around: Around | None
    around_held_out: Around | None

    @property
    def n_examples(self) -> int:
        """Number of films to learn from."""
        return len(self.train)

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the squared error of the prediction of one frame of each film, shape (1, B)."""
        settings, which = self.process.settings, examples[0].tolist()
        coins = coins_of(generators, self.train.n_coins + 3)
        given, targets = self.train.batch(
            which,
            coins[:, 3:],
            published=settings.given == "published",
            flip=settings.flip,
            shift=settings.shift,
        )
        expected = None if self.around is None else self.around(which, given)
        errors = self._errors(network, given, targets, expected, coins[:, :3], lambda like: noise_of(generators, like))
        return errors[None]

    @torch.no_grad()
    def validation_score(self, network: Any) -> Tensor:
        """Return minus the error of films, always with the same chance, shape (1,); zero where there are none."""
        n = min(len(self.held_out), _VALIDATION)
        if not n:
            return torch.zeros(1, dtype=torch.float64)
        coins = np.random.default_rng(_VALIDATION_SEED).random((n, self.held_out.n_coins + 3))
        coins[:, 1] = _VALIDATION_LEVEL
        coins[:, 2] = 1.0
        published, errors = self.process.settings.given == "published", []
        for i in range(n):
            given, targets = self.held_out.batch([i], coins[i : i + 1, 3:], published=published, flip=False, shift=0)

            def noise(like: Tensor, i: int = i) -> Tensor:
                return counter_normal(torch.tensor([i]), _VALIDATION_SEED, 0, 0, tuple(like.shape[1:])).to(like.device)

            expected = None if self.around_held_out is None else self.around_held_out([i], given)
            errors.append(self._errors(network, given, targets, expected, coins[i : i + 1, :3], noise))
        return -torch.cat(errors).double().cpu().mean()[None]

    def _errors(
        self,
        network: Any,
        given: Sequences,
        targets: Tensor,
        expected: Tensor | None,
        coins: NDArray[np.float64],
        noise_like: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Return the squared error of a frame of each film, shape (B,).

        The three coins of each say which frame, at which level, and whether its conditions are hidden.
        """
        process, device = self.process, targets.device
        people = torch.arange(len(targets), device=device)
        n_asked = given.asked.sum(1).cpu().numpy()
        times = torch.from_numpy((coins[:, 0] * n_asked).astype(np.int64)).to(device)
        if process.settings.given == "published":  # the one next to those given
            times = torch.zeros_like(times)
        target = targets[people, times][:, None]
        middle = torch.zeros_like(target) if expected is None else expected[people, times][:, None]
        seen = list(given.seen_from(people, times))
        hidden = torch.from_numpy(coins[:, 2] < process.settings.interval_dropout).to(device)
        if hidden.any():
            unknown = _unknown(seen)
            seen = [
                torch.where(hidden.reshape(-1, *[1] * (part.dim() - 1)), other, part)
                for part, other in zip(seen, unknown, strict=True)
            ]
        shown = torch.where(hidden[:, None, None, None, None], torch.zeros_like(middle), middle)
        level = process.path.training_levels(torch.from_numpy(coins[:, 1].astype(np.float32)).to(device))
        a, s = process.path.signal_noise(level)
        data = process.data(target, middle)
        noise = noise_like(data)
        output = network(process.input(diffuse(data, noise, a, s), level), level, *seen, shown).float()
        error = (output - training_target(process.settings.parameterisation, data, noise, a, s)).square()
        return error.flatten(1).mean(1)
