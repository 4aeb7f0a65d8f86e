"""What is asked of an imputer: which visit serves as context, which is wanted, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.cohort import Cohort, Files, concatenate
from nextscan.errors import CohortError, ImageError, SettingError, some
from nextscan.stamps import content_stamp
from nextscan.wording import counted, few


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of visit rows of one subject: a context visit and the next visit after it.

    Attributes
    ----------
    context, target : ndarray of int, shape (n,)
        Visit rows of the cohort.
    gap : ndarray of float, shape (n,)
        Years from context to target; NaN where unknown.
    """

    context: IntArray
    target: IntArray
    gap: FloatArray

    def __len__(self) -> int:
        return len(self.context)


@dataclass(frozen=True, eq=False)
class Targets:
    """The visits to impute, in the order of `Imputation.targets`.

    Attributes
    ----------
    subject : ndarray of str, shape (n,)
    visit : ndarray of str, shape (n,)
    years : ndarray of float, shape (n,)
        Since the subject's first visit, or the place on a circle; NaN where unknown.
    context : ndarray of int, shape (n,)
        Row of the nearest observed visit before the target (the first one, if none is before it); the last
        observed one of times that were asked for.
    gap : ndarray of float, shape (n,)
        Years from context to target; NaN where unknown.
    row : ndarray of int, shape (n,)
        Row of the request in the cohort, -1 where the cohort has no such row.
    """

    subject: NDArray[np.str_]
    visit: NDArray[np.str_]
    years: FloatArray
    context: IntArray
    gap: FloatArray
    row: IntArray

    def __len__(self) -> int:
        return len(self.subject)

    def select(self, keep: BoolArray | IntArray | slice) -> Targets:
        """Return some of the targets."""
        return Targets(**{name: value[keep] for name, value in vars(self).items()})

    def to_frame(self) -> pd.DataFrame:
        """Return subject, visit, years."""
        return pd.DataFrame({"subject": self.subject, "visit": self.visit, "years": self.years})


def pairs(cohort: Cohort) -> Pairs:
    """Find every pair of consecutive observed visits of a subject."""
    rows = np.flatnonzero(~cohort.is_request)
    same = cohort.subject_of[rows[1:]] == cohort.subject_of[rows[:-1]]
    context, target = rows[:-1][same], rows[1:][same]
    return Pairs(context, target, cohort.years[target] - cohort.years[context])


def targets(cohort: Cohort, at_years: Sequence[float] | None = None) -> Targets:
    """List the visits to impute.

    Without `at_years`: every request of the cohort, and for each subject with a single visit and
    no request one more visit, named ``imputed``, at unknown time. With `at_years`: for every subject
    one visit per number, counted from the last observed visit, negative before it; where the time of that one is
    unknown, so are the years since the first visit. Where time is a circle, the numbers are places on it, and the
    context is the observed visit nearest before each.

    Raises
    ------
    CohortError
        If a subject with a request has no observed visit at all.
    SettingError
        If `at_years` holds a number that is not finite.
    """
    request = cohort.is_request
    observed = cohort.observed_visits
    rows = np.arange(cohort.n_visits)
    last = np.full(cohort.n_subjects, -1)
    last[cohort.subject_of[~request]] = rows[~request]  # later rows overwrite earlier ones
    if (observed == 0).any():
        empty = cohort.subjects[observed == 0]
        raise CohortError(
            f"{cohort.source or cohort.name}: no observed visit to start from for subject {some(empty)}; "
            "give at least one visit with features or a volume, or drop these subjects"
        )
    if at_years is not None:
        return _targets_at(cohort, last, at_years)
    asked = rows[request]
    before = np.where(request, -1, rows)
    before = np.maximum.accumulate(before)[asked] if len(asked) else asked
    first = np.full(cohort.n_subjects, -1)
    observed_rows = rows[~request][::-1]
    first[cohort.subject_of[observed_rows]] = observed_rows
    of = cohort.subject_of[asked]
    outside = (before < 0) | (cohort.subject_of[np.maximum(before, 0)] != of)
    context = np.where(outside, first[of], before)
    has_request = np.bincount(of, minlength=cohort.n_subjects) > 0
    single = np.flatnonzero((observed == 1) & ~has_request)
    return _in_subject_order(
        cohort,
        np.concatenate([of, single]),
        np.concatenate([cohort.visits[asked], np.full(len(single), "imputed")]),
        np.concatenate([cohort.years[asked], np.full(len(single), np.nan)]),
        np.concatenate([context, last[single]]),
        np.concatenate([asked, np.full(len(single), -1)]),
    )


def _targets_at(cohort: Cohort, last: IntArray, at_years: Sequence[float]) -> Targets:
    ahead = np.asarray(at_years, float)
    if ahead.ndim != 1 or not len(ahead) or not np.isfinite(ahead).all():
        raise SettingError(f"at_years must be finite numbers of {cohort.time_unit}, got {list(at_years)}")
    of = np.repeat(np.arange(cohort.n_subjects), len(ahead))
    if cohort.period is not None:
        return _targets_around(cohort, last, of, np.tile(ahead, cohort.n_subjects), cohort.period)
    names = np.tile([f"imputed{value:+g}" for value in ahead], cohort.n_subjects)
    gap = np.tile(ahead, cohort.n_subjects)
    years = cohort.years[last[of]] + gap  # unknown where the time of the last visit is
    return _in_subject_order(cohort, of, names, years, last[of], np.full(len(of), -1), gap)


def _targets_around(cohort: Cohort, last: IntArray, of: IntArray, at: FloatArray, period: float) -> Targets:
    """List visits at places of a circle, each after the nearest observed visit before it."""
    names = np.array([f"imputed{value:+g}" for value in at])
    place = at % period
    known = np.flatnonzero(~cohort.is_request & ~np.isnan(cohort.years))
    context, gap = last[of], np.full(len(of), np.nan)
    for i in range(cohort.n_subjects):
        own = known[cohort.subject_of[known] == i]
        if len(own):
            mine = np.flatnonzero(of == i)
            since = (place[mine, None] - cohort.years[own]) % period
            nearest = since.argmin(axis=1)
            context[mine], gap[mine] = own[nearest], since[np.arange(len(mine)), nearest]
    return _in_subject_order(cohort, of, names, place, context, np.full(len(of), -1), gap)


def _in_subject_order(
    cohort: Cohort,
    of: IntArray,
    visit: NDArray[np.str_],
    years: FloatArray,
    context: IntArray,
    row: IntArray,
    gap: FloatArray | None = None,
) -> Targets:
    order = np.argsort(of, kind="stable")
    gap = years - cohort.years[context] if gap is None else gap
    return Targets(cohort.subjects[of], visit.astype(str), years, context, gap, row).select(order)


@dataclass(frozen=True, eq=False)
class Task:
    """Test subjects with their last visits hidden, and what was hidden.

    Attributes
    ----------
    shown : Cohort
        The hidden visits are requests here: their time is known, their features and files are not.
    targets : Targets
        One per hidden visit.
    truth : ndarray of float, shape (n_targets, n_features)
        The hidden features, native units; NaN where they were missing.
    truth_files : mapping of role to ndarray of str, shape (n_targets,)
        The hidden files.
    """

    shown: Cohort
    targets: Targets
    truth: FloatArray
    truth_files: Files = field(default_factory=dict)

    @property
    def context(self) -> FloatArray:
        """Features of the context visits, shape (n_targets, n_features)."""
        return self.shown.features[self.targets.context]


def hide(cohort: Cohort, shown: int | IntArray | BoolArray | None = None) -> Task:
    """Hide the last observed visit of every paired subject; unpaired subjects and requests are left out.

    Labels of the hidden visit other than its time are hidden too, unless they belong to the subject.

    Parameters
    ----------
    cohort : Cohort
    shown : int or ndarray, optional
        Hide all visits but this many first ones instead, one number or one per subject; or, as truth values of shape
        (n_visits,), all but those marked, see `nextscan.cohort.showing`. Subjects of whom nothing is left to hide, or
        nothing to show, are left out.

    Raises
    ------
    CohortError
        If nobody has a visit to hide.
    SettingError
        If fewer than one visit is to be shown.
    """
    observed = ~cohort.is_request
    if shown is not None and np.asarray(shown).dtype == bool:
        visible: BoolArray = np.asarray(observed & shown)
    else:
        if shown is not None and np.min(shown) < 1:
            raise SettingError(f"at least one visit of every subject must be shown, got {np.min(shown)}")
        count = cohort.observed_visits
        keep = count - 1 if shown is None else np.broadcast_to(shown, count.shape)
        visible = np.asarray(observed & (cohort.observed_before < keep[cohort.subject_of]))
    hidden = observed & ~visible
    seen, asked = (np.bincount(cohort.subject_of[rows], minlength=cohort.n_subjects) for rows in (visible, hidden))
    chosen = (seen > 0) & (asked > 0)
    if not chosen.any():
        more = "two visits" if shown is None else "a visit to hide beside those shown"
        raise CohortError(f"{cohort.source or cohort.name}: nobody has {more} with data; nothing to hide")
    stays = observed & chosen[cohort.subject_of]
    cohort, hidden = cohort.select_visits(stays), hidden[stays]
    features = cohort.features.copy()
    truth = features[hidden]
    features[hidden] = np.nan
    files = {role: np.where(hidden, "", paths) for role, paths in cohort.files.items()}
    truth_files = {role: paths[hidden] for role, paths in cohort.files.items()}
    visit_labels = cohort.visit_labels.loc[~hidden].reindex(range(cohort.n_visits))
    left = replace(cohort, features=features, files=files, visit_labels=visit_labels)
    return Task(left, targets(left), truth, truth_files)


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint subjects: fit on `train`, choose on `validation`, never look at `test` before scoring."""

    train: Cohort
    validation: Cohort
    test: Cohort
    repeat: int
    fold: int


def folds(
    cohort: Cohort, n_folds: int = 5, *, repeats: int = 1, seed: int = 0, validation_fraction: float = 0.1
) -> Iterator[Split]:
    """Split by subject: paired subjects into folds, unpaired ones into training and validation.

    Each fold is the test set once per repeat. A fraction of the remaining paired subjects (at least
    one), and the same fraction of the unpaired, validate. The split depends on the seed, the repeat
    and the subjects' names, not on methods nor on the order of the table.

    Raises
    ------
    SettingError
        If there are fewer than two folds or fewer paired subjects than folds.
    """
    if n_folds < 2 or repeats < 1 or not 0 <= validation_fraction < 1:
        raise SettingError(
            f"folds needs n_folds >= 2, repeats >= 1 and 0 <= validation_fraction < 1, "
            f"got {n_folds=}, {repeats=}, {validation_fraction=}"
        )
    paired = np.flatnonzero(cohort.is_paired)
    single = np.flatnonzero(~cohort.is_paired)
    if len(paired) < n_folds:
        raise CohortError(
            f"{cohort.source or cohort.name}: {len(paired)} subjects have two visits, too few for "
            f"{n_folds} folds; use fewer folds or a larger cohort"
        )
    for repeat in range(repeats):
        generator = np.random.default_rng([seed, repeat])
        mixed = _shuffled(cohort, paired, generator)
        mixed_single = _shuffled(cohort, single, generator)
        n_single = round(validation_fraction * len(single))
        parts = np.array_split(mixed, n_folds)
        for fold, test in enumerate(parts):
            rest = np.concatenate([part for i, part in enumerate(parts) if i != fold])
            n_validation = max(1, round(validation_fraction * len(rest))) if validation_fraction else 0
            validation = np.concatenate([rest[:n_validation], mixed_single[:n_single]])
            train = np.concatenate([rest[n_validation:], mixed_single[n_single:]])
            yield Split(
                train=cohort.select_subjects(train),
                validation=cohort.select_subjects(validation),
                test=cohort.select_subjects(test),
                repeat=repeat,
                fold=fold,
            )


def _shuffled(cohort: Cohort, positions: IntArray, generator: np.random.Generator) -> IntArray:
    by_name = positions[np.argsort(cohort.subjects[positions])]
    return by_name[generator.permutation(len(by_name))]


def split_validation(cohort: Cohort, *, fraction: float = 0.1, seed: int = 0) -> tuple[Cohort, Cohort]:
    """Split off validation subjects, the same fraction of paired and of unpaired ones."""
    generator = np.random.default_rng([seed, 1])
    validation = np.zeros(cohort.n_subjects, bool)
    for group in (cohort.is_paired, ~cohort.is_paired):
        mixed = _shuffled(cohort, np.flatnonzero(group), generator)
        validation[mixed[: round(fraction * len(mixed))]] = True
    return cohort.select_subjects(~validation), cohort.select_subjects(validation)


def merge(train: Cohort, validation: Cohort | None) -> Cohort:
    """Return training and validation subjects as one cohort, as closed-form methods use them."""
    if validation is None or not validation.n_subjects:
        return train
    return concatenate(train, validation)


def check_splits(*splits: Cohort) -> None:
    """Refuse splits, such as training and test, that share a subject, or an image under another subject's name.

    Images are compared by the size and the ends of their files.

    Raises
    ------
    CohortError
        If they do.
    ImageError
        If an image cannot be read.
    """
    names: dict[str, int] = {}
    images: dict[tuple[int, bytes], tuple[int, str]] = {}
    shared: list[str] = []
    copies: list[str] = []
    for i, split in enumerate(splits):
        for name in split.subjects:
            if names.setdefault(str(name), i) != i:
                shared.append(str(name))
        for row in np.flatnonzero(split.has_volume):
            name = str(split.subjects[split.subject_of[row]])
            where = f"{name} {split.visits[row]}"
            path = split.files_of("volume")[row]
            try:
                stamp = content_stamp(path)
            except OSError as error:
                raise ImageError(f"{path} ({where}): cannot be read: {error.strerror or error}") from None
            first, other = images.setdefault(stamp, (i, where))
            if first != i:
                copies.append(f"{other} = {where}")
    source = splits[0].source or splits[0].name
    if shared:
        raise CohortError(f"{source}: {counted(len(shared), 'subject')} in two splits: {few(shared)}; split by subject")
    if copies:
        raise CohortError(
            f"{source}: {counted(len(copies), 'image')} in two splits under different subjects: {few(copies)}; one "
            "scan under two names leaks from training to test, drop one"
        )
