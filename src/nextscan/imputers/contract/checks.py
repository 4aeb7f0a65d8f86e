"""The clauses of the contract, one function each; `nextscan.imputers.contract.check` runs them.

Those that take a `BaseCandidate` hold for imputers of volumes as well; their others are in `volume_checks`.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from nextscan.cohort import Cohort, targets
from nextscan.errors import FeatureMismatchError, NotFittedError, SettingError
from nextscan.imputers.contract.candidate import BaseCandidate, Candidate, assert_refused, finite, handled, with_gaps

POWER_OF_TWO = 1024.0  # changes of unit by it are exact in floating point


# -- settings and state ---------------------------------------------------------------------------


def check_settings_are_stored(candidate: BaseCandidate) -> None:
    """Assert that the constructor stores its arguments by identity; get_params, set_params and clone agree."""
    model = candidate.make()
    params = model.get_params()
    again = type(model)(**params)
    for name, value in params.items():
        assert getattr(again, name) is value, f"the constructor must store {name} as given"
    copy = candidate.fitted.clone()
    assert copy.get_params() == candidate.fitted.get_params(), "clone must keep the settings"
    assert not hasattr(copy, "record_"), "clone must not be fitted"
    assert copy.set_params(**params) is copy, "set_params must return the imputer"
    assert_refused(lambda: copy.set_params(no_such_setting=1), SettingError, "an unknown setting")


def check_refuses_before_fit(candidate: BaseCandidate) -> None:
    """Assert that imputing or saving before fitting is a named error."""
    model = candidate.make()
    assert_refused(lambda: model.impute(candidate.task.shown, 2), NotFittedError, "impute before fit")
    with tempfile.TemporaryDirectory() as folder:
        assert_refused(lambda: model.save(Path(folder) / "model"), NotFittedError, "save before fit")


def check_learned_names(candidate: BaseCandidate) -> None:
    """Assert that what fit learns has names ending in an underscore; its record is ready for JSON."""
    settings = set(candidate.fitted.get_params())
    learned = [name for name in vars(candidate.fitted) if name not in settings]
    wrong = [name for name in learned if not name.endswith("_")]
    assert not wrong, f"learned attributes must end in an underscore: {wrong}"
    json.dumps(candidate.fitted.record_, allow_nan=False)


def check_inputs_unchanged(candidate: BaseCandidate) -> None:
    """Assert that fitting and imputing leave the cohorts and the settings as they were."""
    assert candidate.fitted.get_params() == candidate.make().get_params(), "fit must not change the settings"
    assert candidate.result is not None
    now = [part.fingerprint() for part in (candidate.train, candidate.validation, candidate.task.shown)]
    assert now == candidate.fingerprints, "fit and impute must not change the cohorts"


def check_fit_is_reproducible(candidate: BaseCandidate) -> None:
    """Assert that the same data and seed give the same model."""
    model = candidate.make().fit(candidate.train, candidate.validation, seed=1)
    candidate.agree(candidate.impute(candidate.task.shown, model).draws, candidate.result.draws, "fit again, same seed")


def check_save_and_load(candidate: BaseCandidate) -> None:
    """Assert that a saved and loaded model makes the same draws, exactly."""
    from nextscan.imputers.model_folder import load

    with tempfile.TemporaryDirectory() as folder:
        candidate.fitted.save(Path(folder) / "model")
        again = load(Path(folder) / "model")
    settings = [json.dumps(model.get_params()) for model in (again, candidate.fitted)]
    assert settings[0] == settings[1], "load must restore the settings"
    assert again.record_ == candidate.fitted.record_, "load must restore the record"
    result = candidate.impute(candidate.task.shown, again)
    assert np.array_equal(result.draws, candidate.result.draws), "a loaded model must make the same draws"
    assert np.array_equal(result.mean(), candidate.result.mean()), "a loaded model must predict the same mean"


# -- results --------------------------------------------------------------------------------------


def check_shape_and_names(candidate: Candidate) -> None:
    """Assert that draws are (draws, targets, features), finite, for the targets asked for."""
    result, wanted = candidate.result, targets(candidate.task.shown)
    shape = (candidate.n_draws, len(wanted), candidate.train.n_features)
    assert result.draws.shape == shape, f"draws have shape {result.draws.shape}, expected {shape}"
    assert result.feature_names == candidate.train.feature_names, "feature names and their order must be kept"
    assert result.targets.equals(wanted.to_frame()), "targets must be those of nextscan.cohort.targets"
    assert result.mean().shape == shape[1:], f"the mean has shape {result.mean().shape}, expected {shape[1:]}"
    assert finite(result), "draws and mean must be finite"


def check_observed_values_kept(candidate: Candidate) -> None:
    """Assert that the visit each prediction starts from is handed back bit for bit."""
    candidate.assert_kept(candidate.result, candidate.task.shown)


def check_seeds(candidate: BaseCandidate) -> None:
    """Assert that the same seed gives the same draws, another seed others."""
    again = candidate.impute(candidate.task.shown)
    assert np.array_equal(again.draws, candidate.result.draws), "the same seed must give the same draws"
    other = candidate.impute(candidate.task.shown, seed=8)
    assert not np.array_equal(other.draws, candidate.result.draws), "another seed must give other draws"


def check_noise_is_per_draw_and_subject(candidate: BaseCandidate) -> None:
    """Assert that draws and subjects have noise of their own, and that more draws extend fewer."""
    draws, fewer = (candidate.impute(candidate.task.shown, n_draws=n).draws for n in (6, 2))
    assert (draws.std(axis=0).reshape(draws.shape[1], -1).max(axis=1) > 0).all(), "draws of a subject must differ"
    candidate.assert_own_noise(draws)
    candidate.agree(fewer, draws[:2], "draw k must not depend on how many draws are made")


def check_order_of_subjects(candidate: BaseCandidate) -> None:
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


def check_neighbours_do_not_matter(candidate: BaseCandidate) -> None:
    """Assert that a subject alone gets what it gets in company."""
    alone = candidate.impute(candidate.task.shown.select_subjects([1]))
    candidate.agree(alone.draws, candidate.result.draws[:, 1:2], "who else is imputed must not matter")
    candidate.agree(alone.mean(), candidate.result.mean()[1:2], "who else is imputed must not matter")


def check_hidden_truth_does_not_leak(candidate: BaseCandidate) -> None:
    """Assert that other hidden follow-ups give the same imputation."""
    draws = candidate.impute(candidate.other_truth().shown).draws
    assert np.array_equal(draws, candidate.result.draws), "the hidden follow-up must not be seen"


def check_native_units(candidate: Candidate) -> None:
    """Assert that a feature in another unit is predicted in that unit, and the others as before."""
    factor = np.where(np.arange(candidate.train.n_features) % 2, 1.0, POWER_OF_TWO)

    def converted(cohort: Cohort) -> Cohort:
        return replace(cohort, features=cohort.features * factor)

    model = candidate.make().fit(converted(candidate.train), converted(candidate.validation), seed=1)
    result = candidate.impute(converted(candidate.task.shown), model)
    candidate.agree(result.draws / factor, candidate.result.draws, "units of features must be carried through")
    candidate.agree(result.mean() / factor, candidate.result.mean(), "units of features must be carried through")


def check_nonnegative(candidate: Candidate) -> None:
    """Assert that nothing is imputed below zero where training saw nothing below zero."""
    positive = np.nanmin(candidate.train.features, axis=0) >= 0
    shown = candidate.task.shown
    result = candidate.impute(replace(shown, features=np.where(positive, shown.features * 1e-3, shown.features)))
    assert (result.draws[..., positive] >= 0).all(), "draws must not be negative where training is not"
    assert (result.mean()[:, positive] >= 0).all(), "the mean must not be negative where training is not"


# -- what cohorts come with -----------------------------------------------------------------------


def check_columns(candidate: Candidate) -> None:
    """Assert that columns are found by name, and that lacking columns and other units are named errors."""
    shown = candidate.task.shown
    turned = shown.select_features(shown.feature_names[::-1])
    extra = replace(
        turned,
        features=np.column_stack([turned.features, turned.features[:, 0]]),
        feature_names=(*turned.feature_names, "another feature"),
    )
    result = candidate.impute(extra)
    assert result.feature_names == candidate.train.feature_names, "results must have the features of training"
    candidate.agree(result.draws, candidate.result.draws, "the order of columns must not matter")
    lacking = shown.select_features(shown.feature_names[1:])
    assert_refused(lambda: candidate.impute(lacking), FeatureMismatchError, "a table that lacks a feature")
    name = next(iter(candidate.train.units), None)
    if name is not None:
        other = replace(shown, units={**shown.units, name: "another unit"})
        assert_refused(lambda: candidate.impute(other), FeatureMismatchError, "a table in other units")


def check_at_years(candidate: BaseCandidate) -> None:
    """Assert that times after the last visit can be asked for."""
    result = candidate.impute(candidate.test, n_draws=2, at_years=candidate.times)
    assert result.draws.shape[1] == 2 * candidate.test.n_subjects, "one target per subject and time was asked for"
    assert finite(result), "draws must be finite at the times asked for"


def check_single_visits(candidate: Candidate) -> None:
    """Assert that subjects with one visit and no request get one imputed visit, at unknown time."""
    first = candidate.test.select_visits(candidate.test.years == 0)
    result = candidate.impute(first)
    assert len(result.targets) == first.n_subjects, "every single visit must get a follow-up"
    assert finite(result), "draws must be finite where the time is unknown"


def check_requests_before_and_after(candidate: BaseCandidate) -> None:
    """Assert that a visit before or after the observed one is imputed, or refused by a named error.

    One before it is refused unless the imputer says that it `predicts_backward`.
    """
    test = candidate.test
    for hidden in (test.years == 0, test.years > 0):
        asked = candidate.hiding(test, hidden)
        result = handled(partial(candidate.impute, asked), f"a request before or after {candidate.observed}")
        if result is not None:
            backward = bool((targets(asked).gap < 0).any())
            assert candidate.fitted.predicts_backward or not backward, "a visit before the observed one must be refused"
            assert finite(result), f"draws must be finite before and after {candidate.observed}"
            candidate.assert_kept(result, asked)


def check_unknown_labels(candidate: BaseCandidate) -> None:
    """Assert that missing labels, and texts never seen in training, are handled or refused by a named error."""
    shown = candidate.task.shown
    for labels in (shown.labels.iloc[:, :0], shown.labels.map(lambda _: "never seen")):
        bare = replace(shown, labels=labels, visit_labels=shown.visit_labels.iloc[:, :0])
        result = handled(partial(candidate.impute, bare), "unknown labels")
        assert result is None or finite(result), "draws must be finite where labels are unknown"


def check_missing_cells(candidate: Candidate) -> None:
    """Assert that missing cells in any visit are handled, or refused by a named error."""
    train, shown = with_gaps(candidate.train, 0.1), with_gaps(candidate.task.shown, 0.3)
    result = handled(
        lambda: candidate.impute(shown, candidate.make().fit(train, candidate.validation, seed=1)), "missing cells"
    )
    if result is not None:
        assert finite(result), "draws must be finite where cells are missing"
        candidate.assert_kept(result, shown)


def check_constant_features(candidate: Candidate) -> None:
    """Assert that a constant feature stays what it is, or is refused by a named error."""

    def flat(cohort: Cohort) -> Cohort:
        features = cohort.features.copy()
        features[:, -1] = np.where(cohort.is_request, np.nan, 3.25)
        return replace(cohort, features=features)

    model = handled(
        lambda: candidate.make().fit(flat(candidate.train), flat(candidate.validation), seed=1), "a constant feature"
    )
    if model is not None:
        result = candidate.impute(flat(candidate.task.shown), model)
        assert finite(result), "draws must be finite beside a constant feature"
        assert np.allclose(result.draws[..., -1], 3.25, rtol=1e-5), "a constant feature must stay constant"


def check_few_pairs(candidate: BaseCandidate) -> None:
    """Assert sound behaviour, or refusal by a named error, with few paired subjects and none to validate."""
    for n_paired in candidate.few:
        keep = ~candidate.train.is_paired
        keep[np.flatnonzero(candidate.train.is_paired)[:n_paired]] = True
        train, what = candidate.train.select_subjects(keep), f"{n_paired} paired subjects"
        model = handled(partial(candidate.make().fit, train, seed=1), what)
        assert n_paired or model is None, "nothing can be learned of change without pairs: refuse"
        if model is not None:
            assert finite(candidate.impute(candidate.task.shown, model)), f"draws must be finite with {what}"
