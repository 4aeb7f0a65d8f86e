"""What SADM learned, from films to draws; the estimator is thin around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.cohort import Cohort, merge
from nextscan.errors import TooFewPairsError
from nextscan.imputers.estimator import Progress
from nextscan.imputers.sequences.sadm.denoising import DenoisingProblem, SequenceProcess
from nextscan.imputers.sequences.sadm.expected import ExpectedFilm, ExpectedProblem, make_network, token_for
from nextscan.imputers.sequences.sadm.films import Film, FilmExamples, Sequences, prepared_films
from nextscan.imputers.sequences.sadm.settings import SADMSettings
from nextscan.imputers.sequences.sadm.times import Base, Clock
from nextscan.imputers.sequences.sadm.variation import Variation, variation_of
from nextscan.imputers.settings import torch_device
from nextscan.imputers.volumes.learning import Arrays, Teacher, arrays_of
from nextscan.imputers.volumes.learning_settings import Machine
from nextscan.imputers.volumes.pairs import images_only, spread_by_brightness
from nextscan.networks.sequence_denoiser import SequenceDenoiser
from nextscan.networks.sequence_fields import SequenceFields
from nextscan.preprocess import LabelEncoder
from nextscan.preprocess.volumes import VolumePreparer
from nextscan.training import together

_ROUNDS = 8  # of chance, over all films, in which what is expected without learning is judged
_HELD_OUT = 10  # one in so many films judges the diffusion
_SEED = 20_250_106


@dataclass(frozen=True, eq=False)
class TrainedSADM:
    """What training learned.

    Attributes
    ----------
    settings : SADMSettings
    clock : Clock
    base : "nearest" or "linear"
    labels : LabelEncoder or None
    shape : three int
        Of prepared images.
    unit : float
        See `ExpectedProblem`.
    expected : list of dict of name to ndarray
        Networks of the expected film, each learned without one part of the people.
    variation : Variation or None
    spread : ndarray of float32, shape (n_bins,)
        Of what the expected images and their variation leave, see `SequenceProcess`.
    denoiser : dict of name to ndarray
        Empty where nothing is diffused.
    """

    settings: SADMSettings
    clock: Clock
    base: Base
    labels: LabelEncoder | None
    shape: tuple[int, int, int]
    unit: float
    expected: list[Arrays] = field(default_factory=list)
    variation: Variation | None = None
    spread: NDArray[np.float32] = field(default_factory=lambda: np.ones(2, np.float32))
    denoiser: Arrays = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        settings: SADMSettings,
        machine: Machine,
        *,
        preparer: VolumePreparer,
        train: Cohort,
        validation: Cohort | None,
        seed: int,
        checkpoint: Any,
        progress: Progress | None,
    ) -> tuple[Self, dict[str, Any]]:
        """Train; return what was learned and what is to be recorded of it. For arguments see `Estimator.fit`."""
        SequenceProcess.of(settings, np.ones(2, np.float32))  # refuses a wrong sampler before the images are read
        cohort = images_only(merge(train, validation))
        labels = LabelEncoder.fit(cohort.labels) if settings.use_labels else None
        if checkpoint is not None:
            checkpoint.mkdir(parents=True, exist_ok=True)
        with (
            together() as here,
            prepared_films(cohort, preparer, labels, checkpoint, progress) as films,
        ):
            device = torch_device(machine.device, here)
            _check_number(cohort, films)
            clock = Clock(cohort.period, _step(films), settings.time)
            base, unit = _base(settings, films, clock)
            teacher = Teacher(
                settings,
                machine,
                here,
                device,
                [settings.to_dict(), preparer.state(), cohort.fingerprint()],
                seed,
                checkpoint,
                progress,
            )
            made = cls(settings, clock, base, labels, preparer.shape, unit)
            learner = _Learner(made, teacher, films, _parts(films, settings.n_networks, seed))
            fitted = learner.fit() if settings.expected else {}
            denoiser = learner.denoiser(machine) if settings.diffusion else {}
            record = teacher.told() | {
                "n_films": len(films),
                "n_frames": [min(map(len, films)), max(map(len, films))],
                "base": base,
                "spread": unit,
            }
        return cls(settings, clock, base, labels, preparer.shape, unit, **fitted, denoiser=denoiser), record

    def examples(self, films: Sequence[Film], device: torch.device) -> FilmExamples:
        """Return films to learn from or to judge by."""
        return FilmExamples(tuple(films), self.clock, self.base, device)

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers that networks take."""
        n_labels = 0 if self.labels is None else len(self.labels.names)
        clock = self.clock
        return {
            "n_when": clock.n_when,
            "n_wanted": clock.n_wanted + n_labels,
            "n_summaries": clock.n_summaries,
        }

    def expecting(self) -> SequenceFields:
        """Return an untrained network of the expected film; its parameters come from torch's global generator."""
        return make_network(self.settings, **self.sizes, shape=self.shape)

    def denoising(self, *, checkpointing: bool = False) -> SequenceDenoiser:
        """Return an untrained denoiser; its parameters come from torch's global generator."""
        settings = self.settings
        return SequenceDenoiser(
            **self.sizes,
            attention=settings.attention,
            token=token_for(settings, self.shape),
            width=settings.width,
            n_conditions=settings.n_conditions,
            channels=settings.channels,
            unet_attention=settings.unet_attention,
            n_residual=settings.n_residual,
            patch=settings.patch,
            checkpointing=checkpointing,
        )

    def state(self) -> dict[str, Any]:
        """Return what was learned; settings are saved with the estimator's parameters."""
        return {
            "clock": asdict(self.clock),
            "base": self.base,
            "labels": None if self.labels is None else self.labels.state(),
            "shape": list(self.shape),
            "unit": self.unit,
            "expected": {str(k): arrays for k, arrays in enumerate(self.expected)},
            "variation": None if self.variation is None else self.variation.state(),
            "spread": self.spread,
            "denoiser": self.denoiser,
        }

    @classmethod
    def from_state(cls, settings: SADMSettings, state: dict[str, Any]) -> Self:
        """Undo `state`."""
        x, y, z = (int(n) for n in state["shape"])
        return cls(
            settings,
            Clock(**state["clock"]),
            state["base"],
            None if state["labels"] is None else LabelEncoder.from_state(state["labels"]),
            (x, y, z),
            state["unit"],
            [state["expected"][str(k)] for k in range(len(state["expected"]))],
            None if state["variation"] is None else Variation.from_state(state["variation"]),
            state["spread"],
            state["denoiser"],
        )


@dataclass(eq=False)
class _Learner:
    """Learns networks of the expected film crosswise, and then what they leave of people they have not seen."""

    made: TrainedSADM
    teacher: Teacher
    films: tuple[Film, ...]
    part: NDArray[np.intp]  # of each film
    _networks: list[Any] = field(default_factory=list)
    _spread: NDArray[np.float32] = field(default_factory=lambda: np.ones(2, np.float32))

    def fit(self) -> dict[str, Any]:
        """Learn expected films; return arrays, variation and spread."""
        made, teacher = self.made, self.teacher
        for k in range(int(self.part.max()) + 1):
            learned_from, held_out = (
                made.examples(
                    [film for film, p in zip(self.films, self.part, strict=True) if (p == k) == held], teacher.device
                )
                for held in (False, True)
            )
            make = partial(_expecting, made, learned_from, held_out)
            self._networks.append(teacher.teach("expected" if not k else f"expected-{k}", make))

        def left() -> tuple[Variation | None, NDArray[np.float32]]:
            variation, pairs = variation_of(self.films, self._expect_one, made.clock)
            return variation, spread_by_brightness(pairs)

        variation, self._spread = teacher.first(left)
        arrays = [arrays_of(network) for network in self._networks]
        return {"expected": arrays, "variation": variation, "spread": self._spread}

    def _expect_one(self, i: int, given: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return what is expected of a film given some frames, by who has not seen it, shape (T, x, y, z)."""
        examples = self.made.examples([self.films[i]], self.teacher.device)
        asked, _ = examples.of([0], [given])
        with torch.no_grad():
            images = ExpectedFilm.of(self._networks[self.part[i]], asked, self.made.unit).images
        found: NDArray[np.float32] = images[0].cpu().numpy()
        return found

    def denoiser(self, machine: Machine) -> Arrays:
        """Learn to diffuse what the expected images leave, or the images themselves."""
        made, teacher = self.made, self.teacher
        process = SequenceProcess.of(made.settings, self._spread)
        order = np.arange(len(self.films))
        held = order[::_HELD_OUT] if len(order) >= _HELD_OUT else order[:0]
        taught = np.setdiff1d(order, held)
        films, judges = (made.examples([self.films[i] for i in rows], teacher.device) for rows in (taught, held))
        around, judged = (partial(self._around, rows) if made.settings.expected else None for rows in (taught, held))

        def make() -> tuple[SequenceDenoiser, DenoisingProblem]:
            problem = DenoisingProblem(films, judges, process, around, judged)
            return made.denoising(checkpointing=machine.checkpointing), problem

        epochs = made.settings.draw_epochs if made.settings.expected else None
        return arrays_of(teacher.teach("draws", make, epochs=epochs))

    @torch.no_grad()
    def _around(self, rows: NDArray[np.intp], which: Sequence[int], given: Sequences) -> Tensor:
        """See `nextscan.imputers.sequences.sadm.denoising.Around`."""
        images = torch.zeros(*given.weights.shape[:2], *given.frames.shape[2:], device=given.frames.device)
        of_part = self.part[rows[list(which)]]
        for k in np.unique(of_part).tolist():
            people = torch.from_numpy(np.flatnonzero(of_part == k)).to(images.device)
            some = Sequences(*(part[people] for part in vars(given).values()))
            images[people] = ExpectedFilm.of(self._networks[k], some, self.made.unit).images
        return images


def _expecting(
    made: TrainedSADM, learned_from: FilmExamples, held_out: FilmExamples
) -> tuple[SequenceFields, ExpectedProblem]:
    return made.expecting(), ExpectedProblem(learned_from, held_out, made.settings, made.unit)


def _step(films: Sequence[Film]) -> float:
    """Return the mean time between neighbouring images; 1 where none is known."""
    gaps = np.concatenate([np.diff(film.times) for film in films])
    known = gaps[np.isfinite(gaps) & (gaps > 0)]
    return float(known.mean()) if len(known) else 1.0


def _parts(films: Sequence[Film], n: int, seed: int) -> NDArray[np.intp]:
    """Deal films into n parts, whatever their order; shape (n_films,)."""
    order = np.argsort([film.subject for film in films])[np.random.default_rng([seed, _SEED]).permutation(len(films))]
    part = np.empty(len(films), np.intp)
    part[order] = np.arange(len(films)) % min(n, len(films))
    return part


def _base(settings: SADMSettings, films: Sequence[Film], clock: Clock) -> tuple[Base, float]:
    """Choose what is expected without learning by training films; return it and its error."""
    kinds: tuple[Base, ...] = ("nearest", "linear") if settings.base == "best" else (settings.base,)
    errors = {kind: _error(films, clock, kind, settings.given == "published") for kind in kinds}
    best = min(errors, key=lambda kind: errors[kind])
    return best, errors[best] or 1.0


def _error(films: Sequence[Film], clock: Clock, kind: Base, published: bool) -> float:
    examples, squares, n = FilmExamples(tuple(films), clock, kind, torch.device("cpu")), 0.0, 0
    chance = np.random.default_rng(_SEED)
    for _ in range(_ROUNDS):
        for i in range(len(films)):
            coins = chance.random((1, examples.n_coins))
            given, target = examples.batch([i], coins, published=published, flip=False, shift=0)
            squares += float((target - given.base).square().mean())
            n += 1
    return float(np.sqrt(squares / n))


def _check_number(cohort: Cohort, films: Sequence[Film]) -> None:
    if len(films) < 2:
        raise TooFewPairsError(
            f"{cohort.source or cohort.name}: only {len(films)} subject has two images or more; at least 2 are needed, "
            "to learn from one and to see in the other what is left"
        )
