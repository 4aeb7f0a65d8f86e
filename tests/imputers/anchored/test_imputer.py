"""Anchored: the anchor where the world is linear, better where it is not, and nothing lost when interrupted."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort, hide
from nextscan.imputers import make_imputer
from nextscan.imputers.anchored.imputer import AnchoredSecondgram
from nextscan.imputers.mixed_factor.effects_fit import maximise
from nextscan.imputers.model_folder import load
from nextscan.metrics import energy_score
from nextscan.simulating import simulate

pytestmark = pytest.mark.minutes

QUICK = {"n_factors": 10, "n_slopes": 5, "unpaired": "use"}


def halves(cohort: Cohort, n_test: int) -> tuple[Cohort, Cohort]:
    paired = np.flatnonzero(cohort.is_paired)
    test = paired[-n_test:]
    return cohort.select_subjects(np.setdiff1d(np.arange(cohort.n_subjects), test)), cohort.select_subjects(test)


def energies(train: Cohort, test: Cohort, *models: object) -> list[np.ndarray]:
    task, unit = hide(test), np.nanstd(train.features, axis=0)
    return [energy_score(task.truth / unit, m.impute(task.shown, 40).draws / unit) for m in models]


@pytest.fixture(scope="module")
def linear() -> tuple[Cohort, Cohort]:
    return halves(simulate(n_subjects=900, n_features=24, n_pairs=400, seed=3), 200)


@pytest.fixture(scope="module")
def fitted(linear) -> AnchoredSecondgram:
    return AnchoredSecondgram(**QUICK, epochs=20).fit(linear[0], seed=1)


def test_stays_with_the_anchor_in_a_linear_world(linear, fitted) -> None:
    train, test = linear
    ours, anchor, oracle = energies(
        train, test, fitted, make_imputer("mixed-factor", **QUICK).fit(train), make_imputer("oracle").fit(train)
    )
    assert not {"network", "diffusion"} & set(fitted.record_["kept"])
    assert ours.mean() < 1.002 * anchor.mean()
    assert ours.mean() < 1.05 * oracle.mean()
    assert fitted.record_["weights"]["mixed-factor"] > 0.5


def test_leaves_the_anchor_where_the_world_bends() -> None:
    train, test = halves(simulate(n_subjects=1500, n_features=40, n_pairs=1000, world="hard", seed=0), 300)
    model = AnchoredSecondgram(**QUICK, diffusion=False, self_conditioning="none", n_folds=3).fit(train, seed=1)
    anchor = make_imputer("mixed-factor", **QUICK).fit(train)
    ours, theirs, oracle = energies(train, test, model, anchor, make_imputer("oracle").fit(train))
    assert {"scale", "network"} & set(model.record_["kept"])
    assert (theirs.mean() - ours.mean()) / (theirs.mean() - oracle.mean()) > 0.35
    task = hide(test)
    low, high = model.impute(task.shown, 40).interval(0.8)
    assert np.mean((low <= task.truth) & (task.truth <= high)) == pytest.approx(0.8, abs=0.03)


def test_diffusion_learns_a_shape_that_is_not_gaussian() -> None:
    cohort = simulate(n_subjects=900, n_features=6, n_pairs=900, seed=1)
    follow_up = np.diff(cohort.subject_of, prepend=-1) == 0
    jump = np.where(np.random.default_rng(0).random(cohort.n_visits) < 0.5, 3.0, -3.0)[:, None]
    sd = cohort.features.std(axis=0) * np.array([1.0, 1, 1, 0, 0, 0])
    features = np.where(follow_up[:, None], cohort.features + jump * sd, cohort.features)
    train, test = halves(replace(cohort, features=features), 150)
    model = AnchoredSecondgram(n_factors=2, n_slopes=0, unpaired="ignore", network=False, n_folds=3).fit(train, seed=1)
    assert "diffusion" in model.record_["kept"]
    task = hide(test)
    change = (model.impute(task.shown, 40).draws[..., 0] - task.shown.features[task.targets.context, 0]) / sd[0]
    assert np.mean(np.abs(change) < 1) < 0.2  # an emptier middle: a Gaussian of this spread has 0.24
    assert 0.4 < np.mean(change > 0) < 0.6


def test_every_fold_is_kept_and_an_interrupted_fit_goes_on(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("nextscan.imputers.mixed_factor.imputer.maximise", partial(maximise, iterations=15))

    class StoppedError(Exception):
        pass

    def stop(*arguments: object, **settings: object) -> None:
        raise StoppedError

    cohort = simulate(n_subjects=120, n_features=6, n_pairs=80, seed=3)
    model = AnchoredSecondgram(n_factors=2, n_slopes=1, unpaired="use", n_folds=2, epochs=5)
    whole = model.clone().fit(cohort, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr("nextscan.imputers.anchored.imputer.fit_residual", stop)
        with pytest.raises(StoppedError):
            model.fit(cohort, seed=1, checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("nextscan.imputers.anchored.anchor.Anchor.fit", stop)  # nothing is fitted a second time
        model.fit(cohort, seed=1, checkpoint=tmp_path)
    shown = hide(cohort).shown
    np.testing.assert_array_equal(model.impute(shown, 3).draws, whole.impute(shown, 3).draws)


def test_unknown_years_average_over_the_training_gaps(linear, fitted) -> None:
    shown = hide(linear[1]).shown
    rows = ~shown.is_request
    alone = shown.select_visits(rows)
    unknown = fitted.impute(alone, 40)
    assert np.isnan(unknown.targets["years"]).all()
    gaps = fitted.anchor_.model.gaps_
    known = fitted.impute(alone, 40, at_years=[float(gaps.mean())])
    np.testing.assert_allclose(unknown.mean(), known.mean(), atol=0.05 * np.nanstd(alone.features, axis=0).max())
    assert unknown.sd().mean() > 0.98 * known.sd().mean()


def test_visits_before_the_last_are_the_mixed_models_alone(linear, fitted) -> None:
    test = linear[1]
    mean = fitted.impute(test, 2, at_years=[-1.0]).mean()
    alone = fitted.anchor_.model
    wanted = fitted.impute(test, 2, at_years=[-1.0]).requested
    expected = alone._draw(test, wanted, 1, 0, None)[1]
    np.testing.assert_allclose(mean, np.maximum(expected, np.where(fitted.nonnegative_, 0, -np.inf)), rtol=1e-6)


def test_visits_of_a_subject_share_what_is_not_noise(linear, fitted) -> None:
    result = fitted.impute(linear[1].select_subjects(np.arange(40)), 60, at_years=[1.0, 1.5])
    first, second = (result.draws[:, result.requested.visit == visit] for visit in np.unique(result.requested.visit))
    away = [part - part.mean(axis=0) for part in (first, second)]
    together = np.mean(away[0] * away[1]) / np.sqrt(np.mean(away[0] ** 2) * np.mean(away[1] ** 2))
    assert 0.2 < together < 0.95


def test_saved_model_draws_the_same(linear, fitted, tmp_path) -> None:
    fitted.save(tmp_path / "model")
    shown = hide(linear[1]).shown
    np.testing.assert_array_equal(load(tmp_path / "model").impute(shown, 3).draws, fitted.impute(shown, 3).draws)


def test_held_out_subjects_calibrate_without_another_fit(linear, fitted) -> None:
    task = hide(linear[1])
    low, high = fitted.impute(task.shown, 40).interval(0.8, "conformal")
    assert np.mean((low <= task.truth) & (task.truth <= high)) == pytest.approx(0.8, abs=0.03)


def test_one_person_with_three_visits_leaves_conformal_intervals() -> None:
    rng = np.random.default_rng(3)
    rows, start = [], rng.normal(10, 1, (40, 3))
    for i in range(40):
        for visit in range(3 if i == 0 else 2):
            values = start[i] - 0.3 * visit + rng.normal(0, 0.2, 3)
            rows.append([f"p{i:02d}", visit, float(visit), *values])
    table = pd.DataFrame(rows, columns=["subject", "visit", "years", "a", "b", "c"])
    cohort = Cohort(
        name="one with three",
        subjects=np.array([f"p{i:02d}" for i in range(40)]),
        subject_of=table["subject"].factorize()[0].astype(np.intp),
        visits=table["visit"].to_numpy().astype(str),
        years=table["years"].to_numpy(float),
        features=table[["a", "b", "c"]].to_numpy(float),
        feature_names=("a", "b", "c"),
    )
    model = AnchoredSecondgram(n_factors=1, n_slopes=0, network=False, n_folds=3, epochs=2).fit(cohort, seed=1)
    assert model.calibration_ is not None
    assert len(model.calibration_.gap) == 40  # each person once, with the last visit
    low, high = model.impute(cohort, seed=2, at_years=[1.0]).interval(0.8, "conformal")
    assert (low < high).all()
