"""The clauses of the contract of volume imputers, one function each, in the order in which they are best read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from nextscan.cohort import Cohort, targets
from nextscan.errors import CohortError
from nextscan.images.files import read_header, read_image
from nextscan.imputers.contract import checks
from nextscan.imputers.contract.candidate import assert_refused, finite, handled
from nextscan.imputers.contract.volume_candidate import VolumeCandidate

_FACTOR = 4.0  # changes of scale by it are exact in floating point

# -- settings and state ---------------------------------------------------------------------------

check_fit_is_reproducible = checks.check_fit_is_reproducible
check_inputs_unchanged = checks.check_inputs_unchanged
check_learned_names = checks.check_learned_names
check_refuses_before_fit = checks.check_refuses_before_fit
check_save_and_load = checks.check_save_and_load
check_settings_are_stored = checks.check_settings_are_stored


# -- results --------------------------------------------------------------------------------------


def check_source_grid(candidate: VolumeCandidate) -> None:
    """Assert that volumes lie on the grid of their sources, finite, for the targets asked for."""
    shown, wanted = candidate.task.shown, targets(candidate.task.shown)
    result = candidate.fitted.impute(shown, candidate.n_draws, seed=7)
    assert result.targets.equals(wanted.to_frame()), "targets must be those of nextscan.cohort.targets"
    assert len(result) == len(wanted), f"{len(wanted)} volumes were asked for, there are {len(result)}"
    for i, volume in enumerate(result):
        path = shown.files_of("volume")[wanted.context[i]]
        header = read_header(path)
        assert volume.source == path, "the source must be the last image seen"
        assert volume.mean.shape == header.shape, f"the mean has shape {volume.mean.shape}, its source {header.shape}"
        assert volume.draws.shape == (candidate.n_draws, *header.shape), f"draws have shape {volume.draws.shape}"
        assert np.array_equal(volume.affine, header.affine), "a volume must lie where its source does"
        assert volume.mean.dtype == volume.draws.dtype == np.float32, "volumes must be float32"
        names = (volume.subject, volume.visit, volume.gap)
        assert names == (wanted.subject[i], wanted.visit[i], wanted.gap[i]), "volumes must be in the order of targets"
    assert finite(candidate.result), "draws and mean must be finite"


def check_volumes_are_repeatable(candidate: VolumeCandidate) -> None:
    """Assert that a volume is the same in whatever order, and however often, volumes are asked for."""
    result = candidate.fitted.impute(candidate.task.shown, candidate.n_draws, seed=7)
    last, first = result[-1], result[0]
    assert np.array_equal(last.draws, candidate.result.draws[:, -1]), "the order of asking must not matter"
    assert np.array_equal(result[0].draws, first.draws), "asking again must give the same volume"


check_seeds = checks.check_seeds
check_noise_is_per_draw_and_subject = checks.check_noise_is_per_draw_and_subject
check_order_of_subjects = checks.check_order_of_subjects
check_neighbours_do_not_matter = checks.check_neighbours_do_not_matter
check_hidden_truth_does_not_leak = checks.check_hidden_truth_does_not_leak


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


check_at_years = checks.check_at_years


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


check_requests_before_and_after = checks.check_requests_before_and_after
check_unknown_labels = checks.check_unknown_labels
check_few_pairs = checks.check_few_pairs


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
