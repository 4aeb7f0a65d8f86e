"""Draws of a person's film, made once for all its images that are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, Volume
from nextscan.imputers.sequences.sadm.denoising import SequenceProcess
from nextscan.imputers.sequences.sadm.expected import ExpectedFilm
from nextscan.imputers.sequences.sadm.films import Asked, Sequences
from nextscan.imputers.sequences.sadm.trained import TrainedSADM
from nextscan.imputers.sequences.sadm.variation import N_MODES, own_modes, places
from nextscan.imputers.sequences.scale import as_reference
from nextscan.imputers.settings import torch_device
from nextscan.imputers.volumes.base import Given
from nextscan.imputers.volumes.learning import load_into
from nextscan.imputers.volumes.learning_settings import Machine
from nextscan.randomness import subject_keys

_TICKS = 1e6  # of a unit of time: times that are closer are the same


@dataclass(eq=False)
class _Person:
    """Images given of a person in one scale, and what was made of the film so far."""

    frames: list[Volume]
    times: FloatArray
    labels: FloatArray
    window: tuple[float, float]
    modes: NDArray[np.float32] | None = None
    departures: FloatArray | None = None  # (n_draws, n_common, n_modes)
    made: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # draws, by time


class Drawing:
    """Draws images of one person after the other; called as a `nextscan.imputers.volumes.base.Draw`.

    A film is made once: the images asked for of a person, with the same number of draws and seed, share the person's
    departure from what is expected, and in autoregression the images between.
    """

    def __init__(self, trained: TrainedSADM, machine: Machine) -> None:
        self.trained, self.device = trained, torch_device(machine.device)
        self.machine = machine
        self.expecting = [load_into(trained.expecting(), arrays, self.device) for arrays in trained.expected]
        self.process = SequenceProcess.of(trained.settings, trained.spread)
        self.denoiser: Any = load_into(trained.denoising(), trained.denoiser, self.device) if trained.denoiser else None
        self._key: tuple[object, ...] = ()
        self._person: _Person | None = None

    def __call__(self, given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume | None]:
        """Return draws (n_draws, x, y, z), and the expected image, or None where none was learned."""
        person = self._known(given, n_draws, seed)
        with self.machine.autocast(), torch.no_grad():
            if not self.trained.settings.expected:
                return _rescaled(self._diffused(person, given, n_draws, seed), person.window, given.window), None
            draws, mean = self._around(person, given, n_draws, seed)
        return _rescaled(draws, person.window, given.window), _rescaled(mean, person.window, given.window)

    def _known(self, given: Given, n_draws: int, seed: int) -> _Person:
        """Return the person of a prediction, the same one for all its images."""
        times = tuple(seen.time for seen in given.seen)
        one_film = self.trained.clock.period is not None
        key = (given.subject, times, n_draws, seed, None if one_film else given.window)
        if self._person is None or key != self._key:
            images = [seen.prepared() for seen in given.seen]
            # Frames of a film are brought to the scale of the first, other images to that of the source.
            reference = next((image for image in images if image.data is given.source and not one_film), images[0])
            encoder = self.trained.labels
            self._key = key
            self._person = _Person(
                [as_reference(image, reference, one_film=one_film) for image in images],
                np.array(times, np.float64),
                np.zeros(0) if encoder is None else encoder.transform(given.labels)[0],
                (reference.low, reference.high) if one_film else given.window,
            )
        return self._person

    def _asked(self, person: _Person, wanted: FloatArray, after: BoolArray | None = None) -> Sequences:
        """Return what is asked of a person at some times."""
        if after is None:
            after = person.times > wanted[:, None]
        asked = Asked(person.frames, person.times, wanted, after, person.labels)
        return Sequences.of(self.trained.clock, self.trained.base, [asked], self.device)

    def _expected(self, person: _Person, wanted: FloatArray, after: BoolArray | None = None) -> Volume:
        """Return expected images, the mean of what the networks expect, shape (T, x, y, z)."""
        asked = self._asked(person, wanted, after)
        images = [ExpectedFilm.of(network, asked, self.trained.unit).images[0] for network in self.expecting]
        mean: Volume = torch.stack(images).mean(0).cpu().numpy()
        return mean

    def _around(self, person: _Person, given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume]:
        """Draw the expected image, the person's departure from it, and what is diffused around both."""
        trained, time = self.trained, np.array([given.time])
        after = np.array([[seen.after for seen in given.seen]])
        if trained.settings.autoregressive:
            person = self._with_between(person, given)
            after = None if len(person.times) > len(given.seen) else after
        mean = self._expected(person, time, after)[0]
        moved = np.repeat(mean[None], n_draws, axis=0)
        if trained.variation is not None:
            moved = moved + self._departing(person, given, mean, n_draws, seed)
        if self.denoiser is None:
            return moved.clip(-1, 1), mean.clip(-1, 1)
        expected = torch.from_numpy(moved[:, None].astype(np.float32)).to(self.device)
        asked = self._asked(person, time, after)
        draws = self._denoised(asked, expected, given, n_draws, seed)
        return draws, mean.clip(-1, 1)

    def _departing(self, person: _Person, given: Given, mean: Volume, n_draws: int, seed: int) -> Volume:
        """Return how draws of an image depart from the expected one, shape (n_draws, x, y, z)."""
        variation, clock = self.trained.variation, self.trained.clock
        assert variation is not None
        common, known = variation.times, bool(np.isfinite(person.times).all())
        start = float(person.times[0]) if clock.period is None and known else 0.0
        if person.modes is None:
            shown = np.zeros(len(common), bool)
            shown[places(person.times, common, clock)] = True
            whole = [*person.frames, mean]
            if known and not shown.all():
                whole = [*person.frames, *self._expected(person, start + common[~shown])]
            person.modes = own_modes(whole, N_MODES)
            person.departures = variation.draw(shown, given.subject, n_draws, seed)
        assert person.departures is not None
        amounts = _at(person.departures, common, clock.period, given.time - start)
        departures: Volume = np.tensordot(amounts, person.modes, axes=1).astype(np.float32)
        return departures

    def _with_between(self, person: _Person, given: Given) -> _Person:
        """Return the person with expected images in place of those between the last one seen and the one wanted."""
        frames, times = list(person.frames), list(person.times)
        for between in self._between(person, given):
            step = _Person(frames, np.array(times), person.labels, person.window)
            frames.append(self._expected(step, np.array([between]))[0])
            times.append(between)
        order = np.argsort(times, kind="stable")
        made = _Person([frames[i] for i in order], np.array(times)[order], person.labels, person.window)
        made.modes, made.departures = person.modes, person.departures
        return made

    def _between(self, person: _Person, given: Given) -> list[float]:
        """Return the times of images between the last one seen before the one wanted, and that one."""
        clock = self.trained.clock
        if not np.isfinite([*person.times, given.time]).all():
            return []
        before = person.times[person.times < given.time]
        if not len(before):
            return []
        n = max(round((given.time - before.max()) / clock.step), 1)
        return [float(before.max() + k * clock.step) for k in range(1, n)]

    def _diffused(self, person: _Person, given: Given, n_draws: int, seed: int) -> Volume:
        """Draw an image by diffusion alone, in autoregression after those between."""
        times = [*(self._between(person, given) if self.trained.settings.autoregressive else []), given.time]
        for time in times:
            tick = _tick(time)
            if tick not in person.made:
                person.made[tick] = self._next(person, given, time, n_draws, seed)
        return person.made[_tick(given.time)]

    def _next(self, person: _Person, given: Given, time: float, n_draws: int, seed: int) -> Volume:
        """Draw the image at a time: each draw given what it made before."""
        wanted, after = np.array([time]), None
        earlier = sorted(tick for tick in person.made if self.trained.settings.autoregressive and tick < _tick(time))
        if not np.isfinite(time):
            after = np.array([[seen.after for seen in given.seen]])
        asked = []
        for k in range(n_draws if earlier else 1):
            frames = [*person.frames, *(person.made[tick][k] for tick in earlier)]
            times = np.array([*person.times, *(tick / _TICKS for tick in earlier)])
            order = np.argsort(times, kind="stable")
            later = times[order] > wanted[:, None] if after is None else after
            asked.append(Asked([frames[i] for i in order], times[order], wanted, later, person.labels))
        sequences = Sequences.of(self.trained.clock, self.trained.base, asked, self.device)
        nothing = torch.zeros(n_draws, 1, *person.frames[0].shape, device=self.device)
        return self._denoised(sequences, nothing, given, n_draws, seed, time)

    def _denoised(
        self,
        asked: Sequences,
        expected: torch.Tensor,
        given: Given,
        n_draws: int,
        seed: int,
        time: float | None = None,
    ) -> Volume:
        """Diffuse images around what is expected, shape (n_draws, x, y, z)."""
        people = torch.arange(len(asked.frames), device=self.device)
        seen = asked.seen_from(people, torch.zeros_like(people))
        key = torch.full((n_draws,), int(subject_keys([given.subject])[0]), device=self.device)
        keys = torch.stack([key, torch.arange(n_draws, device=self.device)], dim=1)
        step = _tick(given.time if time is None else time)
        draws: Volume = self.process.draw(self.denoiser, seen, expected, keys, step, seed)[:, 0].cpu().numpy()
        return draws


def _tick(time: float) -> int:
    """Return a time as a whole number; unknown times are one."""
    return round(time * _TICKS) if np.isfinite(time) else -1


def _at(curves: FloatArray, times: FloatArray, period: float | None, time: float) -> FloatArray:
    """Return curves (n, n_times, n_modes) at a time between theirs, shape (n, n_modes)."""
    if not np.isfinite(time):
        return curves[:, -1]
    if period is not None:
        times, curves = np.append(times, times[0] + period), np.concatenate([curves, curves[:, :1]], axis=1)
        time = (time - times[0]) % period + times[0]
    right = int(np.clip(np.searchsorted(times, time), 1, len(times) - 1))
    share = float(np.clip((time - times[right - 1]) / (times[right] - times[right - 1]), 0, 1))
    between: FloatArray = (1 - share) * curves[:, right - 1] + share * curves[:, right]
    return between


def _rescaled(images: Volume, window: tuple[float, float], wanted: tuple[float, float]) -> Volume:
    """Return images in which one window of intensities is [-1, 1], with another there."""
    if window == wanted:
        return images
    (low, high), (first, last) = window, wanted
    native = (images + 1) / 2 * (high - low) + low
    scaled: Volume = ((native - first) / (last - first) * 2 - 1).astype(np.float32)
    return scaled
