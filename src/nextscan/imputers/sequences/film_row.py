"""What simple methods for films share: a guess from the images shown, and what it missed in films of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, Volume
from nextscan.cohort import Cohort, merge
from nextscan.errors import TooFewPairsError
from nextscan.imputers.baselines.paired_visits import donors
from nextscan.imputers.estimator import Progress
from nextscan.imputers.sequences.bank import FilmBank, Match
from nextscan.imputers.sequences.shown import Shown, shown_of
from nextscan.imputers.settings import at_least
from nextscan.imputers.volumes.base import Draw, Given, VolumeImputer
from nextscan.imputers.volumes.pairs import images_only

Guess = Callable[[Shown], Volume]


@dataclass(frozen=True, eq=False)
class Examples:
    """Films of training of which the same images are shown as of the subject that is imputed.

    Attributes
    ----------
    bank : FilmBank
    matches : list of Match
    far : ndarray of float, shape (n,)
        How far each image shown is from the target, of the subject that is imputed.
    source : int
        Which of the images shown gives the scale.
    guess : callable
    """

    bank: FilmBank
    matches: list[Match]
    far: FloatArray
    source: int
    guess: Guess

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[tuple[Shown, Volume, Volume]]:
        """Yield of each film what is shown, the image at the target, and the guess of it."""
        for match in self.matches:
            shown, truth = self.bank.shown(match, self.source)
            yield shown, truth, self.guess(shown)


@dataclass(frozen=True, eq=False)
class Learned:
    """What films of training say of one pattern of images shown.

    Attributes
    ----------
    residuals : ndarray of float16, shape (n, x, y, z)
        What the mean missed in each, in the scale of its source.
    mean : callable
        Returns the predictive mean from what is shown and the guess.
    """

    residuals: NDArray[np.float16]
    mean: Callable[[Shown, Volume], Volume]


@dataclass(eq=False, repr=False, kw_only=True)
class FilmRow(VolumeImputer):
    """Base of closed-form methods for films, which learn when they see which images are shown.

    `fit` keeps films of training and validation subjects. `impute` makes its guess for the subject, and for these
    films as if of them the same images were shown (see `nextscan.imputers.sequences.bank.FilmBank.matches`): what the
    guess misses there makes the draws. Draw k of all images of a subject takes what was missed in the film of one and
    the same person, so that draws go together over a film; whose it is depends on the subject's name, the seed and
    the draw only. A subclass implements ``_guess(shown)``.

    A film whose time is a circle (`nextscan.Cohort.period`) is one recording: all its images have the intensity scale
    of the one that a prediction starts from. Visits years apart are made equally bright first.

    Memory: the films kept take 2 bytes per voxel and image, so 40 films of 12 images of 128 x 128 x 16 voxels 250 MB,
    in `fit` as in the saved model; what was missed takes no more than that again while images are imputed.

    Parameters
    ----------
    n_films : int
        At most this many films are kept, chosen at random.
    match_brightness : bool, optional
        Whether images of a subject are made equally bright up to what changed, see
        `nextscan.imputers.volumes.brightness`; None: where time is no circle.
    shape, spacing, cache
        Of the grid on which images are compared, see `nextscan.preprocess.volumes.VolumePreparer`.

    Attributes
    ----------
    bank_ : FilmBank
    """

    uses_time: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    predicts_backward: ClassVar[bool] = True
    minimum_pairs: ClassVar[int] = 1
    minimum_films: ClassVar[int] = 1
    corrected: ClassVar[bool] = False
    """Whether the mean of what was missed is added to the guess."""
    _LEARNED: ClassVar[tuple[str, ...]] = ("bank",)
    _PARTS: ClassVar[dict[str, Any]] = {"bank": FilmBank}

    n_films: int = 40
    match_brightness: bool | None = None
    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    cache: str | None = None

    def _guess(self, shown: Shown) -> Volume:
        """Return the method's own prediction, shape (x, y, z), in the scale of the source."""
        raise NotImplementedError

    def _guessing(self) -> Guess:
        """Return what guesses, made anew for each `impute`."""
        return self._guess

    def _reach(self, shown: Shown) -> float:
        """Return in proportion to what the guess misses grow; all alike unless a subclass knows better."""
        return 1.0

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        at_least(1, n_films=self.n_films)
        cohort = images_only(merge(train, validation))
        matching = cohort.period is None if self.match_brightness is None else self.match_brightness
        self.bank_ = FilmBank.of(
            cohort, self.preparer_, n_films=self.n_films, seed=seed, match_brightness=matching, progress=progress
        )
        if len(self.bank_) < self.minimum_films:
            raise TooFewPairsError(
                f"{cohort.source or cohort.name}: {self.name} needs at least {self.minimum_films} subjects with two "
                f"images or more, there are {len(self.bank_)}; use a larger cohort"
            )
        self.record_ |= {"n_films": len(self.bank_), "period": self.bank_.period, "match_brightness": matching}

    def _drawing(self) -> Draw:
        bank, guess = self.bank_, self._guessing()
        matching = bool(self.record_["match_brightness"])
        kept: dict[tuple[float, ...], tuple[list[int], Learned]] = {}

        def learned(shown: Shown) -> tuple[list[int], Learned]:
            """Learn of the pattern, unless it is that of a subject before."""
            times = np.round([*shown.times, shown.target], 9)
            key = (*times.tolist(), shown.source)
            if key not in kept:
                found = bank.matches(times[:-1], float(times[-1]))
                new = self._learn(Examples(bank, found, shown.far, shown.source, guess))
                while kept and sum(of.residuals.nbytes for _, of in kept.values()) > bank.frames.nbytes:
                    kept.pop(next(iter(kept)))
                kept[key] = [match.film for match in found], new
            return kept[key]

        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume]:
            shown = shown_of(given, bank.period, match_brightness=matching)
            films, of = learned(shown)
            mean = of.mean(shown, guess(shown))
            whose = donors(len(bank), [given.subject], n_draws, seed)[:, 0]
            # of whom there is no residual, the next one's is taken
            taken = np.searchsorted(films, whose) % len(films)
            return mean + of.residuals[taken].astype(np.float32), mean

        return draw

    def _learn(self, examples: Examples) -> Learned:
        """Learn what the guess misses in films of training: on average, if it is corrected, and in each.

        The average is that of least squares through the origin over the reach of each film, which is the plain mean
        where all are alike; residuals are divided by one minus their leverage.
        """
        missed = np.empty((len(examples), *self.preparer_.shape), np.float16)
        reach = np.ones(len(examples))
        total = np.zeros(self.preparer_.shape)
        for i, (shown, truth, guess) in enumerate(examples):
            missed[i] = truth - guess
            reach[i] = self._reach(shown)
            total += reach[i] * (truth - guess)
        if not self.corrected:
            return Learned(missed, lambda shown, guess: guess)
        squares = float(reach @ reach) or 1.0
        average = (total / squares).astype(np.float32)
        for i, far in enumerate(reach.tolist()):
            left = missed[i].astype(np.float32) - np.float32(far) * average
            missed[i] = left / np.float32(max(1 - far**2 / squares, 1 / len(examples)))

        def mean(shown: Shown, guess: Volume) -> Volume:
            corrected: Volume = guess + np.float32(self._reach(shown)) * average
            return corrected

        return Learned(missed, mean)
