"""The expected film of a person, learned by regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextscan.imputers.sequences.sadm.films import FilmExamples, Sequences
from nextscan.imputers.sequences.sadm.settings import SADMSettings
from nextscan.imputers.volumes.examples import coins_of
from nextscan.networks.sequence_fields import SequenceFields

_VALIDATION_SEED = 20_250_104
_VALIDATION = 32  # films
_MOST_PATCHES = 256


def token_for(settings: SADMSettings, shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the patch of the settings, or the smallest of powers of 2 that leaves at most 256 patches."""
    if settings.token is not None:
        return settings.token
    patch = [1, 1, 1]
    cells = list(shape)
    while np.prod(cells) > _MOST_PATCHES:
        axis = int(np.argmax(cells))
        patch[axis] *= 2
        cells[axis] = -(-shape[axis] // patch[axis])
    return patch[0], patch[1], patch[2]


def make_network(
    settings: SADMSettings, *, n_when: int, n_wanted: int, n_summaries: int, shape: Sequence[int]
) -> SequenceFields:
    """Return an untrained network; its parameters come from torch's global generator."""
    return SequenceFields(
        n_when=n_when,
        n_wanted=n_wanted,
        n_summaries=n_summaries,
        n_fields=settings.n_fields,
        attention=settings.attention,
        token=token_for(settings, shape),
        width=settings.width,
        n_conditions=settings.n_conditions,
        channels=settings.mean_channels,
        n_blocks=settings.n_blocks,
    )


@dataclass(frozen=True, eq=False)
class ExpectedFilm:
    """What a network says of films.

    Attributes
    ----------
    images : Tensor, shape (B, T, X, Y, Z)
        The expected ones, prepared scale.
    fields : Tensor, shape (B, n_fields, X, Y, Z)
        In which the person moves, prepared scale.
    """

    images: Tensor
    fields: Tensor

    @classmethod
    def of(cls, network: Any, given: Sequences, unit: float) -> ExpectedFilm:
        """Ask a network, whose fields are in a unit of intensity."""
        fields, weights, curves = network(
            given.frames,
            given.mask,
            given.when,
            given.summaries,
            given.weights,
            given.relative,
            given.around,
            given.wanted,
        )
        fields = unit * fields.float()
        images = torch.einsum("btk,bkxyz->btxyz", weights.float(), given.frames)
        return cls(images + torch.einsum("btm,bmxyz->btxyz", curves.float(), fields), fields)


@dataclass(frozen=True, eq=False)
class ExpectedProblem:
    """Regression of the frames of films on others of them, see `nextscan.training.Problem`.

    Attributes
    ----------
    train, held_out : FilmExamples
    settings : SADMSettings
    unit : float
        Root mean square of what frames differ by from what is expected without learning: outputs and errors are in it.
    """

    train: FilmExamples
    held_out: FilmExamples
    settings: SADMSettings
    unit: float

    @property
    def n_examples(self) -> int:
        """Number of films to learn from."""
        return len(self.train)

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the mean squared error of the frames of each film, shape (1, B)."""
        settings, coins = self.settings, coins_of(generators, self.train.n_coins)
        given, target = self.train.batch(
            examples[0].tolist(),
            coins,
            published=settings.given == "published",
            flip=settings.flip,
            shift=settings.shift,
        )
        return self._errors(network, given, target)[None]

    @torch.no_grad()
    def validation_score(self, network: Any) -> Tensor:
        """Return minus the error of films it has not seen, always the same frames of them given, shape (1,).

        Zero where there are none.
        """
        n = min(len(self.held_out), _VALIDATION)
        if not n:
            return torch.zeros(1, dtype=torch.float64)
        coins = np.random.default_rng(_VALIDATION_SEED).random((n, self.held_out.n_coins))
        published = self.settings.given == "published"
        errors = [
            self._errors(network, *self.held_out.batch([i], coins[i : i + 1], published=published, flip=False, shift=0))
            for i in range(n)
        ]
        return -torch.cat(errors).double().cpu().mean()[None]

    def _errors(self, network: Any, given: Sequences, target: Tensor) -> Tensor:
        error = ((target - ExpectedFilm.of(network, given, self.unit).images) / self.unit).square().flatten(2).mean(2)
        asked = given.asked.to(error.dtype)
        return (error * asked).sum(1) / asked.sum(1)
