from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import hide
from nextscan.errors import CohortError, SettingError
from nextscan.images.files import read_image, write_image
from nextscan.imputers import load, make_imputer
from nextscan.imputers.contract.check import imputer_checks
from nextscan.imputers.contract.volume_candidate import VolumeCandidate
from nextscan.simulating import load_brain_law, simulate_brains

pytestmark = pytest.mark.minutes

SHAPE = (16, 20, 16)
CHECKS = {check.__name__: check for check in imputer_checks("volumes")}
# those about learning do not concern it, and these take a moment only
KEPT = (
    "check_volumes_are_repeatable",
    "check_seeds",
    "check_noise_is_per_draw_and_subject",
    "check_hidden_truth_does_not_leak",
    "check_at_years",
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return simulate_brains(tmp_path_factory.mktemp("oracle") / "brains", n_subjects=8, shape=SHAPE, seed=1)


@pytest.fixture(scope="module")
def candidate(cohort):
    return VolumeCandidate(lambda: make_imputer("volume-oracle"), cohort=cohort)


@pytest.mark.parametrize("check", KEPT)
def test_contract(candidate, check):
    CHECKS[check](candidate)


def test_draws_are_images_of_draws_of_the_state(cohort):
    model, law = make_imputer("volume-oracle").fit(cohort), load_brain_law(cohort.law)
    task = hide(cohort)
    i = next(i for i, subject in enumerate(task.targets.subject) if subject == "sub-003")  # seen three times before
    from nextscan.simulating.brains.cohort import head_of

    found = model.impute(task.shown, 2, seed=9)[i]
    expected = law.predict("sub-003", ["ses-01", "ses-02", "ses-03"], float(task.targets.gap[i]))
    head = head_of(law, "sub-003")
    for image, state in zip(found.draws, expected.draw("sub-003", 2, seed=9), strict=True):
        clean = 1000 * head.image(state)
        measured = (image - clean)[clean > 500]  # bright enough for Rician noise to be normal
        np.testing.assert_allclose(np.std(measured), np.hypot(30, 0.05 * clean[clean > 500].mean()), rtol=0.35)
        assert np.corrcoef(image.ravel(), clean.ravel())[0, 1] > 0.99
    assert abs(np.corrcoef(*(found.draws - found.mean).reshape(2, -1))[0, 1]) < 0.5  # each with noise of its own
    many = np.mean([head.image(state) for state in expected.draw("sub-003", 100, seed=1)], axis=0)
    change = np.abs(1000 * head.image(law.states[law.row("sub-003", "ses-03")]) - found.mean).mean()
    assert np.abs(found.mean - 1000 * many).mean() < 0.15 * change


def test_in_no_time_it_returns_the_source_without_its_noise(cohort):
    model = make_imputer("volume-oracle").fit(cohort)
    shown = cohort.select_subjects([1])
    now, later = model.impute(shown, 3, at_years=[0, 4])
    clean = read_image(shown.files_of("noise_free")[-1]).data
    np.testing.assert_allclose(now.mean, clean, atol=0.01)
    air = clean < 1
    assert 25 < np.sqrt(np.square(now.draws[:, air]).mean() / 2) < 35  # Rician: both parts have a spread of 30
    assert np.abs(later.mean - clean).max() > 10
    assert later.draws.std(axis=0).max() > 2 * now.draws.std(axis=0).mean()


def test_it_comes_nearer_to_the_follow_up_than_the_source_without_noise(cohort):
    task = hide(cohort)
    truth = [read_image(path).data for path in task.truth_files["noise_free"]]
    source = [read_image(path).data for path in task.shown.files_of("noise_free")[task.targets.context]]
    found = make_imputer("volume-oracle").fit(cohort).impute(task.shown, 1)
    error, copy = (
        np.mean([np.square(a - b).mean() for a, b in zip(images, truth, strict=True)])
        for images in ([volume.mean for volume in found], source)
    )
    assert error < 0.5 * copy


def test_a_saved_oracle_says_the_same(cohort, tmp_path):
    model, shown = make_imputer("volume-oracle").fit(cohort), hide(cohort).shown
    model.save(tmp_path / "model")
    one, again = (each.impute(shown, 2, seed=3)[0] for each in (model, load(tmp_path / "model")))
    assert np.array_equal(one.draws, again.draws)
    assert np.array_equal(one.mean, again.mean)


def test_it_knows_simulated_brains_only(cohort, tmp_path):
    with pytest.raises(SettingError, match="no law comes with these images"):
        make_imputer("volume-oracle").fit(replace(cohort, law=""))
    model = make_imputer("volume-oracle").fit(cohort)
    image = read_image(cohort.files_of("volume")[0])
    path = write_image(tmp_path / "sub-001_ses-01_T1w.nii.gz", image.data[1:], image.affine)
    files = {"volume": np.array([str(path)])}
    with pytest.raises(CohortError, match="is not on the grid of the simulated cohort"):
        model.impute(replace(cohort.select_visits(np.arange(cohort.n_visits) == 0), files=files), 1, at_years=[1])[0]
    other = replace(cohort.select_subjects([0]), subjects=np.array(["somebody"]))
    with pytest.raises(CohortError, match="subject somebody is not of the simulated cohort"):
        model.impute(other, 1, at_years=[1])[0]
    with pytest.raises(SettingError, match="predicts forward only"):
        model.impute(cohort, 1, at_years=[-1])
