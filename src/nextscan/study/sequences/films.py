"""Studies of films: the curve of volumes over the hidden frames becomes one follow-up of a subject.

A cohort of films is turned into a cohort with one pseudo follow-up per subject (`Films.regional`): its features are the
volumes of regions in mL at each hidden frame, such as ``lv@frame-07``, and the ejection fraction in percent (``ef``).
It is split, hidden, scored, pooled and reported like any other; the methods themselves see images alone. The visit that
the follow-up is compared with says what copying the nearest frame shown would give, as it is measured there.

The ejection fraction is that of the whole curve, frames shown as they are measured in them; of draws it is taken draw
by draw. It counts the frames whose true volume is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray, Progress
from nextscan.cohort import Cohort, Split, Task, folds, hide, shown_visits
from nextscan.errors import CohortError
from nextscan.images.files import read_image
from nextscan.imputers.sequences.times import nearest
from nextscan.imputers.sequences.volume_ridge import VolumeRidge
from nextscan.metrics import ejection_fraction
from nextscan.study.plan import LEARNED_SEGMENTER, Plan
from nextscan.study.sequences.measuring import (
    Measuring,
    learn_measuring,
    load_measuring,
    measuring_path,
    named_volumes,
)
from nextscan.study.sequences.truth import CAVITY, RealFilm, real_film, regions_of, true_volumes
from nextscan.study.units import Units, feature_sd, visit_rows
from nextscan.study.volumes.measures import images_of

EF = "ef"


@dataclass(frozen=True, eq=False)
class Course:
    """The frames of one subject, by their rows in the cohort.

    Attributes
    ----------
    rows : ndarray of int, shape (n_frames,)
    given : ndarray of bool, shape (n_frames,)
    nearest : ndarray of int, shape (n_frames,)
        Place of the given frame nearest in time.
    horizon : ndarray, shape (n_frames,)
        Time from it, not below 0.
    n_before : ndarray, shape (n_frames,)
        Frames since the last given one, 0 for that one: as many as a method that goes on from its own frames has
        generated. NaN before the first given one, where time is no circle.
    """

    rows: IntArray
    given: BoolArray
    nearest: IntArray
    horizon: FloatArray
    n_before: FloatArray


def course_of(cohort: Cohort, rows: IntArray, given: BoolArray) -> Course:
    """Return how far each frame of a subject is from those that are shown."""
    places = np.flatnonzero(given)
    times = cohort.years[rows]
    known = np.isfinite(times)
    best = np.abs(np.arange(len(rows))[:, None] - places[None, :]).argmin(axis=1)  # where times are not known
    if known[places].all():
        best[known] = [nearest(times[places], float(time), cohort.period) for time in times[known]]
    apart = np.abs(cohort.apart(times[places[best]], times))
    since = np.full(len(rows), np.nan)
    last = float("nan") if cohort.period is None else float(places[-1] - len(rows))
    for k in range(len(rows)):
        last = float(k) if given[k] else last
        since[k] = k - last
    return Course(rows, given, places[best], apart, since)


@dataclass(frozen=True, eq=False)
class Films:
    """What the jobs of a study of films share.

    Attributes
    ----------
    cohort : Cohort
        A visit per frame; images alone.
    shown : ndarray of bool, shape (n_visits,)
        Which frames of test subjects are shown.
    regions : dict of name to int
        Labels of regions; of a segmenter of the user's own their order alone counts.
    truth : ndarray, shape (n_visits, n_regions)
        True volumes in mL, NaN where unknown.
    origin : str
        Where they come from.
    plan : Plan
    folder : Path
        Where what is learned to measure with is kept.
    regional : Cohort
        See the module.
    """

    kind: ClassVar[Literal["sequences"]] = "sequences"

    cohort: Cohort
    shown: BoolArray
    regions: Mapping[str, int]
    truth: FloatArray
    origin: str
    plan: Plan
    folder: Path
    regional: Cohort

    @classmethod
    def of(
        cls, cohort: Cohort, plan: Plan, folder: Path, *, progress: Progress | None = None, n_jobs: int = 1
    ) -> Films:
        """Learn to measure volumes in each fold, and measure all frames; or read what was kept.

        Raises
        ------
        CohortError
            If nobody has label maps to learn from, or there is no left chamber.
        ImageError
            If an image cannot be read.
        """
        shown = shown_visits(cohort, plan.shown, seed=plan.seed)
        learned = plan.segmenter == LEARNED_SEGMENTER
        regions, codes = regions_of(cohort), {}
        if not learned:
            first = read_image(cohort.files_of("volume")[np.flatnonzero(cohort.has_volume)[0]])
            codes = named_volumes(plan.segmenter, first.data, first.affine)
            regions = {name: regions.get(name, -1) for name in codes}
        elif not (cohort.files_of("segmentation") != "").any():
            raise CohortError(
                f"{cohort.source or cohort.name}: no frame has a label map, from which measuring volumes is learned; "
                "give label maps, or a segmenter (--segmenter module:function)"
            )
        if CAVITY not in regions:
            raise CohortError(
                f"{cohort.source or cohort.name}: none of the regions {', '.join(regions)} is called LV; say in the "
                "schema which label of the maps is the left chamber (regions in [sequences])"
            )
        known_maps = (cohort.files_of("segmentation") != "").any() and min(regions.values()) >= 0
        if learned or known_maps or cohort.law:
            truth, origin = true_volumes(cohort, regions)
        else:
            truth, origin = np.full((cohort.n_visits, len(regions)), np.nan), "segmenter"
        start = cls(cohort, shown, regions, truth, origin, plan, folder, cohort)
        start = replace(start, regional=start._regional(np.full(truth.shape, np.nan)))
        start._learn(progress, n_jobs)
        if np.isnan(truth[:, list(regions).index(CAVITY)]).all():
            start = replace(start, truth=start.measuring(0, 0).volumes, origin="segmenter")
        return replace(start, regional=start._regional(start.held_out(0)[0]))

    def _learn(self, progress: Progress | None, n_jobs: int) -> None:
        """Learn and measure in every fold that has not been, one file each."""
        from joblib import Parallel, delayed

        wanted: dict[Path, Split] = {}
        for split in self._splits():
            path = self._path(split.repeat, split.fold)
            if path not in wanted and load_measuring(path, self.plan, self.regions) is None:
                wanted[path] = _changed(split, self.films)
        learn = partial(learn_measuring, self.cohort, plan=self.plan, regions=self.regions)
        work = (delayed(learn)(split, path=path) for path, split in wanted.items())
        for i, _ in enumerate(Parallel(n_jobs=n_jobs, return_as="generator")(work), start=1):
            if progress is not None:
                progress({"phase": "learning to measure volumes", "done": i, "total": len(wanted)})

    def _splits(self) -> Any:
        return folds(self.regional, self.plan.n_folds, repeats=self.plan.repeats, seed=self.plan.seed)

    def _path(self, repeat: int, fold: int) -> Path:
        return measuring_path(self.folder, self.plan, repeat, fold, self.regions)

    # -- who sees what ----------------------------------------------------------------------------

    def _of(self, part: Cohort) -> tuple[Cohort, IntArray]:
        """Return the films of the subjects of a part, and their rows in the whole."""
        keep = np.isin(self.cohort.subjects, part.subjects)
        return self.cohort.select_subjects(keep), np.flatnonzero(keep[self.cohort.subject_of])

    def films(self, part: Cohort) -> Cohort:
        """Return the films of the subjects of a part of `regional`."""
        return self._of(part)[0]

    def seen(self, part: Cohort, split: Split, method: Any) -> Cohort:
        """Return what a method may see of a part of `regional`: images, or volumes measured in them."""
        films, rows = self._of(part)
        return self._measured(films, rows, split) if isinstance(method, VolumeRidge) else images_of(films)

    def _measured(self, films: Cohort, rows: IntArray, split: Split) -> Cohort:
        """Return volumes as the only features: measured in frames shown, as they are known to be in the others."""
        measured, truth = self.measuring(split.repeat, split.fold).volumes[rows], self.truth[rows]
        features = np.where(self.shown[rows][:, None] | np.isnan(truth), measured, truth)
        return replace(films, features=features, feature_names=tuple(self.regions), units=self._units, files={})

    def task(self, part: Cohort, split: Split, method: Any) -> Task:
        """Hide the frames of the subjects of a part that are not shown, of what a method sees."""
        films, rows = self._of(part)
        seen = self._measured(films, rows, split) if isinstance(method, VolumeRidge) else films
        return hide(seen, self.shown[rows])

    @property
    def _units(self) -> dict[str, str]:
        return dict.fromkeys(self.regions, "mL")

    # -- the pseudo follow-up ---------------------------------------------------------------------

    @cached_property
    def courses(self) -> dict[str, Course]:
        """The frames of every subject of whom some are shown and some hidden."""
        found = {}
        for i, name in enumerate(self.cohort.subjects):
            rows = np.flatnonzero((self.cohort.subject_of == i) & self.cohort.has_volume)
            given = self.shown[rows]
            if given.any() and not given.all():
                found[str(name)] = course_of(self.cohort, rows, given)
        return found

    @cached_property
    def columns(self) -> dict[tuple[str, str], int]:
        """Where among the features a region at a hidden frame is."""
        rows = [one.rows[~one.given] for one in self.courses.values()]
        visits = np.unique(self.cohort.visits[np.concatenate(rows)]) if rows else ()
        places = ((region, str(visit)) for region in self.regions for visit in visits)
        return {place: k for k, place in enumerate(places)}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Volumes at each hidden frame, and the ejection fraction."""
        return (*(f"{region}@{visit}" for region, visit in self.columns), EF)

    def vector(self, one: Course, hidden: FloatArray, ef: FloatArray | float, fill: float) -> FloatArray:
        """Arrange volumes at the hidden frames of a subject, shape (..., n_hidden, n_regions), as features."""
        out = np.full((*hidden.shape[:-2], len(self.columns) + 1), fill)
        visits = [str(name) for name in self.cohort.visits[one.rows[~one.given]]]
        for r, region in enumerate(self.regions):
            out[..., [self.columns[region, visit] for visit in visits]] = hidden[..., r]
        out[..., -1] = ef
        return out

    def ejection(self, one: Course, curves: FloatArray) -> FloatArray:
        """Return ejection fractions of curves of the cavity, shape (..., n_frames), over frames with known volume."""
        known = ~np.isnan(self.truth[one.rows, self.cavity])
        if not (known & ~one.given).any():
            return np.full(curves.shape[:-1], np.nan)
        return ejection_fraction(np.where(known, curves, np.nan))

    @property
    def cavity(self) -> int:
        """Place of the left chamber among the regions."""
        return list(self.regions).index(CAVITY)

    def _features(self, names: Sequence[str], measured: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what copying gives, and the truth, as features of each subject."""
        copied = np.full((len(names), len(self.columns) + 1), np.nan)
        true = copied.copy()
        for i, name in enumerate(names):
            one = self.courses.get(name)
            if one is None:
                continue
            for out, curve in ((copied[i], measured[one.rows[one.nearest]]), (true[i], self.truth[one.rows])):
                out[:] = self.vector(one, curve[~one.given], self.ejection(one, curve[:, self.cavity]), np.nan)
        return copied, true

    def _regional(self, measured: FloatArray) -> Cohort:
        """Return the cohort of one pseudo follow-up per subject."""
        cohort, volume = self.cohort, self.cohort.files_of("volume")
        names = [str(name) for name in cohort.subjects]
        copied, true = self._features(names, measured)
        rows: list[dict[str, Any]] = []
        for i, name in enumerate(names):
            own = np.flatnonzero(cohort.subject_of == i)
            one = self.courses.get(name)
            parts = {"shown": own} if one is None else {"shown": one.rows[one.given], "hidden": one.rows[~one.given]}
            for visit, of in parts.items():
                values = true[i] if visit == "hidden" else copied[i]
                # the time of a follow-up is that of its last frame: it only has to lie after what is shown
                rows.append({"of": i, "visit": visit, "row": of[0], "years": cohort.years[of[-1]], "values": values})
        first = np.array([row["row"] for row in rows])
        return replace(
            cohort,
            subject_of=np.array([row["of"] for row in rows], np.intp),
            visits=np.array([row["visit"] for row in rows]),
            years=np.array([row["years"] for row in rows], float),
            features=np.array([row["values"] for row in rows]),
            feature_names=self.feature_names,
            visit_labels=pd.DataFrame(index=range(len(rows))),
            units={name: "%" if name == EF else "mL" for name in self.feature_names},
            files={"volume": volume[first]},
            period=None,
        )

    def of_fold(self, split: Split) -> Split:
        """Return a fold whose visits to compare with are as measured in that fold."""
        measured = self.measuring(split.repeat, split.fold).volumes
        return _changed(split, lambda part: self._remeasured(part, measured))

    def _remeasured(self, part: Cohort, measured: FloatArray) -> Cohort:
        copied, _ = self._features([str(name) for name in part.subjects], measured)
        features = part.features.copy()
        shown = part.visits == "shown"
        features[shown] = copied[part.subject_of[shown]]
        return replace(part, features=features)

    def units(self, split: Split) -> Units:
        """Learn the scales of a fold; the unit of spread is that of the hidden frames, as a copy may have none."""
        last = np.concatenate([part.features[visit_rows(part)[1]] for part in (split.train, split.validation)])
        sd = feature_sd(last)
        least = 1e-12 * np.abs(np.nan_to_num(last)).max(axis=0, initial=0.0)
        return replace(Units.of(split), sd=np.where(sd > least, sd, np.nan))

    # -- measuring --------------------------------------------------------------------------------

    def measuring(self, repeat: int, fold: int) -> Measuring:
        """Return what measures in a fold."""
        found = load_measuring(self._path(repeat, fold), self.plan, self.regions)
        if found is None:
            raise CohortError(f"{self._path(repeat, fold)}: cannot be read; evaluate again")
        return found

    def held_out(self, repeat: int) -> tuple[FloatArray, FloatArray]:
        """Return volumes, and Dice of the cavity, as measured in real frames by the fold a subject is tested in."""
        volumes = np.full(self.truth.shape, np.nan)
        likeness = np.full(len(self.truth), np.nan)
        for split in self._splits():
            if split.repeat == repeat:
                _, rows = self._of(split.test)
                measuring = self.measuring(split.repeat, split.fold)
                volumes[rows], likeness[rows] = measuring.volumes[rows], measuring.likeness[rows]
        return volumes, likeness

    def real(self, one: Course) -> RealFilm:
        """Read the frames of a subject."""
        return real_film(self.cohort, one.rows, one.given, self.regions)

    def record(self) -> dict[str, Any]:
        """Return what `run.json` says of them."""
        clean = (self.cohort.files_of("noise_free") != "")[self.cohort.has_volume].all()
        return {
            "kind": self.kind,
            "shown": self.plan.shown,
            "period": self.cohort.period,
            "time_unit": self.cohort.time_unit,
            "regions": {"names": list(self.regions), "segmenter": self.plan.segmenter, "truth": self.origin},
            "image_truth": "noise_free" if clean else "volume",
            "n_frames": self.cohort.n_visits,
        }


def _changed(split: Split, change: Callable[[Cohort], Cohort]) -> Split:
    parts = (split.train, split.validation, split.test)
    train, validation, test = (change(part) for part in parts)
    return replace(split, train=train, validation=validation, test=test)
