from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import hide, shown_visits
from nextscan.errors import CohortError, SettingError
from nextscan.images.files import read_image, write_image
from nextscan.imputers import load, make_imputer
from nextscan.imputers.contract.check import imputer_checks
from nextscan.imputers.contract.volume_candidate import VolumeCandidate
from nextscan.simulating import load_heart_law, simulate_hearts
from nextscan.simulating.hearts.beat import Beat
from nextscan.simulating.hearts.cohort import heart_of
from nextscan.simulating.hearts.scanner import NOISE, bias

pytestmark = pytest.mark.minutes

CHECKS = {check.__name__: check for check in imputer_checks("volumes")}
# those about learning do not concern it, and these take a moment only
KEPT = (
    "check_volumes_are_repeatable",
    "check_seeds",
    "check_noise_is_per_draw_and_subject",
    "check_hidden_truth_does_not_leak",
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    place = tmp_path_factory.mktemp("oracle") / "hearts"
    return simulate_hearts(place, n_subjects=6, n_frames=5, shape=(16, 16, 4), seed=1)


@pytest.fixture(scope="module")
def model(cohort):
    return make_imputer("heart-oracle").fit(cohort)


@pytest.fixture(scope="module")
def candidate(cohort):
    return VolumeCandidate(lambda: make_imputer("heart-oracle"), cohort=cohort)


@pytest.mark.parametrize("check", KEPT)
def test_contract(candidate, check):
    CHECKS[check](candidate)


def test_draws_are_noisy_images_of_draws_of_the_beat(cohort, model):
    law = load_heart_law(cohort.law)
    task = hide(cohort, shown_visits(cohort, "frame-01,frame-04"))
    i = next(i for i, subject in enumerate(task.targets.subject) if subject == "sub-003")
    assert task.targets.visit[i] == "frame-02"
    found = model.impute(task.shown, 3, seed=9)[i]
    expected = law.predict("sub-003", [0.0, 0.6], [0.2], know_group=True)
    heart, light = heart_of(law, "sub-003"), bias("sub-003", law.shape, seed=1)
    drawn = light[..., None] * heart.frames(expected.draw(3, seed=9))
    noise = found.draws - np.moveaxis(drawn, -1, 0)
    assert noise[:, found.mean > 60].std() == pytest.approx(NOISE, rel=0.06)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    many = light * heart.frames(Beat.of(expected.people[:400], 0.2)).mean(axis=-1)
    change = np.abs(read_image(task.truth_files["noise_free"][i]).data - many).mean()
    assert np.abs(found.mean - many).mean() < 0.2 * change


def test_draws_of_several_frames_belong_to_one_beat(cohort, model):
    task = hide(cohort, shown_visits(cohort, "frame-01"))
    first = [i for i, subject in enumerate(task.targets.subject) if subject == "sub-002"]
    result = model.impute(task.shown, 20, seed=2)
    volumes = np.array([(result[i].draws[:, 4:12, 4:12, 1:3]).mean(axis=(1, 2, 3)) for i in first])
    assert np.corrcoef(volumes)[0, 1] > 0.5  # who ejects more early has ejected more later


def test_a_frame_that_was_seen_comes_back_without_its_noise(cohort, model):
    beat = cohort.select_subjects([1])
    law = load_heart_law(cohort.law)
    found = model.impute(beat, 2, at_years=[1.0])[0]  # once around: the first frame
    np.testing.assert_allclose(found.mean, read_image(beat.files_of("noise_free")[0]).data, atol=3)
    assert law.times[-1] + 0.2 == pytest.approx(1.0)


def test_it_comes_nearer_the_more_frames_it_sees(cohort, model):
    errors = {}
    for rule in ("frame-01", "frame-01,frame-03", "frame-01,frame-02,frame-03"):
        task = hide(cohort, shown_visits(cohort, rule))
        late = np.flatnonzero(np.isin(task.targets.visit, ["frame-04", "frame-05"]))
        result = model.impute(task.shown, 1)
        truth = [read_image(path).data for path in task.truth_files["noise_free"]]
        source = [read_image(path).data for path in task.shown.files_of("noise_free")[task.targets.context]]
        errors[rule] = [
            float(np.mean([np.square(image - truth[i]).mean() for image, i in zip(images, late, strict=True)]))
            for images in ([result[i].mean for i in late], [source[i] for i in late])
        ]
    (one, copy), (two, _), (three, _) = errors.values()
    assert three < two < one < 0.4 * copy


def test_it_uses_the_group_only_where_it_is_a_label(cohort, model):
    shown = hide(cohort, shown_visits(cohort, "frame-03")).shown
    blind = replace(shown, labels=shown.labels.drop(columns="group"))
    told, untold = (model.impute(each, 1)[0].mean for each in (shown, blind))
    assert not np.array_equal(told, untold)
    hidden = replace(shown, labels=shown.labels.assign(group=None))
    again = make_imputer("heart-oracle").fit(replace(cohort, labels=blind.labels))
    assert np.array_equal(again.impute(hidden, 1)[0].mean, untold)


def test_a_saved_oracle_says_the_same(cohort, model, tmp_path):
    shown = hide(cohort).shown
    model.save(tmp_path / "model")
    one, again = (each.impute(shown, 2, seed=3)[0] for each in (model, load(tmp_path / "model")))
    assert np.array_equal(one.draws, again.draws)
    assert np.array_equal(one.mean, again.mean)


def test_it_knows_simulated_hearts_only(cohort, model, tmp_path):
    with pytest.raises(SettingError, match="no law comes with these images"):
        make_imputer("heart-oracle").fit(replace(cohort, law=""))
    one = cohort.select_visits(np.arange(cohort.n_visits) == 0)
    image = read_image(cohort.files_of("volume")[0])
    path = write_image(tmp_path / "sub-001_cine.nii.gz", image.data[1:], image.affine)
    with pytest.raises(CohortError, match="is not on the grid of the simulated cohort"):
        model.impute(replace(one, files={"volume": np.array([str(path)])}), 1, at_years=[0.5])[0]
    with pytest.raises(CohortError, match="subject somebody is not of the simulated cohort"):
        model.impute(replace(one, subjects=np.array(["somebody"])), 1, at_years=[0.5])[0]
    with pytest.raises(CohortError, match="times are in years, and the oracle of simulated hearts needs"):
        model.impute(replace(cohort, time_unit="years"), 1, at_years=[0.5])[0]
