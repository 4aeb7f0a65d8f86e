"""What every imputer of images has in common: checks, preprocessing, the source's own grid, saving."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import Volume
from nextscan.cohort import Cohort, PredictedVolume, Targets, VolumeImputation, check_splits, merge, targets
from nextscan.cohort.known import MissingLabels
from nextscan.errors import CohortError, NextscanWarning, TooFewPairsError
from nextscan.images.contrast import Contrast
from nextscan.imputers.estimator import Estimator, Progress
from nextscan.imputers.settings import at_least
from nextscan.imputers.volumes.kinds import OtherKinds, check_contrast, check_kinds, check_sign, learned_from
from nextscan.imputers.volumes.pairs import forward_pairs, images_only
from nextscan.preprocess.volumes import Prepared, VolumePreparer

_CUT = 0.05  # of the head: more is no neck that a field of view happens to show


@dataclass(frozen=True, eq=False)
class Seen:
    """One of the images of a subject that a prediction may start from.

    Attributes
    ----------
    time : float
        Since the subject's first visit; NaN where unknown.
    apart : float
        From it to the target, negative where it lies after the target, the shorter way round where time is a circle;
        NaN where unknown.
    after : bool
        Whether it comes after the target, by time or else by the order of visits.
    prepared : callable
        Returns the `Prepared` image, in a scale of its own.
    """

    time: float
    apart: float
    after: bool
    prepared: Callable[[], Prepared]


@dataclass(frozen=True, eq=False)
class Given:
    """What one prediction starts from.

    Attributes
    ----------
    subject : str
        Noise depends on it, on the seed and on the draw: all visits of a subject imputed at once share it.
    source : ndarray of float32, shape (x, y, z)
        The prepared source image, in [-1, 1].
    gap : float
        Years from the source to the target; NaN where unknown.
    labels : DataFrame, one row
        Of the subject and of the source's visit.
    time : float
        Of the target, since the subject's first visit; NaN where unknown.
    seen : tuple of Seen
        All images of the subject, before and after the target, in order of time; the source is one of them.
    window : (float, float)
        Intensities that are -1 and 1 in the source.
    """

    subject: str
    source: Volume
    gap: float
    labels: pd.DataFrame
    time: float = float("nan")
    seen: tuple[Seen, ...] = ()
    window: tuple[float, float] = (-1.0, 1.0)


Draw = Callable[[Given, int, int], tuple[Volume, Volume | None]]
"""``draw(given, n_draws, seed)`` -> draws (n_draws, x, y, z) and the predicted mean, or None; prepared scale."""


class VolumeImputer(Estimator):
    """Base of all imputers of images: a subclass stores settings in its constructor, learns, and draws.

    A subclass has at least the settings `shape`, `spacing` and `cache`, and implements

    - ``_fit(train, validation, seed, checkpoint, progress)``, which learns from `prepared_pairs`;
    - ``_drawing()`` -> `Draw`, called once for each `impute`;
    - ``_state()`` and ``_restore(state)``: what it learned as nested dicts of arrays, numbers, strings.

    Attributes
    ----------
    needs_time : bool
        Whether targets, and pairs to learn from, at unknown times are refused.
    preparer_ : VolumePreparer
        From native images to arrays of one shape in [-1, 1] and back.
    contrast_ : Contrast or None
        Of the images of training; None of a model that did not keep it.
    record_ : dict
        What happened in `fit`, ready for JSON: pairs and subjects used, preprocessing, choices made.
    """

    needs_time: ClassVar[bool] = False

    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    cache: str | None = None

    preparer_: VolumePreparer
    contrast_: Contrast | None

    # -- fit --------------------------------------------------------------------------------------

    def _begin(self, train: Cohort, validation: Cohort | None, seed: int) -> None:
        parts = [train] if validation is None else [train, validation]
        where = train.source or train.name
        if not train.has_volume.any():
            raise CohortError(
                f"{where}: holds no images, and {self.name} learns from images; give a BIDS folder or a table with a "
                "column volume, or use a method for features such as anchored"
            )
        gaps = np.concatenate([forward_pairs(part).gap for part in parts])
        if len(gaps) < self.minimum_pairs:
            raise TooFewPairsError(
                f"{where}: {self.name} needs at least {self.minimum_pairs} pairs of images to learn from, there are "
                f"{len(gaps)}; use a larger cohort"
            )
        if self.needs_time and not np.isfinite(gaps).all():
            raise CohortError(
                f"{where}: {int(np.isnan(gaps).sum())} of {len(gaps)} pairs of images lack the time between them, and "
                f"{self.name} with these settings needs it; give the years or ages of the visits"
            )
        check_splits(*parts)
        every = merge(train, validation)  # of few pairs all may validate
        self.preparer_ = VolumePreparer.of(every, shape=self.shape, spacing=self.spacing, cache=self.cache)
        images, self.contrast_ = learned_from(every, self.preparer_.quantiles)
        self.record_ = {
            "n_pairs": len(gaps),
            "n_subjects": sum(part.n_subjects for part in parts),
            "n_paired_subjects": sum(int(images_only(part).is_paired.sum()) for part in parts),
            "seed": seed,
            "images": images,
            "preprocessing": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in self.preparer_.state().items()
            },
        }
        known = gaps[gaps > 0]
        if len(known):
            self.record_ |= {"mean_gap": float(known.mean()), "gap_range": [float(known.min()), float(known.max())]}

    def reach(self, gap: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return intervals in units of the mean training interval; 1 where an interval is unknown."""
        return np.where(np.isnan(gap), 1.0, gap / self.record_.get("mean_gap", 1.0))

    # -- impute -----------------------------------------------------------------------------------

    def impute(
        self,
        cohort: Cohort,
        draws: int = 10,
        *,
        seed: int = 0,
        at_years: Sequence[float] | None = None,
        missing_labels: MissingLabels = "refuse",
        other_kinds: OtherKinds = "refuse",
        progress: Progress | None = None,
    ) -> VolumeImputation:
        """Predict the images that `nextscan.cohort.targets` lists: those of visits without one.

        Parameters
        ----------
        cohort : Cohort
            Needs an image of each subject.
        draws : int
            Draws per target.
        seed : int
            The same seed gives the same draws, whoever else is in the cohort.
        at_years : sequence of float, optional
            Impute these times after the last image instead; negative ones, before it, where the imputer
            `predicts_backward`.
        missing_labels : "refuse", "warn" or "ignore"
            As of imputers of features: what to do where a label of the model is known of nobody.
        other_kinds : "refuse", "warn" or "ignore"
            What to do with images that are, by their names, of another kind than those learned from: T2w, where it
            was T1w.
        progress : callable, optional
            Gets ``{"phase": "imputing", "done", "total"}`` after each volume.

        Returns
        -------
        VolumeImputation
            Volumes on the grid and the scale of their source images, each made when it is asked for; not
            below zero where the source is not.

        Raises
        ------
        NotFittedError, SettingError
        CohortError
            If a target lies before its subject's first image and the method predicts forward only, or its
            time is unknown and the method needs it; if a label of the model is known of nobody; if images are of
            another kind than those learned from.

        Warns
        -----
        NextscanWarning
            If labels are missing for some, or have categories that training never saw; if the protocol is another by
            the name, or voxels or intensities are much unlike those of training.
        """
        self._check_fitted()
        at_least(1, draws=draws)
        known = self.known
        cohort = images_only(known.applied(cohort))
        wanted = targets(cohort, at_years)
        self.check_direction(cohort, wanted)
        known.check_labels(cohort, wanted, missing_labels)
        self._check_times(cohort, wanted)
        images = self.record_.get("images", {})  # of no model before it was kept
        check_kinds(images, cohort, wanted, known.source, other_kinds, max(self.preparer_.spacing))
        make, done = self._predicting(cohort, wanted, draws, seed), 0
        looked_at: set[int] = set()

        def predict(i: int) -> PredictedVolume:
            nonlocal done
            row = int(wanted.context[i])
            if other_kinds != "ignore" and self.contrast_ is not None and row not in looked_at:
                looked_at.add(row)
                where = f"{wanted.subject[i]} {cohort.visits[row]}"
                check_contrast(self.contrast_, str(cohort.files_of("volume")[row]), where, known.source)
            volume = make(i)
            done += 1
            if progress is not None:
                progress({"phase": "imputing", "done": done, "total": max(done, len(wanted))})
            return volume

        return VolumeImputation(
            method=self.name, requested=wanted, seed=seed, n_draws=draws, predict=predict, record=self.record_
        )

    def _predicting(self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int) -> Callable[[int], PredictedVolume]:
        """Return what makes the volume of a target."""
        draw, held = self._drawing(), Held(self.preparer_, cohort)
        return lambda i: self._predict(held, wanted, i, draw, n_draws, seed)

    def _predict(self, held: Held, wanted: Targets, i: int, draw: Draw, n_draws: int, seed: int) -> PredictedVolume:
        cohort, row = held.cohort, int(wanted.context[i])
        prepared = held.prepared(row)
        where = f"{cohort.files_of('volume')[row]} ({wanted.subject[i]} {cohort.visits[row]})"
        check_sign(self.record_.get("images", {}), prepared.low, prepared.high, where, self.known.source)
        if prepared.outside > _CUT:
            warnings.warn(
                f"{where}: {prepared.outside:.0%} of the head lie outside the grid of the model, which is centred on "
                "the middle of the image, and stay as they are; crop the image around the head, or fit with a larger "
                "shape",
                NextscanWarning,
                stacklevel=2,
            )
        labels = cohort.labels_at(wanted.context[i : i + 1])
        given = Given(
            subject=str(wanted.subject[i]),
            source=prepared.data,
            gap=float(wanted.gap[i]),
            labels=labels,
            time=float(wanted.years[i]),
            seen=held.seen(row, float(wanted.years[i]), int(wanted.row[i])),
            window=(prepared.low, prepared.high),
        )
        draws, mean = draw(given, n_draws, seed)
        if mean is None:
            mean = draws.mean(axis=0)
        native = self.preparer_.restore(np.concatenate([mean[None], draws]), cohort, row, prepared)
        return predicted(cohort, wanted, i, native[0], native[1:])

    def _drawing(self) -> Draw:
        raise NotImplementedError

    def _check_times(self, cohort: Cohort, wanted: Targets) -> None:
        unknown = np.flatnonzero(np.isnan(wanted.gap))
        if self.needs_time and len(unknown):
            i = int(unknown[0])
            raise CohortError(
                f"{cohort.source or cohort.name}: subject {wanted.subject[i]} visit {wanted.visit[i]} (of "
                f"{len(unknown)} such): the years from its last image are not known, and {self.name} with these "
                "settings needs them; give the time of the visit, or ask for times with at_years"
            )

    # -- save -------------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        return {
            "preparer": self.preparer_.state(),
            "record": self.record_,
            "reading": self.reading_,
            "learned": self._state(),
        } | ({} if self.contrast_ is None else {"contrast": self.contrast_.state()})

    def _take_saved(self, state: dict[str, Any]) -> None:
        self.preparer_ = VolumePreparer.from_state(state["preparer"], cache=self.cache)
        self.record_ = state["record"]
        self.reading_ = state.get("reading", {})
        self.contrast_ = Contrast.from_state(state["contrast"]) if "contrast" in state else None
        self._restore(state["learned"])


class Held:
    """The prepared images of one subject at a time, each made when it is first asked for."""

    def __init__(self, preparer: VolumePreparer, cohort: Cohort) -> None:
        self.preparer, self.cohort = preparer, cohort
        self._subject, self._images = -1, dict[int, Prepared]()

    def prepared(self, row: int) -> Prepared:
        """Return the prepared image of a visit."""
        if (subject := int(self.cohort.subject_of[row])) != self._subject:
            self._subject, self._images = subject, {}
        if row not in self._images:
            self._images[row] = self.preparer.prepare(self.cohort, row)
        return self._images[row]

    def seen(self, row: int, time: float, target: int) -> tuple[Seen, ...]:
        """Return all images of the subject of a visit, and how far each is from a time or from a visit (-1: none)."""
        cohort = self.cohort
        rows = np.flatnonzero((cohort.subject_of == cohort.subject_of[row]) & cohort.has_volume)
        apart = cohort.apart(cohort.years[rows], np.full(len(rows), time))
        years = cohort.years[rows]
        after = np.where(np.isfinite(apart), years > time, (rows > target) & (target >= 0))
        each = zip(rows.tolist(), years.tolist(), apart.tolist(), after.tolist(), strict=True)
        return tuple(Seen(when, far, behind, partial(self.prepared, at)) for at, when, far, behind in each)


def predicted(cohort: Cohort, wanted: Targets, i: int, mean: Volume, draws: Volume) -> PredictedVolume:
    """Return the volume of a target, which lies where its source does."""
    from nextscan.images.files import read_header

    source = str(cohort.files_of("volume")[wanted.context[i]])
    return PredictedVolume(
        subject=str(wanted.subject[i]),
        visit=str(wanted.visit[i]),
        years=float(wanted.years[i]),
        gap=float(wanted.gap[i]),
        source=source,
        affine=read_header(source).affine,
        mean=mean,
        draws=draws,
    )
