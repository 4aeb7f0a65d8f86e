"""The clauses of the contract of volume imputers, one function each; `nextscan.imputers.contract.check` runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from nextscan.cohort import Cohort, hide, targets
from nextscan.errors import CohortError
from nextscan.images.files import read_header, read_image
from nextscan.imputers.contract.candidate import assert_refused, handled
from nextscan.imputers.contract.checks import (
    check_fit_is_reproducible,
    check_inputs_unchanged,
    check_learned_names,
    check_refuses_before_fit,
    check_save_and_load,
    check_settings_are_stored,
)
from nextscan.imputers.contract.volume_candidate import DRAWS, Seen, VolumeCandidate, finite

__all__ = [
    "check_fit_is_reproducible",
    "check_inputs_unchanged",
    "check_learned_names",
    "check_refuses_before_fit",
    "check_save_and_load",
    "check_settings_are_stored",
]  # what holds for imputers of features holds here; the others are below

_SHARED = 0.8  # correlation of noise beyond which it is the same in another scale
_FACTOR = 4.0  # changes of scale by it are exact in floating point


# -- results --------------------------------------------------------------------------------------


def check_source_grid(candidate: VolumeCandidate) -> None:
    """Assert that volumes lie on the grid of their sources, finite, for the targets asked for."""
    shown, wanted = candidate.task.shown, targets(candidate.task.shown)
    result = candidate.fitted.impute(shown, DRAWS, seed=7)
    assert result.targets.equals(wanted.to_frame()), "targets must be those of nextscan.cohort.targets"
    assert len(result) == len(wanted), f"{len(wanted)} volumes were asked for, there are {len(result)}"
    for i, volume in enumerate(result):
        path = shown.files_of("volume")[wanted.context[i]]
        header = read_header(path)
        assert volume.source == path, "the source must be the last image seen"
        assert volume.mean.shape == header.shape, f"the mean has shape {volume.mean.shape}, its source {header.shape}"
        assert volume.draws.shape == (DRAWS, *header.shape), f"draws have shape {volume.draws.shape}"
        assert np.array_equal(volume.affine, header.affine), "a volume must lie where its source does"
        assert volume.mean.dtype == volume.draws.dtype == np.float32, "volumes must be float32"
        names = (volume.subject, volume.visit, volume.gap)
        assert names == (wanted.subject[i], wanted.visit[i], wanted.gap[i]), "volumes must be in the order of targets"
    assert finite(candidate.result), "draws and mean must be finite"


def check_volumes_are_repeatable(candidate: VolumeCandidate) -> None:
    """Assert that a volume is the same in whatever order, and however often, volumes are asked for."""
    result = candidate.fitted.impute(candidate.task.shown, DRAWS, seed=7)
    last, first = result[-1], result[0]
    assert np.array_equal(last.draws, candidate.result.draws[:, -1]), "the order of asking must not matter"
    assert np.array_equal(result[0].draws, first.draws), "asking again must give the same volume"


def check_seeds(candidate: VolumeCandidate) -> None:
    """Assert that the same seed gives the same draws, another seed others."""
    again = candidate.impute(candidate.task.shown)
    assert np.array_equal(again.draws, candidate.result.draws), "the same seed must give the same draws"
    other = Seen.of(list(candidate.fitted.impute(candidate.task.shown, DRAWS, seed=8)))
    assert not np.array_equal(other.draws, candidate.result.draws), "another seed must give other draws"


def check_noise_is_per_draw_and_subject(candidate: VolumeCandidate) -> None:
    """Assert that draws and subjects have noise of their own, and that more draws extend fewer."""
    draws = Seen.of(list(candidate.fitted.impute(candidate.task.shown, 6, seed=7))).draws
    flat = (draws - draws.mean(axis=0)).reshape(*draws.shape[:2], -1)
    assert (flat.std(axis=0).max(axis=1) > 0).all(), "draws of a subject must differ"
    alike = np.corrcoef(flat.transpose(1, 0, 2).reshape(flat.shape[1], -1))[np.triu_indices(flat.shape[1], 1)]
    assert (alike < _SHARED).all(), f"subjects must not share their noise, it correlates by {alike.max():.2f}"
    candidate.agree(candidate.result.draws, draws[:DRAWS], "draw k must not depend on how many draws are made")


def check_order_of_subjects(candidate: VolumeCandidate) -> None:
    """Assert that imputing the subjects in another order changes nothing."""
    shown = candidate.task.shown
    order = np.argsort(-shown.subject_of, kind="stable")
    turned = replace(
        shown,
        subjects=shown.subjects[::-1],
        subject_of=np.sort(shown.subject_of.max() - shown.subject_of),
        visits=shown.visits[order],
        years=shown.years[order],
        features=shown.features[order],
        labels=shown.labels.iloc[::-1].reset_index(drop=True),
        visit_labels=shown.visit_labels.iloc[order].reset_index(drop=True),
        files={role: paths[order] for role, paths in shown.files.items()},
    )
    draws = candidate.impute(turned).draws[:, ::-1]
    candidate.agree(draws, candidate.result.draws, "the order of subjects must not matter")


def check_neighbours_do_not_matter(candidate: VolumeCandidate) -> None:
    """Assert that a subject alone gets what it gets in company."""
    alone = candidate.impute(candidate.task.shown.select_subjects([1]))
    candidate.agree(alone.draws, candidate.result.draws[:, 1:2], "who else is imputed must not matter")
    candidate.agree(alone.mean(), candidate.result.mean()[1:2], "who else is imputed must not matter")


def check_hidden_truth_does_not_leak(candidate: VolumeCandidate) -> None:
    """Assert that other hidden images give the same imputation."""
    files = candidate.test.files_of("volume").copy()
    last = np.flatnonzero(np.diff(candidate.test.subject_of, append=-1))
    files[last] = np.roll(files[last], 1)
    changed = hide(replace(candidate.test, files={**candidate.test.files, "volume": files}))
    assert (changed.truth_files["volume"] != candidate.task.truth_files["volume"]).any()
    draws = candidate.impute(changed.shown).draws
    assert np.array_equal(draws, candidate.result.draws), "the hidden follow-up must not be seen"


def check_intensity_scale(candidate: VolumeCandidate) -> None:
    """Assert that an image in another intensity scale is predicted in that scale."""
    brighter = candidate.rewritten(candidate.task.shown, "brighter", lambda data: data * np.float32(_FACTOR))
    result = candidate.impute(brighter)
    candidate.agree(result.draws / _FACTOR, candidate.result.draws, "the scale of the source must be carried through")
    candidate.agree(result.mean() / _FACTOR, candidate.result.mean(), "the scale of the source must be carried through")


def check_nonnegative(candidate: VolumeCandidate) -> None:
    """Assert that nothing is imputed below zero where the source has nothing below zero."""
    for volume in candidate.result.volumes:
        if read_image(volume.source).data.min() >= 0:
            assert volume.draws.min() >= 0, "draws must not be negative where the source is not"
            assert volume.mean.min() >= 0, "the mean must not be negative where the source is not"


# -- what cohorts come with -----------------------------------------------------------------------


def check_features_do_not_matter(candidate: VolumeCandidate) -> None:
    """Assert that columns of features beside the images change nothing, and make no visit observed."""
    shown = candidate.task.shown
    beside = replace(shown, features=np.arange(float(shown.n_visits))[:, None], feature_names=("volume of a region",))
    draws = candidate.impute(beside).draws
    assert np.array_equal(draws, candidate.result.draws), "features beside images must not matter"


def check_at_years(candidate: VolumeCandidate) -> None:
    """Assert that times after the last image can be asked for."""
    result = Seen.of(list(candidate.fitted.impute(candidate.test, 2, seed=7, at_years=[0.0, 2.5])))
    assert len(result.volumes) == 2 * candidate.test.n_subjects, "one target per subject and time was asked for"
    assert finite(result), "draws must be finite at the times asked for"


def check_unknown_times(candidate: VolumeCandidate) -> None:
    """Assert that targets and training pairs at unknown times are handled, or refused by a named error."""
    first = candidate.test.select_visits(candidate.test.years == 0)
    result = handled(partial(candidate.impute, first), "a target at an unknown time")
    assert result is None or (len(result.volumes) == first.n_subjects and finite(result))

    def timeless(cohort: Cohort) -> Cohort:
        return replace(cohort, years=np.where(cohort.years == 0, 0.0, np.nan))

    fit = partial(candidate.make().fit, timeless(candidate.train), timeless(candidate.validation), seed=1)
    model = handled(fit, "pairs without times")
    assert model is None or finite(candidate.impute(candidate.task.shown, model))


def check_requests_before_and_after(candidate: VolumeCandidate) -> None:
    """Assert that a visit before or after the images is imputed, or refused by a named error.

    One before them is refused unless the imputer says that it `predicts_backward`.
    """
    test = candidate.test
    for hidden in (test.years == 0, test.years > 0):
        files = {role: np.where(hidden, "", paths) for role, paths in test.files.items()}
        asked = replace(test, files=files)
        result = handled(partial(candidate.impute, asked), "a request before or after an image")
        if result is not None:
            backward = bool((targets(asked).gap < 0).any())
            assert candidate.fitted.predicts_backward or not backward, "a visit before the images must be refused"
            assert finite(result), "draws must be finite before and after an image"


def check_unknown_labels(candidate: VolumeCandidate) -> None:
    """Assert that missing labels, and texts never seen in training, are handled or refused by a named error."""
    shown = candidate.task.shown
    for labels in (shown.labels.iloc[:, :0], shown.labels.map(lambda _: "never seen")):
        bare = replace(shown, labels=labels, visit_labels=shown.visit_labels.iloc[:, :0])
        result = handled(partial(candidate.impute, bare), "unknown labels")
        assert result is None or finite(result), "draws must be finite where labels are unknown"


def check_few_pairs(candidate: VolumeCandidate) -> None:
    """Assert sound behaviour, or refusal by a named error, at 0, 1 and 2 subjects with pairs and none to validate."""
    paired = np.flatnonzero(candidate.train.is_paired)
    for n_paired in (0, 1, 2):
        keep = ~candidate.train.is_paired
        keep[paired[:n_paired]] = True
        model = handled(
            partial(candidate.make().fit, candidate.train.select_subjects(keep), seed=1), f"{n_paired} paired subjects"
        )
        assert n_paired or model is None, "nothing can be learned of change without pairs: refuse"
        assert model is None or finite(candidate.impute(candidate.task.shown, model))


def check_refuses_tables(candidate: VolumeCandidate) -> None:
    """Assert that a cohort without images is refused by a named error, in fit and in impute."""

    def table(cohort: Cohort) -> Cohort:
        return replace(cohort, files={}, features=np.ones((cohort.n_visits, 1)), feature_names=("feature",))

    assert_refused(
        lambda: candidate.make().fit(table(candidate.train), table(candidate.validation), seed=1),
        CohortError,
        "a table without images",
    )
    assert_refused(lambda: candidate.impute(table(candidate.task.shown)), CohortError, "a table without images")


# -- long fits ------------------------------------------------------------------------------------


class _KilledError(Exception):
    """Stands for whatever ends a process."""


def check_killed_fit_resumes(candidate: VolumeCandidate) -> None:
    """Assert that a fit that was killed in a second epoch goes on there, and ends where it would have ended.

    What trains several networks is killed in the second epoch of each that has one.
    """
    folder = candidate.folder / "checkpoint"
    made: list[tuple[Any, int]] = []
    killed_at: list[tuple[Any, int]] = []

    def kill(event: Mapping[str, Any]) -> None:
        if event.get("phase") == "training":
            made.append((event.get("title"), event["epoch"]))
            if made[-1][1] == 2 and made[-1] not in killed_at:  # said before the second checkpoint
                killed_at.append(made[-1])
                raise _KilledError

    while True:
        try:
            model = candidate.make().fit(
                candidate.train, candidate.validation, seed=1, checkpoint=folder, progress=kill
            )
            break
        except _KilledError:
            continue
    killed = bool(killed_at)
    assert killed or "learning" not in candidate.fitted.record_, "a fit must tell of its second epoch"
    again = [epoch for epoch in set(made) if made.count(epoch) > 1]
    assert set(again) <= set(killed_at), "a killed fit must go on, not start again"
    draws = candidate.impute(candidate.task.shown, model).draws
    candidate.agree(draws, candidate.result.draws, "a resumed fit must end where it would have ended")
    if killed:
        other = handled(
            partial(candidate.make().fit, candidate.train, candidate.validation, seed=2, checkpoint=folder),
            "a checkpoint of another seed",
        )
        assert other is None, "a checkpoint of another seed must be refused"
