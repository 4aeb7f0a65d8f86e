"""Volume ridge: what a curve is regressed on, and draws of whole curves of people left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort, hide, shown_visits
from nextscan.errors import CohortError, TooFewPairsError
from nextscan.imputers.sequences.volume_ridge import VolumeRidge

N_FRAMES = 6


def curves(n: int = 40, seed: int = 0, noise: float = 1.0) -> Cohort:
    """Return beats: a volume of its own falls by a part of its own, which the second frame tells."""
    generator = np.random.default_rng(seed)
    size, part = generator.normal(150, 30, n), generator.uniform(0.3, 0.6, n)
    times = np.arange(N_FRAMES) / N_FRAMES
    lv = size[:, None] * (1 - part[:, None] * np.sin(np.pi * times) ** 2) + noise * generator.normal(size=(n, N_FRAMES))
    features = np.stack([lv, np.repeat(size[:, None], N_FRAMES, axis=1)], axis=-1).reshape(-1, 2)
    return Cohort(
        name="curves",
        subjects=np.array([f"s{k:02d}" for k in range(n)]),
        subject_of=np.repeat(np.arange(n), N_FRAMES),
        visits=np.tile([f"frame-{k + 1}" for k in range(N_FRAMES)], n),
        years=np.tile(times, n),
        features=features,
        feature_names=("lv", "myo"),
        labels=pd.DataFrame({"sex": np.where(np.arange(n) % 2, "F", "M")}),
        units={"lv": "mL", "myo": "mL"},
        period=1.0,
    )


def fitted(**changes: float) -> tuple[VolumeRidge, Cohort]:
    cohort = curves(**changes)
    model = VolumeRidge(shown="first:2").fit(cohort.select_subjects(np.arange(30)))
    return model, cohort.select_subjects(np.arange(30, 40))


def test_what_is_a_linear_function_of_the_frames_shown_is_found():
    model, test = fitted(noise=0.0)
    task = hide(test, shown_visits(test, "first:2"))
    result = model.impute(task.shown, 20, seed=1)
    assert list(result.requested.visit) == list(task.targets.visit)
    np.testing.assert_allclose(result.mean()[:, 0], task.truth[:, 0], rtol=0.05)
    np.testing.assert_allclose(result.mean()[:, 1], task.truth[:, 1], rtol=0.02)


def test_a_draw_is_the_whole_curve_of_one_person_left_out():
    model, test = fitted()
    task = hide(test, shown_visits(test, "first:2"))
    result = model.impute(task.shown, 5, seed=1)
    rows = task.targets.subject == "s31"
    around = (result.draws - result.mean())[:, rows].reshape(5, -1)
    for draw in around:
        assert np.isclose(model.residuals_, draw).all(axis=1).any()
    again = model.impute(task.shown, 5, seed=1)
    np.testing.assert_array_equal(again.draws, result.draws)


def test_residuals_are_as_wide_as_what_is_not_known():
    model, test = fitted(noise=3.0)
    task = hide(test, shown_visits(test, "first:2"))
    result = model.impute(task.shown, 40)
    inside = np.abs(result.mean() - task.truth)[:, 0] < 1.645 * result.sd()[:, 0]
    assert 0.7 < inside.mean() <= 1.0


def test_fewer_frames_unknown_ones_and_hidden_truth(tmp_path):
    cohort = curves()
    gapped = cohort.features.copy()
    gapped[cohort.visits == "frame-6"] = np.where(
        np.arange(40)[:, None] < 20, gapped[cohort.visits == "frame-6"], np.nan
    )
    model = VolumeRidge(shown="first:2").fit(replace(cohort, features=gapped).select_subjects(np.arange(30)))
    test = cohort.select_subjects(np.arange(30, 40))
    shown = shown_visits(test, "first:2") & ~((test.subject_of == 0) & (test.visits == "frame-2"))
    task = hide(test, shown)
    result = model.impute(task.shown, 4)
    assert np.isfinite(result.draws).all()
    changed = test.features.copy()
    changed[~shown] += 50.0
    other = model.impute(hide(replace(test, features=changed), shown).shown, 4)
    np.testing.assert_array_equal(other.draws, result.draws)
    model.save(tmp_path / "model")


def test_too_few_or_nothing_to_learn_is_refused():
    with pytest.raises(TooFewPairsError, match="volume-ridge needs 3 subjects"):
        VolumeRidge(shown="first:2").fit(curves().select_subjects([0, 1]))
    with pytest.raises(CohortError, match="shows all visits of everybody"):
        VolumeRidge(shown="first:6").fit(curves())
