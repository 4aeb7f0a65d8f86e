"""The simple rows on films that obey known laws: means to the voxel, draws of one person over the whole film."""

import numpy as np
import pytest

from film_samples import MOVING, beats, changing, film_cohort, still
from nextscan.cohort import hide, shown_visits
from nextscan.errors import SettingError, TooFewPairsError
from nextscan.images.files import read_image
from nextscan.imputers import SEQUENCE_BASELINES, load, make_imputer
from nextscan.imputers.sequences.copy_nearest import CopyNearest
from nextscan.imputers.sequences.linear_in_time import LinearInTime
from nextscan.imputers.sequences.linear_with_mean_residual import LinearWithMeanResidual
from nextscan.imputers.sequences.mean_change_in_time import MeanChangeInTime
from nextscan.imputers.sequences.voxel_regression import VoxelRegression


def truths(task):
    return [read_image(path).data for path in task.truth_files["volume"]]


def off(result, task):
    """Return the largest error of each mean where the film changes, in units of intensity."""
    return [
        float(np.abs(volume.mean - truth)[MOVING].max()) for volume, truth in zip(result, truths(task), strict=True)
    ]


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    """Beats of training and of a subject to impute; no noise, so that the laws are exact."""
    folder = tmp_path_factory.mktemp("hearts")
    return beats(folder / "train", 6, seed=1), beats(folder / "test", 2, seed=2)


@pytest.fixture(scope="module")
def copying(hearts):
    return CopyNearest().fit(hearts[0])


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """Scans over years whose voxels change along straight lines, at irregular times."""
    folder = tmp_path_factory.mktemp("visits")
    films = {}
    for i in range(6):
        times = np.array([0.0, 1.0, 1.5 + 0.3 * i, 3.0 + 0.3 * i])
        films[f"sub-{i}"] = (times, still(i) + times[:, None, None, None] * changing(i, 20))
    cohort = film_cohort(folder, films)
    test = np.arange(6) >= 4
    return cohort.select_subjects(~test), cohort.select_subjects(test)


# -- means ----------------------------------------------------------------------------------------


@pytest.mark.minutes
def test_a_film_linear_in_time_is_met_between_images_and_beyond(visits):
    train, test = visits
    line, copy = (row(match_brightness=False).fit(train) for row in (LinearInTime, CopyNearest))
    for rule in ("first:2", "first:3", "ses-02,ses-03", "ses-01,ses-04", "ses-03,ses-04"):
        task = hide(test, shown_visits(test, rule))
        assert max(off(line.impute(task.shown, 1), task)) < 0.3, rule
        assert min(off(copy.impute(task.shown, 1), task)) > 5, rule


def test_brightness_that_differs_between_visits_hardly_disturbs_a_line(visits, tmp_path):
    train, _ = visits
    times, images = np.array([0.0, 1.0, 2.0]), still(9) + np.arange(3)[:, None, None, None] * changing(9, 20)
    scanned = images * np.array([1.0, 1.25, 1.25])[:, None, None, None]  # the source decides
    test = film_cohort(tmp_path, {"sub-x": (times, scanned)})
    task = hide(test, shown_visits(test, "first:2"))
    assert off(LinearInTime().fit(train).impute(task.shown, 1), task)[0] < 20
    assert off(LinearInTime(match_brightness=False).fit(train).impute(task.shown, 1), task)[0] > 100


def test_on_a_circle_the_rest_of_a_beat_lies_between_its_last_image_and_the_next_beat(hearts):
    train, test = hearts
    task = hide(test, shown_visits(test, "first:5"))
    model = LinearInTime().fit(train)
    times = test.years[:8]
    for volume, i in zip(model.impute(task.shown, 1), range(6), strict=True):
        subject, k = divmod(i, 3)
        images = [read_image(path).data for path in test.files_of("volume")[8 * subject : 8 * subject + 8]]
        weight = (times[5 + k] - times[4]) / (1 - times[4])
        expected = (1 - weight) * images[4] + weight * images[0]
        np.testing.assert_allclose(volume.mean[MOVING], expected[MOVING], atol=0.3)


@pytest.mark.parametrize("rule", ["first:1", "first:2", "first:4", "ses-05", "ses-03,ses-05", "ses-02,ses-04,ses-07"])
def test_copy_nearest_copies_the_nearest(hearts, copying, rule):
    _, test = hearts
    task = hide(test, shown_visits(test, rule))
    given = np.flatnonzero(shown_visits(test, rule)[:8])
    result = copying.impute(task.shown, 1)
    for volume in list(result)[: len(result) // 2]:
        far = np.abs(volume.years - given / 8)
        nearest = given[
            np.argmin(np.round(np.minimum(far, 1 - far), 6) + 1e-3 * ((given / 8 - volume.years) % 1 < 0.5))
        ]
        expected = read_image(test.files_of("volume")[nearest]).data
        np.testing.assert_allclose(volume.mean[MOVING], expected[MOVING], atol=0.1)


def test_what_is_missed_in_everybody_alike_is_added(tmp_path):
    """Of hearts that differ at rest alone and beat alike, which are bent between any images shown."""
    phase = np.arange(6) / 6
    bent = np.sin(2 * np.pi * phase)[:, None, None, None] * changing(5)
    cohort = film_cohort(tmp_path, {f"sub-{i}": (phase, still(i) + bent) for i in range(4)}, period=1.0)
    train, test = cohort.select_subjects([0, 1, 2]), cohort.select_subjects([3])
    rows = (LinearWithMeanResidual(), LinearInTime()), (MeanChangeInTime(), CopyNearest())
    for corrected, plain in rows:
        corrected.fit(train), plain.fit(train)
        for rule in ("first:1", "first:2", "first:4", "ses-04", "ses-03,ses-04"):
            task = hide(test, shown_visits(test, rule))
            assert max(off(corrected.impute(task.shown, 1), task)) < 1, rule
            assert max(off(plain.impute(task.shown, 1), task)) > 15, rule


def test_mean_change_on_a_line_grows_with_the_time(tmp_path):
    rate = changing(3, 20)
    films = {f"sub-{i}": ((t := np.array([0.0, 1.0 + i])), still(i) + t[:, None, None, None] * rate) for i in range(4)}
    films["sub-x"] = (t := np.array([0.0, 7.0])), still(8) + t[:, None, None, None] * rate
    cohort = film_cohort(tmp_path, films)
    test = cohort.select_subjects([4])
    task = hide(test)
    model = MeanChangeInTime(match_brightness=False).fit(cohort.select_subjects([0, 1, 2, 3]))
    assert max(off(model.impute(task.shown, 1), task)) < 0.5
    before = hide(test, shown_visits(test, "ses-02"))
    assert max(off(model.impute(before.shown, 1), before)) < 0.5


@pytest.mark.minutes
@pytest.mark.parametrize("period", [None, 1.0])
@pytest.mark.parametrize("n_given", [1, 2, 4])
def test_voxel_regression_recovers_a_linear_law(tmp_path, period, n_given):
    """The last image is a mixture of the last two shown, which is not on their line; of one, it and what all add."""
    films = {}
    for i in range(8):
        images = np.stack([still() + changing(10 * i + k) for k in range(5)])
        last, other = images[n_given - 1], images[max(n_given - 2, 0)]
        images[4] = last + changing(99) / 2 if n_given == 1 else 0.6 * last + 0.4 * other
        films[f"sub-{i}"] = (np.arange(5) / 5, images)
    cohort = film_cohort(tmp_path, films, period=period)
    train, test = cohort.select_subjects(np.arange(7)), cohort.select_subjects([7])
    task = hide(test, np.arange(5) < n_given)
    errors = {}
    for model in (VoxelRegression(penalty=1e-9), VoxelRegression(penalty=1e9), LinearInTime()):
        result = model.set_params(match_brightness=False).fit(train).impute(task.shown, 1)
        errors[getattr(model, "penalty", None)] = off(result, task)[-1]
    assert errors[1e-9] < 1
    assert errors[None] > 20
    assert errors[1e9] > 20


# -- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEQUENCE_BASELINES)
def test_a_draw_takes_what_was_missed_in_the_film_of_one_person(hearts, name):
    train, test = hearts
    task = hide(test, shown_visits(test, "first:4"))
    model = make_imputer(name).fit(train)
    draw = model._drawing()
    whose = []
    for i in range(4):  # the images of the first subject that are not shown
        draws, mean = draw(given_of(model, task, i), 12, 3)
        left = [each.tobytes() for each in np.round(draws - mean, 4)]
        assert 1 < len(set(left)) <= len(model.bank_)
        whose.append([left.index(each) for each in left])
    assert whose[0] == whose[1] == whose[2] == whose[3]


def test_draws_of_a_line_are_what_lines_missed_in_one_film(hearts):
    train, test = hearts
    task = hide(test, shown_visits(test, "first:3"))
    model = LinearInTime().fit(train)
    bank, draw, whose = model.bank_, model._drawing(), []
    for i in range(5):
        draws, mean = draw(given_of(model, task, i), 30, 0)
        share = (i + 1) / 6  # of the way from the third image to the next beat
        lines = [(1 - share) * bank.image(s + 2, s + 2) + share * bank.image(s, s + 2) for s in bank.starts[:-1]]
        missed = np.stack([bank.image(s + 3 + i, s + 2) - line for s, line in zip(bank.starts, lines, strict=False)])
        apart = np.abs((draws - mean)[:, None] - missed).max(axis=(2, 3, 4))
        assert apart.min(axis=1).max() < 2e-3
        whose.append(apart.argmin(axis=1).tolist())
    assert len(set(whose[0])) > 3
    assert all(each == whose[0] for each in whose)


def test_of_whom_no_film_is_alike_the_next_one_draws(tmp_path):
    """One in three was seen at both sides of the target; the others lend nothing."""
    two, three = np.array([0.0, 2.0]), np.array([0.0, 1.0, 2.0])
    films = {
        f"sub-{i}": ((t := three if i % 3 == 1 else two), still(i) + t[:, None, None, None] * changing(i, 20))
        for i in range(7)
    }
    cohort = film_cohort(tmp_path, films)
    test = cohort.select_subjects([4])
    task = hide(test, shown_visits(test, "ses-01,ses-03"))
    model = LinearInTime().fit(cohort.select_subjects([0, 1, 2, 3, 5, 6]))
    draws = model.impute(task.shown, 8)[0].draws
    assert np.abs(draws - draws[:1]).max() < 1e-3  # of one film alone


def test_draws_are_the_same_alone_and_whatever_was_kept_before(hearts):
    train, test = hearts
    task = hide(test, shown_visits(test, "random:0.5"))
    model = VoxelRegression().fit(train)
    result = model.impute(task.shown, 3)
    for i in (len(result) - 1, 0, 1):
        again = model.impute(task.shown, 3)[i]
        np.testing.assert_array_equal(again.draws, result[i].draws)


def test_a_model_saved_knows_its_circle(hearts, tmp_path):
    train, test = hearts
    task = hide(test, shown_visits(test, "first:3"))
    model = LinearWithMeanResidual(n_films=3).fit(train)
    assert model.record_["n_films"] == 3
    assert model.record_["period"] == 1.0
    assert model.record_["match_brightness"] is False
    model.save(tmp_path / "model")
    again = load(tmp_path / "model").impute(task.shown, 2)
    for ours, theirs in zip(model.impute(task.shown, 2), again, strict=True):
        np.testing.assert_array_equal(ours.draws, theirs.draws)


def test_what_is_too_little_is_refused(hearts):
    train, _ = hearts
    one = train.select_subjects([0])
    with pytest.raises(TooFewPairsError, match="mean-change-in-time needs at least 2 subjects with two images or more"):
        MeanChangeInTime().fit(one)
    with pytest.raises(SettingError, match="n_films must be at least 1"):
        CopyNearest(n_films=0).fit(train)
    with pytest.raises(SettingError, match="penalty must be at least 0"):
        VoxelRegression(penalty=-1).fit(train)


def given_of(model, task, i):
    """Return what the prediction of a target starts from."""
    found = []

    def draw(given, n_draws, seed):
        found.append(given)
        return np.zeros((n_draws, *given.source.shape), np.float32), None

    watched = model.clone()
    vars(watched).update(vars(model))
    watched._drawing = lambda: draw
    assert watched.impute(task.shown, 1)[i] is not None
    return found[0]
